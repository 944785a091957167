"""The database: one metadata, typed columns, and ``transaction()``, the only place that commits.

SQLite has no row locks and begins lazily, so a transaction that writes starts with BEGIN IMMEDIATE there, after whatever was
read before is rolled back; PostgreSQL locks rows. Domain code flushes and never commits.
"""

import base64
import json
import re
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

from flask import has_request_context, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    ColumnElement,
    DateTime,
    Dialect,
    Integer,
    MetaData,
    Select,
    String,
    any_,
    bindparam,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, registry
from sqlalchemy.types import TypeDecorator

from marketplace.foundation.connection import translated  # whose import prepares every connection
from marketplace.foundation.errors import Conflict, NotFound
from marketplace.foundation.language import N_

PAGE_WAIT = 20.0  # seconds that one page waits until it may write, all its transactions and their attempts together; then it says so
_WAITED = "market.waited"  # of a request: for how long it has waited

T = TypeVar("T")
BigInt = BigInteger().with_variant(Integer, "sqlite")
Json = JSON().with_variant(JSONB(), "postgresql")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment in UTC. Naive values are refused on the way in and never come out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment must be aware")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_names = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    # Flask-SQLAlchemy copies this class's body; a registry survives the copy, a type_annotation_map does not.
    registry = registry(
        metadata=MetaData(naming_convention=_names),
        type_annotation_map={int: BigInt, datetime: UtcDateTime, dict[str, Any]: Json, list[Any]: Json},
    )




