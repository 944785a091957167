"""What may be published of a distribution: aggregates, groups of fewer than five households merged. No household is identifiable."""

from collections.abc import Sequence
from dataclasses import dataclass

from marketplace.notices.suppression import LEAST_HOUSEHOLDS, GroupFigure, merged


@dataclass(frozen=True)
class GroupPart:
    """One linkage group's part of a distribution; fen."""

    name: str
    households: int
    fen: int
    recovered_fen: int
    basis: str
    guaranteed_due_fen: int = 0
    guaranteed_fen: int = 0
    relief_fen: int = 0


def body(period: str, total_fen: int, parts: Sequence[GroupPart], *, relieved: int = 0, recoverable_fen: int = 0, cap_bp: int = 0) -> dict[str, object]:
    """The figures of the notice: total, what recovers earlier refunds and what of these is left for later periods, what was guaranteed and what of it the pools reached for, and
    per group name, households and fen. What relief came to ``relieved`` households is told of five and more only."""
    cells = merged([GroupFigure(part.name, part.households, part.fen) for part in parts])
    return {
        "period": period,
        "total_fen": total_fen,
        "recovered_fen": sum(part.recovered_fen for part in parts),
        "still_recoverable_fen": recoverable_fen,
        "recovery_cap_bp": cap_bp,
        "guaranteed_due_fen": sum(part.guaranteed_due_fen for part in parts),
        "guaranteed_fen": sum(part.guaranteed_fen for part in parts),
        "relief": {"households": relieved, "fen": sum(part.relief_fen for part in parts)} if relieved >= LEAST_HOUSEHOLDS else None,
        "bases": sorted({part.basis for part in parts}),
        "groups": [{"name": cell.name, "households": cell.households, "fen": cell.fen} for cell in cells],
    }
