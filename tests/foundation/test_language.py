"""Every string has its English, the compiled catalogue is the written one, and texts of things fall back to Chinese."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from flask import Flask

from marketplace import create_app
from marketplace.foundation.config import Settings
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_, said, text

TOP = Path(__file__).parents[2]
CATALOGUE = TOP / "marketplace/foundation/locale/en/LC_MESSAGES"


def test_every_message_has_its_english() -> None:
    assert runpy.run_path(str(TOP / ".ci" / "translations"))["missing"]() == []


def test_the_compiled_catalogue_is_the_written_one() -> None:
    with (CATALOGUE / "messages.po").open("rb") as written, (CATALOGUE / "messages.mo").open("rb") as compiled:
        po, mo = read_po(written), read_mo(compiled)
    assert {message.id: message.string for message in po if message.string} == {message.id: message.string for message in mo}


@pytest.fixture
def app(settings: Settings) -> Flask:
    """Outside an application context: flask-babel keeps one language a context."""
    return create_app(settings)


def test_an_error_speaks_the_readers_language(app: Flask) -> None:
    error = Conflict("stock.short", N_("只剩 %(left)s 件，买不了 %(asked)s 件。请改数量。"), left=1, asked=2)
    with app.test_request_context(headers={"X-Language": "en"}):
        assert said(error) == "Only 1 left, not 2. Please change the quantity."
    with app.test_request_context():
        assert said(error) == "只剩 1 件，买不了 2 件。请改数量。"


def test_a_text_without_english_falls_back(app: Flask) -> None:
    tea, oil = SimpleNamespace(name_zh="白茶", name_en="White tea"), SimpleNamespace(name_zh="山茶油", name_en=None)
    with app.test_request_context(headers={"X-Language": "en"}):
        assert (text(tea, "name"), text(oil, "name")) == ("White tea", "山茶油")
    with app.test_request_context():
        assert text(tea, "name") == "白茶"


def test_the_switch_holds_for_the_session(app: Flask) -> None:
    browser = app.test_client()
    assert 'lang="zh-CN"' in browser.get("/sign-in").text
    assert browser.get("/language/en?next=/sign-in").location == "/sign-in"
    page = browser.get("/sign-in").text
    assert 'lang="en"' in page
    assert "Password" in page
