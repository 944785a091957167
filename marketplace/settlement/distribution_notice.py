"""What may be published of a distribution: aggregates, groups of fewer than five households merged. No household is identifiable."""

from collections.abc import Sequence
from dataclasses import dataclass

from marketplace.notices.suppression import GroupFigure, merged


@dataclass(frozen=True)
class GroupPart:
    """One linkage group's part of a distribution; fen."""

    name: str
    households: int
    fen: int
    recovered_fen: int
    basis: str


def body(period: str, total_fen: int, parts: Sequence[GroupPart]) -> dict[str, object]:
    """The figures of the notice: total, what recovers earlier refunds, and per group name, households and fen."""
    cells = merged([GroupFigure(part.name, part.households, part.fen) for part in parts])
    return {
        "period": period,
        "total_fen": total_fen,
        "recovered_fen": sum(part.recovered_fen for part in parts),
        "bases": sorted({part.basis for part in parts}),
        "groups": [{"name": cell.name, "households": cell.households, "fen": cell.fen} for cell in cells],
    }
