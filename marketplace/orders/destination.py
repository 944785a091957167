"""Where a purchase goes, as the buyer wrote it: checked before anything is reserved."""

from dataclasses import asdict, dataclass

from marketplace.foundation.database import db
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.organisations import address
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
        address.check(
            recipient=self.recipient, phone=self.phone, street=self.street, region_id=self.region_id, province=self.province, city=self.city
        )
        if len(self.note) > 300:
            raise InvalidInput("note.long", N_("备注请在 300 字以内。"), field="note")
