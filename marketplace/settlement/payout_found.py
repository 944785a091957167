"""A payment that the books call not made (sent back, refused, or of a batch that was cancelled) and that the bank did make: two people say so.

A new entry takes it from the household's credit. What of that has been paid to the household a second time meanwhile is the
cooperative's own loss: no household ever owes. It waits as a task until somebody says how it ended.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    CompoundSelect,
    ForeignKey,
    Index,
    Select,
    String,
    func,
    select,
    text,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.orm import Mapped, aliased, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Model, db, locked, not_found
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.ledger import share_event
from marketplace.ledger.account import Account, owner_of
from marketplace.ledger.entry import JournalEntry, JournalLine
from marketplace.ledger.posting import Source
from marketplace.organisations.actor import Actor, own_row
from marketplace.organisations.proposal import TWO_PEOPLE, Proposal, put
from marketplace.settlement import household_credit, payout_cap, payout_recall
from marketplace.settlement.distribution_share import Distribution
from marketplace.settlement.household_credit import CreditMove
from marketplace.settlement.payout_item import UNSEEN, PayoutBatch, PayoutItem, seen_anew

BACK = ("returned", "reissued")
SECOND = N_("同一笔钱又做进了另一批，还没有结果。没有交银行的先撤回那一批，交了的等它有结果，再来更正。")
UNDER_WAY = ("draft", "approved", "sent", "unknown")
_STANDS = text("state <> 'RETURNED' AND undone_at IS NULL")


class PayoutFound(Proposal, Model):
    """PROPOSED → DONE (posted by ``entry_id``) or RETURNED. ``beyond_fen`` is what the household had been paid already; ``was`` what the
    item was called before; ``undone_at`` is when it came back after all, or was reversed: it may be found again."""

    __tablename__ = "payout_found"
    not_now = ("found.decided", N_("这一条已经有人决定过了，请刷新页面看看。"))
    __table_args__ = (
        CheckConstraint("state IN ('PROPOSED','DONE','RETURNED')", name="state"),
        CheckConstraint(TWO_PEOPLE, name="two_people"),
        CheckConstraint("(state = 'DONE') = (entry_id IS NOT NULL)", name="entry"),
        CheckConstraint("beyond_fen >= 0 AND beyond_fen <= fen", name="beyond"),
        Index("uq_payout_found_item", "item_id", unique=True, sqlite_where=_STANDS, postgresql_where=_STANDS),
    )

    item_id: Mapped[int] = mapped_column(ForeignKey("payout_item.id"))
    fen: Mapped[int]
    reason: Mapped[str] = mapped_column(String(300))
    state: Mapped[str] = mapped_column(String(8), default="PROPOSED")
    answer: Mapped[str] = mapped_column(String(300), default="")
    was: Mapped[str] = mapped_column(String(10), default="")
    entry_id: Mapped[int | None]
    beyond_fen: Mapped[int] = mapped_column(default=0)
    ended_at: Mapped[datetime | None]
    ended_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    ending: Mapped[str] = mapped_column(String(300), default="")  # how what was paid twice ended
    undone_at: Mapped[datetime | None]

    @property
    def stands(self) -> bool:
        """Whether the payment is paid by it: two people said so, and nobody undid it."""
        return self.state == "DONE" and self.undone_at is None


def propose(item_id: int, reason: str, *, actor: Actor) -> PayoutFound:
    """Say that the bank did make a payment that is recorded as not made. By the accountant or the director; the same again is the same row.

    Raises InvalidInput ``reason.missing``, Conflict ``found.state`` unless it came back, was refused, or is of a cancelled batch whose file
    was handed out; ``payout.channel`` over Alipay.
    """
    actor.must_have("COOPERATIVE", "accountant", "director")
    item = db.session.get(PayoutItem, item_id)
    if item is None or item.organisation_id != actor.organisation_id:
        raise not_found(PayoutItem)
    if not 4 <= len(reason.strip()) <= 300:
        raise InvalidInput("reason.missing", N_("请写明凭什么说银行付了（流水、回单、本人收到），4 到 300 个字。"), field="found")
    batch = locked(PayoutBatch, item.batch_id)  # whoever says so at the same time finds the first one's word
    db.session.refresh(item)
    must_be_findable(batch, item)
    return _proposed(item, reason.strip(), actor.person_id)


def decide(found_id: int, *, actor: Actor, version: int, approved: bool, answer: str = "") -> PayoutFound:
    """The director's word, who is not the one who said so. Approved, the payment is posted and stands as paid.

    Raises OwnWork, InvalidInput ``reason.missing`` if it is returned without one, Conflict ``found.decided``, ``found.state``;
    ``found.second`` while the same money waits in another batch: first that one is withdrawn, or has its result.
    """
    actor.must_have("COOPERATIVE", "director")
    row = db.session.get(PayoutFound, found_id)
    if row is None or row.organisation_id != actor.organisation_id:
        raise not_found(PayoutFound)
    # Whoever batches, divides or moves the same credit waits: what the household is owed is read after that.
    payout_cap.hold(row.organisation_id)
    item = db.session.get_one(PayoutItem, row.item_id)
    locked(Distribution, db.session.get_one(PayoutBatch, item.batch_id).distribution_id)
    batch = locked(PayoutBatch, item.batch_id)
    row = locked(PayoutFound, found_id)
    row.decide(actor=actor, version=version, approved=approved, reason=answer)
    row.answer = answer.strip()[:300]
    if approved:
        db.session.refresh(item)
        must_be_findable(batch, item)
        _post(row, batch, item)
        audit.record("payout_found.done", row, person_id=actor.person_id, item_id=item.id, fen=row.fen, beyond_fen=row.beyond_fen, entry_id=row.entry_id)
    else:
        row.state = "RETURNED"
    db.session.flush()
    return row


def end(found_id: int, ending: str, *, actor: Actor, version: int) -> PayoutFound:
    """Say how what was paid twice ended: given back (the statement shows it as a row of its own), or borne. Nothing is posted here.

    By the accountant or the director. Raises InvalidInput ``reason.missing``, Conflict ``found.ended``.
    """
    row = own_row(PayoutFound, found_id, actor, "accountant", "director")
    row.must_be_version(version)
    if not row.beyond_fen or row.ended_at is not None:
        raise Conflict("found.ended", N_("这一笔没有多付的钱要了结，请刷新页面看看。"))
    if not 4 <= len(ending.strip()) <= 300:
        raise InvalidInput("reason.missing", N_("请写明多付的钱怎么了结的，4 到 300 个字。"), field="ending")
    row.ended_at, row.ended_by_id, row.ending = clock.now(), actor.person_id, ending.strip()
    db.session.flush()
    audit.record("payout_found.ended", row, person_id=actor.person_id, beyond_fen=row.beyond_fen)
    db.session.flush()
    return row


def say(item: PayoutItem, reason: str, *, person_id: int) -> bool:
    """The bank's own results say so: it waits for the second person. Whether that is new."""
    if item.state == "paid" or db.session.scalar(select(PayoutFound.id).where(PayoutFound.item_id == item.id, _stands())) is not None:
        return False
    _proposed(item, reason, person_id)
    return True


