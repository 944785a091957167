"""The county's bulletin (通报) of a year: every figure with the rows behind it, every percentage computed from two of them.

Amounts are fen of goods; the trade unions' purchases stand apart, as in the scorecard. A rate out of nothing is none, not 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from marketplace.catalogue.product import Product
from marketplace.foundation.database import db
from marketplace.organisations.organisation import Organisation
from marketplace.procurement import scorecard, target_year
from marketplace.procurement.scorecard import Figures, rate_bp
from marketplace.procurement.target_year import Filing

VIEWS = ("all", "signed", "unsigned", "filed", "unfiled", "duty", "bought", "idle", "exempt")


@dataclass(frozen=True)
class UnitRow:
    """One unit in the bulletin: its filing, its four figures, and its place in the ranking."""

    filing: Filing
    figures: Figures
    rank: int | None

    @property
    def signed(self) -> bool:
        """Whether anybody can sign in for it."""
        return self.filing.people > 0

    @property
    def filed(self) -> bool:
        return self.filing.stage not in ("MISSING", "DRAFT")

    @property
    def exempt(self) -> bool:
        """Filed that it has no quota: no canteen, or one that another unit files for."""
        return self.filed and self.figures.reserved_fen is None

    @property
    def bought(self) -> bool:
        return self.figures.ordered_fen > 0

    def stands_in(self, view: str) -> bool:
        """Whether it is one of the rows behind a figure."""
        return {
            "all": True,
            "signed": self.signed,
            "unsigned": not self.signed,
            "filed": self.filed,
            "unfiled": not self.filed,
            "duty": self.figures.reserved_fen is not None,
            "bought": self.bought,
            "idle": self.filed and not self.exempt and not self.bought,
            "exempt": self.exempt,
        }[view]


@dataclass(frozen=True)
class Share:
    """So many of so many, and the rate in basis points."""

    part: int
    whole: int

    @property
    def bp(self) -> int | None:
        return rate_bp(self.part, self.whole) if self.whole else None


@dataclass(frozen=True)
class Bulletin:
    """The figures of one year."""

    year: int
    units: Sequence[UnitRow]
    reserved_fen: int
    ordered_fen: int
    counted_fen: int
    union_fen: int
    cooperatives: Share  # with goods on sale, of all that joined
    products: Share  # on sale, of all that were ever submitted

    def count(self, view: str) -> int:
        return sum(row.stands_in(view) for row in self.units)

    @property
    def signed(self) -> Share:
        return Share(self.count("signed"), len(self.units))

    @property
    def filed(self) -> Share:
        return Share(self.count("filed"), len(self.units))

    @property
    def bought(self) -> Share:
        """Units that bought, of those that filed a quota."""
        duty = [row for row in self.units if row.figures.reserved_fen is not None]
        return Share(sum(row.bought for row in duty), len(duty))

    @property
    def progress(self) -> Share:
        """Counted of reserved, in fen."""
        return Share(self.counted_fen, self.reserved_fen)

    @property
    def top(self) -> list[UnitRow]:
        """The three that are furthest on."""
        return [row for row in self.units if row.rank is not None and row.figures.counted_fen][:3]


def bulletin(year: int) -> Bulletin:
    """The bulletin of a Beijing calendar year, as of now. A fixed number of queries, however many units there are."""
    rows = units(year)
    sold = select(func.count(Product.organisation_id.distinct())).where(Product.state == "ON_SALE").scalar_subquery()
    joined = select(func.count(Organisation.id)).where(Organisation.kind == "COOPERATIVE", Organisation.suspended_at.is_(None)).scalar_subquery()
    shown = select(func.count(Product.id)).where((Product.submitted_at.is_not(None)) | (Product.listed_at.is_not(None))).scalar_subquery()
    on_sale = select(func.count(Product.id)).where(Product.state == "ON_SALE").scalar_subquery()
    selling, all_sellers, listed, all_products = db.session.execute(select(sold, joined, on_sale, shown)).one()
    return Bulletin(
        year=year,
        units=rows,
        reserved_fen=sum(row.figures.reserved_fen or 0 for row in rows),
        ordered_fen=sum(row.figures.ordered_fen for row in rows),
        counted_fen=sum(row.figures.counted_fen for row in rows),
        union_fen=sum(row.figures.union.counted_fen for row in rows),
        cooperatives=Share(selling, all_sellers),
        products=Share(listed, all_products),
    )


def units(year: int) -> list[UnitRow]:
    """Every unit, in the order of the ranking: by rate, then by amount; those without a quota behind, by amount."""
    filings = target_year.filings(year)
    figures = scorecard.of_filed([(each.unit, each.target) for each in filings], year)
    pairs = sorted(
        zip(filings, figures, strict=True),
        key=lambda pair: (pair[1].completion_rate_bp is None, -(pair[1].completion_rate_bp or 0), -pair[1].counted_fen, pair[0].unit.id),
    )
    ranks = _ranks([own.completion_rate_bp for _, own in pairs])
    return [UnitRow(filing, own, rank) for (filing, own), rank in zip(pairs, ranks, strict=True)]


def _ranks(rates: Sequence[int | None]) -> list[int | None]:
    """Places from 1 on; equal rates share a place, and who has no rate has none."""
    ranks: list[int | None] = []
    for at, rate in enumerate(rates):
        same = at and rates[at - 1] == rate
        ranks.append(None if rate is None else (ranks[-1] if same else at + 1))
    return ranks
