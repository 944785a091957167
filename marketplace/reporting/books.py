"""The check of the books: every rule that must always be true, each a named function that lists what breaks it.

It only reads, in one pass of ordinary queries, and trusts no total that it can add up itself.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

from marketplace.foundation.database import db, in_transaction
from marketplace.reporting import (
    books_credit,
    books_duty,
    books_ledger,
    books_shares,
    books_statement,
    books_trade,
)
from marketplace.settlement import period_close

SHOWN = 5  # breaches named in a finding; their number is always given


@dataclass(frozen=True)
class Finding:
    """What came of one rule. ``detail`` names the first breaches; it is empty when the rule holds."""

    rule: str
    ok: bool
    detail: str


RULES: tuple[Callable[[], list[str]], ...] = (
    *books_ledger.RULES, *books_trade.RULES, *books_credit.RULES, *books_shares.RULES, *books_duty.RULES, *books_statement.RULES,
)  # fmt: skip


def check() -> list[Finding]:
    """Every rule with its outcome, in the order of the books: ledger first, then what it must agree with."""
    with _one_view():
        return [_finding(rule) for rule in RULES]


@period_close.verified_by
def broken() -> list[str]:
    """Names of the rules that do not hold, with the first breaches of each."""
    return [f"{each.rule} ({each.detail})" for each in check() if not each.ok]


@contextmanager
def _one_view() -> Iterator[None]:
    """All rules look at one state of the database, though trade goes on: an order half seen would be a false alarm."""
    if in_transaction():
        yield
        return
    db.session.rollback()
    if db.session.get_bind().dialect.name == "postgresql":
        db.session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    try:
        yield
    finally:
        db.session.rollback()


def _finding(rule: Callable[[], list[str]]) -> Finding:
    breaches = rule()
    detail = "; ".join(islice(breaches, SHOWN))
    if len(breaches) > SHOWN:
        detail += f"; and {len(breaches) - SHOWN} more"
    return Finding(rule.__name__, not breaches, detail)
