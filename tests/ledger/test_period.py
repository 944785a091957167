"""A closed month refuses every posting, by whatever door; who is posting while it is closed is either in it, or refused."""

import threading
import time
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.ledger import balance, event, month, period
from marketplace.ledger.entry import JournalEntry
from marketplace.ledger.period import ClosedPeriod, PeriodBalance
from marketplace.ledger.posting import PeriodClosed, Source
from tests.builders_people import operator, person
from tests.ledger.account_book import Books, held

pytestmark = pytest.mark.both


def settle(books: Books, number: int, which: str, fen: int = 9) -> int:
    return event.settled(
        book=books.cooperative, source=Source("order", number), scheme_version_id=1, revenue_fen=fen, freight_fen=0,
        pools={1: 1}, collectives={}, fund_fen=0, period=which,
    )  # fmt: skip


def close(which: str) -> None:
    closer = person(operator(), "treasurer").person_id

    def work() -> None:
        period.lock(which)
        now = period.written(which)
        period.write_closed(
            ClosedPeriod(
                period=which, closed_at=clock.now(), closed_by_id=closer,
                entries=now.entries, lines=now.lines, gross=now.gross, sha256=now.sha256,
            )
        )  # fmt: skip

    transaction(work)


@pytest.fixture
def three_months(books: Books) -> Books:
    for number, which in enumerate(("2020-09", "2020-10", "2020-11")):
        transaction(lambda number=number, which=which: settle(books, number, which, 10 * (number + 1)))  # type: ignore[misc]
    return books


def test_a_closed_month_and_those_before_it_refuse_and_later_ones_do_not(three_months: Books) -> None:
    close("2020-10")
    for late in ("2020-10", "2020-09", "2020-07"):
        with pytest.raises(PeriodClosed) as refused:
            transaction(lambda late=late: settle(three_months, 9, late))  # type: ignore[misc]
        assert refused.value.data["period"] == late
    transaction(lambda: settle(three_months, 9, "2020-11"))
    assert (period.last_closed(), period.oldest_open()) == ("2020-10", "2020-11")


def test_what_comes_late_is_posted_to_the_open_month_with_its_own_time(three_months: Books) -> None:
    close("2020-11")
    happened = clock.beijing_midnight(clock.business_date().replace(year=2020, month=11, day=30))
    late = transaction(lambda: event.fee(book=three_months.cooperative, source=Source("bill", 1), fen=3, at=happened))
    row = db.session.get_one(JournalEntry, late)
    assert (row.period, row.event_at) == (month.ahead(1)[0], happened)


def test_raw_sql_is_refused_too_and_so_is_a_month_of_its_own(three_months: Books) -> None:
    close("2020-10")
    accounts = db.session.scalars(text("SELECT id FROM account ORDER BY id LIMIT 2")).all()
    postgresql = db.engine.dialect.name == "postgresql"
    for table in ("journal_line", "journal.line_2020_10") if postgresql else ("journal_line",):
        for isolation in ("READ COMMITTED", "REPEATABLE READ") if postgresql else ("SERIALIZABLE",):
            with (
                pytest.raises(DBAPIError, match="this month is closed"),
                db.engine.connect().execution_options(isolation_level=isolation) as connection,
                connection.begin(),
            ):
                connection.execute(
                    text(
                        "INSERT INTO journal_entry (id, book, kind, source_type, source_id, source_seq, period, currency, n_lines, gross, "
                        f"event_at, posted_at) VALUES (900, {three_months.cooperative}, 'x', 'x', 1, 0, '2020-10', 'CNY', 2, 5, "
                        "'2020-10-01 00:00:00', '2020-10-01 00:00:00')"
                    )
                )
                connection.execute(
                    text(f"INSERT INTO {table} VALUES ('2020-10', 900, 1, {accounts[0]}, 5), ('2020-10', 900, 2, {accounts[1]}, -5)")
                )
    db.session.remove()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE closed_period SET sha256 = 'x'",
        "DELETE FROM closed_period",
        "UPDATE period_balance SET fen = 0",
        "DELETE FROM period_balance",
        "INSERT INTO closed_period SELECT '2020-08', closed_at, closed_by_id, 0, 0, 0, '' FROM closed_period",
    ],
)
def test_a_closed_month_stays_closed(three_months: Books, statement: str) -> None:
    close("2020-10")
    db.session.remove()
    with pytest.raises(DBAPIError, match="ledger"), db.engine.begin() as connection:
        connection.execute(text(statement))
    assert period.last_closed() == "2020-10"


def test_no_month_is_closed_before_it_is_over(three_months: Books) -> None:
    """It could never be opened again, and every posting up to then would be refused."""
    closer = person(operator(), "treasurer").person_id
    for ahead in ("2199-12", *month.ahead(2), "2020-13", "2020-1", "zzzz"):
        db.session.remove()
        with pytest.raises(DBAPIError, match="is not over"), db.engine.begin() as connection:
            connection.execute(
                text("INSERT INTO closed_period VALUES (:period, '2020-12-01 00:00:00', :closer, 0, 0, 0, '')"), {"period": ahead, "closer": closer}
            )
    assert period.last_closed() == ""
    last = clock.period_of(clock.business_date().replace(day=1) - timedelta(days=1))
    close(last)
    assert period.last_closed() == last


