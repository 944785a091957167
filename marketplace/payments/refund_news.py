"""What the channel says of a refund of ours by its number: in a bill, in a notice, in an answer, whether or not we asked.

What left has left, also if it was taken for failed: that very refund succeeds, and its money is off the order again. What was to replace it
and was not sent is not wanted any more; if that went too the buyer has the money twice, and a person is told. Then the second one is no refund of
the order, whatever that still holds: households would pay for it out of its split. The cooperative bears it (``refund_loss``), until one of the two
turns out not to have gone. Whether a transfer over the bank was made, only people know: they are asked.
"""

from sqlalchemy import func, select

from marketplace.foundation import audit, clock, outbox
from marketplace.foundation.database import db, locked, not_found
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_
from marketplace.ledger import event
from marketplace.organisations.actor import Actor
from marketplace.payments import bill_difference, refund_waiver
from marketplace.payments import refund as refunds
from marketplace.payments.bank_refund import BankRefund
from marketplace.payments.payable import handlers
from marketplace.payments.payment import Payment
from marketplace.payments.refund import DOUBTED, GOING, LEFT, REPLACED_LEFT, Refund

ASK = "refund.ask"  # the outbox's: ask about it now


def told(organisation_id: int, out_request_no: str, fen: int, state: str, sub_code: str) -> str:
    """How a refund of ours ended: applied, repeated, or refused with the field that does not fit."""
    query = select(Refund).where(Refund.out_request_no == out_request_no, Refund.organisation_id == organisation_id)
    refund = db.session.scalars(query).one_or_none()
    if refund is None:
        return "refused:out_request_no"
    if refund.fen != fen:
        return "refused:fen"
    if state == "succeeded":
        return "applied" if left(refund.id) else "repeated"
    if not refunds.fail(refund.id, sub_code, came_back=True):
        return "applied" if _lost_came_back(refund.id, sub_code) else "repeated"
    count_what_left(refund.payment_id)
    return "applied"


def named(payment: Payment, out_request_no: str, told_fen: int) -> bool:
    """A notice names a refund and the sum of all refunds of its payment. True if that ended one of ours.

    It says that the refund happened, but not how much it was: where the sum does not show that, the channel is asked about it at once.
    The caller holds the payment.
    """
    query = select(Refund).where(Refund.out_request_no == out_request_no, Refund.payment_id == payment.id)
    refund = db.session.scalars(query).one_or_none() if out_request_no else None
    if refund is None or not _may_be_news(refund):
        return False
    others = select(func.coalesce(func.sum(Refund.fen), 0)).where(
        Refund.payment_id == payment.id, Refund.way == refund.way, Refund.state == "succeeded"
    )
    if told_fen - (db.session.scalar(others) or 0) >= refund.fen:
        return left(refund.id)
    outbox.put(ASK, str(refund.id), {"refund_id": refund.id})
    return False


def may_be_ours(payment: Payment) -> bool:
    """Whether what went back of a payment beyond what we know of may be a refund that we took for failed: the channel is asked about each."""
    query = select(Refund).where(Refund.payment_id == payment.id, Refund.state == "failed", Refund.sub_code != LEFT, Refund.way != "bank")
    doubtful = [each.id for each in db.session.scalars(query.order_by(Refund.id)) if _may_be_news(each)]
    for refund_id in doubtful:
        outbox.put(ASK, str(refund_id), {"refund_id": refund_id})
    return bool(doubtful)


def left(refund_id: int) -> bool:
    """The channel gave this refund back: post it once. False if that was known already, or if the books cannot follow: then it is a task."""
    payment = locked(Payment, db.session.get_one(Refund, refund_id).payment_id)
    refund = locked(Refund, refund_id)
    if refund.state in GOING:
        return refunds.succeed(refund_id)
    from marketplace.payments import refund_loss

    if not _may_be_news(refund) or refund_loss.is_borne(refund_id):
        return False
    refund_waiver.drop(refund_id)
    code, replaced = refund.sub_code, _give_up_replacements(refund)
    twice = replaced == "went" or _is_again(refund)
    follows = replaced == "none" and not twice and _count_again(payment, refund)
    if follows:
        refunds.succeed(refund_id)
    else:
        refund.sub_code = LEFT
        if replaced != "doubted":
            kind = "TWICE" if twice else "ONLY_THEIRS"
            bill_difference.found(refund.organisation_id, kind, payment.out_trade_no, refund.out_request_no, ours_fen=0, theirs_fen=-refund.fen)
    db.session.flush()
    audit.record("refund.left_after_all", refund, fen=refund.fen, sub_code=code, counted=follows, twice=twice)
    return follows


