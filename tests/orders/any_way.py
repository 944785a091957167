"""Any way an order may go: a machine that places, pays, ships, cancels, returns and settles in random order, and counts after each step.

What may be done when is written here a second time, as a table a shopkeeper would agree to; what must hold is counted from rows.
"""

import itertools
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from sqlalchemy import func, select

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import MarketError
from marketplace.ledger import balance
from marketplace.ledger.entry import JournalEntry, JournalLine
from marketplace.orders import (
    cancellation,
    cart,
    checkout,
    expiry,
    order_payment,
    received,
    return_request,
    shipment,
)
from marketplace.orders.order import Order, OrderLine, Purchase, lines_of, orders_of
from marketplace.orders.return_request import ReturnRequest
from marketplace.organisations.actor import Actor
from marketplace.payments import payment as payments
from marketplace.payments import refund as refunds
from marketplace.payments.payment import Payment
from marketplace.payments.refund import GOING, NOT_AGAIN, Refund
from marketplace.settlement import settlement
from marketplace.supply import stock
from marketplace.supply.stock import Stock, StockMove
from tests import builders
from tests.orders import trade

_number = itertools.count(1)
LIVE = ("WAITING", "READY", "PARTLY_SHIPPED")
# From each state of fulfilment, where an order may be after one step.
WAYS = {
    "WAITING": {"READY", "CANCELLED"},
    "READY": {"PARTLY_SHIPPED", "SHIPPED", "CANCELLED"},
    "PARTLY_SHIPPED": {"PARTLY_SHIPPED", "SHIPPED"},
    "SHIPPED": {"RECEIVED"},
    "RECEIVED": set(),
    "CANCELLED": set(),
}


def left_to_send(line: OrderLine) -> int:
    """Packs of a live order that have not left and are to."""
    return line.quantity - line.taken_off - line.shipped


