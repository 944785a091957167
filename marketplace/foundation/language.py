"""Two languages: Chinese is the text in the code, English stands beside it in the catalogue of messages.

Texts of things are columns ``*_zh`` (required) and ``*_en`` (optional, falling back to Chinese).
"""

from functools import lru_cache
from typing import Any

from flask import Flask, has_request_context, request, session
from flask_babel import Babel, force_locale, get_domain
from markupsafe import Markup

from marketplace.foundation.errors import MarketError

LANGUAGES = ("zh", "en")
babel = Babel()

__all__ = ["LANGUAGES", "N_", "gettext", "in_language", "language", "register", "said", "text", "translated"]


def register(app: Flask) -> None:
    """Give templates ``_``. A page says some eighty messages: each is looked up once a process, not once a page."""
    babel.init_app(app, locale_selector=language)
    app.jinja_env.globals.update(_=_in_template, translated=translated, said=said)


def N_(message: str) -> str:
    """Mark a message for translation without translating it yet (errors carry msgids)."""
    return message


def gettext(message: str, **values: Any) -> str:
    """The message in the reader's language, filled with ``values``."""
    words = _translated(language(), message)
    return words % values if values else words


def in_language(code: str, message: str, **values: Any) -> str:
    """The message in ``zh`` or ``en``, filled with ``values``: for letters, which nobody is reading yet."""
    words = _translated(code if code in LANGUAGES else "zh", message)
    return words % values if values else words


def translated(words: str, **values: Any) -> str:
    """Words that stand in a row or a table: in the reader's language where the catalogue knows them, else as somebody typed them.

    ``values`` fill the code's own. A str, which a page escapes: a bank's or a person's words hold no markup. Templates call ``_`` with what
    is written in them only.
    """
    spoken = str(_catalogue("en").ugettext(words)) if words and language() == "en" else words
    return spoken % values if values else spoken


def _in_template(message: str, **values: Any) -> Markup:
    """The message as part of a page: values are escaped, and ``%`` is always written twice, as in every gettext template.

    ``message`` is written in the template itself (tests/house holds to it): it may hold markup, so nobody else's words may come here.
    """
    return _marked(language(), message) % values if values else _plain(language(), message)


@lru_cache(maxsize=8192)
def _translated(code: str, message: str) -> str:
    if code == "zh":  # the text in the code
        return message
    return str(_catalogue(code).ugettext(message))


def _catalogue(code: str) -> Any:
    with force_locale(code):
        return get_domain().get_translations()


@lru_cache(maxsize=8192)
def _marked(code: str, message: str) -> Markup:
    return Markup(_translated(code, message))  # noqa: S704 -- our own words, which may hold markup


@lru_cache(maxsize=8192)
def _plain(code: str, message: str) -> Markup:
    return _marked(code, message) % {}


def language() -> str:
    """``zh`` or ``en``, for this request: the person's choice, else Chinese. Browsers' settings do not decide."""
    if not has_request_context():
        return "zh"
    kept: str | None = request.environ.get("market.language")
    if kept is None:
        asked = request.headers.get("X-Language")
        chosen = asked if asked in LANGUAGES else session.get("language")
        kept = request.environ["market.language"] = chosen if chosen in LANGUAGES else "zh"
    return kept


def text(thing: Any, name: str) -> str:
    """The text ``name`` of a thing in the reader's language: ``name_en`` if asked for and there, else ``name_zh``."""
    if language() == "en":
        english = getattr(thing, f"{name}_en", None)
        if english:
            return str(english)
    return str(getattr(thing, f"{name}_zh") or "")


def said(error: MarketError) -> str:
    """The error's message in the reader's language, filled with its data."""
    message = gettext(error.message)
    try:
        return message % error.data if "%" in message else message
    except (KeyError, TypeError, ValueError):
        return message
