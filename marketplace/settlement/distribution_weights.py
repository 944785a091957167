"""The weights of a distribution: grams delivered (patronage) and share-days (equity), and a pool divided by them.

Patronage counts deliveries to the batches from which the period's goods were sold; without such records the group's last
twelve months; if there are none either, everything goes by equity, and ``basis`` says so.
"""

from calendar import monthrange
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select

from marketplace.foundation.database import db
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.money import split
from marketplace.households.household import Household
from marketplace.households.linkage_group import LinkageGroup, LinkageShare
from marketplace.orders.shipment import ShipmentLine
from marketplace.supply.batch import Batch, Delivery


@dataclass(frozen=True)
class Part:
    """One household's part of a group's pool, with its reasons."""

    household_id: int
    grams: int
    patronage_fen: int
    share_days: int
    equity_fen: int


@dataclass(frozen=True)
class Divided:
    """A group's pool, divided. ``patronage_fen + equity_fen`` is the whole; so is the sum over the parts."""

    basis: str  # BATCHES, TWELVE_MONTHS, EQUITY_ONLY
    patronage_fen: int
    equity_fen: int
    parts: list[Part]


def days_of(period: str) -> tuple[date, date]:
    """First and last day of a period ``YYYY-MM``. InvalidInput ``period.bad`` for anything else."""
    try:
        year, month = (int(part) for part in period.split("-"))
        first = date(year, month, 1)
    except ValueError:
        raise InvalidInput("period.bad", N_("月份请写成 2026-11 这样。"), field="period") from None
    if f"{first:%Y-%m}" != period:
        raise InvalidInput("period.bad", N_("月份请写成 2026-11 这样。"), field="period")
    return first, first.replace(day=monthrange(year, month)[1])


def patronage(group_id: int, order_line_ids: Collection[int], period: str) -> tuple[str, dict[int, int]]:
    """The basis, and grams by household: of the batches that these order lines were shipped from, else of the group's last
    twelve months up to the period's end, else none."""
    grams = _delivered_to_batches_of(order_line_ids)
    if grams:
        return "BATCHES", grams
    _, last = days_of(period)
    start = date(last.year - 1, last.month, monthrange(last.year - 1, last.month)[1])  # excluded
    query = (
        select(Delivery.household_id, func.sum(Delivery.grams))
        .join(Batch, Batch.id == Delivery.batch_id)
        .where(Batch.linkage_group_id == group_id, Delivery.voided_at.is_(None), Delivery.delivered_on > start, Delivery.delivered_on <= last)
        .group_by(Delivery.household_id)
    )
    grams = {household: int(weight) for household, weight in db.session.execute(query)}
    return ("TWELVE_MONTHS", grams) if grams else ("EQUITY_ONLY", {})


def equity(group_id: int, period: str) -> dict[int, int]:
    """Share-days by household: shares × days in force in the period, both ends counted. Households without are left out."""
    first, last = days_of(period)
    query = select(LinkageShare).where(
        LinkageShare.group_id == group_id,
        LinkageShare.kind == "EQUITY",
        LinkageShare.shares > 0,
        LinkageShare.starts_on <= last,
        LinkageShare.ends_on.is_(None) | (LinkageShare.ends_on >= first),
    )
    weights: dict[int, int] = {}
    for row in db.session.scalars(query):
        days = (min(row.ends_on or last, last) - max(row.starts_on, first)).days + 1
        weights[row.household_id] = weights.get(row.household_id, 0) + row.shares * days
    return weights


def divide(
    fen: int, *, patronage_bp: int, basis: str, grams: Mapping[int, int], share_days: Mapping[int, int],
    keys: Mapping[int, str], salt: str,
) -> Divided:  # fmt: skip
    """Divide ``fen``, exactly: at least ``patronage_bp`` of it by grams (the odd fen goes there), the rest by share-days.

    Where one of the two has no weights, all goes by the other. ``keys`` are the households' codes, which break ties.
    Raises Conflict ``distribution.nobody`` if there are no weights at all and something to divide.
    """
    if not any(share_days.values()) and not any(grams.values()):
        if fen:
            raise Conflict("distribution.nobody", N_("这个联农组没有持股户，也没有交货记录，收益分不下去。请先核对成员。"))
        return Divided(basis, 0, 0, [])
    if not any(grams.values()):
        patronage_fen = 0
    elif not any(share_days.values()):
        patronage_fen = fen
    else:
        patronage_fen = -(-fen * patronage_bp // 10_000)
    households = sorted(set(grams) | set(share_days), key=lambda each: keys[each])
    codes = [keys[each] for each in households]
    by_grams = split(patronage_fen, [grams.get(each, 0) for each in households], codes, f"{salt}:patronage")
    by_shares = split(fen - patronage_fen, [share_days.get(each, 0) for each in households], codes, f"{salt}:equity")
    parts = [
        Part(each, grams.get(each, 0), by_grams[i], share_days.get(each, 0), by_shares[i])
        for i, each in enumerate(households)
    ]
    return Divided(basis, patronage_fen, fen - patronage_fen, parts)


def divide_group(group: LinkageGroup, fen: int, *, period: str, order_line_ids: Collection[int], salt: str) -> Divided:
    """A group's pool of a period, divided by its records."""
    basis, grams = patronage(group.id, order_line_ids, period)
    share_days = equity(group.id, period)
    keys = _codes(set(grams) | set(share_days))
    return divide(
        fen, patronage_bp=group.patronage_bp, basis=basis, grams=grams, share_days=share_days, keys=keys, salt=salt
    )


def _delivered_to_batches_of(order_line_ids: Collection[int]) -> dict[int, int]:
    batches: set[int] = set()
    ids = sorted(order_line_ids)
    for start in range(0, len(ids), 500):
        batches |= set(
            db.session.scalars(
                select(ShipmentLine.batch_id).where(ShipmentLine.order_line_id.in_(ids[start : start + 500])).distinct()
            )
        )
    query = (
        select(Delivery.household_id, func.sum(Delivery.grams))
        .where(Delivery.batch_id.in_(batches), Delivery.voided_at.is_(None))
        .group_by(Delivery.household_id)
    )
    return {household: int(weight) for household, weight in db.session.execute(query)}


def _codes(household_ids: Collection[int]) -> dict[int, str]:
    codes: dict[int, str] = {}
    ids = sorted(household_ids)
    for start in range(0, len(ids), 500):
        query = select(Household.id, Household.code).where(Household.id.in_(ids[start : start + 500]))
        codes.update((number, code) for number, code in db.session.execute(query))
    return codes
