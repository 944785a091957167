"""The papers behind the books, kind by kind: filtered, paged by key, each with the entry it became, and taken along as Excel.

A cooperative reads its own; the county's auditor, treasurer and administrator read all. Nothing here changes anything.
"""

from datetime import date, datetime, timedelta
from typing import Any

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import Select, func, select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.foundation.errors import InvalidInput, NotFound
from marketplace.foundation.language import N_, text
from marketplace.foundation.language import gettext as _
from marketplace.ledger.entry import JournalEntry
from marketplace.web import key_page
from marketplace.web.book_paper import Paper
from marketplace.web.book_paper_kinds import PAPERS
from marketplace.web.books import after_number, asked_book, asked_day, shown_books
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shown import day, moment, money
from marketplace.web.spreadsheet import download, streamed

bp = Blueprint("book_papers", __name__, url_prefix="/books/papers")

permission("books.read", OPERATOR="administrator treasurer auditor", COOPERATIVE="director accountant")

PAGE = 50
FIRST = "receipts"
NUMBERS = ("fen", "whole")
SORTS = {"new": N_("新的在前"), "old": N_("旧的在前"), "amount": N_("金额大的在前")}


@bp.get("")
@needs("books.read")
def index() -> Any:
    """One kind's list."""
    kind, book, all_books = request.args.get("kind", FIRST), asked_book(), the_actor().is_operator
    if kind not in PAPERS:
        raise NotFound("paper.missing", N_("没有这样的单据。"))
    paper, states, state, sort = PAPERS[kind], PAPERS[kind].states(), _state(kind), _sort(kind)
    since, until = asked_day("since"), asked_day("until")
    query = paper.query()
    if book is not None:
        query = query.where(paper.model.organisation_id == book)
    if state:
        query = query.where(states[state][1])
    query = _between(query, paper, since, until)
    if "export" in request.args:
        return _sheet(paper, streamed(key_page.after(query, paper.model, paper.sorts, sort, None)))
    found = db.session.execute(key_page.after(query, paper.model, paper.sorts, sort, after_number()).limit(PAGE + 1)).all()
    rows = found[:PAGE]
    columns = [(_(each.heading), each.kind) for each in paper.columns if each.shown]
    entries = _entries(paper, [row[0].id for row in rows])
    kept: dict[str, Any] = {
        "kind": kind, "book": request.args.get("book") or None if all_books else None, "state": state or None,
        "sort": sort if sort != "new" else None, "since": since and since.isoformat(), "until": until and until.isoformat(),
    }  # fmt: skip
    return render_template(
        "books/papers.html",
        kind=kind,
        kinds=[(name, _(each.label)) for name, each in PAPERS.items()],
        paper=paper,
        columns=columns,
        heads=[(heading, "n") if shape in NUMBERS else heading for heading, shape in columns[1:]],
        rows=[(row[1], _written(paper, row), entries.get(row[0].id)) for row in rows],
        sorts=[(name, _(SORTS[name])) for name in paper.sorts],
        states=[(name, words) for name, (words, _condition) in states.items()],
        kept=kept,
        filtered=bool(state or since or until),
        next_url=url_for(".index", **kept, after=rows[-1][0].id) if len(found) > PAGE else None,
        export_url=url_for(".index", **kept, export=1),
        **shown_books(book),
    )


def _state(kind: str) -> str:
    """The state that the address asks for. One of another kind, left over from there, asks for nothing."""
    asked = request.args.get("state", "")
    if not asked or asked in PAPERS[kind].states():
        return asked
    if not any(asked in each.states() for each in PAPERS.values()):
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="state")
    return ""


def _sort(kind: str) -> str:
    """How the list is sorted; by amount only where there is one, whatever the kind before was sorted by."""
    asked = key_page.chosen("sort", SORTS, "new")
    return asked if asked in PAPERS[kind].sorts else "new"


def _between(query: Select[Any], paper: Paper, since: date | None, until: date | None) -> Select[Any]:
    """Of Beijing days, both included."""
    at, by_moment = paper.at, paper.columns[0].kind == "moment"
    if since is not None:
        query = query.where(at >= (clock.beijing_midnight(since) if by_moment else since))
    if until is not None:
        query = query.where(at < clock.beijing_midnight(until + timedelta(days=1)) if by_moment else at <= until)
    return query


def _entries(paper: Paper, numbers: list[int]) -> dict[int, int]:
    """The first entry of each row that posted one."""
    if not paper.source or not numbers:
        return {}
    query = select(JournalEntry.source_id, func.min(JournalEntry.id)).where(JournalEntry.source_type == paper.source, JournalEntry.source_id.in_(numbers))
    return dict(db.session.execute(query.group_by(JournalEntry.source_id)).all())


def _written(paper: Paper, row: Any) -> list[str]:
    """The cells that a page shows, as texts."""
    return [_cell(column.kind, value) for column, value in zip(paper.columns, paper.cells(row), strict=True) if column.shown]


def _cell(kind: str, value: Any) -> str:
    if value is None or value == "":
        return "—"
    if kind == "fen":
        return money(value)
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, date):
        return day(value)
    return f"{value:,}" if kind == "whole" else str(value)


def _sheet(paper: Paper, rows: Any) -> Any:
    """All columns, with whose each row is."""
    first, *others = paper.columns
    columns = [(_(first.heading), first.kind), (_("合作社"), "text"), *((_(each.heading), each.kind) for each in others)]
    return download(_(paper.label), columns, ((cells[0], text(row[1], "name"), *cells[1:]) for row in rows for cells in (paper.cells(row),)))
