"""The steps of a payout batch, each a page that asks first; and the bank's results, looked at before anything changes."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation.config import settings
from marketplace.foundation.crypto import last_four, masked_name
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.households import account_proposal
from marketplace.households.household import Household
from marketplace.organisations.actor import Actor
from marketplace.settlement import household_credit, payout_answer_lines, payout_batch, payout_results
from marketplace.settlement.payout_account import new_accounts
from marketplace.settlement.payout_answer import RESULT_HEADER, UnknownHeading, UnknownWords
from marketplace.settlement.payout_item import PayoutBatch
from marketplace.settlement.payout_results import PayoutResults
from marketplace.web import asked_step
from marketplace.web.asked_step import Places, Step
from marketplace.web.payout import own, state_words
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shared_desk import desk
from marketplace.web.shown import money

bp = Blueprint("payout_step", __name__, url_prefix="/payouts")

permission("payout.step", COOPERATIVE="accountant director")
permission("payout.make", COOPERATIVE="accountant")
permission("payout.approve", COOPERATIVE="director")

SHOWN = 500  # lines of a preview; their numbers are always of all


def _of_new_accounts(row: PayoutBatch) -> str:
    fresh = len(new_accounts(row))
    return " " + _("其中 %(n)s 户是新账户，请先凭存折或银行卡核对。", n=fresh) if fresh else ""


STEPS: dict[str, Step[PayoutBatch]] = {
    "approve": Step(
        "payout.approve", ("DRAFT",), N_("同意这一批代发？"),
        lambda row: _("%(n)s 笔，共 %(fen)s。同意后，交给银行的文件写好并冻结，一个字也不能再改。", n=row.items, fen=money(row.total_fen)) + _of_new_accounts(row),
        lambda row: _("同意代发 %(fen)s", fen=money(row.total_fen)), N_("已同意，文件已冻结。"),
        lambda number, actor, version, reason: payout_batch.approve(number, actor=actor, version=version),
    ),
    "return": Step(
        "payout.approve", ("DRAFT", "APPROVED"), N_("退回这一批代发？"),
        lambda row: _("退回以后这一批作废，钱留在各户名下，改好后重新做。") + (_("文件已经冻结过：请先确认没有人把它交给银行，否则会付两次。") if row.state == "APPROVED" else ""),
        lambda row: _("退回，作废这一批"), N_("已退回，会计看得到理由。"),
        lambda number, actor, version, reason: payout_batch.approve(number, actor=actor, version=version, approved=False, reason=reason),
        reason=N_("退回的理由"), danger=True,
    ),
    "send": Step(
        "payout.step", ("APPROVED",), N_("银行收下文件了吗？"),
        lambda row: _("记下以后，%(fen)s 就在途中了，等银行给结果。记错了不能撤回。", fen=money(row.total_fen)),
        lambda row: _("已交银行 %(fen)s", fen=money(row.total_fen)), N_("已记下，等银行的结果。"),
        lambda number, actor, version, reason: payout_batch.mark_sent(number, actor=actor, version=version),
    ),
}  # fmt: skip


@bp.get("/<public_id>/step/<step>")
@needs("payout.step")
def ask(public_id: str, step: str) -> Any:
    actor = the_actor()
    row = own(public_id, actor)
    if step == "reissue":
        return _ask_reissue(row, actor)
    return asked_step.ask(row, asked_step.chosen(STEPS, step, actor), _places(row, step), actor)


@bp.post("/<public_id>/step/<step>")
@needs("payout.step")
def take(public_id: str, step: str) -> Any:
    actor = the_actor()
    number = own(public_id, actor).id
    if step == "reissue":
        fresh: PayoutBatch = transaction(lambda: payout_batch.reissue(number, actor=actor))
        flash(_("补发批次 %(number)s 做好了，等理事长审批。", number=fresh.number), "done")
        return redirect(url_for("payout.show", public_id=fresh.public_id), 303)
    chosen = asked_step.chosen(STEPS, step, actor)
    return asked_step.take(number, chosen, actor, again=lambda: own(public_id, actor), places=lambda row: _places(row, step))


@bp.get("/<public_id>/results")
@needs("payout.step")
def results(public_id: str) -> Any:
    return _upload(own(public_id, the_actor()), {}, [])


@bp.post("/<public_id>/results")
@needs("payout.step")
def receive(public_id: str) -> Any:
    actor = the_actor()
    row, sent = own(public_id, actor), request.files.get("file")
    number = row.id
    try:
        if sent is None or not sent.filename:
            raise InvalidInput("file.missing", N_("请选择银行给的回盘文件。"), field="file")
        with sent.stream:  # a large upload lies in a file of its own until it is closed
            content, name = sent.stream.read(payout_answer_lines.LARGEST + 1), sent.filename
        kept = transaction(lambda: payout_results.receive(number, content, name=name, actor=actor))
    except InvalidInput as error:
        return _upload(own(public_id, actor), {"file": said(error)}, error.data.get("errors", [])), 422
    if not kept.lines:
        return redirect(url_for("payout_reading.ask", public_id=public_id, results_id=kept.public_id), 303)
    return redirect(url_for(".preview", public_id=public_id, results_id=kept.public_id), 303)


@bp.get("/<public_id>/results/<results_id>")
@needs("payout.step")
def preview(public_id: str, results_id: str) -> Any:
    """Every line with what it would change, before anything does."""
    actor = the_actor()
    row = own(public_id, actor)
    kept = _results(row, results_id)
    try:
        looked = payout_results.looked_at(kept, SHOWN)
    except (UnknownHeading, UnknownWords):
        return redirect(url_for("payout_reading.ask", public_id=public_id, results_id=results_id), 303)
    houses = {
        house.id: (house.code, masked_name(house.name))
        for house in db.session.scalars(select(Household).where(Household.id.in_({item.household_id for item in (*(line.item for line in looked.lines), *looked.first_missing)})))
    }
    return render_template(
        "payout/preview.html",
        row=row,
        kept=kept,
        lines=looked.lines,
        houses=houses,
        counts=looked.counts,
        total=looked.total,
        missing=looked.missing,
        first_missing=looked.first_missing,
        crumbs=[*_crumbs(row), (_("回盘"), None)],
        **desk(actor),
    )


@bp.post("/<public_id>/results/<results_id>")
@needs("payout.step")
def apply(public_id: str, results_id: str) -> Any:
    actor = the_actor()
    number = _results(own(public_id, actor), results_id).id
    changed = transaction(lambda: payout_results.apply(number, actor=actor))
    flash(_("已记下：%(paid)s 笔到账，%(back)s 笔退回，%(unknown)s 笔银行还没有结果。", paid=changed.paid, back=changed.returned, unknown=changed.unknown), "done")
    return redirect(url_for("payout.show", public_id=public_id), 303)


def _results(row: PayoutBatch, results_id: str) -> PayoutResults:
    return by_public_id(PayoutResults, results_id, select(PayoutResults).where(PayoutResults.batch_id == row.id))


def _places(row: PayoutBatch, step: str) -> Places:
    show = url_for("payout.show", public_id=row.public_id)
    return Places(show, url_for(".take", public_id=row.public_id, step=step), _crumbs(row))


def _ask_reissue(row: PayoutBatch, actor: Actor) -> str:
    actor.must_have("COOPERATIVE", "accountant")
    found = payout_batch.returned(row.id)
    account = "alipay_account" if row.channel == "alipay" else "bank_account"
    return render_template(
        "payout/reissue.html",
        row=row,
        returned=[(item, house, masked_name(house.name), last_four(getattr(house, account))) for item, house in db.session.execute(found.limit(SHOWN))],
        counted=household_credit.counted_again(row, row.channel),
        cap_fen=settings().payout_cap_fen,
        shown=SHOWN,
        accounts_waiting=account_proposal.waiting(actor.organisation_id, found.order_by(None).with_only_columns(Household.id, maintain_column_froms=True)),
        crumbs=[*_crumbs(row), (_("补发"), None)],
        **desk(actor),
    )


def _upload(row: PayoutBatch, errors: dict[str, str], bad_lines: list[str]) -> str:
    row.must_be("SENT", "DONE")
    return render_template(
        "payout/results.html", row=row, errors=errors, bad_lines=bad_lines[:200], more=max(0, len(bad_lines) - 200),
        heading=",".join(RESULT_HEADER), crumbs=[*_crumbs(row), (_("回盘"), None)], **desk(the_actor()),
    )  # fmt: skip


def _crumbs(row: PayoutBatch) -> list[tuple[str, str | None]]:
    return [(_("代发"), url_for("payout.index")), (f"{row.number} · {state_words()[row.state]}", url_for("payout.show", public_id=row.public_id))]
