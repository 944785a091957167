"""A red-letter invoice (红字发票): so much of an issued one is reversed, because money went back or the title was wrong.

It names the goods and rates that it reverses, as the black one named them: what each line says less now, and earlier red letters left of it.
"""

from collections import Counter
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, String, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Model, Public, db
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.money import split
from marketplace.orders import invoice, invoice_choice, invoice_paper, invoice_sheet, invoice_tax
from marketplace.orders.invoice import Invoice
from marketplace.orders.invoice_sheet import SheetRow
from marketplace.organisations.actor import Actor


class RedInvoice(Public, Model):
    """``fen`` is how much is reversed, positive; ``lines`` is of what: [order id, its line's id or 0 for freight, fen] each."""

    __tablename__ = "red_invoice"
    __table_args__ = (CheckConstraint("fen > 0", name="fen"),)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoice.id"), index=True)
    number: Mapped[str] = mapped_column(String(20), unique=True)
    fen: Mapped[int]
    issued_on: Mapped[date]
    recorded_at: Mapped[datetime]
    recorded_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    file_id: Mapped[int | None] = mapped_column(ForeignKey("stored_file.id"))
    lines: Mapped[list[Any] | None]


def red_due_fen(row: Invoice) -> int:
    """What of an issued invoice must be reversed because its orders' money went back since, in fen."""
    return max(0, row.fen - row.red_fen - invoice.still_due_fen(row)) if row.state == "ISSUED" else 0


def rows_due(row: Invoice, fen: int) -> list[SheetRow]:
    """The rows of ``fen`` that are to be reversed, with what each is: of all that is left, or of what went back since."""
    taxes = invoice_tax.of(row.organisation_id)
    asked = invoice_sheet.rows_of(row, taxes)
    reversed_fen = Counter({each.place: 0 for each in asked})
    for red in reds_of(row.id):
        reversed_fen.update({(order_id, line_id): part for order_id, line_id, part in red.lines or ()})
    now = {each.place: each.fen for each in invoice_sheet.rows_now(row, taxes)}
    left = [each.fen - reversed_fen[each.place] for each in asked]
    less = [max(0, part - now.get(each.place, 0)) for each, part in zip(asked, left, strict=True)]
    parts = split(fen, left if fen == row.fen - row.red_fen or sum(less) < fen else less, [f"{each.place}" for each in asked], row.public_id)
    return [replace(each, fen=part) for each, part in zip(asked, parts, strict=True) if part]


def waiting(organisation_id: int) -> list[SheetRow]:
    """The rows of every red letter that a cooperative has to issue, oldest invoice first; ``fen`` is how much is reversed."""
    due = invoice_choice.to_reverse(organisation_id).order_by(Invoice.id)
    return [each for row, fen in db.session.execute(due) for each in rows_due(row, int(fen))]


def short_fen(row: Invoice) -> int:
    """What an issued invoice says too little because a refund failed after its red letter: reversed whole, it is issued anew."""
    return max(0, invoice.still_due_fen(row) - (row.fen - row.red_fen)) if row.state == "ISSUED" else 0


def reverse(invoice_id: int, *, fen: int, number: str, issued_on: date, file: bytes, version: int, actor: Actor) -> RedInvoice:
    """Record a red-letter invoice over ``fen``: what is due to be reversed, or all that is left (a wrong title).

    Raises InvalidInput for another amount, a bad number, day or file. Reversed whole, its orders may be invoiced anew.
    """
    row = invoice.of_seller(invoice_id, actor)
    row.must_be("ISSUED")
    row.must_be_version(version)
    left, due = row.fen - row.red_fen, red_due_fen(row)
    if fen not in (left, due) or fen <= 0:
        raise InvalidInput("invoice.red", N_("冲红只能冲退款的部分，或整张冲红。"), field="fen", left_fen=left, due_fen=due)
    assert row.issued_on is not None
    invoice.must_be_new(number := invoice_paper.number(number))
    red = RedInvoice(
        organisation_id=row.organisation_id, invoice_id=row.id, number=number, fen=fen,
        issued_on=invoice_paper.day(issued_on, clock.beijing_midnight(row.issued_on)), recorded_at=clock.now(), recorded_by_id=actor.person_id, file_id=invoice_paper.keep(file, row.public_id, row.organisation_id),
    )  # fmt: skip
    red.lines = [[*each.place, each.fen] for each in rows_due(row, fen)]
    db.session.add(red)
    row.red_fen += fen
    if row.red_fen == row.fen:
        row.state = "REVERSED"
        invoice.free_orders(row)
    db.session.flush()
    audit.record("invoice.reversed", row, person_id=actor.person_id, fen=fen, number=red.number)
    return red


def reds_of(invoice_id: int) -> list[RedInvoice]:
    """Its red-letter invoices, oldest first."""
    return list(db.session.scalars(select(RedInvoice).where(RedInvoice.invoice_id == invoice_id).order_by(RedInvoice.id)))
