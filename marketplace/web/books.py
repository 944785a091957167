"""The books on screen: trial balance at any day, accounts, entries and their story, months and their closing.

A cooperative reads its own book; the county's auditor, treasurer and administrator read all. Nothing here changes anything
but closing a month, which is the treasurer's.
"""

from datetime import date
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db, not_found, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.language import gettext as _
from marketplace.ledger import account, balance
from marketplace.ledger.account import Account
from marketplace.ledger.entry import JournalEntry
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Organisation
from marketplace.reporting import books_reading, close_waits, entry_cause
from marketplace.settlement import period_close
from marketplace.settlement.period_close import Checklist
from marketplace.web import cause_links
from marketplace.web.book_words import class_words, entry_words, kind_words
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shared_desk import desk
from marketplace.web.spreadsheet import download, streamed

bp = Blueprint("books", __name__, url_prefix="/books")

permission("books.read", OPERATOR="administrator treasurer auditor", COOPERATIVE="director accountant")
permission("books.close", OPERATOR="administrator treasurer")
permission("books.journal", OPERATOR="administrator treasurer auditor")  # of all books

PAGE = 50
MOST_LINES = 200  # of an entry on its page; a distribution has as many as households


@bp.get("")
@needs("books.read")
def index() -> Any:
    """The trial balance."""
    book, on = asked_book(), asked_day("on") or clock.business_date()
    rows = books_reading.trial_balance(on, book)
    if "export" in request.args:
        columns = [(_("类别"), "text"), (_("科目"), "text"), (_("户数"), "whole"), (_("借方发生"), "fen"), (_("贷方发生"), "fen"), (_("借方余额"), "fen"), (_("贷方余额"), "fen")]
        lines = [
            (class_words()[account.class_of(row.kind)], kind_words()[row.kind], row.accounts, row.debit_fen, row.credit_fen, max(row.fen, 0), max(-row.fen, 0))
            for row in rows
        ]
        return download(f"{_('科目余额表')} {on}", columns, lines)
    return render_template(
        "books/trial_balance.html", rows=rows, on=on, total=sum(max(row.fen, 0) for row in rows), **shown_books(book)
    )


@bp.get("/accounts")
@needs("books.read")
def accounts() -> Any:
    """Accounts and what they hold now."""
    book, kind = asked_book(), _kind()
    query = balance.each().order_by(Account.id)
    if book is not None:
        query = query.where(Account.book == book)
    if kind:
        query = query.where(Account.kind == kind)
    if "export" in request.args:
        columns, words = [(_("账户"), "text"), (_("科目"), "text"), (_("余额"), "fen")], kind_words()
        return download(_("账户"), columns, ((row.code, words[row.kind], account.natural(row.kind, int(fen))) for row, fen in streamed(query)))
    if (last := after_number()) is not None:
        query = query.where(Account.id > last)
    found = db.session.execute(query.limit(PAGE + 1)).all()
    return render_template(
        "books/accounts.html",
        rows=[(row, account.natural(row.kind, int(fen))) for row, fen in found[:PAGE]],
        kind=kind,
        next_url=url_for(".accounts", book=request.args.get("book"), kind=kind or None, after=found[PAGE - 1][0].id) if len(found) > PAGE else None,
        **shown_books(book),
    )


