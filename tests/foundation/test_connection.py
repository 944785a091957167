"""Connections that the server took away: noticed before they are used, or the work is done again; nothing is lost, and nothing done twice."""

from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from marketplace.foundation import clock, connection, driver
from marketplace.foundation.database import db, transaction
from marketplace.organisations.organisation import Organisation

pytestmark = pytest.mark.postgres


@pytest.fixture(autouse=True)
def database(request: pytest.FixtureRequest) -> Any:
    """PostgreSQL alone: SQLite has no server that could go away."""
    server = request.getfixturevalue("postgres")
    address = server.fresh_database(template=request.getfixturevalue("postgres_template"))
    yield address
    server.drop_database(address)


def killed() -> int:
    """End every connection of this database but our own, as a restart does; how many there were."""
    address = db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as administrator:
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        (count,) = administrator.execute(f"SELECT count(pg_terminate_backend(pid, 5000)) {others}").fetchone() or (0,)
        return int(count)


def organisation() -> None:
    db.session.add(Organisation(kind="COOPERATIVE", name_zh="甲社", created_at=clock.now(), version=1))
    db.session.flush()


def count() -> int:
    return db.session.scalar(select(func.count()).select_from(Organisation)) or 0


def test_one_that_ended_between_borrows_is_not_used(app: Flask) -> None:
    """Nobody is told of it: not who reads, not who writes and tries once, and nobody asked the server anything before."""
    transaction(organisation)
    tries: list[int] = []

    def work() -> None:
        tries.append(1)
        organisation()

    for write in (lambda: transaction(work), _write_once):
        db.session.remove()
        assert killed() >= 1
        write()
        db.session.remove()
        assert killed() >= 1
        assert count() == len(tries) + (2 if write is _write_once else 1)
    assert tries == [1]


def _write_once() -> None:
    with transaction():
        organisation()


def test_all_connections_of_the_pool_may_have_ended(app: Flask) -> None:
    kept = [db.engine.connect() for _ in range(5)]
    for each in kept:
        each.execute(text("SELECT 1"))
    for each in kept:
        each.close()
    assert killed() == 5
    again = [db.engine.connect() for _ in range(5)]
    assert [each.scalar(text("SELECT 1")) for each in again] == [1] * 5
    for each in again:
        each.close()


@pytest.mark.parametrize("through_the_driver", [False, True])
def test_one_that_ends_while_it_works_lets_the_work_begin_anew(app: Flask, through_the_driver: bool) -> None:
    tries: list[int] = []

    def work() -> None:
        tries.append(1)
        organisation()
        if len(tries) == 1:
            killed()
        if through_the_driver:
            driver.rows("SELECT 1")
        organisation()

    transaction(work)
    assert (len(tries), count()) == (2, 2)


def test_one_that_ends_before_the_commit_is_told_and_not_done_again(app: Flask) -> None:
    """Whether it was committed is not known; here it was not, and whoever asked may ask again."""
    tries: list[int] = []

    def work() -> None:
        tries.append(1)
        organisation()
        killed()

    with pytest.raises(DBAPIError) as lost:
        transaction(work)
    assert lost.value.connection_invalidated
    assert tries == [1]
    assert count() == 0


def test_a_server_that_stays_away_is_told(app: Flask) -> None:
    tries: list[int] = []

    def work() -> None:
        tries.append(1)
        organisation()
        killed()
        organisation()

    with pytest.raises(DBAPIError):
        transaction(work, attempts=3)
    assert (len(tries), count()) == (3, 0)


def test_a_connection_in_use_is_not_asked_first(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    answers = connection._answers
    monkeypatch.setattr(connection, "_answers", lambda own: asked.append(1) or answers(own))
    for _ in range(5):
        transaction(organisation)
        db.session.remove()
    assert asked == []
    monkeypatch.setattr(connection, "QUIET", 0.0)
    assert count() == 5
    assert asked == [1]
