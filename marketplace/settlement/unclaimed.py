"""Unclaimed money (无人领取): what nobody could be paid for long enough goes to the relief fund, noticed and by two people.

Drafted by the accountant → approved by the director → published → objections answered → posted. Who turns up until then is paid;
who turns up later gets it back by a new entry, two people again (``unclaimed_return``).
"""

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    Select,
    String,
    Subquery,
    cast,
    func,
    insert,
    literal,
    select,
    text,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.config import settings
from marketplace.foundation.database import (
    Identified,
    Model,
    Public,
    Staged,
    UtcDateTime,
    Versioned,
    db,
    locked,
    new_public_id,
)
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.households.household import Household
from marketplace.ledger import share_event
from marketplace.ledger.account import Account, owner_of
from marketplace.ledger.entry import JournalEntry, JournalLine
from marketplace.ledger.posting import Source
from marketplace.notices import public_notice
from marketplace.notices.public_notice import PublicNotice
from marketplace.notices.suppression import LEAST_HOUSEHOLDS
from marketplace.organisations import approval
from marketplace.organisations.actor import Actor, own_row
from marketplace.organisations.organisation import Organisation
from marketplace.settlement.distribution_share import Distribution
from marketplace.settlement.household_credit import CreditMove, owed
from marketplace.settlement.payout_item import UNSEEN, PayoutBatch, PayoutItem, seen_anew
from marketplace.settlement.payout_reversal import PayoutReversal

OPEN = ("DRAFTED", "APPROVED", "PUBLISHED")
STATES = (*OPEN, "POSTED", "WITHDRAWN")


class Unclaimed(Public, Versioned, Staged, Model):
    """One paper: what was credited up to ``until`` (Beijing day) and reached nobody. ``moved_fen`` is what went to the fund in the end."""

    __tablename__ = "unclaimed"
    not_now = ("unclaimed.state", N_("这份清单现在的状态不能办这一步，请刷新页面看看。"))
    __table_args__ = (
        CheckConstraint("state IN ('DRAFTED','APPROVED','PUBLISHED','POSTED','WITHDRAWN')", name="state"),
        CheckConstraint("approved_by_id IS NULL OR approved_by_id <> drafted_by_id", name="two_people"),
        Index(
            "uq_unclaimed_open", "organisation_id", unique=True,
            sqlite_where=text("state IN ('DRAFTED','APPROVED','PUBLISHED')"), postgresql_where=text("state IN ('DRAFTED','APPROVED','PUBLISHED')"),
        ),
    )  # fmt: skip

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    number: Mapped[str] = mapped_column(String(30), unique=True)
    state: Mapped[str] = mapped_column(String(10), default="DRAFTED")
    until: Mapped[date]
    total_fen: Mapped[int]
    households: Mapped[int]
    moved_fen: Mapped[int] = mapped_column(default=0)
    drafted_at: Mapped[datetime]
    drafted_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    approved_at: Mapped[datetime | None]
    approved_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    published_at: Mapped[datetime | None]
    notice_id: Mapped[int | None] = mapped_column(ForeignKey("public_notice.id"))
    posted_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]
    withdrawn_reason: Mapped[str] = mapped_column(String(300), default="")


class UnclaimedLine(Identified, Model):
    """What one household did not get of one distribution, when the list was drafted."""

    __tablename__ = "unclaimed_line"
    __table_args__ = (Index("ix_unclaimed_line_of", "unclaimed_id", "household_id"), CheckConstraint("fen > 0", name="fen"))

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    unclaimed_id: Mapped[int] = mapped_column(ForeignKey("unclaimed.id"))
    distribution_id: Mapped[int] = mapped_column(ForeignKey("distribution.id"))
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"), index=True)
    fen: Mapped[int]


