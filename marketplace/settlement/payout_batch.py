"""Payout (代发): a distribution's money on its way to households' bank accounts, as a bank's batch file.

Made by the accountant, checked by the director; frozen by hash at approval; results imported; a returned item is issued again
under a new number linked to the old.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock, files
from marketplace.foundation.crypto import Sealed, last_four, sealed_column
from marketplace.foundation.database import Model, Public, Versioned, db, locked, new_public_id, not_found
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_
from marketplace.households.household import Household
from marketplace.ledger import event
from marketplace.ledger.posting import Source
from marketplace.organisations import approval
from marketplace.organisations.actor import Actor
from marketplace.organisations.region import Region
from marketplace.settlement import payout_file
from marketplace.settlement.distribution import Distribution, DistributionShare

BATCH_STATES = ("DRAFT", "APPROVED", "SENT", "DONE", "CANCELLED")
ITEM_STATES = ("draft", "approved", "sent", "unknown", "paid", "returned", "reissued")


class PayoutBatch(Public, Versioned, Model):
    """A file for the bank. ``number`` is ours and unique for ever."""

    __tablename__ = "payout_batch"
    __table_args__ = (
        CheckConstraint("state IN ('DRAFT','APPROVED','SENT','DONE','CANCELLED')", name="state"),
        CheckConstraint("approved_by_id IS NULL OR approved_by_id <> made_by_id", name="two_people"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    distribution_id: Mapped[int] = mapped_column(ForeignKey("distribution.id"), index=True)
    number: Mapped[str] = mapped_column(String(30), unique=True)
    state: Mapped[str] = mapped_column(String(10), default="DRAFT")
    total_fen: Mapped[int]
    items: Mapped[int]
    file_id: Mapped[int | None] = mapped_column(ForeignKey("stored_file.id"))
    sha256: Mapped[str | None] = mapped_column(String(64))
    made_at: Mapped[datetime]
    made_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    approved_at: Mapped[datetime | None]
    approved_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    sent_at: Mapped[datetime | None]
    done_at: Mapped[datetime | None]
    reissue_of_id: Mapped[int | None] = mapped_column(ForeignKey("payout_batch.id"))

    def must_be(self, *states: str) -> None:
        """Raise Conflict unless it is in one of these states."""
        if self.state not in states:
            raise Conflict("payout.state", N_("这一批代发现在的状态不能办这一步，请刷新页面看看。"), state=self.state)


class PayoutItem(Public, Model):
    """One household's money in a batch, to the account it had when the batch was made."""

    __tablename__ = "payout_item"
    __table_args__ = (
        UniqueConstraint("batch_id", "sequence"),
        CheckConstraint("fen > 0", name="fen"),
        CheckConstraint("state IN ('draft','approved','sent','unknown','paid','returned','reissued')", name="state"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    batch_id: Mapped[int] = mapped_column(ForeignKey("payout_batch.id"), index=True)
    sequence: Mapped[int]
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"), index=True)
    fen: Mapped[int]
    bank_name: Mapped[str] = mapped_column(String(80))
    bank_account_sealed: Mapped[str] = sealed_column()
    bank_account = Sealed()
    account_last4: Mapped[str] = mapped_column(String(4))
    state: Mapped[str] = mapped_column(String(10), default="draft")
    reason: Mapped[str] = mapped_column(String(120), default="")  # of a return, in the bank's words
    paid_at: Mapped[datetime | None]
    reissue_of_id: Mapped[int | None] = mapped_column(ForeignKey("payout_item.id"))

def make(distribution_id: int, *, actor: Actor) -> PayoutBatch:
    """A draft batch of everything that a posted distribution gave and no live batch pays yet. By the cooperative's accountant.

    Households without a bank account stay out; what they are owed stays on their ledger account. Raises Conflict
    ``payout.unposted`` or ``payout.empty``.
    """
    distribution = locked(Distribution, distribution_id)
    actor.must_have("COOPERATIVE", "accountant")
    if actor.organisation_id != distribution.organisation_id:
        raise not_found(Distribution)
    if distribution.state != "POSTED":
        raise Conflict("payout.unposted", N_("分配公示结束、记入各户之后，才能代发。"))
    payable = [(row, fen, None) for row, fen in unbatched(distribution.id) if row.bank_account_sealed]
    if not payable:
        raise Conflict("payout.empty", N_("这份分配没有待发的钱。"))
    return _draft(distribution, payable, actor=actor)


def approve(batch_id: int, *, actor: Actor, version: int, approved: bool = True, reason: str = "") -> PayoutBatch:
    """The director's decision. Approved, the bank's file is written once and frozen by its SHA-256; returned (also after approval,
    while the bank does not have it), the batch is cancelled and its money can be batched anew. OwnWork if the director made it."""
    row = _of(batch_id, actor, "director")
    row.must_be(*(("DRAFT",) if approved else ("DRAFT", "APPROVED")))
    row.must_be_version(version)
    approval.decide(
        row, version=version, maker_id=row.made_by_id, checker_id=actor.person_id, organisation_id=actor.organisation_id,
        approved=approved, reason=reason,
    )  # fmt: skip
    items = items_of(row.id)
    if not approved:
        return _cancel(row, items)
    file = files.store(
        payout_file.write(_file_rows(row, items)),
        name=f"{row.number}.csv",
        media_type="text/csv; charset=gb18030",
        organisation_id=row.organisation_id,
        sensitivity="PERSONAL",
    )
    row.file_id, row.sha256 = file.id, file.sha256
    row.state, row.approved_at, row.approved_by_id = "APPROVED", clock.now(), actor.person_id
    for item in items:
        item.state = "approved"
    audit.record("payout.frozen", row, person_id=actor.person_id, sha256=file.sha256, items=row.items, total_fen=row.total_fen)
    db.session.flush()
    return row


def bank_file(batch_id: int, *, actor: Actor) -> tuple[str, bytes]:
    """Name and bytes of the frozen file, for the accountant or the director. Every reading is audited.

    Raises Conflict ``payout.unapproved``, ``payout.state`` of a cancelled batch (its households are in another one by now),
    ``payout.altered`` if the bytes no longer have the hash of the approval.
    """
    row = _of(batch_id, actor, "accountant", "director")
    row.must_be("DRAFT", "APPROVED", "SENT", "DONE")
    content = _frozen(row)
    audit.record("payout.file_read", row, person_id=actor.person_id, sha256=row.sha256)
    db.session.flush()
    return f"{row.number}.csv", content


def mark_sent(batch_id: int, *, actor: Actor, version: int | None = None) -> PayoutBatch:
    """The frozen file was handed to the bank: each household's money is in transit until the bank answers."""
    row = _of(batch_id, actor, "accountant", "director")
    row.must_be("APPROVED")
    row.must_be_version(row.version if version is None else version)
    _frozen(row)
    items = items_of(row.id)
    event.payout_sent(
        book=row.organisation_id,
        source=Source("payout_batch", row.id),
        households=[(item.household_id, item.fen) for item in items],
    )
    for item in items:
        item.state = "sent"
    row.state, row.sent_at = "SENT", clock.now()
    audit.record("payout.sent", row, person_id=actor.person_id, total_fen=row.total_fen)
    db.session.flush()
    return row


def import_results(batch_id: int, content: bytes, *, actor: Actor) -> list[PayoutItem]:
    """Apply the bank's results file; the items that changed. All of it or nothing: InvalidInput lists every bad line.

    paid: the bank's debit is recorded. returned: debit, and the credit back to the household's account; also after "paid", as
    banks do days later. refused: never debited, back to the household. The same result again changes nothing; any other
    change is Conflict ``payout.contradiction``. When no item waits any more, the batch is done.
    """
    row = _of(batch_id, actor, "accountant", "director")
    row.must_be("SENT", "DONE")
    items = {item.sequence: item for item in items_of(row.id)}
    expected = {sequence: item.fen for sequence, item in items.items()}
    changed = [
        items[result.sequence]
        for result in payout_file.read_results(content, number=row.number, expected=expected)
        if _apply(items[result.sequence], result)
    ]
    if row.state == "SENT" and all(item.state != "sent" for item in items.values()):
        row.state, row.done_at = "DONE", clock.now()
    row.version += 1
    states = Counter(item.state for item in changed)
    audit.record("payout.results", row, person_id=actor.person_id, paid=states["paid"], returned=states["returned"])
    db.session.flush()
    return changed


def reissue(batch_id: int, *, actor: Actor) -> PayoutBatch:
    """A new draft batch, linked to the old, of the items that came back; to the accounts the households have now.

    By the accountant; the director approves it as any other. Raises Conflict ``payout.nothing_returned``.
    """
    row = _of(batch_id, actor, "accountant")
    returned = {item.household_id: item for item in items_of(row.id) if item.state == "returned"}
    households = [each for each in _in_code_order(returned) if each.bank_account_sealed]
    if not households:
        raise Conflict("payout.nothing_returned", N_("这一批没有退回的款项。"))
    distribution = db.session.get_one(Distribution, row.distribution_id)
    parts = [(each, returned[each.id].fen, returned[each.id].id) for each in households]
    fresh = _draft(distribution, parts, actor=actor, reissue_of_id=row.id)
    for each in households:
        returned[each.id].state = "reissued"
    db.session.flush()
    return fresh


def items_of(batch_id: int) -> list[PayoutItem]:
    """A batch's items in the order of its file."""
    return list(db.session.scalars(select(PayoutItem).where(PayoutItem.batch_id == batch_id).order_by(PayoutItem.sequence)))


def by_number(number: str) -> PayoutBatch:
    """The batch with our number. NotFound if there is none."""
    row = db.session.scalars(select(PayoutBatch).where(PayoutBatch.number == number)).one_or_none()
    if row is None:
        raise not_found(PayoutBatch)
    return row


def _of(batch_id: int, actor: Actor, *roles: str) -> PayoutBatch:
    row = locked(PayoutBatch, batch_id)
    actor.must_have("COOPERATIVE", *roles)
    if actor.organisation_id != row.organisation_id:
        raise not_found(PayoutBatch)
    return row


def unbatched(distribution_id: int) -> list[tuple[Household, int]]:
    """Households of the distribution that no batch of it pays (cancelled ones do not count), with their fen, in order of code."""
    batched = (
        select(PayoutItem.household_id)
        .join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id)
        .where(PayoutBatch.distribution_id == distribution_id, PayoutBatch.state != "CANCELLED")
    )
    query = (
        select(DistributionShare.household_id, func.sum(DistributionShare.fen))
        .where(DistributionShare.distribution_id == distribution_id, DistributionShare.household_id.not_in(batched))
        .group_by(DistributionShare.household_id)
        .having(func.sum(DistributionShare.fen) > 0)
    )
    owed = {household: int(fen) for household, fen in db.session.execute(query)}
    return [(row, owed[row.id]) for row in _in_code_order(owed)]


def _in_code_order(household_ids: Iterable[int]) -> list[Household]:
    ids = sorted(household_ids)
    found: list[Household] = []
    for start in range(0, len(ids), 500):
        found += db.session.scalars(select(Household).where(Household.id.in_(ids[start : start + 500]))).all()
    return sorted(found, key=lambda row: row.code)


def _draft(
    distribution: Distribution, parts: Sequence[tuple[Household, int, int | None]], *, actor: Actor, reissue_of_id: int | None = None
) -> PayoutBatch:
    row = PayoutBatch(
        organisation_id=distribution.organisation_id,
        distribution_id=distribution.id,
        number=f"DF{clock.business_date():%Y%m%d}-{new_public_id()[:10].upper()}",
        total_fen=sum(fen for _, fen, _ in parts),
        items=len(parts),
        made_at=clock.now(),
        made_by_id=actor.person_id,
        reissue_of_id=reissue_of_id,
        version=1,
    )
    db.session.add(row)
    db.session.flush()
    for sequence, (household, fen, returned_id) in enumerate(parts, start=1):
        account = household.bank_account
        item = PayoutItem(
            organisation_id=row.organisation_id,
            batch_id=row.id,
            sequence=sequence,
            household_id=household.id,
            fen=fen,
            bank_name=household.bank_name,
            account_last4=last_four(account),
            reissue_of_id=returned_id,
        )
        item.bank_account = account
        db.session.add(item)
    audit.record(
        "payout.made", row, person_id=actor.person_id, distribution_id=distribution.id, items=row.items, total_fen=row.total_fen
    )
    db.session.flush()
    return row


def _cancel(row: PayoutBatch, items: list[PayoutItem]) -> PayoutBatch:
    # What a cancelled re-issue wanted to send came back before: it waits for another one.
    for item in items:
        if item.reissue_of_id is not None:
            db.session.get_one(PayoutItem, item.reissue_of_id).state = "returned"
    row.state = "CANCELLED"
    db.session.flush()
    return row


def _file_rows(row: PayoutBatch, items: list[PayoutItem]) -> list[payout_file.Row]:
    distribution = db.session.get_one(Distribution, row.distribution_id)
    rows = []
    for item in items:
        household = db.session.get_one(Household, item.household_id)
        village = db.session.get_one(Region, household.village_id)
        township = db.session.get(Region, village.parent_id) if village.parent_id else None
        rows.append(
            payout_file.Row(
                sequence=item.sequence,
                name=household.name,
                id_number=household.id_number,
                bank=item.bank_name,
                account=item.bank_account,
                fen=item.fen,
                purpose=f"{distribution.period} 联农收益",
                township=township.name_zh if township else "",
                village=village.name_zh,
            )
        )
    return rows


def _frozen(row: PayoutBatch) -> bytes:
    if row.file_id is None:
        raise Conflict("payout.unapproved", N_("这一批还没有经理事长审批，没有代发文件。"))
    content = db.session.get_one(files.StoredFile, row.file_id).read()
    if hashlib.sha256(content).hexdigest() != row.sha256:
        raise Conflict("payout.altered", N_("代发文件和审批时的不一样，已停止。请联系运营方。"))
    return content


def news(item: PayoutItem, result: payout_file.Result) -> str:
    """What a result of the bank changes: "paid", "returned" or "refused"; "" if it was known; "contradiction" if it cannot be."""
    if item.state == "sent" or (item.state == "paid" and result.outcome == "returned"):
        return result.outcome
    known = item.state == result.outcome or (item.state in ("returned", "reissued") and result.outcome in ("returned", "refused"))
    return "" if known else "contradiction"


def _apply(item: PayoutItem, result: payout_file.Result) -> bool:
    """Book one result; whether it was news."""
    change = news(item, result)
    if change == "contradiction":
        raise Conflict(
            "payout.contradiction",
            N_("第 %(sequence)s 笔之前的结果是 %(before)s，文件里却不同。请先和银行核对。"),
            sequence=item.sequence,
            before=item.state,
        )
    if not change:
        return False
    source, book = Source("payout_item", item.id), item.organisation_id
    back = [(item.household_id, item.fen)]
    if change == "refused":
        event.payout_refused(book=book, source=source, households=back)
    elif item.state == "sent":
        event.payout_debited(book=book, source=source, fen=item.fen)
    if change == "returned":
        event.payout_returned(book=book, source=source, households=back)
    paid = change == "paid"
    item.state, item.reason = ("paid" if paid else "returned"), ("" if paid else result.reason)
    item.paid_at = clock.now() if paid else None
    return True
