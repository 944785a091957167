"""The one performance gate: pages need few SQL statements, and no more when there is more to show.

Requests a second depend on the machine; statements do not. A new list route is found and counted by itself.
"""

import re

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from marketplace.catalogue.product import Pack, Product
from marketplace.foundation.database import db
from marketplace.orders.order import Order, Purchase
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import Role
from marketplace.web.permission import PERMISSIONS
from tests.statements import counted, repeated
from tests.traded import seeded_folder, traded, traded_folders

__all__ = ["seeded_folder", "traded", "traded_folders"]

LIST = 6
# Not lists: the first page of a desk counts many things, each once. Never more than this, whatever the size.
DESKS = {"/cooperative": 9, "/cooperative/money": 13, "/operator": 6, "/unit": 8, "/unit/reports": 7, "/operator/county": 12, "/operator/bulletin": 7, "/village": 7}
ORGANISATIONS = 3  # of each kind are looked at: those with most orders, and those with units below them


def test_every_list_needs_few_statements_whatever_its_size(traded: Flask) -> None:
    too_many, walked = [], set()
    for rule in traded.url_map.iter_rules():
        if "GET" not in rule.methods or "<" in rule.rule or rule.endpoint == "static":
            continue
        name = traded.view_functions[rule.endpoint].permission  # type: ignore[attr-defined]
        if name == "public":
            continue
        for kind, role in sorted(PERMISSIONS[name]):
            for person_id, organisation_id in _people(kind, role):
                browser = traded.test_client()
                with browser.session_transaction() as session:
                    session["person_id"], session["organisation_id"] = person_id, organisation_id
                with counted() as said:
                    answer = browser.get(rule.rule)
                assert answer.status_code in (200, 302, 303), (rule.rule, kind, role, answer.status_code)
                walked.add(rule.rule)
                if len(said) > DESKS.get(rule.rule, LIST) or repeated(said):
                    too_many.append((rule.rule, kind, role, len(said), [_short(each) for each in repeated(said) or said]))
    assert not too_many, "\n".join(str(each) for each in too_many)
    assert {"/unit/orders", "/cooperative/orders", "/operator/listings", "/orders"} <= walked


@pytest.mark.parametrize(
    ("path", "most"),
    [("/goods", 4), ("/goods?category=honey&sort=price", 4), ("/search?q=白茶", 4), ("/search?q=白茶&sort=price", 4),
     ("/goods/yunjiao-mingqian-white-tea", 5), ("/cart", 5), ("/", 7), ("/origins", 2), ("/cooperatives", 2), ("/transparency", 7)],
)  # fmt: skip
def test_public_pages_need_few_statements(traded: Flask, path: str, most: int) -> None:
    browser = traded.test_client()
    browser.get(path)  # the places become words once a process
    with counted() as said:
        # In another language: the page just read was kept.
        assert browser.get(path, headers={"X-Language": "en"}).status_code == 200
    assert len(said) <= most and not repeated(said), [_short(each) for each in said]


@pytest.mark.parametrize("packs", [1, 12])
def test_a_full_cart_needs_no_more_than_an_empty_one(traded: Flask, packs: int) -> None:
    browser = traded.test_client()
    for public_id in _packs(packs):
        assert browser.post("/cart/add", data={"pack": public_id, "quantity": 1}).status_code == 303
    browser.get("/cart")
    with counted() as said:
        text = browser.get("/cart").text
    assert text.count('name="quantity"') == packs
    assert len(said) <= 5 and not repeated(said), said


def test_an_order_page_needs_few_statements_whatever_is_in_it(traded: Flask) -> None:
    """The largest purchase there is, of several cooperatives, and the smallest."""
    size = func.count(Order.id)
    query = select(Purchase.public_id, Purchase.organisation_id, func.min(Order.placed_by_id), size).join(Order, Order.purchase_id == Purchase.id)
    found = db.session.execute(query.where(Order.kind == "PUBLIC").group_by(Purchase.id).order_by(size)).all()
    assert found[0][3] == 1 and found[-1][3] > 1
    for public_id, organisation_id, person_id, _orders in (found[0], found[-1]):
        browser = traded.test_client()
        with browser.session_transaction() as session:
            session["person_id"], session["organisation_id"] = person_id, organisation_id
        with counted() as said:
            assert browser.get(f"/orders/{public_id}").status_code == 200
        assert len(said) <= 6 and not repeated(said), [_short(each) for each in said]


def _people(kind: str, role: str) -> list[tuple[int, int]]:
    """(person, organisation) in this role, of the organisations where there is most to see."""
    orders = select(func.count()).where((Order.organisation_id == Organisation.id) | (Order.buyer_id == Organisation.id)).scalar_subquery()
    child = aliased(Organisation)
    below = select(func.count()).where(child.parent_id == Organisation.id).scalar_subquery()
    query = (
        select(func.min(Role.person_id), Organisation.id)
        .join(Organisation, Organisation.id == Role.organisation_id)
        .where(Organisation.kind == kind, Role.name == role, Organisation.suspended_at.is_(None))
        .group_by(Organisation.id)
        .order_by((below > 0).desc(), orders.desc(), Organisation.id)
        .limit(ORGANISATIONS)
    )
    return [(row[0], row[1]) for row in db.session.execute(query)]


def _packs(count: int) -> list[str]:
    query = select(Pack.public_id).join(Product, Product.id == Pack.product_id).where(Product.state == "ON_SALE", Pack.withdrawn_at.is_(None))
    return list(db.session.scalars(query.order_by(Pack.id).limit(count)))


def _short(statement: str) -> str:
    """A statement without its columns."""
    return re.sub(r"^SELECT .*? FROM ", "… FROM ", " ".join(statement.split()))[:160]
