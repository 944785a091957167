"""A part of the measuring: a function that measures one thing and yields paragraphs and tables of Markdown for its section.

    @part("ledger", "Books: postings, balances, a month's close")
    def measure(run: Run) -> Iterator[str]:
        yield table(("what", "SQLite", "PostgreSQL"), [("entries a second", "812", "1,204")])

Nothing else is needed: every module of this package is looked through. What a module imports must be cheap; heavy things are
imported inside the function.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TypeVar

R = TypeVar("R")
TOP = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Run:
    """What a part is given. Whatever it writes lies under ``folder``; it ends every process that it starts."""

    folder: Path = TOP / "var" / "bench"
    runs: int = 3  # how often each thing is measured; the median counts
    seconds: float = 5.0  # how long one measuring of a page or a flow lasts
    engines: tuple[str, ...] = ("sqlite", "postgresql")
    sizes: tuple[int, ...] = (1_000, 20_000, 100_000)  # products on sale
    say: Callable[[str], None] = field(default=lambda text: print(f"  {text}", flush=True))

    def in_turn(self, contestants: dict[str, Callable[[], R]], *, rounds: int | None = None) -> dict[str, list[R]]:
        """Measure all of them A B B A A B …, ``runs`` times: a machine that slows down slows all of them, and none is always the first."""
        results: dict[str, list[R]] = {name: [] for name in contestants}
        for number in range(rounds or self.runs):
            for name in list(contestants) if number % 2 == 0 else reversed(list(contestants)):
                results[name].append(contestants[name]())
        return results


Measure = Callable[[Run], Iterable[str]]


@dataclass(frozen=True)
class Part:
    name: str
    title: str
    order: int
    measure: Measure


parts: dict[str, Part] = {}


def part(name: str, title: str, *, order: int = 50) -> Callable[[Measure], Measure]:
    """Register a part under ``name``; sections stand in the page by ``order``."""

    def declare(measure: Measure) -> Measure:
        if name in parts and parts[name].measure.__module__ != measure.__module__:
            raise ValueError(f"two parts are called {name}")
        parts[name] = Part(name, title, order, measure)
        return measure

    return declare


def known() -> list[Part]:
    """All parts of this package, in the order of the page."""
    import bench

    for module in pkgutil.iter_modules(bench.__path__):
        if not module.ispkg and module.name != "__main__":
            importlib.import_module(f"bench.{module.name}")
    return sorted(parts.values(), key=lambda each: (each.order, each.name))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of Markdown; the first column is words, the others figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def middle(values: Iterable[float]) -> float:
    """The median, which one bad moment of a busy machine does not move."""
    return median(list(values))


def beside(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Ours ÷ theirs: the median of the rounds' own ratios, since what a round measured one after the other had the same machine."""
    return middle(one / other for one, other in zip(ours, theirs, strict=True))


def figure(value: float) -> str:
    """A measured number with three significant digits, thousands separated."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"

