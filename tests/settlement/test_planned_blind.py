"""The first big day of a new PostgreSQL, which knows nothing of its tables yet: each entry and row is looked at once, and not once for all others."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event as sql

from marketplace.foundation.database import db, transaction
from marketplace.ledger import event
from marketplace.ledger.posting import Source
from marketplace.payments import statement_row
from marketplace.payments.statement_row import StatementRow
from marketplace.settlement import reconciliation, reconciliation_link
from tests import builders
from tests.settlement.test_draft_while_settling import database

__all__ = ["database"]
pytestmark = pytest.mark.postgres

NOON, DAY = datetime(2026, 3, 10, 4, tzinfo=UTC), date(2026, 3, 10)
MANY = 400
EACH = 100  # pages that may be looked at for an entry and its row, in all questions together; going through all others takes thousands


@contextmanager
def pages_looked_at() -> Iterator[list[int]]:
    """How many pages each question looks at, by PostgreSQL's own count."""
    counted: list[int] = []

    def count(connection: Any, _cursor: Any, statement: str, parameters: Any, *_of_it: Any) -> None:
        if statement.startswith("SELECT"):
            with connection.connection.cursor() as beside:
                beside.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statement, parameters)
                counted.append(beside.fetchone()[0][0]["Plan"]["Shared Hit Blocks"])

    sql.listen(db.engine, "before_cursor_execute", count)
    try:
        yield counted
    finally:
        sql.remove(db.engine, "before_cursor_execute", count)


def test_a_big_day_on_a_database_without_figures_is_looked_at_once(app: Flask) -> None:
    book = builders.market(on_hand=1).cooperative

    def work() -> int:
        for number in range(1, MANY + 1):
            entry_id = event.fee(book=book, source=Source("alipay_bill_row", number), fen=number, at=NOON)
            row = StatementRow(organisation_id=book, side="alipay", serial=f"S{number}", day=DAY, fen=-number, kind="fee", number=f"N{number}")
            db.session.add(row)
            db.session.flush()
            statement_row.link(row, entry_id, -number)
        with pages_looked_at() as counted:
            assert reconciliation_link.link(book, "alipay") == 0
            assert reconciliation.position(book, "alipay", DAY).items == []
        return sum(counted)

    assert transaction(work) < MANY * EACH
