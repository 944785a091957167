"""What refunds took back of a settled line, share by share. What is left of a line is what its next refund divides, and what a
distribution of its month may: what was given back is no month's any more, however late it is known.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, ForeignKey, Subquery, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Identified, Model, db, one_of
from marketplace.settlement.settlement import SettlementLine


class Shares(NamedTuple):
    """Fen by where a line's money went."""

    cooperative_fen: int = 0
    pool_fen: int = 0
    village_fen: int = 0
    fund_fen: int = 0


class TakenBack(Identified, Model):
    """One line's part of a refund after settlement: fen by share. Never changed; gone again if the refund fails, which took nothing then."""

    __tablename__ = "taken_back"
    __table_args__ = (UniqueConstraint("settlement_line_id", "refund_id"),)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    settlement_line_id: Mapped[int] = mapped_column(ForeignKey("settlement_line.id"))
    refund_id: Mapped[int] = mapped_column(ForeignKey("refund.id"), index=True)
    taken_at: Mapped[datetime]
    cooperative_fen: Mapped[int]
    pool_fen: Mapped[int]
    village_fen: Mapped[int]
    fund_fen: Mapped[int]


def left_of(lines: Sequence[SettlementLine]) -> dict[int, Shares]:
    """What is left of each line's shares, by line."""
    sums = [func.sum(getattr(TakenBack, name)) for name in Shares._fields]
    query = select(TakenBack.settlement_line_id, *sums).where(one_of(TakenBack.settlement_line_id, [line.id for line in lines]))
    taken = {line_id: [int(fen) for fen in fens] for line_id, *fens in db.session.execute(query.group_by(TakenBack.settlement_line_id))}
    return {
        line.id: Shares(*(getattr(line, name) - fen for name, fen in zip(Shares._fields, taken.get(line.id, Shares()), strict=True)))
        for line in lines
    }  # fmt: skip


def of_pools(*of: ColumnElement[bool]) -> Subquery:
    """(line, fen) that refunds took of lines' pool shares. Few: a refund after settlement is seldom."""
    return (
        select(TakenBack.settlement_line_id.label("line_id"), func.sum(TakenBack.pool_fen).label("fen"))
        .where(*of)
        .group_by(TakenBack.settlement_line_id)
        .subquery("taken")
    )


def pool_left(taken: Subquery) -> ColumnElement[int]:
    """What is left of a line's pool share, of a query that joins ``of_pools`` from outside."""
    return SettlementLine.pool_fen - func.coalesce(taken.c.fen, 0)
