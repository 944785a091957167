"""A kept page is what the database would say: any change that the page shows makes it anew, and nothing else does."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from marketplace.catalogue.product import Pack, Product
from marketplace.catalogue.split_scheme import SplitScheme
from marketplace.foundation.database import db, transaction
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import register
from marketplace.search import shelf_version
from marketplace.search.shelf_version import ShelfVersion
from marketplace.supply import stock
from marketplace.web import page_cache
from marketplace.web.page_cache import PageCache
from tests import builders
from tests.orders import trade
from tests.statements import counted


def read(app: Flask, path: str, **headers: str) -> tuple[str, int]:
    """The page as somebody without a cookie gets it, and how many statements it took besides the question for the version."""
    with counted() as said:
        answer = app.test_client().get(path, headers=headers)
    assert answer.status_code == 200 and "Set-Cookie" not in answer.headers
    assert "Content-Security-Policy" in answer.headers
    return answer.text, len(said)


def slug_of(product_id: int) -> str:
    return db.session.scalars(select(Product.slug).where(Product.id == product_id)).one()


@pytest.mark.both
def test_a_kept_page_needs_no_statement_and_a_new_price_makes_it_anew(app: Flask) -> None:
    made = builders.market()
    for path in ("/goods", f"/goods/{slug_of(made.product)}", "/"):
        first, _ = read(app, path)
        assert "¥88.00" in first
        assert read(app, path) == (first, 0)

    def dearer() -> None:
        db.session.get_one(Pack, made.pack).price_fen = 9_900
        db.session.get_one(Product, made.product).from_price_fen = 9_900

    transaction(dearer)
    for path in ("/goods", f"/goods/{slug_of(made.product)}", "/"):
        text, statements = read(app, path)
        assert "¥99.00" in text and "¥88.00" not in text and statements > 0


def _rolled_back(made: builders.Market) -> None:
    class Second(Exception):
        pass

    def change() -> None:
        db.session.get_one(Pack, made.pack).price_fen = 1
        db.session.flush()
        raise Second

    with pytest.raises(Second):
        transaction(change)


def _savepoint_rolled_back(made: builders.Market) -> None:
    def change() -> None:
        db.session.get_one(Pack, made.pack).price_fen = 9_900
        with db.session.begin_nested() as savepoint:
            savepoint.rollback()

    transaction(change)


def _savepoint_failed(made: builders.Market) -> None:
    def change() -> None:
        db.session.get_one(Pack, made.pack).price_fen = 9_900
        with pytest.raises(IntegrityError), db.session.begin_nested():
            db.session.add(ShelfVersion(id=1, number=1))  # stands already; the flush has a transaction of its own within
            db.session.flush()

    transaction(change)


SHOWN: dict[str, Callable[[builders.Market], Any]] = {
    "taken off": lambda made: transaction(lambda: setattr(db.session.get_one(Product, made.product), "state", "SUSPENDED")),
    "renamed in bulk": lambda made: transaction(lambda: db.session.execute(update(Product).values(name_zh="别的茶"))),
    "a pack more": lambda made: builders.pack(made.product, price_fen=500),
    "sold to the last but nine": lambda made: transaction(lambda: stock.reserve({made.pack: 91}, source_type="t", source_id=1)),
    "counted out": lambda made: transaction(lambda: stock.adjust(made.pack, by=-100, reason="SPOILED", person_id=None)),
    "another split": lambda made: builders.scheme(made.cooperative, version_no=2),
    "a household more": lambda made: builders.share(made.group, builders.household()),
    "a batch more": lambda made: builders.batch(made.cooperative, made.group),
    "a savepoint rolled back after it": _savepoint_rolled_back,
    "a savepoint failed after it": _savepoint_failed,
    "the cooperative renamed": lambda made: transaction(lambda: setattr(db.session.get_one(Organisation, made.cooperative), "name_zh", "新名字")),
}
NOT_SHOWN: dict[str, Callable[[builders.Market], Any]] = {
    "nothing": lambda made: None,
    "one of a hundred sold": lambda made: transaction(lambda: stock.reserve({made.pack: 1}, source_type="t", source_id=1)),
    "a buyer registers": lambda made: transaction(lambda: register(phone="13800138000", name="王小明", password="jingan2026").id),
    "a whole order paid": lambda made: trade.bought(builders.customer(), (made.pack, 2)),
    "a sale counted": lambda made: transaction(lambda: setattr(db.session.get_one(Product, made.product), "sold_count", 7)),
    "rolled back": _rolled_back,
}


@pytest.mark.parametrize("change", SHOWN.values(), ids=SHOWN)
def test_what_a_page_shows_makes_it_anew(app: Flask, change: Callable[[builders.Market], Any]) -> None:
    made = builders.market(on_hand=100)
    path = f"/goods/{slug_of(made.product)}"
    read(app, path)
    before = shelf_version.number()
    change(made)
    db.session.rollback()
    assert shelf_version.number() > before
    with counted() as said:
        app.test_client().get(path)
    assert said


@pytest.mark.parametrize("change", NOT_SHOWN.values(), ids=NOT_SHOWN)
def test_what_no_page_shows_leaves_it(app: Flask, change: Callable[[builders.Market], Any]) -> None:
    made = builders.market(on_hand=100)
    path = f"/goods/{slug_of(made.product)}"
    first, _ = read(app, path)
    before = shelf_version.number()
    change(made)
    db.session.rollback()
    assert shelf_version.number() == before
    assert read(app, path) == (first, 0)


def test_every_table_that_a_kept_page_reads_is_watched(app: Flask) -> None:
    made = builders.market()
    paths = ("/", "/goods", "/goods?category=white_tea&township=360925201&sort=price", "/search?q=白茶", f"/goods/{slug_of(made.product)}",
             "/origins", "/cooperatives", f"/cooperatives/{db.session.get_one(Organisation, made.cooperative).public_id}")  # fmt: skip
    tables: set[str] = set()
    for path in paths:
        with counted() as said:
            assert app.test_client().get(path).status_code == 200
        for statement in said:
            tables |= set(re.findall(r'(?:FROM|JOIN) "?(\w+)', statement))
    assert tables - {"shelf_version"} <= set(shelf_version.SHOWN) and len(tables) > 6
    assert SplitScheme.__tablename__ in tables
    assert set(page_cache.KEPT) == {rule.endpoint for rule in app.url_map.iter_rules() if rule.endpoint.startswith("shop.")}


def test_whoever_has_a_session_gets_a_page_of_their_own(app: Flask) -> None:
    made = builders.market()
    path = f"/goods/{slug_of(made.product)}"
    english, _ = read(app, path, **{"X-Language": "en"})
    chinese, _ = read(app, path)
    assert 'lang="en"' in english and 'lang="zh-CN"' in chinese
    browser = app.test_client()
    browser.get("/language/en?next=/")
    with counted() as said:
        assert browser.get(path).text == english
    assert not said
    pack = db.session.get_one(Pack, made.pack).public_id
    assert browser.post("/cart/add", data={"pack": pack, "quantity": 3}).status_code == 303
    assert '<span class="count">3</span>' in browser.get(path).text
    assert '<span class="count">' not in read(app, path)[0]


@pytest.mark.parametrize("path", ["/goods?utm=1", "/goods?sort=popular", "/cart", "/goods/nothing"])
def test_what_is_not_kept(app: Flask, path: str) -> None:
    builders.market()
    app.test_client().get(path)
    with counted() as said:
        app.test_client().get(path)
    assert said or path == "/cart"


def test_the_least_asked_for_goes_first() -> None:
    cache, version = PageCache(25), (1, "", "")
    for name in "abc":
        cache.put(("zh", name, ()), version, b"0123456789")
        cache.get(("zh", "a", ()), version)
    assert [bool(cache.get(("zh", name, ()), version)) for name in "abc"] == [True, False, True]
    assert cache.get(("zh", "a", ()), (2, "", "")) is None


@pytest.mark.both
def test_a_connection_that_was_lost_is_made_anew(app: Flask) -> None:
    builders.market()
    before = shelf_version.number()
    shelf_version._kept.connection.close()
    assert shelf_version.number() == before
