"""The ledger beside what its databases do at best, and beside other ledgers: each figure a ratio inside one run."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from bench.books import Books, books
from bench.hordak import Hordak
from bench.part import Run, beside, figure, middle, part, table
from bench.payout_work import measured

WORKERS = 8
GROUP = 500  # orders a commit, as settlement posts them
HOUSEHOLDS = 1_000_000
HISTORY = 10_000_000  # lines
ROUNDS = 9  # of what a few percent decide: three rounds of the same thing differ by a tenth


@part("ledger", "Books: orders, groups, distribution, balances", order=40)
def measure(run: Run) -> Iterator[str]:
    yield (
        "An order posts 11 lines. *Bare*: the same lines, one statement into a table with the same key and nothing else, a commit each. "
        "*COPY*: the same lines by COPY (SQLite: one prepared statement) into a table with key and account index. All durable (fsync)."
    )
    rows: list[tuple[object, ...]] = []
    for engine in run.engines:
        with books(run, engine, WORKERS) as made:
            for step in (_orders, _peers, _groups, _distribution, _balance):
                run.say(f"{step.__name__.strip('_')}, {engine}")
                rows += step(run, made)
        # A market of its own: the distribution with its people and papers, not its entry alone.
        rows += _memory(run, engine)
    yield table(("what", "ours", "beside", "ratio", "to reach"), rows)


def _peers(run: Run, made: Books) -> Iterator[tuple[object, ...]]:
    """Other ledgers post the same orders on the same server, all from one payer: an order a commit, and as many as ours a commit."""
    if made.engine != "postgresql":
        return
    made.do("peer_make", 1)
    hordak = Hordak.made(run.folder, made.address)
    for many, together in ((WORKERS, 1), (1, 1), (2, GROUP)):
        ours = partial(made.per_second, "orders", many, seconds=run.seconds, one_book=True, together=together)
        rows = partial(made.per_second, "peer_orders", many, seconds=run.seconds, together=together)
        measured = run.in_turn({
            "ours": ours,
            "django-hordak, bulk": partial(hordak.per_second, many, run.seconds, together),
            "balances in locked rows as pgledger keeps them": partial(rows, peer="as_pgledger"),
            "balances in locked rows, nothing else": partial(rows, peer="locked_rows"),
        })  # fmt: skip
        ours_a_second = measured.pop("ours")
        what = f"{together} orders a commit, {many} writers, one cooperative" if together > 1 else f"an order a commit, {many} writers, one cooperative"
        for peer, values in measured.items():
            yield _row(f"{what} ÷ {peer}", ours_a_second, values, "5" if "hordak" in peer else "8")


def _orders(run: Run, made: Books) -> Iterator[tuple[object, ...]]:
    many = WORKERS if made.engine == "postgresql" else 1
    contestants: dict[str, Callable[[], float]] = {
        "ours": partial(made.per_second, "orders", many, seconds=run.seconds),
        "bare": partial(made.per_second, "bare_orders", many, seconds=run.seconds),
    }
    if made.engine == "postgresql":
        contestants["one book"] = partial(made.per_second, "orders", many, seconds=run.seconds, one_book=True)
        contestants["unguarded"] = partial(_unguarded, made, run.seconds)
    measured = run.in_turn(contestants, rounds=ROUNDS)
    reach = "0.50" if many > 1 else "0.70"
    yield _row(f"order a commit, {many} writers ÷ bare, {made.engine}", measured["ours"], measured["bare"], reach)
    if many > 1:
        yield _row("… all on one busy cooperative ÷ on eight", measured["one book"], measured["ours"], "0.95")
        yield _row("… with the database's refusals ÷ without", measured["ours"], measured["unguarded"], "0.95")


def _unguarded(made: Books, seconds: float) -> float:
    made.do("guards", 1, on=False)
    try:
        return made.per_second("orders", WORKERS, seconds=seconds)
    finally:
        made.do("guards", 1, on=True)


def _groups(run: Run, made: Books) -> Iterator[tuple[object, ...]]:
    many, groups = (2, 30) if made.engine == "postgresql" else (1, 30)

    def at_close() -> float:
        """Lines a second when the roll-up of exactly these lines is counted in: what others posted before is rolled up beforehand."""
        made.do("roll_up", 1)
        answers, seconds = made.do("groups", many, groups=groups)
        rolled = made.do("roll_up", 1)[1]
        return float(sum(answers)) / (seconds + rolled)

    contestants: dict[str, Callable[[], float]] = {
        "ours": partial(made.per_second, "groups", many, groups=groups),
        "closed": at_close,
        "copy": partial(made.per_second, "copy", many, groups=groups),
    }
    measured = run.in_turn(contestants, rounds=ROUNDS)
    yield _row(f"lines in groups of 500 orders, {many} connections ÷ COPY, {made.engine}", measured["ours"], measured["copy"], "0.80" if many > 1 else "–")
    if made.engine == "postgresql":
        lines = 1 + made.do("count", 1)[0][0]
        index = middle([made.do("index", 1)[0][0] / 1e6 for _ in range(run.runs)])
        closed = [1 / (1 / each + index / lines) for each in measured["closed"]]
        yield _row("… with roll-up, and the index built at close ÷ COPY", closed, measured["copy"], "0.60")


def _distribution(run: Run, made: Books) -> Iterator[tuple[object, ...]]:
    made.do("shares", 1, households=HOUSEHOLDS)
    first = made.do("distribute", 1)[0][0]
    contestants: dict[str, Callable[[], float]] = {
        "ours": lambda: made.do("distribute", 1)[0][0],
        "bare": lambda: made.do("bare_distribute", 1)[0][0],
    }
    measured = run.in_turn(contestants, rounds=ROUNDS)
    ours, bare, ratio = middle(measured["ours"]), middle(measured["bare"]), beside(measured["ours"], measured["bare"])
    yield (
        f"seconds to {HOUSEHOLDS:,} households ÷ bare INSERT … SELECT, {made.engine} (first time, accounts opened: {first:.1f} s)",
        f"{ours:.2f} s", f"{bare:.2f} s", f"**{ratio:.2f}**", "≤ 1.25",
    )  # fmt: skip


def _memory(run: Run, engine: str) -> Iterator[tuple[object, ...]]:
    """The most memory that the shop's process ever held from draft to post, and how much of it it held before."""
    steps = measured(run, engine, HOUSEHOLDS, paid=False)
    highest = max(steps, key=lambda step: step.peak)
    yield (
        f"most memory of a distribution to {HOUSEHOLDS:,} households, draft to post, {engine} (in: {highest.name}; {sum(step.wall for step in steps):.0f} s in all)",
        f"**{highest.peak:.0f} MiB**", f"{steps[0].before:.0f} MiB before", "", "≤ 400 MB",
    )  # fmt: skip


def _balance(run: Run, made: Books) -> Iterator[tuple[object, ...]]:
    account_id = made.do("history", 1, lines=HISTORY)[0][0]
    measured = run.in_turn({
        "ours": lambda: made.do("balance", 1, account_id=account_id, times=200)[0][0],
        "sum": lambda: made.do("sum", 1, account_id=account_id)[0][0],
    })  # fmt: skip
    if {fen for _, fen in measured["ours"]} != {fen for _, fen in measured["sum"]}:
        raise RuntimeError(f"the balance is not the sum: {measured}")
    ours, summed = (middle(seconds for seconds, _ in measured[name]) for name in ("ours", "sum"))
    yield (
        f"a balance over {HISTORY:,} lines ÷ SUM, {made.engine}", f"{ours * 1000:.2f} ms", f"{summed * 1000:.0f} ms", f"**{summed / ours:.0f}** ×", "90 ×",
    )  # fmt: skip


def _row(what: str, ours: Sequence[float], theirs: Sequence[float], reach: str) -> tuple[object, ...]:
    return what, f"{figure(middle(ours))}/s", f"{figure(middle(theirs))}/s", f"**{beside(ours, theirs):.2f}**", reach
