"""An organisation: whoever can own a row. A private buyer is an organisation of kind PERSON, so that every row has an owner."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.crypto import Sealed, sealed_column
from marketplace.foundation.database import Model, Public, Versioned

KINDS = ("OPERATOR", "COOPERATIVE", "UNIT", "STATION", "VILLAGE", "PERSON")


class Organisation(Public, Versioned, Model):
    """Who buys, sells, runs or assists. ``parent_id`` is the supervising unit (主管预算单位) of a unit."""

    __tablename__ = "organisation"
    __table_args__ = (CheckConstraint("kind IN ('OPERATOR','COOPERATIVE','UNIT','STATION','VILLAGE','PERSON')", name="kind"),)

    code: Mapped[str | None] = mapped_column(String(40), unique=True)  # stable name in seed files
    kind: Mapped[str] = mapped_column(String(12), index=True)
    name_zh: Mapped[str] = mapped_column(String(120))
    name_en: Mapped[str | None] = mapped_column(String(160))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"), index=True)
    region_id: Mapped[int | None] = mapped_column(ForeignKey("region.id"), index=True)
    credit_code: Mapped[str | None] = mapped_column(String(18), unique=True)
    address: Mapped[str] = mapped_column(String(200), default="")
    phone: Mapped[str] = mapped_column(String(30), default="")
    created_at: Mapped[datetime]
    suspended_at: Mapped[datetime | None]


class Cooperative(Public, Model):
    """What a selling organisation must have to sell: licences, bank account, Alipay seller id, a story."""

    __tablename__ = "cooperative"

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), unique=True)
    food_licence: Mapped[str] = mapped_column(String(16))
    licence_expires_on: Mapped[date]
    licence_scope: Mapped[str] = mapped_column(String(120))  # category codes joined by ";"
    bank_name: Mapped[str] = mapped_column(String(80))
    bank_account_sealed: Mapped[str] = sealed_column()
    bank_account = Sealed()
    alipay_app_id: Mapped[str] = mapped_column(String(32))
    alipay_seller_id: Mapped[str] = mapped_column(String(32))
    story_zh: Mapped[str] = mapped_column(Text, default="")
    story_en: Mapped[str | None] = mapped_column(Text)

    def may_sell(self, category: str) -> bool:
        return category in self.licence_scope.split(";")


class ServiceStation(Public, Model):
    """One of the county's e-commerce service stations: assisted ordering, parcels, printed slips."""

    __tablename__ = "service_station"

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), unique=True)
    region_id: Mapped[int] = mapped_column(ForeignKey("region.id"))
    keeper_name: Mapped[str] = mapped_column(String(40), default="")
