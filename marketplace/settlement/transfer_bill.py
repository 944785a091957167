"""What Alipay's account bill tells of households' transfers that nobody told: that one came back, and what Alipay charged for one."""

from datetime import timedelta

from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.ledger import event
from marketplace.ledger.entry import of_source
from marketplace.ledger.posting import Source
from marketplace.payments import transfer_call
from marketplace.payments.statement_row import StatementLink, StatementRow
from marketplace.payments.transfer import Transfer
from marketplace.settlement.payout_transfer import KIND


def learn(organisation_id: int) -> int:
    """Have the job ask about each transfer that the bill credits back, and post each fee that it names; how many rows told something new."""
    told = select(StatementLink.id).where(StatementLink.row_id == StatementRow.id).exists()
    query = (
        select(StatementRow, Transfer)
        .join(Transfer, (Transfer.out_biz_no == StatementRow.number) & (Transfer.organisation_id == StatementRow.organisation_id))
        .where(
            StatementRow.organisation_id == organisation_id, StatementRow.side == "alipay", Transfer.payable_kind == KIND, ~told,
            StatementRow.kind.in_(("transfer", "fee", "fee_back")),
        )
        .order_by(StatementRow.id)
    )  # fmt: skip
    count = 0
    for row, transfer in db.session.execute(query).all():
        at = clock.beijing_midnight(row.day) + timedelta(hours=12)
        source = Source("payout_item", transfer.payable_id)
        if row.kind == "transfer":
            if row.fen < 0 or transfer.state != "succeeded":
                continue
            transfer_call.look(transfer.id)
        elif of_source(source.type, source.id, {"fee": "fee", "fee_back": "fee_reversed"}[row.kind]):
            continue
        elif row.kind == "fee":
            event.fee(book=organisation_id, source=source, fen=-row.fen, at=at)
        else:
            event.fee_reversed(book=organisation_id, source=source, fen=row.fen, at=at)
        count += 1
    return count
