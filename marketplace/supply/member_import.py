"""Rows brought from Excel, shares of a group or deliveries to a batch: looked at first, row by row, then written all or not at all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, String, func, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Model, Public, db, locked, not_found
from marketplace.foundation.errors import Conflict, InvalidInput, MarketError
from marketplace.foundation.language import N_
from marketplace.households import linkage_share
from marketplace.households.linkage_group import LinkageGroup, LinkageShare
from marketplace.households.linkage_share import NewShare, ShareBook
from marketplace.organisations.actor import Actor
from marketplace.supply import delivery, harvest
from marketplace.supply.batch import Batch
from marketplace.supply.delivery import DeliveryBook, NewDelivery

Row = NewShare | NewDelivery


class MemberImport(Public, Model):
    """Rows that were looked at and found good. Applied once, by whoever may write such rows one by one."""

    __tablename__ = "member_import"
    __table_args__ = (CheckConstraint("kind IN ('SHARES','DELIVERIES')", name="kind"), CheckConstraint("state IN ('CHECKED','APPLIED')", name="state"))

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    kind: Mapped[str] = mapped_column(String(10))
    linkage_group_id: Mapped[int] = mapped_column(ForeignKey("linkage_group.id"))
    batch_id: Mapped[int | None] = mapped_column(ForeignKey("batch.id"))
    name: Mapped[str] = mapped_column(String(200))  # of the file
    rows: Mapped[list[Any]]
    declared_shares: Mapped[int | None]  # what the group's equity shares are to sum to afterwards
    state: Mapped[str] = mapped_column(String(8), default="CHECKED")
    made_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    made_at: Mapped[datetime]
    applied_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    applied_at: Mapped[datetime | None]


@dataclass(frozen=True)
class Outcome:
    """What is to be said of one row: its line in the file, what refuses it, what to beware of."""

    line: int
    row: Row
    fault: MarketError | None = None
    note: str = ""


def look_at_shares(group: LinkageGroup, rows: Sequence[tuple[int, NewShare]]) -> list[Outcome]:
    """Each row beside what stands and beside the rows before it."""
    book = ShareBook(group, [row.code for _line, row in rows])
    return [_outcome(line, row, lambda row=row: book.check(row)) for line, row in rows]  # type: ignore[misc]


def look_at_deliveries(batch: Batch, rows: Sequence[tuple[int, NewDelivery]]) -> list[Outcome]:
    """Each row beside what stands and beside the rows before it."""
    book = DeliveryBook(batch, [row.code for _line, row in rows])
    return [_outcome(line, row, lambda row=row: str(book.check(row))[:0]) for line, row in rows]  # type: ignore[misc]


def _outcome(line: int, row: Row, check: Callable[[], str]) -> Outcome:
    try:
        return Outcome(line, row, note=check())
    except InvalidInput as fault:
        return Outcome(line, row, fault=fault)


def equity_shares(group_id: int, day: date) -> int:
    """The group's equity shares in force on a day."""
    query = select(func.coalesce(func.sum(LinkageShare.shares), 0)).where(
        LinkageShare.group_id == group_id, LinkageShare.kind == "EQUITY", LinkageShare.starts_on <= day,
        LinkageShare.ends_on.is_(None) | (LinkageShare.ends_on >= day),
    )  # fmt: skip
    return int(db.session.scalar(query) or 0)


def keep_shares(group: LinkageGroup, rows: Sequence[NewShare], name: str, *, declared: int | None, actor: Actor) -> MemberImport:
    """Keep rows that were found good, to be applied. By the director or the accountant of the group's cooperative."""
    linkage_share.group_of(group.id, actor, "director", "accountant")
    return _keep("SHARES", group.organisation_id, group.id, None, rows, name, declared, actor)


def keep_deliveries(batch: Batch, rows: Sequence[NewDelivery], name: str, *, actor: Actor) -> MemberImport:
    """Keep rows that were found good, to be applied. By the clerk or the director of the batch's cooperative."""
    harvest.own(batch.id, actor)
    return _keep("DELIVERIES", batch.organisation_id, batch.linkage_group_id, batch.id, rows, name, None, actor)


def _keep(
    kind: str, organisation_id: int, group_id: int, batch_id: int | None, rows: Sequence[Row], name: str, declared: int | None, actor: Actor
) -> MemberImport:
    row = MemberImport(
        organisation_id=organisation_id, kind=kind, linkage_group_id=group_id, batch_id=batch_id, name=name[:200], declared_shares=declared,
        rows=[{field: str(value) if isinstance(value, date) else value for field, value in vars(each).items()} for each in rows],
        made_by_id=actor.person_id, made_at=clock.now(),
    )  # fmt: skip
    db.session.add(row)
    db.session.flush()
    return row


def apply(import_id: int, *, actor: Actor) -> int:
    """Write all rows, checked anew, or none; how many. Conflict ``import.applied`` a second time, ``import.total`` if the shares would
    not sum to what was declared; InvalidInput of the first row that no longer fits."""
    row = locked(MemberImport, import_id)
    if row.organisation_id != actor.organisation_id:
        raise not_found(MemberImport)
    if row.state != "CHECKED":
        raise Conflict("import.applied", N_("这份表已经导入过了。"))
    if row.kind == "SHARES":
        group = linkage_share.group_of(row.linkage_group_id, actor, "director", "accountant")
        linkage_share.write_all(group, [_share(each) for each in row.rows], actor=actor)
        _must_sum(row)
    else:
        batch = harvest.own(row.batch_id or 0, actor)
        delivery.write_all(batch, [_delivery(each) for each in row.rows], actor=actor)
    row.state, row.applied_by_id, row.applied_at = "APPLIED", actor.person_id, clock.now()
    audit.record("import.applied", row, person_id=actor.person_id, kind=row.kind, rows=len(row.rows))
    db.session.flush()
    return len(row.rows)


def _must_sum(row: MemberImport) -> None:
    if row.declared_shares is None:
        return
    day = max(date.fromisoformat(each["starts_on"]) for each in row.rows)
    total = equity_shares(row.linkage_group_id, day)
    if total != row.declared_shares:
        message = N_("导入后折股合计是 %(total)s 股，不是您写的 %(declared)s 股，什么都没有写入。")
        raise Conflict("import.total", message, total=total, declared=row.declared_shares)


def _share(kept: dict[str, Any]) -> NewShare:
    ends_on = kept["ends_on"]
    # Rows that were kept before assets were asked for have none: checked anew, their equity is refused in words.
    return NewShare(
        kept["code"], kept["kind"], kept["shares"], date.fromisoformat(kept["starts_on"]), kept["basis"], date.fromisoformat(ends_on) if ends_on else None,
        kept.get("asset_kind", ""), kept.get("appraised_fen"),
    )  # fmt: skip


def _delivery(kept: dict[str, Any]) -> NewDelivery:
    return NewDelivery(kept["code"], kept["grams"], date.fromisoformat(kept["delivered_on"]), kept["floor_price_fen_per_kg"])
