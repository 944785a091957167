"""A market whose books are logged and sealed, and the burglar who changes them afterwards with the database's refusals taken away."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from marketplace.disclosure import log_append, log_refusals, tree_head
from marketplace.disclosure.tree_head import TreeHead
from marketplace.foundation.database import db, transaction
from marketplace.ledger import triggers
from marketplace.settlement import settlement
from tests import builders
from tests.builders import Market
from tests.disclosure.test_benefit_receipt import distribute, pay
from tests.settlement.builders import order


def seal() -> int:
    """What the job does; how many leaves were added."""
    transaction(log_append.decide)
    count = 0
    while some := transaction(log_append.append):
        count += some
    return count


def head() -> TreeHead:
    row = transaction(tree_head.publish)
    assert row is not None
    return row


def traded(*goods: int, members: int = 0) -> tuple[Market, list[int], int]:
    """A market with settled orders, distributed and paid on (one item came back); ids of the orders and the distribution."""
    market = builders.market()
    if members:
        builders.members(market.group, tuple(range(1, members + 1)))
    orders = [order(market, fen) for fen in goods or (10_000, 7_777)]
    period = {transaction(lambda number=each: settlement.settle(number)).period for each in orders}.pop()
    distribution_id = distribute(market, period)
    pay(market, distribution_id, returned=1)
    return market, orders, distribution_id


@contextmanager
def burglary() -> Iterator[None]:
    """Within the block, nothing of books, log and notices is refused by the database. Only for what is thrown away after."""
    db.session.remove()
    with db.engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            for name in [*triggers.names("sqlite"), *log_refusals.names("sqlite")]:
                connection.execute(text(f"DROP TRIGGER IF EXISTS {name}"))
        else:
            for table in ("account", "journal_entry", "journal_line", "log_leaf", "log_key", "tree_head"):
                connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
    yield


def break_in(statement: str, **values: object) -> int:
    """Run one statement past every rule, and commit; how many rows it touched."""
    with db.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            cursor = connection.connection.cursor()
            cursor.execute("PRAGMA foreign_keys = OFF")
            cursor.execute("PRAGMA ignore_check_constraints = ON")
            cursor.close()
        touched = connection.execute(text(statement), values).rowcount
        connection.commit()
    db.session.remove()
    db.engine.dispose()  # the pragmas stay with the connection
    return touched
