"""A run of settlements: due orders in groups, a commit a group. One bad order never holds up the others, and none is settled twice."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from marketplace.settlement import settlement
from marketplace.settlement.settlement import NotDue

log = logging.getLogger("market.settlement")
GROUP = 200  # orders a commit


@dataclass
class Outcome:
    """What a run did: orders settled and their goods in fen, who was not due after all, and who could not be settled."""

    settled: int = 0
    base_fen: int = 0
    refused: list[NotDue] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)


def settle(
    order_ids: Sequence[int], commit: Callable[[Callable[[], None]], None], *, group: int = GROUP
) -> Outcome:
    """Settle these orders. ``commit`` is the entrance's ``transaction``, called once a group; once an order in a group that failed."""
    outcome = Outcome()
    for start in range(0, len(order_ids), group):
        some = order_ids[start : start + group]
        try:
            _try(some, commit, outcome)
        except Exception:
            log.exception("a group of %s orders could not be settled; one by one then", len(some))
            _one_by_one(some, commit, outcome)
    return outcome


def _one_by_one(
    order_ids: Sequence[int], commit: Callable[[Callable[[], None]], None], outcome: Outcome
) -> None:
    for order_id in order_ids:
        try:
            _try([order_id], commit, outcome)
        except Exception:
            log.exception("order %s could not be settled", order_id)
            outcome.failed.append(order_id)


def _try(order_ids: Sequence[int], commit: Callable[[Callable[[], None]], None], outcome: Outcome) -> None:
    done = Outcome()

    def work() -> None:
        rows, refused = settlement.settle_many(order_ids)
        # Counted anew each time: a lost race runs this again.
        done.settled, done.base_fen = len(rows), sum(row.base_fen for row in rows)
        done.refused = list(refused.values())

    commit(work)
    outcome.settled += done.settled
    outcome.base_fen += done.base_fen
    outcome.refused += done.refused
