"""Suppression: what is shown in public about groups of households never singles one out.

Groups of fewer than five households are merged; if what is merged is still too small, the next smallest group joins it, so that
the missing cell cannot be computed from the total (complementary suppression).
"""

from collections.abc import Sequence
from dataclasses import dataclass

LEAST_HOUSEHOLDS = 5


@dataclass(frozen=True)
class GroupFigure:
    """A public cell: a group (``None``: several, merged), its households (``None``: fewer than five, not said) and fen."""

    name: str | None
    households: int | None
    fen: int


def merged(figures: Sequence[GroupFigure], least: int = LEAST_HOUSEHOLDS) -> list[GroupFigure]:
    """The cells that may be shown, named ones in the order given; fen still sum to the same total."""
    hidden = [each for each in figures if (each.households or 0) < least]
    shown = [each for each in figures if each not in hidden]
    if not hidden:
        return list(figures)
    while shown and (len(hidden) == 1 or sum(each.households or 0 for each in hidden) < least):
        smallest = min(shown, key=lambda each: each.households or 0)
        shown.remove(smallest)
        hidden.append(smallest)
    count = sum(each.households or 0 for each in hidden)
    rest = GroupFigure(None, count if count >= least else None, sum(each.fen for each in hidden))
    return [*shown, rest]
