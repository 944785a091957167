"""Stock of a pack: on hand and reserved, counted in packs. Reserved never passes on hand: the database refuses it."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import clock
from marketplace.foundation.database import Identified, Model, db
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_


class StockShortage(Conflict):
    """Less is free than was asked for. Data: ``pack_id``, ``asked``, ``left``."""


class Stock(Model):
    """One row a pack, locked in pack order by whoever changes several."""

    __tablename__ = "stock"
    __table_args__ = (CheckConstraint("reserved >= 0 AND on_hand >= reserved", name="no_oversell"),)

    pack_id: Mapped[int] = mapped_column(ForeignKey("pack.id"), primary_key=True)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    on_hand: Mapped[int]
    reserved: Mapped[int] = mapped_column(default=0)

    @property
    def free(self) -> int:
        return self.on_hand - self.reserved


class StockMove(Identified, Model):
    """Why stock changed. The sum of moves of a pack is its stock."""

    __tablename__ = "stock_move"

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    pack_id: Mapped[int] = mapped_column(ForeignKey("pack.id"), index=True)
    on_hand: Mapped[int]  # change, signed
    reserved: Mapped[int]  # change, signed
    reason: Mapped[str] = mapped_column(String(20))
    source_type: Mapped[str] = mapped_column(String(40))
    source_id: Mapped[int]
    at: Mapped[datetime]
    person_id: Mapped[int | None]
    note: Mapped[str] = mapped_column(String(200), default="", server_default="")  # why, in the clerk's words


def reserve(quantities: Mapping[int, int], *, source_type: str, source_id: int) -> None:
    """Set packs aside for an order (pack id → packs). Raises StockShortage and reserves nothing if any is short."""
    rows = _locked(quantities)
    for pack_id, asked in sorted(quantities.items()):
        if asked <= 0:
            raise ValueError("a positive quantity")
        row = rows.get(pack_id)
        if row is None or row.free < asked:
            left = row.free if row else 0
            raise StockShortage(
                "stock.short", N_("只剩 %(left)s 件，买不了 %(asked)s 件。请改数量。"), pack_id=pack_id, asked=asked, left=left
            )
    for pack_id, asked in quantities.items():
        _move(rows[pack_id], 0, asked, "RESERVED", source_type, source_id, None)


def release(quantities: Mapping[int, int], *, source_type: str, source_id: int) -> None:
    """Give reserved packs back to the shelf."""
    rows = _locked(quantities)
    for pack_id, packs in quantities.items():
        _move(rows[pack_id], 0, -packs, "RELEASED", source_type, source_id, None)


def ship(quantities: Mapping[int, int], *, source_type: str, source_id: int) -> None:
    """Reserved packs leave the house."""
    rows = _locked(quantities)
    for pack_id, packs in quantities.items():
        _move(rows[pack_id], -packs, -packs, "SHIPPED", source_type, source_id, None)


def adjust(
    pack_id: int, *, by: int, reason: str, person_id: int | None, source_type: str = "pack", source_id: int = 0, note: str = ""
) -> Stock:
    """Count packs in or out by hand (``reason``: COUNTED, PACKED, SPOILED, RETURNED). Conflict ``stock.reserved`` below what is promised."""
    row = _locked({pack_id: by})[pack_id]
    if row.on_hand + by < row.reserved:
        raise Conflict("stock.reserved", N_("已有 %(reserved)s 件答应了买家，库存不能比这更少。"), reserved=row.reserved)
    _move(row, by, 0, reason, source_type, source_id or pack_id, person_id, note)
    return row


def ensure(pack_id: int, organisation_id: int) -> Stock:
    """The pack's stock row, made empty if there is none yet."""
    return _locked({pack_id: 0}).get(pack_id) or open_stock(pack_id, organisation_id, 0)


def open_stock(pack_id: int, organisation_id: int, on_hand: int) -> Stock:
    """The stock row of a new pack."""
    row = Stock(pack_id=pack_id, organisation_id=organisation_id, on_hand=0, reserved=0)
    db.session.add(row)
    db.session.flush()
    if on_hand:
        _move(row, on_hand, 0, "COUNTED", "pack", pack_id, None)
    return row


def _locked(quantities: Mapping[int, int]) -> dict[int, Stock]:
    query = select(Stock).where(Stock.pack_id.in_(quantities)).order_by(Stock.pack_id)
    query = query.with_for_update().execution_options(populate_existing=True)
    return {row.pack_id: row for row in db.session.scalars(query)}


def _move(row: Stock, on_hand: int, reserved: int, reason: str, source_type: str, source_id: int, person_id: int | None, note: str = "") -> None:
    row.on_hand += on_hand
    row.reserved += reserved
    db.session.add(
        StockMove(
            organisation_id=row.organisation_id,
            pack_id=row.pack_id,
            on_hand=on_hand,
            reserved=reserved,
            reason=reason,
            source_type=source_type,
            source_id=source_id,
            at=clock.now(),
            person_id=person_id,
            note=note,
        )
    )
    db.session.flush()