def came_back(batch: PayoutBatch, sequences: Collection[int]) -> None:
    """What was found came back after all. What of it had been paid twice is the cooperative's again, and not the household's to be paid once more."""
    for row, item in _found_in(batch.id):
        if item.sequence not in sequences:
            continue
        row.undone_at = clock.now()
        if row.beyond_fen:
            share_event.payout_found_back(book=row.organisation_id, source=Source("payout_found", row.id), household_id=item.household_id, fen=row.beyond_fen)
            _unbear(row, batch, item)
            item.state, item.moved = "reissued", True
    db.session.flush()


def of_payment(item_id: int) -> PayoutFound | None:
    """By what a payment stands as paid, if two people found it."""
    return db.session.scalars(select(PayoutFound).where(PayoutFound.item_id == item_id, PayoutFound.state == "DONE", _stands())).one_or_none()


def standing(batch_id: int) -> dict[int, str]:
    """Of a batch's payments, by sequence: PROPOSED or DONE where somebody says, or two people said, that it was made."""
    query = select(PayoutItem.sequence, PayoutFound.state).join(PayoutFound, PayoutFound.item_id == PayoutItem.id)
    return dict(db.session.execute(query.where(PayoutItem.batch_id == batch_id, _stands())).all())


def only_twice() -> Select[int]:
    """Ids of payments that were found when all of it had been paid already."""
    return select(PayoutFound.item_id).where(PayoutFound.beyond_fen == PayoutFound.fen, PayoutFound.state == "DONE", _stands())


