"""Lists of money to take along as Excel: remittances, what the fund gave back, unclaimed lists and their households, a payout batch's items, households' changes."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response
from sqlalchemy import Select, func, select
from sqlalchemy.orm import aliased

from marketplace.foundation.crypto import masked_name
from marketplace.foundation.language import gettext as _
from marketplace.households.household import Household
from marketplace.households.household_change import KINDS, HouseholdChange
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import Person
from marketplace.organisations.region import Region
from marketplace.settlement.fund_return import FundReturn
from marketplace.settlement.household_credit import CreditMove
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from marketplace.settlement.remittance import Remittance
from marketplace.settlement.unclaimed import Unclaimed, UnclaimedLine
from marketplace.settlement.unclaimed_return import UnclaimedReturn
from marketplace.web import (
    fund_return,
    household_changes,
    payout,
    payout_words,
    remittance,
    state_filter,
    unclaimed,
)
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.spreadsheet import download, streamed

bp = Blueprint("money_sheets", __name__)

permission("money.read", COOPERATIVE="*", OPERATOR="administrator reviewer treasurer auditor")
permission("household.changes", OPERATOR="administrator auditor")


@bp.get("/remittances/export.xlsx")
@needs("money.read")
def remittances() -> Response:
    proposer, approver = aliased(Person), aliased(Person)
    query = (
        select(Remittance, Organisation.name_zh, Region.name_zh, proposer.name_zh, approver.name_zh)
        .join(Organisation, Organisation.id == Remittance.organisation_id)
        .outerjoin(Region, Region.id == Remittance.village_id)
        .join(proposer, proposer.id == Remittance.proposed_by_id)
        .outerjoin(approver, approver.id == Remittance.approved_by_id)
        .order_by(Remittance.id.desc())
    )
    states, kinds = remittance.state_words(), remittance.kind_words()
    columns = [
        (_("编号"), "text"), (_("合作社"), "text"), (_("划给"), "text"), (_("金额"), "fen"), (_("状态"), "text"), (_("说明"), "text"),
        (_("提出"), "moment"), (_("提出人"), "text"), (_("审批"), "moment"), (_("审批人"), "text"), (_("银行办理"), "day"), (_("银行流水号"), "text"),
        (_("撤回的理由"), "text"), (_("银行退回"), "day"),
    ]  # fmt: skip
    rows = (
        (
            row.number, owner, village or kinds[row.kind], row.fen, states[row.state], row.note, row.proposed_at, proposed_by, row.approved_at,
            approved_by, row.paid_on, row.bank_serial, row.withdrawn_reason, row.returned_on,
        )
        for row, owner, village, proposed_by, approved_by in streamed(_asked(query, Remittance, states))
    )  # fmt: skip
    return download(_("划款"), columns, rows)


@bp.get("/fund-returns/export.xlsx")
@needs("money.read")
def fund_returns() -> Response:
    proposer, approver = aliased(Person), aliased(Person)
    query = (
        select(FundReturn, Organisation.name_zh, proposer.name_zh, approver.name_zh)
        .join(Organisation, Organisation.id == FundReturn.organisation_id)
        .join(proposer, proposer.id == FundReturn.proposed_by_id)
        .outerjoin(approver, approver.id == FundReturn.approved_by_id)
        .order_by(FundReturn.id.desc())
    )
    states = fund_return.state_words()
    columns = [
        (_("编号"), "text"), (_("合作社"), "text"), (_("金额"), "fen"), (_("状态"), "text"), (_("理由"), "text"), (_("提出"), "moment"), (_("提出人"), "text"),
        (_("同意"), "moment"), (_("同意的人"), "text"), (_("到账"), "day"), (_("银行流水号"), "text"), (_("撤回的理由"), "text"),
    ]  # fmt: skip
    rows = (
        (
            row.number, owner, row.fen, states[row.state], row.reason, row.proposed_at, proposed_by, row.approved_at, approved_by, row.received_on,
            row.bank_serial, row.withdrawn_reason,
        )
        for row, owner, proposed_by, approved_by in streamed(_asked(query, FundReturn, states))
    )  # fmt: skip
    return download(_("基金退回"), columns, rows)


@bp.get("/unclaimed/export.xlsx")
@needs("money.read")
def unclaimed_lists() -> Response:
    query = select(Unclaimed, Organisation.name_zh).join(Organisation, Organisation.id == Unclaimed.organisation_id).order_by(Unclaimed.id.desc())
    states = unclaimed.state_words()
    columns = [
        (_("清单"), "text"), (_("合作社"), "text"), (_("记到各户名下不晚于"), "day"), (_("户数"), "whole"), (_("金额"), "fen"), (_("转入基金"), "fen"),
        (_("状态"), "text"), (_("列清单"), "moment"), (_("审批"), "moment"), (_("公示"), "moment"), (_("转入防贫基金"), "moment"), (_("撤回的理由"), "text"),
    ]  # fmt: skip
    rows = (
        (
            row.number, owner, row.until, row.households, row.total_fen, row.moved_fen, states[row.state], row.drafted_at, row.approved_at,
            row.published_at, row.posted_at, row.withdrawn_reason,
        )
        for row, owner in streamed(_asked(query, Unclaimed, states))
    )  # fmt: skip
    return download(_("无人领取的钱"), columns, rows)


@bp.get("/unclaimed/<public_id>/export.xlsx")
@needs("money.read")
def unclaimed_households(public_id: str) -> Response:
    """The households of one list, and what became of each one's money."""
    its = unclaimed.own(public_id, the_actor())
    moved = (
        select(CreditMove.household_id, func.sum(-CreditMove.fen).label("fen"))
        .where(CreditMove.paper_type == "unclaimed", CreditMove.paper_id == its.id, CreditMove.kind == "FUND")
        .group_by(CreditMove.household_id)
        .subquery()
    )
    listed = (
        select(UnclaimedLine.household_id, func.sum(UnclaimedLine.fen).label("fen"))
        .where(UnclaimedLine.unclaimed_id == its.id)
        .group_by(UnclaimedLine.household_id)
        .subquery()
    )
    query = (
        select(Household, Region.name_zh, listed.c.fen, moved.c.fen, UnclaimedReturn.fen, UnclaimedReturn.decided_at, UnclaimedReturn.reason)
        .join(listed, listed.c.household_id == Household.id)
        .join(Region, Region.id == Household.village_id)
        .outerjoin(moved, moved.c.household_id == Household.id)
        .outerjoin(
            UnclaimedReturn,
            (UnclaimedReturn.household_id == Household.id) & (UnclaimedReturn.unclaimed_id == its.id) & (UnclaimedReturn.state == "APPROVED"),
        )
        .order_by(Household.code)
    )
    columns = [
        (_("户"), "text"), (_("姓名"), "text"), (_("村"), "text"), (_("金额"), "fen"), (_("转入防贫基金"), "fen"), (_("已退还"), "fen"),
        (_("退还时间"), "moment"), (_("凭什么认定"), "text"),
    ]  # fmt: skip
    rows = ((home.code, masked_name(home.name), village, *rest) for home, village, *rest in streamed(query))
    return download(_("无人领取 %(number)s", number=its.number), columns, rows)


