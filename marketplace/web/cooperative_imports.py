"""Shares and deliveries from Excel: a template, a look at every row, and then all of it or nothing."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for

from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput, MarketError, NotFound
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.households.linkage_group import LinkageGroup
from marketplace.households.linkage_share import ASSETS, KINDS, NewShare
from marketplace.organisations.actor import scoped
from marketplace.supply import member_import
from marketplace.supply.batch import Batch
from marketplace.supply.delivery import NewDelivery
from marketplace.supply.member_import import MemberImport, Outcome
from marketplace.web import form_input, spreadsheet
from marketplace.web.cooperative_batches import own_batch
from marketplace.web.cooperative_desk import desk
from marketplace.web.cooperative_members import assets, kinds, own_group
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("cooperative_imports", __name__, url_prefix="/cooperative/imports")

permission("share.edit", COOPERATIVE="director accountant")
permission("supply.record", COOPERATIVE="clerk director")
permission("import.apply", COOPERATIVE="*")

SHARES = {
    "code": ("户编号", "Household"), "kind": ("方式", "Kind"), "shares": ("股数", "Shares"), "asset_kind": ("资产种类", "Asset kind"),
    "appraised": ("评估价（元）", "评估价", "Appraised value (yuan)", "Appraised value"), "starts_on": ("起始日", "Starts on"),
    "ends_on": ("最后一天", "Ends on"), "basis": ("依据", "Basis"),
}  # fmt: skip
DELIVERIES = {
    "code": ("户编号", "Household"), "kilograms": ("公斤", "Kilograms"), "delivered_on": ("交货日", "Delivered on"), "price": ("保底价", "Floor price"),
}  # fmt: skip
Parsed = tuple[int, dict[str, str], Any, MarketError | None]


@bp.get("/shares/<group_id>")
@needs("share.edit")
def shares(group_id: str) -> Any:
    return _shares_page(group_id, {})


@bp.post("/shares/<group_id>")
@needs("share.edit")
def look_at_shares(group_id: str) -> Any:
    actor = the_actor()
    group = own_group(group_id, actor)
    name = _file_name()
    try:
        declared = form_input.whole("declared") if form_input.given("declared") else None
        brought = spreadsheet.brought(request.files.get("file"), SHARES)
    except InvalidInput as error:
        return _shares_page(group_id, {str(error.data.get("field", "file")): said(error)}), 422
    parsed = [_parsed(line, row, _share) for line, row in brought]
    outcomes = member_import.look_at_shares(group, [(line, row) for line, _raw, row, fault in parsed if fault is None])
    lines = _lines(parsed, outcomes)
    kept = None
    if not any(fault for _line, _raw, fault, _note in lines):
        wanted = [row for _line, _raw, row, _fault in parsed]
        kept = transaction(lambda: member_import.keep_shares(own_group(group_id, actor), wanted, name, declared=declared, actor=actor).public_id)
    return _shares_page(group_id, {}, lines=lines, kept=kept)


@bp.get("/deliveries/<batch_id>")
@needs("supply.record")
def deliveries(batch_id: str) -> Any:
    return _deliveries_page(batch_id, {})


@bp.post("/deliveries/<batch_id>")
@needs("supply.record")
def look_at_deliveries(batch_id: str) -> Any:
    actor = the_actor()
    batch, name = own_batch(batch_id, actor), _file_name()
    try:
        brought = spreadsheet.brought(request.files.get("file"), DELIVERIES)
    except InvalidInput as error:
        return _deliveries_page(batch_id, {"file": said(error)}), 422
    parsed = [_parsed(line, row, _delivery) for line, row in brought]
    lines = _lines(parsed, member_import.look_at_deliveries(batch, [(line, row) for line, _raw, row, fault in parsed if fault is None]))
    kept = None
    if not any(fault for _line, _raw, fault, _note in lines):
        wanted = [row for _line, _raw, row, _fault in parsed]
        kept = transaction(lambda: member_import.keep_deliveries(own_batch(batch_id, actor), wanted, name, actor=actor).public_id)
    return _deliveries_page(batch_id, {}, lines=lines, kept=kept)


@bp.post("/<public_id>/apply")
@needs("import.apply")
def apply(public_id: str) -> Any:
    """Write what was looked at. Who may write such rows one by one may do it; the domain asks again."""
    actor = the_actor()
    row = by_public_id(MemberImport, public_id, scoped(actor, MemberImport))
    row_id, back = row.id, _back(row)
    count = transaction(lambda: member_import.apply(row_id, actor=actor))
    flash(_("%(n)s 行都写入了。", n=count), "done")
    return redirect(back)


@bp.get("/template-<kind>.xlsx")
@needs("import.apply")
def template(kind: str) -> Any:
    """An empty sheet with the right headings and one row to show how."""
    templates: dict[str, tuple[Mapping[str, Sequence[str]], list[str]]] = {
        "shares": (SHARES, ["JA-ZD-0001", "折股量化", "8", "土地经营权", "8000.00", "2026-01-01", "", "茶园 4 亩折股"]),
        "deliveries": (DELIVERIES, ["JA-ZD-0001", "12.5", "2026-03-20", "350.00"]),
    }
    if kind not in templates:
        raise NotFound("template.missing", N_("没有这样的模板。"))
    headings, example = templates[kind]
    return spreadsheet.download(_("模板"), [(words[0], "text") for words in headings.values()], [example])


def _back(row: MemberImport) -> str:
    if row.batch_id is None:
        return url_for("cooperative_members.show", public_id=db.session.get_one(LinkageGroup, row.linkage_group_id).public_id)
    return url_for("cooperative_deliveries.index", batch_id=db.session.get_one(Batch, row.batch_id).public_id)


def _file_name() -> str:
    sent = request.files.get("file")
    return (sent.filename or "") if sent else ""


def _parsed(line: int, raw: dict[str, str], parse: Callable[[dict[str, str]], Any]) -> Parsed:
    try:
        return line, raw, parse(raw), None
    except InvalidInput as fault:
        return line, raw, None, fault


def _share(raw: dict[str, str]) -> NewShare:
    kind, asset = _coded(raw["kind"], kinds(), KINDS), _coded(raw["asset_kind"], assets(), ASSETS)
    if kind not in KINDS:
        raise InvalidInput("share.kind", N_("请选利益联结的方式。"), field="kind")
    return NewShare(
        raw["code"], kind, form_input.whole_of(raw["shares"] or "0", "shares"), form_input.day_of(raw["starts_on"], "starts_on"), raw["basis"],
        form_input.day_of(raw["ends_on"], "ends_on") if raw["ends_on"] else None, asset,
        form_input.fen_of(raw["appraised"], "appraised") if raw["appraised"] else None,
    )  # fmt: skip


def _coded(written: str, called: Mapping[str, str], chinese: Mapping[str, str]) -> str:
    """The code of what somebody wrote as it is called, in the language of the page or in Chinese, or as the code itself."""
    for names in (called, chinese):
        for code, name in names.items():
            if written == name:
                return code
    return written.upper()


def _delivery(raw: dict[str, str]) -> NewDelivery:
    return NewDelivery(
        raw["code"], form_input.kilograms_of(raw["kilograms"], "kilograms"), form_input.day_of(raw["delivered_on"], "delivered_on"),
        form_input.fen_of(raw["price"] or "0", "price"),
    )  # fmt: skip


def _lines(parsed: Sequence[Parsed], outcomes: Sequence[Outcome]) -> list[tuple[int, list[str], str, str]]:
    """Each line of the file: what it said, why it is refused (empty: it is not), what to beware of."""
    by_line = {outcome.line: outcome for outcome in outcomes}
    lines = []
    for line, raw, _row, fault in parsed:
        outcome = by_line.get(line)
        trouble = fault or (outcome.fault if outcome else None)
        lines.append((line, list(raw.values()), said(trouble) if trouble else "", _(outcome.note) if outcome and outcome.note else ""))
    return lines


def _shares_page(group_id: str, errors: dict[str, str], lines: Any = None, kept: str | None = None) -> str:
    group = own_group(group_id, the_actor())
    back = url_for("cooperative_members.show", public_id=group_id)
    return _page("shares", group.name_zh, back, SHARES, errors, lines, kept)


def _deliveries_page(batch_id: str, errors: dict[str, str], lines: Any = None, kept: str | None = None) -> str:
    batch = own_batch(batch_id, the_actor())
    back = url_for("cooperative_deliveries.index", batch_id=batch_id)
    return _page("deliveries", batch.code, back, DELIVERIES, errors, lines, kept)


def _page(kind: str, about: str, back: str, headings: Mapping[str, Sequence[str]], errors: dict[str, str], lines: Any, kept: str | None) -> str:
    return render_template(
        "cooperative/import.html",
        kind=kind,
        about=about,
        back=back,
        headings=[_(words[0]) for words in headings.values()],
        lines=lines,
        kept=kept,
        bad=sum(1 for line in lines or () if line[2]),
        values=request.form,
        errors=errors,
        crumbs=[(about, back), (_("从 Excel 导入"), None)],
        **desk(the_actor()),
    )
