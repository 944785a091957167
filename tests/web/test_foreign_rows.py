"""Other people's rows: with real outside names of what belongs to others, every page that takes one says that there is none, and no
button does anything to it.

A new route and a new table are walked by themselves; of a table in which the days of trade left nothing, a row is planted.
"""

import hashlib
import json
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Date, DateTime, Table, and_, create_engine, event, func, select
from werkzeug.routing import Rule

from marketplace.foundation.database import db
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import Role
from marketplace.web.permission import PERMISSIONS
from tests.seeded import seeded_folder
from tests.traded import opened, traded_folders

__all__ = ["seeded_folder", "traded_folders"]

# Columns that say whose a row is, on one side or the other.
OWNERS = ("organisation_id", "buyer_id", "cooperative_id", "unit_id")
# Rows that anybody may know of, and what a page may show of them to whoever works there.
SHARED = {"organisation", "public_notice", "product", "pack", "batch", "picture", "person", "household"}
# What a form may act on only if it is one's own, though everybody may look at it.
SEEN_BY_ALL = {"product", "pack", "batch", "picture", "household"}
STEPS = (
    "approve", "return", "recompute", "publish", "credit", "withdraw", "paid", "sent", "reissue", "confirm", "switch", "retire", "take-back", "pause", "resume",
)  # fmt: skip
KINDS = ("COOPERATIVE", "UNIT", "STATION", "VILLAGE", "PERSON")  # the operator sees every row


REFUSED = {400, 403, 404, 409, 410, 422}


@pytest.fixture
def market(traded_folders: dict[str, Path]) -> Iterator[Flask]:
    app = opened(traded_folders["many"])
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


def test_no_page_shows_what_is_others(market: Flask) -> None:
    shown, asked = [], 0
    for kind, role, person_id, organisation_id in _people():
        foreign = dict(_foreign(organisation_id))
        browser = market.test_client()
        with browser.session_transaction() as session:
            session["person_id"], session["organisation_id"] = person_id, organisation_id
        for rule in market.url_map.iter_rules():
            name = getattr(market.view_functions[rule.endpoint], "permission", "public")
            one_name = re.fullmatch(r"[^<]*<\w*id>[^<]*", rule.rule)
            if name == "public" or "GET" not in rule.methods or not one_name or (kind, role) not in PERMISSIONS[name]:
                continue
            for table, public_id in foreign.items():
                answer = browser.get(re.sub("<[^>]+>", public_id, rule.rule))
                asked += 1
                if answer.status_code not in {302, 303, 400, 403, 404, 409}:
                    shown.append((rule.rule, kind, role, table, answer.status_code))
    assert not shown, "\n".join(str(each) for each in shown)
    assert asked > 500


def test_no_button_does_anything_to_what_is_others(traded_folders: dict[str, Path], tmp_path: Path) -> None:
    """Not by one outside name, nor by two: neither a pair that belongs together elsewhere, nor one's own with what hangs on another's."""
    shutil.copytree(traded_folders["many"], tmp_path / "market")
    app = opened(tmp_path / "market")
    with app.app_context():
        _plant_rows(tmp_path / "market" / "market.sqlite3")
        form, done, walked, asked = _filled_in(), [], set(), 0
        onlooker = sqlite3.connect(tmp_path / "market" / "market.sqlite3")
        before, edition = _kept(onlooker), _edition(onlooker)
        for kind, role, person_id, organisation_id in _people():
            browser = app.test_client()
            for rule in app.url_map.iter_rules():
                name = getattr(app.view_functions[rule.endpoint], "permission", "public")
                if name == "public" or "POST" not in rule.methods or "<" not in rule.rule or (kind, role) not in PERMISSIONS[name]:
                    continue
                probe = re.sub("<[^>]+>", "zzzzzzzzzzzzzzzz", rule.rule.replace("<step>", "approve"))
                with _tables_asked() as tables:
                    _answer(browser, probe, form, person_id, organisation_id)
                for table, path in _paths(rule, organisation_id, tables):
                    walked.add(rule.rule)
                    asked += 1
                    said = _answer(browser, path, form, person_id, organisation_id)
                    db.session.rollback()
                    if _edition(onlooker) != edition:
                        after, edition = _kept(onlooker), _edition(onlooker)
                        said += "".join(f" changed {each}" for each in after if after[each] != before[each])
                        before = after
                    if said:
                        done.append((rule.rule, kind, role, table, said))
        onlooker.close()
        db.session.remove()
        db.engine.dispose()
    assert not done, "\n".join(str(each) for each in done)
    assert len(walked) > 70
    assert asked > 1500


