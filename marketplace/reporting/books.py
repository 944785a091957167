"""The check of the books: every rule that must always be true, each a named function that lists what breaks it.

It only reads, in one pass of ordinary queries, and trusts no total that it can add up itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from marketplace.reporting import books_ledger

SHOWN = 5  # breaches named in a finding; their number is always given


@dataclass(frozen=True)
class Finding:
    """What came of one rule. ``detail`` names the first breaches; it is empty when the rule holds."""

    rule: str
    ok: bool
    detail: str


RULES: tuple[Callable[[], list[str]], ...] = (*books_ledger.RULES,)


def check() -> list[Finding]:
    """Every rule with its outcome, in the order of the books: ledger first, then what it must agree with."""
    return [_finding(rule) for rule in RULES]


def _finding(rule: Callable[[], list[str]]) -> Finding:
    breaches = rule()
    detail = "; ".join(islice(breaches, SHOWN))
    if len(breaches) > SHOWN:
        detail += f"; and {len(breaches) - SHOWN} more"
    return Finding(rule.__name__, not breaches, detail)
