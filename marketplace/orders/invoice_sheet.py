"""The sheet for the tax software: what a cooperative has to invoice, a row for each kind of goods on each request.

Amounts include tax and sum, request by request, to what was asked for, to the fen. What went back after the request changes no row of it: that
is what a red letter reverses.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from marketplace.catalogue.product import Product
from marketplace.foundation.database import db
from marketplace.foundation.money import split
from marketplace.orders import invoice, invoice_tax, return_request
from marketplace.orders.invoice import Invoice
from marketplace.orders.invoice_tax import InvoiceTax
from marketplace.orders.order import Order, OrderLine, freight_back, lines_of
from marketplace.payments.refund import Refund


@dataclass(frozen=True)
class SheetRow:
    """One line of one request; ``fen`` includes tax. ``tax`` is None while the cooperative has not set how these goods are taxed. ``place``:
    the order, and its line or 0 for the freight."""

    invoice: Invoice
    place: tuple[int, int]
    goods: str
    quantity: int
    fen: int
    tax: InvoiceTax | None


@dataclass(frozen=True)
class _Then:
    """A moment (None: now), and what happened after it: fen that went back, by place, and packs that came off, by line."""

    at: datetime | None
    gone_back: Counter[tuple[int, int]]
    taken_off: Counter[int]

    def packs(self, order: Order, line: OrderLine) -> int:
        """Accepted, if they were by then; before that what the buyer was to get."""
        accepted = order.received_at is not None and (self.at is None or order.received_at <= self.at)
        return line.accepted if accepted and line.accepted is not None else line.wanted + self.taken_off[line.id]


def waiting(organisation_id: int) -> list[SheetRow]:
    """Rows of every request that waits to be issued, oldest first."""
    query = select(Invoice).where(Invoice.organisation_id == organisation_id, Invoice.state == "REQUESTED").order_by(Invoice.id)
    taxes = invoice_tax.of(organisation_id)
    return [row for each in db.session.scalars(query) for row in rows_of(each, taxes)]


def rows_of(row: Invoice, taxes: dict[str, InvoiceTax]) -> list[SheetRow]:
    """The rows of one request, as it was asked for."""
    parts = invoice.orders_on(row.id)
    order_ids = [order.id for _, order in parts]
    then = _Then(row.requested_at, _gone_back(order_ids, row.requested_at), return_request.taken_off_since(order_ids, row.requested_at))
    return [found for part, order in parts for found in _rows(row, order, part.fen, taxes, then)]


def rows_now(row: Invoice, taxes: dict[str, InvoiceTax]) -> list[SheetRow]:
    """What its orders still bear out."""
    now = _Then(None, Counter(), Counter())
    return [found for part, order in invoice.orders_on(row.id) for found in _rows(row, order, min(part.fen, invoice.invoiceable_fen(order)), taxes, now)]


def _gone_back(order_ids: Sequence[int], since: datetime) -> Counter[tuple[int, int]]:
    """What was refunded after a moment, by place."""
    query = select(Refund.order_id, Refund.fen, Refund.goods).where(
        Refund.order_id.in_(order_ids), Refund.approved_at > since, Refund.state.not_in(("requested", "failed"))
    )
    found: Counter[tuple[int, int]] = Counter()
    for order_id, fen, goods in db.session.execute(query):
        parts = {int(line_id): int(part) for line_id, part in goods or ()}
        found.update({(order_id, line_id): part for line_id, part in parts.items()})
        found[order_id, 0] += fen - sum(parts.values())
    return found


def _rows(row: Invoice, order: Order, fen: int, taxes: dict[str, InvoiceTax], then: _Then) -> Sequence[SheetRow]:
    """Of one order."""
    lines = lines_of(order.id)
    query = select(Product.id, Product.category).where(Product.id.in_({line.product_id for line in lines}))
    kinds: dict[int, str] = {product_id: category for product_id, category in db.session.execute(query)}  # noqa: C416  dict() does not know the row's types
    freight_fen = min(order.freight_fen - (freight_back(order, lines) - then.gone_back[order.id, 0]), fen)
    packs = [then.packs(order, line) for line in lines]
    weights = [
        min(line.goods_fen * count // line.quantity - line.cut_fen, line.left_fen + then.gone_back[order.id, line.id])
        for line, count in zip(lines, packs, strict=True)
    ]
    if not any(weights):
        weights = [line.goods_fen for line in lines]
    parts = split(fen - freight_fen, weights, [str(line.id) for line in lines], row.public_id)
    found = [
        SheetRow(row, (order.id, line.id), line.name_zh, count, part, taxes.get(kinds[line.product_id]))
        for line, count, part in zip(lines, packs, parts, strict=True)
        if part
    ]
    if freight_fen:
        # Freight that the seller charges belongs to the price and follows the goods.
        found.append(SheetRow(row, (order.id, 0), "运费", 1, freight_fen, taxes.get(kinds[lines[0].product_id])))
    return found
