"""What a row of the bank's statement is, where no number tells: said by the accountant, agreed by the director, then posted.

A credit that is no buyer's may be a withdrawal from Alipay, a payout of Stripe's, (a part of) an entry that stands already, a remittance that the
payee's bank sent back, what a buyer gives back of a refund that left twice, or nothing of the market's; one that was held to be somebody else's may be a buyer's after all. A debit may be nothing of the market's, or may take a receipt
back (the payer's bank recalled it, or it was sent back by hand).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, Protocol

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, case, func, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import clock
from marketplace.foundation.database import Model, db, locked, not_found
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.money import format_yuan
from marketplace.ledger import account, balance, event, posting
from marketplace.ledger.entry import JournalEntry, of_source
from marketplace.ledger.posting import Source
from marketplace.organisations.actor import Actor, own_row
from marketplace.organisations.proposal import TWO_PEOPLE, Proposal, put
from marketplace.payments import bank_statement, statement_row, withdrawal
from marketplace.payments.bank_rows import BACK, TAKEN_BACK, number_of
from marketplace.payments.bank_statement import BankReceipt
from marketplace.payments.receipt_return import ReceiptReturn
from marketplace.payments.refund import LEFT, Refund
from marketplace.payments.statement_row import Seen, StatementLink, StatementRow

KINDS = ("UNRELATED", "WITHDRAWAL", "TAKES_BACK", "STANDS", "RECEIPT", "SENT_BACK")
# What has to be named with some of them: its field, and what is said where it is not.
WHICH = {
    "TAKES_BACK": ("receipt", N_("请选择退的是哪一笔到账。")),
    "STANDS": ("entry", N_("请选择是账上的哪一笔。")),
    "SENT_BACK": ("remittance", N_("请选择是哪一笔划款。")),
    "REPAID": ("refund", N_("请选择是哪一笔多退的款。")),
}
# How many fen of an entry no row is linked to, signed as it moved the account: (organisation, entry, side). A rung above knows.
left_open: list[Callable[[int, int, str], int]] = []
_OPEN = "state = 'PROPOSED'"


class SentBack(Protocol):
    """Whoever knows the payments that their payees' banks may send back: a rung above."""

    def must_fit(self, row: StatementRow, remittance_id: int) -> None:
        """Raise NotFound, or Conflict ``remittance.unlike``, unless the credit may be this one, sent back."""

    def came(self, row: StatementRow, remittance_id: int) -> int:
        """It is: the entry by which the money lies in the bank again."""


sent_back: list[SentBack] = []


class RowDecision(Proposal, Model):
    """PROPOSED → APPROVED (posted and linked) or REFUSED. ``receipt_id``: what a debit takes back; ``entry_id``: what stands already;
    ``remittance_id``: what a bank sent back; ``refund_id``: of which refund, that left twice, this is given back."""

    __tablename__ = "row_decision"
    not_now = ("decision.state", N_("这份说明已经办过了。"))
    __table_args__ = (
        CheckConstraint("kind IN ('UNRELATED','WITHDRAWAL','TAKES_BACK','STANDS','RECEIPT','SENT_BACK')", name="kind"),
        CheckConstraint("state IN ('PROPOSED','APPROVED','REFUSED')", name="state"),
        CheckConstraint(TWO_PEOPLE, name="two_people"),
        CheckConstraint("(kind = 'TAKES_BACK') = (receipt_id IS NOT NULL)", name="receipt"),
        CheckConstraint("(kind = 'STANDS') = (entry_id IS NOT NULL)", name="entry"),
        CheckConstraint("(kind = 'SENT_BACK') = (remittance_id IS NOT NULL)", name="remittance"),
        CheckConstraint("refund_id IS NULL OR kind = 'UNRELATED'", name="refund"),
        Index("uq_row_decision_open", "row_id", unique=True, sqlite_where=db.text(_OPEN), postgresql_where=db.text(_OPEN)),
    )

    row_id: Mapped[int] = mapped_column(ForeignKey("statement_row.id"))
    kind: Mapped[str] = mapped_column(String(10))
    channel: Mapped[str] = mapped_column(String(8), default="alipay", server_default="alipay")  # from where a withdrawal came: alipay, stripe
    receipt_id: Mapped[int | None] = mapped_column(ForeignKey("bank_receipt.id"))
    entry_id: Mapped[int | None]
    remittance_id: Mapped[int | None]  # a rung above keeps it
    refund_id: Mapped[int | None] = mapped_column(ForeignKey("refund.id"), index=True)
    fen: Mapped[int]  # signed as the row: what of it is decided
    reason: Mapped[str] = mapped_column(String(300))
    state: Mapped[str] = mapped_column(String(10), default="PROPOSED")
    answer: Mapped[str] = mapped_column(String(300), default="")
    undone_at: Mapped[datetime | None]  # two people said since that it was wrong (``row_undo``)


