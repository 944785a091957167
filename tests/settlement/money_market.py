"""Markets for the machine of money: an application on a database of its own for each example, and the machine played by hand."""

import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from flask import Flask

from marketplace import create_app
from marketplace.foundation.config import read_settings
from marketplace.foundation.database import db
from tests.postgres import PostgresServer
from tests.settlement.any_money import AnyMoney
from tests.settlement.nobody_claims import UNCLAIMED_DAYS

Opened = Callable[[], AbstractContextManager[Flask]]


def markets(folder: Path, new: Callable[[], str], drop: Callable[[str], None]) -> Opened:
    """Opens an application on a new database each time, and drops the database afterwards."""
    number = itertools.count(1)

    @contextmanager
    def opened() -> Iterator[Flask]:
        address = new()
        made = read_settings(
            {}, environment="test", data_dir=folder / f"{next(number)}", database_url=address, secret_key="t" * 40, unclaimed_days=UNCLAIMED_DAYS
        )  # fmt: skip
        app = create_app(made)
        with app.app_context():
            yield app
            db.session.remove()
            db.engine.dispose()
        drop(address)

    return opened


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


@pytest.fixture(params=["on_sqlite", pytest.param("on_postgresql", marks=pytest.mark.postgres)])
def machine(request: pytest.FixtureRequest) -> Iterator[AnyMoney]:
    """The machine in the hands of a test, on both databases: its rules are called by name, and ``holds`` after them."""
    opened: Opened = request.getfixturevalue(request.param)
    made = type("AnyMoneyHere", (AnyMoney,), {"market_opened": staticmethod(opened), "seen": set()})()
    try:
        yield made
    finally:
        made.teardown()
