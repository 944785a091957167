"""Any way the money may go after an order: the machine of orders, and beside it units that buy on terms, refunds that the cooperative
proposes after the split, distributions, payouts, recoveries and closed months, in random order.

What may be done when is written a second time, as people in a county office would; what must hold is counted from rows, and the whole
check of the books runs after each step. Every example has a market and a database of its own, in March 2026.
"""

import itertools
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from flask import current_app
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, initialize, multiple, precondition, rule
from sqlalchemy import func, select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.ledger import period as ledger_period
from marketplace.ledger.entry import JournalEntry
from marketplace.ledger.period import ClosedPeriod
from marketplace.notices import objection
from marketplace.notices.public_notice import Objection, PublicNotice
from marketplace.orders import return_request, shipment
from marketplace.orders.order import Order, lines_of
from marketplace.orders.return_request import ReturnRequest
from marketplace.organisations.actor import Actor
from marketplace.payments import bank_match, bank_refund, bank_statement, match_undo
from marketplace.payments.bank_statement import BankMatch, BankReceipt
from marketplace.payments.channel import EXTENSION
from marketplace.payments.payment import Payment
from marketplace.payments.refund import GOING, Refund
from marketplace.procurement import acceptance, directed_order
from marketplace.procurement.acceptance import Arrived
from marketplace.settlement import distribution, period_close, taken_back
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.distribution_share import DistributionGroup
from marketplace.settlement.payout_batch import PayoutBatch
from marketplace.settlement.payout_file import yuan
from marketplace.settlement.settlement import SettlementLine
from tests import builders
from tests.builders_people import operator
from tests.orders import trade
from tests.orders.any_way import WAYS, AnyWay
from tests.procurement.unit_market import DESTINATION
from tests.settlement.alipay_desk import with_accounts
from tests.settlement.any_payout import AnyPayout, MayTransfer

_number = itertools.count(1)


START = datetime(2025, 3, 3, 2, tzinfo=UTC)  # so that months are over when they are closed
# A unit signs for what came, be it all or not.
UNITS_WAYS = WAYS | {"PARTLY_SHIPPED": {"PARTLY_SHIPPED", "SHIPPED", "RECEIVED"}}


class EveryRule:
    """Hypothesis leaves some rules out of each example, which finds more in hundreds of them; in a few, nothing would get to a payout."""

    def is_enabled(self, _rule: str) -> bool:
        return True


