"""What came back to an order after it was settled, added up from the order and the shares: what it was divided on is not the whole of what
was paid for it any more, since a refund that was counted before the split failed after it."""

from sqlalchemy import Subquery, func, select
from sqlalchemy.orm import aliased

from marketplace.ledger.account import Account
from marketplace.ledger.entry import JournalEntry, JournalLine
from marketplace.orders.order import Order, owed
from marketplace.settlement.settlement import Settlement, SettlementLine
from marketplace.settlement.taken_back import Shares, TakenBack


def undivided() -> Subquery:
    """(order_id, organisation_id, fen) of each settled order of which anything lies in buyer_funds still, or is missing there."""
    taken_fen = sum((getattr(TakenBack, name) for name in Shares._fields[1:]), start=TakenBack.cooperative_fen)
    taken = (
        select(SettlementLine.settlement_id, func.sum(taken_fen).label("fen"))
        .join(TakenBack, TakenBack.settlement_line_id == SettlementLine.id)
        .group_by(SettlementLine.settlement_id)
        .subquery("taken_of_order")
    )
    reversal = aliased(JournalEntry)
    freight = (
        select(JournalEntry.reverses_id, func.sum(JournalLine.fen).label("fen"))
        .join(JournalLine, (JournalLine.period == JournalEntry.period) & (JournalLine.entry_id == JournalEntry.id))
        .join(Account, Account.id == JournalLine.account_id)
        .where(JournalEntry.kind == "refund_after_settlement", Account.kind == "freight")
        .where(~select(reversal.id).where(reversal.reverses_id == JournalEntry.id, reversal.kind == "reversed").exists())
        .group_by(JournalEntry.reverses_id)
        .subquery("freight_back")
    )
    kept = Order.paid_fen + owed() - Order.refunded_fen
    fen = kept - Settlement.base_fen - Settlement.freight_fen + func.coalesce(taken.c.fen, 0) + func.coalesce(freight.c.fen, 0)
    return (
        select(Order.id.label("order_id"), Order.organisation_id, fen.label("fen"))
        .join(Settlement, Settlement.order_id == Order.id)
        .outerjoin(taken, taken.c.settlement_id == Settlement.id)
        .outerjoin(freight, freight.c.reverses_id == Settlement.entry_id)
        .where(fen != 0)
        .subquery("undivided")
    )
