"""A payment that the books call paid and that was never made, or that two people found to be made and that came back: two people say so,
with the reason, and what was posted is reversed.

The bank's results file was wrong, or somebody's word was. The entry stays; a new one, in the open period, takes this payment's part
of it back: the money lies in the bank, and the household is owed it again and can be paid under a new number.
"""

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, select, text
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit
from marketplace.foundation.database import Model, db, locked, not_found
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.ledger import share_event
from marketplace.ledger.entry import JournalEntry
from marketplace.ledger.posting import Source
from marketplace.organisations.actor import Actor
from marketplace.organisations.proposal import TWO_PEOPLE, Proposal, put
from marketplace.settlement import payout_found, payout_twice
from marketplace.settlement.payout_item import PayoutBatch, PayoutItem

_WAITS, _ONCE = text("state = 'PROPOSED'"), text("state = 'DONE' AND kind = 'UNMADE'")


class PayoutReversal(Proposal, Model):
    """PROPOSED → DONE (posted by ``entry_id``) or RETURNED. ``kind``: UNMADE, never made (a payment is so reversed once: what is paid again is
    another payment); BACK, made as two people found, and credited back."""

    __tablename__ = "payout_reversal"
    not_now = ("reversal.state", N_("这一条已经有人决定过了，请刷新页面看看。"))
    __table_args__ = (
        CheckConstraint("state IN ('PROPOSED','DONE','RETURNED')", name="state"),
        CheckConstraint(TWO_PEOPLE, name="two_people"),
        CheckConstraint("(state = 'DONE') = (entry_id IS NOT NULL)", name="entry"),
        CheckConstraint("kind IN ('UNMADE','BACK')", name="kind"),
        Index("uq_payout_reversal_item", "item_id", unique=True, sqlite_where=_WAITS, postgresql_where=_WAITS),
        Index("uq_payout_reversal_once", "item_id", unique=True, sqlite_where=_ONCE, postgresql_where=_ONCE),
    )

    item_id: Mapped[int] = mapped_column(ForeignKey("payout_item.id"))
    kind: Mapped[str] = mapped_column(String(6), default="UNMADE", server_default="UNMADE")
    fen: Mapped[int]
    reason: Mapped[str] = mapped_column(String(300))
    state: Mapped[str] = mapped_column(String(8), default="PROPOSED")
    answer: Mapped[str] = mapped_column(String(300), default="")
    entry_id: Mapped[int | None]


def propose(item_id: int, reason: str, *, actor: Actor, kind: str = "UNMADE") -> PayoutReversal:
    """Say that a payment that is recorded as paid was never made, or (``kind`` BACK, of one that two people found) that it came back. By the
    accountant or the director; the same again is the same row.

    Raises InvalidInput ``reason.missing``, Conflict ``payout.unpaid`` unless it is recorded as paid (BACK: by two people's word),
    ``payout.channel`` over Alipay, ``reversal.done`` if it was reversed as never made before.
    """
    actor.must_have("COOPERATIVE", "accountant", "director")
    item = db.session.get(PayoutItem, item_id)
    if item is None or item.organisation_id != actor.organisation_id:
        raise not_found(PayoutItem)
    if not 4 <= len(reason.strip()) <= 300:
        raise InvalidInput("reason.missing", N_("请写明凭什么这样说（银行流水、柜面查询），4 到 300 个字。"), field="reason")
    locked(PayoutBatch, item.batch_id)  # whoever says so at the same time finds the first one's word
    db.session.refresh(item)
    _paid(item)
    if kind == "BACK" and payout_found.of_payment(item.id) is None:
        raise Conflict("payout.unpaid", N_("这一笔不是两个人核对过才记为到账的，不用请另一个人核对，直接记下退回。"), state=item.state)
    return _waiting(item.id) or _proposed(item, reason.strip(), kind, actor.person_id)


def say(item: PayoutItem, reason: str, *, kind: str, person_id: int) -> bool:
    """The bank's own results say so of what two people found: it waits for the second person. Whether that is new."""
    if item.state != "paid" or _waiting(item.id) is not None:
        return False
    _proposed(item, reason[:300], kind, person_id)
    return True


def spoken(batch_id: int) -> dict[int, str]:
    """What people said of a batch's payments against the bank's results, by sequence: "found" (by two, made), "found again" (after it had been
    reversed), "asked" while the second person's word on it is awaited."""
    found = payout_found.standing(batch_id)
    query = select(PayoutItem.sequence, PayoutReversal.kind, PayoutReversal.state).join(PayoutReversal, PayoutReversal.item_id == PayoutItem.id)
    said = {(sequence, kind, state) for sequence, kind, state in db.session.execute(query.where(PayoutItem.batch_id == batch_id))} if found else set()
    told = {}
    for sequence, state in found.items():
        if state == "PROPOSED" or any((sequence, kind, "PROPOSED") in said for kind in ("UNMADE", "BACK")):
            told[sequence] = "asked"
        else:
            told[sequence] = "found again" if (sequence, "UNMADE", "DONE") in said else "found"
    return told


