"""How money leaves a cooperative's accounts, beside all that ``any_money`` does: remittances to two villages, the fund and itself, and
withdrawals from Alipay. What may be done is written a second time, from rows and accounts."""

import itertools

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule
from sqlalchemy import func, select

from marketplace.catalogue.product import Product
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.ledger import account, balance
from marketplace.ledger.account import Account
from marketplace.orders.order import OrderLine
from marketplace.payments import bank_statement, withdrawal
from marketplace.payments.refund import GOING, Refund
from marketplace.payments.withdrawal import Withdrawal
from marketplace.settlement import remittance
from marketplace.settlement.payout_file import yuan
from marketplace.settlement.remittance import Remittance
from tests import builders
from tests.settlement.any_money import AnyMoney

# Whose money lies in the cooperative's accounts beside its own.
OTHERS = ("unapplied", "buyer_funds", "refunds_payable", "household_pool", "household", "in_transit", "village_collective", "relief_fund")
_number = itertools.count(1)
_PARTS = st.sampled_from((1, 1, 2, 0))  # all of what may leave, half of it, or a fen too much


class MoneyLeaves(AnyMoney):
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

    @precondition(lambda self: self._oldest(Remittance, "PROPOSED"))
    @rule(agrees=st.sampled_from((True, True, True, False)))
    def director_answers_the_remittance(self, agrees: bool) -> None:
        """A refund may have taken from the share since."""
        row = self._oldest(Remittance, "PROPOSED")
        if row:
            number, version, may = row.id, row.version, not agrees or self._most(row.kind, row.village_id) >= 0
            self.tried(may, lambda: remittance.approve(number, actor=self.market.director, version=version, approved=agrees, reason="先不划"))

    @precondition(lambda self: self._oldest(Remittance, "APPROVED"))
    @rule()
    def bank_carries_the_remittance_out(self) -> None:
        """Whatever happened to the share meanwhile: it is a fact."""
        row = self._oldest(Remittance, "APPROVED")
        if row:
            number, version = row.id, row.version
            self.tried(
                True,
                lambda: remittance.record_paid(
                    number, paid_on=clock.business_date(), bank_serial=f"HB{number:06}", actor=self.market.accountant, version=version
                ),
            )

    @precondition(lambda self: self._oldest(Remittance, "PROPOSED", "APPROVED"))
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
            if self._oldest(Remittance, "APPROVED"):
                self.bank_carries_the_remittance_out()
            elif self._oldest(Remittance, "PROPOSED"):
                self.director_answers_the_remittance(True)
                if self._oldest(Remittance, "PROPOSED"):
                    self.remittance_is_taken_back()
            else:
                if self._oldest(Withdrawal, "SENT"):
                    self.withdrawal_arrives()
                self.accountant_proposes_a_remittance(*next(wanted), 1)

    # Alipay

    @rule(part=_PARTS)
    def accountant_withdraws(self, part: int) -> None:
        going = select(func.coalesce(func.sum(Refund.fen), 0)).where(self._own(Refund), Refund.way == "alipay", Refund.state.in_(GOING))
        left = self._fen("alipay") - int(db.session.scalar(going) or 0)
        fen = left // part if part else max(0, left) + 1
        if fen > 0:
            serial = f"TX{next(_number):06}"
            self.tried(fen <= left, lambda: withdrawal.record(fen, serial, actor=self.market.accountant, key=serial))

    @precondition(lambda self: self._oldest(Withdrawal, "SENT"))
    @rule()
    def withdrawal_is_refused(self) -> None:
        row = self._oldest(Withdrawal, "SENT")
        if row:
            number, version = row.id, row.version
            self.tried(True, lambda: withdrawal.failed(number, "账户名不符", version=version, actor=self.market.accountant))

    @precondition(lambda self: self._oldest(Withdrawal, "SENT"))
    @rule()
    def withdrawal_arrives(self) -> None:
        """The bank's statement shows it under its number: it is no receipt, and may be paid out from now on."""
        row = self._oldest(Withdrawal, "SENT")
        if row:
            told = f"交易日期,收入金额,对方户名,摘要,流水号\n{row.ordered_on},{yuan(row.fen)},支付宝,提现 {row.number},TXD{row.id}\n"
            self.tried(True, lambda: bank_statement.import_csv(told.encode(), actor=self.market.accountant))
            assert self._oldest(Withdrawal, "ARRIVED").id <= row.id

    def _most(self, kind: str, village: int | None) -> int:
        """What may be proposed, counted from accounts and papers."""
        going = [
            row for row in db.session.scalars(select(Remittance).where(self._own(Remittance), Remittance.state.in_(("PROPOSED", "APPROVED"))))
            if (row.kind, row.village_id) == (kind, village)
        ]  # fmt: skip
        promised = sum(row.fen + row.recovered_fen for row in going)
        if kind == "REVENUE":
            bank, alipay = self._fen("bank"), self._fen("alipay")
            on_its_way = sum(row.fen for row in db.session.scalars(select(Withdrawal).where(self._own(Withdrawal), Withdrawal.state == "SENT")))
            owners: dict[str, list[int | None]] = {
                "household_pool": [self.market.group, self.other_group], "household": [*self.market.households, *self.other_households],
                "village_collective": [self.market.village, self.other_village],
            }  # fmt: skip
            others = sum(self._fen(each, owner) for each in OTHERS for owner in owners.get(each, [None]))
            return min(bank - on_its_way, bank + alipay - others) - promised
        share, recoverable = ("village_collective", "village_recoverable") if village else ("relief_fund", "fund_recoverable")
        left = self._fen(share, village) - promised
        owed = self._fen(recoverable, village) - sum(row.recovered_fen for row in going)
        return left - max(0, min(owed, left // 5))  # a fifth is the market's cap

    @invariant()
    def nobody_but_the_cooperative_is_ever_short(self) -> None:
        """No account of what others are owed is below nothing, nor what is recoverable of it; and what the cooperative may take out
        leaves each of them whole, whoever else's account may be low."""
        accounts = db.session.execute(balance.each().where(Account.book == self.market.cooperative)).all()
        owed = [(row.code, account.natural(row.kind, int(fen))) for row, fen in accounts if account.class_of(row.kind) == account.LIABILITY]
        owed += [(row.code, int(fen)) for row, fen in accounts if row.kind.endswith("_recoverable")]
        assert [each for each in owed if each[1] < 0] == []
        money = sum(int(fen) for row, fen in accounts if row.kind in ("bank", "alipay"))
        others = sum(-int(fen) for row, fen in accounts if row.kind in OTHERS)
        assert remittance.available(self.market.cooperative).own_fen <= money - others

    def _fen(self, kind: str, owner_id: int | None = None) -> int:
        return balance.held(kind, self.market.cooperative, account.owner_of(kind, owner_id))
