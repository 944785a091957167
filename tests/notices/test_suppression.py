"""No public cell is about fewer than five households, and none can be computed from the others."""

from hypothesis import given
from hypothesis import strategies as st

from marketplace.notices.suppression import LEAST_HOUSEHOLDS, GroupFigure, merged


def test_large_groups_stand_as_they_are() -> None:
    figures = [GroupFigure("a", 5, 100), GroupFigure("b", 9, 200)]
    assert merged(figures) == figures


def test_a_small_group_takes_the_smallest_other_with_it() -> None:
    figures = [GroupFigure("a", 30, 100), GroupFigure("b", 3, 20), GroupFigure("c", 8, 50)]
    assert merged(figures) == [GroupFigure("a", 30, 100), GroupFigure(None, 11, 70)]


def test_alone_and_small_it_loses_its_number() -> None:
    assert merged([GroupFigure("a", 4, 100)]) == [GroupFigure(None, None, 100)]


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 10**9)), max_size=8))
def test_every_cell_shown_is_large_enough_and_the_total_stays(groups: list[tuple[int, int]]) -> None:
    cells = merged([GroupFigure(str(n), count, fen) for n, (count, fen) in enumerate(groups)])
    assert sum(cell.fen for cell in cells) == sum(fen for _, fen in groups)
    assert all(cell.households is None or cell.households >= LEAST_HOUSEHOLDS for cell in cells)
    unsaid = [cell for cell in cells if cell.households is None]
    assert not unsaid or len(cells) == 1, "a number left out beside others could be computed from a total"
