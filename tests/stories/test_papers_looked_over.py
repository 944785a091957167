"""The papers behind the books, and the page on which a receipt's orders are chosen, in a browser: both widths, both languages."""

import pytest
from flask import Flask
from playwright.sync_api import Page

from tests.builders_people import operator, person
from tests.procurement.unit_market import match
from tests.stories.test_states_looked_over import look
from tests.web.test_bank_undo import outside
from tests.web.test_book_papers import papers
from tests.web.test_receipt_orders import of_treasury, page_of
from tests.web.work_desk import browser

pytestmark = pytest.mark.browser


def test_papers_of_every_shape(app: Flask, page: Page) -> None:
    at = papers()
    auditor, director = browser(app, person(operator(), "auditor")), browser(app, at.market.director)
    wrong = look(page, auditor, "papers", *(f"/books/papers?kind={kind}" for kind in ("receipts", "returns", "rows", "settlements")), "/books/papers?state=partial")
    wrong += look(page, director, "papers-own", "/books/papers?kind=decisions")
    assert wrong == []


def test_the_orders_of_a_receipt(app: Flask, page: Page) -> None:
    at, _made, came = of_treasury()
    accountant = browser(app, at.market.accountant)
    assert look(page, accountant, "orders", "/cooperative/bank", page_of(came), f"{page_of(came)}?q=zz", opened=True) == []


def test_the_story_of_a_payment_over_the_bank(app: Flask, page: Page) -> None:
    at, made, came = of_treasury()
    first = outside(match(at, came, made[0], 40_000, key="1"))
    match(at, came, made[0], 40_000, key="2")
    look_at = browser(app, at.market.accountant)
    assert look_at.post(f"/cooperative/bank/matches/{first}/undo", data={"reason": "核到别的单位去了"}).status_code == 302
    assert look(page, look_at, "story", f"/cooperative/payments/{first}", opened=True) == []
