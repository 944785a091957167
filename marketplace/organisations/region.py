"""The county's regions: county, townships, villages. A township's being 镇 or 乡 is data; it changes."""

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Identified, Model


class Region(Identified, Model):
    """One region of the tree. ``code`` is the state's statistics code; altitude in metres."""

    __tablename__ = "region"
    __table_args__ = (CheckConstraint("kind IN ('COUNTY','TOWNSHIP','VILLAGE')", name="kind"),)

    code: Mapped[str] = mapped_column(String(12), unique=True)
    kind: Mapped[str] = mapped_column(String(10), index=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("region.id"), index=True)
    name_zh: Mapped[str] = mapped_column(String(60))
    name_en: Mapped[str | None] = mapped_column(String(80))
    altitude_m: Mapped[int | None]
    # Whether the geographical indication of Jing'an white tea may be used for tea from here.
    gi_area: Mapped[bool] = mapped_column(default=False)
    is_invented: Mapped[bool] = mapped_column(default=False)
