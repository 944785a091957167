"""Stripe's events for one cooperative: verify, keep, commit, and only then answer. Each cooperative's address is its own.

Nothing is believed yet: a worker asks Stripe about what the event names (``payments.stripe_event``). What is not about a payment of ours is
none of our business: the cooperative's account may sell elsewhere too.
"""

import logging
from typing import Any

from flask import Blueprint, request
from flask.blueprints import BlueprintSetupState
from sqlalchemy import select

from marketplace.foundation.database import db, transaction
from marketplace.organisations.organisation import Organisation
from marketplace.payments import stripe_event
from marketplace.payments.stripe_api import BadEvent

LARGEST = 1024 * 1024  # bytes of an event: no more than that is read of anybody
bp = Blueprint("stripe_notice", __name__)
log = logging.getLogger("market.payments")


@bp.record_once
def _without_csrf(state: BlueprintSetupState) -> None:
    state.app.extensions["csrf"].exempt(bp)


@bp.post("/stripe/notice/<seller_id>")
def hear(seller_id: str) -> Any:
    """200 once it is kept, whatever it says; 400 if it is not to be believed, 404 for no cooperative's address."""
    request.max_content_length = LARGEST
    organisation_id = transaction(lambda: db.session.scalar(select(Organisation.id).where(Organisation.public_id == seller_id[:16])))
    if organisation_id is None:
        return _answer("unknown", 404)
    body, signature = request.get_data(cache=False), request.headers.get("Stripe-Signature", "")
    try:
        heard = transaction(lambda: stripe_event.read(organisation_id, body, signature))
    except BadEvent as error:
        log.warning("an event was refused: %s", error.data.get("reason"))
        return _answer("refused", 400)
    return _answer(transaction(lambda: stripe_event.take(organisation_id, heard)), 200)


hear.permission = "public"  # type: ignore[attr-defined]


def _answer(word: str, status: int) -> Any:
    return word, status, {"Content-Type": "text/plain; charset=utf-8"}