def _people() -> list[tuple[str, str, int, int]]:
    """One person of every role that is not the operator's."""
    query = select(Organisation.kind, Role.name, Role.person_id, Role.organisation_id).join(Organisation, Organisation.id == Role.organisation_id)
    found = {}
    for kind, role, person_id, organisation_id in db.session.execute(query.where(Organisation.kind.in_(KINDS)).order_by(Role.id)):
        found.setdefault((kind, role), (kind, role, person_id, organisation_id))
    return list(found.values())


def _answer(browser: FlaskClient, path: str, form: dict[str, str], person_id: int, organisation_id: int) -> str:
    """What was wrong with the answer to a form: nothing, if it was refused, by its status or by what the page to go back to says."""
    with browser.session_transaction() as session:
        session.clear()
        session["person_id"], session["organisation_id"] = person_id, organisation_id
    answer = browser.post(path, data=form)
    if answer.status_code in REFUSED:
        return ""
    with browser.session_transaction() as session:
        words = session.get("_flashes", [])
    back = answer.status_code in {302, 303} and not answer.location.startswith("/sign-in")
    return "" if back and words and all(manner == "bad" for manner, _ in words) else f"{answer.status_code} {words}"


@contextmanager
def _tables_asked() -> Iterator[set[str]]:
    """The tables in which a row was looked for by its outside name."""
    tables: set[str] = set()

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        tables.update(re.findall(r'(\w+)"?\.public_id = \?', statement))

    event.listen(db.engine, "before_cursor_execute", note)
    yield tables
    event.remove(db.engine, "before_cursor_execute", note)


def _paths(rule: Rule, organisation_id: int, tables: set[str]) -> Iterator[tuple[str, str]]:
    """(tables, path) of a route with others' rows in it: of the tables in which it looks first, or of all where none is known."""
    names = re.findall(r"<(\w*(?:id|organisation))>", rule.rule)
    others = dict(_foreign(organisation_id, SHARED - SEEN_BY_ALL))
    rows: list[tuple[str, tuple[str, ...]]] = []
    if len(names) == 1:
        rows = [(table, (public_id,)) for table, public_id in others.items() if not tables or table in tables]
    elif len(names) == 2:
        rows = [(f"{above} {below}", pair) for above, below, *pair in _pairs(organisation_id, others) if not tables or above.split()[-1] in tables]  # type: ignore[misc]
    steps = STEPS if "<step>" in rule.rule else ("",)
    for (table, public_ids), step in product(rows, steps):
        path = rule.rule.replace("<step>", step)
        for each, public_id in zip(names, public_ids, strict=True):
            path = path.replace(f"<{each}>", public_id)
        if "<" not in path:
            yield table, path


def _pairs(organisation_id: int, others: dict[str, str]) -> Iterator[tuple[str, str, str, str]]:
    """Two tables of which one refers to the other, with a row of others' each; the upper one also as one's own."""
    tables = db.metadata.tables
    for below, public_id in others.items():
        above_it = {key.column.table.name for column in tables[below].c for key in column.foreign_keys}
        for above in above_it | ({"linkage_group"} if below == "household" else set()):
            if above in others:
                yield above, below, others[above], public_id
            if "public_id" in tables[above].c and "organisation_id" in tables[above].c:
                own = select(tables[above].c.public_id).where(tables[above].c.organisation_id == organisation_id).limit(1)
                if mine := db.session.scalar(own):
                    yield f"own {above}", below, mine, public_id


