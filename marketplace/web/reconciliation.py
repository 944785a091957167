"""Reconciliation on pages: each account's control total to the fen, what lies between books and statement, and the differences as tasks.

The cooperative sees and works its own; the operator's staff, auditors among them, see all and change nothing.
"""

from datetime import date, timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import and_, func, select

from marketplace.foundation import clock
from marketplace.foundation.database import by_public_id, db, not_found, transaction
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_, said, text
from marketplace.foundation.language import gettext as _
from marketplace.ledger import account as accounts
from marketplace.ledger.entry import JournalEntry
from marketplace.organisations.actor import Actor, scoped
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import Person
from marketplace.payments import row_decision
from marketplace.payments.bank_statement import BankReceipt
from marketplace.payments.statement_row import SIDES, StatementLink, StatementRow
from marketplace.settlement import difference, pair_undo, reconciliation
from marketplace.settlement.difference import Difference, ReconciledDay
from marketplace.settlement.reconciliation import Item, Position
from marketplace.web.book_words import entry_words
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.receipt_ways import standing_entry, stands
from marketplace.web.shared_desk import desk, money_home, typed_version
from marketplace.web.spreadsheet import download, streamed

bp = Blueprint("reconciliation", __name__, url_prefix="/reconciliation")

permission("money.read", COOPERATIVE="*", OPERATOR="administrator reviewer treasurer auditor")
permission("difference.work", COOPERATIVE="accountant director")
permission("bank.match", COOPERATIVE="accountant")

PAGE = 50
DAYS = 31


def side_words() -> dict[str, str]:
    return {"bank": _("银行"), "alipay": _("支付宝")}


def kind_words() -> dict[str, str]:
    """What a difference is."""
    return {
        "ONLY_OURS": _("只在我们账上"), "ONLY_THEIRS": _("只在对账单上"), "AMOUNT": _("金额不一样"), "MISSING_ROWS": _("流水缺行"), "BEFORE": _("期初不一样"),
    }  # fmt: skip


def row_words(kind: str) -> str:
    """What Alipay calls a movement, or that it is a row of the bank."""
    return {
        "trade": _("收款"), "fee": _("手续费"), "refund": _("退款"), "fee_back": _("手续费退回"), "transfer": _("转账"), "withdrawal": _("提现"),
        "other": _("其他"),
    }.get(kind, _("流水"))  # fmt: skip


@bp.get("")
@needs("money.read")
def index() -> Any:
    """How each account stood when it was reconciled last."""
    actor = the_actor()
    last = select(ReconciledDay.organisation_id, ReconciledDay.side, func.max(ReconciledDay.day).label("day")).group_by(ReconciledDay.organisation_id, ReconciledDay.side).subquery()
    query = (
        select(ReconciledDay, Organisation)
        .join(last, and_(last.c.organisation_id == ReconciledDay.organisation_id, last.c.side == ReconciledDay.side, last.c.day == ReconciledDay.day))
        .join(Organisation, Organisation.id == ReconciledDay.organisation_id)
        .order_by(Organisation.code, ReconciledDay.side.desc())
    )
    count = select(Difference.organisation_id, Difference.side, func.count()).where(Difference.state == "OPEN")
    if not actor.is_operator:
        query = query.where(ReconciledDay.organisation_id == actor.organisation_id)
        count = count.where(Difference.organisation_id == actor.organisation_id)
    if "export" in request.args:
        open_ones = {(row[0], row[1]): row[2] for row in db.session.execute(count.group_by(Difference.organisation_id, Difference.side))}
        columns = [
            (_("合作社"), "text"), (_("账户"), "text"), (_("对到哪天"), "day"), (_("账上"), "fen"), (_("对账单"), "fen"), (_("列出的各项"), "whole"), (_("待说明"), "whole"),
        ]  # fmt: skip
        lines = (
            (text(owner, "name"), side_words()[row.side], row.day, row.ours_fen, row.theirs_fen, row.items, open_ones.get((owner.id, row.side), 0))
            for row, owner in streamed(query)
        )
        return download(_("对账"), columns, lines)
    after = request.args.get("after", "")[:40]
    if after:
        query = query.where(Organisation.code > after)
    rows = db.session.execute(query.limit(PAGE + 2)).all()
    open_ones = {(row[0], row[1]): row[2] for row in db.session.execute(count.group_by(Difference.organisation_id, Difference.side))}
    more = len(rows) > PAGE
    # A page ends between two cooperatives.
    shown = [each for each in rows[:PAGE] if not more or each[1].id != rows[PAGE][1].id]
    return render_template(
        "bank/reconciliation.html", rows=[(row, owner, open_ones.get((row.organisation_id, row.side), 0)) for row, owner in shown], sides=side_words(),
        open_total=sum(open_ones.values()), next_url=url_for(".index", after=shown[-1][1].code) if more and shown else None,
        crumbs=[*_begin(actor), (_("对账"), None)], **desk(actor),
    )  # fmt: skip


