"""Mass balance: sold ≤ packed ≤ harvested ≤ area × yield, and no sale without a delivery. What does not add up is a question for people.

The database refuses to sell or pack too much; what can only be doubted (a yield, a delivery, a count by hand) is found here and queued.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, func, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.catalogue.product import Pack, Product
from marketplace.foundation import audit, clock
from marketplace.foundation.database import Model, Public, Versioned, db, locked
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor, own_row
from marketplace.supply.batch import Batch, Delivery
from marketplace.supply.stock import Stock

# What a mu yields in a season at most, grams of finished goods. Background knowledge: it raises a question, it refuses nothing.
YIELD_GRAMS_PER_MU = {"white_tea": 15_000, "chrysanthemum": 80_000, "camellia_oil": 30_000}
# YIELD: harvested beyond what the area gives. DELIVERED: households delivered more than was harvested. UNDELIVERED: more was sold than
# households delivered. STOCK: more packs on the shelf than batches of the group hold.
KINDS = ("YIELD", "DELIVERED", "UNDELIVERED", "STOCK")


class MassAnomaly(Public, Versioned, Model):
    """One thing that does not add up, by how many grams. Open until somebody of the operator closes it, or it is gone by itself."""

    __tablename__ = "mass_anomaly"
    __table_args__ = (
        CheckConstraint("kind IN ('YIELD','DELIVERED','UNDELIVERED','STOCK')", name="kind"),
        CheckConstraint("state IN ('OPEN','CLOSED','GONE')", name="state"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    linkage_group_id: Mapped[int] = mapped_column(ForeignKey("linkage_group.id"))
    batch_id: Mapped[int | None] = mapped_column(ForeignKey("batch.id"), index=True)  # none: the whole group
    kind: Mapped[str] = mapped_column(String(12))
    grams_over: Mapped[int]
    state: Mapped[str] = mapped_column(String(8), default="OPEN", index=True)
    found_at: Mapped[datetime]
    explanation: Mapped[str] = mapped_column(String(500), default="")  # the cooperative's
    closed_at: Mapped[datetime | None]
    closed_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    close_reason: Mapped[str] = mapped_column(String(500), default="")


@dataclass(frozen=True)
class Doubt:
    """What is found now: kind, group, batch (or none), grams over."""

    kind: str
    group_id: int
    batch_id: int | None
    grams_over: int


def doubts(organisation_id: int) -> Iterator[Doubt]:
    """What does not add up at this cooperative now. Four statements."""
    query = select(Delivery.batch_id, func.sum(Delivery.grams)).where(Delivery.organisation_id == organisation_id, Delivery.voided_at.is_(None))
    delivered = {row[0]: int(row[1]) for row in db.session.execute(query.group_by(Delivery.batch_id))}
    left: dict[int, int] = {}
    for batch in db.session.scalars(select(Batch).where(Batch.organisation_id == organisation_id).order_by(Batch.id)):
        left[batch.linkage_group_id] = left.get(batch.linkage_group_id, 0) + batch.grams_left
        most = batch.area_mu * YIELD_GRAMS_PER_MU.get(batch.category, 10**9) if batch.area_mu else None
        brought = delivered.get(batch.id, 0)
        over = {
            "YIELD": batch.grams_harvested - most if most is not None else 0,
            "DELIVERED": brought - batch.grams_harvested,
            "UNDELIVERED": batch.grams_sold - brought,
        }
        yield from (Doubt(kind, batch.linkage_group_id, batch.id, grams) for kind, grams in over.items() if grams > 0)
    shelf = (
        select(Product.linkage_group_id, func.sum(Stock.on_hand * Pack.net_grams))
        .join(Pack, Pack.product_id == Product.id)
        .join(Stock, Stock.pack_id == Pack.id)
        .where(Product.organisation_id == organisation_id)
        .group_by(Product.linkage_group_id)
    )
    for group_id, grams in db.session.execute(shelf):
        if grams > left.get(group_id, 0):
            yield Doubt("STOCK", group_id, None, int(grams) - left.get(group_id, 0))


def look(organisation_id: int) -> list[MassAnomaly]:
    """Bring the queue up to date with what is found now; what is new in it. A closed one opens anew only if it has grown."""
    query = select(MassAnomaly).where(MassAnomaly.organisation_id == organisation_id, MassAnomaly.state != "GONE").order_by(MassAnomaly.id)
    known = {(row.kind, row.linkage_group_id, row.batch_id): row for row in db.session.scalars(query.with_for_update())}
    added = []
    for doubt in doubts(organisation_id):
        row = known.pop((doubt.kind, doubt.group_id, doubt.batch_id), None)
        if row is not None and (row.state == "OPEN" or doubt.grams_over <= row.grams_over):
            row.grams_over = doubt.grams_over if row.state == "OPEN" else row.grams_over
            continue
        fresh = MassAnomaly(
            organisation_id=organisation_id, linkage_group_id=doubt.group_id, batch_id=doubt.batch_id, kind=doubt.kind,
            grams_over=doubt.grams_over, found_at=clock.now(), version=1,
        )  # fmt: skip
        db.session.add(fresh)
        added.append(fresh)
    for row in known.values():
        if row.state == "OPEN":
            row.state, row.closed_at = "GONE", clock.now()
    db.session.flush()
    return added


def explain(anomaly_id: int, words: str, *, version: int, actor: Actor) -> MassAnomaly:
    """The cooperative's word on it, for the county office to judge."""
    row = own_row(MassAnomaly, anomaly_id, actor, "clerk", "director", "accountant")
    _must_be_open(row, words, version)
    row.explanation = words.strip()
    audit.record("mass_anomaly.explained", row, person_id=actor.person_id)
    db.session.flush()
    return row


def close(anomaly_id: int, reason: str, *, version: int, actor: Actor) -> MassAnomaly:
    """The county office's word: looked at, and why it may stand."""
    actor.must_have("OPERATOR", "reviewer", "administrator")
    row = locked(MassAnomaly, anomaly_id)
    _must_be_open(row, reason, version)
    row.state, row.closed_at, row.closed_by_id, row.close_reason = "CLOSED", clock.now(), actor.person_id, reason.strip()
    audit.record("mass_anomaly.closed", row, person_id=actor.person_id, kind=row.kind, grams=row.grams_over)
    db.session.flush()
    return row


def _must_be_open(row: MassAnomaly, words: str, version: int) -> None:
    if row.state != "OPEN":
        raise Conflict("anomaly.state", N_("这一项已经办结，请刷新后再看。"), state=row.state)
    if not 2 <= len(words.strip()) <= 500:
        raise InvalidInput("anomaly.words", N_("请写明情况，500 字以内。"), field="words")
    row.must_be_version(version)
