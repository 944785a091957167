"""What leaves the cooperatives' banks for those it belongs to: on the twentieth it is asked for, and what was asked for is carried out."""

import random
from collections import Counter
from datetime import timedelta

from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.organisations.actor import by_name
from marketplace.settlement import fund_return, remittance
from marketplace.settlement.fund_return import FundReturn
from marketplace.settlement.remittance import OPEN, Remittance
from marketplace.simulation.people import People

NOTICED = 3  # days after which a cooperative sees that it remitted too much
TOO_MUCH = 0.3  # how likely it did


def remit(people: People, done: Counter[str], *, asks: bool) -> None:
    """Carry out what was agreed or waits for it; on the day on which it ``asks``, the villages, the fund and the cooperative itself get what
    is theirs, as far as it lies in the bank."""
    for cooperative_id in people.cooperatives:
        _carry_out(cooperative_id, people, done)
        if asks:
            _ask(cooperative_id, people, done)
        _ask_back(cooperative_id, people, done)
    _agree_to_give_back(done)


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


def _ask_back(cooperative_id: int, people: People, done: Counter[str]) -> None:
    """Now and then a cooperative finds days later that it gave the relief fund too much, and asks for a part of it."""
    today = clock.business_date()
    query = select(Remittance.id, Remittance.fen, Remittance.paid_on).where(
        Remittance.organisation_id == cooperative_id, Remittance.kind == "FUND", Remittance.state == "PAID",
        Remittance.paid_on.between(today - timedelta(days=2 * NOTICED), today - timedelta(days=NOTICED)),
    )  # fmt: skip
    for row_id, fen, paid_on in db.session.execute(query.order_by(Remittance.id)).all():
        # Drawn from what was remitted, not from the day: whoever was interrupted asks for the same.
        chance, part = random.Random(f"{cooperative_id}-{fen}-{paid_on}"), fen // 4
        if not part or chance.random() >= TOO_MUCH:
            continue
        accountant, key = people.staff[cooperative_id]["accountant"], f"simulated-back-{row_id}"
        try:
            row = transaction(lambda p=part, a=accountant, k=key: fund_return.propose(p, "划的时候多算了一笔，请退回，下次一并划", actor=a, key=k))  # type: ignore[misc]
        except Conflict:
            done["fund not asked"] += 1  # it was given on to others meanwhile
            continue
        done["fund asked back"] += row.state == "PROPOSED"


def _agree_to_give_back(done: Counter[str]) -> None:
    """The county's treasurer keeps the fund's book and agrees; its holder pays, and the bank's statement shows it."""
    query = select(FundReturn.id, FundReturn.version).where(FundReturn.state == "PROPOSED").order_by(FundReturn.id)
    for row_id, version in db.session.execute(query).all():
        transaction(lambda r=row_id, v=version: fund_return.decide(r, actor=by_name("treasurer"), version=v))  # type: ignore[misc]
        done["fund agreed to give back"] += 1
