"""What leaves the cooperatives' banks for those it belongs to: on the twentieth it is asked for, and what was asked for is carried out."""

from collections import Counter

from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.settlement import remittance
from marketplace.settlement.remittance import OPEN, Remittance
from marketplace.simulation.people import People


def remit(people: People, done: Counter[str], *, asks: bool) -> None:
    """Carry out what was agreed or waits for it; on the day on which it ``asks``, the villages, the fund and the cooperative itself get what
    is theirs, as far as it lies in the bank."""
    for cooperative_id in people.cooperatives:
        _carry_out(cooperative_id, people, done)
        if asks:
            _ask(cooperative_id, people, done)


def _ask(cooperative_id: int, people: People, done: Counter[str]) -> None:
    today, left = clock.business_date(), remittance.available(cooperative_id)
    wanted: list[tuple[str, int | None, int]] = [("COLLECTIVE", village, fen) for village, fen in sorted(left.collectives.items())]
    wanted += [("FUND", None, left.fund_fen), ("REVENUE", None, max(0, left.own_fen) // 2)]
    accountant, in_bank = people.staff[cooperative_id]["accountant"], left.bank_fen
    for kind, village, fen in wanted:
        if not 0 < fen <= in_bank:
            continue
        in_bank -= fen
        key = f"simulated-{today}-{kind}-{village}"
        transaction(lambda k=kind, v=village, f=fen, y=key: remittance.propose(k, f, village_id=v, actor=accountant, key=y))  # type: ignore[misc]
        _carry_out(cooperative_id, people, done)


def _carry_out(cooperative_id: int, people: People, done: Counter[str]) -> None:
    """The director agrees, the accountant pays at the bank and records it. What a refund has made too much since is taken back."""
    staff, today = people.staff[cooperative_id], clock.business_date()
    query = select(Remittance.id, Remittance.version, Remittance.state).where(Remittance.organisation_id == cooperative_id, Remittance.state.in_(OPEN))
    for row_id, version, state in db.session.execute(query.order_by(Remittance.id)).all():
        agreed = version
        if state == "PROPOSED":
            try:
                agreed = transaction(lambda r=row_id, v=version: remittance.approve(r, actor=staff["director"], version=v).version)  # type: ignore[misc]
            except Conflict:
                transaction(lambda r=row_id, v=version: remittance.withdraw(r, actor=staff["accountant"], version=v, reason="退款之后不够了"))  # type: ignore[misc]
                done["remittances taken back"] += 1
                continue
        serial = f"{today:%Y%m%d}{cooperative_id:04d}9{row_id:06d}"
        transaction(lambda r=row_id, v=agreed, b=serial: remittance.record_paid(r, paid_on=today, bank_serial=b, actor=staff["accountant"], version=v))  # type: ignore[misc]
        done["remittances"] += 1
