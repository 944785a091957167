"""Stripe's events for one cooperative: verify, store, apply, commit, and only then answer. Each cooperative's address is its own.

What is not about a payment of ours is none of our business: the cooperative's account may sell elsewhere too.
"""

import logging
from typing import Any

from flask import Blueprint, request
from flask.blueprints import BlueprintSetupState
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import NotFound
from marketplace.organisations.organisation import Organisation
from marketplace.payments import payment as payments
from marketplace.payments import refund_news, stripe_seller
from marketplace.payments.payment import AlipayNotice, OutcomeMismatch, Payment
from marketplace.payments.stripe_api import BadEvent
from marketplace.payments.stripe_seller import Heard

bp = Blueprint("stripe_notice", __name__)
log = logging.getLogger("market.payments")


@bp.record_once
def _without_csrf(state: BlueprintSetupState) -> None:
    state.app.extensions["csrf"].exempt(bp)


@bp.post("/stripe/notice/<seller_id>")
def hear(seller_id: str) -> Any:
    """200 once it is kept, whatever it says; 400 if it is not to be believed, 404 for no cooperative's address."""
    organisation_id = transaction(lambda: db.session.scalar(select(Organisation.id).where(Organisation.public_id == seller_id[:16])))
    if organisation_id is None:
        return _answer("unknown", 404)
    body, signature = request.get_data(cache=False), request.headers.get("Stripe-Signature", "")
    try:
        heard = transaction(lambda: stripe_seller.hear(organisation_id, body, signature))
    except BadEvent as error:
        log.warning("an event was refused: %s", error.data.get("reason"))
        return _answer("refused", 400)
    if heard.outcome is None and heard.refund is None and heard.disputed is None:
        return _answer("ignored", 200)
    return _answer(transaction(lambda: _apply(organisation_id, heard)), 200)


hear.permission = "public"  # type: ignore[attr-defined]


def _apply(organisation_id: int, heard: Heard) -> str:
    """What came of it. What does not fit is kept for a person: saying it again would not make it fit."""
    number, fen = heard.out_trade_no, heard.outcome.total_fen if heard.outcome else None
    if heard.refund is not None:
        number, fen = heard.refund.out_request_no, heard.refund.fen
        outcome = refund_news.told(organisation_id, number, fen, heard.refund.state, heard.refund.sub_code)
    elif heard.disputed is not None:
        intent, fen = heard.disputed
        of_intent = select(Payment.out_trade_no).where(Payment.trade_no == intent, Payment.organisation_id == organisation_id)
        number, outcome = db.session.scalar(of_intent) or "", "disputed"
    else:
        outcome = _applied(organisation_id, heard)
    if not number:
        return "ignored"  # a dispute about what was sold elsewhere
    row = AlipayNotice(
        notify_id=heard.event_id, out_trade_no=number, trade_status=heard.kind.removeprefix("checkout.")[-32:],
        total_fen=fen, received_at=clock.now(), outcome=outcome, channel="stripe",
    )  # fmt: skip
    db.session.add(row)
    return "refused" if outcome.startswith("refused:") else outcome


def _applied(organisation_id: int, heard: Heard) -> str:
    assert heard.outcome is not None
    try:
        owner = db.session.scalar(select(Payment.organisation_id).where(Payment.out_trade_no == heard.out_trade_no))
        return payments.apply(heard.outcome) if owner == organisation_id else "refused:unknown"
    except OutcomeMismatch as error:
        return f"refused:{error.data['field']}"
    except NotFound:
        return "refused:unknown"


def _answer(word: str, status: int) -> Any:
    return word, status, {"Content-Type": "text/plain; charset=utf-8"}
