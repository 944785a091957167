"""How each bank wants its payout file: the cooperative's layouts, and one of them with a preview of what it writes."""

import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for

from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput, NotFound
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.organisations.actor import scoped
from marketplace.settlement import payout_file, payout_form, payout_layout, payout_preset
from marketplace.settlement.payout_file import Row, Total
from marketplace.settlement.payout_form import Answer, Column, Form
from marketplace.settlement.payout_layout import PayoutLayout
from marketplace.web import form_input
from marketplace.web.form_input import given
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shared_desk import desk, names_of, typed_version

bp = Blueprint("payout_layouts", __name__, url_prefix="/payouts/layouts")

permission("payout.step", COOPERATIVE="accountant director")
permission("payout.make", COOPERATIVE="accountant")

SPARE = 2  # empty rows under the columns, to be filled in
# Nobody's: an everyday row, and one with a character that older banks' files cannot hold.
SAMPLES = (
    Row(1, "王小花", "360925199001010000", "靖安农商银行", "6226900000000000018", 128_050, "2026-10 联农收益", "中源乡", "三坪村", "DF20261126-0123456789", "DF20261126_0123456789_1", "ZY-0001"),
    Row(2, "李䶮", "360925198807120000", "邮储银行", "6217990000000000026", 4_612, "2026-10 联农收益", "璪都镇", "港背村", "DF20261126-0123456789", "DF20261126_0123456789_2", "ZD-0017"),
)  # fmt: skip


def value_words() -> dict[str, str]:
    """What a column of the file may hold."""
    return {
        "sequence": _("序号"), "name": _("户名"), "account": _("账号"), "amount": _("金额"), "id_number": _("身份证号"), "bank": _("开户行"),
        "purpose": _("用途（月份和名目）"), "township": _("乡镇"), "village": _("村"), "code": _("户编号"), "number": _("批号"),
        "reference": _("这一笔的流水号"), "text": _("固定的文字"), "empty": _("空着"),
    }  # fmt: skip


def outcome_words() -> dict[str, str]:
    """What may become of a payment, as the bank says it."""
    return {"paid": _("已到账"), "returned": _("退回（扣了款又退回来）"), "refused": _("没有付（没扣过款）"), "unknown": _("还没有结果（处理中、可疑）")}


@dataclass(frozen=True)
class Look:
    """A preview: the lines that the form writes for two made-up payments, and the characters that would not go in."""

    lines: list[list[str]] = field(default_factory=list)
    text: str = ""
    wrong: list[str] = field(default_factory=list)
    error: str = ""


@bp.get("")
@needs("payout.step")
def index() -> Any:
    actor = the_actor()
    rows = payout_layout.offered(actor.organisation_id)
    return render_template(
        "payout/layouts.html",
        rows=rows,
        people=names_of(row.changed_by_id for row in rows),
        presets=[(code, _(name), _(what)) for code, (name, what, _form) in payout_preset.PRESETS.items()],
        crumbs=_crumbs(_("各银行的文件版式")),
        **desk(actor),
    )


@bp.get("/new/<preset>")
@needs("payout.make")
def new(preset: str) -> Any:
    name, _what, form = _preset(preset)
    return _page(None, preset, _(name), form, payout_form.answer(form.money), {})


@bp.post("/new/<preset>")
@needs("payout.make")
def add(preset: str) -> Any:
    actor, starts = the_actor(), _preset(preset)[2]
    try:
        form, answer = _typed(starts, payout_form.answer(starts.money))
        if "save" not in request.form:
            return _page(None, preset, given("name"), form, answer, {})
        row = transaction(lambda: payout_layout.add(given("name"), form, answer=answer, actor=actor))
    except InvalidInput as error:
        db.session.rollback()
        return _again(None, preset, error), 422
    flash(_("“%(name)s”的版式记住了，做代发批次时可以选它。", name=row.name), "done")
    return redirect(url_for(".index"), 303)


@bp.get("/<public_id>")
@needs("payout.step")
def show(public_id: str) -> Any:
    row = _own(public_id)
    return _page(row, "", row.name, row.its_form, row.its_answer, {})


@bp.post("/<public_id>")
@needs("payout.make")
def change(public_id: str) -> Any:
    actor, row = the_actor(), _own(public_id)
    number, before = row.id, row.its_answer
    try:
        form, answer = _typed(row.its_form, before)
        if "save" not in request.form:
            return _page(row, "", given("name"), form, answer, {})
        version = typed_version()
        transaction(lambda: payout_layout.change(number, name=given("name"), form=form, answer=answer, version=version, actor=actor))
    except InvalidInput as error:
        db.session.rollback()
        return _again(_own(public_id), "", error), 422
    flash(_("版式改好了。以后做的批次用新的；已经审批的批次，文件一个字也没有变。"), "done")
    return redirect(url_for(".index"), 303)