def found(organisation_id: int, until: date) -> Subquery:
    """(distribution, household, fen) of what was credited up to a day and reached nobody: came back and was not issued again, or was
    never sent because the household has no account. What only waits for a batch is not unclaimed, nor what was paid, sent or given back
    since: its time runs from when it came back last."""
    end = clock.beijing_midnight(until + timedelta(days=1))
    old = (Distribution.organisation_id == organisation_id, Distribution.posted_at < end)
    never = owed(*old)
    unknown = (
        select(never.c.distribution_id, never.c.household_id, never.c.fen)
        .join(Household, Household.id == never.c.household_id)
        .where(Household.bank_account_sealed == "", Household.alipay_account_sealed == "")
        .where(
            ~select(CreditMove.id)
            .where(CreditMove.distribution_id == never.c.distribution_id, CreditMove.household_id == never.c.household_id)
            .where(CreditMove.fen > 0, CreditMove.moved_at >= end)
            .exists()
        )
    )
    back = (
        select(PayoutBatch.distribution_id, PayoutItem.household_id, PayoutItem.fen)
        .join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id)
        .join(Distribution, Distribution.id == PayoutBatch.distribution_id)
        .where(PayoutItem.state == "returned", *old)
        .where(tuple_(PayoutItem.batch_id, _HOUSEHOLD.concat(cast(PayoutItem.household_id, String))).not_in(_came_back(organisation_id, end)))
        .where(PayoutItem.id.not_in(_came_back(organisation_id, end, "payout_item").with_only_columns(JournalEntry.source_id)))
        .where(PayoutItem.id.not_in(_unmade(organisation_id, end)))
    )
    each = union_all(unknown, back).subquery("each")
    return (
        select(each.c.distribution_id, each.c.household_id, func.sum(each.c.fen).label("fen"))
        .group_by(each.c.distribution_id, each.c.household_id)
        .subquery("unclaimed_now")
    )


_HOUSEHOLD = literal(owner_of("household", 0).removesuffix("0"), String())


def _came_back(organisation_id: int, since: datetime, source: str = "payout_batch") -> Select[int, str]:
    """(batch, its household's account) of what a bank refused or returned from a moment on; of Alipay's transfers, each an item, (item, …)."""
    return (
        select(JournalEntry.source_id, Account.owner_ref)
        .join(JournalLine, (JournalLine.period == JournalEntry.period) & (JournalLine.entry_id == JournalEntry.id))
        .join(Account, Account.id == JournalLine.account_id)
        .where(JournalEntry.book == organisation_id, JournalEntry.period >= clock.period_of(clock.business_date(since)))
        .where(JournalEntry.kind.in_(("payout_returned", "payout_refused")), JournalEntry.source_type == source)
        .where(JournalEntry.event_at >= since, Account.kind == "household")
    )


def _unmade(organisation_id: int, since: datetime) -> Select[int]:
    """Payments that two people said from a moment on had never been made: until then everybody believed that they had arrived. (The entry
    that reverses one stands on the day of the payment.)"""
    return select(PayoutReversal.item_id).where(
        PayoutReversal.organisation_id == organisation_id, PayoutReversal.state == "DONE", PayoutReversal.decided_at >= since
    )


def cutoff() -> date:
    """The last day whose credits, and whose returns, are old enough: UNCLAIMED_DAYS before today."""
    return clock.business_date() - timedelta(days=settings().unclaimed_days)


def counted(organisation_id: int) -> tuple[int, int]:
    """(households, fen) of what could be listed now."""
    now = found(organisation_id, cutoff())
    households, fen = db.session.execute(select(func.count(now.c.household_id.distinct()), func.coalesce(func.sum(now.c.fen), 0))).one()
    return households, int(fen)


