"""``python -m tests.screenshots``: a picture of every page that can be reached, for phone and desk, in var/screenshots.

It opens the demonstration (or looks at ``--address``), signs in as one person after another, and follows links: one picture a
route and size, so a new page needs no entry anywhere. It ends by naming the routes that no link led to, and with 1 if one of them is
not excused in ``NOT_MET``. ``--audit`` also looks each page over: wider than its window, or faults that axe finds.
"""

import argparse
import shutil
import sys
from collections import Counter, deque
from collections.abc import Set
from pathlib import Path
from urllib.parse import urlsplit

from PIL import Image
from playwright.sync_api import BrowserContext, Error, Page, sync_playwright
from sqlalchemy import select
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter

from marketplace import create_app
from marketplace.cli.seed_load import DEMO_PASSWORD
from marketplace.foundation.config import read_settings
from marketplace.foundation.database import db
from marketplace.households.household import Household
from marketplace.settlement.payout_batch import PayoutItem
from tests.chromium import axe_faults, chromium
from tests.demonstration import TOP, demonstration

SIZES = {"phone": (390, 844), "desk": (1440, 900)}
PEOPLE = (
    "", "customer", "school-buyer", "school-approver", "school-accountant", "edu-accountant", "tea-clerk", "tea-accountant",
    "tea-director", "honey-accountant", "honey-director", "reviewer", "admin", "treasurer", "auditor", "village-officer", "station-clerk",
    "village-accountant",
)  # fmt: skip
# What somebody does before they, and whoever comes after them, look around: who, on which page, by which link, filling what, pressing what.
DONE_BEFORE: tuple[tuple[str, str, str, dict[str, str], str], ...] = (
    ("station-clerk", "/account/addresses", "", {"recipient": "王小明", "phone": "13907950001", "province": "江西省", "city": "南昌市", "street": "赣江中大道 1 号"}, "存地址"),
    ("customer", "/invoices", "main .strip:has-text('云脚白茶') a", {}, "申请开票"),
    ("tea-clerk", "/cooperative/batches", "main tbody th a", {"certified": "1"}, "开具"),
    ("tea-accountant", "/remittances/new", "", {"to": "FUND", "amount": "1"}, "提出划款"),
)  # fmt: skip
# Pages that no link leads to: who opens them, where, and the picture's name.
BESIDE = (
    ("", "/search?q=白茶", "shop.find"),
    ("", "/search?q=zzzz", "shop.find-nothing"),
    ("", "/no-such-page", "error-404"),
    ("", "/h/{household}", "receipt.household"),  # its address stands on paper only, as a QR code
    ("customer", "/cooperative", "error-403"),
    ("customer", "/cart", "cart.show-filled"),
    ("customer", "/checkout", "checkout.show"),
)
# Pages that a button answers with: who presses it, on which page, after filling what, and the picture's name.
ANSWERS: tuple[tuple[str, str, dict[str, str], str, str], ...] = (
    ("", "/register", {"phone": "138", "name": "王小明", "password": "short"}, "注册", "account.do_register-wrong"),
    ("", "/sign-in", {"login": "nobody", "password": "wrong"}, "登录", "account.do_sign_in-wrong"),
    ("customer", "/checkout", {"recipient": "王小明", "phone": "138", "street": "人民路 1 号"}, "下单", "checkout.place-wrong"),
    ("tea-accountant", "/cooperative/bank", {"file": "交易日期,收入金额,对方户名,摘要,流水号\n2026-01-05,500.00,张三,货款,L1\n2026-01-05,xx,李四,,L2\n"}, "核对", "bank_statements.show"),
)  # fmt: skip
NOT_PAGES = {"static", "health.healthz", "health.readyz", "account.choose_language"}
BY_THE_DAY = "there is one on some days of a month only, when a distribution is credited and not yet at the bank"
# Routes that a walk through a fresh demonstration need not come to, and why. Of these there is no picture: a file, or a way on to another page.
ISSUED, REVERSED = "an invoice must have been issued, as a file from the tax bureau", "an invoice must have been reversed"
ABSENT, LATE = "the list that it is the sheet of is empty", "a unit must be late with its payment"
NO_PICTURE = {
    "checkout.returned": "leads on from the cashier to the order",
    "checkout.card_returned": "leads on from the page where a card is asked for",
    "payout_item.moved": "leads on from where payments over the bank had their page once",
    "documents.payment_letter": "a unit must owe for what it accepted that day",
    "pictures.show": "a picture that a cooperative uploaded",
    **dict.fromkeys(("invoices.file", "cooperative_invoices.file"), ISSUED),
    **dict.fromkeys(("invoices.red_file", "cooperative_invoices.red_file"), REVERSED),
    **dict.fromkeys(("cooperative_overdue.letter", "cooperative_overdue.export"), LATE),
    **dict.fromkeys(("money_sheets.changes", "money_sheets.fund_returns", "money_sheets.unclaimed_lists", "money_sheets.unclaimed_households"), ABSENT),
}  # fmt: skip
NOT_MET = {
    **NO_PICTURE,
    "invitation.show": "its address is in an invitation that somebody was handed",
    "checkout.code": "a station shows it after a press, while an order waits for its payment",
    **dict.fromkeys(("payout.ask", "payout_step.ask", "payout_results.results", "payout_results.preview", "slip.of_distribution"), BY_THE_DAY),
    "books.ask_to_close": "on most days the month before is closed already",
    "cooperative_overdue.show": LATE,
    "operator_schemes.show": "a cooperative must have asked for another split",
    "operator_rules.show": "a cooperative must have asked for another rule of a pool",
    "messages.show": "one of those who look around must have been written to",
    "messages.ask_to_confirm": "its address is in a letter to whoever wants letters",
    "operator_targets.adjustment": "a locked year must have been adjusted",
    "payout_found.show": "a payout batch must have been called off after somebody took its file",
    **dict.fromkeys(("fund_return.show", "fund_return.ask"), "a cooperative must have asked the fund to give back"),
    "remittance.ask": "a remittance must wait for its next step",
    "withdrawals.ask": "a withdrawal must be under way",
    "sign_in_proposals.index": "an administrator must have asked for a sign-in that another agrees to",
    "channel_keys.ask": "a key must have been replaced by another",
    "household_changes.show": "a household must have moved, parted or left money behind",
    **dict.fromkeys(("unclaimed.show", "unclaimed.ask"), "money must have lain unclaimed for years"),
    "payout_layouts.show": "a bank's layout of one's own must have been written",
    "payout_reading.ask": "a bank must have sent results in a layout of its own",
    "errand.show": "a cooperative of five thousand households must have asked for long work",
    "reconciliation.show": "books and statement must differ",
    "bank_statements.layout": "follows the upload of a bank's file",
}  # fmt: skip
LOOKS = 4  # into how many pages of one route each person looks: their states differ, and so do their links
TOO_WIDE = "() => document.documentElement.scrollWidth - window.innerWidth"


