"""The bank's results of a payout batch: a file brought, read at once or by a worker where it is long, looked at line by line, and taken."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.errands import errand
from marketplace.foundation.crypto import masked_name
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.households.household import Household
from marketplace.organisations.actor import Actor
from marketplace.settlement import (
    payout_answer_lines,
    payout_batch,
    payout_errand,
    payout_recall,
    payout_results,
)
from marketplace.settlement.payout_answer import RESULT_HEADER
from marketplace.settlement.payout_import import ASKED
from marketplace.settlement.payout_item import PayoutBatch
from marketplace.settlement.payout_results import Looked, PayoutResults
from marketplace.web.errand import Wanted, asked, handed_over, led_to
from marketplace.web.payout import own
from marketplace.web.payout_step import crumbs_of
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shared_desk import desk

bp = Blueprint("payout_results", __name__, url_prefix="/payouts")

permission("payout.step", COOPERATIVE="accountant director")

PAGE = 100  # lines; their numbers are always of all
VIEWS: dict[str, tuple[str, ...]] = {
    "": (), "paid": ("paid",), "back": ("returned", "refused"), "unknown": ("unknown",), "asked": ASKED, "contradiction": ("contradiction",),
    "known": ("",),
}  # fmt: skip


def view_words() -> dict[str, str]:
    """What a page of the preview may be narrowed to."""
    return {
        "": _("全部"), "paid": _("记为到账"), "back": _("退回或拒付"), "unknown": _("银行还没有结果"), "asked": _("请理事长核对"),
        "contradiction": _("和以前的结果相反"), "known": _("已经记过，不变"),
    }  # fmt: skip


@bp.get("/<public_id>/results")
@needs("payout.step")
def results(public_id: str) -> Any:
    return _upload(own(public_id, the_actor()), {}, [])


@bp.post("/<public_id>/results")
@needs("payout.step")
def receive(public_id: str) -> Any:
    """Keep what was brought. A long file is read by a worker, and whoever brings it again meanwhile is led to the same errand."""
    actor = the_actor()
    row, sent = own(public_id, actor), request.files.get("file")
    number = row.id
    try:
        if sent is None or not sent.filename:
            errand.must_be_free(payout_errand.of(number))
            raise InvalidInput("file.missing", N_("请选择银行给的回盘文件。"), field="file")
        with sent.stream:  # a large upload lies in a file of its own until it is closed
            content, name = sent.stream.read(payout_answer_lines.LARGEST + 1), sent.filename
        if payout_results.takes_long(content, row.items):
            return _kept(row, content, name, actor)
        errand.must_be_free(payout_errand.of(number))
        kept = transaction(lambda: payout_results.receive(number, content, name=name, actor=actor))
    except InvalidInput as error:
        return _upload(own(public_id, actor), {"file": said(error)}, error.data.get("errors", [])), 422
    if not kept.lines:
        return redirect(url_for("payout_reading.ask", public_id=public_id, results_id=kept.public_id), 303)
    return redirect(url_for(".preview", public_id=public_id, results_id=kept.public_id), 303)


@bp.get("/<public_id>/results/<results_id>")
@needs("payout.step")
def preview(public_id: str, results_id: str) -> Any:
    """Every line with what it would change, before anything does; and of a file that nobody has read yet, how that stands."""
    actor = the_actor()
    row = own(public_id, actor)
    kept = _results(row, results_id)
    if kept.read_at is None:
        return _unread(row, kept, actor)
    if not kept.lines:
        return redirect(url_for("payout_reading.ask", public_id=public_id, results_id=results_id), 303)
    view = request.args.get("view", "")
    if view not in VIEWS:
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="view")
    looked = payout_results.looked_at(kept, PAGE, changes=VIEWS[view], after=_after())

    def only(name: str, **more: Any) -> str:
        return url_for(".preview", public_id=public_id, results_id=results_id, view=name or None, _anchor="lines", **more)

    return render_template(
        "payout/preview.html",
        row=row,
        kept=kept,
        only=only,
        views=[(words, only(name), name == view, number) for name, words, number in _views(kept, looked)],
        of_view=_number(looked, view),
        lines=looked.lines,
        houses=_houses(looked),
        counts=looked.counts,
        total=looked.total,
        missing=looked.missing,
        first_missing=looked.first_missing,
        next_url=only(view, after="{}-{}".format(*looked.following)) if looked.following else None,
        crumbs=[*crumbs_of(row), (_("回盘"), None)],
        **desk(actor),
    )


@bp.post("/<public_id>/results/<results_id>/read")
@needs("payout.step")
def read(public_id: str, results_id: str) -> Any:
    """Read a file that is kept and unread: it could not be read, or nobody came to it."""
    actor = the_actor()
    row = own(public_id, actor)
    kept = _results(row, results_id)
    number = kept.id
    content = payout_results.content_of(kept)
    if payout_results.takes_long(content, row.items):
        return handed_over(reading_of(row, kept, payout_answer_lines.number_of(content, row.items)), actor)
    errand.must_be_free(payout_errand.of(row.id))
    transaction(lambda: payout_results.take_in(number, payout_results.understood(number, actor=actor), actor=actor))
    return redirect(url_for(".preview", public_id=public_id, results_id=results_id), 303)


@bp.post("/<public_id>/results/<results_id>")
@needs("payout.step")
def apply(public_id: str, results_id: str) -> Any:
    actor = the_actor()
    row = own(public_id, actor)
    kept, subject = _results(row, results_id), payout_errand.of(row.id)
    number = kept.id
    if kept.applied_at is None and errand.takes_long(kept.lines):
        path, given = url_for("payout.show", public_id=public_id), {"results": number, "paper": public_id}
        return handed_over(Wanted("payout.results", subject, row.organisation_id, row.number, kept.lines, path, given), actor)
    errand.must_be_free(subject)
    changed = transaction(lambda: payout_results.apply(number, actor=actor))
    if len(changed) > changed.asked or not changed.asked:
        flash(_("已记下：%(paid)s 笔到账，%(back)s 笔退回，%(unknown)s 笔银行还没有结果。", paid=changed.paid, back=changed.returned, unknown=changed.unknown), "done")
    if changed.asked:
        flash(_("已请理事长核对 %(n)s 笔。核对以前，账没有动。", n=changed.asked), "done")
    return redirect(url_for("payout.show", public_id=public_id), 303)


def reading_of(row: PayoutBatch, kept: PayoutResults, lines: int) -> Wanted:
    """The errand by which a file of so many lines is read."""
    then = url_for("payout_results.preview", public_id=row.public_id, results_id=kept.public_id)
    path, given = url_for("payout.show", public_id=row.public_id), {"results": kept.id, "then": then}
    return Wanted("payout.read", payout_errand.of(row.id), row.organisation_id, row.number, lines, path, given)


def _kept(row: PayoutBatch, content: bytes, name: str, actor: Actor) -> Any:
    number, lines = row.id, payout_answer_lines.number_of(content, row.items)
    before = payout_results.known(number, content)
    if before is None:
        errand.must_be_free(payout_errand.of(number))  # whoever takes the other step may hold the batch for minutes
    elif not before.lines:
        return handed_over(reading_of(row, before, lines), actor)

    def keep() -> tuple[str, str]:
        """The file's name, and the errand's unless it was read before."""
        kept = payout_results.keep(number, content, name=name, actor=actor)
        return kept.public_id, "" if kept.lines else asked(reading_of(own(row.public_id, actor), kept, lines), actor)

    kept, errand_id = transaction(keep)
    return led_to(errand_id) if errand_id else redirect(url_for(".preview", public_id=row.public_id, results_id=kept), 303)


def _unread(row: PayoutBatch, kept: PayoutResults, actor: Actor) -> Any:
    its = errand.latest("payout.read", payout_errand.of(row.id), reading_of(row, kept, 0).given)
    if its is not None and its.state == "ASKED":
        return led_to(its.public_id)
    refused = its if its is not None and its.state == "REFUSED" else None
    return render_template(
        "payout/unread.html", row=row, kept=kept, refused=said(refused.refusal) if refused else "",
        bad_lines=refused.refusal.data.get("errors", []) if refused else [], count=refused.refusal.data.get("count", 0) if refused else 0,
        crumbs=[*crumbs_of(row), (_("回盘"), None)], **desk(actor),
    )  # fmt: skip


def _after() -> tuple[int, int]:
    """The place that the page before ended with, as ``after`` says it: rank and sequence."""
    rank, _dash, sequence = request.args.get("after", "").partition("-")
    plain = rank in ("0", "1") and sequence.isascii() and sequence.isdigit() and len(sequence) < 10
    return (int(rank), int(sequence)) if plain else (0, 0)


def _views(kept: PayoutResults, looked: Looked) -> list[tuple[str, str, int]]:
    """(name, words, number of lines) of what the preview may be narrowed to: of what there is, and nothing once it was taken."""
    return [(name, words, _number(looked, name)) for name, words in view_words().items() if kept.applied_at is None and _number(looked, name)]


def _number(looked: Looked, view: str) -> int:
    """Lines of a view."""
    return sum(looked.counts[change][0] for change in VIEWS[view]) if VIEWS[view] else looked.total


def _houses(looked: Looked) -> dict[int, tuple[str, str]]:
    """Code and masked name of whom the page names."""
    its = {item.household_id for item in (*(line.item for line in looked.lines), *looked.first_missing)}
    return {house.id: (house.code, masked_name(house.name)) for house in db.session.scalars(select(Household).where(Household.id.in_(its)))}


def _results(row: PayoutBatch, results_id: str) -> PayoutResults:
    return by_public_id(PayoutResults, results_id, select(PayoutResults).where(PayoutResults.batch_id == row.id))


def _upload(row: PayoutBatch, errors: dict[str, str], bad_lines: list[str]) -> str:
    payout_batch.must_go_by("bank", row)
    payout_recall.must_be_out(row)
    return render_template(
        "payout/results.html", row=row, errors=errors, bad_lines=bad_lines[:200], more=max(0, len(bad_lines) - 200),
        heading=",".join(RESULT_HEADER), crumbs=[*crumbs_of(row), (_("回盘"), None)], **desk(the_actor()),
    )  # fmt: skip
