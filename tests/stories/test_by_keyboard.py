"""The way from a tin on the shelf to the paid order, by keyboard alone: Tab, Space, Enter, typing; the mouse is never touched."""

from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.stories.keyboard import FOCUS, enter, tab_to
from tests.stories.live_shop import LiveShop
from tests.stories.visitor import DESK, PHONE, context_of

pytestmark = pytest.mark.browser

MONDAY = datetime(2026, 4, 13, 1, 0, tzinfo=UTC)

def type_into(page: Page, **fields: str) -> None:
    """Tab through the fields in the page's order, and type."""
    for name, value in fields.items():
        tab_to(page, name)
        page.keyboard.type(value)


@pytest.mark.parametrize("live_shop", [MONDAY], indirect=True)
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_a_tin_is_bought_without_a_mouse(live_shop: LiveShop, new_context: Any, width: int) -> None:
    page = new_context(**context_of(viewport={"width": width, "height": 900})).new_page()
    page.set_default_timeout(30_000)
    page.goto(f"{live_shop.address}/goods/yunjiao-mingqian-white-tea")
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUS)[1:] == ["跳到正文", True], "the first stop leads past the header"
    page.keyboard.press("Enter")
    tab_to(page, "pack", most=8)
    tab_to(page, "quantity", most=4)
    page.keyboard.type("2")
    tab_to(page, "加入购物车", most=4)
    enter(page)

    tab_to(page, "去结算")
    enter(page)
    tab_to(page, "用手机号注册")
    enter(page)
    type_into(page, phone="13907950001", name="王小明", password="a-good-password")
    enter(page)

    type_into(page, recipient="王小明", phone="13907950001", province="江西省", city="南昌市", street="赣江中大道 1 号")
    tab_to(page, "下单，去支付宝付 ¥272.00")
    enter(page)
    tab_to(page, "付款 ¥272.00")
    enter(page)
    page.wait_for_url("**/orders/*")
    assert "已付款" in page.inner_text("main")