@bp.post("/<public_id>/retire")
@needs("payout.make")
def retire(public_id: str) -> Any:
    actor, number, version = the_actor(), _own(public_id).id, typed_version()
    transaction(lambda: payout_layout.retire(number, version=version, actor=actor))
    flash(_("停用了，做批次时不再列出。用它做过的批次不受影响。"), "done")
    return redirect(url_for(".index"), 303)


def look(form: Form) -> Look:
    """What the form writes."""
    try:
        form = payout_form.checked(form)
    except InvalidInput as error:
        return Look(error=said(error))
    total = Total(len(SAMPLES), sum(row.fen for row in SAMPLES))
    lines = payout_file.lines(SAMPLES, form, total)
    wrong = [f"{each.name}（{each.characters}）" for each in payout_file.unwritable(SAMPLES, form)]
    if form.kind == "xlsx" or wrong:
        return Look(lines, "", wrong)
    return Look(lines, b"".join(payout_file.chunks(SAMPLES, form, total)).decode(form.encoding).replace("\r\n", "\n"), [])


def _own(public_id: str) -> PayoutLayout:
    row: PayoutLayout = by_public_id(PayoutLayout, public_id, scoped(the_actor(), PayoutLayout).where(PayoutLayout.retired_at.is_(None)))
    return row


def _preset(code: str) -> tuple[str, str, Form]:
    if code not in payout_preset.PRESETS:
        raise NotFound("layout.missing", N_("没有找到，或不归您的单位查看。"))
    return payout_preset.PRESETS[code]


def _typed(before: Form, answer: Answer) -> tuple[Form, Answer]:
    """What the page says, whether or not a bank could be paid by it. InvalidInput for what is no number."""
    columns = [
        Column(given(f"value-{at}"), given(f"heading-{at}"), given(f"text-{at}")) for at in range(payout_form.MOST_COLUMNS + SPARE) if given(f"value-{at}")
    ]
    moved = next((name for name in request.form if re.fullmatch(r"up-[0-9]{1,2}", name)), "")
    at = int(moved.removeprefix("up-") or 0)
    if 0 < at < len(columns):
        columns[at - 1], columns[at] = columns[at], columns[at - 1]
    form = Form(
        columns=tuple(columns),
        money=given("money"),
        encoding=given("encoding"),
        kind=given("kind"),
        separator={"tab": "\t"}.get(given("separator"), given("separator")),
        heading="heading" in request.form,
        total=given("total"),
        most_rows=form_input.whole("most_rows", N_("一个文件最多几笔，请写一个整数；没有限制就写 0。"), most=payout_form.MOST_LINES),
        remark=form_input.whole("remark", N_("用途最长几个字，请写一个整数。"), most=payout_form.LONGEST_REMARK, least=1),
        account=given("account"),
    )
    words = {outcome: tuple(payout_form.plain(word) for word in re.split(r"[、，,;；\s]+", given(f"words-{outcome}")) if word) for outcome in payout_form.OUTCOMES}
    columns_kept = {} if "forget" in request.form else answer.columns
    return form, Answer(words, columns_kept, answer.heading or not columns_kept, given("answer_money"))


def _again(row: PayoutLayout | None, preset: str, error: InvalidInput) -> str:
    """The page as it was typed, with what is wrong."""
    form, answer = (row.its_form, row.its_answer) if row else (_preset(preset)[2], payout_form.answer())
    with suppress(InvalidInput):  # where a number cannot be read, the columns are shown as they were before
        form, answer = _typed(form, answer)
    return _page(row, preset, given("name"), form, answer, {str(error.data.get("field", "columns")): said(error)})


def _page(row: PayoutLayout | None, preset: str, name: str, form: Form, answer: Answer, errors: dict[str, str]) -> str:
    spare = [Column("", "", "")] * min(SPARE, payout_form.MOST_COLUMNS - len(form.columns))
    return render_template(
        "payout/layout.html",
        row=row,
        preset=preset,
        name=name,
        form=form,
        answer=answer,
        columns=[*form.columns, *spare],
        values=value_words(),
        outcomes=outcome_words(),
        words={outcome: "、".join(answer.words.get(outcome, ())) for outcome in payout_form.OUTCOMES},
        columns_said="、".join(str(heading) for heading in answer.columns.values()),
        look=look(form),
        errors=errors,
        crumbs=_crumbs(name or _("新版式")),
        **desk(the_actor()),
    )


def _crumbs(last: str) -> list[tuple[str, str | None]]:
    road: list[tuple[str, str | None]] = [(_("代发"), url_for("payout.index"))]
    if request.endpoint != "payout_layouts.index":
        road.append((_("各银行的文件版式"), url_for(".index")))
    return [*road, (last, None)]
