"""One door: in whatever order notices, queries, bills, closings and our own refunds come, and however often, the books end the same."""

from contextlib import suppress
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
from marketplace.jobs import payments as jobs
from marketplace.ledger import balance
from marketplace.orders import cancellation, expiry, order_refund
from marketplace.orders.order import OrderLine, WrongState, locked_order
from marketplace.organisations.organisation import Cooperative
from marketplace.payments import bill_difference, bill_import
from marketplace.payments import payment as payments
from marketplace.payments.alipay_outcome import Bill, BillRow
from marketplace.payments.channel import EXTENSION, Answer
from marketplace.payments.outcome import Outcome
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund
from marketplace.reporting import books
from tests import builders
from tests.orders import trade

AMOUNT, OTHERS, FEE, FEE_BACK = 17600, 7600, 106, 3
_days = count()


@dataclass(frozen=True)
class Facts:
    """What happened. ``tabs`` says which of two attempts were paid; ``end`` whether the order expired or its buyer cancelled it;
    ``back`` what was refunded by hand on the channel's own pages, ``part`` what the cooperative gave back itself; ``unseen`` that no page was
    opened but those that were paid. With ``merged`` a second cooperative's order is on the same pages, paid in the same act."""

    tabs: tuple[bool, bool]
    end: str = ""
    back: int = 0
    part: int = 0
    unseen: bool = False
    merged: bool = False


# A part of the examples is refunded at the channel by hand: it is there that the order of news matters most.
FACTS = st.one_of(
    st.builds(Facts, tabs=st.just((True, False)), back=st.sampled_from((600, AMOUNT))),
    st.builds(
        Facts, tabs=st.tuples(st.booleans(), st.booleans()), end=st.sampled_from(("", "expire", "cancel")), unseen=st.booleans(), merged=st.booleans()
    ),
    st.builds(Facts, tabs=st.sampled_from(((True, False), (True, True))), part=st.sampled_from((1, 700, 9000)), unseen=st.booleans(), merged=st.booleans()),
)


class Gateway:
    """The channel as these facts leave it. Each of our refunds is made at once, and its first answer is lost."""

    def __init__(self, app: Flask, paid: dict[str, Outcome], *, unseen: bool) -> None:
        self.paid, self.unseen = paid, unseen
        self.made: dict[str, tuple[str, int]] = {}  # out_request_no → (out_trade_no, fen)
        app.extensions[EXTENSION] = lambda organisation_id: self

    def query(self, out_trade_no: str) -> Answer:
        if self.unseen and out_trade_no not in self.paid:
            return Answer("refused", sub_code="ACQ.TRADE_NOT_EXIST")
        return Answer("succeeded", trade=self.paid.get(out_trade_no, Outcome(out_trade_no, "pending")))

    def close(self, out_trade_no: str) -> Answer:
        if out_trade_no in self.paid:
            return Answer("refused", sub_code="ACQ.TRADE_STATUS_ERROR")
        if self.unseen:
            return Answer("refused", sub_code="ACQ.TRADE_NOT_EXIST")
        return Answer("succeeded", trade=Outcome(out_trade_no, "closed"))

    def refund(self, out_trade_no: str, out_request_no: str, fen: int, reason: str) -> Answer:
        first = out_request_no not in self.made
        self.made[out_request_no] = (out_trade_no, fen)
        return Answer("unknown" if first else "succeeded")

    def refund_query(self, out_trade_no: str, out_request_no: str, fen: int) -> Answer:
        known = self.made.get(out_request_no) == (out_trade_no, fen)
        return Answer("succeeded") if known else Answer("refused", sub_code="not_refunded")


News = Outcome | Bill | str  # a str is something that we do, or that the channel says of our own refunds: see ``Story.hear``


