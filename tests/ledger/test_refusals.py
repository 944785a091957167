"""What the database refuses to whoever writes past the one door: raw SQL, on both databases, each refusal by itself.

On PostgreSQL each is tried three times: by the tables' owner, by the owner on the month's own partition, and by the
application's role, which may only read and add.

| refused | test |
|---|---|
| lines that do not sum to zero; debits that are not the gross | an_entry_that_does_not_sum_to_zero · whose_gross_is_not_its_debits |
| an entry without lines, with one missing, with one only, of no money | an_entry_without_lines · with_a_line_missing · of_one_line · of_no_money |
| a line of no money, or of part of a fen | a_line_of_no_money · part_of_a_fen |
| a gap in the numbers; the last line first | a_gap_in_the_line_numbers · the_last_line_before_the_others |
| lines written later: more, the same numbers, another period | a_balanced_pair_written_later · under_the_same_numbers · in_another_period |
| lines without an entry | lines_without_an_entry |
| one broken entry among several of a statement; one line among very many; an operator of the caller's own | test_refusals_together.py |
| an account of another book or currency, or none; one that only a temporary table knows | an_account_of_another_book · another_currency · that_does_not_exist · a_table_of_the_callers_own |
| a second entry for one source; a number twice | a_second_entry_for_a_source · an_entry_number_twice |
| UPDATE, DELETE, TRUNCATE of entries, lines, accounts | history_is_neither_changed_nor_deleted · history_is_not_truncated |
| REPLACE, upsert | nothing_is_replaced · an_upsert_changes_nothing |
| SQLite: what is open forged; part of a number | test_open_entry.py |
| the application's role: UPDATE, DELETE, TRUNCATE, months, triggers, rights | test_application_role.py |
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, func, select, text
from sqlalchemy.exc import DBAPIError

from marketplace.foundation.database import db, transaction
from marketplace.ledger import account, balance, event
from marketplace.ledger.posting import Source
from tests.ledger.account_book import Books
from tests.ledger.application_role import application

pytestmark = pytest.mark.both

ENTRY = text(
    "INSERT INTO journal_entry (id, book, kind, source_type, source_id, source_seq, period, currency, n_lines, gross, event_at, posted_at) "
    "VALUES (:id, :book, :kind, 'payment', :source_id, 0, :period, :currency, :n_lines, :gross, '2020-11-01 00:00:00', '2020-11-01 00:00:00')"
)
PERIOD = "2020-11"


@dataclass(frozen=True)
class Door:
    """A way past the one door: who writes, and into which table of lines."""

    engine: Engine
    table: str = "journal_line"


@pytest.fixture(params=["owner", "owner, the month itself", "the application's role"])
def door(request: pytest.FixtureRequest, accounts: tuple[int, int]) -> Iterator[Door]:
    if request.param != "owner" and db.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has neither roles nor partitions")
    if request.param == "owner":
        yield Door(db.engine)
    elif request.param == "owner, the month itself":
        yield Door(db.engine, table="journal.line_2020_11")
    else:
        with application() as address:
            engine = create_engine(address)
            yield Door(engine)
            engine.dispose()


@contextmanager
def refused(words: str, door: Door | None = None) -> Iterator[Any]:
    """The block's raw statements, committed at its end, must fail, and nothing of them stay."""
    db.session.remove()
    before = counts()
    engine = door.engine if door else db.engine
    with pytest.raises(DBAPIError) as error, engine.begin() as connection:
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
    """Two accounts of the cooperative's book, with one whole entry of 5.00 in them, and the month of the tests."""
    with transaction():
        if db.engine.dialect.name == "postgresql":
            for period in (PERIOD, "2020-12"):
                db.session.execute(select(func.ledger_open_month(period)))
        event.alipay_paid(book=books.cooperative, source=Source("payment", 1), fen=500, at=None)
        return account.named("alipay", books.cooperative), account.named("buyer_funds", books.cooperative)


def header(books: Books, **other: Any) -> dict[str, Any]:
    row = {"id": 900, "book": books.cooperative, "kind": "alipay_paid", "source_id": 900, "period": PERIOD}
    return row | {"currency": "CNY", "n_lines": 2, "gross": 100} | other


