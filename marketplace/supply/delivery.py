"""Deliveries of households to a batch: the base of patronage. Recorded by weight and floor price; a wrong one stays and counts no more."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import select

from marketplace.foundation import audit, clock
from marketplace.foundation.database import db
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.idempotency import once
from marketplace.foundation.language import N_
from marketplace.households.household import Household
from marketplace.households.linkage_group import LinkageShare
from marketplace.organisations.actor import Actor
from marketplace.supply import harvest
from marketplace.supply.batch import Batch, Delivery

DAYS_AFTER = 3  # leaf is brought on the day of the harvest, or up to three days later
PRICE_MOST = 10_000_00  # fen a kilogram


@dataclass(frozen=True)
class NewDelivery:
    """What a household brought: code, grams of finished goods, day, floor price in fen a kilogram."""

    code: str
    grams: int
    delivered_on: date
    floor_price_fen_per_kg: int


class DeliveryBook:
    """One batch's deliveries as they stand, for checking many new ones without asking the database for each."""

    def __init__(self, batch: Batch, codes: Sequence[str]) -> None:
        self.batch = batch
        homes = db.session.execute(select(Household.code, Household.id).where(Household.code.in_(codes)))
        self.ids: dict[str, int] = {row[0]: row[1] for row in homes}
        query = select(LinkageShare).where(LinkageShare.group_id == batch.linkage_group_id, LinkageShare.kind == "SUPPLY")
        self.terms: dict[int, list[LinkageShare]] = {}
        for term in db.session.scalars(query):
            self.terms.setdefault(term.household_id, []).append(term)
        standing = list(db.session.scalars(select(Delivery).where(Delivery.batch_id == batch.id, Delivery.voided_at.is_(None))))
        self.grams = sum(row.grams for row in standing)
        self.same = {(row.household_id, row.delivered_on, row.grams) for row in standing}

    def check(self, new: NewDelivery) -> int:
        """The household's id; counts the weight in. Raises InvalidInput naming its field."""
        household_id = self.ids.get(new.code)
        if household_id is None:
            raise InvalidInput("delivery.household", N_("没有这个户编号。"), field="code")
        first, last = self.batch.harvested_on, min(self.batch.harvested_on + timedelta(days=DAYS_AFTER), clock.business_date())
        if not first <= new.delivered_on <= last:
            message = N_("交货日要在采收日 %(first)s 到 %(last)s 之间。")
            raise InvalidInput("delivery.day", message, field="delivered_on", first=f"{first}", last=f"{last}")
        if not any(term.in_force(new.delivered_on) for term in self.terms.get(household_id, [])):
            raise InvalidInput("delivery.terms", N_("这户那天在这个联农组没有保底收购的联结。"), field="code")
        if not 0 <= new.floor_price_fen_per_kg <= PRICE_MOST:
            raise InvalidInput("delivery.price", N_("保底价请写每公斤多少元，最多 10,000 元。"), field="price")
        if new.grams <= 0 or self.grams + new.grams > self.batch.grams_harvested:
            left = max(0, self.batch.grams_harvested - self.grams)
            raise InvalidInput("delivery.grams", N_("这个批次还没有登记交货的只有 %(left)s 克。"), field="kilograms", left=left)
        key = (household_id, new.delivered_on, new.grams)
        if key in self.same:
            raise InvalidInput("delivery.same", N_("这户那天已有一笔同样重量的交货。真有两笔请合成一笔。"), field="kilograms")
        self.same.add(key)
        self.grams += new.grams
        return household_id


def record(batch_id: int, new: NewDelivery, *, actor: Actor, key: str) -> int:
    """Record one delivery; its id. By the cooperative's clerk or director; the same ``key`` records once."""
    batch = harvest.own(batch_id, actor)
    return int(once(f"delivery:{batch.id}", key, vars(new), lambda: {"id": write_all(batch, [new], actor=actor)[0]})["id"])


def write_all(batch: Batch, wanted: Sequence[NewDelivery], *, actor: Actor) -> list[int]:
    """Record all or, at the first that does not fit, raise; their ids. The caller holds the batch."""
    book = DeliveryBook(batch, [new.code for new in wanted])
    rows = [
        Delivery(
            organisation_id=batch.organisation_id, batch_id=batch.id, household_id=book.check(new), grams=new.grams,
            delivered_on=new.delivered_on, floor_price_fen_per_kg=new.floor_price_fen_per_kg,
        )
        for new in wanted
    ]  # fmt: skip
    db.session.add_all(rows)
    db.session.flush()
    audit.record("deliveries.recorded", batch, person_id=actor.person_id, rows=len(rows), grams=sum(row.grams for row in rows))
    return [row.id for row in rows]


def void(batch_id: int, household_id: int, delivered_on: date, grams: int, reason: str, *, actor: Actor) -> Delivery:
    """Let a delivery that was recorded wrongly count no more. Raises Conflict ``delivery.none``, InvalidInput without a reason."""
    batch = harvest.own(batch_id, actor)
    query = select(Delivery).where(
        Delivery.batch_id == batch.id, Delivery.household_id == household_id, Delivery.delivered_on == delivered_on,
        Delivery.grams == grams, Delivery.voided_at.is_(None),
    )  # fmt: skip
    row = db.session.scalars(query.order_by(Delivery.id).limit(1)).one_or_none()
    if row is None:
        raise Conflict("delivery.none", N_("没有这笔交货，或已经作废过了。"))
    if not 2 <= len(reason.strip()) <= 200:
        raise InvalidInput("delivery.reason", N_("请写为什么作废，200 字以内。"), field="reason")
    row.voided_at, row.voided_by_id, row.void_reason = clock.now(), actor.person_id, reason.strip()
    audit.record("delivery.voided", row, person_id=actor.person_id, grams=row.grams)
    db.session.flush()
    return row
