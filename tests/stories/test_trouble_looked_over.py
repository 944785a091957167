"""Every page of trouble as a browser shows it, at both widths and in both languages: nothing that axe finds fault with, nothing too wide."""

import pytest
from flask import Flask, abort
from playwright.sync_api import Page

from marketplace.foundation.errors import OutsideFailure
from marketplace.foundation.language import LANGUAGES, N_
from marketplace.web.errors import DESIGNED
from marketplace.web.permission import public
from tests import builders
from tests.chromium import axe_faults
from tests.stories.test_money_looked_over import served_by
from tests.stories.visitor import DESK, PHONE, TOO_WIDE
from tests.web.work_desk import browser

pytestmark = pytest.mark.browser


@public
def troubled(status: int) -> str:
    if status == 500:
        raise ZeroDivisionError
    if status == 503:
        raise OutsideFailure("alipay.away", N_("支付宝暂时没有回答。"))
    abort(status)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_of_trouble_can_be_read_by_everybody(app: Flask, page: Page, language: str) -> None:
    app.testing = False  # what nobody expected is a page, and not this test's error
    app.add_url_rule("/trouble/<int:status>", view_func=troubled)
    client = browser(app, builders.market().clerk)
    page.route("**/*", served_by(client, language))
    wrong, titles = [], set()
    for status in sorted(DESIGNED):
        answer = page.goto(f"http://market.test/trouble/{status}")
        assert answer is not None and answer.status == status
        assert page.locator("html").get_attribute("lang") == {"zh": "zh-CN", "en": "en"}[language]
        titles.add(page.locator("h1").inner_text())
        for width in (PHONE, DESK):
            page.set_viewport_size({"width": width, "height": 900})
            wrong += [f"{status} at {width}: {each}" for each in axe_faults(page)]
            wrong += [f"{status} at {width}: too wide {each}" for each in page.evaluate(TOO_WIDE)]
    assert wrong == []
    assert len(titles) == len(DESIGNED), "each says what it is"
