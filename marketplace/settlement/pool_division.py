"""A group's pool, divided among its households by its rule and its records. Exact for any amount: nothing is lost, nothing made.

First the relief share, then what is guaranteed (pro rata if it does not reach), then grams and shares. Every part is a largest
remainder of its own; the odd fen go by hash, so that whoever has the records divides them as we did.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, overload

from sqlalchemy import func, select

from marketplace.foundation.database import db
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_
from marketplace.foundation.money import split_columns
from marketplace.households.linkage_group import LinkageGroup
from marketplace.settlement import distribution_rule
from marketplace.settlement.distribution_rule import Terms
from marketplace.settlement.distribution_share import Distribution, DistributionGroup, DistributionShare
from marketplace.settlement.distribution_weights import PAGE, codes_of, days_of, equity, patronage, unable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Column = NDArray[np.int64]

Row = tuple[int, int, int, int, int, int, int, int, int]


@dataclass(frozen=True)
class Part:
    """One household's part of a group's pool, with its reasons. ``relief_units`` are people, or one for the household."""

    household_id: int
    grams: int
    patronage_fen: int
    share_days: int
    equity_fen: int
    relief_units: int
    relief_fen: int
    guaranteed_due_fen: int
    guaranteed_fen: int

    @property
    def fen(self) -> int:
        return self.patronage_fen + self.equity_fen + self.relief_fen + self.guaranteed_fen


class Parts(Sequence[Part]):
    """The parts of a group, held in columns, in the order of ``Part``: a million plain ones take 40 MB. In the order of household ids."""

    def __init__(self, *columns: "Column") -> None:
        import numpy as np

        self.columns = columns + tuple(np.broadcast_to(np.int64(0), len(columns[0])) for _ in range(9 - len(columns)))

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

    def rows(self) -> Iterator[Row]:
        """All of them as plain numbers, a page at a time."""
        for start in range(0, len(self), PAGE):
            yield from zip(*(column[start : start + PAGE].tolist() for column in self.columns), strict=True)

    def total(self, name: str) -> int:
        """The sum of one column, by its name in ``Part``."""
        return int(self.columns[tuple(Part.__dataclass_fields__).index(name)].sum())

    @property
    def households_with_money(self) -> int:
        _, _, patronage_fen, _, equity_fen, _, relief_fen, _, guaranteed_fen = self.columns
        return int((patronage_fen + equity_fen + relief_fen + guaranteed_fen > 0).sum())


@dataclass(frozen=True)
class Before:
    """What other distributions of the same month gave a group: guaranteed fen by household, and fen of relief.

    The month's promise is kept once, however often something is divided in it.
    """

    guaranteed: Mapping[int, int] = field(default_factory=dict)
    relief_fen: int = 0


@dataclass(frozen=True)
class Divided:
    """A group's pool, divided. The four sums are the whole; so are the sums over the parts."""

    basis: str  # BATCHES, TWELVE_MONTHS, EQUITY_ONLY
    patronage_fen: int
    equity_fen: int
    parts: Parts
    relief_fen: int = 0
    guaranteed_fen: int = 0
    guaranteed_due_fen: int = 0
    rule_id: int | None = None

    @property
    def fen(self) -> int:
        return self.patronage_fen + self.equity_fen + self.relief_fen + self.guaranteed_fen


def divide(
    fen: int, *, basis: str, grams: Mapping[int, int], share_days: Mapping[int, int], keys: Mapping[int, str], salt: str,
    patronage_bp: int = 6000, terms: Terms | None = None, days: int = 30, relief: Mapping[int, int] | None = None, before: Before | None = None,
) -> Divided:  # fmt: skip
    """Divide ``fen``, exactly, by ``terms`` (none: ``patronage_bp`` of it, at least, by grams, the rest by share-days).

    ``relief`` are the people of each household that cannot work, ``days`` those of the month, ``keys`` the households' codes, which
    break ties. Where grams or share-days have no weights, all of the rest goes by the other. Raises Conflict ``distribution.nobody``
    if there are no weights at all and something is left to divide.
    """
    import numpy as np

    relief, before = relief or {}, before or Before()
    households = sorted({*grams, *share_days, *relief}, key=lambda each: keys[each])

    def column(of: Mapping[int, int]) -> "Column":
        return np.array([of.get(each, 0) for each in households], dtype=np.int64)

    return _divide_columns(
        fen, terms or Terms(patronage_bp), basis, days, np.array(households, dtype=np.int64), column(grams), column(share_days),
        column(relief), column(before.guaranteed), before.relief_fen, [keys[each] for each in households], salt,
    )  # fmt: skip


