"""Payout batches: the list, making one from a posted distribution, and one batch with its items, its frozen file and its results."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from sqlalchemy import Select, func, select

from marketplace.errands import errand
from marketplace.foundation.config import settings
from marketplace.foundation.crypto import masked_name
from marketplace.foundation.database import by_public_id, db, new_public_id, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.language import gettext as _
from marketplace.households import account_proposal
from marketplace.households.account_correction import corrected_since
from marketplace.households.household import Household
from marketplace.organisations.actor import Actor, scoped
from marketplace.organisations.approval import Approval
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.region import Region
from marketplace.payments import transfer_ending, withdrawal
from marketplace.settlement import (
    distribution_errand,
    household_credit,
    payout_batch,
    payout_errand,
    payout_found,
    payout_found_batch,
    payout_layout,
    payout_part,
    payout_preset,
    payout_progress,
    payout_recall,
    payout_reversal,
    payout_transfer,
)
from marketplace.settlement.distribution import Distribution, DistributionShare
from marketplace.settlement.payout_account import new_accounts
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from marketplace.settlement.payout_layout import PayoutLayout
from marketplace.settlement.payout_results import PayoutResults
from marketplace.web import distribution as distributions
from marketplace.web.errand import Wanted, led_to, once
from marketplace.web.payout_layouts import value_words
from marketplace.web.payout_way import next_strip, way
from marketplace.web.payout_words import channel_words, item_word, state_words
from marketplace.web.permission import holds, needs, permission, the_actor
from marketplace.web.shared_desk import desk, money_home, names_of, typed_version
from marketplace.web.spreadsheet import download, streamed

bp = Blueprint("payout", __name__, url_prefix="/payouts")

permission("money.read", COOPERATIVE="*", OPERATOR="administrator reviewer treasurer auditor")
permission("payout.make", COOPERATIVE="accountant")
permission("payout.file", COOPERATIVE="accountant director")

PAGE = 50
LOOKED_THROUGH = 5_000  # payments of a draft that a page tries to write; of more, approval tells what does not go in
VIEWS: dict[str, tuple[str, ...]] = {
    "": payout_batch.BATCH_STATES,
    "open": ("DRAFT", "APPROVED", "SENT"),
    "done": ("DONE",),
    "cancelled": ("CANCELLED",),
}
ITEM_VIEWS: dict[str, tuple[str, ...]] = {"": payout_batch.ITEM_STATES, "paid": ("paid",), "back": ("returned", "reissued"), "going": ("sent", "unknown"), "unknown": ("unknown",)}


def own(public_id: str, actor: Actor) -> PayoutBatch:
    """The batch with this outside name, of one's cooperative; the operator's staff may see all."""
    row: PayoutBatch = by_public_id(PayoutBatch, public_id, scoped(actor, PayoutBatch))
    return row


@bp.get("")
@needs("money.read")
def index() -> Any:
    actor = the_actor()
    view, query = _filtered(actor)
    before = request.args.get("before", "")
    if before:
        query = query.where(PayoutBatch.id < own(before, actor).id)
    rows = db.session.execute(query.limit(PAGE + 1)).all()
    kept: dict[str, Any] = {key: value for key, value in request.args.items() if key in ("view", "channel", "cooperative") and value}
    cooperatives = select(Organisation).where(Organisation.kind == "COOPERATIVE").order_by(Organisation.name_zh)
    return render_template(
        "payout/index.html",
        rows=rows[:PAGE],
        of_batches=payout_progress.of_batches([row[0].id for row in rows[:PAGE] if row[0].state in ("SENT", "DONE")]),
        view=view,
        states=state_words(),
        errands=errand.waiting(actor.organisation_id),
        channels=channel_words(),
        kept=kept,
        accounts_waiting=account_proposal.waiting(actor.organisation_id),
        cooperatives=[(each.public_id, each.name_zh) for each in db.session.scalars(cooperatives)] if actor.is_operator else [],
        next_url=url_for(".index", **kept, before=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        crumbs=[(_("钱") if not actor.is_operator else _("今天"), money_home(actor)), (_("代发"), None)],
        **desk(actor),
    )


@bp.get("/export.xlsx")
@needs("money.read")
def export() -> Response:
    _view, query = _filtered(the_actor())
    paid = select(func.coalesce(func.sum(PayoutItem.fen), 0)).where(PayoutItem.batch_id == PayoutBatch.id, PayoutItem.state == "paid")
    states, channels = state_words(), channel_words()
    columns = [
        (_("合作社"), "text"), (_("批号"), "text"), (_("月份"), "text"), (_("怎么发"), "text"), (_("状态"), "text"), (_("笔数"), "whole"), (_("金额"), "fen"),
        (_("已到账"), "fen"), (_("做出"), "day"), (_("审批"), "day"), (_("送出"), "day"), (_("办完"), "day"), ("SHA-256", "text"),
    ]  # fmt: skip
    rows = (
        (
            owner.name_zh, row.number, period, channels[row.channel], states[row.channel][row.state], row.items, row.total_fen, paid, row.made_at, row.approved_at, row.sent_at,
            row.done_at, row.sha256,
        )
        for row, owner, period, paid in streamed(query.add_columns(paid.scalar_subquery()))
    )  # fmt: skip
    return download(_("代发批次"), columns, rows)


@bp.get("/new/<distribution_id>")
@needs("payout.make")
def ask(distribution_id: str) -> Any:
    """What a batch of this distribution would pay, and who stays out for want of an account."""
    actor, channel = the_actor(), request.args.get("channel", "bank")
    source = distributions.own(distribution_id, actor)
    household_credit.must_be_channel(channel)
    without = household_credit.without_account(source, channel).limit(PAGE + 1)
    after = request.args.get("after", "")
    if after:
        without = without.where(Household.code > by_public_id(Household, after).code)
    rows = db.session.execute(without).all()
    return render_template(
        "payout/new.html",
        source=source,
        channel=channel,
        channels=channel_words(),
        counted=household_credit.counted(source, channel),
        balance_fen=withdrawal.available(actor.organisation_id) if channel == "alipay" else None,
        **layouts_offered(actor),
        without=[(row, fen, masked_name(row.name)) for row, fen in rows[:PAGE]],
        next_url=url_for(".ask", distribution_id=distribution_id, channel=channel, after=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        cap_fen=settings().payout_cap_fen,
        accounts_waiting=account_proposal.waiting(
            actor.organisation_id, select(DistributionShare.household_id).where(DistributionShare.distribution_id == source.id)
        ),
        key=new_public_id(),
        crumbs=[(_("收益分配"), url_for("distribution.index")), (source.period, url_for("distribution.show", public_id=source.public_id)), (_("做代发"), None)],
        **desk(actor),
    )


@bp.post("/new/<distribution_id>")
@needs("payout.make")
def make(distribution_id: str) -> Any:
    actor, key, channel = the_actor(), request.form.get("idempotency_key", ""), request.form.get("channel", "bank")
    source, layout_id = distributions.own(distribution_id, actor), layout_given(actor)
    household_credit.must_be_channel(channel)
    source_id, subject, path = source.id, distribution_errand.of(source.id), url_for("distribution.show", public_id=distribution_id)
    given = {"id": source_id, "channel": channel, "layout": layout_id}
    wanted = Wanted("payout.make", subject, source.organisation_id, source.period, distribution_errand.households(source), path, given)

    def work() -> dict[str, Any]:
        return {"public_id": payout_batch.make(source_id, actor=actor, channel=channel, layout_id=layout_id).public_id}

    asked = {"distribution": source_id, "channel": channel, "layout": layout_id}
    made = once(wanted, work, key=key, request=asked, actor=actor)
    if "errand" in made:
        return led_to(made["errand"])
    flash(_("代发批次做好了，等理事长审批。"), "done")
    return redirect(url_for(".show", public_id=made["public_id"]), 303)


@bp.post("/<public_id>/layout")
@needs("payout.make")
def use_layout(public_id: str) -> Any:
    """Write a draft's file in another bank's way."""
    actor = the_actor()
    number, version, layout_id = own(public_id, actor).id, typed_version(), layout_given(actor)
    errand.must_be_free(payout_errand.of(number))
    transaction(lambda: payout_batch.use_layout(number, layout_id, version=version, actor=actor))
    flash(_("这一批的文件改用这个版式。"), "done")
    return redirect(url_for(".show", public_id=public_id), 303)


def layouts_offered(actor: Actor) -> dict[str, Any]:
    """What a batch may be written in: (outside name or "", words), and what the last one was."""
    rows = payout_layout.offered(actor.organisation_id)
    used = payout_layout.latest(actor.organisation_id)
    first = _("%(name)s（通用）", name=_(payout_preset.PRESETS[payout_preset.FIRST][0]))
    return {"layouts": [*((row.public_id, row.name) for row in rows), ("", first)], "layout": used.public_id if used else ""}


def layout_given(actor: Actor) -> int | None:
    """The layout that was chosen on a page; None for the first preset."""
    chosen = request.form.get("layout", "")
    return by_public_id(PayoutLayout, chosen, scoped(actor, PayoutLayout)).id if chosen else None


@bp.get("/<public_id>")
@needs("money.read")
def show(public_id: str) -> Any:
    return page(own(public_id, the_actor()))


def page(row: PayoutBatch, errors: dict[str, str] | None = None, bad_lines: list[str] | None = None) -> str:
    """One batch as its reader may see and move it."""
    actor = the_actor()
    view = request.args.get("items", "")
    if view not in ITEM_VIEWS:
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="items")
    owner, source = db.session.execute(
        select(Organisation, Distribution)
        .join(Distribution, Distribution.organisation_id == Organisation.id)
        .where(Distribution.id == row.distribution_id)
    ).one()
    items, next_url = _items(row, view, actor)
    by_state = select(PayoutItem.state, func.count(), func.sum(PayoutItem.fen), func.min(PayoutItem.unknown_since)).where(PayoutItem.batch_id == row.id)
    found = db.session.execute(by_state.group_by(PayoutItem.state)).all()
    counts = {state: (number, int(fen)) for state, number, fen, _since in found}
    layout = db.session.get(PayoutLayout, row.layout_id) if row.layout_id else None
    related = list(db.session.scalars(select(PayoutBatch).where((PayoutBatch.reissue_of_id == row.id) | (PayoutBatch.id == row.reissue_of_id)).order_by(PayoutBatch.id)))
    people = names_of((row.made_by_id, row.approved_by_id))
    refused = select(Approval.reason).where(Approval.subject_type == "payout_batch", Approval.subject_id == row.id, Approval.decision == "RETURNED")
    return render_template(
        "payout/show.html",
        row=row,
        owner=owner,
        source=source,
        items=items,
        corrected=corrected_since([house.id for _item, house, _village, _name in items], row.made_at, row.channel) if row.state in ("DRAFT", "APPROVED") else set(),
        fresh=new_accounts(row) if row.state == "DRAFT" else set(),
        accounts_waiting=account_proposal.waiting(actor.organisation_id, select(PayoutItem.household_id).where(PayoutItem.batch_id == row.id)),
        counts=counts,
        layout_name=layout.name if layout else _(payout_preset.PRESETS[payout_preset.FIRST][0]),
        **_file(row, layout, actor),
        unknown_since=next((since for state, *_sums, since in found if state == "unknown"), None),
        handed_out=payout_recall.handed_out(row) if row.state in ("APPROVED", "CANCELLED") else None,
        recall=payout_recall.of_batch(row.id) if row.state in ("APPROVED", "CANCELLED") else None,
        found=payout_found.of_batch(row.id) if row.channel == "bank" else [],
        found_waits=payout_found_batch.waiting(row.id),
        reversals=payout_reversal.of_batch(row.id, "PROPOSED", "DONE") if row.channel == "bank" else [],
        **_contradicted(row),
        view=view,
        next_url=next_url,
        related=related,
        results=list(db.session.scalars(select(PayoutResults).where(PayoutResults.batch_id == row.id).order_by(PayoutResults.id))),
        reason=db.session.scalar(refused) if row.state == "CANCELLED" else None,
        states=state_words()[row.channel],
        item_word=item_word,
        channels=channel_words(),
        steps=way(row, counts, people),
        strip=next_strip(row, counts, actor),
        errand=errand.standing(payout_errand.of(row.id), row.version),
        errors=errors or {},
        bad_lines=bad_lines or [],
        crumbs=[(_("钱") if not actor.is_operator else _("今天"), money_home(actor)), (_("代发"), url_for(".index")), (row.number, None)],
        **desk(actor),
    )


@bp.post("/<public_id>/file")
@needs("payout.file")
def file(public_id: str) -> Any:
    """A frozen file itself (of several, the one that ``part`` names). A form and not a link: whoever takes it is written down."""
    actor = the_actor()
    number, typed = own(public_id, actor).id, request.form.get("part", "1")
    errand.must_be_free(payout_errand.of(number))
    part = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 6 else 0
    name, path, media_type = transaction(lambda: payout_batch.bank_file_sent(number, actor=actor, part=part))
    headers = {"Content-Disposition": f"attachment; filename={name}", "Content-Length": str(path.stat().st_size), "Cache-Control": "private, no-store"}
    return Response(_pieces(path), content_type=media_type, headers=headers)


def _contradicted(row: PayoutBatch) -> dict[str, Any]:
    """Its transfers that two people are to end: what one has said, and those of which nobody has said anything."""
    if row.channel != "alipay":
        return {"endings": [], "contradicted": []}
    proposed = {its.payable_id: ending for ending, its in transfer_ending.waiting(payout_transfer.KIND, row.id)}
    doubtful = payout_transfer.contradicted(row.id)
    wanted = [*proposed, *(number for number in doubtful if number not in proposed)]
    items = {each.id: each for each in db.session.scalars(select(PayoutItem).where(PayoutItem.id.in_(wanted)))} if wanted else {}
    return {
        "endings": [(items[number], ending) for number, ending in proposed.items()],
        "contradicted": [items[number] for number in doubtful if number not in proposed],
    }


def _file(row: PayoutBatch, layout: PayoutLayout | None, actor: Actor) -> dict[str, Any]:
    """What the page says of the bank's file: in which layout, its parts once it is frozen, and before what would not go in."""
    if row.channel != "bank" or row.state != "DRAFT":
        return {"parts": payout_part.parts_of(row.id), "unwritable": [], "layouts": [], "layout": ""}
    purpose = payout_batch.purpose_of(row)
    wrong = payout_part.unwritable(row, payout_layout.form_of(row), purpose) if row.items <= LOOKED_THROUGH else iter(())
    offered = layouts_offered(actor) if holds(actor, "payout.make") else {"layouts": []}
    begins = {"columns": columns_said(row), "first_lines": payout_part.first_lines(row, purpose)}
    return {"parts": [], "unwritable": list(islice(wrong, payout_part.TOLD)), **begins, **offered, "layout": layout.public_id if layout else ""}


