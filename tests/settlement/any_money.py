"""Any way the money may go after an order: the machine of orders, and beside it units that buy on terms, money back, distributions, payouts
and their results, remittances, fees, unclaimed money, households that come and go, schemes that change, and closed months.

What may be done when is written a second time, as people in a county office would; what must hold is counted from rows, and the whole
check of the books runs after each step. Every example has a market and a database of its own, from March 2025 on. Each part of it has
a file of its own beside this one: ``money_holds`` what must hold, then one class on the other what may happen, up to this one.
"""

import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from flask import current_app
from hypothesis import strategies as st
from hypothesis.stateful import MultipleResults, initialize, multiple, rule
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.ledger import period as ledger_period
from marketplace.ledger.entry import JournalEntry
from marketplace.ledger.period import ClosedPeriod
from marketplace.orders import shipment
from marketplace.orders.order import Order, lines_of
from marketplace.payments import bank_match, bank_statement, match_undo
from marketplace.payments.bank_statement import BankMatch, BankReceipt
from marketplace.payments.channel import EXTENSION
from marketplace.payments.payment import Payment
from marketplace.procurement import acceptance, directed_order, price_cut
from marketplace.procurement.acceptance import Arrived
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.settlement import period_close
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.household_credit import CreditMove
from marketplace.settlement.payout_file import yuan
from tests import builders
from tests.builders_people import operator
from tests.orders import trade
from tests.orders.any_way import WAYS, left_to_send
from tests.procurement.unit_market import DESTINATION
from tests.settlement.alipay_desk import with_accounts
from tests.settlement.any_household import AnyHousehold
from tests.settlement.any_payout import MayTransfer
from tests.settlement.any_refund import AnyRefund

_number = itertools.count(1)

START = datetime(2025, 3, 3, 2, tzinfo=UTC)  # so that months are over when they are closed
# A unit signs for what came, be it all or not.
# A unit's order that is paid before it is sent waits again if the transfer turns out to be another's.
UNITS_WAYS = WAYS | {"READY": WAYS["READY"] | {"WAITING"}, "PARTLY_SHIPPED": {"PARTLY_SHIPPED", "SHIPPED", "RECEIVED"}}
# Split schemes that leave odd fen, or nothing, in one place or another.
SCHEMES = ((7_000, 2_000, 600, 400), (3_334, 3_333, 3_332, 1), (0, 10_000, 0, 0), (9_997, 1, 1, 1))


class EveryRule:
    """Hypothesis leaves some rules out of each example, which finds more in hundreds of them; in a few, nothing would get to a payout."""

    def is_enabled(self, _rule: str) -> bool:
        return True


