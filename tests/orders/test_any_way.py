"""Whatever happens to orders in whatever order: no pack is promised twice, each yuan is where it should be, the books hold."""

from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from marketplace.reporting import books
from tests.orders.any_way import AnyWay


def test_any_way_an_order_may_go(app: Flask) -> None:
    quick = settings(max_examples=15, stateful_step_count=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(AnyWay, settings=quick)
    assert [f"{each.rule}: {each.detail}" for each in books.check() if not each.ok] == []
