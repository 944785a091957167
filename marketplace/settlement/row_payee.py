"""Whether a debit of the bank went to whom the books pay. A remark is free text of whoever transfers: it names what is paid, never who got it.

Where the bank writes the other's name or account, those must fit the payee, stars of the bank standing for anything. What does not fit is a
difference, and two people say what it is.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Select, select

from marketplace.foundation.database import db
from marketplace.households.household import Household
from marketplace.payments.bank_refund import BankRefund
from marketplace.payments.bank_statement import BankMatch, BankReceipt
from marketplace.payments.receipt_return import ReceiptReturn
from marketplace.payments.refund import Refund
from marketplace.payments.statement_row import Seen
from marketplace.settlement.payout_found import PayoutFound
from marketplace.settlement.payout_item import PayoutItem, payee_of
from marketplace.settlement.remittance import Remittance, payee_name

ALIKE = 500  # payments of one amount that are looked at
# A bank debits a whole file at once, and names an account of its own.
_OWN = re.compile(r"代发|银行|信用社|信用合作|信用联社|农商|专户|清算|过渡|暂收")
# A remittance goes to an organisation whose account nobody has registered: the bank's word for it says what it is, and is no person's name.
_KINDS = {"COLLECTIVE": re.compile(r"村|社区|居委会"), "FUND": re.compile(r"基金|财政"), "REVENUE": re.compile(r"合作社")}


class Payee(NamedTuple):
    """Who is paid, and to which account; empty where it is not known."""

    name: str
    account: str


def fits(row: Seen, payees: Iterable[Payee]) -> bool:
    """Whether one of these got it, as far as the bank tells; True where it tells nobody."""
    name, account = _bare(row.name), _bare(getattr(row, "account", ""))
    if not name and not account:
        return True
    return any((not name or _same(name, _bare(each.name))) and _same_account(account, _bare(each.account), bool(name)) for each in payees)


def tells(row: Seen) -> bool:
    """Whether the bank says who the other is."""
    return bool(_bare(row.name) or _bare(getattr(row, "account", "")))


def of_entry(source_type: str, source_id: int, fen: int | None = None) -> list[Payee] | None:
    """Whom an entry of this source pays; of a batch, those of just ``fen``. None for a source that pays nobody in particular."""
    find = _PAYEES.get(source_type)
    return find(source_id, fen) if find is not None else None


def pays(row: Seen, source_type: str, source_id: int) -> bool:
    """Whether a debit may be this entry, by whom it went to."""
    if source_type in _PAYOUTS and _OWN.search(row.name):
        return True
    if source_type == "remittance" and (not _bare(row.name) or _KINDS[db.session.get_one(Remittance, source_id).kind].search(row.name)):
        return True
    payees = of_entry(source_type, source_id, -row.fen)
    return payees is None or fits(row, payees)


def _returned(number: int, _fen: int | None) -> list[Payee]:
    its = db.session.get_one(ReceiptReturn, number)
    return [Payee(its.payee_name, its.payee_account)]


def _refunded(number: int, _fen: int | None) -> list[Payee]:
    """Who was named, or else who had paid."""
    named = db.session.scalars(select(BankRefund).where(BankRefund.refund_id == number)).one_or_none()
    if named is not None and named.payee_name:
        return [Payee(named.payee_name, named.payee_account)]
    query = (
        select(BankReceipt)
        .join(BankMatch, BankMatch.receipt_id == BankReceipt.id)
        .join(Refund, (BankMatch.payable_kind == "payment") & (BankMatch.payable_id == Refund.payment_id))
        .where(Refund.id == number)
    )
    return [Payee(each.payer_name, each.payer_account) for each in db.session.scalars(query)]


def _of_batch(number: int, fen: int | None) -> list[Payee]:
    query = _items().where(PayoutItem.batch_id == number)
    return _households(query if fen is None else query.where(PayoutItem.fen == fen))


def _of_item(number: int, _fen: int | None) -> list[Payee]:
    return _households(_items().where(PayoutItem.id == number))


def _of_found(number: int, _fen: int | None) -> list[Payee]:
    return _households(_items().where(PayoutItem.id == select(PayoutFound.item_id).where(PayoutFound.id == number).scalar_subquery()))


def _remitted(number: int, _fen: int | None) -> list[Payee]:
    return [Payee(payee_name(db.session.get_one(Remittance, number)), "")]


def _items() -> Select[Any, Any]:
    return select(PayoutItem, Household).join(Household, Household.id == PayoutItem.household_id).order_by(PayoutItem.id).limit(ALIKE)


def _households(query: Select[Any, Any]) -> list[Payee]:
    return [Payee(payee_of(home)[0], item.bank_account) for item, home in db.session.execute(query)]


_PAYOUTS: dict[str, Any] = {"payout_batch": _of_batch, "payout_item": _of_item, "payout_found": _of_found}
_PAYEES: dict[str, Any] = {"receipt_return": _returned, "refund": _refunded, "remittance": _remitted, **_PAYOUTS}


def _bare(text: str) -> str:
    """Without what banks write differently: width, spaces, punctuation and case; stars stay."""
    return re.sub(r"[^\w*]|_", "", unicodedata.normalize("NFKC", text)).upper()


def _same_account(told: str, known: str, named: bool) -> bool:
    """Where nobody knows the payee's account, the name must do."""
    return not told or (_same(told, known) if known else named)


def _same(told: str, known: str) -> bool:
    """Whether what the bank tells is what we know. Between stars one part is looked for after the other: a pattern made of what somebody wrote
    into a file may take for ever to say no."""
    if "*" not in told:
        return told == known
    first, *between, last = re.split(r"\*+", told)
    at, end = len(first), len(known) - len(last)
    if not told.strip("*") or end < at or not known.startswith(first) or not known.endswith(last):
        return False
    for part in between:
        at = known.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True
