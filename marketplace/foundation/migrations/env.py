"""Alembic's way in: migrations run on the application's own engine, each in one transaction, on SQLite and PostgreSQL."""

from alembic import context
from flask import current_app
from sqlalchemy import create_engine

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


if context.is_offline_mode():
    raise SystemExit("migrations need a database to run on")
run()
