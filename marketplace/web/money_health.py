"""Money health, for the county office: what is unknown, unmatched, waiting or different, with the oldest age of each; and the books."""

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.errands.errand import Errand
from marketplace.foundation import clock
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput, NotFound
from marketplace.foundation.language import N_, said, text
from marketplace.foundation.language import gettext as _
from marketplace.foundation.outbox import OutboxMessage
from marketplace.organisations.organisation import Organisation
from marketplace.payments import bill_day, certificate_end, lacking_permission, refused_notice, stripe_look
from marketplace.payments.bill_day import MissingBill
from marketplace.payments.bill_difference import BillDifference
from marketplace.payments.certificate_end import CertificateEnd
from marketplace.payments.channel_key import ChannelKey
from marketplace.payments.lacking_permission import OTHER, WAITS, LackingPermission
from marketplace.payments.notice_inbox import AlipayNotice
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund
from marketplace.payments.transfer import Transfer
from marketplace.payments.transfer_ending import TransferEnding
from marketplace.reporting import books, money_health
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from marketplace.settlement.payout_found import PayoutFound
from marketplace.settlement.payout_reversal import PayoutReversal
from marketplace.web import payment_words
from marketplace.web.operator_desk import desk
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shown import day, moment
from marketplace.web.spreadsheet import download

bp = Blueprint("money_health", __name__, url_prefix="/operator/money")

permission("operator.read", OPERATOR="administrator reviewer treasurer auditor")
permission("notice.handle", OPERATOR="treasurer")
permission("bill.fetch", OPERATOR="administrator treasurer")

PAGE = 50


@bp.get("")
@needs("operator.read")
def show() -> Any:
    found = sorted(money_health.standing(), key=lambda each: (not each.count, money_health.NAMES.index(each.name)))
    if "export" in request.args:
        columns = [(_("事项"), "text"), (_("件数"), "whole"), (_("金额"), "fen"), (_("最久的"), "moment")]
        lines = [(_(payment_words.TROUBLES[each.name][0]), each.count, each.fen, each.oldest) for each in found]
        return download(f"{_('资金健康')} {clock.business_date()}", columns, lines)
    return render_template(
        "payment/health.html",
        found=found,
        first=next((each for each in found if each.count), None),
        words=payment_words.TROUBLES,
        below=_below(),
        certificates=_certificates(kept=any(each.count for each in found if each.name == "certificates")),
        alarms=money_health.alarms(found),
        findings=books.check() if "books" in request.args else None,
        **desk(the_actor()),
    )


def _below() -> list[tuple[str, str, int]]:
    """Accounts below zero: whose, which, and by how much."""
    found = money_health.below_zero()
    owners = {each.id: each for each in db.session.scalars(select(Organisation).where(Organisation.id.in_([book for book, _kind, _fen in found])))} if found else {}
    return [(text(owners[book], "name"), _(payment_words.ACCOUNTS[kind]), fen) for book, kind, fen in found]


def _certificates(*, kept: bool) -> list[tuple[str, CertificateEnd]]:
    """Certificates that end soon or have ended, each with whose it is; ``kept``: some of them are kept with keys."""
    ends = certificate_end.near(kept=kept)
    owners = {each.organisation_id for each in ends} - {None}
    named = {each.id: text(each, "name") for each in db.session.scalars(select(Organisation).where(Organisation.id.in_(owners)))} if owners else {}
    return [(named.get(each.organisation_id or 0) or _("平台"), each) for each in ends]


@bp.post("/notices/<public_id>")
@needs("notice.handle")
def handle(public_id: str) -> Any:
    """A refused notice was looked into."""
    handling, actor = request.form.get("handling", ""), the_actor()
    try:
        transaction(lambda: refused_notice.handle(public_id, handling, actor=actor))
        flash(_("已记下，这条通知不再列在这里。"), "done")
    except InvalidInput as error:
        flash(said(error), "bad")
    return redirect(url_for(".rows", name="notices"), 303)


@bp.get("/<name>")
@needs("operator.read")
def rows(name: str) -> Any:
    if name not in money_health.NAMES:
        raise NotFound("queue.missing", N_("没有这样的队列。"))
    after = request.args.get("after", "0")
    if not (after.isascii() and after.isdigit() and len(after) < 16):
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="after")
    label, about, nothing = payment_words.TROUBLES[name]
    if "export" in request.args:
        columns = [(_("号码"), "text"), (_("单位或合作社"), "text"), (_("金额"), "fen"), (_("从什么时候"), "moment"), (_("说明"), "text")]
        return download(_(label), columns, _all_rows(name))
    found = money_health.rows(name, after_id=int(after), limit=PAGE + 1)
    return render_template(
        "payment/health_rows.html",
        rows=[
            (row.public_id if name in ("notices", "disputes") else "", _fetched_by(row), number, fen, since, owner, address, _detail(row))
            for (row, number, fen, since), owner, address in _named(found[:PAGE])
        ],
        label=_(label),
        about=_(about),
        nothing=_(nothing),
        next_url=url_for(".rows", name=name, after=found[PAGE - 1][0].id) if len(found) > PAGE else None,
        export_url=url_for(".rows", name=name, export=1),
        crumbs=[(_("资金健康"), url_for(".show")), (_(label), None)],
        **desk(the_actor()),
    )


