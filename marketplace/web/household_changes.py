"""Households that leave, die out or divide: proposed with a document by one administrator of the county office, decided by another."""

from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation import audit
from marketplace.foundation.crypto import last_four, masked_name
from marketplace.foundation.database import by_public_id, db, get, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.files import StoredFile
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.households import household_change
from marketplace.households.household import Household
from marketplace.households.household_change import KINDS, HouseholdChange, Other
from marketplace.settlement import credit_division  # noqa: F401 - it hears of changes, and divides what was credited
from marketplace.web import form_input, state_filter
from marketplace.web.operator_desk import desk
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shared_desk import names_of

bp = Blueprint("household_changes", __name__, url_prefix="/operator/household-changes")

permission("household.change", OPERATOR="administrator")
permission("household.changes", OPERATOR="administrator auditor")  # to read them; the documents are not among them

PAGE = 25
LARGEST = 10 * 1024 * 1024
TYPES = {"application/pdf", "image/jpeg", "image/png"}


def state_words() -> dict[str, str]:
    """What the state of a change is called."""
    return {"PROPOSED": _("等同意"), "APPROVED": _("已办"), "RETURNED": _("退回")}


@bp.get("")
@needs("household.changes")
def index() -> Any:
    query = select(HouseholdChange, Household).join(Household, Household.id == HouseholdChange.household_id).order_by(HouseholdChange.id.desc())
    state = state_filter.chosen(state_words())
    if state:
        query = query.where(HouseholdChange.state == state)
    before = request.args.get("before", "")
    if before:
        query = query.where(HouseholdChange.id < by_public_id(HouseholdChange, before).id)
    rows = db.session.execute(query.limit(PAGE + 1)).all()
    return render_template(
        "operator/household_changes.html",
        rows=rows[:PAGE],
        state=state,
        chips=state_filter.chips(state_words(), ".index"),
        next_url=url_for(".index", state=state or None, before=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        kinds={kind: _(name) for kind, name in KINDS.items()},
        states=state_words(),
        **desk(the_actor()),
    )


@bp.get("/new")
@needs("household.change")
def new() -> Any:
    return _form({})


@bp.post("/new")
@needs("household.change")
def propose() -> Any:
    actor, sent, given = the_actor(), request.files.get("document"), form_input.given
    try:
        home = db.session.scalars(select(Household).where(Household.code == given("code").upper()[:30])).one_or_none()
        if home is None:
            raise InvalidInput("change.household", N_("没有这个户编号。"), field="code")
        splits = given("kind") == "SPLITS"
        other = Other(
            name=given("other_name"), id_number=given("other_id_number"), bank=given("other_bank"), account=given("other_account"),
            code=given("other_code"),
            people=form_input.whole("other_people", most=100) if splits else 0,
            unable=form_input.whole("other_unable", most=100) if splits else 0,
            shares_bp=form_input.percent("shares_bp") if splits else 0,
            credit_bp=form_input.percent("credit_bp") if splits else 0,
        )  # fmt: skip
        day, content, name, kind = form_input.day("last_day"), b"", "", ""
        if sent is not None and sent.filename:
            with sent.stream:
                content, name, kind = sent.stream.read(LARGEST + 1), sent.filename, sent.mimetype
            if len(content) > LARGEST or kind not in TYPES:
                raise InvalidInput("document.bad", N_("请上传 PDF、JPG 或 PNG，最大 10 MB。"), field="document")
        number = home.id
        made: str = transaction(
            lambda: household_change.propose(
                number, given("kind"), day, given("reason"), other, document=content, name=name, media_type=kind, actor=actor
            ).public_id
        )
    except InvalidInput as error:
        return _form({str(error.data.get("field", "")): said(error)}), 422
    flash(_("已提出，等另一位管理员同意。"), "done")
    return redirect(url_for(".show", public_id=made), 303)


@bp.get("/<public_id>")
@needs("household.changes")
def show(public_id: str) -> Any:
    return _page(by_public_id(HouseholdChange, public_id), {})


@bp.post("/<public_id>/decide")
@needs("household.change")
def decide(public_id: str) -> Any:
    actor, decision, reason, version = the_actor(), form_input.given("decision"), form_input.given("reason"), form_input.version()
    number = by_public_id(HouseholdChange, public_id).id
    if decision not in ("approve", "return"):
        raise InvalidInput("decision.bad", N_("这一页不完整，请刷新后再试。"), field="decision")
    try:
        transaction(lambda: household_change.decide(number, actor=actor, version=version, approved=decision == "approve", reason=reason))
    except InvalidInput as error:
        return _page(by_public_id(HouseholdChange, public_id), {"reason": said(error)}), 422
    flash(_("已办，股份和名册按这一天改好了。") if decision == "approve" else _("已退回，提出的人看得到理由。"), "done")
    return redirect(url_for(".show", public_id=public_id), 303)


@bp.post("/<public_id>/document")
@needs("household.change")
def document(public_id: str) -> Response:
    """The document itself. A form and not a link: whoever reads it is written down."""
    actor = the_actor()
    number = by_public_id(HouseholdChange, public_id).id

    def opened() -> tuple[str, str, bytes]:
        row = get(HouseholdChange, number)
        file = get(StoredFile, row.file_id)
        audit.record("household.document_read", row, person_id=actor.person_id, organisation_id=actor.organisation_id, sha256=file.sha256)
        return file.name, file.media_type, file.read()

    name, kind, content = transaction(opened)
    answer = Response(content, mimetype=kind)
    answer.headers.set("Content-Disposition", "attachment", filename=name)
    answer.headers["Cache-Control"] = "private, no-store"
    return answer


def _form(errors: dict[str, str]) -> str:
    return render_template(
        "operator/household_change_new.html", errors=errors, values=request.form, kinds=[(kind, _(name)) for kind, name in KINDS.items()],
        crumbs=[(_("户的变动"), url_for(".index")), (_("提出"), None)], **desk(the_actor()),
    )  # fmt: skip


def _page(row: HouseholdChange, errors: dict[str, str]) -> str:
    home = get(Household, row.household_id)
    other = db.session.get(Household, row.other_id) if row.other_id else None
    return render_template(
        "operator/household_change.html",
        row=row,
        home=home,
        name=masked_name(home.name),
        other=other,
        heir_name=masked_name(other.name) if other else "",
        other_name=masked_name(row.other_name),
        other_last=last_four(row.other_account),
        people=names_of((row.proposed_by_id, row.decided_by_id)),
        mine=row.proposed_by_id == the_actor().person_id,
        kinds={kind: _(name) for kind, name in KINDS.items()},
        states=state_words(),
        errors=errors,
        values=request.form,
        crumbs=[(_("户的变动"), url_for(".index")), (home.code, None)],
        **desk(the_actor()),
    )
