"""Packing: grams of a batch become packs on the shelf. A mistake is a row of its own with the opposite sign."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.catalogue.product import Pack, Product
from marketplace.foundation import audit, clock
from marketplace.foundation.database import Identified, Model, by_public_id, db
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.idempotency import once
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor
from marketplace.supply import harvest, stock

PACKS_MOST = 1_000_000


class Packing(Identified, Model):
    """So many packs of a kind out of a batch; negative where they were opened again."""

    __tablename__ = "packing"
    __table_args__ = (CheckConstraint("packs <> 0", name="packs"), CheckConstraint("(packs > 0) = (grams > 0)", name="grams"))

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    batch_id: Mapped[int] = mapped_column(ForeignKey("batch.id"), index=True)
    pack_id: Mapped[int] = mapped_column(ForeignKey("pack.id"), index=True)
    packs: Mapped[int]
    grams: Mapped[int]
    note: Mapped[str] = mapped_column(String(200), default="")
    packed_at: Mapped[datetime]
    packed_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))


def pack(batch_id: int, pack: str, packs: int, *, actor: Actor, key: str, note: str = "") -> int:
    """Pack (or with a negative number and a note open again) so many of ``pack`` (public id) out of the batch; the packing's id.

    Raises InvalidInput ``packing.packs``, ``packing.group`` (goods of another linkage group), ``packing.note``; Conflict
    ``packing.short`` beyond what was harvested, ``packing.sold`` or ``stock.reserved`` where it is gone or promised.
    """
    actor.must_have("COOPERATIVE", "clerk", "director")
    request = [batch_id, pack, packs, note]
    answer = once(f"packing:{actor.organisation_id}", key, request, lambda: {"id": _pack(batch_id, pack, packs, note.strip(), actor)})
    return int(answer["id"])


def _pack(batch_id: int, public_id: str, packs: int, note: str, actor: Actor) -> int:
    if not 0 < abs(packs) <= PACKS_MOST:
        raise InvalidInput("packing.packs", N_("请写装了几件。"), field="packs")
    if len(note) > 200 or (packs < 0 and not note):
        raise InvalidInput("packing.note", N_("拆回去要写明为什么，200 字以内。"), field="note")
    kind = by_public_id(Pack, public_id, select(Pack).where(Pack.organisation_id == actor.organisation_id))
    # Stock is locked before batches, here as in shipments, so that the two never wait for each other.
    stock.ensure(kind.id, kind.organisation_id)
    batch = harvest.own(batch_id, actor)
    if db.session.get_one(Product, kind.product_id).linkage_group_id != batch.linkage_group_id:
        raise InvalidInput("packing.group", N_("这个规格不是这个批次的联农组的商品。"), field="pack")
    grams = packs * kind.net_grams
    if batch.grams_packed + grams > batch.grams_harvested:
        left = batch.grams_harvested - batch.grams_packed
        raise Conflict("packing.short", N_("这个批次还没装的只有 %(left)s 克。"), field="packs", left=left)
    if batch.grams_packed + grams < batch.grams_sold:
        raise Conflict("packing.sold", N_("这个批次已经卖出 %(sold)s 克，装好的不能比这更少。"), field="packs", sold=batch.grams_sold)
    row = Packing(
        organisation_id=batch.organisation_id, batch_id=batch.id, pack_id=kind.id, packs=packs, grams=grams, note=note,
        packed_at=clock.now(), packed_by_id=actor.person_id,
    )  # fmt: skip
    db.session.add(row)
    db.session.flush()
    stock.adjust(kind.id, by=packs, reason="PACKED", person_id=actor.person_id, source_type="packing", source_id=row.id, note=note)
    batch.grams_packed += grams
    audit.record("batch.packed", batch, person_id=actor.person_id, pack_id=kind.id, packs=packs, grams=grams)
    db.session.flush()
    return row.id
