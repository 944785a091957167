"""In whatever order things happen to the money after an order: every rule of the books holds after each step, on both databases."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.settlement.any_money import AnyMoney
from tests.settlement.money_market import Opened, on_postgresql, on_sqlite

__all__ = ["on_postgresql", "on_sqlite"]

# How far examples must get, or they would show little.
FAR = {"settled", "distributed", "payout_debited", "payout_returned", "refund_after_settlement", "closed"}


def ways(opened: Opened, examples: int, steps: int, *, again: bool = True) -> set[str]:
    """Which kinds of entry were posted in all examples, which states items were in, and "closed" if a month was. ``again``: the same
    examples in every run."""
    seen: set[str] = set()
    market = type("AnyMoneyHere", (AnyMoney,), {"market_opened": staticmethod(opened), "every_rule": again, "seen": seen})
    chosen = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=again, print_blob=True, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(market, settings=chosen)
    return seen


def test_any_way_the_money_may_go(on_sqlite: Opened) -> None:
    assert ways(on_sqlite, 4, 30) >= FAR, "few examples, but they go the whole way"


@pytest.mark.postgres
def test_any_way_the_money_may_go_on_postgresql(on_postgresql: Opened) -> None:
    assert ways(on_postgresql, 2, 20) >= {"settled", "distributed", "payout_sent", "payout_debited"}


@pytest.mark.soak
def test_hundreds_of_ways(on_sqlite: Opened) -> None:
    ways(on_sqlite, 200, 60, again=False)


@pytest.mark.soak
@pytest.mark.postgres
def test_hundreds_of_ways_on_postgresql(on_postgresql: Opened) -> None:
    ways(on_postgresql, 100, 60, again=False)
