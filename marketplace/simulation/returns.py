"""Returns: now and then a buyer sends something back; the cooperative answers the day after, and mostly agrees."""

import random
from collections import Counter
from datetime import timedelta

from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.orders import return_request
from marketplace.orders.order import Order
from marketplace.orders.return_request import ReturnRequest
from marketplace.simulation.people import People

REASONS = ("罐盖压坏了", "和图片不太一样", "发错了规格", "口味不合", "少了一罐")


def raise_some(chance: random.Random, people: People, done: Counter[str]) -> None:
    """Of what the public received in the last days, about one order in fifty comes back, wholly or in part."""
    buyers = {each.organisation_id: each for each in people.customers}
    query = (
        select(Order.id, Order.buyer_id, Order.paid_fen - Order.refunded_fen)
        .where(Order.kind == "PUBLIC", Order.fulfilment == "RECEIVED", Order.settled_at.is_(None), Order.paid_fen > Order.refunded_fen)
        .where(Order.received_at > clock.now() - timedelta(days=1))
        .order_by(Order.id)
    )
    for order_id, buyer_id, left_fen in db.session.execute(query).all():
        if chance.random() < 0.02 and buyer_id in buyers:
            fen, reason = max(1, left_fen // chance.choice((1, 1, 2, 4))), chance.choice(REASONS)
            transaction(lambda o=order_id, f=fen, r=reason, b=buyers[buyer_id]: return_request.raise_request(o, f, r, actor=b))  # type: ignore[misc]
            done["returns asked"] += 1


def answer(chance: random.Random, people: People, done: Counter[str]) -> None:
    """Accountants answer what was asked yesterday or before; agreed money leaves through the outbox."""
    query = (
        select(ReturnRequest.id, ReturnRequest.organisation_id)
        .where(ReturnRequest.state == "OPEN", ReturnRequest.raised_at < clock.now() - timedelta(hours=12))
        .order_by(ReturnRequest.id)
    )
    for request_id, cooperative_id in db.session.execute(query).all():
        accountant = people.staff[cooperative_id]["accountant"]
        if chance.random() < 0.85:
            transaction(lambda r=request_id, a=accountant: return_request.approve(r, actor=a))  # type: ignore[misc]
            done["returns agreed"] += 1
        else:
            transaction(lambda r=request_id, a=accountant: return_request.refuse(r, "已经开封，无法再卖。", actor=a))  # type: ignore[misc]
            done["returns refused"] += 1
