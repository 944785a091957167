"""On PostgreSQL orders settle while a draft is made: their money is in no part of it, and waits for the next."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event as happens

from marketplace.foundation.database import db, transaction
from marketplace.ledger import balance
from marketplace.settlement import distribution, settlement
from tests import builders
from tests.settlement.builders import order
from tests.settlement.test_distribution import drafted, sold

pytestmark = pytest.mark.postgres


@pytest.fixture(autouse=True)
def database(request: pytest.FixtureRequest) -> Any:
    """PostgreSQL alone: on SQLite nobody else writes meanwhile."""
    server = request.getfixturevalue("postgres")
    address = server.fresh_database(template=request.getfixturevalue("postgres_template"))
    yield address
    server.drop_database(address)


@contextmanager
def settled_meanwhile(app: Flask, order_id: int, reading: int) -> Iterator[None]:
    """Another worker settles the order once the lines to be divided were read so many times, and before the pool is."""
    readings = []

    def settle() -> None:
        with app.app_context():
            transaction(lambda: settlement.settle(order_id))
            db.session.remove()

    def after(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "FROM settlement_line" in statement and "FOR UPDATE" in statement:
            readings.append(statement)
            if len(readings) == reading:
                worker = threading.Thread(target=settle)
                worker.start()
                worker.join()

    happens.listen(db.engine, "after_cursor_execute", after)
    try:
        yield
    finally:
        happens.remove(db.engine, "after_cursor_execute", after)
    assert len(readings) == reading


def test_what_settles_while_a_month_is_drafted_waits(app: Flask) -> None:
    market = builders.market()
    sold(market, 50_000)
    late = order(market, 30_000)
    with settled_meanwhile(app, late, reading=2):  # once to hold them, once to divide them
        row = drafted(market)
    assert (balance.by_kind(market.cooperative)["household_pool"], row.total_fen) == (16_000, 10_000)
    assert drafted(market).total_fen == 6_000


def test_what_settles_while_a_draft_is_computed_again_waits(app: Flask) -> None:
    market = builders.market()
    sold(market, 50_000)
    late, number = order(market, 30_000), drafted(market).id
    with settled_meanwhile(app, late, reading=1):
        row = transaction(lambda: distribution.recompute(number, actor=market.accountant, version=1))
    assert (balance.by_kind(market.cooperative)["household_pool"], row.total_fen) == (16_000, 10_000)
    assert drafted(market).total_fen == 6_000
