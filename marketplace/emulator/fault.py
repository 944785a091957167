"""A fault that a test or a demonstration orders: what, for which method and order, and the how-manieth time.

A fault happens once: at its nth match; with nth 0 it happens at every one, and with a percentage at that share of them, by chance.
"""

import random
from dataclasses import dataclass

from marketplace.emulator.refusal import invalid
from marketplace.emulator.state import State

ANSWERS = (
    "delay_before", "delay_after", "drop_before", "drop_after", "http_502_before", "http_502", "http_302", "truncate", "drip",
    "bad_signature", "sha1_signature", "md5_signature", "no_signature", "other_order", "empty",
    "code_10003", "code_20000_before", "code_20000", "other_refund_before",
)  # fmt: skip
TRANSFERS = ("transfer_fail", "transfer_dealing", "transfer_short")  # what becomes of one that was asked for
QUERIES = ("echoed_numbers",)  # a refund that never was is answered with the numbers that were asked
NOTICES = ("no_notice", "duplicate_notice", "late_notice", "reordered_notice")
ANY = "any"  # one of all that can happen to an answer, or to a notice
KINDS = frozenset((*ANSWERS, *TRANSFERS, *QUERIES, *NOTICES, ANY))
_OWN = {**dict.fromkeys(NOTICES, "notice"), **dict.fromkeys(TRANSFERS, "transfer"), **dict.fromkeys(QUERIES, "refund_query")}  # what strikes something else than an answer


@dataclass(frozen=True)
class Fault:
    """``seconds`` is the length of a delay, or the pause between two bytes of a drip."""

    kind: str
    seconds: float


def order(
    state: State, *, kind: str, method: str = "", out_trade_no: str = "", nth: int = 1, seconds: float = 0.0, percent: int = 0
) -> None:
    """Order a fault. ``method`` is the gateway's (``notice``, ``transfer`` and ``refund_query`` for what strikes those); empty method or order: any.

    Kinds ending in ``_before`` strike before the gateway has acted, all others after it has committed.
    """
    if kind not in KINDS:
        raise invalid(f"kind: {', '.join(sorted(KINDS))}")
    if nth < 0 or not 0 <= percent <= 100 or not 0 <= seconds <= 600:
        raise invalid("nth, percent, seconds")
    method = _OWN.get(kind, method)
    with state.transaction() as write:
        write.execute(
            "INSERT INTO fault (method, out_trade_no, nth, kind, seconds, percent) VALUES (?, ?, ?, ?, ?, ?)",
            (method, out_trade_no, nth, kind, seconds, percent),
        )


def take(state: State, method: str, out_trade_no: str) -> list[Fault]:
    """The faults that strike this request, or this notice, transfer or refund's query (see ``order``); each match is counted."""
    ordered = "SELECT * FROM fault WHERE (method = ? OR (method = '' AND ? NOT IN ('notice', 'transfer', 'refund_query'))) AND out_trade_no IN ('', ?) ORDER BY id"
    if state.row(ordered, method, method, out_trade_no) is None:
        return []
    striking = []
    with state.transaction() as write:
        for each in state.rows(ordered, method, method, out_trade_no):
            # Chance is drawn from the fault and its count, so that the same run goes wrong the same way again.
            drawn = random.Random(f"{each['id']}/{each['seen']}")  # noqa: S311 (no secret hangs on it)
            if drawn.random() * 100 < each["percent"] if each["percent"] else each["nth"] in (0, each["seen"] + 1):
                kind = each["kind"]
                if kind == ANY:
                    kind = drawn.choice(NOTICES if method == "notice" else ANSWERS)
                striking.append(Fault(kind, each["seconds"]))
            write.execute("UPDATE fault SET seen = seen + 1 WHERE id = ?", (each["id"],))
    return striking


def clear(state: State) -> None:
    """Forget every fault."""
    with state.transaction() as write:
        write.execute("DELETE FROM fault")