class AnyMoney(AnyHousehold):
    """One cooperative of two villages, a buyer and a unit. ``market_opened`` gives each example its application, in its context."""

    market_opened: ClassVar[Callable[[], AbstractContextManager[Any]]]
    every_rule: ClassVar[bool] = True

    def __init__(self) -> None:
        self.left_open = ExitStack()
        self.left_open.enter_context(type(self).market_opened())
        with clock.travel(START):
            super().__init__()
            if self.every_rule:
                self._rules_strategy.enabled_rules_strategy = st.just(EveryRule())  # type: ignore[arg-type]
            builders.tier(self.market.pack, 2, 8000)
            with_accounts(*self.market.households[:2])
            current_app.extensions[EXTENSION] = lambda _organisation_id: MayTransfer()
            unit = builders.unit()
            self.unit_buyer, self.unit_approver = builders.person(unit, "buyer"), builders.person(unit, "approver")
            self.treasurer = builders.person(operator(), "treasurer")

    def teardown(self) -> None:
        db.session.rollback()
        self.seen.update(db.session.scalars(select(JournalEntry.kind)))
        self.seen.update(f"credit {kind}" for kind in db.session.scalars(select(CreditMove.kind)))
        self.seen.update("closed" for _ in db.session.scalars(select(ClosedPeriod)))
        self.left_open.close()

    # Units

    @initialize(target=AnyRefund.unit_orders, ended=st.sampled_from((9, 0, 8, 7, 4)))
    def a_unit_has_bought(self, ended: int) -> int | MultipleResults[int]:
        """One of its orders is divided already, and perhaps paid on to the households, or half given back since; another waits."""
        divided = self.unit_orders_on_terms(2, 1, "POSTPAY")
        assert isinstance(divided, int)
        self.unit_order_goes_on(divided, 5)
        if ended:
            self.month_end_goes_on(min(ended, 8))
        if ended == 9:
            self.cooperative_gives_back(divided, 2)
            self.another_month()
        waiting = self.unit_orders_on_terms(1, 0, "PREPAY")
        assert isinstance(waiting, int)
        return multiple(divided, waiting)

    @rule(target=AnyRefund.unit_orders, tins=st.integers(0, 3), boxes=st.sampled_from((0, 0, 1, 2)), terms=st.sampled_from(("POSTPAY", "PREPAY")))
    def unit_orders_on_terms(self, tins: int, boxes: int, terms: str) -> int | MultipleResults[int]:
        """Ordered, agreed to and taken on by the cooperative."""
        wanted = {pack: packs for pack, packs in ((self.market.pack, tins), (self.box, boxes)) if packs}
        may = bool(wanted) and all(packs <= on_hand - reserved for pack, packs in wanted.items() for on_hand, reserved in [trade.free(pack)])

        def order() -> int:
            made = directed_order.submit(
                wanted, cooperative_id=self.market.cooperative, destination=DESTINATION, terms=terms, actor=self.unit_buyer,
                key=f"unit-{next(_number)}",
            )  # fmt: skip
            directed_order.approve(made, actor=self.unit_approver)
            return directed_order.confirm(made, actor=self.market.director).order_id

        return self.tried(may, order) or multiple()

    @rule(order_id=AnyRefund.unit_orders, packs=st.integers(1, 3))
    def ship_to_unit(self, order_id: int, packs: int) -> None:
        """Some packs of the first line that is not wholly sent."""
        line = next((each for each in lines_of(order_id) if left_to_send(each)), lines_of(order_id)[0])
        may = trade.order(order_id).fulfilment in ("READY", "PARTLY_SHIPPED") and packs <= left_to_send(line)
        parts = [(line.id, self.batch_of(line), packs)]
        self.tried(may, lambda: shipment.ship(order_id, parts, "快运", actor=self.market.clerk))

    @rule(order_id=AnyRefund.unit_orders, short=st.sampled_from((0, 0, 1)))
    def unit_accepts(self, order_id: int, short: int) -> None:
        """All that was shipped, or of the first line one pack less."""
        arrived = []
        for place, line in enumerate(lines_of(order_id)):
            good = max(0, line.shipped - (0 if place else short))
            arrived.append(Arrived(line.id, good, line.quantity - good, "少了" if line.quantity > good else ""))
        may = trade.order(order_id).fulfilment in ("PARTLY_SHIPPED", "SHIPPED")
        self.tried(may, lambda: acceptance.accept(order_id, arrived, actor=self.unit_buyer))

    @rule(order_id=AnyRefund.unit_orders, part=st.sampled_from((1, 1, 2)), more=st.sampled_from((0, 0, 500)), days_ago=st.sampled_from((0, 0, 1, 40)))
    def unit_pays(self, order_id: int, part: int, more: int, days_ago: int = 0) -> None:
        """A transfer of all or half of what is open, perhaps ¥5.00 too much, imported from the statement, perhaps late, and matched."""
        order = trade.order(order_id)
        fen = order.open_fen // part
        if fen <= 0 or order.fulfilment == "CANCELLED":
            return
        day = clock.business_date(self.now - timedelta(days=days_ago))

        def pay() -> None:
            serial = f"S{next(_number)}"
            bank_statement.import_csv(
                f"交易日期,收入金额,对方户名,摘要,流水号\n{day},{yuan(fen + more)},,,{serial}\n".encode(), actor=self.market.accountant
            )
            came = db.session.scalars(select(BankReceipt).where(BankReceipt.serial == serial)).one()
            bank_match.match(came.id, "order", order_id, fen, actor=self.market.accountant, key=serial)

        self.tried(True, pay)

    @rule(order_id=AnyRefund.unit_orders, part=st.sampled_from((1, 3, 10)))
    def the_price_is_cut(self, order_id: int, part: int) -> None:
        """By a tenth, a third or all of what is open of the goods; asked by the unit, agreed to by the cooperative."""
        order = trade.order(order_id)
        fen = max(1, min(order.open_fen, sum(self._left(line) for line in lines_of(order_id))) // part)
        terms = db.session.scalars(select(DirectedOrder.terms).where(DirectedOrder.order_id == order_id)).one()
        received = order.received_at is not None and (terms == "POSTPAY" or order.owed_fen > 0)
        may = received and order.settled_at is None and fen <= min(order.open_fen, sum(self._left(line) for line in lines_of(order_id)))

        def cut() -> None:
            asked = price_cut.ask(order_id, fen, "有几盒受潮", actor=self.unit_buyer, key=f"cut-{next(_number)}")
            price_cut.decide(asked, version=1, approved=True, actor=self.market.director)

        self.tried(may, cut)

    @rule(order_id=AnyRefund.unit_orders)
    def a_transfer_turns_out_to_be_another_units(self, order_id: int) -> None:
        """The last one that paid the order, at any time, also after the split."""
        found = db.session.execute(
            select(BankMatch, Payment)
            .join(Payment, (BankMatch.payable_kind == "payment") & (BankMatch.payable_id == Payment.id))
            .where(Payment.payable_kind == "order", Payment.payable_id == order_id, BankMatch.undone_at.is_(None))
            .order_by(BankMatch.id.desc())
        ).first()
        if found is None:
            return
        (match, payment), order = found, trade.order(order_id)
        number, may = match.id, not payment.refunded_fen and order.paid_fen - match.fen >= order.refunded_fen

        def undo() -> None:
            asked = match_undo.ask(number, "核到别的单位去了", actor=self.market.accountant)
            match_undo.decide(asked.id, version=1, approved=True, actor=self.market.director)

        self.tried(may, undo)

    @rule(order_id=AnyRefund.unit_orders, steps=st.integers(1, 4))
    def unit_order_goes_on(self, order_id: int, steps: int) -> None:
        for _ in range(steps):
            order, lines = trade.order(order_id), lines_of(order_id)
            if order.fulfilment in ("READY", "PARTLY_SHIPPED") and (left := [line for line in lines if left_to_send(line)]):
                self.ship_to_unit(order_id, left_to_send(left[0]))
            elif order.fulfilment == "SHIPPED":
                self.unit_accepts(order_id, 0)
            elif order.open_fen:
                self.unit_pays(order_id, 1, 0)
            elif order.fulfilment == "RECEIVED" and order.settled_at is None:
                self.now += timedelta(days=8)
                self.settle(order_id)

    @rule(order_id=AnyRefund.unit_orders)
    def settle_unit_order(self, order_id: int) -> None:
        self.settle(order_id)

    def ways_of(self, order: Order) -> dict[str, set[str]]:
        return UNITS_WAYS if order.kind == "DIRECTED" else WAYS

    # The cooperative, and months

    @rule(bp=st.sampled_from(SCHEMES))
    def scheme_changes(self, bp: tuple[int, int, int, int]) -> None:
        """For orders that are placed from now on."""
        with clock.travel(self.now):
            builders.scheme(self.market.cooperative, bp=bp, version_no=1 + next(_number))

    @rule(steps=st.integers(1, 7))
    def month_end_goes_on(self, steps: int) -> None:
        """So many steps of the way that most distributions go."""
        for _ in range(steps):
            if self.payouts_go_on():
                continue
            if self._has(Distribution, "PUBLISHED"):
                self.now += timedelta(days=12)
                self.post()
                self.make_batch(-1, "alipay")
                self.make_batch(-1, "bank")
            elif self._has(Distribution, "APPROVED"):
                self.publish()
            elif self._has(Distribution, "DRAFTED"):
                self.director_decides(True)
            else:
                self.draft(0)

    @rule()
    def another_month(self) -> None:
        """A buyer's order and a month's end; then the month before is closed."""
        order_id = self.place(1, 0)
        if isinstance(order_id, int):
            self.goes_on(order_id, 4)
        self.now = max(self.now, clock.beijing_midnight((clock.business_date(self.now).replace(day=1) + timedelta(days=32)).replace(day=2)))
        self.month_end_goes_on(14)
        self.close_the_oldest_month(0)

    @rule(early=st.integers(0, 5))
    def close_the_oldest_month(self, early: int) -> None:
        """It may be closed once it is over, whatever waits; nothing that follows changes it."""
        db.session.rollback()
        oldest = ledger_period.oldest_open()
        over = oldest is not None and oldest < clock.period_of(clock.business_date(self.now))
        if oldest and (over or early == 1):
            with clock.travel(self.now):
                state = period_close.checklist(oldest)
            self.tried(over, lambda: period_close.close(state, actor=self.treasurer))