def waiting_on(row_id: int) -> RowDecision | None:
    """What somebody said of the row, and nobody has decided on."""
    return db.session.scalars(select(RowDecision).where(RowDecision.row_id == row_id, RowDecision.state == "PROPOSED")).one_or_none()


def suggested(organisation_id: int, row: Seen) -> str:
    """What a row seems to be by its own words: WITHDRAWAL, STRIPE (its payout, where the cooperative takes cards), TAKES_BACK or UNRELATED."""
    if row.fen < 0:
        return "TAKES_BACK" if row.serial.endswith(BACK) or TAKEN_BACK.search(row.remark) else "UNRELATED"
    if withdrawal.from_stripe(row) and account.existing("stripe", organisation_id):
        return "STRIPE"
    return "WITHDRAWAL" if withdrawal.from_alipay(row) else "UNRELATED"


def originals(row: StatementRow, limit: int = 20) -> list[BankReceipt]:
    """The receipts that a debit may take back, likeliest first: of its number, of just its amount, of its payer, the latest.

    Of what is matched the match must be undone first; it is listed, so that whoever looks for it finds it.
    """
    query = select(BankReceipt).where(
        BankReceipt.organisation_id == row.organisation_id, BankReceipt.state != "unrelated", BankReceipt.received_on <= row.day,
        BankReceipt.fen - BankReceipt.returned_fen >= -row.fen,
    )  # fmt: skip
    likely = (BankReceipt.serial.in_((row.serial.removesuffix(BACK), number_of(row.serial))), BankReceipt.fen == -row.fen, BankReceipt.payer_name == row.name)
    order = [case((each, 0), else_=1) for each in likely]
    return list(db.session.scalars(query.order_by(*order, BankReceipt.received_on.desc(), BankReceipt.id.desc()).limit(limit)))


def taken_back(receipts: Sequence[BankReceipt]) -> set[int]:
    """Ids of those for which the bank's statement has a row that seems to take them back, and that nobody has explained yet."""
    if not receipts:
        return set()
    told = select(StatementLink.id).where(StatementLink.row_id == StatementRow.id).exists()
    query = select(StatementRow.fen, func.max(StatementRow.day)).where(
        StatementRow.organisation_id == receipts[0].organisation_id, StatementRow.side == "bank", StatementRow.serial.endswith(BACK),
        StatementRow.fen.in_({-receipt.fen for receipt in receipts}), ~told,
    )  # fmt: skip
    days: dict[int, date] = {-fen: day for fen, day in db.session.execute(query.group_by(StatementRow.fen))}
    return {receipt.id for receipt in receipts if receipt.fen in days and receipt.received_on <= days[receipt.fen]}


def of_link(link: StatementLink) -> RowDecision | None:
    """By which decision of two people a row is said to be an entry; None where nobody decided: one person paired them, or a number told it."""
    entry = db.session.get_one(JournalEntry, link.entry_id)
    if entry.source_type == "row_decision":
        return db.session.get(RowDecision, entry.source_id)
    kind = {"bank_receipt": "RECEIPT", "alipay_withdrawal": "WITHDRAWAL", "remittance": "SENT_BACK"}.get(entry.source_type, "")
    query = select(RowDecision).where(
        RowDecision.row_id == link.row_id, RowDecision.state == "APPROVED", RowDecision.undone_at.is_(None), RowDecision.decided_at <= link.linked_at,
        (RowDecision.entry_id == entry.id) | (RowDecision.kind == kind),
    )  # fmt: skip
    return db.session.scalars(query.order_by(RowDecision.id.desc()).limit(1)).one_or_none()