def draft(*, actor: Actor) -> Unclaimed:
    """List what nobody could be paid for the set time. By the accountant. Conflict ``unclaimed.open`` while a list is on its way,
    ``unclaimed.none`` if there is nothing."""
    actor.must_have("COOPERATIVE", "accountant")
    organisation_id, until = actor.organisation_id, cutoff()
    locked(Organisation, organisation_id)  # two who draft at once: the second finds the first one's list
    going = select(Unclaimed.id).where(Unclaimed.organisation_id == organisation_id, Unclaimed.state.in_(OPEN))
    if db.session.scalar(going) is not None:
        raise Conflict("unclaimed.open", N_("已有一份清单在办，先办完那一份。"))
    households, total_fen = counted(organisation_id)
    if not total_fen:
        raise Conflict("unclaimed.none", N_("没有到期还没人领取的钱。"))
    row = Unclaimed(
        organisation_id=organisation_id, number=f"WL{clock.business_date():%Y%m%d}-{new_public_id()[:8].upper()}", until=until,
        total_fen=total_fen, households=households, drafted_at=clock.now(), drafted_by_id=actor.person_id, version=1,
    )  # fmt: skip
    db.session.add(row)
    db.session.flush()
    now = found(organisation_id, until)
    lines = select(literal(organisation_id), literal(row.id), now.c.distribution_id, now.c.household_id, now.c.fen).order_by(now.c.household_id)
    db.session.execute(insert(UnclaimedLine).from_select(["organisation_id", "unclaimed_id", "distribution_id", "household_id", "fen"], lines))
    audit.record("unclaimed.drafted", row, person_id=actor.person_id, total_fen=total_fen, households=households)
    db.session.flush()
    return row


def approve(unclaimed_id: int, *, actor: Actor, version: int, approved: bool = True, reason: str = "") -> Unclaimed:
    """The director's word on a list; returned (with a reason), it is withdrawn. OwnWork if the director drafted it."""
    row = own_row(Unclaimed, unclaimed_id, actor, "director")
    row.must_be("DRAFTED")
    row.must_be_version(version)
    approval.decide(row, maker_id=row.drafted_by_id, actor=actor, version=version, approved=approved, reason=reason)
    if not approved:
        return _take_back(row, reason)
    row.state, row.approved_at, row.approved_by_id = "APPROVED", clock.now(), actor.person_id
    db.session.flush()
    return row


def publish(unclaimed_id: int, *, actor: Actor, version: int) -> PublicNotice:
    """Tell everybody, for the market's number of working days. Of fewer than five households no sum is told."""
    row = own_row(Unclaimed, unclaimed_id, actor, "director", "accountant")
    row.must_be("APPROVED")
    row.must_be_version(version)
    name = db.session.get_one(Organisation, row.organisation_id)
    told = {"households": row.households, "total_fen": row.total_fen} if row.households >= LEAST_HOUSEHOLDS else {}
    notice = public_notice.publish(
        row, organisation_id=row.organisation_id, title_zh=f"{name.name_zh} 无人领取收益转入防贫基金公示",
        title_en=f"{name.name_en or name.name_zh}: unclaimed money to the relief fund", body={"unclaimed": True, "until": f"{row.until}", **told},
        workdays=settings().notice_workdays,
    )  # fmt: skip
    row.state, row.published_at, row.notice_id = "PUBLISHED", notice.published_at, notice.id
    audit.record("unclaimed.published", row, person_id=actor.person_id, ends_on=f"{notice.ends_on}")
    db.session.flush()
    return notice