def lines(
    connection: Any,
    *rows: tuple[int, int, int],
    entry: int = 900,
    period: str = PERIOD,
    verb: str = "INSERT",
    table: str = "journal_line",
) -> None:
    """All rows (line_no, account_id, fen) in one statement."""
    values = ", ".join(
        f"('{period}', {entry}, {line_no}, {account_id}, {fen})" for line_no, account_id, fen in rows
    )
    connection.execute(
        text(f"{verb} INTO {table} (period, entry_id, line_no, account_id, fen) VALUES {values}")
    )


def test_a_whole_balanced_entry_is_accepted_as_raw_sql_too(books: Books, accounts: tuple[int, int]) -> None:
    with db.engine.begin() as connection:
        connection.execute(ENTRY, header(books))
        lines(connection, (1, accounts[0], 100), (2, accounts[1], -100))
    assert counts() == (2, 4, 1200)


def test_an_entry_that_does_not_sum_to_zero(books: Books, accounts: tuple[int, int], door: Door) -> None:
    with refused("does not balance", door) as connection:
        connection.execute(ENTRY, header(books))
        lines(connection, (1, accounts[0], 100), (2, accounts[1], -99), table=door.table)


def test_an_entry_whose_gross_is_not_its_debits(books: Books, accounts: tuple[int, int], door: Door) -> None:
    with refused("does not balance", door) as connection:
        connection.execute(ENTRY, header(books, gross=101))
        lines(connection, (1, accounts[0], 100), (2, accounts[1], -100), table=door.table)


def test_an_entry_without_lines(books: Books, accounts: tuple[int, int], door: Door) -> None:
    words = "foreign key" if db.engine.dialect.name == "sqlite" else "without its lines"
    with refused(words, door) as connection:
        connection.execute(ENTRY, header(books))


def test_an_entry_with_a_line_missing(books: Books, accounts: tuple[int, int], door: Door) -> None:
    words = "foreign key" if db.engine.dialect.name == "sqlite" else "not whole"
    with refused(words, door) as connection:
        connection.execute(ENTRY, header(books, n_lines=3))
        lines(connection, (1, accounts[0], 100), (2, accounts[1], -100), table=door.table)


def test_an_entry_of_one_line(books: Books, accounts: tuple[int, int], door: Door) -> None:
    with refused("n_lines", door) as connection:
        connection.execute(ENTRY, header(books, n_lines=1))


def test_an_entry_of_no_money(books: Books, accounts: tuple[int, int], door: Door) -> None:
    with refused("gross", door) as connection:
        connection.execute(ENTRY, header(books, gross=0))


def test_a_line_of_no_money(books: Books, accounts: tuple[int, int], door: Door) -> None:
    with refused("fen", door) as connection:
        connection.execute(ENTRY, header(books, n_lines=3))
        lines(connection, (1, accounts[0], 100), (2, accounts[1], 0), (3, accounts[1], -100), table=door.table)


@pytest.mark.parametrize("numbers", [(1, 3), (0, 1), (2, 3)])
def test_a_gap_in_the_line_numbers(books: Books, accounts: tuple[int, int], door: Door, numbers: tuple[int, int]) -> None:
    with refused("ledger", door) as connection:
        connection.execute(ENTRY, header(books))
        lines(connection, (numbers[0], accounts[0], 100), (numbers[1], accounts[1], -100), table=door.table)


def test_the_last_line_before_the_others(books: Books, accounts: tuple[int, int], door: Door) -> None:
    with refused("ledger", door) as connection:
        connection.execute(ENTRY, header(books))
        lines(connection, (2, accounts[1], -100), table=door.table)
        lines(connection, (1, accounts[0], 100), table=door.table)


def test_a_balanced_pair_written_later(books: Books, accounts: tuple[int, int], door: Door) -> None:
    with door.engine.begin() as connection:
        connection.execute(ENTRY, header(books))
        lines(connection, (1, accounts[0], 100), (2, accounts[1], -100), table=door.table)
    with refused("ledger", door) as connection:
        lines(connection, (3, accounts[0], 7), (4, accounts[1], -7), table=door.table)


def test_a_balanced_pair_written_later_under_the_same_numbers(
    books: Books, accounts: tuple[int, int], door: Door
) -> None:
    with door.engine.begin() as connection:
        connection.execute(ENTRY, header(books))
        lines(connection, (1, accounts[0], 100), (2, accounts[1], -100), table=door.table)
    with refused("unique", door) as connection:
        lines(connection, (1, accounts[0], 100), (2, accounts[1], -100), table=door.table)