@bp.get("/entries")
@needs("books.read")
def entries() -> Any:
    """Entries, the newest first, filtered."""
    book, kind = asked_book(), _kind("account_kind")
    asked = {name: request.args.get(name, "").strip()[:60] for name in ("kind", "account", "period", "since", "until")}
    number = int(asked["account"]) if asked["account"].isascii() and asked["account"].isdigit() and len(asked["account"]) < 19 else None
    if asked["account"] and number is None:
        raise InvalidInput("account.bad", N_("没有这样的账户。"), field="account")
    query = books_reading.entries(
        book=book, kind=asked["kind"], account_id=number, account_kind=kind, period=asked["period"],
        since=asked_day("since"), until=asked_day("until"),
    )
    if "export" in request.args:
        columns = [(_("凭证号"), "whole"), (_("月份"), "text"), (_("记账时间"), "moment"), (_("发生时间"), "moment"), (_("事项"), "text"), (_("来源"), "text"), (_("行数"), "whole"), (_("金额"), "fen")]
        lines = (
            (row.id, row.period, row.posted_at, row.event_at, entry_words(row.kind), f"{row.source_type} {row.source_id}", row.n_lines, row.gross)
            for (row,) in streamed(query)
        )
        return download(_("凭证"), columns, lines)
    if (last := after_number()) is not None:
        query = query.where(JournalEntry.id < last)
    rows = list(db.session.scalars(query.limit(PAGE + 1)))
    here: dict[str, Any] = {**{name: value or None for name, value in asked.items()}, "account_kind": kind or None, "book": request.args.get("book")}
    return render_template(
        "books/entries.html",
        rows=rows[:PAGE],
        asked=asked,
        account_kind=kind,
        filtered=any(asked.values()) or bool(kind),
        account=db.session.get(Account, number) if number is not None else None,
        next_url=url_for(".entries", **here, after=rows[PAGE - 1].id) if len(rows) > PAGE else None,
        export_url=url_for(".entries", **here, export=1),
        **shown_books(book),
    )


@bp.get("/entries/<int:number>")
@needs("books.read")
def entry(number: int) -> Any:
    """One entry: its lines, what caused it, and what belongs to it."""
    actor = the_actor()
    row = db.session.get(JournalEntry, number) if number < 2**62 else None
    if row is None or not (actor.is_operator or row.book == actor.organisation_id):
        raise not_found(JournalEntry)
    lines = books_reading.lines_of(row)
    if "export" in request.args:
        columns, words = [(_("行"), "whole"), (_("账户"), "text"), (_("科目"), "text"), (_("借方"), "fen"), (_("贷方"), "fen")], kind_words()
        cells = (
            (line.line_no, its.code, words[its.kind], line.fen if line.fen > 0 else None, -line.fen if line.fen < 0 else None)
            for line, its in streamed(lines)
        )
        return download(f"{_('凭证')} {row.id}", columns, cells)
    return render_template(
        "books/entry.html",
        row=row,
        lines=db.session.execute(lines.limit(MOST_LINES)).all(),
        relatives=books_reading.relatives(row),
        causes=cause_links.links(entry_cause.causes(row), actor),
        own=db.session.get_one(Organisation, row.book),
        crumbs=[(_("账簿"), url_for(".index")), (_("凭证"), url_for(".entries")), (str(row.id), None)],
        **_words(),
        **desk(actor),
    )


@bp.get("/months")
@needs("books.read")
def months() -> Any:
    """Months, open and closed."""
    book = asked_book()
    rows = books_reading.months(book)
    if "export" in request.args:
        columns = [(_("月份"), "text"), (_("凭证数"), "whole"), (_("借方发生"), "fen"), (_("结账时间"), "moment"), (_("账本指纹"), "text")]
        lines = [(month, count, fen, closed.closed_at if closed else None, closed.sha256 if closed else "") for month, count, fen, closed in rows]
        return download(_("月份"), columns, lines)
    return render_template("books/months.html", rows=rows, this_month=clock.period_of(clock.business_date()), **shown_books(book))


@bp.get("/months/<period>/close")
@needs("books.journal")
def ask_to_close(period: str) -> Any:
    """The checklist of a month, and the question."""
    state = period_close.checklist(period)
    waits, words = close_waits.waits(period), _wait_words(period)
    steps = _close_steps(state)
    if "export" in request.args:
        columns = [(_("要先办好的，和还在路上的"), "text"), (_("情况"), "text"), (_("几项"), "whole"), (_("金额"), "fen"), (_("说明"), "text")]
        first = [(words, _("办好了") if done else _("还没有"), None, None, note) for words, done, note in steps]
        others = [(words[each.name][0], _("提醒") if each.count else _("没有"), each.count, each.fen or None, "") for each in waits]
        return download(_("%(period)s 结账清单", period=state.period), columns, [*first, *others])
    return render_template(
        "books/close.html",
        state=state,
        steps=[{"text": words, "note": note, "state": "done" if done else "bad"} for words, done, note in steps],
        waits=[(each, *words[each.name]) for each in waits],
        **desk(the_actor()),
    )


