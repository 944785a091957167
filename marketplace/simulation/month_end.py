"""The month's end: last month's pools are drafted, approved, published, credited, and paid through the bank."""

import random
from collections import Counter
from datetime import timedelta

from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.notices.public_notice import PublicNotice
from marketplace.organisations.actor import by_name
from marketplace.settlement import distribution, payout_batch, period_close, remittance
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.payout_answer import RESULT_HEADER
from marketplace.settlement.payout_batch import PayoutBatch
from marketplace.settlement.payout_file import yuan
from marketplace.simulation import transfers, treasury
from marketplace.simulation.gateway import Gateway
from marketplace.simulation.people import People


def distribute(cooperatives: list[int], people: People, done: Counter[str]) -> None:
    """On the second of a month these cooperatives publish what they will divide of the month before."""
    today = clock.business_date()
    period = clock.period_of(today.replace(day=1) - timedelta(days=1))
    for cooperative_id in cooperatives:
        staff = people.staff[cooperative_id]
        try:
            row = transaction(lambda c=cooperative_id, s=staff: distribution.draft(c, period, actor=s["accountant"]))  # type: ignore[misc]
        except Conflict:
            done["nothing to distribute"] += 1
            continue
        row_id, version = row.id, row.version
        transaction(lambda r=row_id, s=staff, v=version: distribution.approve(r, actor=s["director"], version=v))  # type: ignore[misc]
        transaction(lambda r=row_id, s=staff: distribution.publish(r, actor=s["director"]))  # type: ignore[misc]
        done["distributions"] += 1


def credit(chance: random.Random, people: People, opened: Gateway, done: Counter[str]) -> None:
    """Once its notice has ended a distribution is credited; whom Alipay reaches is paid there, the others by the bank, which holds what is paid out."""
    query = (
        select(Distribution.id, Distribution.organisation_id)
        .join(PublicNotice, PublicNotice.id == Distribution.notice_id)
        .where(Distribution.state == "PUBLISHED", PublicNotice.ends_on < clock.business_date())
        .order_by(Distribution.id)
    )
    for row_id, cooperative_id in db.session.execute(query).all():
        staff = people.staff[cooperative_id]
        transaction(lambda r=row_id, s=staff: distribution.post(r, actor=s["accountant"]))  # type: ignore[misc]
        came_back = transfers.pay(row_id, staff, opened, chance, done)
        if came_back is not None:
            again = transaction(lambda b=came_back, s=staff: payout_batch.reissue(b, actor=s["accountant"], channel="bank"))  # type: ignore[misc]
            treasury.cover(cooperative_id, again.total_fen, people, opened, done)
            _send(again.id, again.version, people, cooperative_id)
            done["reissued"] += 1
        batch = transaction(lambda r=row_id, s=staff: payout_batch.make(r, actor=s["accountant"]))  # type: ignore[misc]
        treasury.cover(cooperative_id, batch.total_fen, people, opened, done)
        _send(batch.id, batch.version, people, cooperative_id)
        done["payout batches"] += 1


def answer(chance: random.Random, people: People, done: Counter[str]) -> None:
    """The bank answers the day after: nearly all paid; what came back is issued again."""
    query = select(PayoutBatch.id, PayoutBatch.organisation_id, PayoutBatch.number, PayoutBatch.reissue_of_id).where(
        PayoutBatch.state == "SENT", PayoutBatch.channel == "bank", PayoutBatch.sent_at < clock.now() - timedelta(hours=12)
    )
    for batch_id, cooperative_id, number, reissue_of in db.session.execute(query.order_by(PayoutBatch.id)).all():
        staff = people.staff[cooperative_id]
        items = payout_batch.items_of(batch_id)
        back = chance.randrange(len(items)) if reissue_of is None and chance.random() < 0.5 else -1
        lines = [",".join(RESULT_HEADER)]
        for place, item in enumerate(items):
            result = "returned,账号不符" if place == back else "paid,"
            lines.append(f"{number},{item.sequence},{yuan(item.fen)},{result}")
        content = "\n".join(lines).encode()
        transaction(lambda b=batch_id, c=content, s=staff: payout_batch.import_results(b, c, actor=s["accountant"]))  # type: ignore[misc]
        done["payouts"] += len(items) - (back >= 0)
        if back >= 0:
            again = transaction(lambda b=batch_id, s=staff: payout_batch.reissue(b, actor=s["accountant"]))  # type: ignore[misc]
            _send(again.id, again.version, people, cooperative_id)
            done["reissued"] += 1


def remit(people: People, done: Counter[str]) -> None:
    """On the twentieth the villages, the fund and the cooperative itself get what is theirs, as far as it lies in the bank."""
    today = clock.business_date()
    for cooperative_id in people.cooperatives:
        staff = people.staff[cooperative_id]
        left = remittance.available(cooperative_id)
        wanted: list[tuple[str, int | None, int]] = [("COLLECTIVE", village, fen) for village, fen in sorted(left.collectives.items())]
        wanted += [("FUND", None, left.fund_fen), ("REVENUE", None, max(0, left.own_fen) // 2)]
        in_bank = left.bank_fen
        for number, (kind, village, fen) in enumerate(wanted, 1):
            if not 0 < fen <= in_bank:
                continue
            in_bank -= fen
            key, serial = f"simulated-{today}-{kind}-{village}", f"{today:%Y%m%d}{cooperative_id:04d}9{number:04d}"
            row = transaction(lambda k=kind, v=village, f=fen, s=staff, y=key: remittance.propose(k, f, village_id=v, actor=s["accountant"], key=y))  # type: ignore[misc]
            row_id, version = row.id, row.version
            agreed = transaction(lambda r=row_id, v=version, s=staff: remittance.approve(r, actor=s["director"], version=v).version)  # type: ignore[misc]
            transaction(
                lambda r=row_id, v=agreed, b=serial, s=staff: remittance.record_paid(r, paid_on=today, bank_serial=b, actor=s["accountant"], version=v)  # type: ignore[misc]
            )
            done["remittances"] += 1


def close(done: Counter[str]) -> None:
    """The treasurer closes every month that is over, the oldest first; broken books are not closed, and the day goes on."""
    for period in period_close.due():
        try:
            state = period_close.checklist(period)
            transaction(lambda state=state: period_close.close(state, actor=by_name("treasurer")))  # type: ignore[misc]
        except Conflict as error:
            done[f"not closed: {error.code}"] += 1
            return
        done["months closed"] += 1


def _send(batch_id: int, version: int, people: People, cooperative_id: int) -> None:
    staff = people.staff[cooperative_id]
    transaction(lambda: payout_batch.approve(batch_id, actor=staff["director"], version=version))
    transaction(lambda: payout_batch.mark_sent(batch_id, actor=staff["accountant"]))
