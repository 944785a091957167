"""Fixtures: an application on a real database file, SQLite by default; tests marked ``both`` also run on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from marketplace import create_app
from marketplace.foundation.config import Settings, read_settings
from marketplace.foundation.database import db


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database" in metafunc.fixturenames:
        engines: list[Any] = ["sqlite"]
        if metafunc.definition.get_closest_marker("both"):
            engines.append(pytest.param("postgresql", marks=pytest.mark.postgres))
        metafunc.parametrize("database", engines, indirect=True, scope="function")


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database of the asked kind."""
    if getattr(request, "param", "sqlite") == "postgresql":
        server = request.getfixturevalue("postgres")
        yield server.fresh_database()
    else:
        yield f"sqlite:///{tmp_path / 'market.sqlite3'}"


@pytest.fixture
def settings(tmp_path: Path, database: str) -> Settings:
    return read_settings({}, environment="test", data_dir=tmp_path / "data", database_url=database, secret_key="t" * 40)


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The application with all tables made, inside an application context."""
    application = create_app(settings)
    application.config["WTF_CSRF_ENABLED"] = False
    with application.app_context():
        db.create_all()
        yield application
        db.session.remove()
        db.engine.dispose()
