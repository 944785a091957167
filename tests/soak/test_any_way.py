"""Hundreds of random lives of orders, each long, and other ones every time."""

import pytest
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from marketplace.reporting import books
from tests.orders.any_way import AnyWay

pytestmark = pytest.mark.soak


def test_any_way_an_order_may_go(app: Flask) -> None:
    long = settings(max_examples=300, stateful_step_count=60, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(AnyWay, settings=long)
    assert [f"{each.rule}: {each.detail}" for each in books.check() if not each.ok] == []
