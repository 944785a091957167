"""A visitor without a mouse: Tab, Space, Enter, the arrows and typing, on pages that show where they are."""

import re
from typing import Any

from playwright.sync_api import BrowserContext, Page

from tests.stories.visitor import Visitor

# What has the focus: its field's name, what it is called (by itself or its label), and whether the ring around it is seen.
FOCUS = """() => { const e = document.activeElement, label = e.labels && e.labels[0];
    const seen = [e, label, label && label.parentElement].filter(Boolean).some(each => parseFloat(getComputedStyle(each).outlineWidth) > 0
        && getComputedStyle(each).outlineStyle !== 'none' || getComputedStyle(each).boxShadow !== 'none');
    return [e.getAttribute('name') || '', (label ? label.innerText || label.textContent : e.innerText || '').trim(), seen]; }"""


def tab_to(page: Page, what: str | re.Pattern[str], *, most: int = 60) -> None:
    """Press Tab until ``what`` (a field's name, a button's words, or a pattern of what it is called) has the focus, and see that it shows."""
    passed = []
    for _ in range(most):
        page.keyboard.press("Tab")
        name, called, seen = page.evaluate(FOCUS)
        passed.append(name or called)
        if what.search(called) if isinstance(what, re.Pattern) else what in (name, called) or re.fullmatch(what, name or called):
            assert seen, f"{what} has the focus and does not show it"
            return
    raise AssertionError(f"{what} is not reached on {page.url}, only {passed}")


def enter(page: Page) -> None:
    with page.expect_navigation():
        page.keyboard.press("Enter")


class WithoutMouse(Visitor):
    """Whatever a visitor does, by keyboard alone. Addresses are typed, as others would open a bookmark."""

    MOST = 200  # presses of Tab: a page is gone through once, from where one is and around

    def __init__(self, context: BrowserContext, address: str, *, audits: bool = False) -> None:
        super().__init__(context, address, audits=audits)
        # Somebody always listens: a browser told only as the key goes down does not yet hold back its own dialog (30 of 150 times).
        self.page.on("filechooser", lambda _: None)

    def follow(self, name: str, *, inside: str = "main") -> None:
        tab_to(self.page, re.compile(re.escape(name)), most=self.MOST)
        enter(self.page)
        self.look()

    def press(self, name: str | re.Pattern[str], *, inside: str = "main") -> None:
        tab_to(self.page, name if isinstance(name, re.Pattern) else re.compile(f"^{re.escape(name)}"), most=self.MOST)
        enter(self.page)
        self.look()

    def fill(self, **fields: str) -> None:
        for name, value in fields.items():
            tab_to(self.page, name, most=self.MOST)
            self._type(value)

    def write(self, label: str, value: str) -> None:
        tab_to(self.page, re.compile(re.escape(label)), most=self.MOST)
        self._type(value)

    def choose_first(self, label: str) -> None:
        tab_to(self.page, re.compile(re.escape(label)), most=self.MOST)
        self.page.keyboard.press("ArrowDown")

    def bring(self, label: str, file: dict[str, Any]) -> None:
        tab_to(self.page, re.compile(re.escape(label)), most=self.MOST)
        with self.page.expect_file_chooser() as asked:
            self.page.keyboard.press("Enter")
        asked.value.set_files(file)  # type: ignore[arg-type]

    def _type(self, value: str) -> None:
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(value)
