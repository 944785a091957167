"""Somebody in front of a browser: reads pages as a person would, and finds fault with what cannot be read or reached."""

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import BrowserContext, Page, expect

from marketplace.cli.seed_load import DEMO_PASSWORD
from tests.chromium import axe_faults

PHONE, DESK = 390, 1440
_looked_over: set[str] = set()  # kinds of pages, by whomever: one look is enough
# Two pages with one title that offer the same buttons are one kind of page.
KIND = "() => [document.title, ...new Set([...document.querySelectorAll('main button, main summary')].map(each => each.textContent.trim()))].join('|')"
TOO_WIDE = """() => document.documentElement.scrollWidth > window.innerWidth
    ? [...document.querySelectorAll('body *')].filter(each => each.getBoundingClientRect().right > window.innerWidth + 1).slice(0, 5).map(each => each.outerHTML.slice(0, 120))
    : []"""


class Visitor:
    """One person at one screen. Who ``audits`` looks each kind of page over with axe, at both widths."""

    def __init__(self, context: BrowserContext, address: str, *, audits: bool = False) -> None:
        self.page: Page = context.new_page()
        self.page.set_default_timeout(30_000)
        self.address = address
        self.audits = audits

    def open(self, path: str) -> None:
        """Go to an address of the shop; it must be there."""
        answer = self.page.goto(path if path.startswith("http") else self.address + path)
        assert answer is not None and answer.status < 400, f"{path}: {answer and answer.status}"
        self.look()

    def follow(self, name: str, *, inside: str = "main") -> None:
        """Follow the link that says ``name``."""
        self.page.locator(inside).get_by_role("link", name=name).first.click()
        self.look()

    def press(self, name: str | re.Pattern[str], *, inside: str = "main") -> None:
        """Press the button that says ``name``, and wait for the page that answers."""
        with self.page.expect_navigation():
            self.page.locator(inside).get_by_role("button", name=name).first.click()
        self.look()

    def fill(self, **fields: str) -> None:
        """Type into the fields of these names."""
        for name, value in fields.items():
            self.page.locator(f"[name={name}]").fill(value)

    def write(self, label: str, value: str) -> None:
        """Type into the field that is called so."""
        self.page.get_by_label(re.compile(re.escape(label))).first.fill(value)

    def choose_first(self, label: str) -> None:
        """Take the first choice of a list, after the one that says "none"."""
        self.page.get_by_label(label).select_option(index=1)

    def bring(self, label: str, file: dict[str, Any]) -> None:
        """Hand a file (name, mimeType, buffer) to the field that is called so."""
        self.page.get_by_label(label).set_input_files(file)  # type: ignore[arg-type]

    def reads(self, *pieces: str) -> None:
        """The page's words hold each of these, whatever the space between."""
        text = self.text()
        for piece in pieces:
            assert "".join(piece.split()) in text, f"{piece!r} is not on {self.page.url}:\n{self.page.inner_text('main')}"

    def does_not_read(self, *pieces: str) -> None:
        text = self.text()
        for piece in pieces:
            assert "".join(piece.split()) not in text, f"{piece!r} is on {self.page.url}"

    def text(self) -> str:
        """Everything in ``main``, without spaces; what lies folded away is not read."""
        return "".join(self.page.inner_text("main").split())

    def sign_in(self, login: str, goal: str = "/") -> None:
        """Sign in as one of the demonstration's people."""
        self.open(f"/sign-in?next={goal}")
        self.fill(login=login, password=DEMO_PASSWORD)
        self.press("登录")

    def look(self) -> None:
        """Find fault with the page, at both widths, if this visitor does."""
        expect(self.page.locator("h1").first).to_be_visible()
        kind = self.page.evaluate(KIND)
        if not self.audits or kind in _looked_over:
            return
        _looked_over.add(kind)
        size = self.page.viewport_size
        for width in (PHONE, DESK):
            self.page.set_viewport_size({"width": width, "height": 900})
            assert self.page.evaluate(TOO_WIDE) == [], f"{self.page.url} is wider than {width} px"
            assert axe_faults(self.page) == [], f"{self.page.url} at {width} px"
        if size:
            self.page.set_viewport_size(size)


Visits = Callable[..., Visitor]


def context_of(**more: Any) -> dict[str, Any]:
    """How the browsers of all visitors are set."""
    return {"locale": "zh-CN", "timezone_id": "Asia/Shanghai", "viewport": {"width": PHONE, "height": 844}} | more
