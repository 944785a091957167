"""A commitment (认购承诺): a unit's pledge to buy. It reserves no stock and posts nothing; orders draw on it by naming it."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from marketplace.catalogue.category import Category
from marketplace.foundation import audit, clock
from marketplace.foundation.database import db, locked
from marketplace.foundation.errors import Conflict, InvalidInput, NotFound
from marketplace.foundation.idempotency import once
from marketplace.foundation.language import N_, text
from marketplace.foundation.money import FEN_MAX
from marketplace.orders.order import Order, OrderLine
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Organisation
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.procurement.target import Commitment


def make(
    *, fen: int, year: int, cooperative_id: int | None = None, category: str | None = None, note: str = "", actor: Actor, key: str = ""
) -> Commitment:
    """Pledge ``fen`` for a year, if wished to one cooperative or one category. The same ``key``: the same pledge.

    InvalidInput for a bad figure, cooperative or category.
    """
    actor.must_have("UNIT", "buyer")
    if not key:
        return _make(fen, year, cooperative_id, category, note, actor)
    request = [fen, year, cooperative_id, category, note.strip()]
    made = once(
        f"commitment:{actor.organisation_id}", key, request, lambda: {"commitment_id": _make(fen, year, cooperative_id, category, note, actor).id}
    )
    return db.session.get_one(Commitment, made["commitment_id"])


def _make(fen: int, year: int, cooperative_id: int | None, category: str | None, note: str, actor: Actor) -> Commitment:
    if not 0 < fen < FEN_MAX:
        raise InvalidInput("fen.bad", N_("请填写认购金额。"), field="fen")
    if not clock.business_date().year <= year <= clock.business_date().year + 1:
        raise InvalidInput("year.bad", N_("年份不对。"), field="year")
    if cooperative_id is not None:
        seller = db.session.get(Organisation, cooperative_id)
        if seller is None or seller.kind != "COOPERATIVE":
            raise InvalidInput("cooperative.bad", N_("请选择合作社。"), field="cooperative_id")
    if category is not None and db.session.get(Category, category) is None:
        raise InvalidInput("category.bad", N_("请选择品类。"), field="category")
    row = Commitment(
        organisation_id=actor.organisation_id,
        cooperative_id=cooperative_id,
        category=category,
        year=year,
        fen=fen,
        note=note.strip()[:200],
        state="OPEN",
        made_at=clock.now(),
        made_by_id=actor.person_id,
        version=1,
    )
    db.session.add(row)
    db.session.flush()
    audit.record("commitment.made", row, person_id=actor.person_id, fen=fen)
    return row


def withdraw(commitment_id: int, *, version: int, actor: Actor) -> Commitment:
    """Take an open pledge back; what was ordered on it stays ordered. Conflict ``commitment.closed``, ``version.stale``."""
    actor.must_have("UNIT", "buyer")
    row = locked(Commitment, commitment_id)
    if row.organisation_id != actor.organisation_id:
        raise NotFound("commitment.missing", N_("没有找到，或不归您的单位查看。"))
    if row.state != "OPEN":
        raise Conflict("commitment.closed", N_("这份承诺已经结束了。"))
    row.must_be_version(version)
    row.state = "WITHDRAWN"
    db.session.flush()
    audit.record("commitment.withdrawn", row, person_id=actor.person_id)
    return row


@dataclass(frozen=True)
class Pledge:
    """A commitment and what orders drew on it, in fen. ``state``: OPEN, FULFILLED (all drawn), LAPSED (its year is over), WITHDRAWN."""

    row: Commitment
    cooperative: str | None
    category: str | None
    drawn_fen: int

    @property
    def left_fen(self) -> int:
        return max(0, self.row.fen - self.drawn_fen)

    @property
    def state(self) -> str:
        if self.row.state != "OPEN":
            return self.row.state
        if self.left_fen == 0:
            return "FULFILLED"
        return "LAPSED" if self.row.year < clock.business_date().year else "OPEN"


def of_unit(organisation_id: int) -> list[Pledge]:
    """A unit's pledges, the latest first, each with what was drawn. One query."""
    amount = func.coalesce(func.sum(OrderLine.quantity * OrderLine.price_fen), 0)
    drawn_fen = _drawn().where(DirectedOrder.commitment_id == Commitment.id).with_only_columns(amount).correlate(Commitment).scalar_subquery()
    query = (
        select(Commitment, Organisation, Category, drawn_fen)
        .outerjoin(Organisation, Organisation.id == Commitment.cooperative_id)
        .outerjoin(Category, Category.code == Commitment.category)
        .where(Commitment.organisation_id == organisation_id)
        .order_by(Commitment.id.desc())
    )
    return [
        Pledge(row, text(seller, "name") if seller else None, text(category, "name") if category else None, int(fen))
        for row, seller, category, fen in db.session.execute(query)
    ]


def drawn(commitment_id: int) -> int:
    """Fen of goods ordered on the pledge, at the prices ordered; orders returned, declined or cancelled left out."""
    query = _drawn().where(DirectedOrder.commitment_id == commitment_id)
    return int(db.session.scalars(query).one())


def _drawn() -> Any:
    return (
        select(func.coalesce(func.sum(OrderLine.quantity * OrderLine.price_fen), 0))
        .join(Order, Order.id == OrderLine.order_id)
        .join(DirectedOrder, DirectedOrder.order_id == Order.id)
        .where(Order.fulfilment != "CANCELLED")
    )
