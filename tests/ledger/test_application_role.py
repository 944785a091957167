"""The application's role on PostgreSQL: it trades, posts, settles and opens months, and can touch nothing of what is written."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from marketplace import create_app
from marketplace.foundation.config import read_settings
from marketplace.foundation.database import db, transaction
from marketplace.ledger import balance, event, month
from marketplace.ledger.posting import Source
from tests.ledger import account_book
from tests.ledger.account_book import Books
from tests.ledger.application_role import ROLE, application
from tests.postgres import PostgresServer

pytestmark = pytest.mark.both


@pytest.fixture(autouse=True)
def with_roles(database: str) -> None:
    if database.startswith("sqlite"):
        pytest.skip("SQLite has no roles")


@pytest.fixture
def address(app: Flask, books: Books) -> Iterator[str]:
    with transaction():
        event.alipay_paid(book=books.cooperative, source=Source("payment", 1), fen=500)
    with application() as signed_in:
        yield signed_in


REFUSED = {
    "UPDATE journal_entry SET kind = 'gift'": "permission denied for table journal_entry",
    "UPDATE journal_line SET fen = 1": "permission denied for table journal_line",
    "DELETE FROM journal_entry": "permission denied for table journal_entry",
    "DELETE FROM journal_line": "permission denied for table journal_line",
    "TRUNCATE journal_line": "permission denied for table journal_line",
    "DELETE FROM account": "permission denied for table account",
    "UPDATE account SET kind = 'bank'": "permission denied for table account",
    "UPDATE audit_event SET action = 'nothing'": "permission denied for table audit_event",
    "DELETE FROM audit_event": "permission denied for table audit_event",
    "SELECT 1 FROM {month}": "permission denied for schema journal",
    "INSERT INTO {month} VALUES ('2020-11', 1, 1, 1, 1)": "permission denied for schema journal",
    "DELETE FROM {month}": "permission denied for schema journal",
    "DROP TABLE {month}": "permission denied for schema journal",
    "ALTER TABLE journal_line DETACH PARTITION {month}": "must be owner|permission denied",
    "ALTER TABLE journal_line DISABLE TRIGGER USER": "must be owner",
    "DROP TRIGGER journal_line_whole ON journal_line": "must be owner",
    "DROP FUNCTION ledger_whole() CASCADE": "must be owner",
    "CREATE OR REPLACE FUNCTION ledger_whole() RETURNS trigger LANGUAGE sql AS 'SELECT 1'": "permission denied for schema public",
    "CREATE TABLE journal.line_2020_10 (a int)": "permission denied for schema journal",
    "SET session_replication_role = replica": "permission denied to set parameter",
    "SELECT ledger_open_month('2020-13')": "not a month",
    "SELECT ledger_open_month('2020-11; DROP TABLE account')": "not a month",
}


@pytest.mark.parametrize("statement", REFUSED)
def test_the_applications_role_is_refused(address: str, statement: str) -> None:
    this_month = f"journal.line_{month.ahead(1)[0].replace('-', '_')}"
    engine = create_engine(address)
    try:
        with pytest.raises(DBAPIError, match=REFUSED[statement]), engine.begin() as connection:
            connection.exec_driver_sql(statement.replace("{month}", this_month))
    finally:
        engine.dispose()
    assert db.session.scalar(text("SELECT sum(abs(fen)) FROM journal_line")) == 1000


def test_the_applications_role_changes_neither_closed_months_nor_the_log(address: str) -> None:
    columns = {"closed_period": "sha256", "period_balance": "fen", "log_leaf": "hash", "tree_head": "root", "log_key": "public_key"}
    engine = create_engine(address)
    for table, column in columns.items():
        for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}", f"TRUNCATE {table}"):
            with pytest.raises(DBAPIError, match=f"permission denied for table {table}"), engine.begin() as connection:
                connection.exec_driver_sql(statement)
    # It may close a month, which must be over: one closed ahead would refuse every posting until then, for ever.
    with pytest.raises(DBAPIError, match="is not over"), engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO closed_period VALUES ('2199-12', now(), 1, 0, 0, 0, '')")
    engine.dispose()


def test_the_applications_role_does_its_work(address: str, books: Books, tmp_path: Path) -> None:
    settings = read_settings({}, environment="test", data_dir=tmp_path, database_url=address, secret_key="t" * 40)
    theirs = create_app(settings)
    with theirs.app_context():
        assert db.session.scalar(text("SELECT current_user")) == ROLE
        assert transaction(lambda: month.must_exist(["2031-07"])) == ["2031-07"]
        with transaction():
            event.alipay_paid(book=books.cooperative, source=Source("payment", 2), fen=70)
            late = event.settled(
                book=books.cooperative, source=Source("order", 1), scheme_version_id=1, revenue_fen=60, freight_fen=0,
                pools={1: 10}, collectives={}, fund_fen=0, period="2031-08",
            )  # fmt: skip
        transaction(balance.roll_up)
        assert account_book.held(books.cooperative, "buyer_funds") == 500
        assert account_book.read(late).startswith("debit  buyer_funds 0.70")
        db.session.remove()
        db.engine.dispose()


def test_migrations_give_the_application_its_rights(app: Flask, postgres: PostgresServer, tmp_path: Path) -> None:
    """The owner migrates under DATABASE_MIGRATION_URL; who signs in under DATABASE_URL can read at once, and not own."""
    owner = postgres.fresh_database()
    engine = create_engine(owner)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE ROLE market_reader LOGIN")
    theirs = engine.url.set(username="market_reader").render_as_string(hide_password=False)
    settings = read_settings(
        {}, environment="test", data_dir=tmp_path, database_url=theirs, database_migration_url=owner, secret_key="t" * 40
    )
    try:
        with create_app(settings).app_context():
            upgrade()
            assert db.session.scalar(text("SELECT count(*) FROM journal_line")) == 0
            with pytest.raises(DBAPIError, match="permission denied for table journal_line"):
                db.session.execute(text("DELETE FROM journal_line"))
            db.session.remove()
            db.engine.dispose()
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP OWNED BY market_reader")
            connection.exec_driver_sql("DROP ROLE market_reader")
        engine.dispose()