def propose(
    row_id: int, kind: str, reason: str, *, receipt_id: int | None = None, entry_id: int | None = None, remittance_id: int | None = None,
    refund_id: int | None = None, actor: Actor,
) -> RowDecision:  # fmt: skip
    """Say what a row is: UNRELATED, WITHDRAWAL (from Alipay), STRIPE (a payout of Stripe's), TAKES_BACK, STANDS (with others, maybe, the entry
    ``entry_id``), RECEIPT (a buyer's money), SENT_BACK (the remittance ``remittance_id``, by the payee's bank) or REPAID (what a buyer gives back
    of ``refund_id``, which left twice: no order's money, kept as UNRELATED). By the accountant; the same again while it waits is the same row.

    Raises NotFound for another's, InvalidInput ``decision.kind`` (a row of Alipay's bill can be STANDS only), ``reason.missing``; Conflict ``decision.waits`` if something else waits,
    ``row.told`` if nothing of it is open, ``receipt.used`` if its receipt pays something or goes back, ``receipt.amount``, ``payout.short``
    beyond what lies at Stripe, ``entry.amount`` beyond what rows leave of the entry, ``remittance.unlike``, ``refund.repaid`` beyond what left twice.
    """
    actor.must_have("COOPERATIVE", "accountant")
    named = {"TAKES_BACK": receipt_id, "STANDS": entry_id, "SENT_BACK": remittance_id, "REPAID": refund_id}
    if kind in WHICH and named[kind] is None:
        raise InvalidInput("decision.kind", WHICH[kind][1], field=WHICH[kind][0])
    if any((each is not None) != (kind == name) for name, each in named.items()):
        raise InvalidInput("decision.kind", N_("请选择这一行是什么。"), field="kind")
    kind, channel = ("WITHDRAWAL", "stripe") if kind == "STRIPE" else ("UNRELATED" if kind == "REPAID" else kind, "alipay")
    row = _row(row_id, actor)
    credits_only, debits_only = kind in ("WITHDRAWAL", "RECEIPT", "SENT_BACK") or refund_id is not None, kind == "TAKES_BACK"
    if row.side != "bank" and kind != "STANDS":
        raise InvalidInput("decision.kind", N_("支付宝的一行只能说明是账上的哪一笔。"), field="kind")
    if kind not in KINDS or (row.fen < 0 and credits_only) or (row.fen > 0 and debits_only):
        raise InvalidInput("decision.kind", N_("请选择这一行是什么。"), field="kind")
    if not 2 <= len(reason.strip()) <= 300:
        raise InvalidInput("reason.missing", N_("请写明理由，300 字以内。"), field="reason")
    known = waiting_on(row.id)
    if known is not None:
        as_now = (kind, channel, receipt_id, entry_id, remittance_id, refund_id)
        if (known.kind, known.channel, known.receipt_id, known.entry_id, known.remittance_id, known.refund_id) == as_now:
            return known
        raise Conflict("decision.waits", N_("这一行已经有一份说明在等理事长同意。"))
    fen = _open_fen(row)
    if kind == "RECEIPT":
        _must_be_free(row, fen)
    if entry_id is not None:
        _must_stand(row, entry_id, fen)
    if channel == "stripe":
        _must_lie_there(row.organisation_id, fen)
    if receipt_id is not None:
        _must_be_taken_back(_receipt(receipt_id, actor), -fen)
    if remittance_id is not None:
        _sent_back().must_fit(row, remittance_id)
    if refund_id is not None:
        _must_be_owed_back(row.organisation_id, refund_id, fen)
    made = RowDecision(
        organisation_id=row.organisation_id, row_id=row.id, kind=kind, channel=channel, receipt_id=receipt_id, entry_id=entry_id,
        remittance_id=remittance_id, refund_id=refund_id, fen=fen, reason=reason.strip(),
    )  # fmt: skip
    return put(made, "row_decision.proposed", person_id=actor.person_id, kind=kind, fen=fen)


def decide(decision_id: int, *, version: int, approved: bool, reason: str = "", actor: Actor) -> RowDecision:
    """The director agrees and it is posted, or it stays open with a reason. OwnWork if one person is both. Raises as ``propose``
    if money moved meanwhile."""
    made = own_row(RowDecision, decision_id, actor, "director")
    made.decide(actor=actor, version=version, approved=approved, reason=reason)
    made.state, made.answer = "APPROVED" if approved else "REFUSED", reason.strip()[:300]
    if approved:
        _post(made, actor)
    db.session.flush()
    return made


