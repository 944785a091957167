"""Each month of the ledger is a partition on PostgreSQL: made ahead, or by whoever comes first; the old table moves over whole."""

import threading
from pathlib import Path

import pytest
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from marketplace import create_app
from marketplace.foundation.config import read_settings
from marketplace.foundation.database import db, transaction
from marketplace.jobs import schedule
from marketplace.ledger import event, month
from marketplace.ledger.posting import Source
from tests.ledger.account_book import Books
from tests.postgres import PostgresServer

pytestmark = pytest.mark.both


@pytest.fixture(autouse=True)
def partitioned(database: str) -> None:
    if database.startswith("sqlite"):
        pytest.skip("SQLite keeps all months in one table")


def settle(books: Books, number: int, period: str) -> None:
    event.settled(
        book=books.cooperative, source=Source("order", number), scheme_version_id=1, revenue_fen=9, freight_fen=0,
        pools={1: 1}, collectives={}, fund_fen=0, period=period,
    )  # fmt: skip


def lines_in(period: str) -> int:
    return int(db.session.scalar(text(f"SELECT count(*) FROM journal.line_{period.replace('-', '_')}")) or 0)


def test_a_month_that_nobody_made_is_made_by_who_posts(books: Books) -> None:
    with transaction():
        settle(books, 1, "2033-02")
    assert lines_in("2033-02") == 3


def test_a_month_that_was_made_in_vain_is_made_again(books: Books) -> None:
    """Two entries of one transaction, which made the month and did not commit: whoever posts next finds no table."""
    with pytest.raises(ZeroDivisionError), transaction():
        settle(books, 1, "2033-04")
        settle(books, 2, "2033-04")
        raise ZeroDivisionError
    assert not month.is_known("2033-04", db.engine)
    with transaction():
        settle(books, 1, "2033-04")
    assert lines_in("2033-04") == 3


def test_eight_posters_make_the_same_month_once(app: Flask, books: Books) -> None:
    with transaction():
        settle(books, 0, "2033-01")  # the accounts are there
    together = threading.Barrier(8)
    failures: list[DBAPIError] = []

    def post(number: int) -> None:
        with app.app_context():
            together.wait()
            try:
                transaction(lambda: settle(books, number, "2033-03"))
            except DBAPIError as error:
                failures.append(error)
            finally:
                db.session.remove()

    threads = [threading.Thread(target=post, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert lines_in("2033-03") == 24


def test_the_job_makes_a_year_ahead_and_is_done(app: Flask) -> None:
    assert "made 20" in schedule.once(app, "months")
    assert schedule.once(app, "months") == ""
    assert lines_in(month.ahead(13)[-1]) == 0


def test_lines_of_the_undivided_table_move_to_their_months(app: Flask, postgres: PostgresServer, tmp_path: Path) -> None:
    address = postgres.fresh_database()
    settings = read_settings({}, environment="test", data_dir=tmp_path, database_url=address, secret_key="t" * 40)
    with create_app(settings).app_context():
        upgrade(revision="0006")
        with db.engine.begin() as connection:
            for statement in WRITTEN_BEFORE.split(";"):
                connection.exec_driver_sql(statement)
        upgrade()
        assert (lines_in("2026-10"), lines_in("2026-11")) == (2, 3)
        moved = db.session.execute(text("SELECT period, entry_id, line_no, account_id, fen FROM journal_line ORDER BY 1, 2, 3"))
        assert [tuple(row) for row in moved] == [
            ("2026-10", 1, 1, 1, 500),
            ("2026-10", 1, 2, 2, -500),
            ("2026-11", 2, 1, 1, 70),
            ("2026-11", 2, 2, 2, -60),
            ("2026-11", 2, 3, 2, -10),
        ]
        db.session.remove()
        db.engine.dispose()
    postgres.drop_database(address)


WRITTEN_BEFORE = """
INSERT INTO organisation (id, kind, name_zh, address, phone, version, public_id, created_at)
VALUES (1, 'COOPERATIVE', 'x', '', '', 1, 'x', now());
INSERT INTO account (id, code, kind, book, owner_ref, currency)
VALUES (1, '1:alipay', 'alipay', 1, '', 'CNY'), (2, '1:buyer_funds', 'buyer_funds', 1, '', 'CNY');
INSERT INTO journal_entry (id, book, kind, source_type, source_id, source_seq, period, currency, n_lines, gross, event_at, posted_at)
VALUES (1, 1, 'alipay_paid', 'payment', 1, 0, '2026-10', 'CNY', 2, 500, now(), now()),
       (2, 1, 'alipay_paid', 'payment', 2, 0, '2026-11', 'CNY', 3, 70, now(), now());
INSERT INTO journal_line (period, entry_id, line_no, account_id, fen)
VALUES ('2026-10', 1, 1, 1, 500), ('2026-10', 1, 2, 2, -500), ('2026-11', 2, 1, 1, 70), ('2026-11', 2, 2, 2, -60), ('2026-11', 2, 3, 2, -10)
"""