def test_a_balanced_pair_in_another_period(books: Books, accounts: tuple[int, int], door: Door) -> None:
    with refused("ledger", door) as connection:
        connection.execute(ENTRY, header(books))
        lines(connection, (1, accounts[0], 100), (2, accounts[1], -100), table=door.table)
        lines(connection, (1, accounts[0], 100), (2, accounts[1], -100), period="2020-12")


def test_lines_without_an_entry(books: Books, accounts: tuple[int, int], door: Door) -> None:
    with refused("ledger", door) as connection:
        lines(connection, (1, accounts[0], 100), (2, accounts[1], -100), entry=901, table=door.table)


def test_an_account_of_another_book(books: Books, accounts: tuple[int, int], door: Door) -> None:
    with transaction():
        foreign = account.named("buyer_funds", books.holder)
    with refused("another book", door) as connection:
        connection.execute(ENTRY, header(books))
        lines(connection, (1, accounts[0], 100), (2, foreign, -100), table=door.table)


def test_an_account_of_another_currency(books: Books, accounts: tuple[int, int], door: Door) -> None:
    with refused("another book or currency", door) as connection:
        connection.execute(ENTRY, header(books, currency="USD"))
        lines(connection, (1, accounts[0], 100), (2, accounts[1], -100), table=door.table)


def test_an_account_that_does_not_exist(books: Books, accounts: tuple[int, int], door: Door) -> None:
    with refused("another book", door) as connection:
        connection.execute(ENTRY, header(books))
        lines(connection, (1, accounts[0], 100), (2, 99999, -100), table=door.table)


def test_a_second_entry_for_a_source(books: Books, accounts: tuple[int, int], door: Door) -> None:
    with refused("unique", door) as connection:
        connection.execute(ENTRY, header(books, source_id=1))
        lines(connection, (1, accounts[0], 100), (2, accounts[1], -100), table=door.table)


def test_an_entry_number_twice(books: Books, accounts: tuple[int, int], door: Door) -> None:
    with door.engine.begin() as connection:
        connection.execute(ENTRY, header(books))
        lines(connection, (1, accounts[0], 100), (2, accounts[1], -100), table=door.table)
    with refused("unique", door) as connection:
        connection.execute(ENTRY, header(books, source_id=901))


def test_a_table_of_the_callers_own_is_not_believed(
    books: Books, accounts: tuple[int, int], door: Door
) -> None:
    """A temporary table hides one of ours, to whoever does not say which is meant: a forged account, a forged header."""
    if db.engine.dialect.name == "sqlite":
        pytest.skip("SQLite's triggers belong to their schema and see no temporary table")
    with refused("another book", door) as connection:
        connection.execute(text("CREATE TEMPORARY TABLE account AS SELECT * FROM public.account"))
        connection.execute(text("INSERT INTO account (id, book, currency) VALUES (777, :book, 'CNY')"), {"book": books.cooperative})
        connection.execute(ENTRY, header(books))
        lines(connection, (1, accounts[0], 100), (2, 777, -100), table=door.table)
    with refused("ledger", door) as connection:
        connection.execute(text("CREATE TEMPORARY TABLE journal_entry AS SELECT * FROM public.journal_entry"))
        connection.execute(ENTRY, header(books))
        lines(connection, (1, accounts[0], 100), (2, accounts[1], -100), table=door.table)
    with refused("without its lines", door) as connection:
        connection.execute(text("CREATE TEMPORARY TABLE journal_line AS SELECT '2020-11' AS period, 900 AS entry_id, 2 AS line_no"))
        connection.execute(ENTRY, header(books))


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
        "UPDATE {month} SET fen = fen * 2",
        "DELETE FROM {month}",
        "UPDATE account SET book = book + 1",
        "UPDATE account SET kind = 'bank', code = 'x'",
        "UPDATE account SET currency = 'USD'",
    ],
)
def test_history_is_neither_changed_nor_deleted(accounts: tuple[int, int], statement: str) -> None:
    month = db.session.scalar(text("SELECT period FROM journal_line LIMIT 1"))
    its_own = f"journal.line_{str(month).replace('-', '_')}"
    with refused("ledger") as connection:
        connection.execute(
            text(statement.format(month=its_own if connection.dialect.name == "postgresql" else "journal_line"))
        )


@pytest.mark.parametrize(
    "table",
    [
        "journal_entry",
        "journal_line",
        "journal.line_2020_11",
        "account",
        "journal_line, journal_entry, account",
    ],
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
