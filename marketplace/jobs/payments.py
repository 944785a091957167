"""The jobs of payments: what nobody told us is asked for, first by query, at last by the day's bill."""

import logging

from marketplace.foundation.database import transaction
from marketplace.foundation.errors import MarketError
from marketplace.jobs.schedule import job
from marketplace.payments import account_bill, bill_import, call, retention, sweep
from marketplace.payments.channel import client_for
from marketplace.settlement import difference, reconciliation

log = logging.getLogger("market.jobs")


@job("ask", 5, "ask Alipay about open payments of which no notice came")
def ask() -> str:
    asked = ask_due(50)
    return f"{asked} asked about" if asked else ""


def ask_due(limit: int = 100) -> int:
    """Ask about each payment that is due, one call at a time; how many. Never inside a transaction."""
    payment_ids = transaction(lambda: sweep.due(limit))
    for payment_id in payment_ids:
        try:
            call.ask(payment_id)
        except MarketError as error:
            # One payment whose answer does not fit must not keep the others from being asked about.
            log.warning("payment %s could not be asked about: %s", payment_id, error.code)
            transaction(lambda number=payment_id: sweep.postpone(number))  # type: ignore[misc]
    return len(payment_ids)


@job("bills", 900, "fetch the day's bills of Alipay, learn from them what nobody told, post their fees")
def bills() -> str:
    fetched = fetch_bills(50)
    return f"{fetched} bills" if fetched else ""


def fetch_bills(limit: int = 50) -> int:
    """Fetch and import each bill that is out and missing, one seller's day at a time; how many. Never inside a transaction."""
    fetched = 0
    for organisation_id, day in transaction(lambda: bill_import.missing_days(limit)):
        try:
            channel = transaction(lambda number=organisation_id: client_for(number))  # type: ignore[misc]
            bill = channel.bill(day)
            if bill is not None:
                transaction(lambda number=organisation_id, came=bill: bill_import.take(number, came))  # type: ignore[misc]
                fetched += 1
        except MarketError as error:
            log.warning("the bill of %s for organisation %s: %s", day, organisation_id, error.code)
    return fetched


@job("accounts", 900, "fetch Alipay's account bills: every movement of each balance, to reconcile the books with")
def accounts() -> str:
    fetched = fetch_account_bills(50)
    return f"{fetched} account bills" if fetched else ""


def fetch_account_bills(limit: int = 50) -> int:
    """Fetch and keep each account bill whose trade bill is here, one seller's day at a time; how many. Never inside a transaction."""
    fetched = 0
    for organisation_id, day in transaction(lambda: account_bill.missing_days(limit)):
        try:
            channel = transaction(lambda number=organisation_id: client_for(number))  # type: ignore[misc]
            bill = channel.account_bill(day)
            if bill is not None:
                transaction(lambda number=organisation_id, came=bill: (account_bill.take(number, came), difference.reconcile(number, ["alipay"])))  # type: ignore[misc]
                fetched += 1
        except MarketError as error:
            log.warning("the account bill of %s for organisation %s: %s", day, organisation_id, error.code)
    return fetched


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