class Story:
    """A market with one order of two lines and two attempts to pay it, and what is heard of them; merged, an order of another seller beside it."""

    def __init__(self, app: Flask, facts: Facts) -> None:
        self.facts, self.market, self.buyer = facts, builders.market(name="白茶", on_hand=10), builders.customer()
        self.other = builders.market(name="土蜂蜜合作社", category="honey", price_fen=6800, on_hand=10)
        wanted = [(self.market.pack, 1), (builders.pack(self.market.product, name="另一罐"), 1)] + ([(self.other.pack, 1)] if facts.merged else [])
        orders = trade.placed(self.buyer, *wanted)
        self.order_id = next(each for each in orders if trade.order(each).organisation_id == self.market.cooperative)
        pages = [trade.opened(orders) for _ in range(2)]
        amounts = {each.id: each.amount_fen for each in db.session.scalars(select(Payment))}
        self.attempts = [next(each for each in page if amounts[each] == AMOUNT) for page in pages]
        self.others = [each for page in pages for each in page if amounts[each] != AMOUNT]
        self.numbers = set(db.session.scalars(select(Payment.out_trade_no).where(Payment.id.in_(self.attempts))))
        self.sellers: dict[int, str] = dict(db.session.execute(select(Cooperative.organisation_id, Cooperative.alipay_seller_id)).all())  # type: ignore[arg-type]
        self.parted = False
        self.at = clock.now()
        tabs = [*facts.tabs, *(facts.tabs if facts.merged else ())]
        told = [trade.succeeded(each, at=self.at) for each, paid in zip([*self.attempts, *self.others], tabs, strict=True) if paid]
        self.gateway = Gateway(app, {each.out_trade_no: each for each in told}, unseen=facts.unseen)
        self.billed: set[str] = set()

    def news(self) -> list[News]:
        """Everything that is said or done, each at least once: notices, answers of queries, bills, closings and our own refunds."""
        said: list[News] = ["ask", "drain payment.close", "drain refund", "drain refund", "tell of our refunds", "bill our refunds"]
        if self.facts.end:
            said.append(self.facts.end)
        if self.facts.part:
            said.append("part")
        for payment_id, paid in zip(self.others, self.facts.tabs if self.facts.merged else (), strict=True):
            said += self._paid_to_another(payment_id) if paid else self._unpaid(payment_id)
        for payment_id, paid in zip(self.attempts, self.facts.tabs, strict=True):
            said += self._paid(payment_id) if paid else self._unpaid(payment_id)
        return said

    def _unpaid(self, payment_id: int) -> list[News]:
        if self.facts.unseen:
            return []  # the channel has never heard of it
        waits = trade.succeeded(payment_id, state="pending", trade_no=None)
        return [waits, replace(waits, state="closed")]  # closed without a moment of payment: nobody paid

    def _paid(self, payment_id: int) -> list[News]:
        first = trade.succeeded(payment_id, at=self.at)
        number, trade_no = first.out_trade_no, first.trade_no or ""
        said: list[News] = [first, first, self.bill(BillRow("trade", trade_no, number, "", AMOUNT, -FEE, self.at))]
        if back := self.facts.back:
            by_hand = f"HAND{payment_id}"
            said.append(replace(first, state="closed" if back == AMOUNT else "succeeded", refunded_fen=back, refund_no=by_hand))
            said.append(self.bill(BillRow("refund", trade_no, number, by_hand, -back, FEE_BACK, self.at)))
        return said

    def _paid_to_another(self, payment_id: int) -> list[News]:
        first = trade.succeeded(payment_id, at=self.at)
        row = BillRow("trade", first.trade_no or "", first.out_trade_no, "", OTHERS, -FEE, self.at)
        return [first, self.bill(row, seller=self.other.cooperative)]

    def bill(self, *rows: BillRow, seller: int = 0) -> Bill:
        return Bill(date(2020, 1, 1) + timedelta(days=next(_days)), self.sellers[seller or self.market.cooperative], rows, "0" * 64)

    def hear(self, said: News) -> None:
        """What is said reaches the books; a word is something that we do, as far as it can be done now."""
        with clock.travel(self.at + timedelta(hours=1)):  # the order's time is over, and what is sent later is due
            if isinstance(said, Outcome):
                transaction(lambda: payments.apply(said))
            elif isinstance(said, Bill):
                seller = next(each for each, seller_id in self.sellers.items() if seller_id == said.seller_id)
                transaction(lambda: bill_import.take(seller, said))
            elif said == "expire":
                transaction(lambda: expiry.expire(self.order_id))
            elif said == "cancel":
                with suppress(WrongState):  # a second time
                    transaction(lambda: cancellation.cancel(self.order_id, actor=self.buyer))
            elif said == "part":
                self._part()
            elif said == "ask":
                jobs.ask_due()
            elif said == "tell of our refunds":
                for number, (out_trade_no, fen) in self.gateway.made.items():
                    first = self.gateway.paid[out_trade_no]
                    told = replace(first, state="closed" if fen == first.total_fen else "succeeded", refunded_fen=fen, refund_no=number)
                    transaction(lambda each=told: payments.apply(each))  # type: ignore[misc]
            elif said == "bill our refunds":
                self._bill_refunds()
            else:
                outbox.drain(kinds={said.removeprefix("drain ")})

    def _part(self) -> None:
        """The cooperative gives a part of the goods back, once the order is paid."""
        if not self.parted and trade.order(self.order_id).paid_fen:
            db.session.rollback()
            transaction(lambda: order_refund.pay_back(locked_order(self.order_id), self.facts.part, "少了", person_id=None))
            self.parted = True
        db.session.rollback()

    def _bill_refunds(self) -> None:
        for number in sorted(self.gateway.made.keys() - self.billed):
            out_trade_no, fen = self.gateway.made[number]
            trade_no = self.gateway.paid[out_trade_no].trade_no or ""
            self.billed.add(number)
            seller = db.session.scalars(select(Payment.organisation_id).where(Payment.out_trade_no == out_trade_no)).one()
            db.session.rollback()
            self.hear(self.bill(BillRow("refund", trade_no, out_trade_no, number, -fen, FEE_BACK, self.at), seller=seller))

    def finish(self) -> None:
        """The jobs go on until nothing is left to do."""
        for days in range(1, 4):
            with clock.travel(self.at + timedelta(days=days)):
                jobs.ask_due()
                if self.facts.part:
                    self._part()
                outbox.drain(kinds={"payment.close", "refund"})
        self.hear("bill our refunds")