def columns_said(row: PayoutBatch) -> list[str]:
    """What the file puts into each of its columns, in order, whatever the bank calls it."""
    words = value_words()
    return [f"“{column.text}”" if column.value == "text" else words[column.value] for column in payout_layout.form_of(row).columns]


def _pieces(path: Path) -> Iterator[bytes]:
    """A file of any size, a piece at a time."""
    with path.open("rb") as content:
        while piece := content.read(1 << 16):
            yield piece


def _filtered(actor: Actor) -> tuple[str, Select[*tuple[Any, ...]]]:
    view, cooperative, channel = (request.args.get(name, "") for name in ("view", "cooperative", "channel"))
    if channel:
        household_credit.must_be_channel(channel)
    if view not in VIEWS:
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="view")
    query: Select[*tuple[Any, ...]] = (
        select(PayoutBatch, Organisation, Distribution.period)
        .join(Organisation, Organisation.id == PayoutBatch.organisation_id)
        .join(Distribution, Distribution.id == PayoutBatch.distribution_id)
        .where(PayoutBatch.state.in_(VIEWS[view]))
        .order_by(PayoutBatch.id.desc())
    )
    if channel:
        query = query.where(PayoutBatch.channel == channel)
    if not actor.is_operator:
        query = query.where(PayoutBatch.organisation_id == actor.organisation_id)
    elif cooperative:
        query = query.where(Organisation.public_id == cooperative)
    return view, query


def _items(row: PayoutBatch, view: str, actor: Actor) -> tuple[list[tuple[PayoutItem, Household, Region, str]], str | None]:
    query = (
        select(PayoutItem, Household, Region)
        .join(Household, Household.id == PayoutItem.household_id)
        .join(Region, Region.id == Household.village_id)
        .where(PayoutItem.batch_id == row.id, PayoutItem.state.in_(ITEM_VIEWS[view]))
        .order_by(PayoutItem.sequence)
        .limit(PAGE + 1)
    )
    after = request.args.get("after", "")
    if after.isascii() and after.isdigit() and len(after) < 10:
        query = query.where(PayoutItem.sequence > int(after))
    found = db.session.execute(query).all()
    next_url = url_for("payout.show", public_id=row.public_id, items=view or None, after=found[PAGE - 1][0].sequence) if len(found) > PAGE else None
    return [(item, house, village, masked_name(house.name)) for item, house, village in found[:PAGE]], next_url
