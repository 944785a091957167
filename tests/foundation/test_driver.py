"""Statements through the driver: the same transaction, values and errors as through the session."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from marketplace.foundation import clock, driver
from marketplace.foundation.database import broke_unique, db, transaction
from marketplace.foundation.idempotency import IdempotencyKey

pytestmark = pytest.mark.both
INSERT = "INSERT INTO idempotency_key (scope, key, request_hash, answer, claimed_at) VALUES (?, ?, ?, ?, ?) RETURNING id"


def claimed(scope: str = "百分之 5% 社") -> int:
    ((number,),) = driver.rows(INSERT, scope, "k", "h" * 64, {"fen": 5, "名": "甲"}, clock.now())
    return int(number)


def test_what_it_writes_is_what_the_session_reads(app: Flask) -> None:
    moment = clock.now() - timedelta(days=1)
    with clock.travel(moment.astimezone(clock.BEIJING)):
        number = transaction(claimed)
    row = db.session.get_one(IdempotencyKey, number)
    assert (row.scope, row.answer, row.claimed_at) == ("百分之 5% 社", {"fen": 5, "名": "甲"}, moment)
    assert driver.rows("SELECT scope FROM idempotency_key WHERE scope LIKE '%社' AND id = ?", number) == [(row.scope,)]


def test_it_is_undone_with_the_transaction(app: Flask) -> None:
    with pytest.raises(ZeroDivisionError), transaction():
        claimed()
        _ = 1 // 0
    assert driver.rows("SELECT count(*) FROM idempotency_key") == [(0,)]


def test_errors_are_those_of_the_session(app: Flask) -> None:
    transaction(claimed)
    with pytest.raises(IntegrityError) as twice, transaction():
        claimed()
    assert broke_unique(twice.value)
    with pytest.raises(IntegrityError) as once, transaction():
        driver.each("INSERT INTO role (person_id, organisation_id, name) VALUES (?, ?, ?)", [(99, 99, "clerk")])
    assert not broke_unique(once.value)
    with pytest.raises((ProgrammingError, OperationalError)), transaction():
        driver.rows("SELECT nothing FROM nowhere")
