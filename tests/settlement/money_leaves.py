"""How money leaves a cooperative's accounts, beside all that ``any_payout`` does: remittances to two villages, the fund and itself,
withdrawals from Alipay, and what Alipay's bills take and give back. What may be done is written a second time, from rows and accounts."""

import itertools
from datetime import date, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from sqlalchemy import func, select

from marketplace.catalogue.product import Product
from marketplace.foundation import clock
from marketplace.foundation.config import settings
from marketplace.foundation.database import db, transaction
from marketplace.ledger.entry import JournalEntry
from marketplace.orders.order import OrderLine
from marketplace.organisations.organisation import Cooperative
from marketplace.payments import bank_statement, bill_import, withdrawal
from marketplace.payments import payment as payments
from marketplace.payments.alipay_outcome import Bill, BillRow
from marketplace.payments.bill_import import ImportedBill
from marketplace.payments.payment import OPEN, Payment
from marketplace.payments.refund import GOING, Refund
from marketplace.payments.transfer import GOING as ON_THEIR_WAY
from marketplace.payments.transfer import Transfer
from marketplace.payments.withdrawal import Withdrawal
from marketplace.settlement import remittance
from marketplace.settlement.payout_file import yuan
from marketplace.settlement.remittance import Remittance
from tests import builders
from tests.orders import trade
from tests.orders.any_way import AnyWay
from tests.settlement.any_payout import AnyPayout
from tests.settlement.money_holds import OTHERS, SHARE_OF

_number = itertools.count(1)
_PARTS = st.sampled_from((1, 1, 2, 0))  # all of what may leave, half of it, or a fen too much
_MOVED = ("alipay_paid", "alipay_unapplied", "refund_succeeded")  # what a trade bill has a row of
_WHOSE = {"household_pool": "linkage_group", "village_collective": "village", "household": "household"}