class AnyMoney(AnyPayout):
    """One cooperative, a buyer and a unit. ``market_opened`` gives each example its application, in its context."""

    market_opened: ClassVar[Callable[[], AbstractContextManager[Any]]]
    every_rule: ClassVar[bool] = True
    seen: ClassVar[set[str]] = set()
    unit_orders = Bundle("unit_orders")

    def __init__(self) -> None:
        self.left_open = ExitStack()
        self.left_open.enter_context(type(self).market_opened())
        with clock.travel(START):
            super().__init__()
            if self.every_rule:
                self._rules_strategy.enabled_rules_strategy = st.just(EveryRule())  # type: ignore[arg-type]
            builders.tier(self.market.pack, 2, 8000)
            self.with_alipay = self.market.households[:2]
            with_accounts(*self.with_alipay)
            current_app.extensions[EXTENSION] = lambda _organisation_id: MayTransfer()
            unit = builders.unit()
            self.unit_buyer, self.unit_approver = builders.person(unit, "buyer"), builders.person(unit, "approver")
            self.treasurer = builders.person(operator(), "treasurer")

    def teardown(self) -> None:
        db.session.rollback()
        self.seen.update(db.session.scalars(select(JournalEntry.kind)))
        self.seen.update("closed" for _ in db.session.scalars(select(ClosedPeriod)))
        self.left_open.close()

    # Units

    @initialize(target=unit_orders, ended=st.sampled_from((9, 0, 8, 7, 4)))
    def a_unit_has_bought(self, ended: int) -> int | MultipleResults[int]:
        """One of its orders is divided already, and perhaps paid on to the households, or half given back since; another waits."""
        divided = self.unit_orders_on_terms(2, "POSTPAY")
        assert isinstance(divided, int)
        self.unit_order_goes_on(divided, 4)
        if ended:
            self.month_end_goes_on(min(ended, 8))
        if ended == 9:
            self.cooperative_gives_back(divided, 2)
            self.another_month()
        waiting = self.unit_orders_on_terms(1, "PREPAY")
        assert isinstance(waiting, int)
        return multiple(divided, waiting)

    @rule(target=unit_orders, tins=st.integers(1, 3), terms=st.sampled_from(("POSTPAY", "PREPAY")))
    def unit_orders_on_terms(self, tins: int, terms: str) -> int | MultipleResults[int]:
        """Ordered, agreed to and taken on by the cooperative."""
        on_hand, reserved = trade.free(self.market.pack)

        def order() -> int:
            made = directed_order.submit(
                {self.market.pack: tins}, cooperative_id=self.market.cooperative, destination=DESTINATION, terms=terms,
                actor=self.unit_buyer, key=f"unit-{next(_number)}",
            )  # fmt: skip
            directed_order.approve(made, actor=self.unit_approver)
            return directed_order.confirm(made, actor=self.market.director).order_id

        return self.tried(tins <= on_hand - reserved, order) or multiple()

    @rule(order_id=unit_orders, packs=st.integers(1, 3))
    def ship_to_unit(self, order_id: int, packs: int) -> None:
        (line,) = lines_of(order_id)
        may = trade.order(order_id).fulfilment in ("READY", "PARTLY_SHIPPED") and packs <= line.quantity - line.shipped
        parts = [(line.id, self.market.batch, packs)]
        self.tried(may, lambda: shipment.ship(order_id, parts, "快运", actor=self.market.clerk))

    @rule(order_id=unit_orders, short=st.sampled_from((0, 0, 1)))
    def unit_accepts(self, order_id: int, short: int) -> None:
        """All that was shipped, or one tin less."""
        (line,) = lines_of(order_id)
        good = max(0, line.shipped - short)
        arrived = [Arrived(line.id, good, line.quantity - good, "少了" if line.quantity > good else "")]
        may = trade.order(order_id).fulfilment in ("PARTLY_SHIPPED", "SHIPPED")
        self.tried(may, lambda: acceptance.accept(order_id, arrived, actor=self.unit_buyer))

    @rule(order_id=unit_orders, part=st.sampled_from((1, 1, 2)), more=st.sampled_from((0, 0, 500)))
    def unit_pays(self, order_id: int, part: int, more: int) -> None:
        """A transfer of all or half of what is open, perhaps ¥5.00 too much, imported from the statement and matched."""
        order = trade.order(order_id)
        fen = order.open_fen // part
        if fen <= 0 or order.fulfilment == "CANCELLED":
            return
        day = clock.business_date(self.now)

        def pay() -> None:
            serial = f"S{next(_number)}"
            bank_statement.import_csv(
                f"交易日期,收入金额,对方户名,摘要,流水号\n{day},{yuan(fen + more)},,,{serial}\n".encode(), actor=self.market.accountant
            )
            came = db.session.scalars(select(BankReceipt).where(BankReceipt.serial == serial)).one()
            bank_match.match(came.id, "order", order_id, fen, actor=self.market.accountant, key=serial)

        self.tried(True, pay)

    @rule(order_id=unit_orders)
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

    @rule(order_id=unit_orders, steps=st.integers(1, 4))
    def unit_order_goes_on(self, order_id: int, steps: int) -> None:
        for _ in range(steps):
            order, (line,) = trade.order(order_id), lines_of(order_id)
            if order.fulfilment in ("READY", "PARTLY_SHIPPED") and line.shipped < line.quantity:
                self.ship_to_unit(order_id, line.quantity - line.shipped)
            elif order.fulfilment == "SHIPPED":
                self.unit_accepts(order_id, 0)
            elif order.open_fen:
                self.unit_pays(order_id, 1, 0)
            elif order.fulfilment == "RECEIVED" and order.settled_at is None:
                self.now += timedelta(days=8)
                self.settle(order_id)

    @rule(order_id=unit_orders)
    def settle_unit_order(self, order_id: int) -> None:
        self.settle(order_id)

    # Refunds

    @rule(target=AnyWay.asked, order_id=st.one_of(AnyWay.orders, unit_orders), part=st.sampled_from((1, 3, 10)))
    def cooperative_proposes(self, order_id: int, part: int) -> int | MultipleResults[int]:
        """At any time, also after the split and after the households were paid."""
        order = trade.order(order_id)
        left = order.paid_fen - order.refunded_fen
        fen, may = max(1, left // part), left > 0 and not self._open_return(order_id)
        made = self.tried(may, lambda: return_request.propose(order_id, fen, "抽检不合格", actor=self.market.clerk))
        return made.id if made else multiple()

    @rule(order_id=st.one_of(AnyWay.orders, unit_orders), part=st.sampled_from((1, 1, 2)))
    def cooperative_gives_back(self, order_id: int, part: int) -> None:
        """Proposed and agreed to at once."""
        made = self.cooperative_proposes(order_id, part)
        if isinstance(made, int):
            self.answer(made, True)

    def who_answers(self, request: ReturnRequest) -> Actor:
        return self.market.director if request.by_seller else self.market.accountant

    @rule(succeeds=st.booleans())
    def the_oldest_refund_ends(self, succeeds: bool) -> None:
        going = select(Refund).where(self._own(Refund), Refund.state.in_(GOING)).order_by(Refund.id)
        refund = db.session.scalars(going).first()
        if refund is not None and refund.way == "bank":
            number = refund.id
            self.tried(True, lambda: bank_refund.record(number, f"WY{number:06}", clock.business_date(), actor=self.market.accountant))
        else:
            super().the_oldest_refund_ends(succeeds)

    # Distribution

    @rule(which=st.integers(0, 2))
    def draft(self, which: int) -> None:
        """Of a month that settled something, or of the present one."""
        lines = select(SettlementLine).where(self._own(SettlementLine), SettlementLine.distribution_id.is_(None)).order_by(SettlementLine.period)
        months = Counter[str]()
        for line in db.session.scalars(lines).all():
            months[line.period] += taken_back.left_of([line])[line.id].pool_fen
        names = [*months, clock.period_of(clock.business_date(self.now))]
        period = names[which % len(names)]
        self.tried(
            bool(months.get(period)), lambda: distribution.draft(self.market.cooperative, period, actor=self.market.accountant)
        )

    @precondition(lambda self: self._has(Distribution, "DRAFTED"))
    @rule(agrees=st.sampled_from((True, True, False)))
    def director_decides(self, agrees: bool) -> None:
        row = self._oldest(Distribution, "DRAFTED")
        if row:
            number, version = row.id, row.version
            self.tried(
                True, lambda: distribution.approve(number, actor=self.market.director, version=version, approved=agrees, reason="重算")
            )

    @precondition(lambda self: self._has(Distribution, "APPROVED"))
    @rule()
    def publish(self) -> None:
        row = self._oldest(Distribution, "APPROVED")
        if row:
            number = row.id
            self.tried(True, lambda: distribution.publish(number, actor=self.market.accountant))

    @precondition(lambda self: self._has(Distribution, "PUBLISHED"))
    @rule(upheld=st.booleans(), answered=st.booleans())
    def somebody_objects(self, upheld: bool, answered: bool) -> None:
        row = self._oldest(Distribution, "PUBLISHED")
        if row:
            notice = row.notice_id
            may = clock.business_date(self.now) <= db.session.get_one(PublicNotice, notice).ends_on
            made = self.tried(may, lambda: objection.raise_(notice, text="我家少算了"))
            if made and answered:
                number = made.id
                self.tried(True, lambda: objection.answer(number, text="已复核", upheld=upheld, actor=self.market.director))

    @precondition(lambda self: self._has(Distribution, "PUBLISHED"))
    @rule()
    def post(self) -> None:
        """Once the notice has ended, no objection is open or upheld, and no refund has taken from the pool since."""
        row = self._oldest(Distribution, "PUBLISHED")
        if row is None:
            return
        against = select(func.count()).where(Objection.notice_id == row.notice_id, Objection.outcome != "REJECTED")
        may = (
            clock.business_date(self.now) > db.session.get_one(PublicNotice, row.notice_id).ends_on
            and not db.session.scalar(against)
            and all(self._held("household_pool") >= group.pool_fen for group in self._groups(row))
            and all(taken_back.left_of([line])[line.id].pool_fen >= (line.divided_fen or 0) for line in self._lines(row))
            and all(self._held("pool_recoverable") >= group.recovered_fen for group in self._groups(row))
        )
        number = row.id
        self.tried(may, lambda: distribution.post(number, actor=self.market.accountant))

    @precondition(lambda self: self._has(Distribution, "DRAFTED", "APPROVED", "PUBLISHED"))
    @rule()
    def withdraw(self) -> None:
        row = self._oldest(Distribution, "DRAFTED", "APPROVED", "PUBLISHED")
        if row:
            number = row.id
            self.tried(True, lambda: distribution.withdraw(number, actor=self.market.director, reason="重新拟定"))

    @rule(steps=st.integers(1, 7))
    def month_end_goes_on(self, steps: int) -> None:
        """So many steps of the way that most distributions go."""
        for _ in range(steps):
            sent = self._oldest(PayoutBatch, "SENT")
            if sent and sent.channel == "alipay":
                for which in range(6):
                    self.alipay_answers(which, "REFUND" if which == 1 else "SUCCESS")
                self.issue_again(-1, "bank")
            elif sent:
                self.bank_answers(-1, ("paid", "returned", "paid"))
                self.issue_again(-1, "bank")
            elif self._oldest(PayoutBatch, "APPROVED"):
                self.the_batch_goes()
            elif self._oldest(PayoutBatch, "DRAFT"):
                self.director_checks_batch(True)
            elif self._oldest(Distribution, "PUBLISHED"):
                self.now += timedelta(days=12)
                self.post()
                self.make_batch(-1, "alipay")
                self.make_batch(-1, "bank")
            elif self._oldest(Distribution, "APPROVED"):
                self.publish()
            elif self._oldest(Distribution, "DRAFTED"):
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
        self.month_end_goes_on(8)
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

    def ways_of(self, order: Order) -> dict[str, set[str]]:
        return UNITS_WAYS if order.kind == "DIRECTED" else WAYS

    def _lines(self, row: Distribution) -> list[SettlementLine]:
        return list(db.session.scalars(select(SettlementLine).where(SettlementLine.distribution_id == row.id)))

    def _groups(self, row: Distribution) -> list[DistributionGroup]:
        return list(db.session.scalars(select(DistributionGroup).where(DistributionGroup.distribution_id == row.id)))