def arrived(columns: Sequence[Any], *of: ColumnElement[bool]) -> CompoundSelect[Any]:
    """(``columns``, fen) of payments that were made, and below zero what of them had been paid already: summed, what reached households. Columns
    and conditions are of PayoutItem and PayoutBatch."""
    paid = select(*columns, PayoutItem.fen.label("fen")).join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id).where(PayoutItem.state == "paid", *of)
    twice = (
        select(*columns, -PayoutFound.beyond_fen)
        .select_from(PayoutFound)
        .join(PayoutItem, PayoutItem.id == PayoutFound.item_id)
        .join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id)
        .where(PayoutFound.beyond_fen > 0, PayoutFound.state == "DONE", _stands(), *of)
    )
    return union_all(paid, twice)


def undo(row: PayoutFound, batch: PayoutBatch, item: PayoutItem) -> None:
    """It was never made after all: what the cooperative bore of it is its own again, and the item is called what it was."""
    if row.beyond_fen:
        _unbear(row, batch, item)
    row.undone_at = clock.now()
    item.state = row.was if row.was == "returned" else "reissued"


def of_item(item_id: int) -> list[PayoutFound]:
    """What was said of a payment, the latest last."""
    return list(db.session.scalars(select(PayoutFound).where(PayoutFound.item_id == item_id).order_by(PayoutFound.id)))


def of_batch(batch_id: int) -> list[tuple[PayoutFound, PayoutItem]]:
    """A batch's payments that wait for the second person, and those that were paid twice and wait for an end."""
    open_ones = (PayoutFound.state == "PROPOSED") | ((PayoutFound.beyond_fen > 0) & PayoutFound.ended_at.is_(None))
    query = select(PayoutFound, PayoutItem).join(PayoutItem, PayoutItem.id == PayoutFound.item_id).where(PayoutItem.batch_id == batch_id, open_ones)
    return [(row, item) for row, item in db.session.execute(query.order_by(PayoutFound.id).limit(100))]


def may_be(batch: PayoutBatch, item: PayoutItem) -> bool:
    """Whether the bank may have made the payment although the books say that it did not: it came back, or its batch was cancelled with the
    file in somebody's hands."""
    if batch.channel != "bank":
        return False
    return payout_recall.handed_out(batch) is not None if batch.state == "CANCELLED" else item.state in BACK


def must_be_findable(batch: PayoutBatch, item: PayoutItem) -> None:
    """Raise Conflict unless ``may_be``."""
    if batch.channel != "bank":
        raise Conflict("payout.channel", N_("这一笔是支付宝转的，有没有付出由支付宝说了算，不能在这里改。"))
    if not may_be(batch, item):
        raise Conflict("found.state", N_("这一笔没有记为退回或没有付，不用更正。"), state=item.state)


def waits_for_an_end() -> ColumnElement[bool]:
    """Of what was found: that something of it was paid twice, and nobody has said how that ended."""
    return (PayoutFound.beyond_fen > 0) & PayoutFound.ended_at.is_(None) & (PayoutFound.state == "DONE") & _stands()


def _stands() -> ColumnElement[bool]:
    return (PayoutFound.state != "RETURNED") & PayoutFound.undone_at.is_(None)


def _found_in(batch_id: int) -> list[tuple[PayoutFound, PayoutItem]]:
    query = select(PayoutFound, PayoutItem).join(PayoutItem, PayoutItem.id == PayoutFound.item_id)
    query = query.where(PayoutItem.batch_id == batch_id, PayoutFound.state == "DONE", _stands())
    return [(row, item) for row, item in db.session.execute(query)]


def _proposed(item: PayoutItem, reason: str, person_id: int) -> PayoutFound:
    lives = select(PayoutFound).where(PayoutFound.item_id == item.id, _stands())
    row = db.session.scalars(lives).one_or_none()
    if row is not None:
        row.must_be("PROPOSED")
        return row
    row = PayoutFound(organisation_id=item.organisation_id, item_id=item.id, fen=item.fen, reason=reason)
    return put(row, "payout_found.proposed", person_id=person_id, item_id=item.id, fen=item.fen)


