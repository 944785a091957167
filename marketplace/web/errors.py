"""Trouble as a page: which kind of error is which status, what happened, what was kept, what to do."""

from contextlib import suppress
from typing import Any

from flask import Flask, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from marketplace.foundation.database import db, is_busy
from marketplace.foundation.errors import (
    Conflict,
    InvalidInput,
    MarketError,
    NotAllowed,
    NotFound,
    OutsideFailure,
)
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said

STATUS: dict[type[MarketError], int] = {InvalidInput: 400, NotAllowed: 403, NotFound: 404, Conflict: 409, OutsideFailure: 503}
# After how many seconds the same request, with the same key, may come again: it lost a race, and nothing was done.
BUSY = "database.busy"
AGAIN = {BUSY: 3}
# Where somebody is buying: what they typed is on the page that says so, to be sent once more under its own key.
BUYING = ("checkout.place", "checkout.pay", "checkout.card", "checkout.scan")
DESIGNED = {400, 403, 404, 409, 410, 413, 429, 500, 503}


def status_of(error: MarketError) -> int:
    """The HTTP status of a domain error."""
    return next(status for kind, status in STATUS.items() if isinstance(error, kind))


def register(app: Flask) -> None:
    """Show every error as a designed page."""

    @app.errorhandler(MarketError)
    def market_error(error: MarketError) -> Any:
        db.session.rollback()
        if error.code == BUSY and request.endpoint in BUYING:
            return _busy()
        answer = make_response(_page(status_of(error), said(error), error.code))
        if (seconds := AGAIN.get(error.code) or (60 if isinstance(error, OutsideFailure) else None)) is not None:
            answer.headers["Retry-After"] = str(seconds)
        return answer

    @app.errorhandler(CSRFError)
    def stale_form(error: CSRFError) -> Any:
        return _page(400, _("这一页放得太久，已经失效。请返回上一页刷新后再试，填过的内容浏览器通常还留着。"), "form.stale")

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Any:
        if error.code is None or error.code < 400:
            return error
        return _page(error.code, None, f"http.{error.code}")

    @app.errorhandler(SQLAlchemyError)
    def of_database(error: SQLAlchemyError) -> Any:
        if not is_busy(error):
            return unexpected(error)
        app.logger.warning("the database had no time for %s %s: %s", request.method, request.path, type(error).__name__)
        return _busy()

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Any:
        if app.testing or app.debug:
            raise error
        app.logger.error("unexpected on %s %s", request.method, request.path, exc_info=error)
        # The database may be what failed: the page about it asks nothing of it, not even who is reading.
        request.environ["market.actor"] = None
        with suppress(SQLAlchemyError):
            db.session.rollback()
        return _page(500, None, "unexpected")


def _busy() -> Any:
    """503: nothing was saved. The page asks nothing of the database, not even who is reading."""
    request.environ["market.actor"] = None
    with suppress(SQLAlchemyError):
        db.session.rollback()
    if request.path.startswith("/api/"):
        answer = make_response(_page(503, None, BUSY))
    else:
        sent = [each for each in request.form.items(multi=True) if each[0] != "csrf_token"] if request.endpoint in BUYING else None
        answer = make_response(render_template("errors/busy.html", status=503, code=BUSY, sent=sent), 503)
    answer.headers["Retry-After"] = str(AGAIN[BUSY])
    return answer


def _page(status: int, message: str | None, code: str) -> Any:
    if request.path.startswith("/api/"):
        return {"type": "about:blank", "title": code, "status": status, "detail": message or code}, status, {
            "Content-Type": "application/problem+json"
        }
    template = f"errors/{status if status in DESIGNED else (400 if status < 500 else 500)}.html"
    return render_template([template, "errors/any.html"], message=message, code=code, status=status), status
