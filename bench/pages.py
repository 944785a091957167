"""List and product page beside the bare page of the same bytes, in turn on the same machine: how much of the stack's limit is left."""

from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import quote

from bench.goods import RARE
from bench.market import Market, market
from bench.page_load import Load, fetched, load
from bench.part import Run, figure, middle, part, table
from bench.server import Server, granian

PRODUCTS = 1_000
PAGES = {
    "list": (["/goods", "/goods?category=honey", "/goods?sort=price", "/goods?category=white_tea&sort=expensive"], 'class="goods"'),
    "product": ([f"/goods/bench-{number}" for number in range(0, 400, 16)], 'class="rows"'),
    "search": ([f"/search?q={quote(word)}" for word in RARE], 'class="goods"'),
}


@part("pages", "Pages beside the bare page", order=10)
def measure(run: Run) -> Iterator[str]:
    yield (
        f"A market of {PRODUCTS:,} products, 8 connections. The bare page is Flask and Jinja from memory, as long as ours: with more cards, or filled up "
        "with plain text (which costs it nothing). Ratio: ours a second ÷ the bare page's with more cards; in brackets ÷ the one filled up. Goals: 0.35 from the "
        "database (`PAGE_CACHE_MB=0`; each request reads all of its rows), 0.80 kept (a reader without a session; each request reads the shelf's version)."
    )
    rows = []
    with granian("bench.bare.page:app", run.folder / "bare", {}) as bare:
        for engine in run.engines:
            with (
                market(run, engine, PRODUCTS) as made,
                granian("wsgi:app", made.folder, made.environ | {"PAGE_CACHE_MB": "0"}, beside=made.beside) as read,
                granian("wsgi:app", made.folder / "kept", made.environ, beside=made.beside) as kept,
            ):
                rows += list(_rows(run, made, read, kept, bare))
    yield table(("page", "kB", "a second", "p50 / p99 ms", "CPU ms", "kept: a second", "CPU ms", "bare: a second", "CPU ms", "ratio", "CPU ratio", "kept: ratio", "CPU ratio"), rows)


def _rows(run: Run, made: Market, read: Server, kept: Server, bare: Server) -> Iterator[tuple[object, ...]]:
    for name, (paths, expect) in PAGES.items():
        run.say(f"{name} page, {made.engine}")
        size = sum(len(fetched(read.base, path)[1]) for path in paths) // len(paths)
        measured = run.in_turn({
            "read": partial(load, read.base, paths, expect, read.roots, seconds=run.seconds),
            "kept": partial(load, kept.base, paths, expect, kept.roots, seconds=run.seconds),
            "cards": partial(load, bare.base, [as_long_as(bare, size, cards=True)], "</html>", bare.roots, seconds=run.seconds),
            "fill": partial(load, bare.base, [as_long_as(bare, size, cards=False)], "</html>", bare.roots, seconds=run.seconds),
        })  # fmt: skip
        own, held, cards, fill = (Middle(measured[each]) for each in ("read", "kept", "cards", "fill"))
        yield (
            f"{name}, {made.engine}", f"{size / 1000:.0f}", figure(own.per_second), f"{own.p50_ms:.1f} / {own.p99_ms:.1f}", figure(own.cpu_ms),
            figure(held.per_second), figure(held.cpu_ms), figure(cards.per_second), figure(cards.cpu_ms),
            f"**{own.per_second / cards.per_second:.2f}** ({own.per_second / fill.per_second:.2f})", f"{cards.cpu_ms / own.cpu_ms:.2f}",
            f"**{held.per_second / cards.per_second:.2f}** ({held.per_second / fill.per_second:.2f})", f"{cards.cpu_ms / held.cpu_ms:.2f}",
        )  # fmt: skip


class Middle:
    """The medians of several loads."""

    def __init__(self, loads: list[Load]) -> None:
        pick: Callable[[str], float] = lambda name: middle(getattr(each, name) for each in loads)  # noqa: E731
        self.per_second, self.p50_ms, self.p99_ms, self.cpu_ms = (pick(name) for name in ("per_second", "p50_ms", "p99_ms", "cpu_ms"))


def as_long_as(bare: Server, size: int, *, cards: bool) -> str:
    """The address of a bare page of ``size`` bytes: by more cards, the rest by text; or by text alone."""

    def length(number: int) -> int:
        return len(fetched(bare.base, f"/cards?n={number}")[1])

    one = (length(48) - length(24)) / 24
    number = 24
    if cards:
        number = max(1, int((size - length(24)) // one) + 24)
        while number > 1 and length(number) > size:
            number -= 1
    return f"/cards?n={number}&fill={max(0, size - length(number))}"

