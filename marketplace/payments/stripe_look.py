"""What Stripe's own lists say of a cooperative's account: it has no bill of a day, and an event may be lost.

A refund made on Stripe's pages, the end of one of ours, a dispute, and what a lost one took are learnt from them. The same again changes nothing.
A look that failed is a message to the outside: made again with growing pauses, and a trouble of money's health when it has failed for a while.
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from marketplace.foundation import audit, clock, outbox
from marketplace.foundation.database import db, locked
from marketplace.foundation.outbox import OutboxMessage
from marketplace.ledger import event
from marketplace.ledger.entry import of_source
from marketplace.ledger.posting import Source
from marketplace.payments import bill_difference, refund_loss, refund_news, stripe_seller
from marketplace.payments import payment as payments
from marketplace.payments import refund as refunds
from marketplace.payments.channel import ENDED
from marketplace.payments.channel_key import SIGNS, ChannelKey
from marketplace.payments.notice_inbox import AlipayNotice
from marketplace.payments.outcome import Outcome
from marketplace.payments.payment import PAID, Payment
from marketplace.payments.refund import LEFT, RECOUNTED, Refund
from marketplace.payments.stripe_api import CURRENCY

REFUNDS, DISPUTES = timedelta(days=30), timedelta(days=180)  # how far back is looked, each time: a dispute takes months

SENT_BACK = "sent_back_by_bank"  # the sub code of a refund made on Stripe's pages that the buyer's bank refused later
AGAIN = "stripe.look"  # the outbox's: this account's lists once more
# The lists, each with the kind of call that asks for one of the same: a key may read both or neither.
LISTS = {"refunds": "event_refund", "disputes": "event_dispute"}


def failed(organisation_id: int, account: str, what: str = "") -> None:
    """An account's lists could not be looked at, or the key may not read one of them, ``what``: soon looked at again. What waits for that already
    goes on waiting, as often tried."""
    key = f"{organisation_id}:{account}:{what}".rstrip(":")
    waits = select(OutboxMessage.id).where(OutboxMessage.kind == AGAIN, OutboxMessage.key == key, OutboxMessage.done_at.is_(None))
    if db.session.scalar(waits) is None:
        outbox.put(AGAIN, key, {"organisation_id": organisation_id, "account": account, "what": what})


def accounts() -> list[tuple[int, str]]:
    """(cooperative, account) of every payment that came over Stripe: those it has left too, as long as a key for them is kept. The last one is
    retired only when nothing of theirs can move any more."""
    kept = select(ChannelKey.id).where(
        ChannelKey.organisation_id == Payment.organisation_id, ChannelKey.channel == "stripe", ChannelKey.account == Payment.app_id, ChannelKey.state.in_(SIGNS)
    )
    query = select(Payment.organisation_id, Payment.app_id).where(Payment.channel == "stripe", Payment.state.in_(PAID), kept.exists()).distinct()
    return [(row[0], row[1]) for row in db.session.execute(query.order_by(Payment.organisation_id, Payment.app_id))]


def made_there(organisation_id: int, account: str, rows: list[dict[str, Any]]) -> list[str]:
    """The payments, as Stripe calls them, of which some of these refunds were ordered by nobody here."""
    numbers = {stripe_seller.number_of(each) for each in rows}
    ours = set(db.session.scalars(select(Refund.out_request_no).where(Refund.out_request_no.in_(numbers), Refund.organisation_id == organisation_id)))
    intents = {str(each.get("payment_intent") or "") for each in rows if stripe_seller.number_of(each) not in ours}
    its = _of_account(organisation_id, account).where(Payment.trade_no.in_(intents))
    return [str(each.trade_no) for each in db.session.scalars(its.order_by(Payment.id))]


def take_refund(organisation_id: int, row: dict[str, Any]) -> str:
    """One of ours, as it ended: applied, repeated or refused with what does not fit; empty if it says nothing of ours."""
    heard = stripe_seller.heard_refund(row)
    known = heard and db.session.scalar(select(Refund.id).where(Refund.out_request_no == heard.out_request_no, Refund.organisation_id == organisation_id))
    return refund_news.told(organisation_id, heard.out_request_no, heard.fen, heard.state, heard.sub_code) if heard and known else ""


def take_elsewhere(organisation_id: int, account: str, intent: str, rows: list[dict[str, Any]]) -> str:
    """Of all refunds of a payment, those that nobody here ordered: what went back and is not counted is counted. What was counted and has come back
    since, as the buyer's bank refused it, is not any more, and waits for a person. What went beyond what the payment holds (it had gone back over the
    bank, say) is a loss that two people end (``refund_loss``): there is no bill of Stripe's from which it would be seen."""
    payment = locked(Payment, db.session.scalars(_of_account(organisation_id, account).where(Payment.trade_no == intent)).one().id)
    ours = set(db.session.scalars(select(Refund.out_request_no).where(Refund.payment_id == payment.id)))
    theirs = [each for each in rows if each.get("currency") == CURRENCY and stripe_seller.number_of(each) not in ours]
    gone = sum(int(each["amount"]) for each in theirs if each.get("status") == "succeeded")
    most = sum(int(each["amount"]) for each in theirs if each.get("status") not in ENDED)  # what is under way may have been told of
    counted, beyond = (sum(each.fen for each in some) for some in (_counted_elsewhere(payment), _beyond(payment)))
    if counted + beyond > most:
        return _back(payment, counted + beyond - most)  # what may have gone and is not counted yet is, the next time
    if gone <= counted + beyond:
        return ""
    said = _count(payment, gone - counted - beyond)
    if (more := gone - beyond - sum(each.fen for each in _counted_elsewhere(payment))) > 0:
        _beyond_by(payment, more)
        said = "refunded_elsewhere"
    return said