def post(unclaimed_id: int, *, actor: Actor, version: int) -> Unclaimed:
    """Move to the fund what still reached nobody, once the notice has ended without an open or upheld objection.

    A line of which anything was paid or sent since stays the household's. Raises Conflict as ``public_notice.must_have_ended``.
    """
    row = own_row(Unclaimed, unclaimed_id, actor, "director", "accountant")
    row.must_be("PUBLISHED")
    row.must_be_version(version)
    public_notice.must_have_ended(db.session.get_one(PublicNotice, row.notice_id))
    # Whoever batches or issues again what is listed waits here, or we for them, and see what they did.
    listed = select(UnclaimedLine.distribution_id).where(UnclaimedLine.unclaimed_id == row.id)
    db.session.execute(select(Distribution.id).where(Distribution.id.in_(listed)).order_by(Distribution.id).with_for_update()).all()
    db.session.execute(select(PayoutBatch.id).where(PayoutBatch.distribution_id.in_(listed)).order_by(PayoutBatch.id).with_for_update()).all()
    now = found(row.organisation_id, row.until)
    stands = (
        select(UnclaimedLine.distribution_id, UnclaimedLine.household_id, UnclaimedLine.fen)
        .join(now, (now.c.distribution_id == UnclaimedLine.distribution_id) & (now.c.household_id == UnclaimedLine.household_id))
        .where(UnclaimedLine.unclaimed_id == row.id, UnclaimedLine.fen == now.c.fen)
    ).subquery("stands")
    at = literal(clock.now(), UtcDateTime())
    moves = select(
        literal(row.organisation_id), stands.c.distribution_id, stands.c.household_id, literal("FUND"), -stands.c.fen, literal("unclaimed"),
        literal(row.id), at,
    ).order_by(stands.c.household_id)  # fmt: skip
    columns = ["organisation_id", "distribution_id", "household_id", "kind", "fen", "paper_type", "paper_id", "moved_at"]
    db.session.execute(insert(CreditMove).from_select(columns, moves))
    moved = moves_of(row.id)
    row.moved_fen = -int(db.session.scalar(moved.order_by(None).with_only_columns(func.coalesce(func.sum(CreditMove.fen), 0))) or 0)
    if row.moved_fen:
        _close_items(row)
        share_event.credited_to_fund(
            book=row.organisation_id, source=Source("unclaimed", row.id),
            households=moved.order_by(None).with_only_columns(CreditMove.household_id, func.sum(-CreditMove.fen)).group_by(CreditMove.household_id),
        )  # fmt: skip
    row.state, row.posted_at = "POSTED", clock.now()
    audit.record("unclaimed.posted", row, person_id=actor.person_id, moved_fen=row.moved_fen)
    db.session.flush()
    return row


def withdraw(unclaimed_id: int, *, actor: Actor, version: int, reason: str) -> Unclaimed:
    """Take back a list that is not posted, with a reason. By the cooperative, or by the operator, who may object so."""
    if actor.is_operator:
        actor.must_have("OPERATOR", "administrator", "reviewer", "treasurer")
        row = locked(Unclaimed, unclaimed_id)
    else:
        row = own_row(Unclaimed, unclaimed_id, actor, "director", "accountant")
    row.must_be(*OPEN)
    row.must_be_version(version)
    if not reason.strip():
        raise InvalidInput("reason.missing", N_("撤回时请写明理由。"), field="reason")
    audit.record("unclaimed.withdrawn", row, person_id=actor.person_id, organisation_id=actor.organisation_id)
    return _take_back(row, reason)


def moves_of(unclaimed_id: int) -> Select[Any]:
    """What a list moved to the fund, household by household and distribution by distribution."""
    query = select(CreditMove).where(CreditMove.paper_type == "unclaimed", CreditMove.paper_id == unclaimed_id, CreditMove.kind == "FUND")
    return query.order_by(CreditMove.household_id)


def _close_items(row: Unclaimed) -> None:
    """What came back and went to the fund is not issued again."""
    its = (
        select(PayoutItem.id)
        .join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id)
        .join(CreditMove, (CreditMove.distribution_id == PayoutBatch.distribution_id) & (CreditMove.household_id == PayoutItem.household_id))
        .where(PayoutItem.state == "returned", CreditMove.paper_type == "unclaimed", CreditMove.paper_id == row.id, CreditMove.kind == "FUND")
    )
    db.session.execute(update(PayoutItem).where(PayoutItem.id.in_(its)).values(state="reissued", moved=True), **UNSEEN)
    seen_anew()


def _take_back(row: Unclaimed, reason: str) -> Unclaimed:
    if row.notice_id is not None:
        db.session.get_one(PublicNotice, row.notice_id).withdrawn_at = clock.now()
    row.state, row.withdrawn_at, row.withdrawn_reason = "WITHDRAWN", clock.now(), reason.strip()[:300]
    db.session.flush()
    return row
