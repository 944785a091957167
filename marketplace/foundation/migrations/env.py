"""Alembic's way in: migrations run on the application's own engine, each in one transaction, on SQLite and PostgreSQL."""

from alembic import context
from flask import current_app
from sqlalchemy import Connection, create_engine, make_url, text

from marketplace.foundation import grants
from marketplace.foundation.database import db


def run() -> None:
    """Bring the database to the asked revision, with the owner's role where one is configured."""
    owner = current_app.extensions["settings"].database_migration_url
    engine = create_engine(owner) if owner else db.engine
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            **current_app.extensions["migrate"].configure_args,
        )
        with context.begin_transaction():
            context.run_migrations()
            if owner and connection.dialect.name == "postgresql":
                _grant(connection)
    if owner:
        engine.dispose()


def _grant(connection: Connection) -> None:
    """Give the application's role its rights anew: a new table has none yet."""
    role = make_url(current_app.extensions["settings"].sqlalchemy_url).username
    if role and role != connection.scalar(text("SELECT current_user")):
        for statement in grants.statements(role, db.metadata):
            connection.exec_driver_sql(statement)


if context.is_offline_mode():
    raise SystemExit("migrations need a database to run on")
run()
