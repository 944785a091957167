"""What a person says of a bank's results file before it can be read: which column is what, and what the bank's words mean."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.errands import errand
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said
from marketplace.settlement import payout_answer_lines, payout_errand, payout_form, payout_results
from marketplace.settlement.payout_results import Asked, PayoutResults
from marketplace.web.errand import handed_over
from marketplace.web.payout import own
from marketplace.web.payout_layouts import outcome_words
from marketplace.web.payout_results import reading_of
from marketplace.web.payout_words import state_words
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shared_desk import desk

bp = Blueprint("payout_reading", __name__, url_prefix="/payouts")

permission("payout.step", COOPERATIVE="accountant director")

MOST_COLUMNS = 40


def column_words() -> dict[str, str]:
    """What a column of a results file may be."""
    return {
        "sequence": _("我们的序号"), "number": _("我们的批号"), "name": _("户名"), "account": _("账号"), "amount": _("金额"), "result": _("结果"),
        "reason": _("原因"),
    }  # fmt: skip


@bp.get("/<public_id>/results/<results_id>/columns")
@needs("payout.step")
def ask(public_id: str, results_id: str) -> Any:
    row = _results(public_id, results_id)
    typed = request.args.get("heading", "")
    heading = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 3 else None
    try:
        return _page(public_id, row, payout_results.asked(row, heading), {})
    except InvalidInput as error:
        return _page(public_id, row, payout_results.asked(row, 0), {"columns": said(error)}, error.data.get("errors", [])), 422


@bp.post("/<public_id>/results/<results_id>/columns")
@needs("payout.step")
def answer(public_id: str, results_id: str) -> Any:
    """Keep what was said, for this file and for those that follow."""
    actor, form = the_actor(), request.form
    row = _results(public_id, results_id)
    number, asked = row.id, payout_results.asked(row)
    typed = form.get("heading_line", "")
    heading = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 3 else 0
    errand.must_be_free(payout_errand.of(row.batch_id))
    if "look" in form:
        return redirect(url_for(".ask", public_id=public_id, results_id=results_id, heading=heading), 303)
    words = {word: form.get(f"word-{at}", "") for at, word in enumerate(sorted(asked.words))}
    try:
        if any(means not in payout_form.OUTCOMES for means in words.values()):
            raise InvalidInput("answer.words", _("每一种说法都要选一个意思。"), field="words")
        columns: dict[str, int] | None = None
        if not asked.words:
            columns = {}
            for place in range(MOST_COLUMNS):
                name = form.get(f"column-{place}", "")
                if name in columns:
                    raise InvalidInput("answer.columns", _("“%(name)s”指定了两列，请只留一列。", name=column_words().get(name, name)), field="columns")
                if name:
                    columns[name] = place
        kept = transaction(lambda: payout_results.answer(number, columns=columns, heading=heading, words=words, actor=actor))
    except InvalidInput as error:
        db.session.rollback()
        row = _results(public_id, results_id)
        again = asked if asked.words else payout_results.asked(row, heading)
        return _page(public_id, row, again, {str(error.data.get("field", "columns")): said(error)}, error.data.get("errors", [])), 422
    if kept.read_at is None:
        batch = own(public_id, actor)
        flash(_("记住了，以后这家银行的回盘都这样读。"), "done")
        return handed_over(reading_of(batch, kept, payout_answer_lines.number_of(payout_results.content_of(kept), batch.items)), actor)
    if not kept.lines:  # the columns are known now, and some of the words are not
        return redirect(url_for(".ask", public_id=public_id, results_id=results_id), 303)
    flash(_("记住了，以后这家银行的回盘都这样读。"), "done")
    return redirect(url_for("payout_results.preview", public_id=public_id, results_id=results_id), 303)


def _results(public_id: str, results_id: str) -> PayoutResults:
    row = own(public_id, the_actor())
    found: PayoutResults = by_public_id(PayoutResults, results_id, select(PayoutResults).where(PayoutResults.batch_id == row.id))
    return found


def _page(public_id: str, row: PayoutResults, asked: Asked, errors: dict[str, str], bad_lines: list[str] | None = None) -> str:
    batch = own(public_id, the_actor())
    cells = dict(asked.top).get(asked.heading, []) if asked.heading else max((line[1] for line in asked.top), key=len, default=[])
    example = next((each for number, each in asked.top if number > asked.heading and sum(bool(cell) for cell in each) > 2), [])
    guessed = {place: name for name, place in asked.places.items()}
    return render_template(
        "payout/columns.html",
        row=batch,
        kept=row,
        heading=asked.heading,
        lines=[(number, [cell for cell in each if cell][:8]) for number, each in asked.top[:12] if any(each)],
        columns=[
            (place, cell or "—", example[place] if place < len(example) else "", request.form.get(f"column-{place}", guessed.get(place, "")))
            for place, cell in enumerate(cells[:MOST_COLUMNS])
        ],
        options=[("", _("不读这一列")), *column_words().items()],
        words=[(at, word, asked.words[word], request.form.get(f"word-{at}", "")) for at, word in enumerate(sorted(asked.words))],
        outcomes=outcome_words(),
        errors=errors,
        bad_lines=(bad_lines or [])[:100],
        crumbs=[
            (_("代发"), url_for("payout.index")), (f"{batch.number} · {state_words()[batch.channel][batch.state]}", url_for("payout.show", public_id=public_id)),
            (_("回盘"), None),
        ],
        **desk(the_actor()),
    )  # fmt: skip