def decide(reversal_id: int, *, actor: Actor, version: int, approved: bool, answer: str = "") -> PayoutReversal:
    """The director's word, who is not the one who said so. Approved, the payment's part of what was posted is reversed.

    Raises OwnWork, InvalidInput ``reason.missing`` if it is returned without one, Conflict ``reversal.state``, ``payout.unpaid``.
    """
    actor.must_have("COOPERATIVE", "director")
    row = db.session.get(PayoutReversal, reversal_id)
    if row is None or row.organisation_id != actor.organisation_id:
        raise not_found(PayoutReversal)
    item = db.session.get_one(PayoutItem, row.item_id)
    batch = locked(PayoutBatch, item.batch_id)
    row = locked(PayoutReversal, reversal_id)
    row.decide(actor=actor, version=version, approved=approved, reason=answer)
    row.answer = answer.strip()[:300]
    if approved:
        db.session.refresh(item)
        _paid(item)
        _post(row, batch, item)
        audit.record("payout_reversal.done", row, person_id=actor.person_id, item_id=item.id, fen=row.fen, entry_id=row.entry_id)
    else:
        row.state = "RETURNED"
    db.session.flush()
    return row


def of_item(item_id: int) -> list[PayoutReversal]:
    """What was said of a payment, the latest last."""
    return list(db.session.scalars(select(PayoutReversal).where(PayoutReversal.item_id == item_id).order_by(PayoutReversal.id)))


def of_batch(batch_id: int, *states: str) -> list[tuple[PayoutReversal, PayoutItem]]:
    """A batch's reversals in these states, with what they are of."""
    query = (
        select(PayoutReversal, PayoutItem)
        .join(PayoutItem, PayoutItem.id == PayoutReversal.item_id)
        .where(PayoutItem.batch_id == batch_id, PayoutReversal.state.in_(states))
        .order_by(PayoutReversal.id)
        .limit(100)
    )
    return [(row, item) for row, item in db.session.execute(query)]


def _waiting(item_id: int) -> PayoutReversal | None:
    return db.session.scalars(select(PayoutReversal).where(PayoutReversal.item_id == item_id, PayoutReversal.state == "PROPOSED")).one_or_none()


def _proposed(item: PayoutItem, reason: str, kind: str, person_id: int) -> PayoutReversal:
    unmade = select(PayoutReversal.id).where(PayoutReversal.item_id == item.id, PayoutReversal.state == "DONE", PayoutReversal.kind == "UNMADE")
    if kind == "UNMADE" and db.session.scalar(unmade) is not None:
        raise Conflict("reversal.done", N_("这一笔冲回过一次，后来又查明付了，不能再冲一次。请联系运营方。"))
    row = PayoutReversal(organisation_id=item.organisation_id, item_id=item.id, kind=kind, fen=item.fen, reason=reason)
    return put(row, "payout_reversal.proposed", person_id=person_id, item_id=item.id, fen=item.fen, kind=kind)


def _post(row: PayoutReversal, batch: PayoutBatch, item: PayoutItem) -> None:
    found = payout_found.of_payment(item.id)
    debit = _debit(batch, item) if found is None else db.session.get_one(JournalEntry, found.entry_id)
    undone = db.session.get(JournalEntry, debit.reverses_id) if found is not None and debit.reverses_id else None
    if row.kind == "BACK" and (undone is None or undone.kind != "payout_returned"):
        # It was debited, as was found, and credited back: two movements at the bank, and two in the books.
        batch.version += 1
        credited = share_event.payout_returned(book=row.organisation_id, source=Source("payout_batch", batch.id, batch.version), households=[(item.household_id, item.fen)])
        row.entry_id, row.state = credited, "DONE"
        item.state, item.reason, item.paid_at = "returned", row.reason[:120], None
        payout_found.came_back(batch, {item.sequence})
        payout_twice.one_came_back(batch, {item.sequence})
        return
    # Of what the books knew as returned before, that entry holds again: the bank debited once and credited once.
    unmade = share_event.payout_unmade(
        book=row.organisation_id, source=Source("payout_reversal", row.id), household_id=item.household_id, fen=item.fen,
        beyond_fen=found.beyond_fen if found else 0, reverses_id=undone.id if undone else debit.id, at=debit.event_at,
    )  # fmt: skip
    row.entry_id, row.state = unmade, "DONE"  # together: no statement in between may write one without the other
    item.state, item.reason, item.paid_at = "returned", row.reason[:120], None
    if found is not None:
        payout_found.undo(found, batch, item)
    db.session.flush()
    payout_twice.one_came_back(batch, {item.sequence})


def _paid(item: PayoutItem) -> None:
    batch = db.session.get_one(PayoutBatch, item.batch_id)
    if batch.channel != "bank":
        raise Conflict("payout.channel", N_("这一笔是支付宝转的，有没有付出由支付宝说了算，不能在这里冲回。"))
    if item.state != "paid":
        raise Conflict("payout.unpaid", N_("这一笔没有记为到账，不用冲回。"), state=item.state)


def _debit(batch: PayoutBatch, item: PayoutItem) -> JournalEntry:
    """The entry by which the payment was debited: with others of its file, or alone."""
    query = select(JournalEntry).where(
        JournalEntry.kind == "payout_debited", JournalEntry.source_type == "payout_batch", JournalEntry.source_id == batch.id
    )
    if item.debited is not None:
        return db.session.scalars(query.where(JournalEntry.source_seq == item.debited)).one()
    # Written before it was noted: the entry of just then, and of the oldest way one of the item itself.
    alone = select(JournalEntry).where(
        JournalEntry.kind == "payout_debited", JournalEntry.source_type == "payout_item", JournalEntry.source_id == item.id
    )
    its = db.session.scalars(alone).first()
    if its is None:
        its = min(db.session.scalars(query), key=lambda each: abs((each.posted_at - (item.paid_at or each.posted_at)).total_seconds()), default=None)
    if its is None:
        raise Conflict("payout.unpaid", N_("没有找到这一笔的扣款分录，请联系运营方。"))
    return its