def _post(row: PayoutFound, batch: PayoutBatch, item: PayoutItem) -> None:
    row.was = item.state
    if item.state != "returned":
        row.beyond_fen = item.fen - _taken_from_credit(batch, item)
    undone = _undone(batch, item)
    entry_id = share_event.payout_found(
        book=row.organisation_id, source=Source("payout_found", row.id), household_id=item.household_id, fen=item.fen, beyond_fen=row.beyond_fen,
        reverses_id=undone[0] if undone else None, at=undone[1] if undone else batch.sent_at or payout_recall.handed_out(batch),
    )  # fmt: skip
    row.state, row.entry_id = "DONE", entry_id
    if row.beyond_fen:
        bear(row, batch, item, row.beyond_fen)
    if batch.state == "CANCELLED":
        # It lives again for what it paid; the rest of it was batched anew, or waits to be.
        others = update(PayoutItem).where(PayoutItem.batch_id == batch.id, PayoutItem.id != item.id).values(state="reissued")
        db.session.execute(others, **UNSEEN)
        seen_anew()
        batch.state, batch.sent_at, batch.done_at = "DONE", batch.sent_at or payout_recall.handed_out(batch), clock.now()
        db.session.flush()
    item.state, item.reason, item.paid_at, item.moved = "paid", "", clock.now(), False


def bear(row: PayoutFound, batch: PayoutBatch, item: PayoutItem, fen: int) -> None:
    """What the cooperative bears of a payment counts as if it had been given to the household, which was paid it; below zero, it bears that no more."""
    db.session.add(
        CreditMove(
            organisation_id=row.organisation_id, distribution_id=batch.distribution_id, household_id=item.household_id, kind="TWICE", fen=fen,
            paper_type="payout_found", paper_id=row.id, moved_at=clock.now(),
        )
    )  # fmt: skip


def _unbear(row: PayoutFound, batch: PayoutBatch, item: PayoutItem) -> None:
    bear(row, batch, item, -row.beyond_fen)
    row.ended_at, row.ending = row.ended_at or clock.now(), row.ending or item.reason


def _taken_from_credit(batch: PayoutBatch, item: PayoutItem) -> int:
    """Fen of the payment that the household is still owed of the distribution; what came back of it is not issued again."""
    of_it = household_credit.owed(Distribution.id == batch.distribution_id)
    owed = int(db.session.scalar(select(func.coalesce(func.sum(of_it.c.fen), 0)).where(of_it.c.household_id == item.household_id)) or 0)
    its = (
        select(PayoutItem)
        .join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id)
        .where(PayoutBatch.distribution_id == batch.distribution_id, PayoutBatch.state != "CANCELLED", PayoutItem.household_id == item.household_id)
        .order_by(PayoutItem.id)
    )
    others = list(db.session.scalars(its.where(PayoutItem.id != item.id)))
    back = [each for each in others if each.state == "returned"]
    if owed + sum(each.fen for each in back) < item.fen and any(each.state in UNDER_WAY for each in others):
        raise Conflict("found.second", SECOND)
    for each in back:
        if owed >= item.fen:
            break
        owed += each.fen
        each.state, each.moved = "reissued", True
    db.session.flush()
    return min(owed, item.fen)


def _undone(batch: PayoutBatch, item: PayoutItem) -> tuple[int, datetime] | None:
    """The entry of which the payment's part was wrong, and when that happened: by which it was credited back, or of which a reversal took a
    part; none where the books never debited it."""
    debit = aliased(JournalEntry)

    def of_it(entry: Any) -> ColumnElement[bool]:
        return tuple_(entry.source_type, entry.source_id).in_([("payout_batch", batch.id), ("payout_item", item.id)])

    unmade = (JournalEntry.kind == "payout_unmade") & JournalEntry.reverses_id.in_(select(debit.id).where(debit.kind == "payout_debited", of_it(debit)))
    query = (
        select(func.coalesce(JournalEntry.reverses_id, JournalEntry.id), JournalEntry.event_at)
        .join(JournalLine, (JournalLine.period == JournalEntry.period) & (JournalLine.entry_id == JournalEntry.id))
        .join(Account, Account.id == JournalLine.account_id)
        .where(Account.kind == "household", Account.owner_ref == owner_of("household", item.household_id))
        .where(unmade | ((JournalEntry.kind == "payout_returned") & of_it(JournalEntry)))
    )
    found = db.session.execute(query.order_by(JournalEntry.id.desc()).limit(1)).first()
    return (int(found[0]), found[1]) if found is not None else None