def kept_of(facts: Facts, order: list[News], numbers: set[str]) -> int:
    """Fen that pay the order in the end, ``numbers`` being those of its own payments. An order that expires is paid only by what was heard
    of them before: what pays the order beside it is no news of this one."""
    if not any(facts.tabs) or facts.end == "cancel":
        return 0
    paying = [place for place, said in enumerate(order) if _tells_of_money(said, numbers)]
    if facts.end == "expire" and order.index("expire") < paying[0]:
        return 0
    return AMOUNT - facts.back - facts.part


def _tells_of_money(said: News, numbers: set[str]) -> bool:
    if isinstance(said, Outcome):
        return said.at is not None and said.out_trade_no in numbers
    if isinstance(said, Bill):
        return any(row.out_trade_no in numbers for row in said.rows)
    return said == "ask"


@given(facts=FACTS, data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_of_news_ends_in_the_same_books(app: Flask, facts: Facts, data: st.DataObject) -> None:
    story = Story(app, facts)
    order = data.draw(st.permutations(story.news()))
    # Everything is drawn before anything is heard: an example that ends at a draw would leave its refunds to the next one's jobs.
    times = data.draw(st.lists(st.integers(1, 2), min_size=len(order), max_size=len(order)))
    for said, often in zip(order, times, strict=True):
        for _ in range(often):
            story.hear(said)
    story.finish()

    paid, kept = sum(facts.tabs), kept_of(facts, order, story.numbers)
    # A query or a notice may first tell of a trade when all had gone back: then it never paid the order.
    own_refunds = 0 if facts.back else paid - bool(kept)
    parts = [facts.part] if facts.part else []
    of_others = max(0, paid - 1) if facts.merged else 0
    made = [AMOUNT] * own_refunds + parts + [OTHERS] * of_others
    assert sorted(fen for _, fen in story.gateway.made.values()) == sorted(made), order
    held = balance.by_kind(story.market.cooperative)
    fees = FEE * paid - FEE_BACK * (own_refunds + bool(facts.back) + len(parts))
    expected = {"alipay": kept - fees, "buyer_funds": kept, "fees": fees, "unapplied": 0, "refunds_payable": 0}
    assert {kind: held.get(kind, 0) for kind in expected} == expected, order
    states = {was: {trade.payment_state(number) for number, tab in zip(story.attempts, facts.tabs, strict=True) if tab is was} for was in (True, False)}
    assert states[True] <= {"succeeded", "late_paid"}
    assert states[False] <= {"canceled"}
    assert set(db.session.scalars(select(Refund.state))) <= {"succeeded"}
    row = trade.order(story.order_id)
    assert row.paid_fen - row.refunded_fen == kept
    assert not db.session.scalar(select(bill_difference.BillDifference.id))
    # Each seller's money is its own, whatever became of the order beside it.
    beside = balance.by_kind(story.other.cooperative)
    kept_beside = OTHERS if facts.merged and paid else 0
    fees_beside = FEE * paid - FEE_BACK * of_others if facts.merged else 0
    expected = {"alipay": kept_beside - fees_beside, "buyer_funds": kept_beside, "fees": fees_beside, "unapplied": 0, "refunds_payable": 0}
    assert {kind: beside.get(kind, 0) for kind in expected} == expected, order
    lines = db.session.scalars(select(OrderLine.refunded_fen).where(OrderLine.order_id == story.order_id)).all()
    assert sum(lines) <= row.refunded_fen and len(lines) == 2
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
