"""Where a purchase goes, as the buyer wrote it: checked before anything is reserved."""

from dataclasses import asdict, dataclass

import phonenumbers

from marketplace.foundation.database import db
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.organisations.region import Region


@dataclass(frozen=True)
class Destination:
    """``region_id`` for a village or township of the county, else ``province`` and ``city`` as text."""

    recipient: str
    phone: str
    street: str
    region_id: int | None = None
    province: str = ""
    city: str = ""
    note: str = ""

    def as_request(self) -> dict[str, str | int | None]:
        """What an idempotency key compares."""
        return asdict(self)

    def place(self) -> str:
        """Province and city, or township and village: what may be shown to anybody who handles the parcel."""
        if self.region_id is None:
            return f"{self.province.strip()}{self.city.strip()}"
        names: list[str] = []
        region = db.session.get(Region, self.region_id)
        while region is not None:
            names.insert(0, region.name_zh)
            region = db.session.get(Region, region.parent_id) if region.parent_id else None
        return "".join(names)

    def check(self) -> None:
        """Raise InvalidInput naming the first field that cannot be delivered to."""
        if not 1 <= len(self.recipient.strip()) <= 60:
            raise InvalidInput("recipient.bad", N_("请写上收货人姓名。"), field="recipient")
        if not _reachable(self.phone):
            raise InvalidInput("phone.bad", N_("这个电话号码不对，快递员会联系不上您。"), field="phone")
        if self.region_id is not None:
            if db.session.get(Region, self.region_id) is None:
                raise InvalidInput("region.bad", N_("请选择乡镇和村。"), field="region_id")
        elif not self.province.strip() or not self.city.strip() or len(self.province) > 40 or len(self.city) > 60:
            raise InvalidInput("city.bad", N_("请写上省份和城市，或选择本县的乡镇和村。"), field="city")
        if not 2 <= len(self.street.strip()) <= 200:
            raise InvalidInput("street.bad", N_("请写上街道、门牌或村组。"), field="street")
        if len(self.note) > 300:
            raise InvalidInput("note.long", N_("备注请在 300 字以内。"), field="note")


def _reachable(phone: str) -> bool:
    try:
        return bool(phonenumbers.is_valid_number(phonenumbers.parse(phone, "CN")))
    except phonenumbers.NumberParseException:
        return False
