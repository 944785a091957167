"""A browser for tests: Chromium over Playwright, with nothing downloaded. Its fixtures are pytest-playwright's own."""

import shutil

from tests.missing import missing


def chromium() -> str:
    """Where Chromium is."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        missing("Chromium: apt-get install chromium fonts-noto-cjk")
    return found
