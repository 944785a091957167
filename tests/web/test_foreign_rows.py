"""Other people's rows: with real outside names of what belongs to others, every page that takes one says that there is none.

A new route and a new table are walked by themselves.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Table, and_, select

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
KINDS = ("COOPERATIVE", "UNIT", "STATION", "VILLAGE", "PERSON")  # the operator sees every row


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


def _people() -> list[tuple[str, str, int, int]]:
    """One person of every role that is not the operator's."""
    query = select(Organisation.kind, Role.name, Role.person_id, Role.organisation_id).join(Organisation, Organisation.id == Role.organisation_id)
    found = {}
    for kind, role, person_id, organisation_id in db.session.execute(query.where(Organisation.kind.in_(KINDS)).order_by(Role.id)):
        found.setdefault((kind, role), (kind, role, person_id, organisation_id))
    return list(found.values())


def _foreign(organisation_id: int) -> Iterator[tuple[str, str]]:
    """(table, outside name) of a row of each table that belongs to others on every side, and not to a unit that one supervises."""
    supervised = select(Organisation.id).where((Organisation.parent_id == organisation_id) | (Organisation.id == organisation_id))
    for table in db.metadata.sorted_tables:
        owners = [table.c[name] for name in OWNERS if name in table.c and _is_organisation(table, name)]
        if "public_id" not in table.c or table.name in SHARED or not owners:
            continue
        query = select(table.c.public_id).where(and_(*(owner.not_in(supervised) for owner in owners))).limit(1)
        public_id = db.session.scalar(query)
        if public_id:
            yield table.name, public_id


def _is_organisation(table: Table, name: str) -> bool:
    return any(key.column.table.name == "organisation" for key in table.c[name].foreign_keys)
