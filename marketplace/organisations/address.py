"""Where to send something. Recipient, phone and street are sealed; the region tells the county's own places from elsewhere."""

from datetime import datetime

import phonenumbers
from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.crypto import Sealed, sealed_column
from marketplace.foundation.database import Model, Public, db, locked, not_found
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.region import Region

MOST = 20


class Address(Public, Model):
    """An address of an organisation (of a private buyer: their own). Never edited: a new one is written and the old one retired."""

    __tablename__ = "address"

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    region_id: Mapped[int | None] = mapped_column(ForeignKey("region.id"))  # a village or township of the county
    province: Mapped[str] = mapped_column(String(40), default="")  # elsewhere: province and city as text
    city: Mapped[str] = mapped_column(String(60), default="")
    street_sealed: Mapped[str] = sealed_column(900)
    street = Sealed()
    recipient_sealed: Mapped[str] = sealed_column()
    recipient = Sealed()
    phone_sealed: Mapped[str] = sealed_column()
    phone = Sealed()
    created_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]


def of(organisation_id: int) -> list[Address]:
    """The addresses in use of an organisation, the latest first."""
    query = select(Address).where(Address.organisation_id == organisation_id, Address.retired_at.is_(None)).order_by(Address.id.desc())
    return list(db.session.scalars(query))


def save(
    *, recipient: str, phone: str, street: str, region_id: int | None = None, province: str = "", city: str = "",
    instead_of: int | None = None, actor: Actor,
) -> Address:  # fmt: skip
    """Keep an address of the actor's organisation, ``instead_of`` one that is retired thereby. The same one again is the one that stands.

    Raises InvalidInput naming the first bad field, NotFound for another's, Conflict ``address.retired`` if it was changed meanwhile,
    ``address.many``.
    """
    check(recipient=recipient, phone=phone, street=street, region_id=region_id, province=province, city=city)
    locked(Organisation, actor.organisation_id)  # two clicks at once come one after the other
    told = {
        "recipient": recipient.strip(), "phone": phone.strip(), "street": street.strip(), "region_id": region_id,
        "province": "" if region_id else province.strip(), "city": "" if region_id else city.strip(),
    }  # fmt: skip
    standing = of(actor.organisation_id)
    same = next((row for row in standing if all(getattr(row, name) == value for name, value in told.items())), None)
    if same is not None and same.id != instead_of:
        if instead_of is not None:
            retire(instead_of, actor=actor)
        return same
    if same is not None:
        return same
    if instead_of is not None:
        retire(instead_of, actor=actor)
    elif len(standing) >= MOST:
        raise Conflict("address.many", N_("最多存 %(most)s 个地址，先删掉不用的。"), most=MOST)
    row = Address(organisation_id=actor.organisation_id, created_at=clock.now())
    for name, value in told.items():
        setattr(row, name, value)
    db.session.add(row)
    db.session.flush()
    audit.record("address.saved", row, person_id=actor.person_id)
    return row


def retire(address_id: int, *, actor: Actor) -> None:
    """Take an address out of use; orders that went there keep what they were written. Conflict ``address.retired`` the second time."""
    row = locked(Address, address_id)
    if row.organisation_id != actor.organisation_id:
        raise not_found(Address)
    if row.retired_at is not None:
        raise Conflict("address.retired", N_("这个地址已经改过或删掉了，请刷新页面看看。"))
    row.retired_at = clock.now()
    db.session.flush()
    audit.record("address.retired", row, person_id=actor.person_id)


def check(*, recipient: str, phone: str, street: str, region_id: int | None, province: str, city: str) -> None:
    """Raise InvalidInput naming the first field that cannot be delivered to."""
    if not 1 <= len(recipient.strip()) <= 60:
        raise InvalidInput("recipient.bad", N_("请写上收货人姓名。"), field="recipient")
    if not _reachable(phone):
        raise InvalidInput("phone.bad", N_("这个电话号码不对，快递员会联系不上您。"), field="phone")
    if region_id is not None:
        if db.session.get(Region, region_id) is None:
            raise InvalidInput("region.bad", N_("请选择乡镇和村。"), field="region_id")
    elif not province.strip() or not city.strip() or len(province) > 40 or len(city) > 60:
        raise InvalidInput("city.bad", N_("请写上省份和城市，或选择本县的乡镇和村。"), field="city")
    if not 2 <= len(street.strip()) <= 200:
        raise InvalidInput("street.bad", N_("请写上街道、门牌或村组。"), field="street")


def _reachable(phone: str) -> bool:
    try:
        return bool(phonenumbers.is_valid_number(phonenumbers.parse(phone, "CN")))
    except phonenumbers.NumberParseException:
        return False