@bp.post("/months/<period>/close")
@needs("books.close")
def close(period: str) -> Any:
    actor, state = the_actor(), period_close.checklist(period)
    sha256 = transaction(lambda: period_close.close(state, actor=actor).sha256)
    flash(_("%(period)s 已结账，账本指纹 %(sha256)s。", period=period, sha256=sha256), "done")
    return redirect(url_for(".months"))


def _close_steps(state: Checklist) -> list[tuple[str, bool, str]]:
    """What must be done before a month is closed: words, whether it is, and what is wrong."""
    earlier = state.oldest_open and state.oldest_open < state.period
    return [
        (_("这个月过完了") if state.over else _("这个月还没有过完"), state.over, ""),
        (
            _("前面的月份都结了") if state.oldest_open == state.period else _("先结 %(oldest)s", oldest=state.oldest_open) if earlier else _("已经结过账"),
            state.oldest_open == state.period, "",
        ),
        (_("账目检查全部通过") if not state.broken else _("账目检查没有通过"), not state.broken, "；".join(state.broken)),
        (_("%(n)s 笔凭证", n=f"{state.entries:,}"), state.entries > 0, ""),
    ]  # fmt: skip


def _wait_words(period: str) -> dict[str, tuple[str, str]]:
    """What each kind of thing that waits is called, and the page where it goes on."""
    return {
        "due": (_("到期还没有结算的订单"), url_for("operator_orders.index")),
        "pools": (_("结算了还没有拟定分配的收益池"), url_for("distribution.index", period=period)),
        "distributions": (_("还没有记到各户的分配"), url_for("distribution.index", view="open", period=period)),
        "payouts": (_("银行还没有答复的代发"), url_for("payout.index")),
        "days": (_("缺对账单的天数"), url_for("reconciliation.index")),
        "differences": (_("还没有说明的对账差异"), url_for("reconciliation.differences")),
        "bill_differences": (_("还没有说明的支付宝账单差异"), url_for("money_health.rows", name="differences")),
        "unsealed": (_("还没有封存的凭证"), url_for("log.index")),
    }


def asked_book() -> int | None:
    """The book that is read: a cooperative's own; for the county office the one it asks for, or all."""
    actor: Actor = the_actor()
    if not actor.is_operator:
        return actor.organisation_id
    asked = request.args.get("book", "").strip()[:16]
    if not asked:
        return None
    found = db.session.scalar(select(Organisation.id).where(Organisation.public_id == asked))
    if found is None:
        raise not_found(Organisation)
    return int(found)


def shown_books(book: int | None) -> dict[str, Any]:
    """What every list of the books shows: the books to choose from, the words, the roads."""
    actor = the_actor()
    kept = select(Organisation).where(Organisation.kind.in_(("COOPERATIVE", "OPERATOR")), Organisation.id.in_(select(Account.book)))
    return {
        "books": list(db.session.scalars(kept.order_by(Organisation.id))) if actor.is_operator else [],
        "book": book,
        "asked_book": request.args.get("book") or None if actor.is_operator else None,
        **_words(),
        **desk(actor),
    }


def _words() -> dict[str, Any]:
    return {"kind_words": kind_words(), "class_words": class_words(), "class_of": account.class_of, "entry_words": entry_words}


def _kind(name: str = "kind") -> str:
    asked = request.args.get(name, "")
    if asked and asked not in account.KINDS:
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field=name)
    return asked


def after_number() -> int | None:
    """The number behind which a page begins."""
    asked = request.args.get("after", "")
    return int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 19 else None


def asked_day(name: str) -> date | None:
    """A day of the address; InvalidInput ``day.bad`` for what is none."""
    typed = request.args.get(name, "").strip()
    if not typed:
        return None
    try:
        found = date.fromisoformat(typed)
        if not 2000 <= found.year <= 2200:
            raise ValueError(typed)
    except ValueError:
        raise InvalidInput("day.bad", N_("日期请写成 2026-11-23 这样。"), field=name) from None
    return found
