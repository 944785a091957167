"""A refund that the channel refused for good is made again: by the same way under a new number, or over the bank. Or it is given up.

The first approval said that the money goes back; only the way is new. Over the bank the payee is new too, so two people look. So they do when it is
given up, and when it would take of what was divided though it was approved before the split.
"""

import re

from sqlalchemy import select

from marketplace.foundation import audit, clock
from marketplace.foundation.database import db, get, locked, not_found
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed
from marketplace.foundation.language import N_
from marketplace.foundation.money import format_yuan
from marketplace.orders import order_refund, return_request
from marketplace.orders.order import Order, locked_order
from marketplace.organisations import approval
from marketplace.organisations.actor import Actor
from marketplace.organisations.proposal import put
from marketplace.payments import bank_refund, refund_recall, refund_waiver
from marketplace.payments import refund as refunds
from marketplace.payments.bank_refund import BankRefund
from marketplace.payments.payment import ONLINE, Payment
from marketplace.payments.refund import Refund
from marketplace.payments.refund_waiver import RefundWaiver

CORRECTED = "CORRECTED"  # why a payee that was agreed is out of it: another one was agreed after it


def resend(refund_id: int, *, actor: Actor) -> Refund:
    """The same money by the same way, under a new number. Raises Conflict ``refund.not_failed``, ``refund.left``, ``refund.given_up``,
    ``refund.reissued``, ``refund.divided`` if it would take shares that nobody but its first approver agreed to."""
    failed = _failed(refund_id, actor)
    _must_be_agreed(failed)
    channel = get(Payment, failed.payment_id).channel
    if channel not in ONLINE:
        raise NotAllowed("refund.way", N_("这笔钱不是从支付宝来的，要转账退回。"))
    return _again(failed, channel, actor)


def propose(refund_id: int, name: str, account: str, bank: str, *, actor: Actor) -> BankRefund:
    """Pay it over the bank, to this payee. Raises InvalidInput ``payee.name``, ``payee.account``, ``payee.bank``, Conflict as ``resend``, RefundTooMuch
    if all of it has gone back otherwise."""
    failed = _failed(refund_id, actor)
    if not again_fen(failed):
        raise _nothing_left(failed)
    return _propose(failed, name, account, bank, None, actor)


def correct(bank_refund_id: int, name: str, account: str, bank: str, *, actor: Actor) -> BankRefund:
    """Another payee for a transfer that was agreed and is not made yet; the director agrees again. Raises InvalidInput as ``propose``, Conflict
    ``refund.decided`` once it was transferred or corrected, ``refund.proposed``, ``recall.open``."""
    agreed = _agreed(bank_refund_id, actor)
    assert agreed.replaces_id is not None and agreed.refund_id is not None
    refund_recall.must_be_unasked(agreed.refund_id)
    return _propose(get(Refund, agreed.replaces_id), name, account, bank, agreed.id, actor)


def _propose(failed: Refund, name: str, account: str, bank: str, corrects_id: int | None, actor: Actor) -> BankRefund:
    name, account, bank = name.strip(), re.sub(r"[\s-]", "", account), bank.strip()
    if not 2 <= len(name) <= 80:
        raise InvalidInput("payee.name", N_("请填写收款人的姓名或户名。"), field="payee_name")
    if not re.fullmatch(r"[0-9]{8,32}", account):
        raise InvalidInput("payee.account", N_("银行账号是 8 到 32 位数字。"), field="payee_account")
    if not 2 <= len(bank) <= 80:
        raise InvalidInput("payee.bank", N_("请填写开户行。"), field="payee_bank")
    _must_be_unasked(failed)
    row = BankRefund(
        organisation_id=failed.organisation_id,
        replaces_id=failed.id,
        corrects_id=corrects_id,
        state="PROPOSED",
        payee_bank=bank,
        proposed_at=clock.now(),
        proposed_by_id=actor.person_id,
    )
    row.payee_name, row.payee_account = name, account
    db.session.add(row)
    db.session.flush()
    audit.record("refund.bank_proposed", row, person_id=actor.person_id, refund_id=failed.id, fen=failed.fen)
    return row