def count_what_left(payment_id: int) -> None:
    """A refund failed: what had left and found no money to be counted to may find it now."""
    payment = locked(Payment, payment_id)
    query = select(Refund).where(Refund.payment_id == payment_id, Refund.state == "failed", Refund.sub_code == LEFT).order_by(Refund.id)
    for refund in db.session.scalars(query).all():
        if refund.fen <= payment.amount_fen - payment.refunded_fen:
            left(refund.id)


def not_transferred(refund_id: int, *, actor: Actor) -> Refund:
    """The transfer that should replace a refund which left after all was not made: it is not wanted any more, and what left is counted.

    By the accountant or the director. Raises NotFound, Conflict ``refund.state`` unless that is asked.
    """
    actor.must_have("COOPERATIVE", "accountant", "director")
    known = db.session.get(Refund, refund_id)
    if known is None or known.organisation_id != actor.organisation_id:
        raise not_found(Refund)
    locked(Payment, known.payment_id)
    refund = locked(Refund, refund_id)
    if refund.state != "approved" or refund.sub_code != DOUBTED or refund.reissues_id is None:
        raise Conflict("refund.state", N_("这笔退款已经处理过了。"), state=refund.state)
    refunds.fail(refund_id, REPLACED_LEFT)
    count_what_left(refund.payment_id)
    audit.record("refund.not_transferred", refund, person_id=actor.person_id, fen=refund.fen)
    return refund


def _may_be_news(refund: Refund) -> bool:
    """Whether that it left may be news: it is going, or was taken for failed. What came back after it had left is no news when it is told
    again that it left."""
    return refund.state in GOING or (refund.state == "failed" and refund.succeeded_at is None)


def _count_again(payment: Payment, refund: Refund) -> bool:
    """Approve a failed refund once more, in the books and on its order; False if they hold too little for it."""
    if payment.amount_fen - payment.refunded_fen < refund.fen:
        return False
    if refund.order_id is not None and not handlers[payment.payable_kind].refund_counts(refund.order_id, refund.id):
        return False
    if refund.order_id is None:
        event.unapplied_refund_approved(book=refund.organisation_id, source=refunds.source(refund.id), fen=refund.fen)
    payment.refunded_fen += refund.fen
    refund.state, refund.sub_code = "approved", ""
    db.session.flush()
    return True


def _lost_came_back(refund_id: int, sub_code: str) -> bool:
    """The buyer's bank sent back one that had left and that no book holds: the channel has the money again, and nobody bears it. What two people have
    said of it stands."""
    from marketplace.payments import refund_loss

    refund = locked(Refund, refund_id)
    if refund.state != "failed" or refund.sub_code != LEFT or refund_loss.is_borne(refund_id):
        return False
    refund.sub_code, refund.succeeded_at = sub_code[:60], clock.now()
    db.session.flush()
    audit.record("refund.left_came_back", refund, fen=refund.fen, sub_code=sub_code)
    return True


def _is_again(refund: Refund) -> bool:
    """Whether what it was to replace has gone back already, at first or second hand, and counts."""
    while refund.reissues_id is not None:
        refund = db.session.get_one(Refund, refund.reissues_id)
        if refund.state == "succeeded":
            return True
    return False


def _give_up_replacements(refund: Refund) -> str:
    """End what was to replace a refund and has not been sent: "none" is left; "went" if something was sent, and may have gone too; "doubted" if
    a person may have transferred it."""
    found, replaced = "none", refund.id
    while True:
        for proposal in db.session.scalars(select(BankRefund).where(BankRefund.replaces_id == replaced, BankRefund.state == "PROPOSED")):
            proposal.state, proposal.reason = "RETURNED", N_("原来那笔已经退到了，不用再转。")
        again = db.session.scalar(select(Refund.id).where(Refund.reissues_id == replaced))
        if again is None:
            return found
        replacement, replaced = locked(Refund, again), again
        if replacement.state == "approved" and replacement.way == "bank":
            replacement.sub_code, found = DOUBTED, "doubted"
        elif replacement.state == "approved":
            refunds.fail(again, REPLACED_LEFT)
        elif replacement.state == "failed" and replacement.sub_code != LEFT:
            replacement.sub_code = REPLACED_LEFT
        else:
            found = "went"
