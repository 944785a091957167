"""The usual outcome, a payment that came whole and in time or is told again: read, decided and written with few statements, however many at once.

It decides by the same rules as ``payment.apply`` and leaves everything else to it. What is written was decided on rows that are still
so: on SQLite nobody else writes meanwhile; PostgreSQL's statement looks again, and passes over rows that somebody else holds.
"""

import json
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import lru_cache, partial
from typing import NamedTuple

from sqlalchemy import Connection

from marketplace.foundation import audit, clock, driver
from marketplace.foundation.database import db
from marketplace.foundation.driver import Row, Write
from marketplace.ledger import pair
from marketplace.ledger.pair import Pair, Place
from marketplace.payments.notice_inbox import NOTICE_COLUMNS, notice_row
from marketplace.payments.outcome import Attempt, Outcome, OutcomeMismatch, must_fit
from marketplace.payments.payable import Counting, handlers
from marketplace.payments.payment import OPEN, PAID, Payment

CHANNEL = "alipay"  # what comes over another channel goes the longer way,
KIND = "order"  # and so does what is paid for anything else
MOST = 16  # at once: PostgreSQL plans for so many
ENTRY, ACT = "alipay_paid", "payment.succeeded"


class Told(NamedTuple):
    """What was told of a payment, and under which name the inbox keeps it; "" if it does not."""

    outcome: Outcome
    notify_id: str = ""
    status: str = ""


class _Decided(NamedTuple):
    told: Told
    payment: Attempt
    pair: Pair | None = None  # None: told again
    was: Row = ()  # of the order, what it was decided on
    becomes: Row = ()

    @property
    def said(self) -> str:
        return "applied" if self.pair else "repeated"


def is_usual(outcome: Outcome) -> bool:
    """Whether this may be the usual outcome, as far as can be seen without its payment."""
    return outcome.state == "succeeded" and not outcome.refunded_fen


def apply(outcome: Outcome, kept: Callable[[str], Write] | None = None) -> str:
    """``applied`` or ``repeated``, in the open transaction; "" if it is not the usual case, and then nothing is written. OutcomeMismatch
    as ``payment.apply``."""
    if not is_usual(outcome):
        return ""
    db.session.flush()
    now, connection = clock.now(), driver.opened()
    found = _read([outcome.out_trade_no], connection)
    decided = _decided(Told(outcome), found[outcome.out_trade_no], now, pair.place) if found else None
    if decided is None or not _written([decided], now, connection):
        return ""
    driver.forget(Payment, decided.payment.id)
    driver.forget(handlers[KIND].counting.model, decided.payment.payable_id)
    if kept:
        driver.together(kept(decided.said))
    return decided.said


def apply_all(told: Sequence[Told], on: Connection) -> list[str]:
    """The same for at most ``MOST`` of different payments, past the session, with the inbox's rows; "" also for what does not fit, so that
    ``payment.apply`` says what is wrong with it."""
    now = clock.now()
    found = _read([each.outcome.out_trade_no for each in told], on)
    decided: dict[str, _Decided] = {}
    orders = set()
    for each in told:
        number = each.outcome.out_trade_no
        one = _fitting(each, found[number], now, on) if number in found else None
        # Of two attempts to pay one order, what the second finds depends on the first.
        if one and (one.payment.payable_kind, one.payment.payable_id) not in orders:
            orders.add((one.payment.payable_kind, one.payment.payable_id))
            decided[number] = one
    written = _written(decided.values(), now, on) if decided else set()
    return [one.said if (one := decided.get(each.outcome.out_trade_no)) and one.payment.id in written else "" for each in told]


def _fitting(told: Told, row: Row, now: datetime, on: Connection) -> _Decided | None:
    try:
        return _decided(told, row, now, partial(pair.known_place, on=on))
    except OutcomeMismatch:
        return None


def _decided(told: Told, row: Row, now: datetime, place_of: Callable[[int, str, str, datetime], Place | None]) -> _Decided | None:
    payment, was = Attempt(*row[: len(Attempt._fields)]), row[len(Attempt._fields) :]
    must_fit(payment, told.outcome)
    if payment.channel != CHANNEL:
        return None
    if payment.state in PAID:
        return _Decided(told, payment)
    if payment.state not in OPEN or payment.payable_kind != KIND:
        return None
    becomes = handlers[KIND].counting.counted(was, payment.amount_fen, now)
    place = place_of(payment.organisation_id, "alipay", "buyer_funds", now) if becomes else None
    if becomes is None or place is None:
        return None
    moved = Pair(payment.id, payment.organisation_id, place.debit, place.credit, payment.amount_fen, told.outcome.at or now, place.period, now)
    return _Decided(told, payment, moved, was, becomes)


def _read(numbers: Sequence[str], on: Connection) -> dict[str, Row]:
    """Payments by their numbers, each with what decides whether its order can be paid."""
    return {row[0]: row[1:] for row in driver.rows(_reading(driver.on_postgresql(on)), json.dumps(numbers), on=on)}


@lru_cache
def _reading(postgresql: bool) -> str:
    counting = handlers[KIND].counting
    columns = ", ".join([*(f"p.{name}" for name in Attempt._fields), *(f"o.{name}" for name in counting.decide)])
    # JSON again: a plan that does not depend on the numbers is made once.
    numbers = f"(SELECT value FROM json_array_elements_text(?::json) LIMIT {MOST})" if postgresql else "json_each(?)"  # noqa: S608
    return (  # put together from names in code
        f"SELECT p.out_trade_no, {columns} FROM {numbers} n JOIN payment p ON p.out_trade_no = n.value "  # noqa: S608
        f"LEFT JOIN {counting.table} o ON o.id = p.payable_id AND p.payable_kind = '{KIND}'"
    )


