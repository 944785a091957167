"""The four goods of the county."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Model
from marketplace.foundation.language import N_

CATEGORIES = {
    "white_tea": (N_("靖安白茶"), "114"),
    "chrysanthemum": (N_("皇菊"), "114"),
    "camellia_oil": (N_("山茶油"), "102"),
    "honey": (N_("土蜂蜜"), "126"),
}


class Category(Model):
    """A kind of goods; ``licence_category`` is the category of its food licence (SC + three digits)."""

    __tablename__ = "category"

    code: Mapped[str] = mapped_column(String(30), primary_key=True)
    name_zh: Mapped[str] = mapped_column(String(40))
    name_en: Mapped[str | None] = mapped_column(String(60))
    licence_category: Mapped[str] = mapped_column(String(3))
    position: Mapped[int] = mapped_column(default=0)
