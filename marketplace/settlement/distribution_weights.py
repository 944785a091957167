"""The weights of a distribution: grams delivered (patronage) and share-days (equity).

Patronage counts deliveries to the batches from which the period's goods were sold; without such records the group's last
twelve months; if there are none either, everything goes by equity, and ``basis`` says so.
"""

from calendar import monthrange
from collections.abc import Collection, Sequence
from datetime import date

from sqlalchemy import func, select

from marketplace.foundation.database import db
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.households.household import Household
from marketplace.households.linkage_group import LinkageShare
from marketplace.orders.shipment import ShipmentLine
from marketplace.supply.batch import Batch, Delivery

PAGE = 10_000


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
    query = select(
        LinkageShare.household_id, LinkageShare.shares, LinkageShare.starts_on, LinkageShare.ends_on
    ).where(
        LinkageShare.group_id == group_id,
        LinkageShare.kind == "EQUITY",
        LinkageShare.shares > 0,
        LinkageShare.starts_on <= last,
        LinkageShare.ends_on.is_(None) | (LinkageShare.ends_on >= first),
    )
    weights: dict[int, int] = {}
    for household_id, shares, starts_on, ends_on in db.session.execute(query.execution_options(yield_per=PAGE)):
        days = (min(ends_on or last, last) - max(starts_on, first)).days + 1
        weights[household_id] = weights.get(household_id, 0) + shares * days
    return weights


def unable(group_id: int, period: str) -> dict[int, int]:
    """People by household, of those linked to the group in the period (however) none of whose people can work.

    It opens sealed hardship, of every household of the group: whoever asks writes that down.
    """
    first, last = days_of(period)
    linked = select(LinkageShare.household_id).where(
        LinkageShare.group_id == group_id, LinkageShare.starts_on <= last, LinkageShare.ends_on.is_(None) | (LinkageShare.ends_on >= first)
    )
    homes = select(Household).where(Household.id.in_(linked)).order_by(Household.id).execution_options(yield_per=1_000)
    return {home.id: home.people for home in db.session.scalars(homes) if home.unable_to_work >= home.people}


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


def codes_of(ids: Sequence[int]) -> list[str]:
    """The households' codes, for ids in rising order."""
    if len(ids) > PAGE:
        # Most of the county: reading on from the first to the last is quicker than asking for each.
        query = select(Household.id, Household.code).where(Household.id.between(ids[0], ids[-1])).order_by(Household.id)
        wanted = iter(ids)
        codes, next_one = [], next(wanted, None)
        for number, code in db.session.execute(query.execution_options(yield_per=PAGE)):
            if number == next_one:
                codes.append(code)
                next_one = next(wanted, None)
        return codes
    found: dict[int, str] = {}
    for start in range(0, len(ids), 500):
        query = select(Household.id, Household.code).where(Household.id.in_(ids[start : start + 500]))
        found.update((number, code) for number, code in db.session.execute(query))
    return [found[number] for number in ids]
