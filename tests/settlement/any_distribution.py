"""Distributions in any order, as ``any_money`` plays them: drafted, answered, objected to, posted or withdrawn."""

from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from sqlalchemy import func, select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.ledger.account import Account
from marketplace.ledger.entry import JournalEntry, JournalLine
from marketplace.notices import objection
from marketplace.notices.public_notice import Objection, PublicNotice
from marketplace.settlement import distribution
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.distribution_share import DistributionGroup
from marketplace.settlement.settlement import SettlementLine
from marketplace.settlement.taken_back import TakenBack
from tests.settlement.any_refund import AnyRefund
from tests.settlement.money_holds import ITS_ENTRY

WAITING = ("DRAFTED", "APPROVED", "PUBLISHED")


class AnyDistribution(AnyRefund):
    """What a distribution may take is counted from the lines that settled and from what failed refunds brought back."""

    @rule(which=st.integers(0, 2))
    def draft(self, which: int) -> None:
        """Of a month that settled something, or to which something came back, or of the present one."""
        months, back = self._months_that_wait(), self._came_back()
        names = [*sorted({*(+months), *back}), clock.period_of(clock.business_date(self.now))]
        period = names[which % len(names)]
        may = months[period] > 0 or period in back
        self.tried(may, lambda: distribution.draft(self.market.cooperative, period, actor=self.market.accountant))

    @precondition(lambda self: self._has(Distribution, "DRAFTED"))
    @rule(agrees=st.sampled_from((True, True, False)))
    def director_decides(self, agrees: bool) -> None:
        row = self._oldest(Distribution, "DRAFTED")
        if row:
            number, version = row.id, row.version
            self.tried(
                True, lambda: distribution.approve(number, actor=self.market.director, version=version, approved=agrees, reason="重算")
            )

    @precondition(lambda self: self._has(Distribution, "DRAFTED"))
    @rule()
    def draft_is_computed_again(self) -> None:
        """From what settled and came back until now."""
        row = self._oldest(Distribution, "DRAFTED")
        if row:
            number, version, may = row.id, row.version, self._is_fed(row)
            self.tried(may, lambda: distribution.recompute(number, actor=self.market.accountant, version=version))

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
        """Once the notice has ended, no objection is open or upheld, and no refund has taken from a pool since."""
        row = self._oldest(Distribution, "PUBLISHED")
        if row is None:
            return
        groups = list(db.session.scalars(select(DistributionGroup).where(DistributionGroup.distribution_id == row.id)))
        may = (
            self._notice_is_over(row.notice_id)
            and all(self._held("household_pool", each.linkage_group_id) >= each.pool_fen for each in groups)
            and not any(self._taken_since(line) for line in self._rows(SettlementLine, SettlementLine.distribution_id == row.id))
            and all(self._held("pool_recoverable", each.linkage_group_id) >= each.recovered_fen for each in groups)
        )
        number = row.id
        self.tried(may, lambda: distribution.post(number, actor=self.market.accountant))

    @precondition(lambda self: self._has(Distribution, *WAITING))
    @rule()
    def withdraw(self) -> None:
        row = self._oldest(Distribution, *WAITING)
        if row:
            number = row.id
            self.tried(True, lambda: distribution.withdraw(number, actor=self.market.director, reason="重新拟定"))

    def _notice_is_over(self, notice_id: int) -> bool:
        against = select(func.count()).where(Objection.notice_id == notice_id, Objection.outcome != "REJECTED")
        return clock.business_date(self.now) > db.session.get_one(PublicNotice, notice_id).ends_on and not db.session.scalar(against)

    def _months_that_wait(self, but: int = 0) -> Counter[str]:
        """Fen that settled in a month, refunds off, and no distribution covers. ``but``: a draft that is taken for undone."""
        months = Counter[str]()
        for line in self._rows(SettlementLine):
            months[line.period] += self._left_to_divide(line) if line.distribution_id in (None, but) else 0
        return months

    def _left_to_divide(self, line: SettlementLine) -> int:
        """Of a line's pool share, what no refund took back."""
        return line.pool_fen - sum(row.pool_fen for row in self._rows(TakenBack, TakenBack.settlement_line_id == line.id))

    def _taken_since(self, line: SettlementLine) -> int:
        """What refunds took of a line beyond what its distribution found."""
        return max(0, (line.pool_fen if line.divided_fen is None else line.divided_fen) - self._left_to_divide(line))

    def _came_back(self, but: int = 0) -> set[str]:
        """Months in which a refund that failed brought money into a pool of which no settlement speaks any more. ``but``: a draft that
        is taken for undone."""
        months = set()
        for kind, group in self._recoverables():
            if kind != "pool_recoverable":
                continue
            drafts = {row.id for row in self._rows(Distribution, Distribution.state.in_(WAITING), Distribution.id != but)}
            lines = self._rows(SettlementLine, SettlementLine.linkage_group_id == group)
            promised = [each for each in self._rows(DistributionGroup, DistributionGroup.linkage_group_id == group) if each.distribution_id in drafts]
            spoken_for = sum(self._left_to_divide(line) for line in lines if line.distribution_id in (None, but)) + sum(each.pool_fen for each in promised)
            spoken_for -= sum(self._taken_since(line) for line in lines if line.distribution_id in drafts)
            came = (
                select(func.max(JournalEntry.period))
                .join(JournalLine, ITS_ENTRY)
                .join(Account, Account.id == JournalLine.account_id)
                .where(JournalEntry.kind.in_(("reversed", "recovery_undone")), Account.owner_ref == f"linkage_group:{group}", JournalLine.fen < 0)
                .where(Account.kind == "household_pool")
            )
            month = db.session.scalar(came)
            months |= {month} if self._held("household_pool", group) > spoken_for and month else set()
        return months

    def _is_fed(self, row: Distribution) -> bool:
        """Whether there is something to divide, once the draft is taken for undone."""
        period, number = row.period, row.id
        return bool(self._months_that_wait(number)[period]) or period in self._came_back(number)
