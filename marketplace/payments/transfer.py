"""A transfer from a seller's balance to one person, under a number of its own for ever. What it pays for is known by kind and id only.

States: waiting → sending → unknown → succeeded | failed; a success may come back days later (退票): returned. What is unknown is asked
for, or sent again unchanged, under the same number. Whoever made it hears of each end in the same transaction (``handlers``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, false, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock, outbox
from marketplace.foundation.crypto import Sealed, sealed_column
from marketplace.foundation.database import Model, Public, db, insert_many, locked
from marketplace.payments.payment import account_of

STATES = ("waiting", "sending", "unknown", "succeeded", "failed", "returned")
GOING = ("waiting", "sending", "unknown")
LEAST_FEN, MOST_FEN = 10, 5_000_000  # of one transfer to a person, as Alipay bounds it
MESSAGE = "transfer"  # its kind in the outbox


class Transfer(Public, Model):
    """``out_biz_no`` is our number; ``bundle_id`` names those that stop together when the balance is short."""

    __tablename__ = "transfer"
    __table_args__ = (
        UniqueConstraint("payable_kind", "payable_id"),
        CheckConstraint("fen BETWEEN 10 AND 5000000", name="fen"),
        CheckConstraint("state IN ('waiting','sending','unknown','succeeded','failed','returned')", name="state"),
        Index("ix_transfer_bundle", "payable_kind", "bundle_id", "state"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    payable_kind: Mapped[str] = mapped_column(String(20))
    payable_id: Mapped[int]
    bundle_id: Mapped[int]
    # The application that sends it, and its seller: a number means one thing within an application only, so it is asked for there too.
    account: Mapped[str] = mapped_column(String(64))
    seller_id: Mapped[str] = mapped_column(String(64))
    out_biz_no: Mapped[str] = mapped_column(String(64), unique=True)
    fen: Mapped[int]
    payee_account_sealed: Mapped[str] = sealed_column()
    payee_account = Sealed()
    payee_name_sealed: Mapped[str] = sealed_column()
    payee_name = Sealed()
    title: Mapped[str] = mapped_column(String(100))
    state: Mapped[str] = mapped_column(String(10), default="waiting")
    sent: Mapped[int] = mapped_column(default=0)  # requests that may have arrived
    refused: Mapped[bool] = mapped_column(default=False, server_default=false())  # the last one was, and an earlier one may have arrived
    order_id: Mapped[str] = mapped_column(String(64), default="")  # the channel's own number
    sub_code: Mapped[str] = mapped_column(String(60), default="")  # why not, in the channel's words
    made_at: Mapped[datetime]
    succeeded_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]  # when it failed or came back


@dataclass(frozen=True)
class Order:
    """One transfer as it was agreed to; amount in fen."""

    payable_id: int
    out_biz_no: str
    fen: int
    account: str
    name: str
    title: str


class Handler(Protocol):
    """What a kind of payable does with its transfers, in the same transaction; errors propagate."""

    def must_be_agreed(self, transfer: Transfer) -> None:
        """Raise Conflict unless the transfer is, to the letter, what two people agreed to."""

    def is_stopped(self, transfer: Transfer) -> bool:
        """Whether nothing of its bundle is sent for now."""

    def short(self, transfer: Transfer, code: str) -> None:
        """The payer's balance or limit does not reach: the bundle stops until it does."""

    def unsure(self, transfer: Transfer) -> None:
        """It was sent, and nobody knows yet what became of it."""

    def paid(self, transfer: Transfer) -> None:
        """It left the balance."""

    def refused(self, transfer: Transfer) -> None:
        """It never left the balance, and never will under this number."""

    def came_back(self, transfer: Transfer) -> None:
        """It left the balance, and is there again."""


handlers: dict[str, Handler] = {}


def order(kind: str, bundle_id: int, organisation_id: int, orders: Sequence[Order]) -> None:
    """Write these transfers and have the job send them. Whoever calls has two people's agreement to each."""
    columns = (
        "public_id", "organisation_id", "payable_kind", "payable_id", "bundle_id", "account", "seller_id", "out_biz_no", "fen", "payee_account_sealed",
        "payee_name_sealed", "title", "state", "sent", "refused", "order_id", "sub_code", "made_at",
    )  # fmt: skip
    at, (account, seller_id) = clock.now(), account_of(organisation_id, "alipay")

    def row(each: Order) -> tuple[object, ...]:
        made = Transfer()
        made.payee_account, made.payee_name = each.account, each.name
        return (
            made.public_id, organisation_id, kind, each.payable_id, bundle_id, account, seller_id, each.out_biz_no, each.fen,
            made.payee_account_sealed, made.payee_name_sealed, each.title, "waiting", 0, False, "", "", at,
        )  # fmt: skip

    insert_many("transfer", columns, [row(each) for each in orders])
    go_on(kind, bundle_id)


def going(kind: str, bundle_id: int) -> list[int]:
    """The transfers of a bundle that are not at their end, in order."""
    query = select(Transfer.id).where(Transfer.payable_kind == kind, Transfer.bundle_id == bundle_id, Transfer.state.in_(GOING))
    return list(db.session.scalars(query.order_by(Transfer.id)))


def go_on(kind: str, bundle_id: int) -> int:
    """Have the job send what of a bundle is not at its end; how many."""
    ids = going(kind, bundle_id)
    outbox.put_many(MESSAGE, {str(number): {"transfer_id": number} for number in ids})
    return len(ids)


def unsure(transfer_id: int, sub_code: str) -> None:
    """Asked for or asked about, without a clear answer."""
    row = locked(Transfer, transfer_id)
    if row.state in GOING:
        row.state, row.sub_code = "unknown", row.sub_code if row.refused else sub_code[:60]
        db.session.flush()
        handlers[row.payable_kind].unsure(row)


def succeed(transfer_id: int, order_id: str, at: datetime | None) -> bool:
    """The money left the balance at ``at``. False if that was known already, or is over."""
    row = locked(Transfer, transfer_id)
    if row.state not in GOING:
        return False
    row.state, row.order_id, row.sub_code, row.succeeded_at = "succeeded", order_id[:64], "", at or clock.now()
    db.session.flush()
    handlers[row.payable_kind].paid(row)
    audit.record("transfer.succeeded", row, fen=row.fen)
    return True


def fail(transfer_id: int, sub_code: str) -> bool:
    """The channel refused for good: nothing left the balance. False if it is at its end already."""
    row = locked(Transfer, transfer_id)
    if row.state not in GOING:
        return False
    row.state, row.sub_code, row.ended_at = "failed", sub_code[:60], clock.now()
    db.session.flush()
    handlers[row.payable_kind].refused(row)
    audit.record("transfer.failed", row, fen=row.fen, sub_code=row.sub_code)
    return True


def come_back(transfer_id: int, sub_code: str) -> bool:
    """What had left is in the balance again; it may be the first that is heard of it. False if that was known."""
    row = locked(Transfer, transfer_id)
    if row.state in GOING:
        succeed(transfer_id, row.order_id, None)
    if row.state != "succeeded":
        return False
    row.state, row.sub_code, row.ended_at = "returned", sub_code[:60], clock.now()
    db.session.flush()
    handlers[row.payable_kind].came_back(row)
    audit.record("transfer.returned", row, fen=row.fen, sub_code=row.sub_code)
    return True
