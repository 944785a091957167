"""What the database refuses, however much comes in one statement and by whichever plan it is looked at; and whatever equals what to the caller."""

import pytest
from sqlalchemy import text

from marketplace.foundation.database import db, transaction
from marketplace.ledger import account
from tests.ledger.account_book import Books
from tests.ledger.test_refusals import ENTRY, PERIOD, Door, accounts, counts, door, header, lines, refused

pytestmark = pytest.mark.both
__all__ = ["accounts", "door"]  # fixtures: what was tried there one by one is tried here together


def test_an_operator_of_the_callers_own_is_not_believed(books: Books, accounts: tuple[int, int], door: Door) -> None:
    """Where everything equals everything, any line would be the last of any entry. The application's role cannot make one."""
    if db.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no operators of one's own")
    evil = """CREATE SCHEMA evil;
        CREATE FUNCTION evil.same(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true';
        CREATE FUNCTION evil.same(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
        CREATE OPERATOR evil.= (FUNCTION = evil.same, LEFTARG = bigint, RIGHTARG = bigint);
        CREATE OPERATOR evil.= (FUNCTION = evil.same, LEFTARG = text, RIGHTARG = text);
        SET LOCAL search_path = evil, pg_catalog, public"""
    words = "permission denied" if "market_application" in str(door.engine.url) else "without its lines"
    with refused(words, door) as connection:
        connection.exec_driver_sql(evil)
        connection.execute(ENTRY, header(books))


@pytest.mark.parametrize("fault", ["sum", "gap", "account", "gross"])
@pytest.mark.parametrize("broken", [900, 901])
def test_one_broken_entry_among_several_of_a_statement(
    books: Books, accounts: tuple[int, int], door: Door, broken: int, fault: str
) -> None:
    with transaction():
        foreign = account.named("buyer_funds", books.holder)
    with refused("ledger", door) as connection:
        rows = []
        for entry in (900, 901):
            wrong = fault if entry == broken else ""
            connection.execute(ENTRY, header(books, id=entry, source_id=entry, gross=101 if wrong == "gross" else 100))
            last = 3 if wrong == "gap" else 2
            other = foreign if wrong == "account" else accounts[1]
            rows += [f"('{PERIOD}', {entry}, 1, {accounts[0]}, 100)"]
            rows += [f"('{PERIOD}', {entry}, {last}, {other}, {-99 if wrong == 'sum' else -100})"]
        connection.execute(text(f"INSERT INTO {door.table} (period, entry_id, line_no, account_id, fen) VALUES {', '.join(rows)}"))


@pytest.mark.parametrize("count", [99, 100, 150, 1200])
@pytest.mark.parametrize("fault", ["sum", "account"])
def test_one_broken_line_among_very_many_lines(books: Books, accounts: tuple[int, int], door: Door, count: int, fault: str) -> None:
    """However many lines there are, and by whichever plan they are looked at."""
    with transaction():
        foreign = account.named("buyer_funds", books.holder)
    right = [(1, accounts[0], count - 1), *((n, accounts[1], -1) for n in range(2, count + 1))]
    wrong = [*right[:-1], (count, foreign, -1) if fault == "account" else (count, accounts[1], -2)]
    with refused("ledger", door) as connection:
        connection.execute(ENTRY, header(books, n_lines=count, gross=count - 1))
        lines(connection, *wrong, table=door.table)
    with door.engine.begin() as connection:  # several lines of one account are no fault
        connection.execute(ENTRY, header(books, n_lines=count, gross=count - 1))
        lines(connection, *right, table=door.table)
    assert counts() == (2, 2 + count, 1000 + 2 * (count - 1))