def _filled_in() -> dict[str, str]:
    """A form with every field that any page of ours asks for, plausibly filled in, so that it is not for want of one that it is refused."""
    names = set()
    for place, pattern in (("marketplace/web", r'(?:form|form_input|given|whole|day|fen|percent)\W{0,5}(?:\w*\()?"(\w+)"'), ("templates", r'name="(\w+)"')):
        for path in (Path(__file__).parents[2] / place).rglob("*.*"):
            if path.suffix in {".py", ".html"}:
                names |= set(re.findall(pattern, path.read_text()))
    form = {}
    for name in names - {"csrf_token"}:
        if name.endswith(("_on", "_from", "day")):
            form[name] = "2026-11-20"
        elif name in {"reason", "note", "why", "text", "explanation", "finding", "returned_reason", "cut_reason", "description"}:
            form[name] = "货与单据对过，照实写明原因"
        else:
            form[name] = "1"
    return form | {"decision": "approve", "answer": "approve", "idempotency_key": "of-the-walk", "phone": "13800138000"}


def _plant_rows(path: Path) -> None:
    """A row of the last cooperative in every table with outside names that has none: whole enough to be found."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        for pragma in ("foreign_keys = OFF", "ignore_check_constraints = ON"):  # what such a row refers to, nobody may get to see anyway
            raw.execute(f"PRAGMA {pragma}")
        owner = connection.scalar(select(func.max(Organisation.id)).where(Organisation.kind == "COOPERATIVE"))
        for table in db.metadata.sorted_tables:
            if "public_id" not in table.c or "organisation_id" not in table.c or connection.scalar(select(func.count()).select_from(table)):
                continue
            connection.execute(table.insert().values({column.name: _value(column, owner) for column in table.c if column.name != "id"}))
        connection.commit()
    engine.dispose()


def _value(column: Any, owner: int) -> Any:
    if column.name in OWNERS:
        return owner
    if column.name == "public_id":
        return f"planted{owner:09}"
    if column.nullable:
        return None
    kind = getattr(column.type, "impl_instance", column.type)
    if isinstance(kind, DateTime):
        return datetime(2026, 11, 19, 4, tzinfo=UTC)
    if isinstance(kind, Date):
        return date(2026, 11, 19)
    return {str: f"{owner}", int: 1, bool: False, bytes: b"x"}.get(kind.python_type, {})


def _edition(onlooker: sqlite3.Connection) -> int:
    """A number that changes when somebody else has written to the database."""
    edition: int = onlooker.execute("PRAGMA data_version").fetchone()[0]
    return edition


def _kept(onlooker: sqlite3.Connection) -> dict[str, str]:
    """A sum of each table's rows. What is read of others, and who was refused, may be noted: the audit stands aside."""
    return {
        table.name: hashlib.sha256(json.dumps(onlooker.execute(f'SELECT * FROM "{table.name}" ORDER BY 1').fetchall(), default=str).encode()).hexdigest()
        for table in db.metadata.sorted_tables
        if table.name != "audit_event"
    }


def _foreign(organisation_id: int, shared: set[str] = SHARED) -> Iterator[tuple[str, str]]:
    """(table, outside name) of a row of each table that belongs to others on every side, and not to a unit that one supervises."""
    supervised = select(Organisation.id).where((Organisation.parent_id == organisation_id) | (Organisation.id == organisation_id))
    for table in db.metadata.sorted_tables:
        owners = [table.c[name] for name in OWNERS if name in table.c and _is_organisation(table, name)]
        if "public_id" not in table.c or table.name in shared or not owners:
            continue
        query = select(table.c.public_id).where(and_(*(owner.not_in(supervised) for owner in owners))).limit(1)
        public_id = db.session.scalar(query)
        if public_id:
            yield table.name, public_id


def _is_organisation(table: Table, name: str) -> bool:
    return any(key.column.table.name == "organisation" for key in table.c[name].foreign_keys)
