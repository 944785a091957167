"""Payouts in any order, as ``any_money`` plays them: over the bank and over Alipay, answered in whatever way, told by a person, taken for
never made, and issued again by either."""

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from sqlalchemy import select

from marketplace.foundation.database import db
from marketplace.households.household import Household
from marketplace.payments import transfer
from marketplace.payments.transfer import STATES as TRANSFER_STATES
from marketplace.payments.transfer import Transfer
from marketplace.settlement import payout_batch, payout_reversal, payout_transfer, payout_word
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.distribution_share import DistributionShare
from marketplace.settlement.household_credit import CreditMove
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from marketplace.settlement.payout_file import yuan
from marketplace.settlement.payout_reversal import PayoutReversal
from tests.settlement.any_distribution import AnyDistribution
from tests.settlement.money_holds import ON_THE_WAY

CHANNELS = ("bank", "alipay")
# From each state of an item, what the bank may say of it.
FITS = {
    "sent": {"paid", "returned", "refused", "处理中"}, "unknown": {"paid", "returned", "refused", "处理中"}, "paid": {"paid", "returned"},
    # "paid" is asked of a second person, and changes nothing.
    "returned": {"returned", "refused", "paid"}, "reissued": {"returned", "refused", "paid", "处理中"},
}  # fmt: skip
_SAID = st.sampled_from(("paid", "paid", "returned", "refused", "处理中", ""))


class MayTransfer:
    """All that is asked of a channel here: what Alipay answers is said by ``alipay_answers``."""

    def may_transfer(self) -> bool:
        return True


