"""What a cooperative's accountant does with Alipay: its bills come in every morning, and on Mondays its money goes to the bank."""

from collections import Counter
from datetime import date

from sqlalchemy import select

from marketplace.emulator.refusal import Refusal
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.ledger import balance
from marketplace.payments import account_bill, bill_import, withdrawal
from marketplace.payments.alipay_account_bill import AccountBill
from marketplace.payments.alipay_outcome import Bill
from marketplace.payments.withdrawal import Withdrawal
from marketplace.settlement import difference
from marketplace.simulation.gateway import Gateway
from marketplace.simulation.people import People

KEPT_FEN = 3_000_00  # stays in Alipay for refunds
WORTH_FEN = 2_000_00  # less is not worth a withdrawal


def bills(opened: Gateway, done: Counter[str], *, looks: bool = True) -> None:
    """Yesterday's trade bills, with their fees, and account bills. Where somebody ``looks``, what differs is listed at once."""
    for organisation_id, day in transaction(lambda: bill_import.missing_days(500)):
        bill = opened.channel(organisation_id).bill(day)
        if isinstance(bill, Bill):
            transaction(lambda number=organisation_id, came=bill: bill_import.take(number, came))  # type: ignore[misc]
            done["bills"] += 1
    for organisation_id, day in transaction(lambda: account_bill.missing_days(500)):
        account = opened.channel(organisation_id).account_bill(day)
        if isinstance(account, AccountBill):
            transaction(lambda number=organisation_id, came=account: _take(number, came, looks))  # type: ignore[misc]


def _take(organisation_id: int, bill: AccountBill, looks: bool) -> None:
    account_bill.take(organisation_id, bill)
    if looks:
        difference.reconcile(organisation_id, ["alipay"])


def write_down(people: People, opened: Gateway, done: Counter[str]) -> None:
    """Each day: a withdrawal that nobody wrote down would be a difference of the bill, and an alarm, from the second day on."""
    for cooperative_id in people.cooperatives:
        _record_forgotten(cooperative_id, people, opened, done)


def withdraw(people: People, opened: Gateway, done: Counter[str]) -> None:
    """Everything but a reserve goes to the bank."""
    for cooperative_id in people.cooperatives:
        spare = withdrawal.available(cooperative_id) - KEPT_FEN
        if spare >= WORTH_FEN:
            _order(cooperative_id, spare // 10_000 * 10_000, people, opened, done)


def cover(cooperative_id: int, fen: int, people: People, opened: Gateway, done: Counter[str]) -> None:
    """See that the bank holds what is about to be paid out."""
    _record_forgotten(cooperative_id, people, opened, done)
    short = fen - balance.held("bank", cooperative_id)
    if short > 0:
        _order(cooperative_id, min(short, withdrawal.available(cooperative_id)), people, opened, done)


def _order(cooperative_id: int, fen: int, people: People, opened: Gateway, done: Counter[str]) -> None:
    if fen <= 0:
        return
    try:
        number = opened.emulator.withdraw(opened.clients[cooperative_id].seller_id, fen)
    except Refusal:
        done["withdrawals refused"] += 1
        return
    _record(cooperative_id, fen, number, clock.business_date(), people, done)


def _record_forgotten(cooperative_id: int, people: People, opened: Gateway, done: Counter[str]) -> None:
    """What was withdrawn on Alipay's pages and nobody wrote down, since a day broke off between the two, is recorded now."""
    known = set(db.session.scalars(select(Withdrawal.serial).where(Withdrawal.organisation_id == cooperative_id)))
    for number, fen, day in opened.withdrawals(cooperative_id):
        if number not in known:
            _record(cooperative_id, fen, number, day, people, done)


def _record(cooperative_id: int, fen: int, number: str, day: date, people: People, done: Counter[str]) -> None:
    accountant = people.staff[cooperative_id]["accountant"]
    try:
        transaction(lambda: withdrawal.record(fen, number, ordered_on=day, actor=accountant, key=f"simulated-{number}"))
    except Conflict:
        done["withdrawals not recorded"] += 1  # refunds have taken the money since: it is written down once there is enough
        return
    done["withdrawals"] += 1
