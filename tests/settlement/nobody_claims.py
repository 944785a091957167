"""Money that reaches nobody, as ``any_money`` plays it: it goes to the fund after its time, and back to who turns up. What is listed is
counted from when each payment was seen to come back."""

from collections import Counter
from datetime import date, datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.settlement import unclaimed, unclaimed_return
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.household_credit import CreditMove
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from marketplace.settlement.unclaimed import OPEN, Unclaimed, UnclaimedLine
from marketplace.settlement.unclaimed_return import UnclaimedReturn
from tests.settlement.money_leaves import MoneyLeaves

UNCLAIMED_DAYS = 20  # of the machine's market: two years would leave no time for anything else


class NobodyClaims(MoneyLeaves):
    """The rules. (distribution, household) is what a line of a list is of."""

    @rule()
    def accountant_lists_what_nobody_claims(self) -> None:
        """One list at a time, of what is old enough."""
        waits = self._unclaimed(clock.business_date(self.now) - timedelta(days=UNCLAIMED_DAYS))
        made = self.tried(bool(waits) and not self._has(Unclaimed, *OPEN), lambda: unclaimed.draft(actor=self.market.accountant))
        if made:
            lines = self._rows(UnclaimedLine, UnclaimedLine.unclaimed_id == made.id)
            assert {(line.distribution_id, line.household_id): line.fen for line in lines} == waits

    @precondition(lambda self: self._has(Unclaimed, *OPEN))
    @rule(taken_back=st.sampled_from((False, False, False, True)))
    def the_list_goes_on(self, taken_back: bool = False) -> None:
        """Once it is published and the time is over, it moves what still reached nobody, and nothing else."""
        row = self._oldest(Unclaimed, *OPEN)
        if row is None:
            return
        number, version, state = row.id, row.version, row.state
        if taken_back:
            self.tried(True, lambda: unclaimed.withdraw(number, actor=self.market.director, version=version, reason="再找一遍"))
        elif state == "DRAFTED":
            self.tried(True, lambda: unclaimed.approve(number, actor=self.market.director, version=version))
        elif state == "APPROVED":
            self.tried(True, lambda: unclaimed.publish(number, actor=self.market.accountant, version=version))
        else:
            lines, now = self._rows(UnclaimedLine, UnclaimedLine.unclaimed_id == number), self._unclaimed(row.until)
            still = sum(line.fen for line in lines if now[line.distribution_id, line.household_id] == line.fen)
            done = self.tried(self._notice_is_over(row.notice_id), lambda: unclaimed.post(number, actor=self.market.accountant, version=version))
            if done:
                assert self._oldest(Unclaimed, "POSTED") and db.session.get_one(Unclaimed, number).moved_fen == still

    @rule(steps=st.integers(1, 5))
    def unclaimed_money_goes_on(self, steps: int) -> None:
        """So many steps of the way of most lists, from when what waits is old enough."""
        for _ in range(steps):
            row = self._oldest(Unclaimed, *OPEN)
            if row is None:
                if not self._rows(PayoutItem, PayoutItem.state == "returned"):
                    return
                self.now += timedelta(days=UNCLAIMED_DAYS + 1)
                self.accountant_lists_what_nobody_claims()
                continue
            if row.state == "PUBLISHED":
                self.now += timedelta(days=12)
            self.the_list_goes_on()

    @precondition(lambda self: self._has(Unclaimed, "POSTED"))
    @rule(which=st.integers(0, 3))
    def somebody_turns_up(self, which: int) -> None:
        """A household whose money went to the fund, asked for once."""
        gone = self._rows(CreditMove, CreditMove.kind == "FUND")
        if gone:
            paper, household = gone[which % len(gone)].paper_id, gone[which % len(gone)].household_id
            fen = -sum(move.fen for move in gone if (move.paper_id, move.household_id) == (paper, household))
            stands = self._rows(UnclaimedReturn, UnclaimedReturn.unclaimed_id == paper, UnclaimedReturn.household_id == household, UnclaimedReturn.state != "RETURNED")
            made = self.tried(not stands, lambda: unclaimed_return.propose(paper, household, "本人持户口簿到场", actor=self.market.accountant))
            assert made is None or made.fen == fen

    @precondition(lambda self: self._has(UnclaimedReturn, "PROPOSED"))
    @rule(agrees=st.sampled_from((True, True, False)))
    def director_lets_the_fund_give_back(self, agrees: bool) -> None:
        """While the fund's share is there."""
        row = self._oldest(UnclaimedReturn, "PROPOSED")
        if row:
            number, version, may = row.id, row.version, not agrees or row.fen <= self._held("relief_fund")
            self.tried(
                may, lambda: unclaimed_return.decide(number, actor=self.market.director, version=version, approved=agrees, reason="不是本人")
            )

    def _unclaimed(self, until: date) -> Counter[tuple[int, int]]:
        """What came back up to a day, of distributions as old, and was neither sent again nor moved since; and what never left for want of
        any account."""
        end = clock.beijing_midnight(until + timedelta(days=1))
        waits = Counter[tuple[int, int]]()
        old = {row.id for row in self._rows(Distribution, Distribution.state == "POSTED", Distribution.posted_at < end)}
        batches = {batch.id: batch.distribution_id for batch in self._rows(PayoutBatch)}
        for item in self._rows(PayoutItem, PayoutItem.state == "returned"):
            if batches[item.batch_id] in old and self.came_back[item.id] < end:
                waits[batches[item.batch_id], item.household_id] += item.fen
        nowhere = {home.id for home in self._homes() if not home.bank_account and not home.alipay_account}
        for number in old if nowhere else ():
            for household, fen in self._owed(number).items():
                if household in nowhere and fen > 0 and not self._got_lately(number, household, end):
                    waits[number, household] += fen
        return waits

    def _got_lately(self, distribution_id: int, household: int, since: datetime) -> bool:
        its = CreditMove.distribution_id == distribution_id, CreditMove.household_id == household
        return db.session.scalar(select(CreditMove.id).where(*its, CreditMove.fen > 0, CreditMove.moved_at >= since).limit(1)) is not None
