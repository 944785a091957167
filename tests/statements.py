"""How many SQL statements something needs: what a page costs the database, whatever the machine."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from marketplace.foundation.database import db


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements said to the database within the block, without those that open and end transactions."""
    said: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if not statement.startswith(("PRAGMA", "BEGIN", "ROLLBACK", "SAVEPOINT", "RELEASE")):
            said.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def repeated(said: list[str]) -> list[str]:
    """Statements that were said more than once: asked once a row, most likely."""
    return [statement for statement, times in Counter(said).items() if times > 1]