def of_this_engine(thing: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    """For Alembic's comparison: whether the models say ``thing`` of the engine in use, or of another one only (``ddl_if``). A table
    or index with an underscore before its name is made by a refusal or a closing, and no model's."""
    if kind in ("table", "index") and name is not None and name.startswith("_"):
        return False
    wanted = getattr(getattr(thing, "_ddl_if", None), "dialect", None)
    return wanted in (None, db.engine.dialect.name)


db = SQLAlchemy(model_class=Base, engine_options={"hide_parameters": True})

if TYPE_CHECKING:

    class Model(Base):
        __abstract__ = True
else:
    Model = db.Model


def new_public_id() -> str:
    """A random outside name of a row: 80 bits in base32, without letters that are misread."""
    return base64.b32encode(secrets.token_bytes(10)).translate(_LETTERS).decode()


_LETTERS = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789abcdefghjkmnpqrstvwxyz")


class Identified:
    """Every row has an inside number; it is never shown."""

    id: Mapped[int] = mapped_column(primary_key=True)


class Public(Identified):
    """A row that has an address of its own outside: a random ``public_id``, never a sequence."""

    public_id: Mapped[str] = mapped_column(String(16), unique=True, default=new_public_id)


class Versioned:
    """A row that people edit: a save names the version it was read at, and a stale one is a Conflict."""

    version: Mapped[int] = mapped_column(default=1)

    def must_be_version(self, version: int) -> None:
        """Raise Conflict ``version.stale`` unless the row still is at ``version``; then count up."""
        if self.version != version:
            raise Conflict("version.stale", N_("别人刚刚改过这一项。两边的内容都保留着，请对照后再保存。"), now=self.version)
        self.version += 1


class Staged:
    """A row that goes from state to state. ``not_now`` is the Conflict, its code and its words, for whoever takes a step that is not its turn."""

    not_now: ClassVar[tuple[str, str]]
    state: Mapped[str]

    def must_be(self, *states: str) -> None:
        """Raise Conflict unless it is in one of these states."""
        if self.state not in states:
            raise Conflict(*self.not_now, state=self.state)


@overload
def transaction() -> Any: ...
@overload
def transaction(work: Callable[[], T], *, attempts: int = 4) -> T: ...
def transaction(work: Callable[[], T] | None = None, *, attempts: int = 4) -> Any:
    """Commit what happens inside, or nothing. Only entrances call this, once per user action or job item.

    ``with transaction():`` tries once. ``transaction(work)`` runs ``work`` again, from the start, when the database says
    that it lost a race (serialisation failure, deadlock, busy), or the connection broke: ``work`` must do nothing outside
    the database. Nesting raises RuntimeError. After the last attempt, or when somebody who looks at a page has waited for
    ``PAGE_WAIT``, the race is a Conflict ``database.busy``.
    """
    if work is None:
        return _one_transaction()
    for attempt in range(attempts):
        worked = False
        try:
            with _one_transaction():
                answer = work()
                worked = True
            return answer
        except DBAPIError as error:
            # A connection that breaks while committing leaves open whether it is done: that is told, and not tried again.
            broken = error.connection_invalidated and not worked
            if not broken and not lost_race(error):
                raise
            if attempt == attempts - 1 or _patience() == 0:
                if broken:
                    raise
                raise Conflict("database.busy", N_("现在办理的人太多，这一步没有保存。请稍等几秒再试一次。")) from error
            time.sleep(0.02 * 2**attempt * (1 + secrets.randbelow(100) / 100))
    raise AssertionError("unreachable")


@contextmanager
def _one_transaction() -> Iterator[None]:
    session = db.session()
    if session.info.get("in_transaction"):
        raise RuntimeError("transaction() inside transaction(): only entrances open one, once per action")
    if session.new or session.dirty or session.deleted:
        raise RuntimeError("unsaved changes before transaction(): they would be lost")
    # Flask-Login and the page have read by now, which began a deferred transaction: end it, or SQLite could not upgrade it.
    session.rollback()
    session.info["in_transaction"] = True
    try:
        session.info["connection"] = _begun(session)
        yield
        session.commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        session.info["in_transaction"] = False
        session.info.pop("connection", None)


def _begun(session: Any) -> Any:
    """The connection of a transaction that has begun: on SQLite once nobody else writes. What a page waits for that is counted."""
    begin = time.monotonic()
    try:
        return session.connection(execution_options={"immediate": True, "wait": _patience()})
    finally:
        if has_request_context():
            request.environ[_WAITED] = request.environ.get(_WAITED, 0.0) + time.monotonic() - begin


def _patience() -> float | None:
    """For how many seconds more whoever looks at a page waits for the database; None for a job: nobody sits before it."""
    return max(0.0, PAGE_WAIT - request.environ.get(_WAITED, 0.0)) if has_request_context() else None


def insert_many(table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, at_once: int = 10_000) -> int:
    """Insert rows of plain values in the open transaction, in the order given; how many. For ten thousand rows and more.

    COPY on PostgreSQL, one prepared statement on SQLite; never more than ``at_once`` rows in memory. Names come from code only.
    """
    connection = db.session.connection()
    own: Any = connection.connection.driver_connection
    listed = ", ".join(columns)
    statement = f"INSERT INTO {table} ({listed}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608 - names from code
    count = 0
    try:
        if connection.dialect.name == "postgresql":
            statement = f"COPY {table} ({listed}) FROM STDIN"
            with own.cursor() as cursor, cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row(row)
                    count += 1
            return count
        remaining = iter(rows)
        while some := list(islice(remaining, at_once)):
            own.executemany(statement, some)
            count += len(some)
    except connection.dialect.loaded_dbapi.Error as error:
        raise translated(error, statement, connection) from error
    return count


def one_of(column: Any, numbers: Sequence[int]) -> ColumnElement[bool]:
    """That a column is one of these whole numbers, however many: they travel as one parameter."""
    if db.session.get_bind().dialect.name == "postgresql":
        any_of: ColumnElement[bool] = column == any_(bindparam(None, list(numbers), ARRAY(BigInteger)))
        return any_of
    each = func.json_each(json.dumps(list(numbers))).table_valued("value")
    among: ColumnElement[bool] = column.in_(select(each.c.value))
    return among


def in_transaction() -> bool:
    """Whether a ``transaction()`` is open now. The network may not be touched inside one."""
    return bool(db.session().info.get("in_transaction"))


def lost_race(error: BaseException) -> bool:
    """Whether the database refused because of another transaction and the same work may be tried again."""
    original = getattr(error, "orig", None)
    if getattr(original, "sqlstate", None) in {"40001", "40P01", "55P03"}:
        return True
    return isinstance(original, sqlite3.OperationalError) and "locked" in str(original)


def is_busy(error: BaseException) -> bool:
    """Whether the database had no time: a race lost, a lock or connection waited for too long, a statement stopped, or no server yet."""
    original = getattr(error, "orig", None)
    return lost_race(error) or isinstance(error, PoolTimeout) or getattr(original, "sqlstate", None) in {"57014", "53300", "57P03"}


def broke_unique(error: IntegrityError) -> bool:
    """Whether an insert was refused because such a row stands already (not for a check or a foreign key)."""
    return getattr(error.orig, "sqlstate", None) == "23505" or "UNIQUE constraint" in str(error.orig)


M = TypeVar("M", bound=Base)


def locked(model: type[M], row_id: int) -> M:
    """The row, fresh and locked until the transaction ends. NotFound if there is none."""
    return locked_where(model, select(model).where(model.id == row_id))  # type: ignore[attr-defined]


def locked_where(model: type[M], query: Select[M]) -> M:
    """The one row of ``query``, fresh and locked until the transaction ends. NotFound if there is none."""
    row = db.session.scalars(query.with_for_update().execution_options(populate_existing=True)).one_or_none()
    if row is None:
        raise not_found(model)
    return row


def by_public_id(model: type[M], public_id: str, query: Select[M] | None = None) -> M:
    """The row with this outside name, within ``query`` (a scoped one, for a person). NotFound otherwise."""
    query = select(model) if query is None else query
    row = db.session.scalars(query.where(model.public_id == public_id)).one_or_none()  # type: ignore[attr-defined]
    if row is None:
        raise not_found(model)
    return row


def get(model: type[M], row_id: int) -> M:
    """The row with this inside number. NotFound if there is none."""
    row = db.session.get(model, row_id)
    if row is None:
        raise not_found(model)
    return row


def not_found(model: type[Base]) -> NotFound:
    noun = re.sub(r"(?<!^)([A-Z])", r"_\1", model.__name__).lower()
    return NotFound(f"{noun}.missing", N_("没有找到，或不归您的单位查看。"))
