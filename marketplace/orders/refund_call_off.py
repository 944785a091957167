"""An agreed refund over the bank is called off before anybody has made the transfer: a wrong payee, or it was agreed by mistake. Two people say so.

The money is where it was before the refund was agreed, and the refund stands among those that failed: it is made another way, or given up by two
people (``refund_reissue``).
"""

from marketplace.foundation import audit
from marketplace.foundation.database import db, get, locked, not_found
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.orders import return_request
from marketplace.orders.order import Order, locked_order
from marketplace.organisations.actor import Actor
from marketplace.organisations.proposal import put
from marketplace.payments import bank_refund, refund_news, refund_recall
from marketplace.payments import refund as refunds
from marketplace.payments.payment import Payment
from marketplace.payments.refund import DOUBTED, Refund
from marketplace.payments.refund_recall import RECALLED, RefundRecall


def ask(refund_id: int, reason: str, *, actor: Actor) -> RefundRecall:
    """Ask that an agreed refund be not transferred. By the accountant or the director; the same again while it waits is the same row.

    Raises InvalidInput ``reason.missing``; Conflict ``recall.state`` unless it waits for its transfer, ``recall.unsent`` of packs that never left
    before the unit has signed for the others, ``refund.proposed`` while another payee is.
    """
    actor.must_have("COOPERATIVE", "accountant", "director")
    refund = _held(refund_id, actor)
    if not 4 <= len(reason.strip()) <= 300:
        raise InvalidInput("reason.missing", N_("请写明为什么不转了，4 到 300 个字。"), field="recall_reason")
    _must_be_untransferred(refund)
    if bank_refund.is_corrected(refund.id):
        raise Conflict("refund.proposed", N_("已经有同事提了换收款人，请等理事长审。"))
    known = refund_recall.waiting(refund.id)
    if known is not None:
        return known
    row = RefundRecall(organisation_id=refund.organisation_id, refund_id=refund.id, reason=reason.strip())
    return put(row, "refund.recall_asked", person_id=actor.person_id, refund_id=refund.id, fen=refund.fen)


def decide(recall_id: int, *, version: int, approved: bool, reason: str = "", actor: Actor) -> RefundRecall:
    """The director's word, never on their own asking. Approved, the refund has failed, and its payee is out of it.

    Raises OwnWork, InvalidInput ``reason.missing``, Conflict ``recall.decided``, ``version.stale``, and as ``ask`` where that changed.
    """
    actor.must_have("COOPERATIVE", "director")
    refund = _held(get(RefundRecall, recall_id).refund_id, actor)
    row = locked(RefundRecall, recall_id)
    row.decide(actor=actor, version=version, approved=approved, reason=reason)
    row.state, row.answer = "APPROVED" if approved else "RETURNED", reason.strip()[:300]
    if approved:
        _must_be_untransferred(refund)
        bank_refund.call_off(refund.id, RECALLED)
        refunds.fail(refund.id, RECALLED)
        refund_news.count_what_left(refund.payment_id)
        audit.record("refund.recalled", refund, person_id=actor.person_id, fen=refund.fen)
    db.session.flush()
    return row


def may_be_called_off(refund: Refund) -> bool:
    """Whether it waits for its transfer, and nothing else would pay the same back."""
    return _waits(refund) and not _is_signed_for_later(refund)


def _must_be_untransferred(refund: Refund) -> None:
    if not _waits(refund):
        raise Conflict("recall.state", N_("这笔退款现在不是在等转账，不能作废。"), state=refund.state)
    if _is_signed_for_later(refund):
        raise Conflict("recall.unsent", N_("退的是没有发的货，单位验收以前不能作废，请照原来的转账。"))


def _waits(refund: Refund) -> bool:
    return refund.state == "approved" and refund.way == "bank" and refund.sub_code != DOUBTED


def _is_signed_for_later(refund: Refund) -> bool:
    """Of packs that never left, before the unit's acceptance: that would pay them back as short, and this refund would wait to be made once more."""
    order = get(Order, refund.order_id) if refund.order_id is not None else None
    live = order is not None and order.kind == "DIRECTED" and order.received_at is None and order.cancelled_at is None
    return live and return_request.never_sent(refund)


def _held(refund_id: int, actor: Actor) -> Refund:
    """The refund, locked after its order and its payment. NotFound for another cooperative's."""
    known = get(Refund, refund_id)
    if known.organisation_id != actor.organisation_id:
        raise not_found(Refund)
    if known.order_id is not None:
        locked_order(known.order_id)
    locked(Payment, known.payment_id)
    return locked(Refund, refund_id)