def test_balances_at_the_end_of_a_month_go_on_from_the_month_before(three_months: Books) -> None:
    for which in ("2020-09", "2020-10", "2020-11"):
        close(which)
    revenue = db.session.execute(
        select(PeriodBalance.period, PeriodBalance.debit_fen, PeriodBalance.credit_fen, PeriodBalance.fen)
        .join_from(PeriodBalance, JournalEntry, JournalEntry.period == PeriodBalance.period)
        .where(PeriodBalance.fen.in_((-10, -30, -60)))
        .order_by(PeriodBalance.period)
    )
    assert [tuple(row) for row in revenue] == [
        ("2020-09", 0, 10, -10),
        ("2020-10", 0, 20, -30),
        ("2020-11", 0, 30, -60),
    ]
    assert held(three_months.cooperative, "revenue") == 60


def test_posters_and_the_closer_race_and_every_entry_is_in_the_closing_or_refused(app: Flask, books: Books) -> None:
    with transaction():
        settle(books, 0, "2020-10")
    closer = person(operator(), "treasurer").person_id
    begun = threading.Barrier(5)
    posted: list[int] = []
    refused: list[int] = []

    def post(first: int) -> None:
        with app.app_context():
            begun.wait()
            for number in range(first, first + 1000):  # until it is refused
                try:
                    transaction(lambda number=number: settle(books, number, "2020-10"))  # type: ignore[misc]
                    posted.append(number)
                except PeriodClosed:
                    refused.append(number)
                    break
                if number - first > 20:
                    time.sleep(0.005)  # SQLite's one writer is whoever asks first: the closer gets its turn
            db.session.remove()

    threads = [threading.Thread(target=post, args=(1 + 10_000 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    begun.wait()
    while len(posted) < 10:
        time.sleep(0.001)

    def work() -> None:
        period.lock("2020-10")
        now = period.written("2020-10")
        row = ClosedPeriod(
            period="2020-10", closed_at=clock.now(), closed_by_id=closer,
            entries=now.entries, lines=now.lines, gross=now.gross, sha256=now.sha256,
        )  # fmt: skip
        period.write_closed(row)

    transaction(work)
    for thread in threads:
        thread.join()
    closed = db.session.get_one(ClosedPeriod, "2020-10")
    assert len(refused) == 4, "the month was closed when all were done: the race did not happen"
    assert closed.entries == len(posted) + 1
    assert period.written("2020-10").sha256 == closed.sha256
    assert held(books.cooperative, "revenue") == 9 * (len(posted) + 1)


def test_a_poster_at_work_is_waited_for(app: Flask, books: Books) -> None:
    """An entry written, not committed: the closer may neither miss it nor close over it."""
    if db.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer")
    with transaction():
        settle(books, 0, "2020-10")
    done = threading.Event()

    def closer() -> None:
        with app.app_context():
            close("2020-10")
            done.set()
            db.session.remove()

    with transaction():
        settle(books, 1, "2020-10")
        thread = threading.Thread(target=closer)
        thread.start()
        assert not done.wait(0.5)
    thread.join()
    assert db.session.get_one(ClosedPeriod, "2020-10").entries == 2


def test_a_roll_up_goes_on_over_closed_months(three_months: Books) -> None:
    transaction(balance.roll_up)
    close("2020-10")
    transaction(lambda: settle(three_months, 5, "2020-11"))
    transaction(balance.roll_up)
    assert held(three_months.cooperative, "revenue") == 69


@pytest.mark.parametrize("recursive_triggers", ["ON", "OFF"])
def test_what_is_closed_is_not_replaced(three_months: Books, recursive_triggers: str) -> None:
    """INSERT OR REPLACE deletes without asking the delete triggers, unless recursive triggers are on: it must fail either way, by
    the key and by the row's hidden number."""
    if db.engine.dialect.name != "sqlite":
        pytest.skip("REPLACE is SQLite's")
    close("2020-10")

    def kept() -> tuple[list[object], ...]:
        with db.engine.connect() as connection:
            return tuple(list(connection.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2"))) for table in ("closed_period", "period_balance"))

    before = kept()
    assert all(before)
    closed = "closed_at, closed_by_id, entries, lines, gross"
    for statement in (
        f"INSERT OR REPLACE INTO closed_period (period, {closed}, sha256) SELECT period, {closed}, 'x' FROM closed_period",
        f"INSERT OR REPLACE INTO closed_period (rowid, period, {closed}, sha256) SELECT rowid, '2020-12', {closed}, 'x' FROM closed_period",
        "INSERT OR REPLACE INTO period_balance (period, account_id, debit_fen, credit_fen, fen) SELECT period, account_id, 0, 0, 7 FROM period_balance",
    ):
        db.session.remove()
        with pytest.raises(DBAPIError, match="ledger"), db.engine.begin() as connection:
            connection.execute(text(f"PRAGMA recursive_triggers = {recursive_triggers}"))
            connection.execute(text(statement))
        assert kept() == before


def test_a_closed_month_has_its_index_and_an_open_one_pays_for_none(three_months: Books) -> None:
    if db.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one table for all months")
    close("2020-10")

    def by_account() -> set[str]:
        query = "SELECT tablename FROM pg_indexes WHERE schemaname = 'journal' AND indexdef LIKE '%(account_id, entry_id)'"
        return set(db.session.scalars(text(query)))

    assert by_account() == {"line_2020_09", "line_2020_10"}
    close("2020-11")
    assert by_account() == {"line_2020_09", "line_2020_10", "line_2020_11"}