def _count(payment: Payment, fen: int) -> str:
    """So much more went back than is counted, and nobody here ordered it."""
    told = refunds.sent_over(payment.id, "stripe", came_back=False) + fen
    return payments.apply(
        Outcome(
            payment.out_trade_no, "succeeded", total_fen=payment.amount_fen, trade_no=payment.trade_no, channel="stripe", refunded_fen=told, by_number=True,
        )
    )  # fmt: skip


def _back(payment: Payment, fen: int) -> str:
    """So much of what went there is in the account again: first what no book holds, last what is counted. What the cooperative has borne of it
    stands in the books as two people said."""
    said, borne = "", 0
    for each in reversed(_beyond(payment)):
        if refund_loss.is_borne(each.id):
            borne += each.fen
        elif fen > 0:
            each.sub_code, said = RECOUNTED, "came_back"
            if each.fen > fen:
                _beyond_by(payment, each.fen - fen)
            fen = max(0, fen - each.fen)
    if (fen := min(fen - borne, sum(each.fen for each in _counted_elsewhere(payment)))) > 0:
        _came_back(payment, fen)
        said = "came_back"
    db.session.flush()
    return said


def _beyond_by(payment: Payment, fen: int) -> None:
    """So much went back there that the payment does not hold."""
    number = db.session.scalar(select(func.count()).select_from(Refund).where(Refund.payment_id == payment.id))
    refunds.left_beyond(payment, fen, f"{payment.trade_no}+{number}")


def _came_back(payment: Payment, fen: int) -> None:
    """So much of what is counted is in the account again. One refund of just that, or what was counted in one is counted in two: what stands, and
    what somebody has to make another way."""
    counted, again = _counted_elsewhere(payment), 0
    back = next((each for each in counted if each.fen == fen), None)
    if back is None:
        for each in counted:
            if again < fen:
                refunds.fail(each.id, RECOUNTED, came_back=True)
                again += each.fen
        if again > fen:
            _count(payment, again - fen)
        _count(payment, fen)
        back = _counted_elsewhere(payment)[0]
    refunds.fail(back.id, SENT_BACK, came_back=True)
    refund_news.count_what_left(payment.id)


def _counted_elsewhere(payment: Payment) -> list[Refund]:
    """What went back of a payment and nobody here ordered, as it is counted; the latest first. What disputes took is no refund."""
    query = select(Refund).where(Refund.payment_id == payment.id, Refund.way == "stripe", Refund.elsewhere, Refund.state == "succeeded")
    return [each for each in db.session.scalars(query.order_by(Refund.id.desc())) if not refunds.is_dispute(each.out_request_no)]


def _beyond(payment: Payment) -> list[Refund]:
    """What went back there beyond what the payment held; a dispute's second taking apart."""
    query = select(Refund).where(Refund.payment_id == payment.id, Refund.way == "stripe", Refund.elsewhere, Refund.sub_code == LEFT)
    return [each for each in db.session.scalars(query.order_by(Refund.id)) if not refunds.is_dispute(each.out_request_no)]