def decide(bank_refund_id: int, *, approved: bool, reason: str = "", actor: Actor) -> BankRefund:
    """The director's word on a payee, never on their own proposal. Approved, the refund exists and waits for its transfer.

    Raises OwnWork, InvalidInput ``reason.missing``, Conflict ``refund.decided``.
    """
    actor.must_have("COOPERATIVE", "director")
    proposed = get(BankRefund, bank_refund_id)
    if proposed.organisation_id != actor.organisation_id or proposed.replaces_id is None:
        raise not_found(BankRefund)
    corrects_id = proposed.corrects_id
    # To say no needs no money: what was asked for may be out of the question by now.
    failed = _failed(proposed.replaces_id, actor) if approved and corrects_id is None else get(Refund, proposed.replaces_id)
    agreed = _agreed(corrects_id, actor) if approved and corrects_id is not None else None
    row = locked(BankRefund, bank_refund_id)
    if row.state != "PROPOSED":
        raise Conflict("refund.decided", N_("这一项已经有人审过了。"), state=row.state)
    approval.decide(row, maker_id=row.proposed_by_id, actor=actor, version=1, approved=approved, reason=reason)
    row.state = "APPROVED" if approved else "RETURNED"
    row.reason = reason.strip()[:200]
    row.approved_at, row.approved_by_id = clock.now(), actor.person_id
    if agreed is not None:
        # The refund is the same, and who gets it another: the first payee is out of it before the second one is in.
        refund_id, agreed.refund_id, agreed.state, agreed.reason = agreed.refund_id, None, "RETURNED", CORRECTED
        db.session.flush()
        row.refund_id = refund_id
    elif approved:
        row.refund_id = _again(failed, "bank", actor).id
    db.session.flush()
    return row


def waive(refund_id: int, reason: str, *, actor: Actor) -> RefundWaiver:
    """Ask that it be given up: the buyer has agreed to keep the goods, say. Raises InvalidInput ``reason.missing``, Conflict ``waiver.open``,
    ``waiver.buyers`` if the money would be nobody's then, and as ``resend``."""
    failed = _failed(refund_id, actor)
    _must_be_divisible(failed)
    if not 2 <= len(reason.strip()) <= 300:
        raise InvalidInput("reason.missing", N_("请写明为什么不再退，300 字以内。"), field="waiver_reason")
    _must_be_unasked(failed)
    row = RefundWaiver(organisation_id=failed.organisation_id, refund_id=failed.id, reason=reason.strip())
    return put(row, "refund.waiver_asked", person_id=actor.person_id, refund_id=failed.id, fen=failed.fen)


def decide_waiver(waiver_id: int, *, version: int, approved: bool, reason: str = "", actor: Actor) -> RefundWaiver:
    """The director's word, never on their own asking. Approved, the refund is not made any more and no longer holds the split.

    Raises OwnWork, InvalidInput ``reason.missing``, Conflict ``waiver.decided``, ``version.stale`` and as ``waive``.
    """
    actor.must_have("COOPERATIVE", "director")
    asked = get(RefundWaiver, waiver_id)
    if asked.organisation_id != actor.organisation_id:
        raise not_found(RefundWaiver)
    failed = _failed(asked.refund_id, actor) if approved else get(Refund, asked.refund_id)
    row = locked(RefundWaiver, waiver_id)
    row.must_be("PROPOSED")
    if approved:
        _must_be_divisible(failed)
    row.decide(actor=actor, version=version, approved=approved, reason=reason)
    row.state, row.answer = "APPROVED" if approved else "RETURNED", reason.strip()[:300]
    if approved:
        audit.record("refund.given_up", failed, person_id=actor.person_id, fen=failed.fen, sub_code=failed.sub_code)
        failed.sub_code = refunds.GIVEN_UP
    db.session.flush()
    return row


def again_fen(failed: Refund) -> int:
    """What goes back if it is made again, in fen: less than it was if a part went back elsewhere."""
    payment = get(Payment, failed.payment_id)
    if failed.order_id is None:
        return payment.amount_fen - payment.refunded_fen
    return order_refund.still_asked(get(Order, failed.order_id), payment, failed)[0]


def may_be_waived(failed: Refund) -> bool:
    """Whether the money has somewhere to go if it does not go back: to be divided with its order, or it is divided already. Who was never sent
    the goods has nothing to keep instead."""
    if failed.order_id is None or return_request.never_sent(_first(failed)):
        return False
    order = get(Order, failed.order_id)
    return order.cancelled_at is None and not order_refund.undivided(order)