@bp.get("/of/<public_id>/<side>")
@needs("money.read")
def account(public_id: str, side: str) -> Any:
    """One account at the end of a day: the control total, every item of it, and the days of the month before."""
    actor = the_actor()
    owner, where = _where(public_id, side, actor)
    known = _explained(where)
    here: dict[str, Any] = {"public_id": public_id, "side": side}
    if request.args.get("export") == "1":
        return _exported(owner, where, known)
    since = where.on - timedelta(days=DAYS)
    days = (
        select(ReconciledDay)
        .where(ReconciledDay.organisation_id == owner.id, ReconciledDay.side == side, ReconciledDay.day > since, ReconciledDay.day <= where.on)
        .order_by(ReconciledDay.day.desc())
        .limit(DAYS)
    )
    if "export" in request.args:
        columns = [(_("日期"), "day"), (_("账上余额"), "fen"), (_("对账单余额"), "fen"), (_("列出的各项"), "whole"), (_("差异"), "whole"), (_("对账时间"), "moment")]
        lines = [(row.day, row.ours_fen, row.theirs_fen, row.items, row.differences, row.reconciled_at) for row in db.session.scalars(days)]
        return download(f"{text(owner, 'name')} {side_words()[side]} {_('前一个月')}", columns, lines)
    return render_template(
        "bank/account.html", owner=owner, where=where, side=side, sides=side_words(), kinds=kind_words(),
        items=[(item, _what(item), known.get(_subject(item))) for item in where.items], listed_fen=sum(item.effect_fen for item in where.items),
        days=list(db.session.scalars(days)), month_url=url_for(".account", **here, day=where.on.isoformat(), export="month"),
        export_url=url_for(".account", **here, day=where.on.isoformat(), export=1), here=here,
        crumbs=[*_begin(actor), (_("对账"), url_for(".index")), (f"{text(owner, 'name')} {side_words()[side]}", None)], **desk(actor),
    )  # fmt: skip


