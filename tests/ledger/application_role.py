"""The application's own role on PostgreSQL: what ``flask db upgrade`` gives it, tried on a test's database."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from marketplace.foundation import grants
from marketplace.foundation.database import db

ROLE = "market_application"


@contextmanager
def application() -> Iterator[str]:
    """The address under which the application signs in to the present database, with its rights and no others."""
    with db.engine.begin() as connection:
        connection.execute(text(f"DROP ROLE IF EXISTS {ROLE}"))
        connection.execute(text(f"CREATE ROLE {ROLE} LOGIN"))
        connection.execute(text("CREATE TABLE IF NOT EXISTS alembic_version (version_num varchar(32))"))
        for statement in grants.statements(ROLE, db.metadata):
            connection.exec_driver_sql(statement)
    try:
        yield db.engine.url.set(username=ROLE).render_as_string(hide_password=False)
    finally:
        db.session.remove()
        with db.engine.begin() as connection:
            connection.execute(text(f"DROP OWNED BY {ROLE}"))
            connection.execute(text(f"DROP ROLE {ROLE}"))
