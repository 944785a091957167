"""How values are shown on pages: money, days, weights, texts, addresses of files; and the headers every page carries."""

import hashlib
from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, request, session, url_for

from marketplace.foundation import clock
from marketplace.foundation.config import settings
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import language, text
from marketplace.foundation.money import shown_yuan
from marketplace.web.permission import current_actor, holds
from marketplace.web.workplace import workplace

CONTENT_POLICY = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; object-src 'none'"


def money(fen: int | None) -> str:
    """Fen as ¥1,234.50, below nothing as −¥1.00."""
    return "—" if fen is None else shown_yuan(fen)


def money0(fen: int) -> str:
    """Fen as whole yuan where nothing is lost, else with fen."""
    return money(fen).removesuffix(".00")


def bp(basis_points: int) -> str:
    """Basis points as 62.5%."""
    return f"{basis_points / 100:.2f}".rstrip("0").rstrip(".") + "%"


def grams(weight: int) -> str:
    """Grams, or kilograms from one on."""
    return f"{weight:,} g" if weight < 1000 else f"{weight / 1000:,.2f}".rstrip("0").rstrip(".") + " kg"


def day(moment: date | datetime | None) -> str:
    """A Beijing day as 2026-11-23."""
    if moment is None:
        return "—"
    return f"{clock.business_date(moment) if isinstance(moment, datetime) else moment:%Y-%m-%d}"


def moment(at: datetime | None) -> str:
    """A Beijing moment as 2026-11-23 14:05."""
    return "—" if at is None else f"{at.astimezone(clock.BEIJING):%Y-%m-%d %H:%M}"


def ago(at: datetime) -> str:
    """How long ago, in the largest whole unit."""
    minutes = max(0, int((clock.now() - at).total_seconds() // 60))
    if minutes < 60:
        return _("%(n)s 分钟前", n=minutes)
    if minutes < 60 * 24:
        return _("%(n)s 小时前", n=minutes // 60)
    return _("%(n)s 天前", n=minutes // (60 * 24))


def _asset_of(folder: str) -> Callable[[str], str]:
    @lru_cache(maxsize=2048)
    def asset(name: str) -> str:
        """The address of a file in static/, with its fingerprint: browsers keep it for ever. Looked up once a process."""
        try:
            fingerprint = hashlib.sha256(Path(folder, name).read_bytes()).hexdigest()[:10]
        except OSError:
            fingerprint = ""
        return url_for("static", filename=name, v=fingerprint)

    return asset


@lru_cache(maxsize=2048)
def _kept(macro: Any, values: tuple[Any, ...], named: tuple[tuple[str, Any], ...]) -> Any:
    return macro(*values, **dict(named))


def kept(macro: Any, *values: Any, **named: Any) -> Any:
    """What a macro makes of these values, made once: the values are read afresh, only the text is not written again.

    Only for a macro that depends on nothing else: not on who reads, and on the language only if that is one of the values.
    """
    try:
        return _kept(macro, values, tuple(named.items()))
    except TypeError:  # a dict, as on the page of the design
        return macro(*values, **named)


def register(app: Flask) -> None:
    """Give templates their filters and names; add the security headers."""
    app.jinja_env.filters.update(money=money, money0=money0, bp=bp, grams=grams, day=day, moment=moment, ago=ago)
    app.jinja_env.globals.update(text=text, kept=kept, asset=_asset_of(str(app.static_folder)))

    @app.context_processor
    def names() -> dict[str, Any]:
        return {
            "actor": current_actor(),
            "may": lambda permission: holds(current_actor(), permission),
            "workplace": workplace(current_actor()),
            "language": language(),
            "cart_count": None,
        }

    @app.after_request
    def headers(response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", CONTENT_POLICY)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        if settings().secure_cookies:
            response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        response.headers.setdefault("Referrer-Policy", "same-origin")
        response.headers.setdefault("Permissions-Policy", "geolocation=(), camera=(), microphone=()")
        if request.endpoint == "static" and "v" in request.args:
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        elif request.cookies and "person_id" in session:
            response.headers.setdefault("Cache-Control", "private, no-store")  # the next reader at a counter's machine sees nothing of it
        return response
