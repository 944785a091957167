"""The shop's pages for anybody: what they show, how few statements they need, and that they leave no session behind."""

import re
from datetime import date
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from marketplace.catalogue.product import Pack, Product
from marketplace.foundation.database import db, transaction
from marketplace.households.linkage_group import LinkageShare
from marketplace.supply.stock import Stock
from tests.seeded import market, seeded_folder

__all__ = ["market", "seeded_folder"]

TEA = "yunjiao-mingqian-white-tea"


def page(market: Flask, path: str, status: int = 200, **options: Any) -> TestResponse:
    response = market.test_client().get(path, **options)
    assert response.status_code == status, response.text[:500]
    return response


def names(text: str) -> list[str]:
    return re.findall(r'<h\d[^>]*><a href="/goods/([^"]+)">', text)


@pytest.mark.parametrize("path", ["/", "/goods", "/search?q=白茶", "/origins", "/cooperatives"])
def test_readers_get_a_page_and_no_session(market: Flask, path: str) -> None:
    response = page(market, path)
    assert "Set-Cookie" not in response.headers
    assert "<h1" in response.text


def test_the_home_page_shows_what_was_harvested_last_and_true_zeros(market: Flask) -> None:
    text = page(market, "/").text
    shown = names(text)
    assert 4 <= len(shown) <= 8
    categories = set(db.session.scalars(select(Product.category).where(Product.slug.in_(shown))))
    assert "chrysanthemum" in categories
    assert "¥0.00" in text and "今年还没有过了退货期的订单" in text


def test_the_list_pages_by_key_through_every_product_once(market: Flask) -> None:
    seen, path = [], "/goods?sort=price"
    for _turn in range(5):
        text = page(market, path).text
        seen += names(text)
        following = re.search(r'rel="next" href="([^"]+)"', text)
        if following is None:
            break
        path = following[1].replace("&amp;", "&")
    on_sale = list(db.session.scalars(select(Product.slug).where(Product.state == "ON_SALE").order_by(Product.from_price_fen, Product.id)))
    assert seen == on_sale and len(seen) == 34


def test_filters_narrow_and_unknown_ones_find_nothing(market: Flask) -> None:
    zaodu = names(page(market, "/goods?category=white_tea&township=360925104000").text)
    assert zaodu and TEA in zaodu and set(zaodu) < set(names(page(market, "/goods?category=white_tea").text))
    for path in ("/goods?category=gold", "/goods?township=1", "/goods?after=nobody", "/search?q=没有的东西", "/search"):
        text = page(market, path).text
        assert names(text) == [] and 'class="empty"' in text
    assert names(page(market, "/goods?sort=%27;drop").text)


def test_a_search_keeps_its_order_across_filters(market: Flask) -> None:
    text = page(market, "/search?q=皇菊").text
    assert names(text) and "皇菊" in text
    assert names(page(market, "/search?q=皇菊&category=honey").text) == []


def test_the_product_page_tells_price_origin_and_who_benefits(market: Flask) -> None:
    text = page(market, f"/goods/{TEA}").text
    for told in ("云脚明前白茶", "¥136.00", "每 500 g", "¥1,360.00", "璪都镇 云脚村", "海拔 528 米", "2026-03-20", "SC11436092590014", "GB/T 14456.1"):
        assert told in text, told
    # Of ¥100: 60 to 63 households, 30 to the cooperative, 5 to the village, 5 to the fund.
    assert "63 户" in text and "¥60.00" in text and "¥30.00" in text and text.count("¥5.00") == 2
    flowers = db.session.scalars(select(Product.slug).join(Pack, Pack.product_id == Product.id).where(Pack.pieces.is_not(None), Product.state == "ON_SALE")).first()
    assert "每朵" in page(market, f"/goods/{flowers}").text


def test_a_group_of_fewer_than_five_households_is_not_counted_out(market: Flask) -> None:
    group_id = db.session.scalars(select(Product.linkage_group_id).where(Product.slug == TEA)).one()
    members = sorted(set(db.session.scalars(select(LinkageShare.household_id).where(LinkageShare.group_id == group_id))))
    gone = update(LinkageShare).where(LinkageShare.group_id == group_id, LinkageShare.household_id.in_(members[4:]))
    transaction(lambda: db.session.execute(gone.values(ends_on=date(2026, 10, 31), starts_on=date(2026, 1, 1))) and None)
    text = page(market, f"/goods/{TEA}").text
    assert not re.search(r"\d+ 户</dt>", text) and "不到 5 户" in text and "¥60.00" in text


def test_what_is_sold_out_says_so_and_cannot_be_put_in_the_cart(market: Flask) -> None:
    product_id = db.session.scalars(select(Product.id).where(Product.slug == TEA)).one()
    packs = select(Pack.id).where(Pack.product_id == product_id).scalar_subquery()
    transaction(lambda: db.session.execute(update(Stock).where(Stock.pack_id.in_(packs)).values(on_hand=0)) and None)
    text = page(market, f"/goods/{TEA}").text
    assert "暂时卖完" in text and "加入购物车" not in text


@pytest.mark.parametrize("state", ["DRAFT", "SUBMITTED", "SUSPENDED", "WITHDRAWN"])
def test_what_is_not_on_sale_is_nowhere(market: Flask, state: str) -> None:
    transaction(lambda: db.session.execute(update(Product).where(Product.slug == TEA).values(state=state)) and None)
    page(market, f"/goods/{TEA}", 404)
    for path in ("/", "/goods", "/search?q=云脚明前"):
        assert TEA not in page(market, path).text


def test_a_cooperative_and_its_goods(market: Flask) -> None:
    text = page(market, "/cooperatives").text
    address = re.search(r'href="(/cooperatives/[0-9a-z]{16})">靖安县云脚白茶专业合作社', text)
    assert address is not None
    own = page(market, address[1]).text
    assert TEA in names(own) and "93360925EMU000023W" in own
    page(market, "/cooperatives/0000000000000000", 404)
    # Bank accounts and Alipay numbers are nobody's business here.
    assert "6200" not in own and "2088" not in own and "2021EMU" not in own


def test_origins_are_the_eleven_townships(market: Flask) -> None:
    text = page(market, "/origins").text
    assert text.count('<section class="pane">') == 11
    assert "云脚村" in text and 'href="/goods?township=360925104000"' in text


def test_pages_speak_english_when_asked(market: Flask) -> None:
    text = page(market, f"/goods/{TEA}", headers={"X-Language": "en"}).text
    assert "Yunjiao Pre-Qingming White Tea" in text and "云脚明前白茶" not in text
