"""What the database refuses to whoever writes past the one door: raw SQL, on both databases, each refusal by itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from marketplace.foundation.database import db, transaction
from marketplace.ledger import account, balance, event
from marketplace.ledger.posting import Source
from tests.ledger.account_book import Books

pytestmark = pytest.mark.both

ENTRY = text(
    "INSERT INTO journal_entry (id, book, kind, source_type, source_id, source_seq, period, currency, n_lines, gross, event_at, posted_at) "
    "VALUES (:id, :book, :kind, 'payment', :source_id, 0, :period, :currency, :n_lines, :gross, '2020-11-01 00:00:00', '2020-11-01 00:00:00')"
)
PERIOD = "2020-11"


@contextmanager
def refused(words: str) -> Iterator[Any]:
    """The block's raw statements, committed at its end, must fail, and nothing of them stay."""
    db.session.remove()
    before = counts()
    with pytest.raises(DBAPIError) as error, db.engine.begin() as connection:
        yield connection
    assert words.lower() in str(error.value.orig).lower()
    assert counts() == before


def counts() -> tuple[int, int, int]:
    with db.engine.connect() as connection:
        lines, total = connection.execute(
            text("SELECT count(*), coalesce(sum(abs(fen)), 0) FROM journal_line")
        ).one()
        entries = connection.execute(text("SELECT count(*) FROM journal_entry")).scalar_one()
        return int(entries), int(lines), int(total)


@pytest.fixture
def accounts(books: Books) -> tuple[int, int]:
    """Two accounts of the cooperative's book, with one whole entry of 5.00 in them."""
    with transaction():
        event.alipay_paid(book=books.cooperative, source=Source("payment", 1), fen=500)
        return account.named("alipay", books.cooperative), account.named("buyer_funds", books.cooperative)


def header(books: Books, **other: Any) -> dict[str, Any]:
    row = {"id": 900, "book": books.cooperative, "kind": "alipay_paid", "source_id": 900, "period": PERIOD}
    return row | {"currency": "CNY", "n_lines": 2, "gross": 100} | other


def lines(
    connection: Any, *rows: tuple[int, int, int], entry: int = 900, period: str = PERIOD, verb: str = "INSERT"
) -> None:
    """All rows (line_no, account_id, fen) in one statement."""
    values = ", ".join(
        f"('{period}', {entry}, {line_no}, {account_id}, {fen})" for line_no, account_id, fen in rows
    )
    connection.execute(
        text(f"{verb} INTO journal_line (period, entry_id, line_no, account_id, fen) VALUES {values}")
    )


def test_a_whole_balanced_entry_is_accepted_as_raw_sql_too(books: Books, accounts: tuple[int, int]) -> None:
    with db.engine.begin() as connection:
        connection.execute(ENTRY, header(books))
        lines(connection, (1, accounts[0], 100), (2, accounts[1], -100))
    assert counts() == (2, 4, 1200)


def test_an_entry_that_does_not_sum_to_zero(books: Books, accounts: tuple[int, int]) -> None:
    with refused("does not balance") as connection:
        connection.execute(ENTRY, header(books))
        lines(connection, (1, accounts[0], 100), (2, accounts[1], -99))


def test_an_entry_whose_gross_is_not_its_debits(books: Books, accounts: tuple[int, int]) -> None:
    with refused("does not balance") as connection:
        connection.execute(ENTRY, header(books, gross=101))
        lines(connection, (1, accounts[0], 100), (2, accounts[1], -100))


def test_an_entry_without_lines(books: Books, accounts: tuple[int, int]) -> None:
    with refused("foreign key") as connection:
        connection.execute(ENTRY, header(books))


def test_an_entry_with_a_line_missing(books: Books, accounts: tuple[int, int]) -> None:
    with refused("") as connection:
        connection.execute(ENTRY, header(books, n_lines=3))
        lines(connection, (1, accounts[0], 100), (2, accounts[1], -100))


def test_an_entry_of_one_line(books: Books, accounts: tuple[int, int]) -> None:
    with refused("n_lines") as connection:
        connection.execute(ENTRY, header(books, n_lines=1))


