"""Rules between the ledger and what was traded: stock, payments, refunds, bank receipts, acceptance, and who approved what."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, or_, select

from marketplace.foundation.database import db
from marketplace.orders.order import Order, OrderLine, packs_to_ship
from marketplace.orders.return_request import ReturnRequest
from marketplace.organisations.approval import Approval
from marketplace.payments.bank_statement import BankMatch, BankReceipt
from marketplace.payments.payment import ONLINE, Payment
from marketplace.payments.receipt_return import ReceiptReturn
from marketplace.payments.refund import Refund, refused
from marketplace.payments.refund_loss import RefundLoss
from marketplace.payments.transfer import GOING, Transfer
from marketplace.procurement.directed_order import Acceptance, DirectedOrder
from marketplace.reporting.books_posted import by_book, differences, per_book, through, total
from marketplace.reporting.books_undivided import undivided
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from marketplace.supply.stock import Stock, StockMove

ORDER_KINDS = ("order", "directed_order")
CAME_IN = ("succeeded", "late_paid")
# A refund counts against the order from its approval on, whether or not the channel has answered.
NOT_REFUNDED = ("requested", "failed")


def no_oversell() -> list[str]:
    """No pack is promised that is not on hand, and stock is the sum of its moves."""
    promised = select(Stock.pack_id, Stock.on_hand, Stock.reserved)
    oversold = promised.where(or_(Stock.reserved < 0, Stock.reserved > Stock.on_hand))
    moved = (
        select(Stock.pack_id)
        .outerjoin(StockMove, StockMove.pack_id == Stock.pack_id)
        .group_by(Stock.pack_id, Stock.on_hand, Stock.reserved)
        .having(
            or_(
                func.coalesce(func.sum(StockMove.on_hand), 0) != Stock.on_hand,
                func.coalesce(func.sum(StockMove.reserved), 0) != Stock.reserved,
            )
        )
    )
    breaches = [f"pack {row[0]}: {row[2]} promised, {row[1]} on hand" for row in db.session.execute(oversold)]
    return breaches + [
        f"pack {pack}: stock is not the sum of its moves" for pack in db.session.scalars(moved)
    ]


def stock_is_what_orders_say() -> list[str]:
    """What orders shipped left the stock, and what they still have to ship is set aside."""
    out = select(StockMove.pack_id, -func.sum(StockMove.on_hand)).where(StockMove.reason == "SHIPPED")
    left = _sums(out.group_by(StockMove.pack_id))
    shipped = _sums(select(OrderLine.pack_id, func.sum(OrderLine.shipped)).group_by(OrderLine.pack_id))
    aside = _sums(select(Stock.pack_id, Stock.reserved))
    due = (
        select(OrderLine.pack_id, func.sum(packs_to_ship()))
        .join(Order, Order.id == OrderLine.order_id)
        .where(Order.fulfilment.not_in(("RECEIVED", "CANCELLED")))
    )
    to_ship = _sums(due.group_by(OrderLine.pack_id))
    breaches = []
    for pack in sorted({*aside, *left, *shipped, *to_ship}):
        if shipped.get(pack, 0) != left.get(pack, 0):
            breaches.append(
                f"pack {pack}: {shipped.get(pack, 0)} shipped, {left.get(pack, 0)} left the stock"
            )
        if to_ship.get(pack, 0) != aside.get(pack, 0):
            breaches.append(
                f"pack {pack}: {to_ship.get(pack, 0)} to be shipped, {aside.get(pack, 0)} set aside"
            )
    return breaches


def orders_are_paid_as_received() -> list[str]:
    """An order is paid what its payments and matched receipts brought, never more than once over, and its state says so."""
    paid = select(Payment.payable_id.label("order_id"), Payment.amount_fen.label("fen")).where(
        Payment.payable_kind.in_(ORDER_KINDS), Payment.state == "succeeded"
    )
    matched = select(BankMatch.payable_id, BankMatch.fen).where(BankMatch.payable_kind.in_(ORDER_KINDS))
    came = paid.union_all(matched).subquery()
    received = _sums(select(came.c.order_id, func.sum(came.c.fen)).group_by(came.c.order_id))
    nothing = (Order.kind == "DIRECTED") & (Order.fulfilment == "RECEIVED") & (Order.accepted_fen - Order.cut_fen + Order.freight_fen == 0)
    due = case((nothing, 0), else_=Order.total_fen)
    orders = db.session.execute(select(Order.id, Order.paid_fen, Order.total_fen, Order.payment, due).order_by(Order.id)).all()
    breaches = [
        f"order {i}: says {said} fen, {received.get(i, 0)} received"
        for i, said, _, _, _ in orders
        if said != received.get(i, 0)
    ]
    breaches += [f"order {i}: {said} fen paid of {of}" for i, said, of, _, _ in orders if said > of]
    # A free order is paid with nothing, and so is a unit's of which nothing came, or all was cut.
    unsaid = [(i, said, state) for i, said, _, state, of in orders if (of or said) and (said == 0) != (state == "UNPAID")]
    breaches += [f"order {i}: {said} fen paid, and {state}" for i, said, state in unsaid]
    known = {row[0] for row in orders}
    return breaches + [
        f"order {i}: {fen} fen received, and there is no such order"
        for i, fen in received.items()
        if i not in known
    ]


def payments_are_posted() -> list[str]:
    """What Alipay and Stripe brought is in the books: applied payments as buyer_funds, late and double ones as unapplied."""
    breaches = []
    for channel in ONLINE:
        applied, late = _sums(_payments(channel, "succeeded")), _sums(_payments(channel, "late_paid"))
        breaches += differences(f"paid over {channel.title()}", per_book(through(channel, f"{channel}_paid")), applied)
        breaches += differences(f"paid late or twice over {channel.title()}", per_book(through(channel, f"{channel}_unapplied")), late)
    return breaches


def receipts_are_posted() -> list[str]:
    """Every receipt of the statements is in the books, every match too, and no receipt is matched beyond what came."""
    receipts = select(BankReceipt.organisation_id, func.sum(BankReceipt.fen)).where(
        BankReceipt.state != "unrelated"
    )
    received = _sums(receipts.group_by(BankReceipt.organisation_id))
    matches = _sums(
        select(BankMatch.organisation_id, func.sum(BankMatch.fen)).where(BankMatch.undone_at.is_(None)).group_by(BankMatch.organisation_id)
    )
    posted = per_book(through("unapplied", "matched_prepaid", "matched_receivable", "matched_divided", "divided_unpaid", "interest_paid"))
    each = (
        select(BankReceipt.id)
        .outerjoin(BankMatch, (BankMatch.receipt_id == BankReceipt.id) & BankMatch.undone_at.is_(None))
        .group_by(BankReceipt.id, BankReceipt.matched_fen)
        .having(func.coalesce(func.sum(BankMatch.fen), 0) != BankReceipt.matched_fen)
    )
    return (
        differences("receipts", per_book(through("bank", "bank_received")), received)
        + differences("matches", {book: -fen for book, fen in posted.items()}, matches)
        + [f"receipt {number}: matched is not the sum of its matches" for number in db.session.scalars(each)]
    )


def buyer_funds_are_paid_unsettled() -> list[str]:
    """buyer_funds = paid, not yet settled, not approved to go back; and what came back to an order after it was settled."""
    waiting = select(Order.organisation_id, func.sum(Order.paid_fen - Order.refunded_fen)).where(
        Order.settled_at.is_(None)
    )
    came_back = undivided()
    lies = _sums(select(came_back.c.organisation_id, func.sum(came_back.c.fen)).group_by(came_back.c.organisation_id))
    return differences("buyer_funds", by_book("buyer_funds"), total((1, _sums(waiting.group_by(Order.organisation_id))), (1, lies)))


def what_lies_undivided_waits_for_its_buyer() -> list[str]:
    """What came back to a settled order is no more than refunds of it that failed and wait to be made again."""
    waiting = select(Refund.order_id, func.sum(Refund.fen).label("fen")).where(refused()).group_by(Refund.order_id).subquery()
    came_back = undivided()
    query = (
        select(came_back.c.order_id, came_back.c.fen, func.coalesce(waiting.c.fen, 0))
        .outerjoin(waiting, waiting.c.order_id == came_back.c.order_id)
        .where(or_(came_back.c.fen < 0, came_back.c.fen > func.coalesce(waiting.c.fen, 0)))
    )
    return [f"order {number}: {fen} fen lie undivided, {waits} wait to go back" for number, fen, waits in db.session.execute(query.order_by(came_back.c.order_id))]


def refunds_are_posted() -> list[str]:
    """refunds_payable = approved and not yet gone; orders and payments say the same of their refunds."""
    going = Refund.state.not_in((*NOT_REFUNDED, "succeeded"))
    waiting = _sums(
        select(Refund.organisation_id, func.sum(Refund.fen)).where(going).group_by(Refund.organisation_id)
    )
    approved = func.coalesce(func.sum(case((Refund.state.not_in(NOT_REFUNDED), Refund.fen), else_=0)), 0)
    of_orders = _differing(Order, Order.refunded_fen, approved, Refund.order_id)
    of_payments = _differing(Payment, Payment.refunded_fen, approved, Refund.payment_id)
    promised = select(ReceiptReturn.organisation_id, func.sum(ReceiptReturn.fen)).where(ReceiptReturn.state == "APPROVED")
    waiting = total((1, waiting), (1, _sums(promised.group_by(ReceiptReturn.organisation_id))))
    return (
        differences("refunds_payable", by_book("refunds_payable"), waiting)
        + [f"order {number}: says {said} fen refunded, {fen} approved" for number, said, fen in of_orders]
        + [f"payment {number}: says {said} fen refunded, {fen} approved" for number, said, fen in of_payments]
    )


def alipay_is_what_came_and_went() -> list[str]:
    """alipay (and stripe) = payments − refunds that succeeded or that the cooperative bears, and what only the bill and the bank know: fees, withdrawals, payouts."""
    breaches = []
    for channel in ONLINE:
        came = _sums(_payments(channel, *CAME_IN))
        # What goes back by transfer leaves the bank, whichever way it came.
        went = _sums(
            select(Refund.organisation_id, func.sum(Refund.fen))
            .where(Refund.state == "succeeded", Refund.way == channel)
            .group_by(Refund.organisation_id)
        )
        lost = _sums(
            select(RefundLoss.organisation_id, func.sum(RefundLoss.fen))
            .join(Refund, Refund.id == RefundLoss.refund_id)
            .where(RefundLoss.state == "DONE", Refund.way == channel)
            .group_by(RefundLoss.organisation_id)
        )
        others = per_book(through(channel, "fee", "fee_reversed", "withdrawn", "payout_debited", "payout_returned", "payout_unmade"))
        breaches += differences(channel, by_book(channel), total((1, came), (-1, went), (-1, lost), (1, others)))
    return breaches


def transfers_are_posted() -> list[str]:
    """What households' transfers took from Alipay is in the books, each once; and each item says what its transfer says."""
    went = _sums(select(Transfer.organisation_id, func.sum(Transfer.fen)).where(Transfer.state == "succeeded").group_by(Transfer.organisation_id))
    posted = per_book(through("alipay", "payout_debited", "payout_returned"))
    says = {"succeeded": ("paid",), "failed": ("returned", "reissued"), "returned": ("returned", "reissued")}
    of_item = (Transfer.payable_kind == "payout_item") & (Transfer.payable_id == PayoutItem.id)
    otherwise = select(PayoutItem.id, PayoutItem.state, Transfer.state).join(Transfer, of_item).where(
        or_(
            *((Transfer.state == state) & PayoutItem.state.not_in(its) for state, its in says.items()),
            Transfer.state.in_(GOING) & PayoutItem.state.not_in(("sent", "unknown")),
        )
    )
    return differences("paid to households over Alipay", {book: -fen for book, fen in posted.items()}, went) + [
        f"payout item {number}: is {state}, its transfer {other}" for number, state, other in db.session.execute(otherwise.order_by(PayoutItem.id))
    ]


