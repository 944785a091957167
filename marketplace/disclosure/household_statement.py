"""Household statement (明白卡): what one household earned and was paid, at its own random address; its own rows only.

It answers each payment: received, not received, or an objection. The last answer counts, all are kept.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from marketplace.disclosure.household_answer import HouseholdAnswer
from marketplace.foundation import audit, clock
from marketplace.foundation.crypto import masked_name
from marketplace.foundation.database import by_public_id, db, not_found
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.households.household import Household
from marketplace.households.linkage_group import LinkageGroup
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.region import Region
from marketplace.settlement.distribution import Distribution, DistributionGroup, DistributionShare
from marketplace.settlement.household_credit import CreditMove
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem

ANSWERS = ("RECEIVED", "NOT_RECEIVED", "OBJECTION")


@dataclass(frozen=True)
class Earned:
    """One share of a posted distribution, with its reasons: grams of all grams, share-days of all share-days. Fen."""

    distribution_id: int
    period: str
    cooperative_zh: str
    cooperative_en: str | None
    group_zh: str
    group_en: str | None
    basis: str
    grams: int
    total_grams: int
    patronage_fen: int
    share_days: int
    total_share_days: int
    equity_fen: int
    relief_units: int
    total_relief_units: int
    relief_fen: int
    guaranteed_due_fen: int
    guaranteed_fen: int
    fen: int
    posted_at: datetime | None


@dataclass(frozen=True)
class Payment:
    """One payment to the household's bank account. ``state`` as in payout_batch; a re-issue names what it repeats."""

    public_id: str
    period: str
    cooperative_zh: str
    cooperative_en: str | None
    number: str
    fen: int
    bank_name: str
    account_last4: str
    state: str
    reason: str
    sent_at: datetime | None
    paid_at: datetime | None
    is_reissue: bool
    answer: str | None
    answered_at: datetime | None


@dataclass(frozen=True)
class Moved:
    """What came to the household's credit or left it (below zero) other than by being paid; ``kind`` as in ``household_credit``."""

    kind: str
    period: str
    fen: int
    moved_at: datetime


@dataclass(frozen=True)
class HouseholdStatement:
    """All that the page shows. ``owed_fen`` = earned + moved − paid."""

    token: str
    name: str  # masked: 王**
    code: str
    village_zh: str
    village_en: str | None
    earned: list[Earned]
    payments: list[Payment]
    earned_fen: int
    paid_fen: int
    owed_fen: int
    moves: list[Moved]
    moved_fen: int


def for_token(token: str) -> HouseholdStatement:
    """The statement at this address, newest first. NotFound if there is none."""
    household = _household(token)
    village = db.session.get_one(Region, household.village_id)
    earned, payments, moves = _earned(household.id), _payments(household.id), _moves(household.id)
    moved_fen = sum(row.fen for row in moves)
    earned_fen = sum(row.fen for row in earned)
    paid_fen = sum(row.fen for row in payments if row.state == "paid")
    return HouseholdStatement(
        token=token,
        name=masked_name(household.name),
        code=household.code,
        village_zh=village.name_zh,
        village_en=village.name_en,
        earned=earned,
        payments=payments,
        earned_fen=earned_fen,
        paid_fen=paid_fen,
        owed_fen=earned_fen + moved_fen - paid_fen,
        moves=moves,
        moved_fen=moved_fen,
    )


def answer(token: str, item_public_id: str, said: str, *, text: str = "") -> HouseholdAnswer:
    """Record what the household says about one of its payments that was sent. An objection needs its text (at most 500).

    Raises NotFound for another household's payment, InvalidInput ``answer.bad`` or ``answer.text``, Conflict ``answer.early``.
    """
    household = _household(token)
    item = by_public_id(PayoutItem, item_public_id, select(PayoutItem).where(PayoutItem.household_id == household.id))
    if said not in ANSWERS:
        raise InvalidInput("answer.bad", N_("请选一个：收到了、没收到、有异议。"), field="answer")
    text = text.strip()
    if len(text) > 500 or (said == "OBJECTION" and not text):
        raise InvalidInput("answer.text", N_("有异议请写明，最多 500 字。"), field="text")
    if item.state in ("draft", "approved"):
        raise Conflict("answer.early", N_("这笔钱还没有交给银行，交付后再来回答。"))
    row = HouseholdAnswer(
        organisation_id=item.organisation_id,
        household_id=household.id,
        payout_item_id=item.id,
        answer=said,
        text=text,
        answered_at=clock.now(),
    )
    db.session.add(row)
    db.session.flush()
    audit.record("household.answered", item, answer=said)
    return row


