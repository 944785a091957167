"""Conformity certificate (承诺达标合格证) of a batch: what the producer promises of so much of it, as it was on the day of issue."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, func, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.catalogue.category import CATEGORIES
from marketplace.foundation import audit, clock
from marketplace.foundation.database import Model, Public, db
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.idempotency import once
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.region import Region
from marketplace.supply import harvest

# What the promise rests on: a commissioned test, an own test, control of quality inside, or the producer's word.
BASES = {"COMMISSIONED": N_("委托检测"), "OWN_TEST": N_("自我检测"), "CONTROL": N_("内部质量控制"), "WORD": N_("自我承诺")}


class ConformityCertificate(Public, Model):
    """Never changed: another one is issued. Origin, producer and contact are kept as they were."""

    __tablename__ = "conformity_certificate"
    __table_args__ = (CheckConstraint("grams > 0", name="grams"),)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    batch_id: Mapped[int] = mapped_column(ForeignKey("batch.id"), index=True)
    number: Mapped[str] = mapped_column(String(50), unique=True)
    goods_zh: Mapped[str] = mapped_column(String(80))
    grams: Mapped[int]
    origin_zh: Mapped[str] = mapped_column(String(160))
    producer_zh: Mapped[str] = mapped_column(String(120))
    contact: Mapped[str] = mapped_column(String(60))
    basis: Mapped[str] = mapped_column(String(14))
    issued_on: Mapped[date]
    issued_at: Mapped[datetime]
    issued_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))


def issue(batch_id: int, grams: int, basis: str, *, actor: Actor, key: str) -> int:
    """Promise for so many grams of the batch; the certificate's id. By the cooperative's clerk or director.

    Raises InvalidInput ``certificate.grams`` (nothing, or more than was harvested), ``certificate.basis``, ``certificate.contact``.
    """
    actor.must_have("COOPERATIVE", "clerk", "director")
    answer = once(f"certificate:{actor.organisation_id}", key, [batch_id, grams, basis], lambda: {"id": _issue(batch_id, grams, basis, actor)})
    return int(answer["id"])


def _issue(batch_id: int, grams: int, basis: str, actor: Actor) -> int:
    batch = harvest.own(batch_id, actor)
    if basis not in BASES:
        raise InvalidInput("certificate.basis", N_("请选承诺的依据。"), field="basis")
    if not 0 < grams <= batch.grams_harvested:
        raise InvalidInput("certificate.grams", N_("数量要大于零，不能超过采收量。"), field="grams")
    producer = db.session.get_one(Organisation, batch.organisation_id)
    if not producer.phone:
        raise InvalidInput("certificate.contact", N_("合作社还没有登记联系电话，合格证上必须有。"), field="")
    village = db.session.get_one(Region, batch.village_id)
    township = db.session.get_one(Region, village.parent_id)
    issued = db.session.scalar(select(func.count()).where(ConformityCertificate.batch_id == batch.id)) or 0
    row = ConformityCertificate(
        organisation_id=batch.organisation_id,
        batch_id=batch.id,
        number=f"{batch.code}-{issued + 1:02d}",
        goods_zh=CATEGORIES[batch.category][0],
        grams=grams,
        origin_zh=f"江西省靖安县{township.name_zh}{village.name_zh}",
        producer_zh=producer.name_zh,
        contact=producer.phone,
        basis=basis,
        issued_on=clock.business_date(),
        issued_at=clock.now(),
        issued_by_id=actor.person_id,
    )
    db.session.add(row)
    db.session.flush()
    audit.record("certificate.issued", row, person_id=actor.person_id, batch_id=batch.id, grams=grams)
    return row.id


def of(batch_id: int) -> list[ConformityCertificate]:
    """The batch's certificates, newest first."""
    query = select(ConformityCertificate).where(ConformityCertificate.batch_id == batch_id).order_by(ConformityCertificate.id.desc())
    return list(db.session.scalars(query))