def _divide_columns(
    fen: int, terms: Terms, basis: str, days: int, households: "Column", by_grams: "Column", by_days: "Column", people: "Column",
    had: "Column", had_relief_fen: int, codes: Sequence[str], salt: str,
) -> Divided:  # fmt: skip
    import numpy as np

    units = np.minimum(people, 1) if terms.relief_by == "HOUSEHOLD" else people
    relief_fen = relief_of(fen, terms, int(units.sum()), had_relief_fen)
    due = np.maximum(by_days * terms.guaranteed_fen // days - had, 0)
    guaranteed_due_fen = int(due.sum())
    guaranteed_fen = min(fen - relief_fen, guaranteed_due_fen)
    left = fen - relief_fen - guaranteed_fen
    if left and not by_days.any() and not by_grams.any():
        raise Conflict("distribution.nobody", N_("这个联农组没有持股户，也没有交货记录，收益分不下去。请先核对成员。"))
    patronage_fen = by_patronage(left, terms, by_grams, by_days)
    each = spread((patronage_fen, left - patronage_fen, relief_fen, guaranteed_fen), by_grams, by_days, units, due, codes, salt)
    columns = [households, by_grams, each[0], by_days, each[1]]
    if not terms.plain:
        columns += [units, each[2], due, each[3]]
    return Divided(basis, patronage_fen, left - patronage_fen, Parts(*columns), relief_fen, guaranteed_fen, guaranteed_due_fen)


def by_patronage(fen: int, terms: Terms, by_grams: "Column", by_days: "Column") -> int:
    """What of ``fen`` goes by grams; the rest goes by share-days. Where one of them has no weights, all goes by the other."""
    if not by_grams.any():
        return 0
    return fen if not by_days.any() else -(-fen * terms.patronage_bp // 10_000)


def spread(
    fens: tuple[int, int, int, int], by_grams: "Column", by_days: "Column", units: "Column", due: "Column", codes: Sequence[str], salt: str
) -> "tuple[Column, Column, Column, Column]":
    """Each household's fen by grams, by share-days, of the relief share and of what is guaranteed, which ``fens`` sum to."""
    patronage_fen, equity_fen, relief_fen, guaranteed_fen = fens
    return (
        split_columns(patronage_fen, by_grams, codes, f"{salt}:patronage"),
        split_columns(equity_fen, by_days, codes, f"{salt}:equity"),
        split_columns(relief_fen, units, codes, f"{salt}:relief"),
        # Enough for all: each has what is due. Else each a part of it, in proportion.
        due if guaranteed_fen == int(due.sum()) else split_columns(guaranteed_fen, due, codes, f"{salt}:guaranteed"),
    )


def salt_of(period: str, group: LinkageGroup) -> str:
    """What the odd fen of a group's pool are told apart by: whoever has the records can divide them as we did."""
    return f"{period}:{group.code}"


def relief_of(fen: int, terms: Terms, units: int, had_fen: int) -> int:
    """What goes first to those who cannot work: at most the share of the pool, and at most so much for each of them in a month."""
    most = fen * terms.relief_bp // 10_000
    if not units:
        return 0
    return min(most, max(0, units * terms.relief_most_fen - had_fen)) if terms.relief_most_fen else most


def divide_group(
    group: LinkageGroup, fen: int, *, period: str, order_line_ids: Collection[int], salt: str, but: int | None = None
) -> Divided:
    """A group's pool of a period, divided by its rule and its records. ``but`` is the distribution that this is for."""
    import numpy as np

    rule = distribution_rule.in_force(group.id, period)
    terms = distribution_rule.terms_of(group, rule)
    first, last = days_of(period)
    basis, grams = patronage(group.id, order_line_ids, period)
    delivered = _column_pair(grams)
    del grams  # a million households: one such table at a time
    held = _column_pair(equity(group.id, period))
    relief = _column_pair(unable(group.id, period) if terms.relief_bp else {})
    before = given_before(group.id, period, but) if not terms.plain else Before()
    households = np.union1d(np.union1d(delivered[0], held[0]), relief[0])
    kept = {household: had for household, had in before.guaranteed.items() if had}
    columns = []
    for ids, weights in (delivered, held, relief, _column_pair(kept)):
        column = np.zeros(len(households), dtype=np.int64) if len(ids) else np.broadcast_to(np.int64(0), len(households))
        if len(ids):
            present = np.isin(ids, households)  # who had something before may have left the records since
            column[np.searchsorted(households, ids[present])] = weights[present]
        columns.append(column)
    by_grams, by_days, people, had = columns
    divided = _divide_columns(
        fen, terms, basis, (last - first).days + 1, households, by_grams, by_days, people, had, before.relief_fen,
        codes_of(households.tolist()), salt,
    )  # fmt: skip
    return divided if rule is None else Divided(**{**vars(divided), "rule_id": rule.id})


def given_before(group_id: int, period: str, but: int | None) -> Before:
    """What distributions of the month other than ``but`` gave of it already, drafts too; withdrawn ones gave nothing."""
    others = (Distribution.period == period, Distribution.state != "WITHDRAWN", Distribution.id != (but or 0))
    guaranteed = (
        select(DistributionShare.household_id, func.sum(DistributionShare.guaranteed_fen))
        .join(Distribution, Distribution.id == DistributionShare.distribution_id)
        .where(DistributionShare.linkage_group_id == group_id, DistributionShare.guaranteed_fen > 0, *others)
        .group_by(DistributionShare.household_id)
    )
    relief = (
        select(func.coalesce(func.sum(DistributionGroup.relief_fen), 0))
        .join(Distribution, Distribution.id == DistributionGroup.distribution_id)
        .where(DistributionGroup.linkage_group_id == group_id, *others)
    )
    return Before({home: int(fen) for home, fen in db.session.execute(guaranteed)}, int(db.session.scalar(relief) or 0))


def _column_pair(weights: Mapping[int, int]) -> "tuple[Column, Column]":
    import numpy as np

    return np.fromiter(weights.keys(), np.int64, len(weights)), np.fromiter(weights.values(), np.int64, len(weights))