def test_an_entry_of_no_money(books: Books, accounts: tuple[int, int]) -> None:
    with refused("gross") as connection:
        connection.execute(ENTRY, header(books, gross=0))


def test_a_line_of_no_money(books: Books, accounts: tuple[int, int]) -> None:
    with refused("fen") as connection:
        connection.execute(ENTRY, header(books, n_lines=3))
        lines(connection, (1, accounts[0], 100), (2, accounts[1], 0), (3, accounts[1], -100))


@pytest.mark.parametrize("numbers", [(1, 3), (0, 1), (2, 3)])
def test_a_gap_in_the_line_numbers(books: Books, accounts: tuple[int, int], numbers: tuple[int, int]) -> None:
    with refused("ledger") as connection:
        connection.execute(ENTRY, header(books))
        lines(connection, (numbers[0], accounts[0], 100), (numbers[1], accounts[1], -100))


def test_the_last_line_before_the_others(books: Books, accounts: tuple[int, int]) -> None:
    with refused("ledger") as connection:
        connection.execute(ENTRY, header(books))
        lines(connection, (2, accounts[1], -100))
        lines(connection, (1, accounts[0], 100))


def test_a_balanced_pair_written_later(books: Books, accounts: tuple[int, int]) -> None:
    with db.engine.begin() as connection:
        connection.execute(ENTRY, header(books))
        lines(connection, (1, accounts[0], 100), (2, accounts[1], -100))
    with refused("ledger") as connection:
        lines(connection, (3, accounts[0], 7), (4, accounts[1], -7))


def test_a_balanced_pair_written_later_under_the_same_numbers(
    books: Books, accounts: tuple[int, int]
) -> None:
    with db.engine.begin() as connection:
        connection.execute(ENTRY, header(books))
        lines(connection, (1, accounts[0], 100), (2, accounts[1], -100))
    with refused("") as connection:
        lines(connection, (1, accounts[0], 100), (2, accounts[1], -100))


def test_a_balanced_pair_in_another_period(books: Books, accounts: tuple[int, int]) -> None:
    with refused("ledger") as connection:
        connection.execute(ENTRY, header(books))
        lines(connection, (1, accounts[0], 100), (2, accounts[1], -100))
        lines(connection, (1, accounts[0], 100), (2, accounts[1], -100), period="2020-12")


def test_lines_without_an_entry(books: Books, accounts: tuple[int, int]) -> None:
    with refused("ledger") as connection:
        lines(connection, (1, accounts[0], 100), (2, accounts[1], -100), entry=901)


def test_an_account_of_another_book(books: Books, accounts: tuple[int, int]) -> None:
    with transaction():
        foreign = account.named("buyer_funds", books.holder)
    with refused("another book") as connection:
        connection.execute(ENTRY, header(books))
        lines(connection, (1, accounts[0], 100), (2, foreign, -100))


def test_an_account_of_another_currency(books: Books, accounts: tuple[int, int]) -> None:
    with refused("another book or currency") as connection:
        connection.execute(ENTRY, header(books, currency="USD"))
        lines(connection, (1, accounts[0], 100), (2, accounts[1], -100))


def test_an_account_that_does_not_exist(books: Books, accounts: tuple[int, int]) -> None:
    with refused("another book") as connection:
        connection.execute(ENTRY, header(books))
        lines(connection, (1, accounts[0], 100), (2, 99999, -100))


def test_a_second_entry_for_a_source(books: Books, accounts: tuple[int, int]) -> None:
    with refused("unique") as connection:
        connection.execute(ENTRY, header(books, source_id=1))
        lines(connection, (1, accounts[0], 100), (2, accounts[1], -100))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal_entry SET kind = 'gift'",
        "UPDATE journal_entry SET posted_at = posted_at WHERE id = 1",
        "UPDATE journal_line SET fen = fen * 2",
        "UPDATE journal_line SET account_id = 1",
        "DELETE FROM journal_entry",
        "DELETE FROM journal_line",
        "DELETE FROM account",
        "UPDATE account SET book = book + 1",
        "UPDATE account SET kind = 'bank', code = 'x'",
        "UPDATE account SET currency = 'USD'",
    ],
)
def test_history_is_neither_changed_nor_deleted(accounts: tuple[int, int], statement: str) -> None:
    with refused("ledger") as connection:
        connection.execute(text(statement))


