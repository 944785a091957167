"""The steps of a payout batch, each a page that asks first."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for

from marketplace.errands import errand
from marketplace.foundation.config import settings
from marketplace.foundation.crypto import last_four, masked_name
from marketplace.foundation.database import db, transaction
from marketplace.foundation.language import N_
from marketplace.foundation.language import gettext as _
from marketplace.households import account_proposal
from marketplace.households.alipay_account import ALIPAY, tail
from marketplace.households.household import Household
from marketplace.organisations.actor import Actor
from marketplace.payments import withdrawal
from marketplace.settlement import (
    household_credit,
    payout_batch,
    payout_errand,
    payout_recall,
)
from marketplace.settlement.payout_account import new_accounts
from marketplace.settlement.payout_item import PayoutBatch
from marketplace.web import asked_step
from marketplace.web.asked_step import Places, Step
from marketplace.web.errand import Wanted, handed_over
from marketplace.web.payout import columns_said, own
from marketplace.web.payout_words import channel_words, state_words
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shared_desk import desk, names_of
from marketplace.web.shown import moment, money

bp = Blueprint("payout_step", __name__, url_prefix="/payouts")

permission("payout.step", COOPERATIVE="accountant director")
permission("payout.make", COOPERATIVE="accountant")
permission("payout.approve", COOPERATIVE="director")

SHOWN = 500  # payments that would be issued again, by name; their number is always of all


def _of_new_accounts(row: PayoutBatch) -> str:
    fresh = len(new_accounts(row))
    return " " + _("其中 %(n)s 户是新账户，请先凭存折或银行卡核对。", n=fresh) if fresh else ""


def _what_is_frozen(row: PayoutBatch) -> str:
    if row.channel == "alipay":
        return _("%(n)s 笔，共 %(fen)s，走支付宝。同意后，每一笔的单号、金额、账号和姓名都冻结，一个字也不能再改。", n=row.items, fen=money(row.total_fen))
    frozen = _("%(n)s 笔，共 %(fen)s。同意后，交给银行的文件写好并冻结，一个字也不能再改。", n=row.items, fen=money(row.total_fen))
    return frozen + " " + _("文件里依次是：%(columns)s。", columns=_("、").join(columns_said(row)))


def _of_handed_out(row: PayoutBatch) -> str:
    """What the director must know of a file that is out: who says that the bank never got it, or that nobody does."""
    if row.state != "APPROVED" or row.channel != "bank":
        return ""
    since = payout_recall.handed_out(row)
    if since is None:
        return _("文件已经冻结过：请先确认没有人把它交给银行，否则会付两次。")
    said = payout_recall.of_batch(row.id)
    if said is None:
        return _("文件 %(at)s 被取走过：要先由一个人写明怎么知道银行没有收到，否则不能退回。", at=moment(since))
    return _("文件 %(at)s 被取走过。%(who)s说银行没有收到：%(reason)s。请再核对一次，弄错了会付两次。", at=moment(since), who=names_of([said.said_by_id])[said.said_by_id], reason=said.reason)


def _of_balance(row: PayoutBatch) -> str:
    """What the books say lies in Alipay, where that is less than what is left to send."""
    left = withdrawal.available(row.organisation_id) - (row.total_fen if row.state == "APPROVED" else 0)
    return " " + _("按账面，支付宝余额还差 %(fen)s。", fen=money(-left)) if left < 0 else ""


STEPS: dict[str, Step[PayoutBatch]] = {
    "approve": Step(
        "payout.approve", ("DRAFT",), N_("同意这一批代发？"),
        lambda row: _what_is_frozen(row) + _of_new_accounts(row),
        lambda row: _("同意代发 %(fen)s", fen=money(row.total_fen)), N_("已同意，内容已冻结。"),
        lambda number, actor, version, reason: payout_batch.approve(number, actor=actor, version=version), errand="payout.approve",
    ),
    "return": Step(
        "payout.approve", ("DRAFT", "APPROVED"), N_("退回这一批代发？"),
        lambda row: _("退回以后这一批作废，钱留在各户名下，改好后重新做。") + _of_handed_out(row),
        lambda row: _("退回，作废这一批"), N_("已退回，会计看得到理由。"),
        lambda number, actor, version, reason: payout_batch.approve(number, actor=actor, version=version, approved=False, reason=reason),
        reason=N_("退回的理由"), danger=True,
    ),
    "recall": Step(
        "payout.step", ("APPROVED",), N_("银行没有收到这份文件？"),
        lambda row: _("文件被取走过，才要写这一条。请先到网银和柜面查过，再写怎么知道的；另一个人（理事长）看过以后，才能退回这一批。银行已经收下的，不要在这里写。"),
        lambda row: _("记下：银行没有收到"), N_("已记下，等理事长退回这一批。"),
        lambda number, actor, version, reason: payout_batch.recall(number, reason, actor=actor, version=version),
        reason=N_("怎么知道的"), danger=True,
    ),
    "send": Step(
        "payout.step", ("APPROVED",), N_("银行收下文件了吗？"),
        lambda row: _("记下以后，%(fen)s 就在途中了，等银行给结果。记错了不能撤回。", fen=money(row.total_fen)),
        lambda row: _("已交银行 %(fen)s", fen=money(row.total_fen)), N_("已记下，等银行的结果。"),
        lambda number, actor, version, reason: payout_batch.mark_sent(number, actor=actor, version=version), errand="payout.send",
    ),
    "withdraw": Step(
        "payout.make", ("DRAFT",), N_("撤回这一批代发？"),
        lambda row: _("撤回以后这一批作废，钱留在各户名下，可以重新做，也可以换一种方式发。"),
        lambda row: _("撤回这一批"), N_("已撤回，钱留在各户名下。"),
        lambda number, actor, version, reason: payout_batch.withdraw(number, actor=actor, version=version),
        danger=True,
    ),
    "start": Step(
        "payout.step", ("APPROVED",), N_("现在开始转账？"),
        lambda row: _("系统用合作社的支付宝，一户一笔转出去，%(n)s 笔共 %(fen)s，几分钟办完。开始以后不能撤回；余额不够会停下来告诉您，已经转的不受影响。", n=row.items, fen=money(row.total_fen)) + _of_balance(row),
        lambda row: _("开始转账 %(fen)s", fen=money(row.total_fen)), N_("已开始，系统一笔一笔在转。"),
        lambda number, actor, version, reason: payout_batch.start(number, actor=actor, version=version), errand="payout.start",
    ),
    "go-on": Step(
        "payout.step", ("SENT",), N_("接着转这一批？"),
        lambda row: _("请先确认支付宝余额补足了。没有转成的接着转，已经转成的不会再转。") + _of_balance(row),
        lambda row: _("接着转账"), N_("已接着转，没有转成的正在转。"),
        lambda number, actor, version, reason: payout_batch.go_on(number, actor=actor, version=version), errand="payout.go-on",
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
    row = own(public_id, actor)
    number = row.id
    if step == "reissue":
        channel, subject = request.form.get("channel", ""), payout_errand.of(number)
        if errand.takes_long(payments := payout_errand.returned(row)):
            household_credit.must_be_channel(channel or row.channel)
            path, given = url_for("payout.show", public_id=public_id), {"id": number, "channel": channel}
            return handed_over(Wanted("payout.reissue", subject, row.organisation_id, row.number, payments, path, given), actor)
        errand.must_be_free(subject)
        fresh: PayoutBatch = transaction(lambda: payout_batch.reissue(number, actor=actor, channel=channel))
        flash(_("补发批次 %(number)s 做好了，等理事长审批。", number=fresh.number), "done")
        return redirect(url_for("payout.show", public_id=fresh.public_id), 303)
    chosen = asked_step.chosen(STEPS, step, actor)
    return asked_step.take(number, chosen, actor, again=lambda: own(public_id, actor), places=lambda row: _places(row, step))


def _places(row: PayoutBatch, step: str) -> Places:
    show = url_for("payout.show", public_id=row.public_id)
    post = url_for(".take", public_id=row.public_id, step=step)
    return Places(show, post, crumbs_of(row), payout_errand.of(row.id), row.number, lambda: row.items)


def _ask_reissue(row: PayoutBatch, actor: Actor) -> str:
    actor.must_have("COOPERATIVE", "accountant")
    errand.must_be_free(payout_errand.of(row.id))
    channel = request.args.get("channel", row.channel)
    household_credit.must_be_channel(channel)
    found = payout_batch.returned(row.id)
    return render_template(
        "payout/reissue.html",
        row=row,
        channel=channel,
        channels=channel_words(),
        returned=[(item, house, masked_name(house.name), *_account_now(house, channel)) for item, house in db.session.execute(found.limit(SHOWN))],
        counted=household_credit.counted_again(row, channel),
        cap_fen=settings().payout_cap_fen,
        shown=SHOWN,
        accounts_waiting=account_proposal.waiting(actor.organisation_id, found.order_by(None).with_only_columns(Household.id, maintain_column_froms=True)),
        crumbs=[*crumbs_of(row), (_("补发"), None)],
        **desk(actor),
    )


def _account_now(house: Household, channel: str) -> tuple[str, str]:
    """The bank and the last four of the account that a household has on the channel now; empty if it has none."""
    if channel == "alipay":
        return ALIPAY, tail(house.alipay_account) if house.alipay_name_sealed else ""
    return house.bank_name, last_four(house.bank_account)


def crumbs_of(row: PayoutBatch) -> list[tuple[str, str | None]]:
    return [(_("代发"), url_for("payout.index")), (f"{row.number} · {state_words()[row.channel][row.state]}", url_for("payout.show", public_id=row.public_id))]
