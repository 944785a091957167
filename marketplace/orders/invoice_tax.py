"""How a cooperative's goods are taxed (税收分类): set by its accountant, because the cooperative is the taxpayer.

A farmers' cooperative that sells its members' produce is exempt; what it has others make is not. The market assumes neither.
"""

import re
from collections.abc import Sequence

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.catalogue.product import Product
from marketplace.foundation import audit
from marketplace.foundation.database import Identified, Model, db, locked
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.orders.order import OrderLine
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Organisation

_CODE = re.compile(r"[1-9][0-9]{18}")


class InvoiceTax(Identified, Model):
    """For one kind of goods: class code (19 digits), rate in basis points, or exempt."""

    __tablename__ = "invoice_tax"
    __table_args__ = (
        UniqueConstraint("organisation_id", "category"),
        CheckConstraint("rate_bp >= 0 AND rate_bp <= 2000", name="rate"),
        CheckConstraint("NOT exempt OR rate_bp = 0", name="exempt"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    category: Mapped[str] = mapped_column(ForeignKey("category.code"))
    class_code: Mapped[str] = mapped_column(String(19))
    rate_bp: Mapped[int]
    exempt: Mapped[bool] = mapped_column(default=False)


def of(organisation_id: int) -> dict[str, InvoiceTax]:
    """What a cooperative has set, by kind of goods."""
    query = select(InvoiceTax).where(InvoiceTax.organisation_id == organisation_id)
    return {row.category: row for row in db.session.scalars(query)}


def exempt_goods(order_ids: Sequence[int]) -> list[str]:
    """What on these orders is exempt for whoever sells it: no special invoice may be issued over it (增值税暂行条例, article 21)."""
    query = (
        select(OrderLine.name_zh)
        .join(Product, Product.id == OrderLine.product_id)
        .join(InvoiceTax, (InvoiceTax.organisation_id == OrderLine.organisation_id) & (InvoiceTax.category == Product.category))
        .where(OrderLine.order_id.in_(order_ids), InvoiceTax.exempt)
        .order_by(OrderLine.id)
    )
    return list(db.session.scalars(query))


def save(category: str, *, class_code: str, rate_bp: int, exempt: bool, actor: Actor) -> InvoiceTax:
    """Set it for one kind of goods. By the accountant; InvalidInput for a code that is not 19 digits or a rate above 20 %."""
    actor.must_have("COOPERATIVE", "accountant")
    if not _CODE.fullmatch(class_code):
        raise InvalidInput("tax.class_code", N_("税收分类编码是 19 位数字，请照税务软件里的填。"), field=f"code-{category}")
    if not 0 <= rate_bp <= 2000:
        raise InvalidInput("tax.rate", N_("税率在 0 到 20% 之间。"), field=f"rate-{category}")
    locked(Organisation, actor.organisation_id)
    row = of(actor.organisation_id).get(category)
    if row is None:
        row = InvoiceTax(organisation_id=actor.organisation_id, category=category, class_code="", rate_bp=0)
        db.session.add(row)
    row.class_code, row.rate_bp, row.exempt = class_code, 0 if exempt else rate_bp, exempt
    db.session.flush()
    audit.record("invoice.tax_set", row, person_id=actor.person_id, category=category, rate_bp=row.rate_bp, exempt=exempt)
    return row
