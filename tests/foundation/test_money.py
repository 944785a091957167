"""Splitting is exact for any amount and any weights, and fair over many splits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.foundation.money import format_yuan, parse_yuan, share_bp, shown_yuan, split, split_columns

weights = st.lists(st.integers(0, 10**9), min_size=1, max_size=40).filter(any)


@given(st.integers(-(10**13), 10**13), weights, st.text(max_size=8))
def test_parts_sum_to_the_whole_and_are_within_a_fen_of_their_due(total: int, shares: list[int], salt: str) -> None:
    parts = split(total, shares, [str(i) for i in range(len(shares))], salt)
    assert sum(parts) == total
    whole = sum(shares)
    for part, share in zip(parts, shares, strict=True):
        assert abs(part * whole - total * share) < whole


@given(st.integers(0, 10**9), weights)
def test_a_zero_weight_gets_nothing_and_a_negative_total_is_the_mirror(total: int, shares: list[int]) -> None:
    keys = [str(i) for i in range(len(shares))]
    parts = split(total, shares, keys, "s")
    assert all(part == 0 for part, share in zip(parts, shares, strict=True) if share == 0)
    assert split(-total, shares, keys, "s") == [-part for part in parts]


def test_over_seventy_thousand_orders_the_odd_fen_favours_nobody() -> None:
    """A fixed order of the receivers would put the first of three equals 70,000 fen ahead of the last."""
    got = [0, 0, 0]
    for order in range(70_000):
        for place, part in enumerate(split(100, [1, 1, 1], ["a", "b", "c"], f"order-{order}")):
            got[place] += part
    assert sum(got) == 7_000_000
    # A third of 70,000 draws: a hash as good as chance is within five standard deviations of each other.
    assert max(got) - min(got) < 5 * (70_000 * 2 / 9 * 2) ** 0.5


def test_nothing_to_divide_by() -> None:
    assert split(0, [0, 0], ["a", "b"], "") == [0, 0]
    with pytest.raises(ValueError, match="nothing"):
        split(1, [0, 0], ["a", "b"], "")
    with pytest.raises(ValueError, match="negative"):
        split(1, [1, -1], ["a", "b"], "")


@pytest.mark.parametrize(("typed", "fen"), [("136", 13600), ("1,234.5", 123450), ("¥88.00", 8800), ("８８．０５", 8805), (" 0.01 ", 1)])
def test_what_people_type(typed: str, fen: int) -> None:
    assert parse_yuan(typed) == fen


@pytest.mark.parametrize("typed", ["", "-1", "+1", "1e9", "0.001", "NaN", "12,34", "1.", "٣", "1 2", "¥", "9" * 14])
def test_an_amount_is_never_guessed(typed: str) -> None:
    with pytest.raises(ValueError):
        parse_yuan(typed)


@given(st.integers(0, 10**14))
def test_written_and_read_again(fen: int) -> None:
    assert parse_yuan(format_yuan(fen)) == fen


def test_below_nothing_the_sign_stands_before_the_currency() -> None:
    assert [shown_yuan(fen) for fen in (-123456, -1, 0, 100)] == ["−¥1,234.56", "−¥0.01", "¥0.00", "¥1.00"]
    assert format_yuan(-100) == "-1.00"  # what programs read keeps the keyboard's


def test_shares_for_display_round_half_up() -> None:
    assert (share_bp(13600, 6000), share_bp(1, 5000), share_bp(1, 4999)) == (8160, 1, 0)


@given(st.integers(0, 10**13), st.lists(st.integers(0, 10**6), min_size=1, max_size=60).filter(any), st.text(max_size=8))
def test_a_million_at_once_get_what_each_alone_would(total: int, shares: list[int], salt: str) -> None:
    keys = [str(i) for i in range(len(shares))]
    assert split_columns(total, np.array(shares, dtype=np.int64), keys, salt).tolist() == split(total, shares, keys, salt)


@given(st.integers(2**40, 10**15), st.lists(st.integers(2**30, 2**50), min_size=1, max_size=9))
def test_what_does_not_fit_in_64_bits_is_divided_exactly_too(total: int, shares: list[int]) -> None:
    keys = [str(i) for i in range(len(shares))]
    assert split_columns(total, np.array(shares, dtype=np.int64), keys, "s").tolist() == split(total, shares, keys, "s")


def test_equal_shares_differ_by_the_odd_fen_only() -> None:
    keys = [f"JA-{i}" for i in range(5_000)]
    parts = split_columns(12_345, np.ones(5_000, dtype=np.int64), keys, "2026-10")
    assert parts.tolist() == split(12_345, [1] * 5_000, keys, "2026-10")
    with pytest.raises(ValueError, match="nothing"):
        split_columns(1, np.zeros(3, dtype=np.int64), keys[:3], "")