def set_free(row_id: int, *, actor: Actor) -> StatementRow:
    """A credit that was taken for a buyer's money is none: what was posted for it is reversed, so that it can be linked to what it is.

    Raises Conflict ``receipt.used`` if it pays something or goes back, ``row.told`` if it stands for something else.
    """
    row = _row(row_id, actor)
    must_be_unused(row)
    _give_up_receipt(row)
    return row


def must_be_unused(row: StatementRow) -> None:
    """Raise as ``set_free``, which may follow."""
    if _open_fen(row) != row.fen:
        raise Conflict("row.told", N_("这一行现在已经对上了，不用再说明。"))


def _post(made: RowDecision, actor: Actor) -> None:
    row = _row(made.row_id, actor)
    if _open_fen(row) != made.fen:
        raise Conflict("row.told", N_("这一行现在已经对上了，不用再说明。"))
    source, at = Source("row_decision", made.id), clock.beijing_midnight(row.day)
    if made.kind == "TAKES_BACK":
        assert made.receipt_id is not None
        receipt = _receipt(made.receipt_id, actor)
        _must_be_taken_back(receipt, -made.fen)
        receipt.returned_fen += -made.fen
        receipt.settle_state()
        event.unapplied_refund_approved(book=row.organisation_id, source=source, fen=-made.fen, at=at)
        entry_id = event.refund_succeeded(book=row.organisation_id, source=source, fen=-made.fen, channel="bank", at=at)
    elif made.kind == "RECEIPT":
        _must_be_free(row, made.fen)
        entry_id = bank_statement.received_after_all(row)
    else:
        if made.fen > 0:
            _give_up_receipt(row)
        if made.channel == "stripe":
            _must_lie_there(row.organisation_id, made.fen)
            entry_id = event.withdrawn(book=row.organisation_id, source=source, fen=made.fen, channel="stripe", at=at)
        elif made.entry_id is not None:
            _must_stand(row, made.entry_id, made.fen)
            entry_id = made.entry_id
        elif made.kind == "WITHDRAWAL":
            entry_id = withdrawal.claimed(row.organisation_id, made.fen, row.serial, row.day, by=made.proposed_by_id)
        elif made.remittance_id is not None:
            _sent_back().must_fit(row, made.remittance_id)
            entry_id = _sent_back().came(row, made.remittance_id)
        else:
            if made.refund_id is not None:
                _must_be_owed_back(row.organisation_id, made.refund_id, made.fen, of=made)
            entry_id = event.unrelated_row(book=row.organisation_id, source=source, fen=made.fen, at=at)
    statement_row.link(row, entry_id, made.fen, by=made.proposed_by_id)


def _open_fen(row: StatementRow) -> int:
    """What of a row nothing explains yet; a receipt that nothing uses explains nothing."""
    told = db.session.scalar(select(func.coalesce(func.sum(StatementLink.fen), 0)).where(StatementLink.row_id == row.id))
    receipt = _receipt_of(row)
    if receipt is not None:
        if receipt.matched_fen or receipt.returned_fen or _goes_back(receipt):
            raise Conflict("receipt.used", N_("这笔到账已经核销或退回了一部分，先撤销核销才能改。"))
        return row.fen
    left: int = row.fen - int(told or 0)
    if not left:
        raise Conflict("row.told", N_("这一行现在已经对上了，不用再说明。"))
    return left


def _receipt_of(row: StatementRow) -> BankReceipt | None:
    query = select(BankReceipt).where(
        BankReceipt.organisation_id == row.organisation_id, BankReceipt.serial == row.serial, BankReceipt.state != "unrelated"
    )
    return db.session.scalars(query.with_for_update()).one_or_none() if row.fen > 0 and row.side == "bank" else None


def _goes_back(receipt: BankReceipt) -> bool:
    waits = select(ReceiptReturn.id).where(ReceiptReturn.receipt_id == receipt.id, ReceiptReturn.state.in_(("PROPOSED", "APPROVED")))
    return db.session.scalar(waits) is not None