@bp.get("/differences")
@needs("money.read")
def differences() -> Any:
    """The tasks: open ones, the oldest first, or those that were explained or went by themselves."""
    actor, state = the_actor(), request.args.get("state", "OPEN")
    if state not in difference.STATES:
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="state")
    query = (
        select(Difference, Organisation, Person.name_zh)
        .join(Organisation, Organisation.id == Difference.organisation_id)
        .outerjoin(Person, Person.id == Difference.owner_id)
        .where(Difference.state == state)
        .order_by(Difference.id)
    )
    if not actor.is_operator:
        query = query.where(Difference.organisation_id == actor.organisation_id)
    if "export" in request.args:
        columns = [
            (_("发现"), "moment"), (_("合作社"), "text"), (_("账户"), "text"), (_("日期"), "day"), (_("差在哪里"), "text"), (_("号码"), "text"), (_("账多出"), "fen"),
            (_("谁在办"), "text"), (_("说明"), "text"),
        ]  # fmt: skip
        lines = (
            (row.found_at, text(owner, "name"), side_words()[row.side], row.day, kind_words()[row.kind], row.number, row.fen, who, row.explanation)
            for row, owner, who in streamed(query)
        )
        return download(_("对账差异"), columns, lines)
    after = request.args.get("after", "")
    if after:
        query = query.where(Difference.id > _own(after).id)
    rows = db.session.execute(query.limit(PAGE + 1)).all()
    words = {"OPEN": _("待说明"), "EXPLAINED": _("已说明"), "GONE": _("自己对上了")}
    return render_template(
        "bank/differences.html", rows=rows[:PAGE], state=state, sides=side_words(), kinds=kind_words(),
        chips=[(words[each], url_for(".differences", state=each), each == state) for each in difference.STATES],
        next_url=url_for(".differences", state=state, after=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        export_url=url_for(".differences", state=state, export=1), crumbs=[*_begin(actor), (_("对账"), url_for(".index")), (_("差异"), None)], **desk(actor),
    )  # fmt: skip


@bp.get("/differences/<public_id>")
@needs("money.read")
def show(public_id: str) -> Any:
    return _show(_own(public_id), {})


@bp.post("/differences/<public_id>")
@needs("difference.work")
def work(public_id: str) -> Any:
    """Take it on, explain it, pair it with its other half, or say what the row is (which a director agrees to)."""
    actor, form, row = the_actor(), request.form, _own(public_id)
    number, row_id, version, step = row.id, row.row_id, typed_version(), form.get("step", "")
    steps = {
        "own": lambda: difference.own(number, actor=actor),
        "explain": lambda: difference.explain(number, form.get("explanation", ""), version=version, actor=actor),
        "pair": lambda: difference.pair(number, _own(form.get("other", "")).id, version=version, actor=actor),
        "say": lambda: row_decision.propose(
            row_id or 0, form.get("kind", ""), form.get("why", ""), receipt_id=_taken_back(form.get("receipt", "")), entry_id=_standing(form), actor=actor
        ),
        "apart": lambda: pair_undo.undo(_paired(row, form.get("link", "")), form.get("apart", ""), actor=actor),
    }  # fmt: skip
    if step not in steps:
        raise InvalidInput("decision.bad", N_("这一页不完整，请刷新后再试。"), field="step")
    try:
        transaction(steps[step])
    except (InvalidInput, Conflict) as error:
        db.session.rollback()
        field = {"reason.missing": "apart" if step == "apart" else "why", "pair.decided": "apart", "pair.debit": "pair", "entry.amount": "entry", "difference.explanation": "explanation", "decision.kind": str(error.data.get("field", "kind")), "receipt.amount": "receipt"}.get(error.code, step)
        return _show(_own(public_id), {field: said(error)}), 409 if isinstance(error, Conflict) else 422
    done = {"own": _("您在办这一项。"), "explain": _("已记下说明。"), "pair": _("对到一起了。"), "say": _("已经交给理事长。同意之前，账不变。"), "apart": _("拆开了，两边都要再说明。")}
    flash(done[step], "done")
    return redirect(url_for(".show", public_id=public_id) if step in ("own", "say") else url_for(".differences"), 303)


def _begin(actor: Actor) -> list[tuple[str, str]]:
    return [(_("钱") if not actor.is_operator else _("今天"), money_home(actor))]


def _own(public_id: str) -> Difference:
    row: Difference = by_public_id(Difference, public_id, scoped(the_actor(), Difference))
    return row


def _taken_back(public_id: str) -> int | None:
    if not public_id:
        return None
    row: BankReceipt = by_public_id(BankReceipt, public_id, scoped(the_actor(), BankReceipt))
    return row.id


def _standing(form: Any) -> int | None:
    return standing_entry(form.get("entry", "")) if form.get("kind") == "STANDS" else None


def _paired(row: Difference, typed: str) -> int:
    """The pairing of this row or entry that a form names."""
    its = {_known_as(each): each.id for each in pair_undo.paired(row.organisation_id, row_id=row.row_id, entry_id=row.entry_id)}
    if typed not in its:
        raise not_found(StatementLink)
    return its[typed]


def _known_as(link: StatementLink) -> str:
    return f"{db.session.get_one(StatementRow, link.row_id).public_id}-{link.entry_id}"


def _where(public_id: str, side: str, actor: Actor) -> tuple[Organisation, Position]:
    owner = by_public_id(Organisation, public_id)
    if side not in SIDES or (not actor.is_operator and owner.id != actor.organisation_id) or owner.kind != "COOPERATIVE":
        raise not_found(Organisation)
    typed = request.args.get("day", "")
    try:
        day = date.fromisoformat(typed) if typed else None
    except ValueError:
        raise InvalidInput("view.bad", N_("日期请写成 2026-11-25 这样。"), field="day") from None
    if day is not None and not date(2000, 1, 1) <= day <= clock.business_date():
        raise InvalidInput("view.bad", N_("还没到那一天。"), field="day")
    return owner, reconciliation.position(owner.id, side, day)


def _subject(item: Item) -> str:
    return f"entry:{item.entry_id}" if item.is_ours else f"row:{item.row_id}"


def _what(item: Item) -> str:
    return entry_words(item.what) if item.is_ours else row_words(item.what)


def _explained(where: Position) -> dict[str, Difference]:
    query = select(Difference).where(Difference.organisation_id == where.organisation_id, Difference.side == where.side, Difference.state != "GONE")
    return {row.subject: row for row in db.session.scalars(query)}


def _exported(owner: Organisation, where: Position, known: dict[str, Difference]) -> Any:
    words, columns = kind_words(), [(_("项目"), "text"), (_("日期"), "day"), (_("号码"), "text"), (_("金额"), "fen"), (_("说明"), "text")]
    lines: list[tuple[Any, ...]] = [(_("对账单余额"), where.on, "", where.theirs_fen, "")] if where.theirs_fen is not None else []
    for what, fen, subject in ((_("期初不一样"), where.before_fen, "before"), (_("流水缺行"), -where.missing_fen, "missing")):
        if fen:
            lines.append((what, where.on, "", fen, known[subject].explanation if subject in known else ""))
    for item in where.items:
        task = known.get(_subject(item))
        note = task.explanation if task else _("另一边晚一天") if item.timing or item.young else ""
        lines.append((f"{words[item.kind]} {_what(item)}", item.day, item.number, item.effect_fen, note))
    lines.append((_("账上余额"), where.on, "", where.ours_fen, ""))
    return download(f"{text(owner, 'name')} {side_words()[where.side]} {where.on}", columns, lines)


def _show(row: Difference, errors: dict[str, str]) -> str:
    actor = the_actor()
    owner = db.session.get_one(Organisation, row.organisation_id)
    its_row = db.session.get(StatementRow, row.row_id) if row.row_id else None
    entry = db.session.get(JournalEntry, row.entry_id) if row.entry_id else None
    works = row.state == "OPEN" and not actor.is_operator and actor.has("accountant", "director")
    debit = its_row is not None and its_row.side == "bank" and row.fen > 0
    # What went out: whoever transfers does not say alone that it was right.
    out = row.fen > 0 if its_row is not None else row.fen < 0
    partners = difference.partners(row) if works and actor.has("accountant") and (row.row_id or row.entry_id) else []
    takes_back = row_decision.originals(its_row) if works and debit and its_row else []
    return render_template(
        "bank/difference.html", row=row, owner=owner, its_row=its_row, entry=entry, entry_word=entry_words(entry.kind) if entry else "",
        row_word=row_words(its_row.kind) if its_row else "", sides=side_words(), kinds=kind_words(), works=works, errors=errors, values=request.form,
        partners=partners if not out else [], debits=partners if out and entry else [],
        takes_back=takes_back, debit=debit,
        suggested=row_decision.suggested(row.organisation_id, its_row) if its_row and its_row.side == "bank" else "STANDS",
        takes_cards=accounts.existing("stripe", row.organisation_id),
        stands=stands(row.organisation_id, -row.fen, row.side) if works and its_row is not None and (its_row.side == "bank" or out) else [],
        paired=[
            (each, _known_as(each), db.session.get_one(StatementRow, each.row_id), db.session.get(Person, each.linked_by_id))
            for each in pair_undo.paired(row.organisation_id, row_id=row.row_id, entry_id=row.entry_id)
        ],
        undone=[(each, db.session.get_one(StatementRow, each.row_id), db.session.get(Person, each.undone_by_id)) for each in pair_undo.undone(row.row_id, row.entry_id)],
        owns=not actor.is_operator, anothers=works and difference.is_anothers(row, actor), may_part=not actor.is_operator and actor.has("accountant"),
        person=db.session.get(Person, row.owner_id) if row.owner_id else None,
        crumbs=[*_begin(actor), (_("对账"), url_for(".index")), (_("差异"), url_for(".differences")), (row.day.isoformat(), None)], **desk(actor),
    )  # fmt: skip
