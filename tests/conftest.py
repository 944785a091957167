"""Fixtures: an application on a real database file, SQLite by default; tests marked ``both`` also run on PostgreSQL."""

import contextvars
import gc
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import hypothesis
import pytest
from flask import Flask
from flask.testing import FlaskClient
from jinja2.bccache import Bucket, BytecodeCache
from sqlalchemy import Engine, event
from werkzeug.routing import Rule

from marketplace import create_app
from marketplace.foundation import clock
from marketplace.foundation.config import Settings, read_settings
from marketplace.foundation.database import db, transaction
from marketplace.ledger import month
from tests.missing import missing
from tests.postgres import LOOKED_AFTER, SHORT_LIVED, PostgresMissing, PostgresServer, postgres_server

TESTS = Path(__file__).parent
LONGEST = ("simulation/", "stories/", "cli/", "settlement/test_any_money", "web/test_statements", "web/test_permission_walk", "web/test_foreign_rows")
# How long an example takes depends on the machine, which other tests share: only what it finds counts.
hypothesis.settings.register_profile("market", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("market")


class Compiled(BytecodeCache):
    """What templates were compiled to: each test has an application of its own, and the templates are the same in all of them."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self.kept.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.kept[bucket.key, bucket.checksum] = bucket.code


class KnownRule(Rule):
    """A route's rule whose builders of addresses are written once a session: it is most of what making an application takes."""

    kept: ClassVar[dict[Any, Any]] = {}

    def _compile_builder(self, append_unknown: bool = True) -> Any:
        key = tuple(self._trace), repr(self.defaults), append_unknown
        if key not in self.kept:
            self.kept[key] = super()._compile_builder(append_unknown)
        return self.kept[key]


Flask.url_rule_class = KnownRule
Flask.jinja_options = {**Flask.jinja_options, "bytecode_cache": Compiled()}


@event.listens_for(Engine, "connect")
def _need_not_survive_a_power_cut(connection: Any, record: Any) -> None:
    """As of PostgreSQL's databases here; that a process may be killed at any moment is another thing, and holds."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first: no process is left with a long one when the others are done."""
    items.sort(key=lambda item: not str(item.path.relative_to(TESTS)).startswith(LONGEST))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database" in metafunc.fixturenames:
        engines: list[Any] = ["sqlite"]
        if metafunc.definition.get_closest_marker("both"):
            engines.append(pytest.param("postgresql", marks=pytest.mark.postgres))
        metafunc.parametrize("database", engines, indirect=True, scope="function")


@pytest.fixture(scope="session")
def postgres(pytestconfig: pytest.Config) -> Iterator[PostgresServer]:
    """A PostgreSQL of this session's own."""
    settings = SHORT_LIVED if "not soak" in pytestconfig.getoption("markexpr") else LOOKED_AFTER
    try:
        with postgres_server(settings, in_memory=True) as server:
            yield server
    except PostgresMissing as error:
        missing(str(error))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with all tables, to be copied: quicker than making them once a test."""
    path = tmp_path_factory.mktemp("template") / "market.sqlite3"
    _make_tables(f"sqlite:///{path}", path.parent)
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a database with all tables, to be copied."""
    _make_tables(postgres.create_database("template_of_tables"), tmp_path_factory.mktemp("template"))
    return "template_of_tables"


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database of the asked kind with all tables, and nothing in them."""
    if getattr(request, "param", "sqlite") == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        address = server.fresh_database(template=request.getfixturevalue("postgres_template"))
        yield address
        server.drop_database(address)
    else:
        shutil.copyfile(request.getfixturevalue("sqlite_template"), tmp_path / "market.sqlite3")
        yield f"sqlite:///{tmp_path / 'market.sqlite3'}"


class Browser(FlaskClient):
    """A browser whose requests have an application context of their own, as on a server, and not the test's."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        travelled = clock._travelled.get()
        db.session.rollback()  # the test reads afresh what the request writes

        def request() -> Any:
            with clock.travel(travelled) if travelled else nullcontext():
                return super(Browser, self).open(*args, **kwargs)

        return contextvars.Context().run(request)


def _make_tables(address: str, folder: Path) -> None:
    made = create_app(read_settings({}, environment="test", data_dir=folder, database_url=address, secret_key="t" * 40))
    with made.app_context():
        db.create_all()
        # As the job does: posters to a month that is not there yet would wait for one another.
        transaction(lambda: month.must_exist(month.ahead(2)))
        db.session.remove()
        db.engine.dispose()
    # All that an application needs is loaded now and stays: whoever looks for what is garbage need not go through it at each test.
    gc.collect()
    gc.freeze()


@pytest.fixture
def months_ago() -> Iterator[None]:
    """The story begins 150 days ago, so that its months are over: no month is closed ahead of the database's own clock."""
    with clock.travel(clock.now() - timedelta(days=150)):
        yield


@pytest.fixture
def settings(tmp_path: Path, database: str) -> Settings:
    return read_settings({}, environment="test", data_dir=tmp_path / "data", database_url=database, secret_key="t" * 40)


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The application with all tables made, inside an application context."""
    application = create_app(settings)
    application.config["WTF_CSRF_ENABLED"] = False
    application.testing = True
    application.test_client_class = Browser
    with application.app_context():
        yield application
        db.session.remove()
        db.engine.dispose()