def _written(decided: Collection[_Decided], now: datetime, on: Connection) -> set[int]:
    """Write what was decided; the payments of which it was written."""
    if driver.on_postgresql(on):
        return _written_in_one(list(decided), now, on)
    new = [(each, each.pair) for each in decided if each.pair]
    if new:
        counting = handlers[KIND].counting
        driver.each(_PAID, [(each.told.outcome.trade_no, now, each.payment.id) for each, _ in new], on=on)
        driver.each(_counted(counting.table, tuple(counting.change)), [(*each.becomes, each.payment.payable_id) for each, _ in new], on=on)
        pair.write(ENTRY, Payment.__tablename__, [moved for _, moved in new], on=on)
        acts = [audit.write(ACT, Payment.__tablename__, moved.source_id, organisation_id=moved.book, fen=moved.fen) for _, moved in new]
        driver.alike(acts, on=on)
    driver.alike([_inbox(each) for each in decided if each.told.notify_id], on=on)
    return {each.payment.id for each in decided}


_PAID = "UPDATE payment SET state = 'succeeded', trade_no = ?, succeeded_at = ?, ask_at = NULL WHERE id = ?"


@lru_cache
def _counted(table: str, columns: tuple[str, ...]) -> str:
    return f"UPDATE {table} SET {', '.join(f'{name} = ?' for name in columns)} WHERE id = ?"  # noqa: S608 -- names from code


def _inbox(each: _Decided) -> Write:
    return notice_row(each.told.notify_id, each.told.outcome.out_trade_no, each.told.status, each.told.outcome.total_fen, each.said)


def _written_in_one(decided: Sequence[_Decided], now: datetime, on: Connection) -> set[int]:
    """The same on PostgreSQL, in one statement, which takes its rows as JSON: two values, whatever their number."""
    again = {each.payment.id for each in decided if not each.pair}
    kept = [dict(zip(_KEPT, (each.payment.id, *_inbox(each)[1]), strict=True)) for each in decided if each.told.notify_id]
    if len(again) == len(decided) and not kept:
        return again
    counting = handlers[KIND].counting
    names = list(_columns(counting))
    new = [
        dict(zip(names, (*each.pair, each.payment.state, each.told.outcome.trade_no, each.payment.payable_id, *each.was, *each.becomes), strict=True))
        for each in decided
        if each.pair
    ]
    done = driver.rows(_all_in_one(), *(json.dumps(rows, default=datetime.isoformat) for rows in (new, kept)), on=on)
    return again | {row[0] for row in done}


_KEPT = ("payment_id", *NOTICE_COLUMNS)


def _columns(counting: Counting) -> dict[str, str]:
    """What the statement is told of each payment, with its type."""
    return (
        pair.COLUMNS
        | {"state": "text", "trade_no": "text", "payable_id": "bigint"}
        | {f"was_{name}": kind for name, kind in counting.decide.items()}
        | {f"becomes_{name}": kind for name, kind in counting.change.items()}
    )


@lru_cache
def _all_in_one() -> str:
    """``told`` is what was decided, ``so`` what of it still holds and nobody else has locked; the rest is written for each of ``so``."""
    counting = handlers[KIND].counting
    columns = ", ".join(f"{name} {kind}" for name, kind in _columns(counting).items())
    still = " AND ".join(f"o.{name} = t.was_{name}" for name in counting.decide)
    changes = ", ".join(f"{name} = so.becomes_{name}" for name in counting.change)
    kept = ", ".join(f"{name} {kind}" for name, kind in zip(_KEPT, _KEPT_KINDS, strict=True))
    return (  # put together from names in code
        f"WITH told AS MATERIALIZED (SELECT * FROM json_to_recordset(?::json) AS t ({columns}) LIMIT {MOST}), "  # noqa: S608
        f"so AS MATERIALIZED (SELECT t.* FROM told t JOIN payment p ON p.id = t.source_id AND p.state = t.state "
        f"JOIN {counting.table} o ON o.id = t.payable_id AND {still} FOR UPDATE OF p, o SKIP LOCKED), "
        "paid AS (UPDATE payment p SET state = 'succeeded', trade_no = so.trade_no, succeeded_at = so.posted_at, ask_at = NULL "
        "FROM so WHERE p.id = so.source_id), "
        f"counted AS (UPDATE {counting.table} o SET {changes} FROM so WHERE o.id = so.payable_id), "
        f"{pair.parts(ENTRY, Payment.__tablename__, 'so')}, "
        f"act AS ({audit.of_each(ACT, Payment.__tablename__, 'so')}), "
        f"kept AS (INSERT INTO alipay_notice ({', '.join(NOTICE_COLUMNS)}) SELECT {', '.join(NOTICE_COLUMNS)} "
        f"FROM json_to_recordset(?::json) AS k ({kept}) WHERE outcome = 'repeated' OR payment_id IN (SELECT source_id FROM so)) "
        "SELECT source_id FROM so"
    )


_KEPT_KINDS = ("bigint", "text", "text", "text", "text", "bigint", "timestamptz", "text")
