"""Payouts to many households, step by step: time, the shop's own processor time, and the most memory that it ever held."""

from collections.abc import Iterator

from bench.part import Run, part, table
from bench.payout_work import FEN, RETURNED, Step, measured


@part("payouts", "Payouts to many households", order=45)
def measure(run: Run) -> Iterator[str]:
    """As many households as the largest of ``--sizes``."""
    households = max(run.sizes)
    yield (
        f"A distribution of ¥{FEN / 100:.2f} to each of {households:,} households, drafted, approved, published and credited; made into a batch, approved (the "
        f"bank's file is written and frozen), handed over, its results brought, read, looked at and taken (one in {RETURNED} returned), the returns issued again. Each step is one transaction "
        "(results: one a file of 300,000 lines), in one process; *processor* and *memory* are that process's, without the database server."
    )
    taken = {engine: measured(run, engine, households, paid=True) for engine in run.engines}
    names = [step.name for step in next(iter(taken.values()))]
    rows = [[name, *(_said(next(step for step in steps if step.name == name)) for steps in taken.values())] for name in names]
    yield table(("step", *(f"{engine}: wall · processor · most memory" for engine in taken)), rows)


def _said(step: Step) -> str:
    return f"{step.wall:.1f} s · {step.processor:.1f} s · {step.peak:.0f} MiB"
