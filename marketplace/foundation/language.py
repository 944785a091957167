"""Two languages: Chinese is the text in the code, English stands beside it in the catalogue of messages.

Texts of things are columns ``*_zh`` (required) and ``*_en`` (optional, falling back to Chinese).
"""

from typing import Any

from flask import has_request_context, request, session
from flask_babel import Babel, force_locale, lazy_gettext
from flask_babel import gettext as _translated

from marketplace.foundation.errors import MarketError

LANGUAGES = ("zh", "en")
babel = Babel()

__all__ = ["LANGUAGES", "N_", "babel", "force_locale", "gettext", "language", "lazy_gettext", "said", "select_language", "text"]


def N_(message: str) -> str:
    """Mark a message for translation without translating it yet (errors carry msgids)."""
    return message


def gettext(message: str, **values: Any) -> str:
    """The message in the reader's language, filled with ``values``."""
    return str(_translated(message, **values))


def select_language() -> str:
    """The language of this request: the person's choice, else Chinese. Browsers' settings do not decide."""
    if not has_request_context():
        return "zh"
    if request.headers.get("X-Language") in LANGUAGES:
        return str(request.headers["X-Language"])
    chosen = session.get("language", "zh")
    return chosen if chosen in LANGUAGES else "zh"


def language() -> str:
    """``zh`` or ``en``, for this request."""
    return select_language()


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