def acceptance_is_recorded() -> list[str]:
    """What a unit's order counts as accepted is what its acceptance says; a public order has none."""
    query = (
        select(Order.id, Order.accepted_fen, func.coalesce(Acceptance.accepted_fen, 0))
        .outerjoin(Acceptance, Acceptance.order_id == Order.id)
        .where(Order.accepted_fen != func.coalesce(Acceptance.accepted_fen, 0))
    )
    return [
        f"order {number}: says {said} fen accepted, its acceptance {fen}"
        for number, said, fen in db.session.execute(query)
    ]


def nobody_approved_their_own() -> list[str]:
    """Every approval has two people: of approvals, distributions, payouts, returns and units' orders alike."""
    queries: tuple[tuple[str, Select[Any]], ...] = (
        ("approval", select(Approval.id).where(Approval.maker_id == Approval.checker_id)),
        (
            "distribution",
            select(Distribution.id).where(Distribution.drafted_by_id == Distribution.approved_by_id),
        ),
        ("payout batch", select(PayoutBatch.id).where(PayoutBatch.made_by_id == PayoutBatch.approved_by_id)),
        (
            "return request",
            # Who takes their own proposal back ends it too, and gives nobody anything.
            select(ReturnRequest.id).where(ReturnRequest.state == "APPROVED", ReturnRequest.raised_by_id == ReturnRequest.answered_by_id),
        ),
        (
            "directed order",
            select(DirectedOrder.id)
            .join(Order, Order.id == DirectedOrder.order_id)
            .where(DirectedOrder.approved_by_id == Order.placed_by_id),
        ),
    )
    return [
        f"{what} {number}: made and approved by one person"
        for what, query in queries
        for number in db.session.scalars(query)
    ]


def _payments(channel: str, *states: str) -> Select[*tuple[Any, ...]]:
    return (
        select(Payment.organisation_id, func.sum(Payment.amount_fen))
        .where(Payment.state.in_(states), Payment.channel.startswith(channel))
        .group_by(Payment.organisation_id)
    )


def _differing(model: Any, said: Any, approved: ColumnElement[int], reference: Any) -> list[Any]:
    query = (
        select(model.id, said, approved)
        .outerjoin(Refund, reference == model.id)
        .group_by(model.id, said)
        .having(said != approved)
    )
    return list(db.session.execute(query))


def _sums(query: Select[*tuple[Any, ...]]) -> dict[int, int]:
    return {key: int(fen) for key, fen in db.session.execute(query)}


RULES: tuple[Callable[[], list[str]], ...] = (
    no_oversell,
    stock_is_what_orders_say,
    orders_are_paid_as_received,
    payments_are_posted,
    receipts_are_posted,
    buyer_funds_are_paid_unsettled,
    what_lies_undivided_waits_for_its_buyer,
    refunds_are_posted,
    alipay_is_what_came_and_went,
    transfers_are_posted,
    acceptance_is_recorded,
    nobody_approved_their_own,
)