def _household(token: str) -> Household:
    row = db.session.scalars(select(Household).where(Household.statement_token == token)).one_or_none()
    if row is None:
        raise not_found(Household)
    return row


def _earned(household_id: int) -> list[Earned]:
    query = (
        select(DistributionShare, Distribution, DistributionGroup, LinkageGroup, Organisation)
        .join(Distribution, Distribution.id == DistributionShare.distribution_id)
        .join(
            DistributionGroup,
            (DistributionGroup.distribution_id == DistributionShare.distribution_id)
            & (DistributionGroup.linkage_group_id == DistributionShare.linkage_group_id),
        )
        .join(LinkageGroup, LinkageGroup.id == DistributionShare.linkage_group_id)
        .join(Organisation, Organisation.id == DistributionShare.organisation_id)
        .where(DistributionShare.household_id == household_id, Distribution.posted_at.is_not(None))
        .order_by(Distribution.posted_at.desc(), DistributionShare.id)
    )
    return [
        Earned(
            distribution_id=distribution.id,
            period=distribution.period,
            cooperative_zh=cooperative.name_zh,
            cooperative_en=cooperative.name_en,
            group_zh=group.name_zh,
            group_en=group.name_en,
            basis=part.basis,
            grams=share.grams,
            total_grams=share.total_grams,
            patronage_fen=share.patronage_fen,
            share_days=share.share_days,
            total_share_days=share.total_share_days,
            equity_fen=share.equity_fen,
            relief_units=share.relief_units,
            total_relief_units=part.relief_units,
            relief_fen=share.relief_fen,
            guaranteed_due_fen=share.guaranteed_due_fen,
            guaranteed_fen=share.guaranteed_fen,
            fen=share.fen,
            posted_at=distribution.posted_at,
        )
        for share, distribution, part, group, cooperative in db.session.execute(query)
    ]


def _payments(household_id: int) -> list[Payment]:
    query = (
        select(PayoutItem, PayoutBatch, Distribution.period, Organisation)
        .join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id)
        .join(Distribution, Distribution.id == PayoutBatch.distribution_id)
        .join(Organisation, Organisation.id == PayoutItem.organisation_id)
        .where(PayoutItem.household_id == household_id, PayoutBatch.sent_at.is_not(None))
        .order_by(PayoutItem.id.desc())
    )
    rows = db.session.execute(query).all()
    answers = _answers(household_id)
    return [
        Payment(
            public_id=item.public_id,
            period=period,
            cooperative_zh=cooperative.name_zh,
            cooperative_en=cooperative.name_en,
            number=batch.number,
            fen=item.fen,
            bank_name=item.bank_name,
            account_last4=item.account_last4,
            state=item.state,
            reason=item.reason,
            sent_at=batch.sent_at,
            paid_at=item.paid_at,
            is_reissue=item.reissue_of_id is not None,
            answer=answers[item.id].answer if item.id in answers else None,
            answered_at=answers[item.id].answered_at if item.id in answers else None,
        )
        for item, batch, period, cooperative in rows
    ]


def _moves(household_id: int) -> list[Moved]:
    query = (
        select(CreditMove.kind, Distribution.period, CreditMove.fen, CreditMove.moved_at)
        .join(Distribution, Distribution.id == CreditMove.distribution_id)
        .where(CreditMove.household_id == household_id)
        .order_by(CreditMove.id.desc())
    )
    return [Moved(*row) for row in db.session.execute(query)]


def _answers(household_id: int) -> dict[int, HouseholdAnswer]:
    query = select(HouseholdAnswer).where(HouseholdAnswer.household_id == household_id).order_by(HouseholdAnswer.id)
    return {row.payout_item_id: row for row in db.session.scalars(query)}
