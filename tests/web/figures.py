"""Every figure opens on its rows: a walk over the pages of every role that finds large figures which lead nowhere, or to nothing."""

import re
from collections import Counter, deque
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin, urlsplit

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import aliased
from werkzeug.exceptions import HTTPException

from marketplace.foundation.database import db
from marketplace.orders.order import Order
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import Role
from marketplace.web.permission import PERMISSIONS

# What the macros `figures` and `ring` draw.
FIGURES = {"figures", "ring"}
VOID = {"br", "img", "input", "meta", "link", "source", "hr", "wbr"}
GUIDE = "design.language"  # shows every macro with invented values


class Page(HTMLParser):
    """A page's figures as (label, value, address), its links, and how many rows (of a table, of a list, of names and values, cards) stand on it and under each id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.figures: list[tuple[str, str, str]] = []
        self.links: list[str] = []
        self.rows: Counter[str] = Counter()  # id → rows from there to the next section; "" → all
        self._open: list[str] = []  # the tags that are open, and "figures" for a drawing of figures
        self._under: set[str] = set()
        self._words = {"dt": "", "dd": ""}
        self._href = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        css = set(known.get("class", "").split())
        if tag in VOID:
            return
        if tag in ("h2", "main"):
            self._under = set()
        if known.get("id"):
            self._under.add(known["id"])
        if tag == "a" and known.get("href"):
            if "main" in self._open or "nav" in self._open:
                self.links.append(known["href"])
            if "dd" in self._open and not self._href:
                self._href = known["href"]
        if tag == "dt":
            self._words = {"dt": "", "dd": ""}
            self._href = ""
        inside = "figures" in self._open
        row = (tag == "tr" and "tbody" in self._open) or tag in ("article", "dt") or (tag == "li" and "nav" not in self._open)
        if "main" in self._open and not inside and row:
            for each in ("", *self._under):
                self.rows[each] += 1
        self._open.append("figures" if tag in ("dl", "div") and css & FIGURES else tag)

    def handle_data(self, data: str) -> None:
        for name in ("dt", "dd"):
            if name in self._open:
                self._words[name] += data

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass  # parts of drawings

    def handle_endtag(self, tag: str) -> None:
        if tag == "dd" and "figures" in self._open:
            self.figures.append((" ".join(self._words["dt"].split()), self._words["dd"].strip(), self._href))
        while tag not in VOID and self._open:
            last = self._open.pop()
            if last == tag or (last == "figures" and tag in ("dl", "div")):
                break


def bare(page: Page) -> list[str]:
    """Figures that are not zero and lead nowhere."""
    return [f"{label} {value}" for label, value, href in page.figures if re.search("[1-9]", value) and not href]


class Walk:
    """``faults`` is what was found wrong, ``figures`` how many figures were followed to their rows, ``pages`` the routes that show some."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.faults: list[str] = []
        self.figures = 0
        self.pages: set[str] = set()
        self._routes = app.url_map.bind("localhost")
        self._looked: set[tuple[str, str]] = set()  # (kind of organisation, route with an id) that somebody looked into
        self._plain: set[tuple[str, str]] = set()  # the same for routes that show no figures: another role need not look again

    def everybody(self) -> "Walk":
        """One person of each role, where there is most to see; and a stranger."""
        self.one("", self.app.test_client(), ["/"])
        for kind, role in sorted(set().union(*PERMISSIONS.values())):
            found = _somebody(kind, role)
            if found is None:
                continue
            client = self.app.test_client()
            with client.session_transaction() as session:
                session["person_id"], session["organisation_id"] = found
            self.one(f"{kind} {role}", client, [*self._without_ids(kind, role)])
        return self

    def one(self, who: str, client: FlaskClient, starts: list[str]) -> None:
        kind = who.partition(" ")[0]
        seen, waiting = set(starts), deque(starts)
        while waiting:
            path = waiting.popleft()
            shown = (kind, self._route(path) or path)
            page = None if shown in self._plain else self._page(client, path)
            if page is None or not page.figures:
                self._plain.add(shown)
            if page is None:
                continue
            if page.figures:
                self.pages.add(shown[1])
            self.faults += [f"{who} {path}: {each} leads nowhere" for each in bare(page)]
            for label, value, href in page.figures:
                if href and re.search("[1-9]", value):
                    self._follow(client, f"{who} {path}: {label} {value}", path, page, href)
            for href in page.links:
                address = urldefrag(urljoin(path, href)).url
                route = self._route(address)
                if route is None or address in seen or urlsplit(address).netloc:
                    continue
                # Pages without an id are starts already; of pages with one, a kind of organisation looks into one.
                if (kind, route) not in self._looked and (not kind or self._has_id(address)):
                    self._looked.add((kind, route))
                    seen.add(address)
                    waiting.append(address)

    def _follow(self, client: FlaskClient, what: str, path: str, page: Page, href: str) -> None:
        self.figures += 1
        address, place = urldefrag(urljoin(path, href))
        behind = page if address == path else self._page(client, address)
        if behind is None:
            self.faults.append(f"{what} leads to {href}, which is no page")
        elif not behind.rows[place]:
            self.faults.append(f"{what} leads to {href}, where there are no rows")

    def _page(self, client: FlaskClient, path: str) -> Page | None:
        answer = client.get(path)
        if answer.status_code in (301, 302, 303):
            return None
        if answer.status_code != 200:
            self.faults.append(f"{path} answers {answer.status_code}")
            return None
        return Page(answer.text) if answer.mimetype == "text/html" else None

    def _route(self, path: str) -> str | None:
        try:
            route = str(self._routes.match(urlsplit(path).path, method="GET")[0])
        except HTTPException:
            return None
        return None if route == GUIDE else route

    def _has_id(self, path: str) -> bool:
        return bool(self._routes.match(urlsplit(path).path, method="GET")[1])

    def _without_ids(self, kind: str, role: str) -> list[str]:
        """The addresses without an id that this role may open."""
        found = []
        for rule in self.app.url_map.iter_rules():
            if "GET" in (rule.methods or ()) and "<" not in rule.rule and rule.endpoint not in ("static", GUIDE):
                name = self.app.view_functions[rule.endpoint].permission  # type: ignore[attr-defined]
                if name != "public" and (kind, role) in PERMISSIONS[name]:
                    found.append(rule.rule)
        return found


def _somebody(kind: str, role: str) -> tuple[int, int] | None:
    """(person, organisation) in this role, of the organisation where there is most to see."""
    orders = select(func.count()).where((Order.organisation_id == Organisation.id) | (Order.buyer_id == Organisation.id)).scalar_subquery()
    child = aliased(Organisation)
    below = select(func.count()).where(child.parent_id == Organisation.id).scalar_subquery()
    query = (
        select(func.min(Role.person_id), Organisation.id)
        .join(Organisation, Organisation.id == Role.organisation_id)
        .where(Organisation.kind == kind, Role.name == role, Organisation.suspended_at.is_(None))
        .group_by(Organisation.id)
        .order_by(orders.desc(), below.desc(), Organisation.id)
        .limit(1)
    )
    found = db.session.execute(query).one_or_none()
    return (found[0], found[1]) if found else None