class AnyWay(RuleBasedStateMachine):
    """One cooperative with few tins and boxes, one buyer, any number of orders. Needs an application context."""

    orders = Bundle("orders")
    attempts = Bundle("attempts")
    asked = Bundle("asked")

    def __init__(self) -> None:
        super().__init__()
        self.now = clock.now()
        self.market = builders.market(on_hand=6)
        self.box = self.second_pack()
        self.buyer = builders.customer()
        self.counted_in = Counter({self.market.pack: 6, self.box: 4})
        self.before: dict[int, tuple[str, bool]] = {}
        self.asked_off = Counter[int]()

    def second_pack(self) -> int:
        """What is called a box: four of them in stock."""
        return builders.pack(self.market.product, price_fen=3_333, net_grams=100, on_hand=4, name="100 克袋")

    def batch_of(self, line: OrderLine) -> int:
        """The batch that a line is shipped from."""
        return self.market.batch

    def tried(self, may: bool, act: Callable[[], Any]) -> Any:
        """Act at the machine's time; it must succeed exactly if it ``may``."""
        done = refused = None
        try:
            with clock.travel(self.now):
                done = transaction(act)
        except MarketError as error:
            refused = error.code
        assert may == (refused is None), refused or "this should have been refused"
        self.each_order_went_one_step_at_most()
        return done

    @rule(target=orders, tins=st.integers(0, 3), boxes=st.integers(0, 3))
    def place(self, tins: int, boxes: int) -> int | MultipleResults[int]:
        wanted = {pack: packs for pack, packs in ((self.market.pack, tins), (self.box, boxes)) if packs}
        may = bool(wanted) and all(packs <= on_hand - reserved for pack, packs in wanted.items() for on_hand, reserved in [trade.free(pack)])

        def buy() -> int:
            own = cart.opened(None, self.buyer.organisation_id)
            for pack in self.counted_in:
                cart.change(own.id, pack, wanted.get(pack, 0))
            return orders_of(checkout.place(own.id, trade.HOME, actor=self.buyer, key=f"any-{next(_number)}"))[0].id

        return self.tried(may, buy) or multiple()

    @initialize(target=orders)
    def one_is_paid(self) -> int | MultipleResults[int]:
        order_id = self.place(2, 1)
        if isinstance(order_id, int):
            self.goes_on(order_id, 1)
        return order_id

    @rule(order_id=orders, steps=st.integers(1, 4))
    def goes_on(self, order_id: int, steps: int) -> None:
        """So many steps of the way that most orders go: random steps alone seldom get that far."""
        for _ in range(steps):
            state = trade.order(order_id).fulfilment
            if state == "WAITING":
                made = self.open_cashier(order_id)
                if isinstance(made, int):
                    self.alipay_says_paid(made)
            elif state in ("READY", "PARTLY_SHIPPED"):
                line = next(each for each in lines_of(order_id) if left_to_send(each))
                self.ship(order_id, left_to_send(line))
            elif state == "SHIPPED":
                self.confirm(order_id)
            elif state == "RECEIVED":
                self.now += timedelta(days=8)
                self.settle(order_id)

    @rule(target=attempts, order_id=orders)
    def open_cashier(self, order_id: int) -> int | MultipleResults[int]:
        order = trade.order(order_id)
        until = db.session.get_one(Purchase, order.purchase_id).expires_at
        may = (order.fulfilment, order.payment) == ("WAITING", "UNPAID") and until is not None and self.now < until
        made = self.tried(may, lambda: order_payment.open_for_orders([order_id], key=f"any-{next(_number)}"))
        return made[0].id if made else multiple()

    @rule(payment_id=attempts)
    def alipay_says_paid(self, payment_id: int) -> None:
        """At any time and again and again: also long after, and of two attempts."""
        self.tried(True, lambda: payments.apply(trade.succeeded(payment_id)))

    @rule(order_id=orders)
    def cancel(self, order_id: int) -> None:
        self.tried(trade.order(order_id).fulfilment in ("WAITING", "READY"), lambda: cancellation.cancel(order_id, actor=self.buyer))

    @rule(order_id=orders, packs=st.integers(1, 3))
    def ship(self, order_id: int, packs: int) -> None:
        """Some packs of the first line that is not wholly sent."""
        line = next((each for each in lines_of(order_id) if left_to_send(each)), lines_of(order_id)[0])
        may = trade.order(order_id).fulfilment in ("READY", "PARTLY_SHIPPED") and packs <= left_to_send(line)
        parts = [(line.id, self.batch_of(line), packs)]
        self.tried(may, lambda: shipment.ship(order_id, parts, "中国邮政", actor=self.market.clerk))

    @rule(order_id=orders)
    def confirm(self, order_id: int) -> None:
        self.tried(trade.order(order_id).fulfilment == "SHIPPED", lambda: received.confirm(order_id, actor=self.buyer))

    @rule(target=asked, order_id=orders, part=st.sampled_from((1, 3, 10)))
    def ask_for_money_back(self, order_id: int, part: int) -> int | MultipleResults[int]:
        """A tenth, a third or all of what is left, and at least a fen."""
        order = trade.order(order_id)
        left = order.paid_fen - order.refunded_fen
        in_time = order.return_until is None or self.now <= order.return_until
        may = left > 0 and in_time and not self._open_return(order_id)
        fen = max(1, left // part)
        made = self.tried(may, lambda: return_request.raise_request(order_id, fen, "有一罐破了", actor=self.buyer))
        if made and fen == left:
            self.all_of_it_is_asked_off(order_id)
        return made.id if made else multiple()

    def all_of_it_is_asked_off(self, order_id: int) -> None:
        """All of the money is asked for: what was not sent is not to be."""
        if trade.order(order_id).fulfilment in LIVE:
            self.asked_off.update({line.id: left_to_send(line) for line in lines_of(order_id)})

    @rule(target=asked, order_id=orders, sent=st.integers(0, 2), unsent=st.integers(0, 2))
    def ask_packs_back(self, order_id: int, sent: int, unsent: int) -> int | MultipleResults[int]:
        """Of the first line that is not wholly sent, or of the first: some that were sent, some that were not and are not to be."""
        order, lines = trade.order(order_id), lines_of(order_id)
        line = next((each for each in lines if left_to_send(each)), lines[0])
        number, packs = line.id, sent + unsent
        waits = left_to_send(line) if order.fulfilment in LIVE else 0
        left, of_line = order.paid_fen - order.refunded_fen, line.goods_fen - line.refunded_fen
        cost = of_line if packs == line.quantity - line.taken_off else min(of_line, line.goods_fen * packs // line.quantity)
        # With the last pack of an order of which nothing left goes its freight.
        ends = not any(each.shipped for each in lines) and packs == sum(left_to_send(each) for each in lines) and order.fulfilment in LIVE
        in_time = order.return_until is None or self.now <= order.return_until
        fits = unsent <= waits and sent <= line.quantity - line.taken_off - waits and 0 < (left if ends else cost) <= left
        may = fits and packs > 0 and left > 0 and in_time and not self._open_return(order_id)
        if not packs:
            return multiple()
        made = self.tried(may, lambda: return_request.raise_request(order_id, 0, "有一罐破了", actor=self.buyer, packs={number: packs}, unsent={number: unsent}))
        if made:
            self.asked_off[number] += unsent
        return made.id if made else multiple()

    @rule(request_id=asked, agrees=st.booleans())
    def answer(self, request_id: int, agrees: bool) -> None:
        """Agreed to, if it is still open and no other refund has taken the money meanwhile."""
        request = db.session.get_one(ReturnRequest, request_id)
        order = trade.order(request.order_id)
        may = request.state == "OPEN" and (not agrees or request.fen <= order.paid_fen - order.refunded_fen)
        clerk = self.who_answers(request)
        if agrees:
            self.tried(may, lambda: return_request.approve(request_id, actor=clerk))
        else:
            self.tried(may, lambda: return_request.refuse(request_id, "包装完好", actor=clerk))

    def who_answers(self, request: ReturnRequest) -> Actor:
        return self.market.accountant

    @rule(succeeds=st.booleans())
    def the_oldest_refund_ends(self, succeeds: bool) -> None:
        refund_id = db.session.scalar(select(func.min(Refund.id)).where(self._own(Refund), Refund.state.in_(GOING)))
        if refund_id is not None:
            self.tried(True, lambda: refunds.succeed(refund_id) if succeeds else refunds.fail(refund_id, "ACQ.REFUSED"))

    @precondition(lambda self: self.before)
    @rule(passes=st.sampled_from((timedelta(minutes=31), timedelta(days=1), timedelta(days=8), timedelta(days=11))))
    def time_passes(self, passes: timedelta) -> None:
        """And the schedule does what fell due: unpaid orders expire, shipped ones count as received."""
        self.now += passes
        self.tried(True, lambda: (expiry.expire_due(), received.confirm_due()))

    @rule(order_id=orders)
    def settle(self, order_id: int) -> None:
        order = trade.order(order_id)
        may = (
            order.settled_at is None
            and order.fulfilment == "RECEIVED"
            and order.payment in ("PAID", "REFUNDED")
            and order.return_until is not None
            and self.now >= order.return_until
            and not self._open_return(order_id)
            and not self._refund_going(order_id)
            and not self._refund_refused(order_id)
        )
        self.tried(may, lambda: settlement.settle(order_id))

    @precondition(lambda self: trade.free(self.market.pack)[0] < 3)
    @rule(packs=st.integers(1, 3))
    def count_tins_in(self, packs: int) -> None:
        self._count_in(self.market.pack, packs)

    @precondition(lambda self: trade.free(self.box)[0] < 2)
    @rule(packs=st.integers(1, 3))
    def count_boxes_in(self, packs: int) -> None:
        self._count_in(self.box, packs)

    def _count_in(self, pack: int, packs: int) -> None:
        self.tried(True, lambda: stock.adjust(pack, by=packs, reason="PACKED", person_id=None))
        self.counted_in[pack] += packs

    @invariant()
    def no_pack_is_promised_twice_and_none_is_lost(self) -> None:
        promised, sent = Counter[int](), Counter[int]()
        for order in self._orders():
            for line in lines_of(order.id):
                sent[line.pack_id] += line.shipped
                promised[line.pack_id] += left_to_send(line) if order.fulfilment in LIVE else 0
                assert line.taken_off <= self.asked_off[line.id], "only what somebody asked for comes off"
            if order.fulfilment == "PARTLY_SHIPPED":
                assert any(left_to_send(line) for line in lines_of(order.id)), "nothing is left to send: it has to come to its end"
        for pack, counted in self.counted_in.items():
            row = db.session.get_one(Stock, pack)
            assert (row.on_hand, row.reserved) == (counted - sent[pack], promised[pack])
            assert 0 <= row.reserved <= row.on_hand
            moves = select(func.sum(StockMove.on_hand), func.sum(StockMove.reserved)).where(StockMove.pack_id == pack)
            assert tuple(db.session.execute(moves).one()) == (row.on_hand, row.reserved)

    @invariant()
    def the_money_is_where_it_should_be(self) -> None:
        held = Counter(balance.by_kind(self.market.cooperative))
        came = list(db.session.scalars(select(Payment).where(self._own(Payment), Payment.state.in_(("succeeded", "late_paid")))))
        back = list(db.session.scalars(select(Refund).where(self._own(Refund))))
        assert held["alipay"] == sum(each.amount_fen for each in came) - sum(each.fen for each in back if each.state == "succeeded")
        assert held["refunds_payable"] == sum(each.fen for each in back if each.state in GOING)
        assert held["unapplied"] == sum(each.amount_fen - each.refunded_fen for each in came if each.state == "late_paid")
        unsettled = [order for order in self._orders() if order.settled_at is None]
        assert held["buyer_funds"] == sum(order.paid_fen - order.refunded_fen for order in unsettled)
        lines = select(func.sum(JournalLine.fen)).join(JournalEntry, JournalEntry.id == JournalLine.entry_id)
        assert not db.session.scalar(lines.where(JournalEntry.book == self.market.cooperative))

    def each_order_went_one_step_at_most(self) -> None:
        for order in self._orders():
            state, settled = self.before.get(order.id, ("WAITING", False))
            assert order.fulfilment == state or order.fulfilment in self.ways_of(order)[state]
            assert order.settled_at is not None or not settled, "what was settled stays so"
            assert 0 <= order.refunded_fen <= order.paid_fen <= order.total_fen
            if order.kind == "PUBLIC":
                assert (order.payment in ("PAID", "REFUNDED")) == (order.paid_fen == order.total_fen > 0)
            self.before[order.id] = order.fulfilment, order.settled_at is not None

    def ways_of(self, order: Order) -> dict[str, set[str]]:
        return WAYS

    def _orders(self) -> list[Order]:
        db.session.expire_all()
        return list(db.session.scalars(select(Order).where(self._own(Order))))

    def _own(self, model: Any) -> Any:
        return model.organisation_id == self.market.cooperative

    def _refund_going(self, order_id: int) -> bool:
        """One of which nobody knows yet how it ends; also a transfer that is not recorded."""
        going = select(func.count()).where(Refund.order_id == order_id, Refund.state.in_(GOING))
        return bool(db.session.scalar(going))

    def _refund_refused(self, order_id: int) -> bool:
        """One that was refused, and that nobody has made again or given up."""
        of_order = list(db.session.scalars(select(Refund).where(Refund.order_id == order_id)))
        again = {each.reissues_id for each in of_order}
        return any(each.state == "failed" and each.sub_code not in NOT_AGAIN and each.id not in again for each in of_order)

    def _open_return(self, order_id: int) -> bool:
        with db.session.no_autoflush:
            return return_request.open_of(order_id) is not None
