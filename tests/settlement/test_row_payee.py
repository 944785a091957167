"""Who got a transfer, as far as the bank tells: a name or an account with stars over a part fits whom it may be, however it is written."""

from typing import NamedTuple

import pytest

from marketplace.settlement import row_payee
from marketplace.settlement.row_payee import Payee


class Row(NamedTuple):
    name: str
    account: str = ""


@pytest.mark.parametrize(("told", "fits"), [
    ("王小明", True), ("王**", True), ("*小明", True), ("*小*", True), ("王*明", True), ("**", False), ("李**", False), ("王小明*明", False), ("*明*小*", False), ("*明*明*", False), ("", True),
])  # fmt: skip
def test_stars_stand_for_any_part(told: str, fits: bool) -> None:
    assert row_payee.fits(Row(told), [Payee("王小明", "6217001")]) == fits  # type: ignore[arg-type]


def test_a_name_of_many_stars_is_answered_at_once() -> None:
    """The attack: as a pattern it takes five times as long for every star, and meanwhile nothing else is done."""
    assert not row_payee.fits(Row("A*" * 59 + "B"), [Payee("A" * 120, "")])  # type: ignore[arg-type]
