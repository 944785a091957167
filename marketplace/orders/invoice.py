"""An invoice (发票): asked for by the buyer, issued by the cooperative in its tax software, recorded and kept here.

An order stands on at most one invoice that lives. What is refunded after issuing is reversed by red-letter invoices (红字发票);
an invoice that is reversed whole frees its orders for another one.
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import ClassVar

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import (
    Identified,
    Model,
    Public,
    Staged,
    Versioned,
    broke_unique,
    db,
    locked,
    not_found,
)
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.idempotency import once
from marketplace.foundation.language import N_
from marketplace.orders import invoice_paper, invoice_tax
from marketplace.orders.invoice_title import InvoiceTitle
from marketplace.orders.order import Order
from marketplace.organisations.actor import Actor, own_row
from marketplace.organisations.organisation import Organisation

STATES = ("REQUESTED", "ISSUED", "REFUSED", "WITHDRAWN", "REVERSED")
MOST_ORDERS = 100


class Invoice(Public, Versioned, Staged, Model):
    """``organisation_id`` is the cooperative that issues. ``fen`` includes tax and freight; ``red_fen`` was reversed since."""

    __tablename__ = "invoice"
    not_now = ("invoice.state", N_("这张发票现在的状态不能办这一步，请刷新页面看看。"))
    __table_args__ = (
        CheckConstraint("kind IN ('VAT_GENERAL','VAT_SPECIAL')", name="kind"),
        CheckConstraint("state IN ('REQUESTED','ISSUED','REFUSED','WITHDRAWN','REVERSED')", name="state"),
        CheckConstraint("fen > 0 AND red_fen >= 0 AND red_fen <= fen", name="fen"),
        CheckConstraint("(number IS NOT NULL) = (state IN ('ISSUED','REVERSED'))", name="issued"),
        Index("ix_invoice_seller", "organisation_id", "state", "id"),
        Index("ix_invoice_buyer", "buyer_id", "id"),
    )
    owner_columns: ClassVar = ("organisation_id", "buyer_id")

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    buyer_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    kind: Mapped[str] = mapped_column(String(12))
    name: Mapped[str] = mapped_column(String(100))
    tax_number: Mapped[str] = mapped_column(String(20))
    address: Mapped[str] = mapped_column(String(100))
    phone: Mapped[str] = mapped_column(String(20))
    bank_name: Mapped[str] = mapped_column(String(100))
    bank_account: Mapped[str] = mapped_column(String(30))
    note: Mapped[str] = mapped_column(String(200), default="")
    state: Mapped[str] = mapped_column(String(10), default="REQUESTED")
    fen: Mapped[int]
    red_fen: Mapped[int] = mapped_column(default=0)
    requested_at: Mapped[datetime]
    requested_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    number: Mapped[str | None] = mapped_column(String(20), unique=True)
    issued_on: Mapped[date | None]
    issued_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    file_id: Mapped[int | None] = mapped_column(ForeignKey("stored_file.id"))
    closed_reason: Mapped[str] = mapped_column(String(200), default="")

    @property
    def title(self) -> InvoiceTitle:
        return InvoiceTitle(self.kind, self.name, self.tax_number, self.address, self.phone, self.bank_name, self.bank_account)


class InvoiceOrder(Identified, Model):
    """An order's part of an invoice, as it was when asked for. ``lives`` until the invoice is refused, withdrawn or reversed whole."""

    __tablename__ = "invoice_order"
    __table_args__ = (
        CheckConstraint("fen > 0", name="fen"),
        Index("uq_invoice_order_lives", "order_id", unique=True, sqlite_where=text("lives"), postgresql_where=text("lives")),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoice.id"), index=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), index=True)
    fen: Mapped[int]
    lives: Mapped[bool] = mapped_column(default=True)


def invoiceable_fen(order: Order) -> int:
    """What an invoice on the order would say now, in fen: what was paid less refunds, and what a unit owes of what it accepted."""
    if order.cancelled_at is not None or (order.payment not in ("PAID", "REFUNDED") and not order.owed_fen):
        return 0
    return order.paid_fen - order.refunded_fen + order.owed_fen


def request(order_ids: Sequence[int], title: InvoiceTitle, *, actor: Actor, key: str, note: str = "") -> int:
    """The buyer asks for one invoice over paid or accepted orders of one cooperative; its id. The same ``key``, the same invoice.

    Raises InvalidInput for a bad field or choice of orders, Conflict ``invoice.exempt``, ``invoice.exists``, ``invoice.nothing``, NotFound.
    """
    if actor.kind != "PERSON":
        actor.must_have("UNIT", "buyer", "accountant")
    title = title.cleaned()
    asked = sorted(set(order_ids))
    return int(
        once(
            f"invoice:{actor.organisation_id}", key, {"orders": asked, "title": asdict(title), "note": note},
            lambda: {"invoice_id": _request(asked, title, actor, note)},
        )["invoice_id"]
    )  # fmt: skip


def _request(order_ids: list[int], title: InvoiceTitle, actor: Actor, note: str) -> int:
    buyer = db.session.get_one(Organisation, actor.organisation_id)
    title.check(is_person=buyer.kind == "PERSON")
    if not 1 <= len(order_ids) <= MOST_ORDERS:
        raise InvalidInput("invoice.orders", N_("请选择要开票的订单，一张发票最多 %(most)s 张订单。"), field="orders", most=MOST_ORDERS)
    orders = [locked(Order, order_id) for order_id in order_ids]
    if any(order.buyer_id != actor.organisation_id for order in orders):
        raise not_found(Order)
    if len({order.organisation_id for order in orders}) > 1:
        raise InvalidInput("invoice.sellers", N_("一张发票只能开一家合作社的订单，请分开申请。"), field="orders")
    _must_suit(title.kind, order_ids, field="kind")
    parts = [(order.id, invoiceable_fen(order)) for order in orders]
    if any(fen <= 0 for _, fen in parts):
        raise Conflict("invoice.nothing", N_("有的订单还没有付款（单位采购还没有验收），或已全部退款，现在不能开票。"), field="orders")
    row = Invoice(
        organisation_id=orders[0].organisation_id,
        buyer_id=actor.organisation_id,
        **asdict(title),
        note=note.strip()[:200],
        fen=sum(fen for _, fen in parts),
        requested_at=clock.now(),
        requested_by_id=actor.person_id,
        version=1,
    )
    db.session.add(row)
    db.session.flush()
    try:
        with db.session.begin_nested():
            db.session.add_all(
                InvoiceOrder(organisation_id=row.organisation_id, invoice_id=row.id, order_id=order_id, fen=fen) for order_id, fen in parts
            )
    except IntegrityError as error:
        if not broke_unique(error):
            raise
        raise Conflict("invoice.exists", N_("有的订单已经申请过发票。要改抬头，请先撤回，或请合作社冲红。"), field="orders") from None
    audit.record("invoice.requested", row, person_id=actor.person_id, fen=row.fen, orders=len(parts))
    return row.id


def _must_suit(kind: str, order_ids: Sequence[int], **data: str) -> None:
    exempt = invoice_tax.exempt_goods(order_ids) if kind == "VAT_SPECIAL" else []
    if exempt:
        raise Conflict("invoice.exempt", N_("“%(name)s”是合作社的免税农产品，不能开专用发票，请改开普通发票。"), name=exempt[0], **data)


def withdraw(invoice_id: int, *, version: int, actor: Actor) -> Invoice:
    """The buyer takes a request back before it is issued."""
    row = locked(Invoice, invoice_id)
    if actor.kind != "PERSON":
        actor.must_have("UNIT", "buyer", "accountant")
    if row.buyer_id != actor.organisation_id:
        raise not_found(Invoice)
    return _close(row, "WITHDRAWN", "", version, actor)


def refuse(invoice_id: int, *, reason: str, version: int, actor: Actor) -> Invoice:
    """The cooperative's accountant sends a request back with what is wrong in it."""
    row = of_seller(invoice_id, actor)
    if not reason.strip():
        raise InvalidInput("reason.missing", N_("请写明哪里要改，申请人才好重新申请。"), field="reason")
    return _close(row, "REFUSED", reason.strip()[:200], version, actor)


def issue(invoice_id: int, *, number: str, issued_on: date, file: bytes, version: int, actor: Actor) -> Invoice:
    """Record what the tax software issued, with its file (PDF or OFD). By the cooperative's accountant.

    Raises InvalidInput for a bad number, day or file, Conflict ``invoice.number``, ``invoice.changed`` if a refund has made the
    request too large since: it must be refused and asked for anew.
    """
    row = of_seller(invoice_id, actor)
    row.must_be( "REQUESTED")
    row.must_be_version(version)
    _must_suit(row.kind, [order.id for _, order in orders_on(row.id)])
    if still_due_fen(row) != row.fen:
        raise Conflict("invoice.changed", N_("申请之后订单有退款，金额已经不对。请退回，让对方重新申请。"), now_fen=still_due_fen(row))
    must_be_new(number := invoice_paper.number(number))
    issued_on = invoice_paper.day(issued_on, row.requested_at)
    file_id = invoice_paper.keep(file, row.public_id, row.organisation_id)
    row.number, row.issued_on, row.file_id, row.issued_by_id, row.state = number, issued_on, file_id, actor.person_id, "ISSUED"
    audit.record("invoice.issued", row, person_id=actor.person_id, fen=row.fen, number=row.number)
    db.session.flush()
    return row


def orders_on(invoice_id: int) -> list[tuple[InvoiceOrder, Order]]:
    """Its orders with the fen of each as asked for."""
    query = select(InvoiceOrder, Order).join(Order, Order.id == InvoiceOrder.order_id).where(InvoiceOrder.invoice_id == invoice_id)
    return [(part, order) for part, order in db.session.execute(query.order_by(InvoiceOrder.id))]


def live_on(order_ids: Sequence[int]) -> dict[int, Invoice]:
    """The invoice that lives on each of these orders, by order id."""
    query = select(InvoiceOrder.order_id, Invoice).join(Invoice, Invoice.id == InvoiceOrder.invoice_id)
    rows = db.session.execute(query.where(InvoiceOrder.order_id.in_(order_ids), InvoiceOrder.lives))
    return {order_id: row for order_id, row in rows}  # noqa: C416  dict() does not know the row's types


def last_title(buyer_id: int) -> InvoiceTitle | None:
    """What the buyer's newest request was made out to: it is typed once."""
    row = db.session.scalars(select(Invoice).where(Invoice.buyer_id == buyer_id).order_by(Invoice.id.desc()).limit(1)).one_or_none()
    return row.title if row else None


def still_due_fen(row: Invoice) -> int:
    """What of the invoice its orders still bear out, in fen."""
    return sum(min(part.fen, invoiceable_fen(order)) for part, order in orders_on(row.id))


def of_seller(invoice_id: int, actor: Actor) -> Invoice:
    """The invoice, locked, for the accountant of the cooperative that issues it. NotAllowed, NotFound."""
    return own_row(Invoice, invoice_id, actor, "accountant")


def _close(row: Invoice, state: str, reason: str, version: int, actor: Actor) -> Invoice:
    row.must_be( "REQUESTED")
    row.must_be_version(version)
    row.state, row.closed_reason = state, reason
    free_orders(row)
    audit.record(f"invoice.{state.lower()}", row, person_id=actor.person_id)
    db.session.flush()
    return row


def free_orders(row: Invoice) -> None:
    """Its orders may stand on another invoice."""
    for part, _ in orders_on(row.id):
        part.lives = False


def must_be_new(number: str) -> None:
    """Conflict ``invoice.number`` if an invoice, black or red, has this number already."""
    black = select(Invoice.id).where(Invoice.number == number)
    red = text("SELECT id FROM red_invoice WHERE number = :number")
    if db.session.scalar(black) is not None or db.session.execute(red, {"number": number}).first() is not None:
        raise Conflict("invoice.number", N_("这个发票号码已经登记过，请核对。"), field="number")
