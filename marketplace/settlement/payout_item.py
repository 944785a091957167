"""A payout batch and its items as they are kept: each household's money, to the account it had when the batch was made.

Items are written and read a page at a time, whatever their number: what is sealed is opened by us, everything else is the database's.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, false, select, text
from sqlalchemy.orm import Mapped, aliased, mapped_column

from marketplace.foundation.crypto import Sealed, last_four, sealed_column
from marketplace.foundation.database import Model, Public, Staged, Versioned, db, insert_many
from marketplace.foundation.language import N_
from marketplace.households.alipay_account import ALIPAY, tail
from marketplace.households.household import Household
from marketplace.organisations.region import Region
from marketplace.settlement import payout_file

BATCH_STATES = ("DRAFT", "APPROVED", "SENT", "DONE", "CANCELLED")
ITEM_STATES = ("draft", "approved", "sent", "unknown", "paid", "returned", "reissued")
PAGE = 2_000

# Many rows change in the database; those few that are at hand are read afresh afterwards (``seen_anew``).
UNSEEN: Any = {"execution_options": {"synchronize_session": False}}

# (household id, fen, id of the item that this issues again)
Due = tuple[int, int, int | None]


class PayoutBatch(Public, Versioned, Staged, Model):
    """A file for the bank, or for Alipay. ``number`` is ours and unique for ever.

    ``cap_fen`` is the most that a household was paid in the month when it was made (0: no bound); what was above it stays the
    households' credit: ``held_back_fen`` of ``held_back_households``.
    """

    __tablename__ = "payout_batch"
    not_now = ("payout.state", N_("这一批代发现在的状态不能办这一步，请刷新页面看看。"))
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
    channel: Mapped[str] = mapped_column(String(8), default="bank", server_default="bank")  # or alipay
    cap_fen: Mapped[int] = mapped_column(default=0, server_default="0")
    held_back_fen: Mapped[int] = mapped_column(default=0, server_default="0")
    held_back_households: Mapped[int] = mapped_column(default=0, server_default="0")
    layout_id: Mapped[int | None] = mapped_column(ForeignKey("payout_layout.id"))  # None: the first preset
    form: Mapped[dict[str, Any] | None]  # as the layout was when it was chosen for the draft; None of one over Alipay
    # Alipay's balance (or a limit of ours) did not reach: nothing more is sent until the item that met it passes, or a person says so.
    stopped_at: Mapped[datetime | None]
    stopped_code: Mapped[str] = mapped_column(String(60), default="", server_default="")
    stopped_item_id: Mapped[int | None]


class PayoutItem(Public, Model):
    """One household's money in a batch, to the account it had when the batch was made."""

    __tablename__ = "payout_item"
    __table_args__ = (
        UniqueConstraint("batch_id", "sequence"),
        CheckConstraint("fen > 0", name="fen"),
        CheckConstraint("state IN ('draft','approved','sent','unknown','paid','returned','reissued')", name="state"),
        # Few are ever unknown, and they are asked for all the time.
        Index("ix_payout_item_unknown", "organisation_id", sqlite_where=text("state = 'unknown'"), postgresql_where=text("state = 'unknown'")),
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
    payee_name_sealed: Mapped[str] = sealed_column(default="", server_default="")  # whose Alipay account it is, as Alipay compares it
    payee_name = Sealed()
    state: Mapped[str] = mapped_column(String(10), default="draft")
    reason: Mapped[str] = mapped_column(String(120), default="")  # of a return, in the bank's words
    paid_at: Mapped[datetime | None]
    debited: Mapped[int | None]  # the edition of the batch under whose number the debit was posted
    unknown_since: Mapped[datetime | None]  # when the channel first said that it does not know yet
    reissue_of_id: Mapped[int | None] = mapped_column(ForeignKey("payout_item.id"))
    # What came back and was moved instead of being issued again (to the relief fund, to an heir) says so beside its state.
    moved: Mapped[bool] = mapped_column(default=False, server_default=false())


def write(batch: PayoutBatch, due: Sequence[Due]) -> None:
    """Write the items of a fresh batch, numbered from 1 in the order given, to the accounts that the households have now."""
    columns = (
        "public_id", "organisation_id", "batch_id", "sequence", "household_id", "fen", "bank_name", "bank_account_sealed", "account_last4",
        "payee_name_sealed", "state", "reason", "reissue_of_id", "moved",
    )  # fmt: skip
    for start in range(0, len(due), PAGE):
        # A list: nothing can be asked of PostgreSQL while rows are on their way to it.
        insert_many("payout_item", columns, list(_rows(batch, start, due[start : start + PAGE])))
    db.session.flush()


def _rows(batch: PayoutBatch, start: int, due: Sequence[Due]) -> Iterator[Sequence[Any]]:
    homes = {home.id: home for home in db.session.scalars(select(Household).where(Household.id.in_([each[0] for each in due])))}
    for place, (household_id, fen, again) in enumerate(due, start=start + 1):
        home = homes[household_id]
        alipay = batch.channel == "alipay"
        item = PayoutItem(bank_name=ALIPAY if alipay else home.bank_name)
        item.bank_account = account = home.alipay_account if alipay else home.bank_account
        item.payee_name = home.alipay_name if alipay else ""
        yield (
            item.public_id, batch.organisation_id, batch.id, place, household_id, fen, item.bank_name, item.bank_account_sealed,
            tail(account) if alipay else last_four(account), item.payee_name_sealed, "draft", "", again, False,
        )  # fmt: skip


def in_order(batch_id: int) -> Iterator[PayoutItem]:
    """A batch's items in the order of its file, read a page at a time."""
    after = 0
    while True:
        query = select(PayoutItem).where(PayoutItem.batch_id == batch_id, PayoutItem.sequence > after).order_by(PayoutItem.sequence)
        found = list(db.session.scalars(query.limit(PAGE)))
        yield from found
        if len(found) < PAGE:
            return
        after = found[-1].sequence


def file_rows(batch: PayoutBatch, purpose: str, *, first: int = 1, last: int | None = None) -> Iterator[payout_file.Row]:
    """What stands in the batch's file (from ``first`` to ``last``), in order, opened a page at a time."""
    township = aliased(Region)
    after, end = first - 1, batch.items if last is None else last
    while True:
        query = (
            select(PayoutItem, Household, Region.name_zh, township.name_zh)
            .join(Household, Household.id == PayoutItem.household_id)
            .join(Region, Region.id == Household.village_id)
            .outerjoin(township, township.id == Region.parent_id)
            .where(PayoutItem.batch_id == batch.id, PayoutItem.sequence > after, PayoutItem.sequence <= end)
            .order_by(PayoutItem.sequence)
            .limit(PAGE)
        )
        found = db.session.execute(query).all()
        if not found:
            return
        for item, home, village, above in found:
            payee = payee_of(home)
            yield payout_file.Row(
                sequence=item.sequence, name=payee[0], id_number=payee[1], bank=item.bank_name, account=item.bank_account,
                fen=item.fen, purpose=purpose, township=above or "", village=village,
                number=batch.number, reference=number_of(batch, item.sequence), code=home.code,
            )  # fmt: skip
        after = found[-1][0].sequence


def seen_anew() -> None:
    """Items that are at hand are read from the database again when they are looked at next."""
    for row in db.session.identity_map.values():
        if isinstance(row, PayoutItem):
            db.session.expire(row)


def payee_of(home: Household) -> tuple[str, str]:
    """Name and ID number of whoever is paid for the household."""
    return (home.payee_name, home.payee_id_number) if home.payee_name_sealed else (home.name, home.id_number)


def number_of(batch: PayoutBatch, sequence: int) -> str:
    """Our own number of one transfer of a batch, as Alipay takes numbers: the same for ever."""
    return f"{batch.number.replace('-', '_')}_{sequence}"