class Album:
    """The pictures taken so far, one a route and size."""

    def __init__(self, folder: Path, address: str, routes: MapAdapter, *, audit: bool) -> None:
        self.folder, self.address, self.routes = folder, address.rstrip("/"), routes
        self.taken: set[str] = set()
        self.files: set[str] = set()  # routes that hand out a file, or lead on to another page
        self.faults: list[str] = []
        self.audit = audit

    def route(self, path: str) -> str | None:
        """The endpoint of a path; none for what is not a page of ours."""
        try:
            endpoint: str = self.routes.match(path, method="GET")[0]
        except HTTPException:
            return None
        return None if endpoint in NOT_PAGES else endpoint

    def beside(self, page: Page, name: str) -> None:
        """A page that no link leads to, and what it alone leads to."""
        self.photograph(page, name)
        for link in page.eval_on_selector_all("main a[href]", "all => all.map(a => a.href)"):
            endpoint = self.route(urlsplit(link).path) if link.startswith(self.address + "/") else None
            if endpoint and endpoint not in self.taken | self.files and page.context.request.get(link).ok:
                self.files.add(endpoint)

    def walk(self, page: Page) -> None:
        """Follow links from the front page and from where signing in led; photograph what is new."""
        seen = {"/"}
        waiting = deque(["/"])
        looked_into = Counter[str]()
        while waiting:
            path = waiting.popleft()
            endpoint = self.route(urlsplit(path).path)
            if endpoint is None or looked_into[endpoint] >= LOOKS:
                continue
            looked_into[endpoint] += 1
            try:
                answer = page.goto(self.address + path, wait_until="load")
            except Error as error:
                if "Download is starting" not in str(error):
                    raise
                self.files.add(endpoint)
                continue
            if answer is None or answer.status >= 400:
                continue
            if "text/html" not in answer.headers.get("content-type", "") or self.route(urlsplit(page.url).path) != endpoint:
                self.files.add(endpoint)
            elif endpoint not in self.taken:
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
            if not self.audit:
                continue
            wider = page.evaluate(TOO_WIDE)
            if wider > 0:
                self.faults.append(f"{name} at {width} px is {wider} px too wide")
            self.faults += [f"{name} at {width} px: {found}" for found in axe_faults(page)]