def _give_up_receipt(row: StatementRow) -> None:
    """The credit is no buyer's: what was posted for it is reversed, on its own day, and the row is free."""
    receipt = _receipt_of(row)
    if receipt is None:
        return
    links: list[Any] = list(db.session.scalars(select(StatementLink).where(StatementLink.row_id == row.id)))
    for each in links:
        before = len(of_source("bank_receipt", receipt.id, "reversed"))
        posting.reverse(each.entry_id, source=Source("bank_receipt", receipt.id, before), at=clock.beijing_midnight(row.day))
        db.session.delete(each)
    receipt.state = "unrelated"
    db.session.flush()


def _must_be_taken_back(receipt: BankReceipt, fen: int) -> None:
    if receipt.state == "unrelated" or fen > receipt.left_fen:
        raise Conflict("receipt.amount", N_("这笔到账没有那么多没核销的钱。核销过的要先撤销。"), left_fen=receipt.left_fen)


def _must_be_free(row: StatementRow, fen: int) -> None:
    """A buyer's receipt is a whole credit that is not one already. Conflict ``row.told``."""
    if fen != row.fen or _receipt_of(row) is not None:
        raise Conflict("row.told", N_("这一行现在已经对上了，不用再说明。"))


def _must_stand(row: StatementRow, entry_id: int, fen: int) -> None:
    left = next((ask(row.organisation_id, entry_id, row.side) for ask in left_open), 0)
    if left * fen <= 0 or abs(fen) > abs(left):
        raise Conflict("entry.amount", N_("账上的这一笔没有那么多还没对上的钱，或者收支方向不同。"), left_fen=left)


def _must_lie_there(organisation_id: int, fen: int) -> None:
    """Two payouts at once must not take the same money. Conflict ``payout.short``."""
    account.lock([account.named("stripe", organisation_id)])
    left = balance.by_owner("stripe", organisation_id).get("", 0)
    if fen > left:
        raise Conflict("payout.short", N_("账上 Stripe 里只有 ¥%(left)s，这笔到账不会是它打来的。"), left=format_yuan(max(0, left)), left_fen=left)


def repaid(refund_ids: Sequence[int]) -> list[RowDecision]:
    """What buyers gave back of refunds that left twice, as two people agreed, in order."""
    query = select(RowDecision).where(RowDecision.refund_id.in_(refund_ids), RowDecision.state == "APPROVED", RowDecision.undone_at.is_(None))
    return list(db.session.scalars(query.order_by(RowDecision.id))) if refund_ids else []


def to_be_repaid(organisation_id: int, *, but: RowDecision | None = None) -> list[tuple[Refund, int]]:
    """Refunds that left twice, with the fen of each that nobody gave back so far (``but`` this decision, if named); whether or not the cooperative
    has borne it."""
    query = select(Refund).where(Refund.organisation_id == organisation_id, Refund.state == "failed", Refund.sub_code == LEFT, Refund.way != "bank")
    left = list(db.session.scalars(query.order_by(Refund.id)))
    back = Counter[int]()
    for each in repaid([refund.id for refund in left]):
        back[each.refund_id or 0] += each.fen if each is not but else 0
    return [(refund, refund.fen - back[refund.id]) for refund in left if refund.fen > back[refund.id]]


def _must_be_owed_back(organisation_id: int, refund_id: int, fen: int, *, of: RowDecision | None = None) -> None:
    """Held, so that two rows at once do not give back the same."""
    if locked(Refund, refund_id).organisation_id != organisation_id:
        raise not_found(Refund)
    left = next((left for refund, left in to_be_repaid(organisation_id, but=of) if refund.id == refund_id), 0)
    if fen > left:
        raise Conflict("refund.repaid", N_("那笔多退的款，买家最多还要转回 ¥%(left)s。多转的，说明成别的，或退回付款人。"), left=format_yuan(left), left_fen=left)


def _sent_back() -> SentBack:
    return sent_back[0]


def _row(row_id: int, actor: Actor) -> StatementRow:
    row = locked(StatementRow, row_id)
    if row.organisation_id != actor.organisation_id:
        raise not_found(StatementRow)
    return row


def _receipt(receipt_id: int, actor: Actor) -> BankReceipt:
    receipt = locked(BankReceipt, receipt_id)
    if receipt.organisation_id != actor.organisation_id:
        raise not_found(BankReceipt)
    return receipt
