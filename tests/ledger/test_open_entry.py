"""On SQLite an entry is open from its header to its last line, and what is open is a note of the database's own: nobody forges it."""

import pytest
from sqlalchemy import text

from marketplace.foundation.database import db, transaction
from marketplace.ledger import event
from marketplace.ledger.posting import Source
from tests.ledger.account_book import Books
from tests.ledger.test_refusals import ENTRY, PERIOD, header, refused

NOTE = "INTO _open_entry (id, period, n_lines)"


@pytest.fixture
def whole(books: Books) -> Books:
    """A whole entry of two lines stands in the book."""
    with transaction():
        event.alipay_paid(book=books.cooperative, source=Source("payment", 1), fen=500)
    return books


@pytest.mark.parametrize("recursive_triggers", ["ON", "OFF"])
@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (f"INSERT {NOTE} SELECT id, period, n_lines FROM journal_entry", "is open"),
        (f"INSERT {NOTE} SELECT id, period, n_lines + 2 FROM journal_entry", "is open"),
        (f"INSERT {NOTE} SELECT id, '2020-12', n_lines FROM journal_entry", "is open"),
        (f"INSERT {NOTE} VALUES (77, '{PERIOD}', 2)", "is open"),
        ("INSERT INTO _nothing (id) VALUES (0)", "check"),
    ],
)
def test_a_whole_entry_is_not_opened_again(whole: Books, recursive_triggers: str, statement: str, words: str) -> None:
    with refused(words) as connection:
        connection.execute(text(f"PRAGMA recursive_triggers = {recursive_triggers}"))
        connection.execute(text(statement))
    db.engine.dispose()  # the pragma stays with the connection


@pytest.mark.parametrize("recursive_triggers", ["ON", "OFF"])
@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM _open_entry", "is open"),
        ("UPDATE _open_entry SET n_lines = 1", "open entry"),
        ("UPDATE _open_entry SET until = 1", "open entry"),
        ("UPDATE _open_entry SET until = NULL", "open entry"),
        (f"REPLACE {NOTE} VALUES (900, '{PERIOD}', 1)", "is open"),
        ("SELECT 1", "foreign key"),
    ],
)
def test_an_open_entry_is_not_forgotten(whole: Books, recursive_triggers: str, statement: str, words: str) -> None:
    with refused(words) as connection:
        connection.execute(text(f"PRAGMA recursive_triggers = {recursive_triggers}"))
        connection.execute(ENTRY, header(whole))
        connection.execute(text(statement))
    db.engine.dispose()


def test_nothing_is_open_when_nobody_writes(whole: Books) -> None:
    assert db.session.scalar(text("SELECT count(*) FROM _open_entry")) == 0


def test_part_of_a_number(whole: Books) -> None:
    first, second = db.session.scalars(text("SELECT id FROM account ORDER BY id")).all()
    with refused("whole") as connection:
        connection.execute(ENTRY, header(whole, n_lines=3))
        connection.execute(
            text(
                f"INSERT INTO journal_line VALUES ('{PERIOD}', 900, 1, {first}, 100), ('{PERIOD}', 900, 1.5, {second}, -60), "
                f"('{PERIOD}', 900, 3, {second}, -40)"
            )
        )
