"""Matching of bank receipts: a proposal made by the system, a decision made by the cooperative's accountant.

What is matched never passes what came, nor what is owed; the rest of a receipt stays unapplied. What can be paid over the
bank is told by whoever registers as a ``Desk``: this rung knows no orders.
"""

import re
import secrets
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, Protocol

from sqlalchemy import select

from marketplace.foundation import audit, clock
from marketplace.foundation.database import db, locked
from marketplace.foundation.errors import Conflict, InvalidInput, NotFound
from marketplace.foundation.idempotency import once
from marketplace.foundation.language import N_
from marketplace.foundation.money import parse_yuan
from marketplace.ledger import event
from marketplace.ledger.posting import Source
from marketplace.organisations.actor import Actor
from marketplace.payments.bank_statement import BankMatch, BankReceipt
from marketplace.payments.payment import Payment

CHANNEL = "bank_transfer"
OPEN = ("imported", "partial")  # states of a receipt of which something may be left
# Why a payable is proposed, and how much each reason weighs: a reference says it almost alone, a name hardly anything.
WEIGHTS = {"REFERENCE": 100, "AMOUNT": 40, "PAYER": 20, "PAYER_SIMILAR": 8, "PART": 1}


# How the books know what is to be paid: not yet (nothing arrived so far), as a receivable for goods on credit, as one for goods whose money
# was divided before it turned out to be unpaid, or for late interest, which is nobody's goods and divides among nobody.
Owed = Literal["not yet", "on credit", "divided", "interest"]
_POSTS = {
    "not yet": event.matched_prepaid, "on credit": event.matched_receivable, "divided": event.matched_divided, "interest": event.interest_paid,
}  # fmt: skip


@dataclass(frozen=True)
class Payable:
    """Something a unit owes: ``open_fen`` still to be paid, and how the books know of it."""

    kind: str
    id: int
    public_id: str
    organisation_id: int
    reference: str
    payer_name: str
    open_fen: int
    owed: Owed
    pay_by: date | None = None

    @property
    def is_interest(self) -> bool:
        return self.owed == "interest"


class Desk(Protocol):
    """What a kind of payable tells and does, in the same transaction."""

    def open_of(self, cooperative_id: int) -> Sequence[Payable]:
        """All that is owed to a cooperative."""

    def held(self, payable_id: int) -> Payable:
        """One of them, fresh and locked."""

    def take(self, payment: Payment) -> None:
        """Count a payment that succeeded in."""

    def may_give_up(self, payment: Payment) -> None:
        """Raise Conflict if a payment can no longer be counted out again."""

    def give_up(self, payment: Payment) -> Owed:
        """Count a payment out again; how what it paid is owed from now on. Raises as ``may_give_up``."""


desks: dict[str, Desk] = {}


@dataclass(frozen=True)
class Proposal:
    """A payable, what would be matched to it in fen, how sure that is, and the codes of why."""

    payable: Payable
    fen: int
    score: int
    reasons: tuple[str, ...]


def propose(receipt_id: int, *, actor: Actor, limit: int = 5) -> list[Proposal]:
    """What the rest of a receipt may pay, likeliest first: by reference in the remark, by amount, by payer."""
    receipt = _own(db.session.get(BankReceipt, receipt_id), actor)
    return proposals([receipt], actor=actor, limit=limit)[receipt_id]


def proposals(receipts: Sequence[BankReceipt], *, actor: Actor, limit: int = 5) -> dict[int, list[Proposal]]:
    """The same for several receipts, by receipt; what is owed is looked up once for all of them."""
    owed = [payable for desk in desks.values() for payable in desk.open_of(actor.organisation_id)] if receipts else []
    return {receipt.id: _likely(_own(receipt, actor), owed)[:limit] for receipt in receipts}


def owed_to(actor: Actor, words: str = "") -> list[Payable]:
    """All that is owed over the bank to the actor's cooperative, what is due first; with ``words`` only what bears them in its reference
    or its payer's name, or is owed in just that amount. For receipts of which nothing tells what they pay."""
    if actor.kind != "COOPERATIVE":
        return []
    asked, fen = _plain(words), _yuan(words)
    owed = [payable for desk in desks.values() for payable in desk.open_of(actor.organisation_id)]
    found = [each for each in owed if asked in _plain(each.reference) or asked in _plain(each.payer_name) or each.open_fen == fen]
    return sorted(found, key=lambda each: (each.pay_by or date.max, each.kind, each.id))


def _yuan(words: str) -> int | None:
    try:
        return parse_yuan(words)
    except ValueError:
        return None


def _likely(receipt: BankReceipt, owed: list[Payable]) -> list[Proposal]:
    rest = receipt.left_fen
    found = []
    for payable in owed if rest else ():
        reasons = _reasons(receipt, rest, payable)
        if reasons:
            score = sum(WEIGHTS[reason] for reason in reasons)
            found.append(Proposal(payable, min(rest, payable.open_fen), score, reasons))
    return sorted(found, key=lambda p: (-p.score, p.payable.pay_by or date.max, p.payable.id))


def match(receipt_id: int, payable_kind: str, payable_id: int, fen: int, *, actor: Actor, key: str) -> BankMatch:
    """The accountant decides that ``fen`` of a receipt pay a payable of the cooperative. The same ``key``: the same match.

    Raises Conflict ``match.receipt`` beyond what is left of the receipt, ``match.owed`` beyond what is owed.
    """
    actor.must_have("COOPERATIVE", "accountant")
    request = [receipt_id, payable_kind, payable_id, fen]
    answer = once(
        f"bank_match:{actor.organisation_id}", key, request,
        lambda: {"match_id": _match(receipt_id, payable_kind, payable_id, fen, actor)},
    )  # fmt: skip
    return db.session.get_one(BankMatch, answer["match_id"])


