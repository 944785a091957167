"""The jobs of payments: what nobody told us is asked for, first by query, at last by the day's bill."""

import logging
import time
from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import Any

from marketplace.foundation import clock, outbox
from marketplace.foundation.database import transaction
from marketplace.foundation.errors import MarketError
from marketplace.jobs.schedule import SPELL, job
from marketplace.payments import (
    account_bill,
    bill_day,
    bill_import,
    call,
    key_check,
    lacking_permission,
    retention,
    stripe_look,
    stripe_seller,
    sweep,
)
from marketplace.payments.alipay_account_bill import AccountBill
from marketplace.payments.alipay_outcome import Bill, BillAbsent
from marketplace.payments.channel import Channel, client_for
from marketplace.payments.stripe_seller import LacksPermission
from marketplace.settlement import difference, reconciliation, transfer_bill

log = logging.getLogger("market.jobs")


@job("ask", 5, "ask Alipay about open payments of which no notice came", asks="gateway")
def ask() -> str:
    asked = ask_due(50)
    return f"{asked} asked about" if asked else ""


def ask_due(limit: int = 100) -> int:
    """Ask about each payment that is due, one call at a time, for a spell; how many. Never inside a transaction.

    Once a seller's channel has refused our keys or our form its others wait, unasked.
    """
    asked, until = 0, time.monotonic() + SPELL
    for payment_id in transaction(lambda: sweep.due(limit)):
        if time.monotonic() >= until:
            break
        asked += 1
        try:
            call.ask(payment_id)
        except MarketError as error:
            # One payment whose answer does not fit must not keep the others from being asked about.
            log.warning("payment %s could not be asked about: %s", payment_id, error.code)
            transaction(lambda number=payment_id: sweep.postpone(number))  # type: ignore[misc]
    return asked


@job("bills", 900, "fetch the day's bills of Alipay, learn from them what nobody told, post their fees", asks="gateway")
def bills() -> str:
    fetched = fetch_bills(50)
    return f"{fetched} bills" if fetched else ""


def fetch_bills(limit: int = 50) -> int:
    """Fetch and import each bill that is out and missing, one seller's day at a time; how many. Never inside a transaction."""
    return _fetch("trade", transaction(lambda: bill_import.missing_days(limit)))


@job("accounts", 900, "fetch Alipay's account bills: every movement of each balance, to reconcile the books with", asks="gateway")
def accounts() -> str:
    fetched = fetch_account_bills(50)
    return f"{fetched} account bills" if fetched else ""


def fetch_account_bills(limit: int = 50) -> int:
    """Fetch and keep each account bill whose trade bill is here, one seller's day at a time; how many. Never inside a transaction."""
    return _fetch("account", transaction(lambda: account_bill.missing_days(limit)))


@outbox.handles("bill.fetch", asks="gateway")
def _fetch_asked(payload: dict[str, Any]) -> None:
    """A person wants a day's bills now (``bill_day.ask_for``). What does not come is asked for again as any other day."""
    wanted = [(int(payload["organisation_id"]), date.fromisoformat(payload["day"]))]
    for kind in bill_day.KINDS:
        _fetch(kind, wanted)


def _open_channel(organisation_id: int, day: date) -> Channel:
    """The channel that has the bill of a day: of the application that the cooperative has left, if it was paid there then."""
    app_id, seller_id = bill_day.application(organisation_id, day)
    call.must_be_open(organisation_id, account=app_id)
    return client_for(organisation_id, account=app_id, seller_id=seller_id)


def _fetch(kind: str, wanted: Sequence[tuple[int, date]]) -> int:
    """Fetch and take what is wanted of (seller, day), for a spell. A seller whose channel refuses our keys or our form is not asked for its
    other days; what did not come is asked for again later."""
    fetched, stopped, until = 0, set[int](), time.monotonic() + SPELL
    for organisation_id, day in wanted:
        if organisation_id in stopped or time.monotonic() >= until:
            continue
        try:
            channel = transaction(partial(_open_channel, organisation_id, day))
            said = channel.bill(day) if kind == "trade" else channel.account_bill(day)
            why = transaction(partial(_take, organisation_id, day, kind, said))
        except MarketError as error:
            why = error.code
            if why == "channel.stopped":
                stopped.add(organisation_id)
        if why:
            log.warning("the %s bill of %s for organisation %s: %s", kind, day, organisation_id, why)
            transaction(partial(_missed, organisation_id, day, kind, why))
        else:
            fetched += 1
    return fetched


def _missed(organisation_id: int, day: date, kind: str, why: str) -> None:
    """Have a bill asked for again; one that is here and was asked for all the same is not missed, unless Alipay's is another now."""
    here = bill_import.is_here if kind == "trade" else account_bill.is_here
    if why == "bill.changed" or not here(organisation_id, day):
        bill_day.missed(organisation_id, kind, day, why)