def sign_in(context: BrowserContext, address: str, login: str) -> Page:
    """A page of somebody who has signed in; of a stranger for an empty login."""
    page = context.new_page()
    page.set_default_timeout(60_000)
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


def a_household(data: Path) -> str:
    """The token of a household that was paid, from the demonstration's own data; nonsense if there is none."""
    app = create_app(read_settings({}, data_dir=data))
    with app.app_context():
        paid = select(Household.statement_token).join(PayoutItem, PayoutItem.household_id == Household.id)
        found = db.session.scalar(paid.order_by(PayoutItem.id).limit(1)) or "nobody"
        db.session.remove()
        db.engine.dispose()
    return found


def press(page: Page, address: str, path: str, fields: dict[str, str], button: str, by: str = "") -> None:
    """Fill the form of a page, or of the one that a link on it (``by``, a selector) leads to, and press its button; a file's field takes what it shall hold."""
    page.goto(address + path)
    if by:
        page.locator(by).first.click()
        page.wait_for_load_state("load")
    page.locator("main details").evaluate_all("all => all.forEach(each => each.open = true)")
    for name, value in fields.items():
        field = page.locator(f"main [name={name}]").first
        if field.evaluate("each => each.tagName") == "SELECT":
            field.select_option(value)
        elif field.get_attribute("type") == "file":
            field.set_input_files({"name": "statement.csv", "mimeType": "text/csv", "buffer": value.encode()})
        else:
            field.fill(value, timeout=10_000)
    page.locator("main form").evaluate_all("all => all.forEach(each => each.noValidate = true)")  # what the server says is wanted
    with page.expect_navigation():
        page.locator("main").get_by_role("button", name=button).first.click()


def excused(every: Set[str], met: Set[str]) -> tuple[dict[str, str], list[str]]:
    """What was not met of all routes: those with a reason, and those without."""
    missed = sorted(every - met)
    return {each: NOT_MET[each] for each in missed if each in NOT_MET}, [each for each in missed if each not in NOT_MET]


def take(address: str, folder: Path, data: Path, *, home: bool, audit: bool) -> int:
    """Take all pictures; 1 if a route was missed that has no excuse, or an audit found fault."""
    app = create_app(read_settings({}, data_dir=data))
    album = Album(folder, address, app.url_map.bind("localhost"), audit=audit)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        for login in PEOPLE:
            context = browser.new_context(locale="zh-CN", timezone_id="Asia/Shanghai")
            page = sign_in(context, address, login)
            if home and not login:
                front_page(page, address)
            before = len(album.taken)
            for who, path, link, fields, button in DONE_BEFORE:
                if who == login:
                    press(page, address.rstrip("/"), path, fields, button, by=link)
            album.walk(page)
            if login == "customer":
                fill_cart(page, address)
            for who, path, name in BESIDE:
                if who == login:
                    page.goto(address.rstrip("/") + path.format(household=a_household(data)))
                    album.beside(page, name)
            for who, path, fields, button, name in ANSWERS:
                if who == login:
                    try:
                        press(page, address.rstrip("/"), path, fields, button)
                    except Error as error:  # the market is not a fresh one: somebody's work is in the way
                        album.faults.append(f"no picture of {name}: {error.message.splitlines()[0]}")
                    else:
                        album.photograph(page, name)
            print(f"  {login or 'a stranger':<20} {len(album.taken) - before:>3} pages", flush=True)
            context.close()
        browser.close()
    every = {rule.endpoint for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())} - NOT_PAGES
    print(f"{len(album.taken)} pages in {folder}")
    reasons, missed = excused(every, album.taken | album.files)
    for endpoint, reason in reasons.items():
        print(f"  not met: {endpoint}, {reason}")
    for fault in [*(f"no link led to {endpoint}" for endpoint in missed), *album.faults]:
        print(f"  {fault}")
    return 1 if missed or album.faults else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default="", help="a market that runs already, as http://127.0.0.1:8000/")
    parser.add_argument("--data", type=Path, default=TOP / "var", help="its DATA_DIR")
    parser.add_argument("--home", action="store_true", help="also take the README's picture anew")
    parser.add_argument("--audit", action="store_true", help="also look each page over with axe")
    given = parser.parse_args()
    folder = TOP / "var" / "screenshots"
    if given.address:
        return take(given.address.rstrip("/") + "/", folder, given.data, home=given.home, audit=given.audit)
    with demonstration(given.data, 8200) as (_, address, _said):
        return take(address, folder, given.data, home=given.home, audit=given.audit)


if __name__ == "__main__":
    sys.exit(main())
