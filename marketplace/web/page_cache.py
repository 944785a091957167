"""Pages of the shelf, kept for readers who are nobody in particular: no session, nothing in a cart, nobody signed in.

Kept by address and language, under the shelf's version: every request asks the database for that one number, so a page is made anew
by the first reader after a change was committed, in every process. Bounded in bytes; the least asked for goes first.
"""

import threading
from collections import OrderedDict

from flask import Flask, Response, request, session
from flask.wrappers import Response as PageResponse

from marketplace import search
from marketplace.foundation import clock
from marketplace.foundation.config import settings
from marketplace.foundation.language import language
from marketplace.search import shelf_version

# Endpoint → what of its address decides the page. Anything else in an address, and the page is not kept.
KEPT: dict[str, frozenset[str]] = {
    "shop.home": frozenset(),
    "shop.goods": frozenset({"category", "township", "sort", "after"}),
    "shop.find": frozenset({"q", "category", "township", "sort", "after"}),
    "shop.product": frozenset(),
    "shop.origins": frozenset(),
    "shop.cooperatives": frozenset(),
    "shop.cooperative": frozenset(),
}
Key = tuple[str, str, tuple[tuple[str, str], ...]]
Version = tuple[int, str, str]


class PageCache:
    """Bodies by key, each with the version it was made under."""

    def __init__(self, largest: int) -> None:
        self._pages: OrderedDict[Key, tuple[Version, bytes]] = OrderedDict()
        self._largest = largest
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: Key, version: Version) -> bytes | None:
        """The page, if it was made under this very version."""
        with self._lock:
            found = self._pages.get(key)
            if found is None or found[0] != version:
                return None
            self._pages.move_to_end(key)
            return found[1]

    def put(self, key: Key, version: Version, body: bytes) -> None:
        """Keep a page; others go if there are too many bytes."""
        with self._lock:
            before = self._pages.pop(key, None)
            self._bytes += len(body) - (len(before[1]) if before else 0)
            self._pages[key] = (version, body)
            while self._bytes > self._largest and self._pages:
                _key, (_version, oldest) = self._pages.popitem(last=False)
                self._bytes -= len(oldest)


def register(app: Flask) -> None:
    """Answer from kept pages, and keep what may be kept."""
    with app.app_context():
        largest = settings().page_cache_mb * 2**20
    if not largest:
        return
    cache = PageCache(largest)

    @app.before_request
    def answer() -> Response | None:
        key = _key()
        if key is None:
            return None
        version = _version()
        body = cache.get(key, version)
        if body is None:
            request.environ["market.kept"] = key, version
            return None
        return PageResponse(body, mimetype="text/html")

    @app.after_request
    def keep(response: Response) -> Response:
        kept: tuple[Key, Version] | None = request.environ.pop("market.kept", None)
        if kept and response.status_code == 200 and response.mimetype == "text/html" and not session.modified:
            cache.put(*kept, response.get_data())
        return response


def _key() -> Key | None:
    """Where this page is kept; None if it may not be."""
    known = KEPT.get(request.endpoint or "")
    if known is None or request.method != "GET" or not _is_anybody():
        return None
    asked = tuple(sorted(request.args.items(multi=True)))
    if not known.issuperset(name for name, _value in asked) or ("sort", "popular") in asked:
        return None  # the order by sales changes with every sale, which is no change of the shelf
    return language(), request.path, asked


def _is_anybody() -> bool:
    # A reader's language alone makes nobody of them.
    return not request.cookies or not session.keys() - {"language"}


def _version() -> Version:
    """The shelf's number, the day (schemes come into force on one) and what the search's index holds."""
    return shelf_version.number(), clock.business_date().isoformat(), search.generation() if request.endpoint == "shop.find" else ""
