"""A database that was upgraded step by step is the one that the models describe, with the same triggers, on both engines."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import inspect, text

from marketplace import create_app
from marketplace.foundation.config import read_settings
from marketplace.foundation.database import db, of_this_engine, transaction
from marketplace.ledger import month
from tests.postgres import PostgresServer


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def upgraded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """An application on an empty database that was brought up by the migrations alone."""
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        address = server.fresh_database()
    else:
        address = f"sqlite:///{tmp_path / 'upgraded.sqlite3'}"
    settings = read_settings({}, environment="test", data_dir=tmp_path, database_url=address, secret_key="t" * 40)
    application = create_app(settings)
    with application.app_context():
        upgrade()
        yield application
        db.session.remove()
        db.engine.dispose()


def refusals() -> set[tuple[str, str]]:
    """The triggers and functions of the database in use, by name, with their text."""
    if db.engine.dialect.name == "sqlite":
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
    else:
        query = """SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
            UNION ALL SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace"""
    return {(name, " ".join(body.split())) for name, body in db.session.execute(text(query))}


def checks() -> dict[str, list[tuple[str, str]]]:
    """The checks of every table of the database in use, as often as they stand there."""
    known = inspect(db.engine)
    return {name: sorted((str(each["name"]), " ".join(each["sqltext"].split())) for each in known.get_check_constraints(name)) for name in known.get_table_names()}


def test_upgraded_is_what_the_models_say(upgraded: Flask) -> None:
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": of_this_engine})
        assert compare_metadata(context, db.metadata) == []


@pytest.mark.both
def test_the_migrations_bring_every_refusal(upgraded: Flask, app: Flask) -> None:
    """``app`` is made from the models; both databases of one engine must refuse the same."""
    modelled = refusals()
    engine = db.engine.dialect.name
    with upgraded.app_context():
        if db.engine.dialect.name == engine:
            assert modelled
            transaction(lambda: month.must_exist(month.ahead(2)))  # as in every database of the tests
            assert refusals() == modelled


@pytest.mark.both
def test_the_migrations_bring_every_check_once(upgraded: Flask, app: Flask) -> None:
    """A table that is copied may keep its old check beside the new one: then both must hold, and what the new one allows is refused."""
    modelled, engine = checks(), db.engine.dialect.name
    with upgraded.app_context():
        if db.engine.dialect.name == engine:
            migrated = checks()
            assert {name: its for name, its in migrated.items() if name in modelled} == modelled