def take_dispute(organisation_id: int, account: str, row: dict[str, Any], *, heard: AlipayNotice | None = None) -> str:
    """A dispute as it stands: shown to people once (as the notice that was ``heard``, if one was); if it was lost, the buyer has the money
    back. What it took beyond what the payment holds is a loss that two people end (``refund_loss``). What Stripe kept for it is a fee, whoever won."""
    found = db.session.scalars(_of_account(organisation_id, account).where(Payment.trade_no == str(row.get("payment_intent")))).one_or_none()
    if found is None:
        return ""
    payment = locked(Payment, found.id)
    shown, fresh = _show(payment, row, heard)
    said = "disputed" if fresh else ""
    if row.get("status") in ("won", "lost"):
        _kept(payment, row, shown)
    number, fen = str(row["id"])[:64], int(row["amount"])
    if row.get("currency") != CURRENCY:  # no book can hold what it took: a person says what that was
        if row.get("status") == "lost":
            taken = stripe_seller.in_words(str(row.get("currency")), fen)
            bill_difference.found(organisation_id, "CURRENCY", payment.out_trade_no, number, ours_fen=0, theirs_fen=0, said=taken)
        return said
    if row.get("status") != "lost" or db.session.scalar(select(Refund.id).where(Refund.out_request_no == number)):
        return said
    gone = refunds.sent_over(payment.id, "stripe", disputes=True, came_back=False)
    payments.apply(
        Outcome(payment.out_trade_no, "succeeded", total_fen=payment.amount_fen, trade_no=payment.trade_no, refunded_fen=gone + fen, refund_no=number, by_number=True)
    )
    refund = db.session.scalars(select(Refund).where(Refund.out_request_no == number)).one_or_none()
    if (beyond := fen - (refund.fen if refund else 0)) > 0:  # it had gone back already: the buyer has that much twice
        left = refunds.left_beyond(payment, beyond, f"{number}+" if refund else number)
        refund = refund or left
    assert refund is not None
    audit.record("payment.dispute_lost", payment, fen=fen)
    return "lost"


def _kept(payment: Payment, row: dict[str, Any], shown: AlipayNotice) -> None:
    """What Stripe kept for a dispute that is over, once: it gives the fee back to few who win. Part of it may be in another currency."""
    moved = [each for each in row.get("balance_transactions") or [] if each.get("currency") == CURRENCY]
    fen = sum(int(each.get("fee") or 0) for each in moved)
    of_refund = select(Refund.id).where(Refund.out_request_no == str(row["id"])[:64])  # of one that was lost and counted before
    posted = of_source("alipay_notice", shown.id, "fee") or ((known := db.session.scalar(of_refund)) and of_source("refund", known, "fee"))
    if fen > 0 and not posted:
        event.fee(book=payment.organisation_id, source=Source("alipay_notice", shown.id), fen=fen, channel="stripe")
    if foreign := stripe_seller.foreign_fees(row.get("balance_transactions") or []):
        bill_difference.found(payment.organisation_id, "CURRENCY", payment.out_trade_no, f"{row['id']}"[:60] + "-fee", ours_fen=0, theirs_fen=0, said=foreign)


def _show(payment: Payment, row: dict[str, Any], heard: AlipayNotice | None) -> tuple[AlipayNotice, bool]:
    """A dispute in the inbox, and whether it was not there before."""
    number, fen = str(row["id"])[:128], int(row["amount"]) if row.get("currency") == CURRENCY else None
    same = (AlipayNotice.notify_id == number) | (AlipayNotice.claim["name"].as_string() == number)
    known = select(AlipayNotice).where(AlipayNotice.out_trade_no == payment.out_trade_no, AlipayNotice.outcome == "disputed", same)
    if (shown := db.session.scalars(known.order_by(AlipayNotice.id).limit(1)).one_or_none()) is not None:
        return shown, False
    if heard is None:
        heard = AlipayNotice(
            notify_id=number, out_trade_no=payment.out_trade_no, trade_status=f"DISPUTE/{row.get('status')}"[:32], received_at=clock.now(), channel="stripe"
        )
        db.session.add(heard)
    heard.outcome, heard.total_fen = "disputed", fen
    db.session.flush()
    return heard, True


def _of_account(organisation_id: int, account: str) -> Any:
    return select(Payment).where(Payment.organisation_id == organisation_id, Payment.channel == "stripe", Payment.app_id == account)