def _must_be_divisible(failed: Refund) -> None:
    if not may_be_waived(failed):
        raise Conflict("waiver.buyers", N_("这笔钱没有分给任何人，或者退的货没有发过，是买家的，不能不退：退不回去就转账退给买家。"))


def _must_be_unasked(failed: Refund) -> None:
    """One question at a time: over the bank to whom, or whether at all."""
    if db.session.scalar(select(BankRefund.id).where(BankRefund.replaces_id == failed.id, BankRefund.state == "PROPOSED")):
        raise Conflict("refund.proposed", N_("已经有同事提了改走银行，请等理事长审。"))
    if refund_waiver.waiting(failed.id) is not None:
        raise Conflict("waiver.open", N_("已经有同事提了不再退，请等理事长决定。"))


def _must_be_agreed(failed: Refund) -> None:
    """After the split a refund takes from households' shares; what one person approved before it is looked at by a second one then."""
    first = _first(failed)
    order = get(Order, failed.order_id) if failed.order_id is not None else None
    if order is None or order.settled_at is None or (first.approved_at >= order.settled_at and not first.elsewhere):
        return
    if order_refund.takes_shares(order, *order_refund.still_asked(order, get(Payment, failed.payment_id), failed)):
        raise Conflict("refund.divided", N_("这张订单已经分账，再退要动用农户、村集体和基金的份额，要两个人同意：请改走银行，由理事长审。"))


def _first(refund: Refund) -> Refund:
    """What was approved first, if this one makes it again."""
    while refund.reissues_id is not None:
        refund = get(Refund, refund.reissues_id)
    return refund


def _agreed(bank_refund_id: int, actor: Actor) -> BankRefund:
    """A payee that was agreed and not paid yet, locked after its refund."""
    actor.must_have("COOPERATIVE", "director", "accountant")
    known = get(BankRefund, bank_refund_id)
    if known.organisation_id != actor.organisation_id or known.replaces_id is None:
        raise not_found(BankRefund)
    if known.refund_id is not None:
        locked(Refund, known.refund_id)
    row = locked(BankRefund, bank_refund_id)
    if row.state != "APPROVED":
        raise Conflict("refund.decided", N_("这一项已经转账或换过收款人了。"), state=row.state)
    return row


def _failed(refund_id: int, actor: Actor) -> Refund:
    """The failed refund, locked after its order. NotFound for another cooperative's."""
    actor.must_have("COOPERATIVE", "director", "accountant")
    known = get(Refund, refund_id)
    if known.organisation_id != actor.organisation_id:
        raise not_found(Refund)
    if known.order_id is not None:
        locked_order(known.order_id)
    refund = locked(Refund, refund_id)
    if refund.state != "failed":
        raise Conflict("refund.not_failed", N_("这笔退款没有被拒绝，不用重办。"), state=refund.state)
    if refund.sub_code == refunds.GIVEN_UP:
        raise Conflict("refund.given_up", N_("两个人已经同意这笔不再退。要退请在订单上重新提出。"))
    if refund.sub_code in refunds.NOT_AGAIN:
        raise Conflict("refund.left", N_("这笔钱已经退到买家那里，不能再退一次。"))
    if db.session.scalar(select(Refund.id).where(Refund.reissues_id == refund.id)):
        raise Conflict("refund.reissued", N_("这笔退款已经重办过了。"))
    return refund


def _again(failed: Refund, way: str, actor: Actor) -> Refund:
    payment = locked(Payment, failed.payment_id)
    refund_waiver.drop(failed.id)
    bank_refund.drop(failed.id)
    if failed.order_id is None:
        return refunds.give_back(payment, way=way, reissues_id=failed.id, approved_by_id=actor.person_id)
    order = locked_order(failed.order_id)
    fen, goods = order_refund.still_asked(order, payment, failed)
    if not fen:
        raise _nothing_left(failed)
    (made,) = order_refund.pay_back(order, fen, failed.reason, person_id=actor.person_id, lines=goods, way=way, reissues=failed)
    return db.session.get_one(Refund, made)


def _nothing_left(failed: Refund) -> refunds.RefundTooMuch:
    return refunds.RefundTooMuch("refund.exceeds", N_("最多还能退 %(left_yuan)s 元。"), left_fen=0, left_yuan=format_yuan(0), asked_fen=failed.fen)