@pytest.mark.parametrize(
    "table", ["journal_entry", "journal_line", "account", "journal_line, journal_entry, account"]
)
def test_history_is_not_truncated(accounts: tuple[int, int], table: str) -> None:
    if db.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no TRUNCATE: it is a DELETE, and refused as one")
    with refused("ledger") as connection:
        connection.execute(text(f"TRUNCATE {table} CASCADE"))


@pytest.mark.parametrize("recursive_triggers", ["ON", "OFF"])
def test_nothing_is_replaced(books: Books, accounts: tuple[int, int], recursive_triggers: str) -> None:
    """INSERT OR REPLACE deletes without asking the delete triggers, unless recursive triggers are on: it must fail either way."""
    if db.engine.dialect.name != "sqlite":
        pytest.skip("REPLACE is SQLite's")
    entry = db.session.execute(text("SELECT id, period FROM journal_entry")).one()
    pragma = text(f"PRAGMA recursive_triggers = {recursive_triggers}")
    with refused("exists") as connection:
        connection.execute(pragma)
        lines(
            connection,
            (1, accounts[0], 900),
            (2, accounts[1], -900),
            entry=entry.id,
            period=entry.period,
            verb="INSERT OR REPLACE",
        )
    by_id = text(str(ENTRY).replace("INSERT", "INSERT OR REPLACE"))
    with refused("exists") as connection:
        connection.execute(pragma)
        connection.execute(by_id, header(books, id=entry.id))
    with refused("has its entry") as connection:
        connection.execute(pragma)
        connection.execute(by_id, header(books, source_id=1))
    with refused("exists") as connection:
        connection.execute(pragma)
        connection.execute(
            text(
                "INSERT OR REPLACE INTO account (id, code, kind, book, owner_ref, currency) VALUES (:id, 'x', 'bank', :book, '', 'CNY')"
            ),
            {"id": accounts[0], "book": books.cooperative},
        )
    with refused("exists") as connection:
        connection.execute(pragma)
        connection.execute(
            text(
                "REPLACE INTO account (code, kind, book, owner_ref, currency) SELECT code, kind, book, owner_ref, 'USD' FROM account"
            )
        )
    db.engine.dispose()  # the pragma stays with the connection


def test_an_upsert_changes_nothing(books: Books, accounts: tuple[int, int]) -> None:
    entry = db.session.execute(text("SELECT id, period FROM journal_entry")).one()
    with refused("ledger") as connection:
        connection.execute(
            text(
                "INSERT INTO journal_line (period, entry_id, line_no, account_id, fen) VALUES (:period, :id, 1, :account, 1) "
                "ON CONFLICT (period, entry_id, line_no) DO UPDATE SET fen = 1"
            ),
            {"period": entry.period, "id": entry.id, "account": accounts[0]},
        )


def test_part_of_a_fen(books: Books, accounts: tuple[int, int]) -> None:
    if db.engine.dialect.name == "postgresql":
        pytest.skip("a bigint column holds whole numbers only")
    with refused("whole") as connection:
        connection.execute(ENTRY, header(books))
        connection.execute(
            text(
                f"INSERT INTO journal_line VALUES ('{PERIOD}', 900, 1, {accounts[0]}, 100.5), ('{PERIOD}', 900, 2, {accounts[1]}, -100.5)"
            )
        )


def test_closing_an_account_is_no_change_of_it(accounts: tuple[int, int]) -> None:
    with db.engine.begin() as connection:
        connection.execute(
            text("UPDATE account SET closed_at = '2020-12-01 00:00:00' WHERE id = :id"), {"id": accounts[0]}
        )
    assert balance.of(accounts[0]) == 500