def _take(organisation_id: int, day: date, kind: str, said: Bill | AccountBill | BillAbsent | None) -> str:
    """Keep what came of a day; why there is nothing to keep, empty if there was."""
    if said is None:
        return "channel.unknown"
    if isinstance(said, BillAbsent):
        absent = bill_import.take_absent if kind == "trade" else account_bill.take_absent
        return "" if absent(organisation_id, day) else "bill.absent"
    if isinstance(said, Bill):
        bill_import.take(organisation_id, said)
        return ""
    account_bill.take(organisation_id, said)
    transfer_bill.learn(organisation_id)
    difference.reconcile(organisation_id, ["alipay"])
    return ""


@job("cards", 24 * 3600, "look through Stripe's lists of refunds and disputes for what no event told", asks="gateway")
def cards() -> str:
    learnt = 0
    for organisation_id, account in transaction(stripe_look.accounts):
        try:
            learnt += look_at_account(organisation_id, account)
        except MarketError as error:
            log.warning("Stripe's lists of organisation %s could not be looked at: %s", organisation_id, error.code)
            transaction(partial(stripe_look.failed, organisation_id, account))
    return f"{learnt} learnt from Stripe" if learnt else ""


@outbox.handles(stripe_look.AGAIN, asks="gateway")
def _look_again(payload: dict[str, Any]) -> None:
    its = int(payload["organisation_id"]), str(payload["account"])
    if its in transaction(stripe_look.accounts):  # else its last key was retired since, and nothing of it can move any more
        look_at_account(*its, only=str(payload.get("what", "")))


def look_at_account(organisation_id: int, account: str, *, only: str = "") -> int:
    """Learn from one account's lists, or ``only`` from one of them; how much was new. Never inside a transaction. OutsideFailure if they are not
    to be had; but of two, one that the key may not read waits by itself."""
    learnt = 0
    for what, kind in stripe_look.LISTS.items():
        if only not in ("", what):
            continue
        lacks = ""
        try:
            learnt += _LOOKS[what](organisation_id, account)
        except LacksPermission as error:
            lacks = str(error.data["permission"])
            if only:
                transaction(partial(lacking_permission.heard, organisation_id, account, kind, lacks))
                raise
            transaction(partial(stripe_look.failed, organisation_id, account, what))
        transaction(partial(lacking_permission.heard, organisation_id, account, kind, lacks))
    return learnt


def _refunds(organisation_id: int, account: str) -> int:
    seller = transaction(lambda: stripe_seller.client_for(organisation_id, account=account))
    back = seller.lately("refunds", clock.now() - stripe_look.REFUNDS)
    said = [transaction(partial(stripe_look.take_refund, organisation_id, each)) for each in back]
    for intent in transaction(partial(stripe_look.made_there, organisation_id, account, back)):
        of_payment = transaction(partial(stripe_seller.client_for, organisation_id, account=account, trade_no=intent))
        said.append(transaction(partial(stripe_look.take_elsewhere, organisation_id, account, intent, of_payment.refunds())))
    return sum(each in ("applied", "refunded_elsewhere", "came_back") for each in said)


def _disputes(organisation_id: int, account: str) -> int:
    seller = transaction(lambda: stripe_seller.client_for(organisation_id, account=account))
    asked = seller.lately("disputes", clock.now() - stripe_look.DISPUTES)
    said = [transaction(partial(stripe_look.take_dispute, organisation_id, account, each)) for each in asked]
    return sum(each in ("disputed", "lost") for each in said)


_LOOKS = {"refunds": _refunds, "disputes": _disputes}


@job("keys", 24 * 3600, "ask Stripe whose account each key in use opens", asks="gateway")
def keys() -> str:
    wrong = 0
    for key_id in transaction(key_check.in_use):
        said = key_check.ask(*transaction(partial(key_check.parts, key_id)))
        wrong += transaction(partial(key_check.keep, key_id, said))
    return f"{wrong} keys are not as they should be" if wrong else ""


@job("reconcile", 3600, "compare books, bank statements and Alipay's bills, and list what differs")
def reconcile() -> str:
    count = 0
    for organisation_id in transaction(reconciliation.cooperatives_with_statements):
        count += transaction(lambda own=organisation_id: difference.reconcile(own))  # type: ignore[misc]
    return f"{count} differences open" if count else ""


@job("forget", 3600, "delete what the inbox and outbox kept long enough")
def forget() -> str:
    gone = transaction(retention.forget)
    return f"{gone} rows" if gone else ""
