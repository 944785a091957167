"""The lines of an account: found in months that are closed by their index, which they get then, and in open ones without."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from marketplace.foundation.database import db, of_this_engine, transaction
from marketplace.ledger import account, entry
from tests.ledger.account_book import Books
from tests.ledger.test_period import close, settle

MONTHS = ("2020-08", "2020-09", "2020-10", "2020-11")


@pytest.fixture
def closed(books: Books) -> Books:
    """Four months with an entry each; the third was closed, and with it those before."""
    for number, which in enumerate(MONTHS):
        transaction(lambda number=number, which=which: settle(books, number, which))  # type: ignore[misc]
    close("2020-10")
    return books


@pytest.mark.both
def test_lines_of_an_account_come_from_every_month(closed: Books) -> None:
    for kind in ("revenue", "buyer_funds"):
        number = account.existing(kind, closed.cooperative)
        found = entry.of_accounts([number or 0])
        query = text("SELECT entry_id, line_no FROM journal_line WHERE account_id = :id ORDER BY entry_id, line_no")
        assert found == [tuple(row) for row in db.session.execute(query, {"id": number})]
        assert len(found) == len(MONTHS)
    assert entry.of_accounts([0]) == []


def test_an_account_of_no_lines_in_no_month(books: Books) -> None:
    assert entry.of_accounts([1, 2]) == []


def test_a_closed_month_has_its_index_and_an_open_one_none(closed: Books) -> None:
    """SQLite; PostgreSQL's partitions: test_months.py."""
    names = list(db.session.scalars(text("SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'journal_line' AND sql IS NOT NULL")))
    assert sorted(names) == ["_line_2020_08_account", "_line_2020_09_account", "_line_2020_10_account"]
    for month, way in zip(MONTHS, ("2020_08", "2020_09", "2020_10", "PRIMARY KEY"), strict=True):
        query = text(f"EXPLAIN QUERY PLAN SELECT entry_id FROM journal_line WHERE period = '{month}' AND account_id = 1")
        assert any(way in row[-1] for row in db.session.execute(query))
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": of_this_engine})
        assert compare_metadata(context, db.metadata) == []
