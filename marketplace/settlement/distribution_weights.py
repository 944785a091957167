"""The weights of a distribution: grams delivered (patronage) and share-days (equity), and a pool divided by them.

Patronage counts deliveries to the batches from which the period's goods were sold; without such records the group's last
twelve months; if there are none either, everything goes by equity, and ``basis`` says so.
"""

from calendar import monthrange
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, overload

from sqlalchemy import func, select

from marketplace.foundation.database import db
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.money import split_columns
from marketplace.households.household import Household
from marketplace.households.linkage_group import LinkageGroup, LinkageShare
from marketplace.orders.shipment import ShipmentLine
from marketplace.supply.batch import Batch, Delivery

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Column = NDArray[np.int64]

PAGE = 10_000


@dataclass(frozen=True)
class Part:
    """One household's part of a group's pool, with its reasons."""

    household_id: int
    grams: int
    patronage_fen: int
    share_days: int
    equity_fen: int


class Parts(Sequence[Part]):
    """The parts of a group, held in columns: a million of them take 40 MB. In the order of ``household_ids``."""

    def __init__(
        self,
        household_ids: "Column",
        grams: "Column",
        patronage_fen: "Column",
        share_days: "Column",
        equity_fen: "Column",
    ) -> None:
        self.columns = (household_ids, grams, patronage_fen, share_days, equity_fen)

    def __len__(self) -> int:
        return len(self.columns[0])

    @overload
    def __getitem__(self, place: int) -> Part: ...
    @overload
    def __getitem__(self, place: slice) -> list[Part]: ...
    def __getitem__(self, place: int | slice) -> Part | list[Part]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        return Part(*(int(column[place]) for column in self.columns))

    def rows(self) -> Iterator[tuple[int, int, int, int, int]]:
        """All of them as plain numbers, a page at a time."""
        for start in range(0, len(self), PAGE):
            yield from zip(*(column[start : start + PAGE].tolist() for column in self.columns), strict=True)

    @property
    def total_grams(self) -> int:
        return int(self.columns[1].sum())

    @property
    def total_share_days(self) -> int:
        return int(self.columns[3].sum())

    @property
    def households_with_money(self) -> int:
        return int(((self.columns[2] + self.columns[4]) > 0).sum())


@dataclass(frozen=True)
class Divided:
    """A group's pool, divided. ``patronage_fen + equity_fen`` is the whole; so is the sum over the parts."""

    basis: str  # BATCHES, TWELVE_MONTHS, EQUITY_ONLY
    patronage_fen: int
    equity_fen: int
    parts: Parts


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


def divide(
    fen: int, *, patronage_bp: int, basis: str, grams: Mapping[int, int], share_days: Mapping[int, int],
    keys: Mapping[int, str], salt: str,
) -> Divided:  # fmt: skip
    """Divide ``fen``, exactly: at least ``patronage_bp`` of it by grams (the odd fen goes there), the rest by share-days.

    Where one of the two has no weights, all goes by the other. ``keys`` are the households' codes, which break ties.
    Raises Conflict ``distribution.nobody`` if there are no weights at all and something to divide.
    """
    import numpy as np

    households = sorted(set(grams) | set(share_days), key=lambda each: keys[each])
    return _divide_columns(
        fen, patronage_bp, basis,
        np.array(households, dtype=np.int64),
        np.array([grams.get(each, 0) for each in households], dtype=np.int64),
        np.array([share_days.get(each, 0) for each in households], dtype=np.int64),
        [keys[each] for each in households], salt,
    )  # fmt: skip


def _divide_columns(
    fen: int, patronage_bp: int, basis: str, households: "Column", by_grams: "Column", by_days: "Column", codes: Sequence[str], salt: str
) -> Divided:
    if not by_days.any() and not by_grams.any():
        if fen:
            raise Conflict("distribution.nobody", N_("这个联农组没有持股户，也没有交货记录，收益分不下去。请先核对成员。"))
        none = households[:0]
        return Divided(basis, 0, 0, Parts(none, none, none, none, none))
    if not by_grams.any():
        patronage_fen = 0
    elif not by_days.any():
        patronage_fen = fen
    else:
        patronage_fen = -(-fen * patronage_bp // 10_000)
    parts = Parts(
        households,
        by_grams,
        split_columns(patronage_fen, by_grams, codes, f"{salt}:patronage"),
        by_days,
        split_columns(fen - patronage_fen, by_days, codes, f"{salt}:equity"),
    )
    return Divided(basis, patronage_fen, fen - patronage_fen, parts)


def divide_group(group: LinkageGroup, fen: int, *, period: str, order_line_ids: Collection[int], salt: str) -> Divided:
    """A group's pool of a period, divided by its records."""
    import numpy as np

    basis, grams = patronage(group.id, order_line_ids, period)
    delivered = _column_pair(grams)
    del grams  # a million households: one such table at a time
    held = _column_pair(equity(group.id, period))
    households = np.union1d(delivered[0], held[0])
    columns = []
    for ids, weights in (delivered, held):
        column = np.zeros(len(households), dtype=np.int64)
        column[np.searchsorted(households, ids)] = weights
        columns.append(column)
    return _divide_columns(
        fen, group.patronage_bp, basis, households, columns[0], columns[1], _codes(households.tolist()), salt
    )


def _column_pair(weights: Mapping[int, int]) -> "tuple[Column, Column]":
    import numpy as np

    return np.fromiter(weights.keys(), np.int64, len(weights)), np.fromiter(weights.values(), np.int64, len(weights))


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


def _codes(ids: Sequence[int]) -> list[str]:
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
