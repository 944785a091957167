"""How a linkage group's pool is divided among its households: a versioned rule, agreed by two people and shown to everybody.

Of a pool, in this order: the relief share of households that cannot work; what is guaranteed for each share (保底), pro rata if the
pool does not reach; and of the rest at least 60 % by grams delivered, what remains by shares (分红, nothing if nothing is left).
"""

from dataclasses import dataclass
from typing import Self

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Identified, Model, db
from marketplace.households.linkage_group import LinkageGroup

RELIEF_BY = ("PERSON", "HOUSEHOLD")
MOST_RELIEF_BP = 5_000
MOST_GUARANTEED_FEN = 100_000_00  # for one share and month: anything above is a typing error
SOUND = (
    "patronage_bp BETWEEN 6000 AND 10000 AND guaranteed_fen BETWEEN 0 AND 10000000 AND relief_bp BETWEEN 0 AND 5000 "
    "AND relief_most_fen >= 0 AND relief_by IN ('PERSON','HOUSEHOLD')"
)


@dataclass(frozen=True)
class Terms:
    """The figures of a rule.

    ``guaranteed_fen`` is for one share during a whole month, days pro rata. ``relief_bp`` is the most of the pool that goes first to
    households none of whose people can work, equally by person or by household; ``relief_most_fen`` bounds it for each in a month (0: not).
    """

    patronage_bp: int
    guaranteed_fen: int = 0
    relief_bp: int = 0
    relief_by: str = "PERSON"
    relief_most_fen: int = 0

    @classmethod
    def of(cls, row: "DistributionRule | RuleTerms") -> Self:
        return cls(row.patronage_bp, row.guaranteed_fen, row.relief_bp, row.relief_by, row.relief_most_fen)

    @property
    def plain(self) -> bool:
        """Nothing but grams and shares."""
        return not self.guaranteed_fen and not self.relief_bp


class RuleTerms:
    """The columns of the figures, as a version and a proposal keep them."""

    patronage_bp: Mapped[int]
    guaranteed_fen: Mapped[int]
    relief_bp: Mapped[int]
    relief_by: Mapped[str] = mapped_column(String(10))
    relief_most_fen: Mapped[int]


class DistributionRule(RuleTerms, Identified, Model):
    """One version, in force from the first day of ``from_period`` (YYYY-MM). Never edited: a change is a new version."""

    __tablename__ = "distribution_rule"
    __table_args__ = (UniqueConstraint("linkage_group_id", "version_no"), CheckConstraint(SOUND, name="sound"))

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    linkage_group_id: Mapped[int] = mapped_column(ForeignKey("linkage_group.id"))
    version_no: Mapped[int]
    from_period: Mapped[str] = mapped_column(String(7))


def in_force(group_id: int, period: str) -> DistributionRule | None:
    """The version by which the group's pool of a period is divided; None while the group only has what it was founded with."""
    query = select(DistributionRule).where(DistributionRule.linkage_group_id == group_id, DistributionRule.from_period <= period)
    return db.session.scalars(query.order_by(DistributionRule.version_no.desc()).limit(1)).first()


def terms_of(group: LinkageGroup, rule: DistributionRule | None) -> Terms:
    """The figures of a version, or of a group that has none yet: grams and shares as it was founded."""
    return Terms(group.patronage_bp) if rule is None else Terms.of(rule)


def latest(group_id: int) -> DistributionRule | None:
    """The newest version, in force or still to come."""
    query = select(DistributionRule).where(DistributionRule.linkage_group_id == group_id)
    return db.session.scalars(query.order_by(DistributionRule.version_no.desc()).limit(1)).first()


def history(organisation_id: int) -> dict[int, list[DistributionRule]]:
    """All versions of a cooperative by linkage group, the newest first."""
    query = select(DistributionRule).where(DistributionRule.organisation_id == organisation_id)
    versions: dict[int, list[DistributionRule]] = {}
    for row in db.session.scalars(query.order_by(DistributionRule.linkage_group_id, DistributionRule.version_no.desc())):
        versions.setdefault(row.linkage_group_id, []).append(row)
    return versions
