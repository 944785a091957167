"""A stranger's cart: no session before something is put in, and no other site's page can put anything in."""

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.catalogue.product import Pack, Product
from marketplace.foundation.database import db
from tests import builders


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 303), ({"Sec-Fetch-Site": "same-origin"}, 303), ({"Origin": "http://localhost"}, 303), ({"Referer": "http://localhost/goods/x"}, 303),
     ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, 400), ({"Sec-Fetch-Site": "same-site"}, 400),
     ({"Origin": "https://evil.example"}, 400), ({"Origin": "null"}, 400), ({"Referer": "https://evil.example/localhost"}, 400)],
)  # fmt: skip
def test_only_our_own_pages_fill_a_cart(app: Flask, headers: dict[str, str], status: int) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    pack = db.session.get_one(Pack, builders.market().pack).public_id
    answer = app.test_client().post("/cart/add", data={"pack": pack, "quantity": 1}, headers=headers)
    assert answer.status_code == status
    assert ("Set-Cookie" in answer.headers) == (status == 303)


def test_a_product_page_leaves_no_session_and_its_form_still_works(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    made = builders.market()
    slug = db.session.scalars(select(Product.slug).where(Product.id == made.product)).one()
    browser = app.test_client()
    page = browser.get(f"/goods/{slug}")
    assert page.status_code == 200 and "Set-Cookie" not in page.headers and "csrf_token" not in page.text
    pack = db.session.get_one(Pack, made.pack).public_id
    assert browser.post("/cart/add", data={"pack": pack, "quantity": 2}, headers={"Origin": "http://localhost"}).status_code == 303
    assert 'value="2"' in browser.get("/cart").text
    refused = browser.post("/cart/change", data={"pack": pack, "quantity": 3})
    assert refused.status_code == 400