class AnyPayout(AnyDistribution):
    """``came_back`` is when each item was first seen to be its household's again; ``seen`` what all examples got to."""

    seen: ClassVar[set[str]] = set()

    def __init__(self) -> None:
        super().__init__()
        self.came_back: dict[int, datetime] = {}

    def tried(self, may: bool, act: Callable[[], Any]) -> Any:
        done = super().tried(may, act)
        for number, state in db.session.execute(select(PayoutItem.id, PayoutItem.state)):
            self.seen.add(f"item {state}")
            if state == "returned":
                self.came_back.setdefault(number, self.now)
        return done

    @precondition(lambda self: self._has(Distribution, "POSTED"))
    @rule(which=st.integers(0, 3), channel=st.sampled_from(CHANNELS))
    def make_batch(self, which: int, channel: str) -> None:
        posted = self._rows(Distribution, Distribution.state == "POSTED")
        if posted:
            number = posted[which % len(posted)].id
            may = any(self._takes(channel, household, fen) for household, fen in self._owed(number).items())
            self.tried(may, lambda: payout_batch.make(number, actor=self.market.accountant, channel=channel))

    @precondition(lambda self: self._has(PayoutBatch, "DRAFT"))
    @rule(agrees=st.sampled_from((True, True, True, False)))
    def director_checks_batch(self, agrees: bool) -> None:
        row = self._oldest(PayoutBatch, "DRAFT")
        if row:
            number, version = row.id, row.version
            self.tried(
                True, lambda: payout_batch.approve(number, actor=self.market.director, version=version, approved=agrees, reason="核对")
            )

    @precondition(lambda self: self._has(PayoutBatch, "APPROVED"))
    @rule(returned=st.sampled_from((False, False, False, True)))
    def the_batch_goes(self, returned: bool = False) -> None:
        """To the bank as its file, or to Alipay, one transfer a household; or the director takes the word back while nobody has it."""
        row = self._oldest(PayoutBatch, "APPROVED")
        if row is None:
            return
        number, version = row.id, row.version
        if returned:
            self.tried(True, lambda: payout_batch.approve(number, actor=self.market.director, version=version, approved=False, reason="先不发"))
        elif row.channel == "alipay":
            self.tried(True, lambda: payout_batch.start(number, actor=self.market.accountant, version=version))
        else:
            self.tried(True, lambda: payout_batch.mark_sent(number, actor=self.market.accountant))

    # What Alipay says

    @precondition(lambda self: self._has(Transfer, *TRANSFER_STATES))
    @rule(which=st.integers(0, 7), said=st.sampled_from(("SUCCESS", "SUCCESS", "FAIL", "REFUND", "unknown")), days_ago=st.sampled_from((0, 0, 3, 40)))
    def alipay_answers(self, which: int, said: str, days_ago: int = 0) -> None:
        """About any transfer, at its end or not, and perhaps late: what is known already, or can no longer be, changes nothing."""
        rows = self._rows(Transfer)
        if not rows:
            return
        number, at = rows[which % len(rows)].id, self.now - timedelta(days=days_ago)
        answers: dict[str, Callable[[], Any]] = {
            "SUCCESS": lambda: transfer.succeed(number, "2026", at), "FAIL": lambda: transfer.fail(number, "PAYEE_NOT_EXIST"),
            "REFUND": lambda: transfer.come_back(number, ""), "unknown": lambda: transfer.unsure(number, "timeout"),
        }  # fmt: skip
        self.tried(True, answers[said])

    @precondition(lambda self: self._has(Transfer, *transfer.GOING))
    @rule()
    def alipay_is_short(self) -> None:
        """The balance there does not reach: the batch of the oldest transfer stops."""
        row = self._oldest(Transfer, *transfer.GOING)
        if row:
            number = row.id
            self.tried(True, lambda: transfer.handlers[payout_transfer.KIND].short(db.session.get_one(Transfer, number), "PAYER_BALANCE_NOT_ENOUGH"))

    @precondition(lambda self: self._has(PayoutBatch, "SENT"))
    @rule()
    def a_batch_goes_on(self) -> None:
        """If it has stopped."""
        for row in self._rows(PayoutBatch, PayoutBatch.state == "SENT", PayoutBatch.channel == "alipay")[:1]:
            number, version, may = row.id, row.version, row.stopped_at is not None
            self.tried(may, lambda n=number, v=version: payout_batch.go_on(n, actor=self.market.accountant, version=v))  # type: ignore[misc]

    # What the bank says

    @precondition(lambda self: self._has(PayoutBatch, "SENT", "DONE"))
    @rule(which=st.integers(0, 3), said=st.lists(_SAID, min_size=3, max_size=5))
    def bank_answers(self, which: int, said: Sequence[str]) -> None:
        """About some households of a batch that it has; what contradicts an earlier answer is refused whole."""
        sent = self._rows(PayoutBatch, PayoutBatch.state.in_(("SENT", "DONE")), PayoutBatch.channel == "bank")
        if not sent:
            return
        row = sent[which % len(sent)]
        answers = [(item, word) for item, word in zip(payout_batch.items_of(row.id), itertools.cycle(said), strict=False) if word]
        may = bool(answers) and all(word in FITS[item.state] for item, word in answers)
        lines = [f"{row.number},{item.sequence},{yuan(item.fen)},{word},{'' if word == 'paid' else '账号不符'}" for item, word in answers]
        content, number = "\n".join(["number,sequence,amount,result,reason", *lines]).encode(), row.id
        self.tried(may, lambda: payout_batch.import_results(number, content, actor=self.market.accountant))

    @precondition(lambda self: self._has(PayoutItem, *ON_THE_WAY))
    @rule(which=st.integers(0, 5), outcome=st.sampled_from(("paid", "returned", "refused")))
    def somebody_asks_the_bank(self, which: int, outcome: str) -> None:
        """And says of one payment what no file said; of Alipay's nobody may."""
        waiting = self._rows(PayoutItem, PayoutItem.state.in_((*ON_THE_WAY, "paid")))
        if waiting:
            item = waiting[which % len(waiting)]
            told = any(word.said_by_id is not None for word in payout_word.words_of(item.id))
            fits = item.state in ON_THE_WAY or (outcome == "returned" and not told)  # a file's "paid" may come back later
            number, may = item.id, fits and db.session.get_one(PayoutBatch, item.batch_id).channel == "bank"
            self.tried(may, lambda: payout_word.say(number, outcome, "柜面查询回单", actor=self.market.accountant))

    @precondition(lambda self: self._has(PayoutItem, "paid"))
    @rule(which=st.integers(0, 5), decided=st.sampled_from((True, True, False)))
    def a_payment_was_never_made(self, which: int, decided: bool) -> None:
        """So says the accountant; the director's word may wait."""
        paid = self._rows(PayoutItem, PayoutItem.state == "paid")
        if paid:
            item = paid[which % len(paid)]
            number, may = item.id, db.session.get_one(PayoutBatch, item.batch_id).channel == "bank"
            made = self.tried(may, lambda: payout_reversal.propose(number, "流水上没有这一笔", actor=self.market.accountant))
            if made and decided:
                self.director_decides_on_a_reversal(True)

    @precondition(lambda self: self._has(PayoutReversal, "PROPOSED"))
    @rule(agrees=st.booleans())
    def director_decides_on_a_reversal(self, agrees: bool) -> None:
        """It may have come back from the bank meanwhile."""
        row = self._oldest(PayoutReversal, "PROPOSED")
        if row:
            number, version, may = row.id, row.version, not agrees or db.session.get_one(PayoutItem, row.item_id).state == "paid"
            self.tried(
                may, lambda: payout_reversal.decide(number, actor=self.market.director, version=version, approved=agrees, answer="流水上有这一笔")
            )

    @precondition(lambda self: self._has(PayoutBatch, "SENT", "DONE"))
    @rule(which=st.integers(0, 3), channel=st.sampled_from(CHANNELS))
    def issue_again(self, which: int, channel: str) -> None:
        batches = self._rows(PayoutBatch)
        if batches:
            number = batches[which % len(batches)].id
            may = any(self._takes(channel, item.household_id, item.fen) for item in self._rows(PayoutItem, PayoutItem.batch_id == number, PayoutItem.state == "returned"))
            self.tried(may, lambda: payout_batch.reissue(number, actor=self.market.accountant, channel=channel))

    def payouts_go_on(self) -> bool:
        """One step of what happens to most batches; False if there is none under way. Of each, one household is not reached at first."""
        if sent := self._oldest(PayoutBatch, "SENT"):
            if sent.channel == "bank":
                self.bank_answers(self._rows(PayoutBatch, PayoutBatch.channel == "bank", PayoutBatch.state.in_(("SENT", "DONE"))).index(sent), ("paid", "returned", "paid"))
            while going := self._oldest(Transfer, *transfer.GOING):
                self.alipay_answers(self._rows(Transfer).index(going), "REFUND" if going.id % 3 == 1 else "SUCCESS")
            self.issue_again(-1, "bank")
        elif self._has(PayoutBatch, "APPROVED"):
            self.the_batch_goes()
        elif self._has(PayoutBatch, "DRAFT"):
            self.director_checks_batch(True)
        else:
            return False
        return True

    def _owed(self, distribution_id: int) -> Counter[int]:
        """What of a distribution nobody is paying, household by household."""
        left = Counter[int]()
        for share in db.session.scalars(select(DistributionShare).where(DistributionShare.distribution_id == distribution_id)):
            left[share.household_id] += share.fen
        for move in self._rows(CreditMove, CreditMove.distribution_id == distribution_id):
            left[move.household_id] += move.fen
        live = select(PayoutItem).join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id).where(PayoutBatch.distribution_id == distribution_id)
        for item in db.session.scalars(live.where(PayoutBatch.state != "CANCELLED", PayoutItem.state != "reissued")):
            left[item.household_id] -= item.fen
        return left

    def _takes(self, channel: str, household: int, fen: int) -> bool:
        home = db.session.get_one(Household, household)
        return fen >= 10 and bool(home.alipay_account and home.alipay_name) if channel == "alipay" else fen > 0 and bool(home.bank_account)
