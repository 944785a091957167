"""A remittance that its payee's bank sent back: a wrong account, a closed one. The credit names our number, and is no buyer's money.

What was posted is reversed, so that it lies where it lay before, and can be proposed again. What was recovered beside it for earlier refunds had
been paid to buyers, and stays.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from sqlalchemy import select

from marketplace.foundation import audit, clock
from marketplace.foundation.database import db, locked
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_
from marketplace.ledger import posting
from marketplace.ledger.entry import of_source
from marketplace.ledger.posting import Source
from marketplace.payments import statement_row
from marketplace.payments.statement_row import Arrived, Seen, StatementRow
from marketplace.settlement.remittance import Remittance

LATE = timedelta(days=100)  # within which a bank sends back what it cannot credit
_POSTED = ("collective_paid", "fund_remitted", "fund_received", "revenue_taken_out")


class _SentBack:
    """What the bank's statement says of remittances: the one that the remark names, of just its amount."""

    def expecting(self, organisation_id: int) -> Callable[[Seen], Arrived | None]:
        query = select(Remittance).where(
            Remittance.organisation_id == organisation_id, Remittance.state == "PAID", Remittance.paid_on > clock.business_date() - LATE
        )
        paid = list(db.session.scalars(query.order_by(Remittance.id)))

        def find(row: Seen) -> Arrived | None:
            its = next((each for each in paid if each.fen == row.fen and each.number in row.remark and each.paid_on and each.paid_on <= row.day), None)
            return partial(_came_back, its.id) if its is not None else None

        return find

    def may_part(self, row: StatementRow, entry_id: int) -> None:
        """Never: it can be proposed again since."""
        its = db.session.scalars(select(Remittance).where(Remittance.returned_row_id == row.id)).one_or_none()
        if its is not None:
            raise Conflict("remittance.returned", N_("凭这一行，划款 %(number)s 记成了银行退回，钱可以再划一次，不能撤销。请联系运营方。"), number=its.number)

    def part(self, row: StatementRow, entry_id: int, reason: str) -> None:
        self.may_part(row, entry_id)


def _came_back(remittance_id: int, seen: StatementRow) -> int:
    """The entry by which it lies in the bank again."""
    row = locked(Remittance, remittance_id)
    row.state, row.returned_on, row.returned_row_id = "RETURNED", seen.day, seen.id
    row.version += 1
    entries = [each for each in of_source("remittance", row.id) if each.kind in _POSTED]
    made = {each.book: posting.reverse(each.id, source=Source("remittance", row.id, number), at=clock.beijing_midnight(seen.day)) for number, each in enumerate(entries)}
    db.session.flush()
    audit.record("remittance.returned", row, fen=row.fen, row_id=seen.id)
    return made[row.organisation_id]


statement_row.arrivals.append(_SentBack())
