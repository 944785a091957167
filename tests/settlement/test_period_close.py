"""The treasurer closes a month that is over, in order, when the books hold; and its journal can be proven for ever after."""

from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import transaction
from marketplace.foundation.errors import Conflict, NotAllowed
from marketplace.jobs import schedule
from marketplace.ledger import event, period
from marketplace.ledger.posting import Source
from marketplace.organisations.actor import Actor
from marketplace.reporting import books
from marketplace.settlement import period_close
from tests import builders
from tests.builders_people import operator, person
from tests.reporting import disarmed


def month_of(days: int) -> str:
    return clock.period_of(clock.business_date(clock.now() + timedelta(days=days)))


@pytest.fixture
def traded(months_ago: None, app: Flask) -> str:
    """The first of two months in which rows of the bank's statement were booked."""
    for number, days in enumerate((0, 40)):
        with clock.travel(clock.now() + timedelta(days=days)), transaction():
            event.unrelated_row(book=operator(), source=Source("bank_receipt", number), fen=8_800)
    return month_of(0)


@pytest.fixture
def treasurer(traded: str) -> Actor:
    return person(operator(), "treasurer")


def close(which: str, actor: Actor, *, days: int = 75) -> period.ClosedPeriod:
    with clock.travel(clock.now() + timedelta(days=days)):
        state = period_close.checklist(which)
        return transaction(lambda: period_close.close(state, actor=actor))


@pytest.mark.both
def test_months_close_in_order_and_once(treasurer: Actor, traded: str) -> None:
    later = month_of(40)
    with pytest.raises(Conflict) as refused:
        close(later, treasurer)
    assert (refused.value.code, refused.value.data["oldest"]) == ("period.order", traded)
    first = close(traded, treasurer)
    assert (first.entries, first.gross, len(first.sha256)) == (1, 8_800, 64)
    close(later, treasurer)
    with pytest.raises(Conflict) as refused:
        close(traded, treasurer)
    assert refused.value.code == "period.closed"
    assert books.broken() == []


def test_a_month_that_runs_or_is_empty_does_not_close(treasurer: Actor, traded: str) -> None:
    with pytest.raises(Conflict) as refused:
        close(traded, treasurer, days=0)
    assert refused.value.code == "period.running"
    with pytest.raises(Conflict) as refused:
        close("2019-01", treasurer)
    assert refused.value.code == "period.empty"


@pytest.mark.parametrize(("kind", "role"), [("OPERATOR", "auditor"), ("OPERATOR", "reviewer"), ("COOPERATIVE", "accountant")])
def test_only_the_treasurer_closes(traded: str, kind: str, role: str) -> None:
    other = operator() if kind == "OPERATOR" else builders.cooperative("别社")
    with pytest.raises(NotAllowed):
        close(traded, person(other, role))
    assert period.last_closed() == ""


def test_broken_books_do_not_close(treasurer: Actor, traded: str) -> None:
    disarmed.run("UPDATE journal_line SET fen = fen + 1 WHERE line_no = 1")
    with pytest.raises(Conflict) as refused:
        close(traded, treasurer)
    assert refused.value.code == "period.broken"
    assert "entries_balance" in refused.value.data["rules"]
    assert period.last_closed() == ""


def test_what_came_between_check_and_lock_is_verified_too(treasurer: Actor, traded: str) -> None:
    with clock.travel(clock.now() + timedelta(days=75)):
        state = period_close.checklist(traded)
        disarmed.run("UPDATE journal_line SET fen = fen + 1 WHERE line_no = 1")
        with pytest.raises(Conflict) as refused:
            transaction(lambda: period_close.close(state, actor=treasurer))
    assert refused.value.code == "period.broken"


def test_the_terminal_closes_and_proves(app: Flask, treasurer: Actor, traded: str, tmp_path: Path) -> None:
    from marketplace.foundation.database import db
    from marketplace.organisations.person import Person

    with transaction():
        db.session.get_one(Person, treasurer.person_id).login = "treasurer"
    ask = app.test_cli_runner()
    with clock.travel(clock.now() + timedelta(days=75)):
        assert traded in schedule.once(app, "close")
        told = ask.invoke(args=["books", "close", "--period", traded, "--actor", "treasurer"])
        assert told.exit_code == 0, told.output
        assert "1 entries, 2 lines, debits CNY 88.00" in told.output
        again = ask.invoke(args=["books", "close", "--period", traded, "--actor", "treasurer"])
        assert (again.exit_code, "period.closed" in again.output) == (1, True)
    out = tmp_path / "journal.csv"
    proven = ask.invoke(args=["books", "journal", "--period", traded, "--out", str(out)])
    assert proven.exit_code == 0
    assert out.read_text().splitlines()[1].endswith(",8800")
    disarmed.run("UPDATE journal_line SET account_id = account_id + 1 - 2 * (account_id % 2 = 0)")
    altered = ask.invoke(args=["books", "journal", "--period", traded, "--out", str(out)])
    assert (altered.exit_code, "was changed since" in altered.output) == (1, True)