@bp.post("/bills/<public_id>/fetch")
@needs("bill.fetch")
def fetch(public_id: str) -> Any:
    """A day's bills, now: a worker fetches them within seconds."""
    actor, row = the_actor(), by_public_id(MissingBill, public_id)
    organisation_id, day = row.organisation_id, row.day
    transaction(lambda: bill_day.ask_for(organisation_id, [day], actor=actor))
    flash(_("已经让系统去取 %(day)s 的账单，几秒钟后再看。", day=f"{day:%Y-%m-%d}"), "done")
    return redirect(url_for(".rows", name="bills"), 303)


def _all_rows(name: str) -> Iterator[tuple[Any, ...]]:
    """For a sheet, page after page."""
    after = 0
    while found := money_health.rows(name, after_id=after, limit=PAGE):
        for (row, number, fen, since), owner, _address in _named(found):
            yield number, text(owner, "name") if owner else "", fen, since, _detail(row)
        after = found[-1][0].id


def _detail(row: Any) -> str:
    """What the number alone does not tell: of a notice what does not fit, of a bill which one and why it did not come."""
    if isinstance(row, AlipayNotice):
        field = row.outcome.partition(":")[2]
        why = _(payment_words.UNFIT[field]) if field in payment_words.UNFIT else field
        return _("%(at)s 收到", at=moment(row.received_at)) + (f" · {why}" if why else "")
    if isinstance(row, MissingBill):
        why = _(payment_words.UNFETCHED[row.reason]) if row.reason in payment_words.UNFETCHED else row.reason
        return f"{_(payment_words.BILLS[row.kind])}{' · ' if why else ''}{why}"
    if isinstance(row, BillDifference):
        return " · ".join(each for each in (_(payment_words.DIFFERENCES[row.kind]), row.said) if each)
    if isinstance(row, LackingPermission):
        return f"{row.account} · {_(WAITS.get(row.kind, OTHER))} · {_('在 Stripe 后台把 %(what)s 设成 %(access)s', **_in_console(row))}"
    if isinstance(row, ChannelKey) and row.wrong_code in payment_words.WRONG_KEY:
        return _(payment_words.WRONG_KEY[row.wrong_code])
    if isinstance(row, ChannelKey) and row.expires_at is not None:
        return _("%(day)s 已经过期，现在用不了", day=day(row.expires_at)) if row.expires_at <= clock.now() else _("%(day)s 到期，请在那之前换好", day=day(row.expires_at))
    if isinstance(row, OutboxMessage) and row.kind == stripe_look.AGAIN:
        code = (row.last_error or "").split(": ")[1:2]
        return _(payment_words.UNLOOKED[code[0]]) if code and code[0] in payment_words.UNLOOKED else ""
    return ""


def _in_console(row: LackingPermission) -> dict[str, str]:
    return dict(zip(("what", "access"), lacking_permission.in_console(row.permission), strict=True))


def _fetched_by(row: Any) -> str:
    """Where a missing bill is fetched by the one who looks; empty for anything else."""
    may = isinstance(row, MissingBill) and the_actor().has("administrator", "treasurer")
    return url_for(".fetch", public_id=row.public_id) if may else ""


def _named(found: Any) -> list[tuple[Any, Organisation | None, str | None]]:
    """Each row with whose it is, and the address of the payment's or payout's story, in a few statements."""
    owners = {money_health.owner_of(each[0]) for each in found} - {None}
    named: dict[Any, Organisation] = {each.id: each for each in db.session.scalars(select(Organisation).where(Organisation.id.in_(owners)))}
    of_refunds = {each[0].payment_id for each in found if isinstance(each[0], Refund)}
    numbers = {each[0].out_trade_no for each in found if hasattr(each[0], "out_trade_no")}
    query = select(Payment.id, Payment.out_trade_no, Payment.public_id).where(Payment.id.in_(of_refunds) | Payment.out_trade_no.in_(numbers))
    addresses: dict[Any, str] = {}
    for row in db.session.execute(query):
        addresses[row[0]] = addresses[row[1]] = url_for("payments.show_to_operator", public_id=row[2])
    if others := numbers - set(addresses):  # an event of a refund names that
        of_refund = select(Refund.out_request_no, Payment.public_id).join(Payment, Payment.id == Refund.payment_id).where(Refund.out_request_no.in_(others))
        addresses.update((number, url_for("payments.show_to_operator", public_id=public_id)) for number, public_id in db.session.execute(of_refund))
    endings = [row.transfer_id for row, *_rest in found if isinstance(row, TransferEnding)]
    ended = dict(db.session.execute(select(Transfer.id, Transfer.payable_id).where(Transfer.id.in_(endings))).all()) if endings else {}

    def item_of(row: Any) -> int | None:
        match row:
            case PayoutItem():
                return int(row.id)
            case PayoutReversal() | PayoutFound():
                return row.item_id
            case Transfer():
                return row.payable_id
            case TransferEnding():
                return ended.get(row.transfer_id)
        return None

    of_items = {number for row, *_rest in found if (number := item_of(row))}
    items = dict(db.session.execute(select(PayoutItem.id, PayoutItem.public_id).where(PayoutItem.id.in_(of_items))).all()) if of_items else {}

    def address(row: Any) -> str | None:
        if number := item_of(row):
            return url_for("payout_item.show", public_id=items[number]) if number in items else None
        if isinstance(row, PayoutBatch):
            return url_for("payout.show", public_id=row.public_id)
        if isinstance(row, Errand):
            return url_for("errand.show", public_id=row.public_id)
        return addresses.get(row.payment_id if isinstance(row, Refund) else getattr(row, "out_trade_no", None))

    return [(each, named.get(money_health.owner_of(each[0])), address(each[0])) for each in found]
