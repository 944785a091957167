"""``python -m tests.screenshots``: a picture of every page that can be reached, for phone and desk, in var/screenshots.

It opens the demonstration (or looks at ``--address``), signs in as one person after another, and follows links: one picture a
route and size, so a new page needs no entry anywhere. It ends by naming the routes that no link led to.
"""

import argparse
import shutil
from collections import deque
from pathlib import Path
from urllib.parse import urlsplit

from PIL import Image
from playwright.sync_api import BrowserContext, Page, sync_playwright
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter

from marketplace import create_app
from marketplace.cli.seed_load import DEMO_PASSWORD
from marketplace.foundation.config import read_settings
from tests.demonstration import TOP, demonstration

SIZES = {"phone": (390, 844), "desk": (1440, 900)}
PEOPLE = (
    "", "customer", "school-buyer", "school-approver", "school-accountant", "edu-accountant", "tea-clerk", "tea-accountant",
    "tea-director", "reviewer", "admin", "treasurer", "auditor", "village-officer", "station-clerk", "village-accountant",
)  # fmt: skip
# Pages that no link leads to: who opens them, where, and the picture's name.
BESIDE = (
    ("", "/search?q=白茶", "shop.find"),
    ("", "/search?q=zzzz", "shop.find-nothing"),
    ("", "/no-such-page", "error-404"),
    ("customer", "/cooperative", "error-403"),
    ("customer", "/cart", "cart.show-filled"),
    ("customer", "/checkout", "checkout.show"),
)
NOT_PAGES = {"static", "health.healthz", "health.readyz", "account.choose_language"}


class Album:
    """The pictures taken so far, one a route and size."""

    def __init__(self, folder: Path, address: str, routes: MapAdapter) -> None:
        self.folder, self.address, self.routes = folder, address.rstrip("/"), routes
        self.taken: set[str] = set()

    def route(self, path: str) -> str | None:
        """The endpoint of a path; none for what is not a page of ours."""
        try:
            endpoint: str = self.routes.match(path, method="GET")[0]
        except HTTPException:
            return None
        return None if endpoint in NOT_PAGES else endpoint

    def walk(self, page: Page) -> None:
        """Follow links from the front page and from where signing in led; photograph what is new."""
        seen = {"/"}
        waiting = deque(["/"])
        looked_into: set[str] = set()
        while waiting:
            path = waiting.popleft()
            endpoint = self.route(urlsplit(path).path)
            if endpoint is None or endpoint in looked_into:
                continue
            looked_into.add(endpoint)
            answer = page.goto(self.address + path, wait_until="load")
            if endpoint not in self.taken and answer and answer.status < 400:
                self.photograph(page, endpoint)
            links = page.eval_on_selector_all("a[href]", "all => all.map(a => a.href)")
            for link in links:
                if link.startswith(self.address + "/"):
                    inside = link.removeprefix(self.address).partition("#")[0]
                    if inside not in seen:
                        seen.add(inside)
                        waiting.append(inside)

    def photograph(self, page: Page, name: str) -> None:
        """The page as it is, at both sizes, whole length."""
        self.taken.add(name)
        for size, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            page.screenshot(path=self.folder / f"{name}-{size}.png", full_page=True)


def sign_in(context: BrowserContext, address: str, login: str) -> Page:
    """A page of somebody who has signed in; of a stranger for an empty login."""
    page = context.new_page()
    page.set_default_timeout(15_000)
    if login:
        page.goto(address + "sign-in")
        page.fill("[name=login]", login)
        page.fill("[name=password]", DEMO_PASSWORD)
        page.press("[name=password]", "Enter")
        page.wait_for_load_state("load")
    return page


def fill_cart(page: Page, address: str) -> None:
    """Put the first two goods of the list into the cart."""
    page.goto(address + "goods")
    goods = page.eval_on_selector_all("a[href*='/goods/']", "all => [...new Set(all.map(a => a.href))]")
    for each in goods[:2]:
        page.goto(each)
        page.locator("form[action$='/cart/add'] [type=submit], form[action$='/cart/add'] button").first.click()
        page.wait_for_load_state("load")


def front_page(page: Page, address: str) -> None:
    """The README's picture: the first screen of the front page."""
    page.set_viewport_size({"width": 1440, "height": 960})
    page.goto(address)
    shot = TOP / "var" / "home.png"
    page.screenshot(path=shot)
    with Image.open(shot) as picture:
        picture.convert("RGB").resize((1080, 720), Image.Resampling.LANCZOS).save(TOP / "docs" / "pictures" / "home.webp", quality=82, method=6)
    shot.unlink()


def take(address: str, folder: Path, *, home: bool) -> None:
    app = create_app(read_settings({}, data_dir=TOP / "var"))
    album = Album(folder, address, app.url_map.bind("localhost"))
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("Chromium is missing: apt-get install chromium fonts-noto-cjk")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for login in PEOPLE:
            context = browser.new_context(locale="zh-CN", timezone_id="Asia/Shanghai")
            page = sign_in(context, address, login)
            if home and not login:
                front_page(page, address)
            before = len(album.taken)
            album.walk(page)
            if login == "customer":
                fill_cart(page, address)
            for who, path, name in BESIDE:
                if who == login:
                    page.goto(address.rstrip("/") + path)
                    album.photograph(page, name)
            print(f"  {login or 'a stranger':<20} {len(album.taken) - before:>3} pages", flush=True)
            context.close()
        browser.close()
    every = {rule.endpoint for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())} - NOT_PAGES
    print(f"{len(album.taken)} pages in {folder}")
    for endpoint in sorted(every - album.taken):
        print(f"  no link led to {endpoint}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default="", help="a market that runs already, as http://127.0.0.1:8000/")
    parser.add_argument("--home", action="store_true", help="also take the README's picture anew")
    given = parser.parse_args()
    folder = TOP / "var" / "screenshots"
    if given.address:
        take(given.address.rstrip("/") + "/", folder, home=given.home)
        return
    with demonstration(TOP / "var", 8200) as (_, address, _said):
        take(address, folder, home=given.home)


if __name__ == "__main__":
    main()