@bp.get("/payouts/<public_id>/items.xlsx")
@needs("money.read")
def payout_items(public_id: str) -> Response:
    """A batch's payments with their results and the bank's reasons; names masked and accounts by their last four, as on its page."""
    batch = payout.own(public_id, the_actor())
    before, its = aliased(PayoutItem), aliased(PayoutBatch)
    query = (
        select(PayoutItem, Household, Region.name_zh, its.number)
        .join(Household, Household.id == PayoutItem.household_id)
        .join(Region, Region.id == Household.village_id)
        .outerjoin(before, before.id == PayoutItem.reissue_of_id)
        .outerjoin(its, its.id == before.batch_id)
        .where(PayoutItem.batch_id == batch.id)
        .order_by(PayoutItem.sequence)
    )
    states = payout_words.item_words()[batch.channel]
    columns = [
        (_("序号"), "whole"), (_("户"), "text"), (_("姓名"), "text"), (_("村"), "text"), (_("开户行"), "text"), (_("账号尾号"), "text"), (_("金额"), "fen"),
        (_("结果"), "text"), (_("退回原因"), "text"), (_("到账"), "moment"), (_("补发自"), "text"),
    ]  # fmt: skip
    rows = (
        (
            item.sequence, home.code, masked_name(home.name), village, item.bank_name, item.account_last4, item.fen, states[item.state],
            _(item.reason) if item.reason else "", item.paid_at, of,
        )
        for item, home, village, of in streamed(query)
    )  # fmt: skip
    return download(_("代发 %(number)s", number=batch.number), columns, rows)


@bp.get("/operator/household-changes/export.xlsx")
@needs("household.changes")
def changes() -> Response:
    proposer, decider, other = aliased(Person), aliased(Person), aliased(Household)
    query = (
        select(HouseholdChange, Household.code, proposer.name_zh, decider.name_zh, other.code)
        .join(Household, Household.id == HouseholdChange.household_id)
        .join(proposer, proposer.id == HouseholdChange.proposed_by_id)
        .outerjoin(decider, decider.id == HouseholdChange.decided_by_id)
        .outerjoin(other, other.id == HouseholdChange.other_id)
        .order_by(HouseholdChange.id.desc())
    )
    states = household_changes.state_words()
    state = state_filter.chosen(states)
    if state:
        query = query.where(HouseholdChange.state == state)
    columns = [
        (_("户"), "text"), (_("变动"), "text"), (_("最后一天"), "day"), (_("状态"), "text"), (_("原因"), "text"), (_("提出"), "moment"), (_("提出人"), "text"),
        (_("决定"), "moment"), (_("决定人"), "text"), (_("分出或继承的户"), "text"), (_("分出去几个人"), "whole"), (_("股份分出去"), "bp"), (_("没发的钱分出去"), "bp"),
    ]  # fmt: skip
    rows = (
        (
            code, _(KINDS[row.kind]), row.last_day, states[row.state], row.reason, row.proposed_at, proposed_by, row.decided_at, decided_by,
            other_code or row.other_code, row.other_people, row.shares_bp, row.credit_bp,
        )
        for row, code, proposed_by, decided_by, other_code in streamed(query)
    )  # fmt: skip
    return download(_("户的变动"), columns, rows)


def _asked(query: Select[*tuple[Any, ...]], model: Any, states: Mapping[str, str]) -> Select[*tuple[Any, ...]]:
    """What its page shows: one's own, in the state that the address asks for."""
    actor, state = the_actor(), state_filter.chosen(states)
    if not actor.is_operator:
        query = query.where(model.organisation_id == actor.organisation_id)
    return query.where(model.state == state) if state else query
