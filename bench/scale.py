"""The same pages with ever more products, and what a question costs at 100,000: queries with the same number of hits."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from urllib.parse import quote

from bench.goods import MANNERS, RARE
from bench.market import Market, market
from bench.page_load import load, share
from bench.pages import Middle
from bench.part import Run, figure, part, table
from bench.server import granian

PAGES = {
    "list": (["/goods", "/goods?sort=price", "/goods?category=honey&sort=expensive", "/goods?township=360925202"], 'class="goods"'),
    "product": ([f"/goods/bench-{number}" for number in range(0, 800, 16)], 'class="rows"'),
    "search": ([f"/search?q={quote(word)}" for word in RARE], 'class="goods"'),
}


@part("scale", "Many products", order=30)
def measure(run: Run) -> Iterator[str]:
    yield (
        "Pages a second with so many products on sale ÷ the same with the fewest, measured in turn, nothing kept (`PAGE_CACHE_MB=0`). The words searched for "
        "have 40 hits whatever the size. Goals: 0.85 at 20,000, 0.75 at 100,000."
    )
    rows: list[tuple[object, ...]] = []
    asked: list[tuple[object, ...]] = []
    for engine in run.engines:
        with ExitStack() as stack:
            made = {size: stack.enter_context(market(run, engine, size)) for size in run.sizes}
            servers = {
                size: stack.enter_context(granian("wsgi:app", each.folder, each.environ | {"PAGE_CACHE_MB": "0"}, beside=each.beside))
                for size, each in made.items()
            }
            for name, (paths, expect) in PAGES.items():
                run.say(f"{name} page, {engine}, {', '.join(f'{size:,}' for size in run.sizes)} products")
                measured = run.in_turn({
                    str(size): partial(load, server.base, paths, expect, server.roots, seconds=run.seconds) for size, server in servers.items()
                })  # fmt: skip
                middles = {size: Middle(measured[str(size)]) for size in run.sizes}
                least = middles[run.sizes[0]].per_second
                rows.append((
                    f"{name}, {engine}",
                    *(f"{figure(each.per_second)} ({each.cpu_ms:.1f} ms), **{each.per_second / least:.2f}**" for each in middles.values()),
                ))  # fmt: skip
            asked += [(f"{row[0]}, {engine}", *row[1:]) for row in _questions(made[run.sizes[-1]])]
    yield table(("page", *(f"{size:,} products: a second (CPU ms), ratio" for size in run.sizes)), rows)
    yield (
        f"A question at {run.sizes[-1]:,} products, in one process, without its page: words → ids, then one category of them sorted by price with the counts "
        "of all categories and townships. Goals: p99 60 ms embedded, 15 ms PostgreSQL."
    )
    yield table(("question", "p50 ms", "p99 ms", "most hits"), asked)


def _questions(made: Market) -> list[tuple[object, ...]]:
    from marketplace import create_app, search
    from marketplace.foundation.config import read_settings
    from marketplace.foundation.database import db
    from marketplace.search import shelf

    kinds = {
        "a rare word": list(RARE),
        "a common word": list(MANNERS),
        "two words": [f"{manner} {word}" for manner in MANNERS[:8] for word in ("白茶", "皇菊", "山茶油")],
        "pinyin, a slip": ["baicha", "huangjv", "shanchayou", "baicah", "tufengmi"],
    }
    app = create_app(read_settings(made.environ))
    rows = []
    with app.app_context():
        for kind, words in kinds.items():
            for word in words:
                shelf.listing(ids=search.query(word))
            times, hits = [], 0
            while len(times) < 200:
                for word in words:
                    began = time.perf_counter()
                    ids = search.query(word)
                    shelf.listing(ids=ids, category="white_tea", sort="price")
                    times.append(time.perf_counter() - began)
                    hits = max(hits, len(ids))
                    db.session.remove()
            rows.append((kind, f"{share(times, 0.5) * 1000:.1f}", f"{share(times, 0.99) * 1000:.1f}", f"{hits:,}{'+' if hits == 1_000 else ''}"))
        db.engine.dispose()
    return rows
