"""Writing history wrong on purpose: the ledger's triggers are taken away, one raw statement is run, all as a burglar would."""

import re

from sqlalchemy import text

from marketplace.foundation.database import db
from marketplace.ledger import triggers


def run(*statements: str) -> None:
    db.session.remove()
    with db.engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            for name in triggers.names("sqlite"):
                connection.execute(text(f"DROP TRIGGER IF EXISTS {name}"))
        else:
            for period in re.findall(r"'(\d{4}-\d\d)'", " ".join(statements)):
                connection.execute(text("SELECT ledger_open_month(:period)"), {"period": period})
            for table in ("account", "journal_entry", "journal_line", "closed_period", "period_balance"):
                connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        for statement in statements:
            connection.execute(text(statement))