def _match(receipt_id: int, payable_kind: str, payable_id: int, fen: int, actor: Actor) -> int:
    receipt = _own(locked(BankReceipt, receipt_id), actor)
    if payable_kind not in desks:
        raise NotFound("payable.missing", N_("没有找到，或不归您的单位查看。"))
    payable = desks[payable_kind].held(payable_id)
    if payable.organisation_id != actor.organisation_id:
        raise NotFound("payable.missing", N_("没有找到，或不归您的单位查看。"))
    _must_fit(receipt, payable, fen)
    payment = _payment(receipt, payable, fen)
    row = BankMatch(
        organisation_id=receipt.organisation_id,
        receipt_id=receipt.id,
        # A payment stands between, so that a refund of bank money has what every refund has: the payment it gives back.
        payable_kind="payment",
        payable_id=payment.id,
        fen=fen,
        confirmed_at=clock.now(),
        confirmed_by_id=actor.person_id,
        proposal=" ".join(_reasons(receipt, receipt.left_fen, payable)),
    )
    receipt.matched_fen += fen
    receipt.settle_state()
    db.session.add(row)
    db.session.flush()
    desks[payable_kind].take(payment)
    _POSTS[payable.owed](book=row.organisation_id, source=Source("bank_match", row.id), fen=fen)
    audit.record("bank_receipt.matched", row, person_id=actor.person_id, receipt_id=receipt.id, payment_id=payment.id, fen=fen)
    return row.id


def _must_fit(receipt: BankReceipt, payable: Payable, fen: int) -> None:
    if fen <= 0:
        raise InvalidInput("fen.bad", N_("请填写核销金额。"), field="fen")
    if receipt.state not in OPEN:
        raise Conflict("match.state", N_("这笔到账已经处理过了。"), state=receipt.state)
    left = receipt.left_fen
    if fen > left:
        raise Conflict("match.receipt", N_("这笔到账没有那么多未核销的钱了。"), left_fen=left)
    if fen > payable.open_fen:
        raise Conflict("match.owed", N_("这张单没有欠那么多。多付的部分先留着，可以核销到别的单或退回。"), left_fen=payable.open_fen)


def _payment(receipt: BankReceipt, payable: Payable, fen: int) -> Payment:
    now = clock.now()
    payment = Payment(
        organisation_id=receipt.organisation_id,
        payable_kind=payable.kind,
        payable_id=payable.id,
        channel=CHANNEL,
        out_trade_no=f"B{now.astimezone(clock.BEIJING):%Y%m%d%H%M%S}{secrets.randbelow(10**12):012d}",
        amount_fen=fen,
        state="succeeded",
        app_id="",
        seller_id="",
        subject=payable.reference,
        created_at=now,
        expires_at=now,
        succeeded_at=now,
    )
    db.session.add(payment)
    db.session.flush()
    return payment


def _own(receipt: BankReceipt | None, actor: Actor) -> BankReceipt:
    if receipt is None or receipt.organisation_id != actor.organisation_id or actor.kind != "COOPERATIVE":
        raise NotFound("bank_receipt.missing", N_("没有找到，或不归您的单位查看。"))
    return receipt


def _reasons(receipt: BankReceipt, rest: int, payable: Payable) -> tuple[str, ...]:
    reasons = []
    if _plain(payable.reference) in _plain(receipt.remark):
        reasons.append("REFERENCE")
    if rest == payable.open_fen:
        reasons.append("AMOUNT")
    payer, name = _plain(receipt.payer_name), _plain(payable.payer_name)
    if payer and payer == name:
        reasons.append("PAYER")
    elif len(payer) > 3 and (payer in name or name in payer):
        # The county's treasury often pays for a unit and names it in its own name, or the other way round.
        reasons.append("PAYER_SIMILAR")
    if reasons and rest < payable.open_fen:
        reasons.append("PART")
    return tuple(reasons)


def _plain(text: str) -> str:
    """Without what people change when they copy: width, case, spaces and punctuation."""
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", text)).upper()


def references_waiting(organisation_id: int, references: Iterable[str]) -> set[str]:
    """Which of ``references`` stand in the remark of a receipt of the cooperative of which something is left to match."""
    waiting = select(BankReceipt.remark).where(BankReceipt.organisation_id == organisation_id, BankReceipt.state.in_(OPEN), BankReceipt.remark != "")
    remarks = [_plain(remark) for remark in db.session.scalars(waiting)]
    return {reference for reference in references if any(_plain(reference) in remark for remark in remarks)}


def unmatched(actor: Actor, *, after: BankReceipt | None = None, limit: int | None = None) -> list[BankReceipt]:
    """Receipts of the actor's cooperative with something left to match, oldest first: those behind ``after``, ``limit`` at most."""
    query = select(BankReceipt).where(BankReceipt.organisation_id == actor.organisation_id, BankReceipt.state.in_(OPEN))
    if after is not None:
        later = (BankReceipt.received_on == after.received_on) & (BankReceipt.id > after.id)
        query = query.where((BankReceipt.received_on > after.received_on) | later)
    return list(db.session.scalars(query.order_by(BankReceipt.received_on, BankReceipt.id).limit(limit)))
