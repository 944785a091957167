"""What Stripe's own lists say of a cooperative's account: it has no bill of a day, and an event may be lost.

A refund made on Stripe's pages, the end of one of ours, a dispute, and what a lost one took are learnt from them. The same again changes nothing.
A look that failed is a message to the outside: made again with growing pauses, and a trouble of money's health when it has failed for a while.
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import select

from marketplace.foundation import audit, clock, outbox
from marketplace.foundation.database import db, locked
from marketplace.foundation.outbox import OutboxMessage
from marketplace.ledger import event
from marketplace.ledger.posting import Source
from marketplace.payments import payment as payments
from marketplace.payments import refund as refunds
from marketplace.payments import refund_news, stripe_seller
from marketplace.payments.notice_inbox import AlipayNotice
from marketplace.payments.outcome import Outcome
from marketplace.payments.payment import PAID, Payment
from marketplace.payments.refund import Refund
from marketplace.payments.stripe_api import CURRENCY

REFUNDS, DISPUTES = timedelta(days=30), timedelta(days=180)  # how far back is looked, each time: a dispute takes months

AGAIN = "stripe.look"  # the outbox's: this account's lists once more


def failed(organisation_id: int, account: str) -> None:
    """An account's lists could not be looked at: they are soon looked at again. What waits for that already goes on waiting, as often tried."""
    key = f"{organisation_id}:{account}"
    waits = select(OutboxMessage.id).where(OutboxMessage.kind == AGAIN, OutboxMessage.key == key, OutboxMessage.done_at.is_(None))
    if db.session.scalar(waits) is None:
        outbox.put(AGAIN, key, {"organisation_id": organisation_id, "account": account})


def accounts() -> list[tuple[int, str]]:
    """(cooperative, account) of every payment that came over Stripe: those it has left too."""
    query = select(Payment.organisation_id, Payment.app_id).where(Payment.channel == "stripe", Payment.state.in_(PAID)).distinct()
    return [(row[0], row[1]) for row in db.session.execute(query.order_by(Payment.organisation_id, Payment.app_id))]


def made_there(organisation_id: int, account: str, rows: list[dict[str, Any]]) -> list[str]:
    """The payments, as Stripe calls them, of which these refunds were ordered by nobody here, and are not counted yet."""
    named = {str(each["id"]): str(each.get("payment_intent") or "") for each in rows if stripe_seller.heard_refund(each) is None}
    counted = set(db.session.scalars(select(Refund.out_request_no).where(Refund.out_request_no.in_(named))))
    intents = {intent for number, intent in named.items() if number not in counted}
    ours = _of_account(organisation_id, account).where(Payment.trade_no.in_(intents))
    return [str(each.trade_no) for each in db.session.scalars(ours.order_by(Payment.id))]


def take_refund(organisation_id: int, row: dict[str, Any]) -> str:
    """One of ours, as it ended: applied, repeated or refused with what does not fit; empty if it says nothing of ours."""
    heard = stripe_seller.heard_refund(row)
    known = heard and db.session.scalar(select(Refund.id).where(Refund.out_request_no == heard.out_request_no, Refund.organisation_id == organisation_id))
    return refund_news.told(organisation_id, heard.out_request_no, heard.fen, heard.state, heard.sub_code) if heard and known else ""


def take_sum(organisation_id: int, account: str, intent: str, fen: int) -> str:
    """``fen`` of a payment went back in all: what of it nobody ordered here is counted."""
    payment = db.session.scalars(_of_account(organisation_id, account).where(Payment.trade_no == intent)).one()
    return payments.apply(
        Outcome(payment.out_trade_no, "succeeded", total_fen=payment.amount_fen, trade_no=intent, app_id=account, channel="stripe", refunded_fen=fen, by_number=True)
    )


def take_dispute(organisation_id: int, account: str, row: dict[str, Any], *, heard: AlipayNotice | None = None) -> str:
    """A dispute as it stands: shown to people once (as the notice that was ``heard``, if one was); if it was lost, the buyer has the money
    back, and what Stripe took for it is a fee."""
    found = db.session.scalars(_of_account(organisation_id, account).where(Payment.trade_no == str(row.get("payment_intent")))).one_or_none()
    if found is None or row.get("currency") != CURRENCY:
        return ""
    payment = locked(Payment, found.id)
    said = "disputed" if _show(payment, row, heard) else ""
    number, fen = str(row["id"])[:64], int(row["amount"])
    if row.get("status") != "lost" or db.session.scalar(select(Refund.id).where(Refund.out_request_no == number)):
        return said
    gone = refunds.sent_over(payment.id, "stripe", disputes=True)
    told = Outcome(
        payment.out_trade_no, "succeeded", total_fen=payment.amount_fen, trade_no=payment.trade_no, refunded_fen=gone + fen, refund_no=number, by_number=True
    )
    if payments.apply(told) != "refunded_elsewhere":
        return said
    refund = db.session.scalars(select(Refund).where(Refund.out_request_no == number)).one()
    moved = [each for each in row.get("balance_transactions") or [] if each.get("currency") == CURRENCY]
    if (kept := sum(int(each.get("fee") or 0) for each in moved)) > 0:
        event.fee(book=organisation_id, source=Source("refund", refund.id), fen=kept, channel="stripe")
    audit.record("payment.dispute_lost", payment, fen=fen, fee_fen=kept)
    return "lost"


def _show(payment: Payment, row: dict[str, Any], heard: AlipayNotice | None) -> bool:
    """Keep a dispute in the inbox, unless it is there."""
    known = select(AlipayNotice.id).where(AlipayNotice.out_trade_no == payment.out_trade_no, AlipayNotice.outcome == "disputed")
    if db.session.scalar(known.limit(1)) is not None:
        return False
    if heard is not None:
        heard.outcome, heard.total_fen = "disputed", int(row["amount"])
        db.session.flush()
        return True
    db.session.add(
        AlipayNotice(
            notify_id=str(row["id"])[:128], out_trade_no=payment.out_trade_no, trade_status=f"DISPUTE/{row.get('status')}"[:32], total_fen=int(row["amount"]),
            received_at=clock.now(), outcome="disputed", channel="stripe",
        )
    )  # fmt: skip
    db.session.flush()
    return True


def _of_account(organisation_id: int, account: str) -> Any:
    return select(Payment).where(Payment.organisation_id == organisation_id, Payment.channel == "stripe", Payment.app_id == account)
