"""Split scheme (分账方案): how the revenue of a cooperative's goods of one category divides, versioned and frozen on the order."""

from datetime import date

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import clock
from marketplace.foundation.database import Identified, Model, db
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_
from marketplace.foundation.money import split


class SplitScheme(Identified, Model):
    """One version. The four shares are basis points and sum to 10,000. Never edited: a change is a new version."""

    __tablename__ = "split_scheme"
    __table_args__ = (
        UniqueConstraint("organisation_id", "category", "version_no"),
        CheckConstraint("cooperative_bp + household_pool_bp + village_collective_bp + relief_fund_bp = 10000", name="whole"),
        CheckConstraint("cooperative_bp >= 0 AND household_pool_bp > 0 AND village_collective_bp >= 0 AND relief_fund_bp >= 0", name="positive"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    category: Mapped[str] = mapped_column(ForeignKey("category.code"))
    version_no: Mapped[int]
    cooperative_bp: Mapped[int]
    household_pool_bp: Mapped[int]
    village_collective_bp: Mapped[int]
    relief_fund_bp: Mapped[int]
    effective_from: Mapped[date]

    def divide(self, base_fen: int, salt: str) -> tuple[int, int, int, int]:
        """``base_fen`` as (cooperative, household pool, village collective, relief fund), exact to the fen."""
        parts = split(
            base_fen,
            [self.cooperative_bp, self.household_pool_bp, self.village_collective_bp, self.relief_fund_bp],
            ["cooperative", "household_pool", "village_collective", "relief_fund"],
            salt,
        )
        return parts[0], parts[1], parts[2], parts[3]


def in_force(organisation_id: int, category: str) -> SplitScheme:
    """The version in force today. Conflict ``scheme.missing`` if the cooperative has none for this category."""
    query = (
        select(SplitScheme)
        .where(
            SplitScheme.organisation_id == organisation_id,
            SplitScheme.category == category,
            SplitScheme.effective_from <= clock.business_date(),
        )
        .order_by(SplitScheme.effective_from.desc(), SplitScheme.version_no.desc())
        .limit(1)
    )
    scheme = db.session.scalars(query).one_or_none()
    if scheme is None:
        raise Conflict("scheme.missing", N_("这家合作社还没有这类商品的分账方案，暂时不能卖。"))
    return scheme


def latest(organisation_id: int, category: str) -> SplitScheme | None:
    """The newest version, in force or still to come."""
    query = select(SplitScheme).where(SplitScheme.organisation_id == organisation_id, SplitScheme.category == category)
    return db.session.scalars(query.order_by(SplitScheme.version_no.desc()).limit(1)).one_or_none()


def history(organisation_id: int) -> dict[str, list[SplitScheme]]:
    """All versions of a cooperative by kind of goods, newest first."""
    query = select(SplitScheme).where(SplitScheme.organisation_id == organisation_id)
    versions: dict[str, list[SplitScheme]] = {}
    for row in db.session.scalars(query.order_by(SplitScheme.category, SplitScheme.version_no.desc())):
        versions.setdefault(row.category, []).append(row)
    return versions
