"""Payouts in any order, as ``any_money`` plays them: over the bank and over Alipay, answered in whatever way, and issued again by either."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from sqlalchemy import select

from marketplace.foundation.database import db
from marketplace.payments import transfer
from marketplace.payments.transfer import STATES as TRANSFER_STATES
from marketplace.payments.transfer import Transfer
from marketplace.settlement import payout_batch
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.distribution_share import DistributionShare
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from marketplace.settlement.payout_file import yuan
from tests.settlement.money_holds import MoneyHolds

CHANNELS = ("bank", "alipay")


class MayTransfer:
    """All that is asked of a channel here: what Alipay answers is said by ``alipay_answers``."""

    def may_transfer(self) -> bool:
        return True


class AnyPayout(MoneyHolds):
    """``with_alipay`` are the households that have an account there."""

    with_alipay: Sequence[int] = ()

    @precondition(lambda self: self._has(Distribution, "POSTED"))
    @rule(which=st.integers(0, 3), channel=st.sampled_from(CHANNELS))
    def make_batch(self, which: int, channel: str) -> None:
        posted = list(db.session.scalars(select(Distribution).where(self._own(Distribution), Distribution.state == "POSTED")))
        if posted:
            row = posted[which % len(posted)]
            number = row.id
            self.tried(self._owes(row, channel), lambda: payout_batch.make(number, actor=self.market.accountant, channel=channel))

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
    @rule()
    def the_batch_goes(self) -> None:
        """To the bank as its file, or to Alipay, one transfer a household."""
        row = self._oldest(PayoutBatch, "APPROVED")
        if row and row.channel == "alipay":
            number, version = row.id, row.version
            self.tried(True, lambda: payout_batch.start(number, actor=self.market.accountant, version=version))
        elif row:
            number = row.id
            self.tried(True, lambda: payout_batch.mark_sent(number, actor=self.market.accountant))

    @precondition(lambda self: self._has(Transfer, *TRANSFER_STATES))
    @rule(which=st.integers(0, 5), said=st.sampled_from(("SUCCESS", "SUCCESS", "FAIL", "REFUND", "unknown")))
    def alipay_answers(self, which: int, said: str) -> None:
        """About any transfer, at its end or not: what is known already, or can no longer be, changes nothing."""
        rows = list(db.session.scalars(select(Transfer).where(self._own(Transfer)).order_by(Transfer.id)))
        if not rows:
            return
        number = rows[which % len(rows)].id
        answers: dict[str, Callable[[], Any]] = {
            "SUCCESS": lambda: transfer.succeed(number, "2026", None), "FAIL": lambda: transfer.fail(number, "PAYEE_NOT_EXIST"),
            "REFUND": lambda: transfer.come_back(number, ""), "unknown": lambda: transfer.unsure(number, "timeout"),
        }  # fmt: skip
        self.tried(True, answers[said])

    @precondition(lambda self: self._has(PayoutBatch, "SENT", "DONE"))
    @rule(which=st.integers(0, 3), said=st.lists(st.sampled_from(("paid", "paid", "returned", "refused", "")), min_size=3, max_size=3))
    def bank_answers(self, which: int, said: Sequence[str]) -> None:
        """About some households of a batch that it has; what contradicts an earlier answer is refused whole."""
        at_bank = PayoutBatch.state.in_(("SENT", "DONE")) & (PayoutBatch.channel == "bank")
        sent = list(db.session.scalars(select(PayoutBatch).where(self._own(PayoutBatch), at_bank)))
        if not sent:
            return
        row = sent[which % len(sent)]
        answers = [(item, word) for item, word in zip(payout_batch.items_of(row.id), said, strict=False) if word]
        fits = {
            "sent": {"paid", "returned", "refused"}, "paid": {"paid", "returned"},
            "returned": {"returned", "refused"}, "reissued": {"returned", "refused"},
        }  # fmt: skip
        may = bool(answers) and all(word in fits[item.state] for item, word in answers)
        lines = [f"{row.number},{item.sequence},{yuan(item.fen)},{word},{'' if word == 'paid' else '账号不符'}" for item, word in answers]
        content, number = "\n".join(["number,sequence,amount,result,reason", *lines]).encode(), row.id
        self.tried(may, lambda: payout_batch.import_results(number, content, actor=self.market.accountant))

    @precondition(lambda self: self._has(PayoutBatch, "SENT", "DONE"))
    @rule(which=st.integers(0, 3), channel=st.sampled_from(CHANNELS))
    def issue_again(self, which: int, channel: str) -> None:
        batches = list(db.session.scalars(select(PayoutBatch).where(self._own(PayoutBatch))))
        if batches:
            number = batches[which % len(batches)].id
            back = db.session.scalars(select(PayoutItem).where(PayoutItem.batch_id == number, PayoutItem.state == "returned"))
            may = any(self._takes(channel, item.household_id, item.fen) for item in back)
            self.tried(may, lambda: payout_batch.reissue(number, actor=self.market.accountant, channel=channel))

    def _owes(self, row: Distribution, channel: str) -> bool:
        """Whether somebody whom the channel reaches has money of the distribution that no batch pays."""
        left = Counter[int]()
        for share in db.session.scalars(select(DistributionShare).where(DistributionShare.distribution_id == row.id)):
            left[share.household_id] += share.fen
        live = select(PayoutItem).join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id)
        for item in db.session.scalars(live.where(PayoutBatch.distribution_id == row.id, PayoutBatch.state != "CANCELLED", PayoutItem.state != "reissued")):
            left[item.household_id] -= item.fen
        return any(self._takes(channel, household, fen) for household, fen in left.items())

    def _takes(self, channel: str, household: int, fen: int) -> bool:
        return fen >= 10 and household in self.with_alipay if channel == "alipay" else fen > 0

    def _has(self, model: Any, *states: str) -> bool:
        return self._oldest(model, *states) is not None

    def _oldest(self, model: Any, *states: str) -> Any:
        db.session.expire_all()
        return db.session.scalars(select(model).where(self._own(model), model.state.in_(states)).order_by(model.id)).first()
