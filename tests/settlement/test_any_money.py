"""In whatever order things happen to the money after an order: every rule of the books holds after each step, on both databases."""

import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from marketplace import create_app
from marketplace.foundation.config import read_settings
from marketplace.foundation.database import db
from tests.postgres import PostgresServer
from tests.settlement.any_money import AnyMoney

# How far examples must get, or they would show little.
FAR = {"settled", "distributed", "payout_debited", "payout_returned", "refund_after_settlement", "closed"}
Opened = Callable[[], AbstractContextManager[Flask]]


def markets(folder: Path, new: Callable[[], str], drop: Callable[[str], None]) -> Opened:
    """Opens an application on a new database each time, and drops the database afterwards."""
    number = itertools.count(1)

    @contextmanager
    def opened() -> Iterator[Flask]:
        address = new()
        made = read_settings({}, environment="test", data_dir=folder / f"{next(number)}", database_url=address, secret_key="t" * 40)
        app = create_app(made)
        with app.app_context():
            yield app
            db.session.remove()
            db.engine.dispose()
        drop(address)

    return opened


def ways(opened: Opened, examples: int, steps: int, *, again: bool = True) -> set[str]:
    """Which kinds of entry were posted in all examples, and "closed" if a month was. ``again``: the same examples in every run."""
    seen: set[str] = set()
    market = type("AnyMoneyHere", (AnyMoney,), {"market_opened": staticmethod(opened), "every_rule": again, "seen": seen})
    chosen = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=again, print_blob=True, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(market, settings=chosen)
    return seen


@pytest.fixture
def on_sqlite(tmp_path: Path, sqlite_template: Path) -> Opened:
    number = itertools.count(1)

    def new() -> str:
        shutil.copyfile(sqlite_template, path := tmp_path / f"market-{next(number)}.sqlite3")
        return f"sqlite:///{path}"

    return markets(tmp_path, new, lambda address: Path(address.removeprefix("sqlite:///")).unlink())


@pytest.fixture
def on_postgresql(tmp_path: Path, postgres: PostgresServer, postgres_template: str) -> Opened:
    return markets(tmp_path, lambda: postgres.fresh_database(template=postgres_template), postgres.drop_database)


def test_any_way_the_money_may_go(on_sqlite: Opened) -> None:
    assert ways(on_sqlite, 8, 40) >= FAR, "few examples, but they go the whole way"


@pytest.mark.postgres
def test_any_way_the_money_may_go_on_postgresql(on_postgresql: Opened) -> None:
    ways(on_postgresql, 3, 30)


def test_the_machine_knows_the_way_to_a_recovery_and_a_closed_month(on_sqlite: Opened) -> None:
    """What few random examples may not get to: money given back after the households were paid, recovered from the next month's."""
    market = type("AnyMoneyHere", (AnyMoney,), {"market_opened": staticmethod(on_sqlite), "seen": set()})()
    try:
        market.one_is_paid()
        market.a_unit_has_bought(9)
        for check in (
            market.the_money_is_where_it_should_be, market.no_household_and_no_pool_owes, market.all_rules_of_the_books_hold,
            market.what_is_wholly_refunded_has_left_nothing_divided, market.closed_months_are_what_they_were,
        ):  # fmt: skip
            check()
    finally:
        market.teardown()
    assert market.seen >= FAR | {"recovered"}


@pytest.mark.soak
def test_hundreds_of_ways(on_sqlite: Opened) -> None:
    ways(on_sqlite, 200, 60, again=False)


@pytest.mark.soak
@pytest.mark.postgres
def test_hundreds_of_ways_on_postgresql(on_postgresql: Opened) -> None:
    ways(on_postgresql, 100, 60, again=False)
