"""One door: whatever order notices, queries, bills and closings come in, and however often, the books end the same."""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import count

from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from marketplace.foundation import clock, outbox
from marketplace.foundation.database import db, transaction
from marketplace.foundation.outbox import OutboxMessage
from marketplace.ledger import balance
from marketplace.orders import expiry
from marketplace.organisations.organisation import Cooperative
from marketplace.payments import bill_import
from marketplace.payments import payment as payments
from marketplace.payments.alipay_outcome import Bill, BillRow
from marketplace.payments.channel import Answer
from marketplace.payments.payment import Outcome, Payment
from marketplace.reporting import books
from tests import builders
from tests.builders import Market
from tests.orders import trade
from tests.payments.gateway import WrittenChannel

AMOUNT, FEE = 17600, 106
_days = count()


@dataclass(frozen=True)
class Facts:
    """What happened at the channel. ``tabs`` says which of two attempts were paid; ``back`` what was refunded there by hand."""

    tabs: tuple[bool, bool]
    expired: bool
    back: int


# Half of the examples are refunded at the channel: it is there that the order of news matters most.
FACTS = st.one_of(
    st.builds(Facts, tabs=st.just((True, False)), expired=st.just(False), back=st.sampled_from((600, AMOUNT))),
    st.builds(Facts, tabs=st.tuples(st.booleans(), st.booleans()), expired=st.booleans(), back=st.just(0)),
)


def news_of(market: Market, facts: Facts, attempts: list[int]) -> list[Outcome | Bill]:
    """Everything the channel says of it, each at least once: notices, the answers of queries, and bills."""
    seller = db.session.scalars(select(Cooperative.alipay_seller_id).where(Cooperative.organisation_id == market.cooperative)).one()
    at = clock.now()
    said: list[Outcome | Bill] = []
    for payment_id, paid in zip(attempts, facts.tabs, strict=True):
        if not paid:
            said += [trade.succeeded(payment_id, state="pending", trade_no=None)]
            continue
        back = facts.back if payment_id == attempts[0] else 0
        first = trade.succeeded(payment_id, at=at)
        last = replace(first, state="closed" if back == AMOUNT else "succeeded", refunded_fen=back, refund_no="HAND1" if back else "")
        number, trade_no = first.out_trade_no, first.trade_no or ""
        said += [first, last, _bill(seller, BillRow("trade", trade_no, number, "", AMOUNT, -FEE, at))]
        if back:
            said.append(_bill(seller, BillRow("refund", trade_no, number, f"HAND{payment_id}", -back, 3, at)))
            said[-3] = replace(last, refund_no=f"HAND{payment_id}")
    return said


def _bill(seller: str, *rows: BillRow) -> Bill:
    return Bill(date(2020, 1, 1) + timedelta(days=next(_days)), seller, rows, "0" * 64)


def hear(market: Market, said: Outcome | Bill) -> None:
    if isinstance(said, Bill):
        transaction(lambda: bill_import.take(market.cooperative, said))
    else:
        transaction(lambda: payments.apply(said))


@given(facts=FACTS, data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_of_news_ends_in_the_same_books(app: Flask, facts: Facts, data: st.DataObject) -> None:
    market = builders.market(name="白茶", on_hand=10)
    WrittenChannel(app, refund=[Answer("succeeded")], query=[Answer("unknown")], close=[Answer("succeeded")])
    (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
    attempts = [*trade.opened([order_id]), *trade.opened([order_id])]
    if facts.expired:
        with clock.travel(clock.now() + timedelta(minutes=31)), transaction():
            expiry.expire(order_id)
    news = news_of(market, facts, attempts)
    order = data.draw(st.permutations(news))
    for said in order:
        for _ in range(data.draw(st.integers(1, 2))):
            hear(market, said)
    with clock.travel(clock.now() + timedelta(hours=1)):
        outbox.drain(kinds={"refund"})

    paid = sum(facts.tabs)
    # A query or a notice may first tell of a trade when all had gone back: then it never paid the order.
    kept = AMOUNT - facts.back if paid and not facts.expired else 0
    held = balance.by_kind(market.cooperative)
    fees = FEE * paid - (3 if facts.back else 0)
    expected = {"alipay": kept - fees, "buyer_funds": kept, "fees": fees, "unapplied": 0, "refunds_payable": 0}
    assert {kind: held.get(kind, 0) for kind in expected} == expected, order
    states = {trade.payment_state(number) for number, was in zip(attempts, facts.tabs, strict=True) if was}
    assert states <= {"succeeded", "late_paid"}
    row = trade.order(order_id)
    assert row.paid_fen - row.refunded_fen == kept
    assert not db.session.scalar(select(bill_import.BillDifference.id).where(bill_import.BillDifference.organisation_id == market.cooperative))
    assert [each.detail for each in books.check() if not each.ok] == []


def test_each_payment_has_one_entry_however_often_it_was_told(app: Flask) -> None:
    """What the property above rests on: a repeat is a repeat."""
    market = builders.market()
    (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
    (payment_id,) = trade.opened([order_id])
    first = trade.succeeded(payment_id)
    assert [transaction(lambda: payments.apply(first)) for _ in range(3)] == ["applied", "repeated", "repeated"]
    assert db.session.get_one(Payment, payment_id).state == "succeeded"
    assert not list(db.session.scalars(select(OutboxMessage).where(OutboxMessage.kind == "refund")))
