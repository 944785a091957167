"""A word on one payment that no results file said: a person's, with the reason; or the bank statement's, on which the money stands.

It settles what waits in transit, as a line of a results file would. Every word is kept with who said it.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Identified, Model, db, locked, not_found
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor
from marketplace.settlement import payout_found, payout_import
from marketplace.settlement.payout_answer import Result
from marketplace.settlement.payout_item import PayoutBatch, PayoutItem

OUTCOMES = ("paid", "returned", "refused")
WAITING = ("sent", "unknown")


class PayoutWord(Identified, Model):
    """``said_by_id`` is None where the statement's row ``row_id`` says it."""

    __tablename__ = "payout_word"
    __table_args__ = (
        CheckConstraint("outcome IN ('paid','returned','refused')", name="outcome"),
        CheckConstraint("(said_by_id IS NULL) <> (row_id IS NULL)", name="whose"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("payout_item.id"), index=True)
    outcome: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str] = mapped_column(String(300))
    said_at: Mapped[datetime]
    said_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    row_id: Mapped[int | None] = mapped_column(ForeignKey("statement_row.id"))


def say(item_id: int, outcome: str, reason: str, *, actor: Actor) -> PayoutWord:
    """What became of a payment of which the bank gave no result, as somebody found out. By the accountant or the director.

    paid: it was debited and arrived; returned: debited and credited back, also after the bank's file said "paid"; refused: never debited. What
    comes back waits to be issued again, which the director approves. Raises InvalidInput ``word.outcome``, ``reason.missing``; Conflict ``payout.told`` if it has a result,
    ``payout.channel`` of a batch over Alipay, which is asked and not told.
    """
    actor.must_have("COOPERATIVE", "accountant", "director")
    item = db.session.get(PayoutItem, item_id)
    if item is None or item.organisation_id != actor.organisation_id:
        raise not_found(PayoutItem)
    if outcome not in OUTCOMES:
        raise InvalidInput("word.outcome", N_("请选这一笔怎么样了。"), field="outcome")
    if not 4 <= len(reason.strip()) <= 300:
        raise InvalidInput("reason.missing", N_("请写明怎么知道的（问了谁、凭什么），4 到 300 个字。"), field="reason")
    batch = locked(PayoutBatch, item.batch_id)
    if batch.channel != "bank":
        raise Conflict("payout.channel", N_("这一批走支付宝，结果由系统去问，没有回盘文件。"))
    made = _settle(batch, item, outcome, reason.strip(), said_by_id=actor.person_id)
    audit.record("payout.said", item, person_id=actor.person_id, outcome=outcome, fen=item.fen)
    return made


def shown(item: PayoutItem, outcome: str, remark: str, *, row_id: int) -> PayoutWord:
    """What the bank's statement shows of a payment: debited (paid), if it waits for that, or credited back (returned)."""
    batch = locked(PayoutBatch, item.batch_id)
    made = _settle(batch, item, outcome, remark[:300] or outcome, row_id=row_id)
    audit.record("payout.shown", item, outcome=outcome, fen=item.fen, row_id=row_id)
    return made


def words_of(item_id: int) -> list[PayoutWord]:
    """What was said of a payment, in order."""
    return list(db.session.scalars(select(PayoutWord).where(PayoutWord.item_id == item_id).order_by(PayoutWord.id)))


def may_say_back(item: PayoutItem) -> bool:
    """Whether a person may say that what was paid came back later: where the bank's file said that it was paid. What a person said is not
    undone by another word, but by two people; nor what two people found."""
    return item.state == "paid" and all(word.said_by_id is None for word in words_of(item.id)) and payout_found.of_payment(item.id) is None


def _settle(batch: PayoutBatch, item: PayoutItem, outcome: str, reason: str, *, said_by_id: int | None = None, row_id: int | None = None) -> PayoutWord:
    db.session.refresh(item)
    if item.state not in WAITING and not (outcome == "returned" and item.state == "paid" and (row_id is not None or may_say_back(item))):
        raise Conflict("payout.told", N_("这一笔已经有结果了，请刷新页面看看。"), state=item.state)
    standing = payout_import.Standing(batch.id, [item.sequence])
    payout_import.take(batch, standing, [Result(item.sequence, item.fen, outcome, "" if outcome == "paid" else reason[:120])], person_id=said_by_id)
    made = PayoutWord(
        organisation_id=item.organisation_id, item_id=item.id, outcome=outcome, reason=reason, said_at=clock.now(), said_by_id=said_by_id, row_id=row_id
    )
    db.session.add(made)
    db.session.flush()
    return made
