"""A remittance that its payee's bank sent back: a wrong account, a closed one. The credit names our number, and is no buyer's money; one that names
none is taken for a buyer's, until two people say that it is a remittance (``row_decision``): those of its amount are proposed, by the payee's name.

What was posted is reversed, so that it lies where it lay before, and can be proposed again. What was recovered beside it for earlier refunds had
been paid to buyers, and stays. What a refund took before the bank paid is the share's own then: what later shares recovered of that goes back to them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import select

from marketplace.foundation import audit, clock
from marketplace.foundation.database import db, locked, not_found
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_
from marketplace.ledger import account, balance, posting, share_event
from marketplace.ledger.entry import of_source
from marketplace.ledger.posting import Source
from marketplace.payments import row_decision, statement_row
from marketplace.payments.statement_row import Arrived, Seen, StatementRow
from marketplace.settlement.remittance import HOLDERS, SHARES, Remittance, payee_name

LATE = timedelta(days=100)  # within which a bank sends back what it cannot credit
_SAYS_SO = re.compile(r"退汇|退票|退回|退款|户名不符|账号不符|账户不存在|入账失败|销户")
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


@dataclass(frozen=True)
class Candidate:
    """A remittance that a credit may be, sent back. ``likely``: the payee's name fits, or the remark says that something came back."""

    remittance: Remittance
    payee: str
    likely: bool


def candidates(row: Seen, organisation_id: int) -> list[Candidate]:
    """The remittances of just its amount that were paid before it, the likeliest first."""
    query = select(Remittance).where(
        Remittance.organisation_id == organisation_id, Remittance.state == "PAID", Remittance.fen == row.fen, Remittance.paid_on <= row.day,
        Remittance.paid_on > row.day - LATE,
    )  # fmt: skip
    found = [Candidate(each, payee_name(each), _is_likely(row, payee_name(each))) for each in db.session.scalars(query.order_by(Remittance.paid_on.desc(), Remittance.id.desc()))]
    return sorted(found, key=lambda each: not each.likely)


def _is_likely(row: Seen, payee: str) -> bool:
    # A village's account is its committee's or its cooperative's, whose name begins with the village's.
    return bool(row.name and (payee in row.name or row.name in payee)) or bool(_SAYS_SO.search(row.remark))


class _Said:
    """What two people say of a credit without our number."""

    def must_fit(self, row: StatementRow, remittance_id: int) -> None:
        its = locked(Remittance, remittance_id)
        if its.organisation_id != row.organisation_id:
            raise not_found(Remittance)
        if all(each.remittance.id != its.id for each in candidates(row, row.organisation_id)):
            raise Conflict("remittance.unlike", N_("这笔到账不会是划款 %(number)s 被退回：金额要一样，日期要在划出以后一百天内，也没有记过退回。"), number=its.number)

    def came(self, row: StatementRow, remittance_id: int) -> int:
        return _came_back(remittance_id, row)


def _came_back(remittance_id: int, seen: StatementRow) -> int:
    """The entry by which it lies in the bank again."""
    row = locked(Remittance, remittance_id)
    row.state, row.returned_on, row.returned_row_id = "RETURNED", seen.day, seen.id
    row.version += 1
    entries = [each for each in of_source("remittance", row.id) if each.kind in _POSTED]
    made = {each.book: posting.reverse(each.id, source=Source("remittance", row.id, number), at=clock.beijing_midnight(seen.day)) for number, each in enumerate(entries)}
    _give_again(row, clock.beijing_midnight(seen.day))
    for each in entries:
        if each.kind == "fund_received" and each.book != row.organisation_id:
            _lay_out(row, each.book, clock.beijing_midnight(seen.day))
    db.session.flush()
    audit.record("remittance.returned", row, fen=row.fen, row_id=seen.id)
    return made[row.organisation_id]


def _give_again(row: Remittance, at: datetime) -> None:
    """Nothing is to be recovered of what did not leave; more than nothing was: it had been taken from a later share."""
    if row.kind not in SHARES:
        return
    share, recoverable = SHARES[row.kind]
    owner = account.owner_of(share, row.village_id)
    account.lock([account.named(kind, row.organisation_id, owner) for kind in (share, recoverable)])
    fen = -balance.held(recoverable, row.organisation_id, owner)
    if fen <= 0:
        return
    source = Source("remittance", row.id)
    if row.village_id is not None:
        share_event.collective_recovery_undone(book=row.organisation_id, source=source, village_id=row.village_id, fen=fen, at=at)
    else:
        share_event.fund_recovery_undone(book=row.organisation_id, source=source, fen=fen, at=at)


def _lay_out(row: Remittance, holder: int, at: datetime) -> None:
    """The fund's holder had given some of it back already: out of other money, for which the next remittance makes good (``remittance``)."""
    account.lock([account.named(kind, holder) for kind in SHARES["FUND"]])
    short_fen = -balance.held("relief_fund", holder)
    if short_fen > 0:
        share_event.fund_recovery_undone(book=holder, source=Source("remittance", row.id, HOLDERS), fen=short_fen, at=at)


statement_row.arrivals.append(_SentBack())
row_decision.sent_back[:] = [_Said()]
