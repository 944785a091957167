"""Alipay's notices: verify, store, apply, commit, and only then answer exactly ``success``.

The usual one, of a payment that came whole and in time, is answered before Flask begins: it needs no session, no language and no page.
Every other one, and whatever is wrong with one, is the route's. Only the form is read: a query string must not override a signed field.
"""

import logging
from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl

from flask import Blueprint, Flask, request
from flask.blueprints import BlueprintSetupState

from marketplace.api.notice_burst import Burst
from marketplace.foundation import driver
from marketplace.foundation.config import Settings
from marketplace.foundation.database import transaction
from marketplace.foundation.driver import Write
from marketplace.foundation.errors import NotFound
from marketplace.payments import payment as payments
from marketplace.payments import payment_at_once, seller_channel
from marketplace.payments.alipay_notice import MOST_FIELDS, BadNotice, Notice, verify_notice
from marketplace.payments.alipay_signing import BadKey
from marketplace.payments.notice_inbox import notice_row
from marketplace.payments.outcome import OutcomeMismatch
from marketplace.payments.payment_at_once import Told

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

ADDRESS, FORM, LARGEST = "/alipay/notice", "application/x-www-form-urlencoded", 64 * 1024
TEXT = {"Content-Type": "text/plain; charset=utf-8"}
bp = Blueprint("alipay_notice", __name__)
log = logging.getLogger(__name__)


@bp.record_once
def _attach(state: BlueprintSetupState) -> None:
    # The signature says who speaks; Alipay has no session of ours.
    app = cast("Flask", state.app)
    csrf = app.extensions.get("csrf")
    if csrf is not None:
        csrf.exempt(bp)
    app.wsgi_app = Door(app)  # type: ignore[assignment]


class Door:
    """What stands before the application: it answers the usual notice, and gives everything else on as it came."""

    def __init__(self, app: Flask) -> None:
        self._within: WSGIApplication = app.wsgi_app
        self._burst = Burst(app)
        self._settings: Settings = app.extensions["settings"]

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        if environ["PATH_INFO"] == ADDRESS and (size := _size_of_form(environ)):
            form = environ["wsgi.input"].read(size)
            if self._hears(form):
                start("200 OK", [*TEXT.items(), ("Content-Length", "7"), ("X-Content-Type-Options", "nosniff")])
                return [b"success"]
            environ["wsgi.input"] = BytesIO(form)
        return self._within(environ, start)

    def _hears(self, form: bytes) -> bool:
        """Whether it was the usual one, and is applied, kept and committed. What is wrong with another is for the route to say."""
        key = seller_channel.configured_public_key(self._settings)
        try:
            fields = parse_qsl(form.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
            notice = verify_notice(fields, alipay_public_key_pem=key, app_ids=None)
        except (BadNotice, BadKey, ValueError):
            return False
        outcome = seller_channel.outcome_of_notice(notice)
        return payment_at_once.is_usual(outcome) and self._burst.hear(Told(outcome, notice.notify_id, notice.status))


def _size_of_form(environ: "WSGIEnvironment") -> int:
    """How many bytes a form has that may be a notice; 0 if it is none."""
    size = environ.get("CONTENT_LENGTH") or ""
    is_form = environ["REQUEST_METHOD"] == "POST" and environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() == FORM
    return int(size) if is_form and size.isdecimal() and len(size) < 9 and int(size) <= LARGEST else 0


@bp.post(ADDRESS)
def hear() -> Any:
    """Alipay says how a trade stands. Anything but ``success`` makes it say so again later."""
    request.max_content_length = LARGEST
    if request.mimetype != FORM or (request.content_length or 0) > LARGEST:
        return _answer("failure", 400)
    try:
        notice = _verified()
        outcome = transaction(lambda: _hear(notice))
    except BadNotice as error:
        log.warning("a notice was refused: %s", error.data.get("reason"))
        return _answer("failure", 400)
    return _answer("failure", 409) if outcome.startswith("refused:") else _answer("success", 200)


hear.permission = "public"  # type: ignore[attr-defined]


def _verified() -> Notice:
    """The notice, signed with the configuration's key, about which nothing is asked of the database, or with one that the seller of the
    trade it names has besides. BadNotice."""
    configured = seller_channel.configured_public_key()
    try:
        if configured:
            return verify_notice(request.form, alipay_public_key_pem=configured, app_ids=None)
    except BadNotice as error:
        if error.data["reason"] != "signature":
            raise
    named, number = request.form.get("app_id", "")[:32], request.form.get("out_trade_no", "")[:64]
    # Only read, and by whoever sends a form: no transaction, which would keep SQLite's writers waiting.
    keys = [each for each in seller_channel.believed_keys(named, number) if each != configured]
    if not keys:
        raise BadNotice("signature")
    return verify_notice(request.form, alipay_public_key_pem=keys[0], also=keys[1:], app_ids=None)


def _hear(notice: Notice) -> str:
    """Apply it and keep it. BadNotice if it is of another application, or of a trade that is not ours: such a one is not kept."""

    def kept(outcome: str) -> Write:
        return notice_row(notice.notify_id, notice.out_trade_no, notice.status, notice.total_fen, outcome)

    try:
        return payments.apply(seller_channel.outcome_of_notice(notice), kept=kept)
    except OutcomeMismatch as error:
        if error.data["field"] == "app_id":
            raise BadNotice("app_id") from error
        outcome = f"refused:{error.data['field']}"
    except NotFound as error:
        raise BadNotice("out_trade_no") from error
    driver.together(kept(outcome))
    return outcome


def _answer(word: str, status: int) -> Any:
    return word, status, TEXT
