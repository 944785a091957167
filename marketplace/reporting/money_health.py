"""Money health: what is not as it should be with payments, each kind with its number, its fen and the age of its oldest. It only reads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, String, case, cast, func, null, select
from sqlalchemy.orm import aliased

from marketplace.errands.errand import Errand
from marketplace.foundation import clock
from marketplace.foundation.database import UtcDateTime, db
from marketplace.foundation.outbox import BACKOFF, OutboxMessage
from marketplace.ledger import balance
from marketplace.ledger.account import Account
from marketplace.organisations.organisation import Cooperative
from marketplace.payments import bank_proof, certificate_end, lacking_permission, refund_loss, stripe_look
from marketplace.payments.bank_statement import BankMatch, BankReceipt, BankStatement
from marketplace.payments.bill_closure import BillClosure
from marketplace.payments.bill_day import SILENT, MissingBill
from marketplace.payments.bill_difference import BillDifference
from marketplace.payments.call import PaymentCall
from marketplace.payments.channel_key import SIGNS, ChannelKey
from marketplace.payments.lacking_permission import LackingPermission
from marketplace.payments.match_undo import MatchUndo
from marketplace.payments.notice_inbox import ASKING, AlipayNotice
from marketplace.payments.payment import OPEN, Payment
from marketplace.payments.receipt_return import ReceiptReturn
from marketplace.payments.refund import Refund, refused
from marketplace.payments.row_undo import RowUndo
from marketplace.payments.transfer import GOING, Transfer
from marketplace.payments.transfer_ending import TransferEnding
from marketplace.payments.withdrawal import Withdrawal
from marketplace.settlement.difference import Difference
from marketplace.settlement.payout_found import PayoutFound
from marketplace.settlement.payout_item import PayoutBatch, PayoutItem
from marketplace.settlement.payout_reversal import PayoutReversal
from marketplace.settlement.reconciliation import unseen_since
from marketplace.settlement.remittance import OPEN as REMITTANCE_OPEN
from marketplace.settlement.remittance import Remittance

LATE = timedelta(minutes=15)  # after which a payment past its time, or a call without an answer, is no longer on its way
# What waits for a channel is tried again at least so often: if nothing was refused for longer, nothing waits.
UNTRIED = timedelta(seconds=BACKOFF[-1]) + timedelta(hours=1)
TIRED = 5  # tries after which a message to the outside is looked at by a person
BILL_LATE = timedelta(days=1)  # a day's bill is out on the next; the day after that it is missing, unless Alipay says that it has none
WITHDRAWN = timedelta(days=3)  # after which a withdrawal should have arrived
ANSWERED = timedelta(days=2)  # after which a bank should have said what became of a batch
UNSEEN = timedelta(days=7)  # after which a bank that moved should have been looked at: by statements that stopped, or were never taken
UNEXPLAINED = timedelta(days=1)  # a difference that is older and unexplained is an alarm


AT_ONCE = ("alarm", "permissions", "keys", "stopped_payouts", "failed_errands")  # alarms however young they are


@dataclass(frozen=True)
class Trouble:
    """One kind of trouble: which rows, since when, what is at stake in fen, and the number by which a row is known."""

    name: str
    model: Any
    open: Callable[[], ColumnElement[bool]]
    since: Any
    fen: Any
    number: Any


def _accepted_since() -> ColumnElement[bool]:
    """Whether the channel has taken a later call of the same account (of the same kind, if it refused that kind): then it takes it again."""
    later = aliased(PaymentCall)
    same = later.organisation_id == PaymentCall.organisation_id, later.channel == PaymentCall.channel, later.account == PaymentCall.account
    taken = later.outcome.in_(("succeeded", "refused")) & later.answer["unsent"].as_boolean().is_not(True)
    of_it = PaymentCall.answer["of_kind"].as_boolean().is_not(True) | (later.kind == PaymentCall.kind)
    return select(later.id).where(*same, later.id > PaymentCall.id, taken, of_it).exists()


def _tired() -> ColumnElement[bool]:
    return OutboxMessage.done_at.is_(None) & OutboxMessage.given_up_at.is_(None) & (OutboxMessage.attempts >= TIRED)


def _payout_number() -> Any:
    number = select(PayoutBatch.number).where(PayoutBatch.id == PayoutItem.batch_id).correlate(PayoutItem).scalar_subquery()
    return number.op("||")("-").op("||")(cast(PayoutItem.sequence, String))


def _of_its_transfer(column: Any) -> Any:
    return select(column).where(Transfer.id == TransferEnding.transfer_id).correlate(TransferEnding).scalar_subquery()


TROUBLES: tuple[Trouble, ...] = (
    Trouble(
        "alarm", PaymentCall,
        lambda: (PaymentCall.answered_at >= clock.now() - UNTRIED)
        & PaymentCall.answer["misconfigured"].as_boolean()
        & PaymentCall.answer["lacks"].as_string().is_(None)  # that is told by name
        & ~_accepted_since(),
        PaymentCall.made_at, None, PaymentCall.request_no,
    ),
    Trouble(
        "unknown_payments", Payment, lambda: Payment.state.in_(OPEN) & (Payment.expires_at < clock.now() - LATE),
        Payment.expires_at, Payment.amount_fen, Payment.out_trade_no,
    ),
    Trouble("unknown_refunds", Refund, lambda: Refund.state.in_(("submitting", "unknown")), Refund.approved_at, Refund.fen, Refund.out_request_no),
    Trouble(
        "unknown_transfers", Transfer,
        lambda: (Transfer.state == "unknown") | ((Transfer.state == "sending") & (Transfer.made_at < clock.now() - LATE)),
        Transfer.made_at, Transfer.fen, Transfer.out_biz_no,
    ),
    Trouble("stopped_payouts", PayoutBatch, lambda: PayoutBatch.stopped_at.is_not(None), PayoutBatch.stopped_at, PayoutBatch.total_fen, PayoutBatch.number),
    Trouble("refused_refunds", Refund, refused, Refund.approved_at, Refund.fen, Refund.out_request_no),
    Trouble("lost_refunds", Refund, refund_loss.open_ones, Refund.approved_at, Refund.fen, Refund.out_request_no),
    Trouble(
        "refunds_to_transfer", Refund, lambda: (Refund.state == "approved") & (Refund.way == "bank"), Refund.approved_at, Refund.fen,
        Refund.out_request_no,
    ),
    Trouble(
        "refunds_waiting", Refund, lambda: (Refund.state == "approved") & (Refund.way != "bank"), Refund.approved_at, Refund.fen,
        Refund.out_request_no,
    ),
    Trouble(
        "receipts", BankReceipt, lambda: BankReceipt.state.in_(("imported", "partial")), BankReceipt.received_on,
        BankReceipt.fen - BankReceipt.matched_fen - BankReceipt.returned_fen, BankReceipt.public_id,
    ),
    Trouble(
        "bills", MissingBill,
        lambda: MissingBill.day < case((MissingBill.reason == "bill.absent", clock.business_date() - SILENT), else_=clock.business_date() - BILL_LATE),
        MissingBill.day, None, MissingBill.day,
    ),
    Trouble("bill_closures", BillClosure, lambda: BillClosure.state == "PROPOSED", BillClosure.proposed_at, None, BillClosure.first_day),
    Trouble(
        "differences", BillDifference, lambda: BillDifference.explained_at.is_(None), BillDifference.found_at,
        case((BillDifference.kind == "TWICE", func.abs(BillDifference.theirs_fen)), else_=func.abs(BillDifference.ours_fen - BillDifference.theirs_fen)),
        BillDifference.out_trade_no,
    ),
    Trouble(
        "reconciliation", Difference, lambda: Difference.state == "OPEN", Difference.found_at, func.abs(Difference.fen), Difference.number,
    ),
    Trouble("statements", Cooperative, lambda: unseen_since() < clock.now() - UNSEEN, unseen_since(), None, Cooperative.bank_name),
    Trouble("unproven_statements", BankStatement, bank_proof.unproven, BankStatement.taken_at, None, BankStatement.last_day),
    Trouble(
        "returns_to_transfer", ReceiptReturn, lambda: ReceiptReturn.state.in_(("PROPOSED", "APPROVED")), ReceiptReturn.proposed_at, ReceiptReturn.fen,
        ReceiptReturn.number,
    ),
    Trouble(
        "withdrawals", Withdrawal, lambda: (Withdrawal.state == "SENT") & (Withdrawal.ordered_on < clock.business_date() - WITHDRAWN), Withdrawal.ordered_on,
        Withdrawal.fen, Withdrawal.number,
    ),
    # One by one: each is somebody's money. Alipay's are asked by the job, the bank's wait for its word or a person's.
    Trouble(
        "unknown_payouts", PayoutItem, lambda: PayoutItem.state == "unknown", func.coalesce(PayoutItem.unknown_since, PayoutItem.paid_at), PayoutItem.fen,
        _payout_number(),
    ),
    Trouble(
        "unanswered_payouts", PayoutBatch, lambda: (PayoutBatch.state == "SENT") & (PayoutBatch.sent_at < clock.now() - ANSWERED), PayoutBatch.sent_at,
        PayoutBatch.total_fen, PayoutBatch.number,
    ),
    Trouble(
        "payout_reversals", PayoutReversal, lambda: PayoutReversal.state == "PROPOSED", PayoutReversal.proposed_at, PayoutReversal.fen,
        PayoutReversal.public_id,
    ),
    Trouble("payouts_found", PayoutFound, lambda: PayoutFound.state == "PROPOSED", PayoutFound.proposed_at, PayoutFound.fen, PayoutFound.public_id),
    Trouble(
        "paid_twice", PayoutFound, lambda: (PayoutFound.beyond_fen > 0) & PayoutFound.ended_at.is_(None), PayoutFound.decided_at, PayoutFound.beyond_fen,
        PayoutFound.public_id,
    ),
    Trouble(
        "transfer_endings", TransferEnding, lambda: (TransferEnding.state == "PROPOSED") & _of_its_transfer(Transfer.state).in_(GOING),
        TransferEnding.proposed_at, _of_its_transfer(Transfer.fen), _of_its_transfer(Transfer.out_biz_no),
    ),
    Trouble(
        "notices", AlipayNotice, lambda: AlipayNotice.outcome.like("refused:%") & AlipayNotice.handled_at.is_(None),
        AlipayNotice.received_at, AlipayNotice.total_fen, AlipayNotice.out_trade_no,
    ),
    Trouble(
        "disputes", AlipayNotice, lambda: (AlipayNotice.outcome == "disputed") & AlipayNotice.handled_at.is_(None),
        AlipayNotice.received_at, AlipayNotice.total_fen, AlipayNotice.out_trade_no,
    ),
    Trouble(
        "looks", OutboxMessage, lambda: _tired() & (OutboxMessage.kind == stripe_look.AGAIN), OutboxMessage.made_at, None,
        OutboxMessage.payload["account"].as_string(),
    ),
    Trouble(
        "outside", OutboxMessage, lambda: _tired() & (OutboxMessage.kind != stripe_look.AGAIN),
        func.coalesce(OutboxMessage.made_at, OutboxMessage.due_at), None, OutboxMessage.kind,
    ),
    Trouble(
        "events", AlipayNotice, lambda: AlipayNotice.outcome == ASKING, AlipayNotice.received_at, AlipayNotice.total_fen, AlipayNotice.out_trade_no,
    ),
    Trouble(
        "match_undos", MatchUndo, lambda: MatchUndo.state == "OPEN", MatchUndo.asked_at,
        select(BankMatch.fen).where(BankMatch.id == MatchUndo.match_id).correlate(MatchUndo).scalar_subquery(), MatchUndo.public_id,
    ),
    Trouble("row_undos", RowUndo, lambda: RowUndo.state == "PROPOSED", RowUndo.proposed_at, func.abs(RowUndo.fen), RowUndo.public_id),
    Trouble(
        "remittances", Remittance, lambda: Remittance.state.in_(REMITTANCE_OPEN), func.coalesce(Remittance.approved_at, Remittance.proposed_at), Remittance.fen,
        Remittance.number,
    ),
    Trouble("permissions", LackingPermission, lacking_permission.open_ones, LackingPermission.since, None, LackingPermission.permission),
    Trouble("keys", ChannelKey, lambda: ChannelKey.state.in_(SIGNS) & ChannelKey.wrong_since.is_not(None), ChannelKey.wrong_since, None, ChannelKey.account),
    Trouble("certificates", ChannelKey, certificate_end.keys, cast(null(), UtcDateTime), None, ChannelKey.account),
    Trouble("failed_errands", Errand, lambda: Errand.state == "FAILED", Errand.ended_at, None, Errand.name),
    Trouble("errands", Errand, lambda: Errand.state == "ASKED", Errand.asked_at, None, Errand.name),
    Trouble("letters", OutboxMessage, lambda: OutboxMessage.given_up_at.is_not(None), OutboxMessage.given_up_at, None, OutboxMessage.key),
)  # fmt: skip
NAMES = tuple(each.name for each in TROUBLES)


@dataclass(frozen=True)
class Standing:
    """How a kind of trouble stands: how many, how much (None where there is no amount), since when."""

    name: str
    count: int
    fen: int | None
    oldest: datetime | None


def standing(organisation_id: int | None = None) -> list[Standing]:
    """Every kind of trouble, of one cooperative or of all, in one statement. What belongs to nobody is only in the whole."""
    chosen = [each for each in TROUBLES if organisation_id is None or hasattr(each.model, "organisation_id")]
    asked = []
    for each in chosen:
        sums = (func.count(), func.min(each.since), func.coalesce(func.sum(each.fen), 0) if each.fen is not None else func.count())
        asked += [_within(select(figure).select_from(each.model).where(each.open()), each, organisation_id).scalar_subquery() for figure in sums]
    row = db.session.execute(select(*asked)).one()
    found = []
    for at, each in enumerate(chosen):
        count, oldest, fen = row[3 * at : 3 * at + 3]
        found.append(Standing(each.name, int(count), int(fen) if each.fen is not None else None, _moment(oldest)))
    return found


def alarms(found: Sequence[Standing]) -> set[str]:
    """What cannot wait: requests that are refused, and differences that nobody has explained for longer than a day."""
    old = clock.now() - UNEXPLAINED
    return {each.name for each in found if each.count and (each.name in AT_ONCE or (each.name in ("reconciliation", "differences") and each.oldest and each.oldest < old))}


def below_zero(organisation_id: int | None = None) -> list[tuple[int, str, int]]:
    """(cooperative, bank or alipay, fen) of accounts that the books hold to be less than nothing: a withdrawal or a receipt is not recorded."""
    query = balance.each().where(Account.kind.in_(("bank", "alipay")))
    if organisation_id is not None:
        query = query.where(Account.book == organisation_id)
    return [(row.book, row.kind, int(fen)) for row, fen in db.session.execute(query.order_by(Account.id)) if fen < 0]


def rows(name: str, *, after_id: int = 0, limit: int = 51) -> Sequence[tuple[Any, str, int | None, datetime | None]]:
    """(row, number, fen, since) of one kind of trouble, in the order of their ids; KeyError for an unknown name."""
    chosen = {each.name: each for each in TROUBLES}[name]
    columns = [chosen.model, chosen.number, chosen.since] + ([chosen.fen] if chosen.fen is not None else [])
    query = select(*columns).where(chosen.open(), chosen.model.id > after_id).order_by(chosen.model.id).limit(limit)
    return [
        (row[0], str(row[1]), int(row[3] or 0) if chosen.fen is not None else None, _moment(row[2])) for row in db.session.execute(query)
    ]


def owner_of(row: Any) -> int | None:
    """Whose a row of trouble is: its own organisation, or the one that a message to the outside names."""
    owner = row.payload.get("organisation_id") if isinstance(row, OutboxMessage) else getattr(row, "organisation_id", None)
    return owner if isinstance(owner, int) else None


def _within(query: Any, trouble: Trouble, organisation_id: int | None) -> Any:
    return query if organisation_id is None else query.where(trouble.model.organisation_id == organisation_id)


def _moment(at: datetime | date | None) -> datetime | None:
    """A day of a bank waits from its midnight (Beijing) on."""
    return at if at is None or isinstance(at, datetime) else clock.beijing_midnight(at)