class MoneyLeaves(AnyPayout):
    """The rules. The box of ``AnyWay`` is another village's, of another linkage group."""

    def second_pack(self) -> int:
        own = self.market.cooperative
        self.other_village, self.other_group = builders.village(), builders.linkage_group(own)
        self.other_households = builders.members(self.other_group, (1, 1))
        goods = builders.product(own, self.other_group, price_fen=3_333, net_grams=100, on_hand=4, name="高山白茶")
        with transaction():
            db.session.get_one(Product, goods).origin_id = self.other_village
        self.other_batch = builders.batch(own, self.other_group, deliveries={self.other_households[0]: 1_000})
        return builders.pack_of(goods)

    def batch_of(self, line: OrderLine) -> int:
        return self.market.batch if line.linkage_group_id == self.market.group else self.other_batch

    # Remittances

    @rule(kind=st.sampled_from(("COLLECTIVE", "COLLECTIVE", "FUND", "REVENUE")), other=st.booleans(), part=_PARTS)
    def accountant_proposes_a_remittance(self, kind: str, other: bool, part: int) -> None:
        village = (self.other_village if other else self.market.village) if kind == "COLLECTIVE" else None
        most = self._most(kind, village)
        fen = most // part if part else max(0, most) + 1
        if fen > 0:
            self.tried(
                fen <= most,
                lambda: remittance.propose(kind, fen, village_id=village, actor=self.market.accountant, key=f"remit-{next(_number)}"),
            )

    @precondition(lambda self: self._has(Remittance, "PROPOSED"))
    @rule(agrees=st.sampled_from((True, True, True, False)))
    def director_answers_the_remittance(self, agrees: bool) -> None:
        """A refund may have taken from the share since."""
        row = self._oldest(Remittance, "PROPOSED")
        if row:
            number, version, may = row.id, row.version, not agrees or self._most(row.kind, row.village_id) >= 0
            self.tried(may, lambda: remittance.approve(number, actor=self.market.director, version=version, approved=agrees, reason="先不划"))

    @precondition(lambda self: self._has(Remittance, "APPROVED"))
    @rule(told_late=st.booleans())
    def bank_carries_the_remittance_out(self, told_late: bool = False) -> None:
        """Whatever happened to the share meanwhile: it is a fact, and may be of a month that is closed by now."""
        row = self._oldest(Remittance, "APPROVED")
        if row:
            number, version = row.id, row.version
            day = clock.business_date(row.approved_at if told_late else self.now)
            self.tried(
                True,
                lambda: remittance.record_paid(
                    number, paid_on=day, bank_serial=f"HB{number:06}", actor=self.market.accountant, version=version
                ),
            )

    @precondition(lambda self: self._has(Remittance, "PROPOSED", "APPROVED"))
    @rule()
    def remittance_is_taken_back(self) -> None:
        row = self._oldest(Remittance, "PROPOSED", "APPROVED")
        if row:
            number, version = row.id, row.version
            self.tried(True, lambda: remittance.withdraw(number, actor=self.market.accountant, version=version, reason="不划了"))

    @rule(steps=st.integers(2, 9))
    def remittances_go_on(self, steps: int) -> None:
        """So many steps of what happens every month: both villages, the fund and the cooperative get what is theirs."""
        wanted = itertools.cycle((("COLLECTIVE", False), ("COLLECTIVE", True), ("FUND", False), ("REVENUE", False)))
        for _ in range(steps):
            if self._has(Remittance, "APPROVED"):
                self.bank_carries_the_remittance_out()
            elif self._has(Remittance, "PROPOSED"):
                self.director_answers_the_remittance(True)
                if self._has(Remittance, "PROPOSED"):
                    self.remittance_is_taken_back()
            else:
                if self._has(Withdrawal, "SENT"):
                    self.withdrawal_arrives()
                self.accountant_proposes_a_remittance(*next(wanted), 1)

    # Alipay

    @rule(part=_PARTS)
    def accountant_withdraws(self, part: int) -> None:
        """What neither refunds nor households' transfers are to take."""
        going = sum(each.fen for each in self._rows(Refund, Refund.way == "alipay", Refund.state.in_(GOING)))
        going += sum(each.fen for each in self._rows(Transfer, Transfer.state.in_(ON_THEIR_WAY)))
        left = self._held("alipay") - going
        fen = left // part if part else max(0, left) + 1
        if fen > 0:
            serial = f"TX{next(_number):06}"
            self.tried(fen <= left, lambda: withdrawal.record(fen, serial, actor=self.market.accountant, key=serial))

    @precondition(lambda self: self._has(Withdrawal, "SENT"))
    @rule()
    def withdrawal_is_refused(self) -> None:
        row = self._oldest(Withdrawal, "SENT")
        if row:
            number, version = row.id, row.version
            self.tried(True, lambda: withdrawal.failed(number, "账户名不符", version=version, actor=self.market.accountant))

    @precondition(lambda self: self._has(Withdrawal, "SENT"))
    @rule()
    def withdrawal_arrives(self) -> None:
        """The bank's statement shows it under its number: it is no receipt, and may be paid out from now on."""
        row = self._oldest(Withdrawal, "SENT")
        if row:
            told = f"交易日期,收入金额,对方户名,摘要,流水号\n{row.ordered_on},{yuan(row.fen)},支付宝,提现 {row.number},TXD{row.id}\n"
            self.tried(True, lambda: bank_statement.import_csv(told.encode(), actor=self.market.accountant))
            assert self._oldest(Withdrawal, "ARRIVED").id <= row.id

    @rule(payment_id=AnyWay.attempts, days_ago=st.sampled_from((0, 0, 1, 40)))
    def alipay_says_paid(self, payment_id: int, days_ago: int = 0) -> None:
        """At any time and again and again, of two attempts, and perhaps late: of a month that is closed, but of no day that a bill told of."""
        at = max(self.now - timedelta(days=days_ago), db.session.get_one(Payment, payment_id).created_at)
        last = db.session.scalar(select(func.max(ImportedBill.day)))
        told = trade.succeeded(payment_id, at=self.now if last and clock.business_date(at) <= last else at)
        self.tried(True, lambda: payments.apply(told))

    @rule(rate=st.sampled_from((6, 60)), tells=st.booleans())
    def alipays_bill_comes(self, rate: int, tells: bool) -> None:
        """Of the oldest day over of which none came: a fee of each payment (``rate`` in thousandths), given back with each refund; and
        perhaps it ``tells`` of a payment of which no notice told."""
        day, rows = self._day_to_bill(), []
        if day is None:
            return
        for entry in self._moved(day):
            of = db.session.get_one(Payment if entry.source_type == "payment" else Refund, entry.source_id)
            if isinstance(of, Payment):
                rows.append(BillRow("trade", of.trade_no, of.out_trade_no, "", of.amount_fen, -(of.amount_fen * rate // 1000), entry.event_at))
            else:
                paid = db.session.get_one(Payment, of.payment_id)
                rows.append(BillRow("refund", paid.trade_no, paid.out_trade_no, of.out_request_no, -of.fen, of.fen * rate // 1000, entry.event_at))
        unheard = [each for each in self._rows(Payment, Payment.channel == "alipay", Payment.state.in_((*OPEN, "canceled"))) if clock.business_date(each.created_at) == day]
        for payment in unheard[:1] if tells else ():
            fee = payment.amount_fen * rate // 1000
            rows.append(BillRow("trade", trade.succeeded(payment.id).trade_no, payment.out_trade_no, "", payment.amount_fen, -fee, payment.created_at))
        bill = Bill(day, db.session.scalars(select(Cooperative.alipay_seller_id)).one(), tuple(rows), f"{day}")
        self.tried(True, lambda: bill_import.take(self.market.cooperative, bill))

    def _day_to_bill(self) -> date | None:
        """The oldest day before today, and after the last one billed, on which something moved or an attempt to pay began."""
        last = db.session.scalar(select(func.max(ImportedBill.day)))
        days = {clock.business_date(entry.event_at) for entry in self._moved()}
        days |= {clock.business_date(each.created_at) for each in self._rows(Payment, Payment.channel == "alipay", Payment.state.in_((*OPEN, "canceled")))}
        wanted = [day for day in days if day < clock.business_date(self.now) and (last is None or day > last)]
        return min(wanted, default=None)

    def _moved(self, day: date | None = None) -> list[JournalEntry]:
        """Entries of payments and refunds over Alipay; of one day, or of all."""
        over_bank = select(Refund.id).where(Refund.way == "bank")
        query = select(JournalEntry).where(
            JournalEntry.book == self.market.cooperative, JournalEntry.kind.in_(_MOVED),
            (JournalEntry.source_type == "payment") | (JournalEntry.source_type == "refund") & JournalEntry.source_id.not_in(over_bank),
        )  # fmt: skip
        found = db.session.scalars(query.order_by(JournalEntry.id))
        return [entry for entry in found if day is None or clock.business_date(entry.event_at) == day]

    # What may be taken out

    def _most(self, kind: str, village: int | None) -> int:
        """What may be proposed, counted from accounts and papers."""
        going = self._rows(Remittance, Remittance.state.in_(("PROPOSED", "APPROVED")), Remittance.kind == kind)
        going = [row for row in going if row.village_id == village]
        promised = sum(row.fen + row.recovered_fen for row in going)
        if kind == "REVENUE":
            bank, alipay = self._held("bank"), self._held("alipay")
            on_its_way = sum(row.fen for row in self._rows(Withdrawal, Withdrawal.state == "SENT"))
            owners = {
                "linkage_group": [self.market.group, self.other_group], "village": [self.market.village, self.other_village],
                "household": [home.id for home in self._homes()], "": [None],
            }  # fmt: skip
            others = sum(self._held(each, owner) for each in OTHERS for owner in owners[_WHOSE.get(each, "")])
            return min(bank - on_its_way, bank + alipay - others) - promised
        recoverable = "village_recoverable" if village else "fund_recoverable"
        left = self._held(SHARE_OF[recoverable], village) - promised
        owed = self._held(recoverable, village) - sum(row.recovered_fen for row in going)
        return left - max(0, min(owed, left * settings().recovery_cap_bp // 10_000))

    def _recoverables(self) -> list[tuple[str, int | None]]:
        others: list[tuple[str, int | None]] = [("pool_recoverable", self.other_group), ("village_recoverable", self.other_village)]
        return [*super()._recoverables(), *others]
