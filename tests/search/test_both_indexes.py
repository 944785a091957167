"""Whoosh and PostgreSQL find the same for the same words: by name, sound, initials, slips, synonyms and places."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace import search
from marketplace.catalogue.product import Product
from marketplace.cli import seed
from marketplace.foundation import outbox
from marketplace.foundation.config import settings
from marketplace.foundation.database import db, transaction
from marketplace.search import product_index

TYPED = {
    "皇菊": "chrysanthemum", "huangju": "chrysanthemum", "hj": "chrysanthemum", "皇橘": "chrysanthemum", "huangjv": "chrysanthemum",
    "BaiCha": "white_tea", "baic": "white_tea", "camellia": "camellia_oil", "camelia": "camellia_oil", "蜂蜜": "honey", "茶籽油": "camellia_oil",
    "云脚 白茶": "white_tea",
}  # fmt: skip
BREAKING = ["", "   ", "'\"*?:()[]{}~^", "AND OR NOT", "id:1", "a" * 5000, "\x00", "%", "\\", "a\\'b", "茶' | '蜜", ":*", "!茶 & 油"]


@pytest.mark.both
def test_what_is_typed_is_found(app: Flask) -> None:
    result = app.test_cli_runner().invoke(seed.group, ["--json"])
    assert result.exit_code == 0, result.output
    for typed, category in TYPED.items():
        found = search.query(typed)
        assert found and db.session.get_one(Product, found[0]).category == category, typed
        assert len(found) == len(set(found))
    assert set(search.query("云脚 白茶")) < set(search.query("白茶")) and search.query("完全没有这种东西") == []
    assert len(search.query("白茶", limit=3)) == 3
    for typed in BREAKING:
        assert isinstance(search.query(typed), list), typed

    tea = db.session.scalars(select(Product.id).where(Product.slug == "yunjiao-mingqian-white-tea")).one()
    assert search.query("明前")[0] == tea or tea in search.query("明前")

    def change(**values: Any) -> None:
        row = db.session.get_one(Product, tea)
        for name, value in values.items():
            setattr(row, name, value)
        search.index_product(tea)

    transaction(lambda: change(name_zh="雪线银毫", summary_zh=""))
    assert search.query("银毫") == []
    assert outbox.drain(kinds={product_index.KIND}) == (1, 0)
    assert search.query("银毫") == [tea] == search.query("yinhao")
    transaction(lambda: change(state="SUSPENDED"))
    outbox.drain(kinds={product_index.KIND})
    assert search.query("银毫") == []
    assert search.rebuild() == 33 and tea not in search.query("白茶")


@pytest.mark.both
def test_a_lost_index_says_what_to_do_and_one_update_mends_it(app: Flask) -> None:
    assert app.test_client().get("/readyz").json == {"status": "ready"}  # nothing is on sale: nothing to find
    result = app.test_cli_runner().invoke(seed.group, ["--json"])
    assert result.exit_code == 0, result.output
    assert app.test_client().get("/readyz").status_code == 200
    lose()
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 503 and "flask search rebuild" in answer.json["reasons"]["search"]
    assert search.query("白茶") == [] and app.test_client().get("/search?q=白茶").status_code == 200
    tea = db.session.scalars(select(Product.id).where(Product.slug == "yunjiao-mingqian-white-tea")).one()
    transaction(lambda: search.index_product(tea))
    assert outbox.drain(kinds={product_index.KIND}) == (1, 0)
    assert len(search.query("白茶")) > 3 and app.test_client().get("/readyz").status_code == 200


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Whoosh leaves the file open that it could not read
def test_an_unreadable_index_says_so(app: Flask) -> None:
    result = app.test_cli_runner().invoke(seed.group, ["--json"])
    assert result.exit_code == 0, result.output
    for each in (settings().data_dir / "search").glob("*.toc"):
        each.write_bytes(b"not an index")
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 503 and answer.json["reasons"]["search"].startswith("unreadable")


def lose() -> None:
    """The index is gone, as after a disk was lost or a table emptied."""
    import shutil

    from sqlalchemy import delete

    from marketplace.search.postgres_index import SearchDocument

    if db.engine.dialect.name == "postgresql":
        transaction(lambda: db.session.execute(delete(SearchDocument)))
    else:
        shutil.rmtree(settings().data_dir / "search")
