"""Alipay's notices: verify, store, apply, commit, and only then answer exactly ``success``.

Only ``request.form`` is read: ``request.values`` would let a query string override a signed field.
"""

import logging
from typing import Any

from flask import Blueprint, request
from flask.blueprints import BlueprintSetupState

from marketplace.foundation import driver
from marketplace.foundation.database import transaction
from marketplace.foundation.driver import Write
from marketplace.foundation.errors import NotFound
from marketplace.payments import payment as payments
from marketplace.payments import seller_channel
from marketplace.payments.alipay_notice import BadNotice, Notice, verify_notice
from marketplace.payments.payment import OutcomeMismatch

LARGEST = 64 * 1024
bp = Blueprint("alipay_notice", __name__)
log = logging.getLogger(__name__)


@bp.record_once
def _without_csrf(state: BlueprintSetupState) -> None:
    # The signature says who speaks; Alipay has no session of ours.
    csrf = state.app.extensions.get("csrf")
    if csrf is not None:
        csrf.exempt(bp)


@bp.post("/alipay/notice")
def hear() -> Any:
    """Alipay says how a trade stands. Anything but ``success`` makes it say so again later."""
    request.max_content_length = LARGEST
    if request.mimetype != "application/x-www-form-urlencoded" or (request.content_length or 0) > LARGEST:
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
    keys = [each for each in transaction(lambda: seller_channel.believed_keys(named, number)) if each != configured]
    if not keys:
        raise BadNotice("signature")
    return verify_notice(request.form, alipay_public_key_pem=keys[0], also=keys[1:], app_ids=None)


def _hear(notice: Notice) -> str:
    """Apply it and keep it. BadNotice if it is of another application, or of a trade that is not ours: such a one is not kept."""

    def kept(outcome: str) -> Write:
        return payments.notice_row(notice.notify_id, notice.out_trade_no, notice.status, notice.total_fen, outcome)

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
    return word, status, {"Content-Type": "text/plain; charset=utf-8"}
