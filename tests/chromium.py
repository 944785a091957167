"""A browser for tests: Chromium over Playwright, with nothing downloaded. Its fixtures are pytest-playwright's own."""

import shutil
from functools import lru_cache

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.missing import missing

# Only what is wrong leaves the browser: what axe found in order is ten times as much.
RUN_AXE = """() => axe.run(document, {resultTypes: ['violations']}).then(found => found.violations.map(
    each => each.id + ': ' + each.help + ': ' + each.nodes.slice(0, 3).map(node => node.html.slice(0, 140)).join(' | ')))"""


def chromium() -> str:
    """Where Chromium is."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        missing("Chromium: apt-get install chromium fonts-noto-cjk")
    return found


@lru_cache(maxsize=1)
def _axe() -> str:
    return str(Axe().axe_script)


def axe_faults(page: Page) -> list[str]:
    """What axe finds wrong with a page as it stands, all of its rules. A page takes the program once, however often it is asked."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(_axe())
    found: list[str] = page.evaluate(RUN_AXE)
    return found
