"""transaction(): all or nothing, never nested, and the trap of SQLite's lazy begin."""

import threading
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from marketplace.foundation import audit, clock
from marketplace.foundation.audit import AuditEvent
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.organisations.organisation import Organisation

pytestmark = pytest.mark.both


def organisation(name: str = "甲社") -> Organisation:
    row = Organisation(kind="COOPERATIVE", name_zh=name, created_at=clock.now(), version=1)
    db.session.add(row)
    db.session.flush()
    return row


def count() -> int:
    return db.session.scalar(select(func.count()).select_from(Organisation)) or 0


def test_commits_at_the_end_and_nothing_on_an_error(app: Flask) -> None:
    with transaction():
        organisation()
    with pytest.raises(ZeroDivisionError), transaction():
        organisation()
        _ = 1 // 0
    assert count() == 1


def test_an_audit_row_is_undone_with_its_transaction(app: Flask) -> None:
    def acted(name: str) -> None:
        audit.record("organisation.admitted", organisation(name), person_id=None, name=name)

    with transaction():
        acted("甲社")
    with pytest.raises(Conflict), transaction():
        acted("乙社")
        db.session.flush()
        raise Conflict("too.late", "to nobody")
    with pytest.raises(IntegrityError), transaction():
        acted("丙社")
        db.session.execute(text("INSERT INTO organisation (id) VALUES (1)"))  # the database itself refuses
    assert [row.data for row in db.session.query(AuditEvent)] == [{"name": "甲社"}]
    assert count() == 1


def test_the_sum_of_whole_numbers_is_whole(app: Flask) -> None:
    """PostgreSQL adds bigints up as numeric; a Decimal of fen could not be shown, and would be no number in JSON."""
    with transaction():
        organisation()
    total, half = db.session.execute(select(func.sum(Organisation.version), text("CAST(0.5 AS numeric)"))).one()
    assert (type(total), total, float(half)) == (int, 1, 0.5)


def test_nesting_is_refused_and_the_outer_one_is_undone(app: Flask) -> None:
    with pytest.raises(RuntimeError, match="inside"), transaction():
        organisation()
        with transaction():
            pass
    assert count() == 0


def test_unsaved_changes_before_are_refused(app: Flask) -> None:
    db.session.add(Organisation(kind="COOPERATIVE", name_zh="甲", created_at=clock.now(), version=1))
    with pytest.raises(RuntimeError, match="unsaved"), transaction():
        pass
    db.session.rollback()


def test_a_read_before_does_not_spoil_the_write(app: Flask) -> None:
    """After a read SQLite holds a deferred transaction; upgrading it while another wrote would fail at once."""
    with transaction():
        row_id = organisation().id
    db.session.get(Organisation, row_id)

    def other() -> None:
        with app.app_context(), transaction():
            organisation("乙社")

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    with transaction():
        organisation("丙社")
    assert count() == 3


def test_no_update_is_lost_among_threads(app: Flask) -> None:
    """Read, add one, write: 8 threads × 10 rounds under a lock give exactly 80."""
    with transaction():
        row_id = organisation().id
    from marketplace.foundation.database import locked

    def add_one() -> None:
        row = locked(Organisation, row_id)
        row.version += 1

    def work() -> None:
        with app.app_context():
            for _ in range(10):
                transaction(add_one)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    db.session.rollback()
    assert db.session.scalar(select(Organisation.version)) == 81


def test_a_lost_race_runs_the_work_again_from_the_start(app: Flask) -> None:
    tries: list[int] = []

    def work() -> str:
        tries.append(1)
        organisation()
        if len(tries) < 3:
            raise lost()
        return "done"

    assert transaction(work) == "done"
    assert (len(tries), count()) == (3, 1)


def test_a_race_lost_for_ever_is_a_clear_conflict(app: Flask) -> None:
    def work() -> None:
        organisation()
        raise lost()

    with pytest.raises(Conflict) as refused:
        transaction(work, attempts=2)
    assert refused.value.code == "database.busy"
    assert count() == 0


def lost() -> Any:
    """The error that the database in use raises for a lost race."""
    import sqlite3

    from psycopg.errors import DeadlockDetected
    from sqlalchemy.exc import OperationalError

    sqlite = db.engine.dialect.name == "sqlite"
    original: BaseException = sqlite3.OperationalError("database is locked") if sqlite else DeadlockDetected("deadlock")
    return OperationalError("UPDATE", {}, original)


def test_naive_moments_are_refused_and_aware_ones_come_back_in_utc(app: Flask) -> None:
    from sqlalchemy.exc import StatementError

    with transaction():
        row = organisation()
        assert row.created_at.tzinfo is not None
        row_id = row.id
    assert db.session.get_one(Organisation, row_id).created_at.utcoffset() is not None
    with pytest.raises(StatementError, match="aware"), transaction():
        db.session.add(Organisation(kind="COOPERATIVE", name_zh="乙", created_at=clock.now().replace(tzinfo=None), version=1))
        db.session.flush()


def test_foreign_keys_hold(app: Flask) -> None:
    from sqlalchemy.exc import IntegrityError

    with pytest.raises(IntegrityError), transaction():
        db.session.execute(text("INSERT INTO role (person_id, organisation_id, name) VALUES (99, 99, 'clerk')"))
