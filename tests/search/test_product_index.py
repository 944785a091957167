"""What people type, and what they find."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace import search
from marketplace.catalogue.product import Product
from marketplace.cli import search_rebuild
from marketplace.foundation import outbox
from marketplace.foundation.config import settings
from marketplace.foundation.database import db, transaction
from marketplace.search import product_index, word


def found(words: str) -> list[Product]:
    ids = search.query(words)
    rows = {row.id: row for row in db.session.scalars(select(Product).where(Product.id.in_(ids)))}
    return [rows[number] for number in ids]


@pytest.mark.parametrize(
    ("typed", "category"),
    [("皇菊", "chrysanthemum"), ("huangju", "chrysanthemum"), ("hj", "chrysanthemum"), ("皇橘", "chrysanthemum"), ("huangjv", "chrysanthemum"),
     ("BaiCha", "white_tea"), ("camellia", "camellia_oil"), ("蜂蜜", "honey"), ("茶籽油", "camellia_oil")],
)  # fmt: skip
def test_goods_are_found_by_name_sound_initials_and_slips(market: Flask, typed: str, category: str) -> None:
    products = found(typed)
    assert products and products[0].category == category


def test_places_are_words_and_every_word_must_fit(market: Flask) -> None:
    assert "云脚村" in word.words("靖安县璪都镇云脚村") and "璪都镇" in word.words("靖安县璪都镇云脚村")
    both = found("云脚 白茶")
    assert both and all(each.category == "white_tea" and "云脚" in each.name_zh for each in both[:1])
    assert {each.id for each in both} < {each.id for each in found("白茶")}
    assert found("完全没有这种东西") == []


@pytest.mark.parametrize("typed", ["", "   ", "'\"*?:()[]{}~^", "AND OR NOT", "id:1", "a" * 5000, "\x00", "%"])
def test_nothing_that_is_typed_breaks_it(market: Flask, typed: str) -> None:
    assert isinstance(search.query(typed), list)


def test_a_change_is_searchable_after_its_message_is_carried_out(market: Flask) -> None:
    product_id = db.session.scalars(select(Product.id).where(Product.slug == "yunjiao-mingqian-white-tea")).one()
    assert product_id in search.query("明前")

    def change(**values: Any) -> None:
        product = db.session.get_one(Product, product_id)
        for name, value in values.items():
            setattr(product, name, value)
        search.index_product(product_id)

    transaction(lambda: change(name_zh="雪线银毫", summary_zh=""))
    assert search.query("银毫") == []
    assert outbox.drain(kinds={product_index.KIND}) == (1, 0)
    assert search.query("银毫") == [product_id]
    transaction(lambda: change(state="SUSPENDED"))
    outbox.drain(kinds={product_index.KIND})
    assert search.query("银毫") == []


def test_a_lost_index_is_rebuilt_and_its_absence_is_no_crash(market: Flask) -> None:
    import shutil

    shutil.rmtree(settings().data_dir / "search")
    assert search.query("白茶") == [] and not search.ready()
    result = market.test_cli_runner().invoke(search_rebuild.group, ["rebuild"])
    assert result.exit_code == 0 and result.output.startswith("34 products")
    assert search.ready() and search.query("白茶")
    assert [path.name for path in settings().data_dir.glob("search*")] == ["search"]
