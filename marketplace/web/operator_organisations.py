"""Organisations and who may sign in for them: the administrator makes sign-ins, gives roles, suspends; everybody else reads."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import func, select

from marketplace.foundation.config import settings
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput, MarketError
from marketplace.foundation.language import N_, said, text
from marketplace.foundation.language import gettext as _
from marketplace.households import visit
from marketplace.organisations import invitation, membership, sign_in_proposal
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import ROLES, Person, Role
from marketplace.organisations.region import Region
from marketplace.organisations.sign_in_proposal import SignInProposal
from marketplace.web.operator_desk import desk
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.spreadsheet import download

bp = Blueprint("operator_organisations", __name__, url_prefix="/operator")

permission("operator.read", OPERATOR="administrator reviewer treasurer auditor")
permission("people.administer", OPERATOR="administrator")

PAGE = 50
KINDS = ("UNIT", "COOPERATIVE", "STATION", "VILLAGE", "OPERATOR")


@bp.get("/organisations")
@needs("operator.read")
def index() -> Any:
    kind, asked = request.args.get("kind", "UNIT"), request.args.get("q", "").strip()[:40]
    if kind not in KINDS:
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="kind")
    people = select(func.count(Role.person_id.distinct())).where(Role.organisation_id == Organisation.id).correlate(Organisation).scalar_subquery()
    query = select(Organisation, people).where(Organisation.kind == kind).order_by(Organisation.id)
    if asked:
        query = query.where(Organisation.name_zh.contains(asked, autoescape=True) | Organisation.name_en.icontains(asked, autoescape=True))
    if "export" in request.args:
        columns = [(_("单位"), "text"), (_("登录人数"), "whole"), (_("电话"), "text"), (_("停用"), "text")]
        lines = [(own.name_zh, count, own.phone, _("停用") if own.suspended_at else None) for own, count in db.session.execute(query)]
        return download(_("单位和人员"), columns, lines)
    after = request.args.get("after", "")
    if after:
        query = query.where(Organisation.id > by_public_id(Organisation, after).id)
    rows = db.session.execute(query.limit(PAGE + 1)).all()
    here: dict[str, Any] = {"kind": kind, "q": asked or None}
    return render_template(
        "operator/organisations.html",
        rows=rows[:PAGE],
        kind=kind,
        kinds=kinds(),
        asked=asked,
        sign_ins=len(sign_in_proposal.waiting()) if the_actor().has("administrator") else 0,
        next_url=url_for(".index", **here, after=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        export_url=url_for(".index", **here, export=1),
        **desk(the_actor()),
    )


@bp.get("/organisations/<public_id>")
@needs("operator.read")
def show(public_id: str) -> Any:
    return _page(public_id, {})


@bp.post("/organisations/<public_id>/people")
@needs("people.administer")
def invite(public_id: str) -> Any:
    """Make a sign-in; the page that answers shows its link, this once."""
    actor, form = the_actor(), request.form
    organisation_id = _own(public_id).id

    def work() -> tuple[int, str | None]:
        person, token = sign_in_proposal.invite(
            organisation_id, login=form.get("login", ""), name=form.get("name", ""), roles=form.getlist("roles"), actor=actor
        )
        return person.id, token

    try:
        person_id, token = transaction(work)
    except MarketError as error:
        db.session.rollback()
        return _page(public_id, {str(error.data.get("field", "login")): said(error)}), 422 if isinstance(error, InvalidInput) else 409
    return _link(person_id, token, url_for(".show", public_id=public_id))


@bp.post("/organisations/<public_id>/suspend")
@needs("people.administer")
def suspend(public_id: str) -> Any:
    actor, form = the_actor(), request.form
    row_id, version = _own(public_id).id, form.get("version", "")
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise InvalidInput("decision.bad", N_("这一页不完整，请刷新后再试。"), field="version")
    suspended = form.get("to") == "suspended"
    try:
        transaction(
            lambda: membership.suspend_organisation(row_id, suspended=suspended, reason=form.get("reason", ""), version=int(version), actor=actor)
        )
    except InvalidInput as error:
        db.session.rollback()
        return _page(public_id, {str(error.data.get("field", "")): said(error)}), 422
    flash(_("已停用：里面的人不能再办事，商品下架。") if suspended else _("已恢复。"), "done")
    return redirect(url_for(".show", public_id=public_id))


@bp.get("/people/<public_id>/<organisation>")
@needs("operator.read")
def person(public_id: str, organisation: str) -> Any:
    return _person_page(public_id, organisation, {})


@bp.post("/people/<public_id>/<organisation>/roles")
@needs("people.administer")
def roles(public_id: str, organisation: str) -> Any:
    form = request.form
    person_id, organisation_id = by_public_id(Person, public_id).id, _own(organisation).id
    return _done(
        public_id,
        organisation,
        lambda actor: sign_in_proposal.set_roles(person_id, organisation_id, form.getlist("roles"), read=form.get("read", "").split(), actor=actor),
        _("岗位改好了，从下一次点击起生效。"),
    )


@bp.post("/people/<public_id>/<organisation>/name")
@needs("people.administer")
def rename(public_id: str, organisation: str) -> Any:
    person_id, organisation_id, name = by_public_id(Person, public_id).id, _own(organisation).id, request.form.get("name", "")
    return _done(public_id, organisation, lambda actor: membership.rename(person_id, organisation_id, name, actor=actor), _("姓名改好了。"))


@bp.post("/people/<public_id>/<organisation>/suspend")
@needs("people.administer")
def suspend_person(public_id: str, organisation: str) -> Any:
    form = request.form
    person_id, organisation_id = by_public_id(Person, public_id).id, _own(organisation).id
    suspended = form.get("to") == "suspended"
    return _done(
        public_id,
        organisation,
        lambda actor: membership.suspend(person_id, organisation_id, suspended=suspended, reason=form.get("reason", ""), actor=actor),
        _("已停用，从下一次点击起进不来。") if suspended else _("已恢复。"),
    )


@bp.post("/people/<public_id>/<organisation>/villages")
@needs("people.administer")
def villages(public_id: str, organisation: str) -> Any:
    person_id = by_public_id(Person, public_id).id
    _own(organisation)
    wanted = list(db.session.scalars(select(Region.id).where(Region.code.in_([code[:12] for code in request.form.getlist("villages")][:200]))))
    return _done(public_id, organisation, lambda actor: visit.assign(person_id, wanted, actor=actor), _("负责的村改好了。"))


@bp.post("/people/<public_id>/<organisation>/link")
@needs("people.administer")
def link(public_id: str, organisation: str) -> Any:
    """A new link for somebody who lost the password, or never used the first one."""
    actor = the_actor()
    person_id, organisation_id = by_public_id(Person, public_id).id, _own(organisation).id
    token = transaction(lambda: sign_in_proposal.link(person_id, organisation_id, actor=actor))
    return _link(person_id, token, url_for(".person", public_id=public_id, organisation=organisation))


def _done(public_id: str, organisation: str, work: Any, sentence: str) -> Any:
    actor = the_actor()
    try:
        done = transaction(lambda: work(actor))
    except InvalidInput as error:
        db.session.rollback()
        return _person_page(public_id, organisation, {str(error.data.get("field", "")): said(error)}), 422
    if isinstance(done, SignInProposal):
        return _waits()
    flash(sentence, "done")
    if not membership.belongs(by_public_id(Person, public_id).id, _own(organisation).id):  # works for others only, from now on
        return redirect(url_for(".show", public_id=organisation))
    return redirect(url_for(".person", public_id=public_id, organisation=organisation))


def _link(person_id: int, token: str | None, back: str) -> Any:
    return _waits() if token is None else handed_over(person_id, token, back)


def _waits() -> Any:
    flash(_("已提出。这件事要另一位管理员同意，同意以前什么都没有改。"), "wait")
    return redirect(url_for("sign_in_proposals.index"), 303)


def handed_over(person_id: int, token: str, back: str, *, in_two: bool = False) -> Any:
    """The page that shows a link, this once; ``in_two``: it says that a code is handed over by somebody else."""
    url = settings().base_url.rstrip("/") + url_for("invitation.show", token=token)
    page = render_template(
        "operator/invited.html", person=db.session.get_one(Person, person_id), url=url, days=invitation.DAYS, back=back, in_two=in_two, **desk(the_actor())
    )
    return page, 200, {"Cache-Control": "no-store"}


def _own(public_id: str) -> Organisation:
    """An organisation of people who work; a private buyer is not the county's to administer."""
    return by_public_id(Organisation, public_id, select(Organisation).where(Organisation.kind.in_(KINDS)))


def _page(public_id: str, errors: dict[str, str]) -> str:
    own = _own(public_id)
    held: dict[int, list[str]] = {}
    for person_id, name in db.session.execute(select(Role.person_id, Role.name).where(Role.organisation_id == own.id).order_by(Role.id)):
        held.setdefault(person_id, []).append(name)
    people = list(db.session.scalars(select(Person).where(Person.id.in_(held)).order_by(Person.id)))
    return render_template(
        "operator/organisation.html",
        own=own,
        parent=db.session.get(Organisation, own.parent_id) if own.parent_id else None,
        people=[(each, held[each.id]) for each in people],
        choices=[(name, role_words()[name]) for name in ROLES[own.kind]],
        words=role_words(),
        kinds=kinds(),
        values=request.form,
        chosen=request.form.getlist("roles"),
        errors=errors,
        crumbs=[(_("单位和人员"), url_for(".index", kind=own.kind)), (text(own, "name"), None)],
        **desk(the_actor()),
    )


def _person_page(public_id: str, organisation: str, errors: dict[str, str]) -> str:
    someone, own = by_public_id(Person, public_id), _own(organisation)
    membership.must_belong(someone.id, own.id)
    held = list(db.session.scalars(select(Role.name).where(Role.person_id == someone.id, Role.organisation_id == own.id).order_by(Role.name)))
    officer = "village_officer" in held
    regions = list(db.session.scalars(select(Region).where(Region.kind.in_(("TOWNSHIP", "VILLAGE"))).order_by(Region.code))) if officer else []
    mine = set(visit.villages_of(someone.id)) if officer else set()
    return render_template(
        "operator/person.html",
        person=someone,
        own=own,
        held=held,
        choices=[(name, role_words()[name]) for name in ROLES[own.kind]],
        townships=[
            (text(town, "name"), [(row.code, text(row, "name")) for row in regions if row.parent_id == town.id]) for town in regions if town.kind == "TOWNSHIP"
        ],
        mine=[row.code for row in regions if row.id in mine],
        officer=officer,
        errors=errors,
        values=request.form,
        crumbs=[(_("单位和人员"), url_for(".index", kind=own.kind)), (text(own, "name"), url_for(".show", public_id=organisation)), (someone.name_zh, None)],
        **desk(the_actor()),
    )


def kinds() -> dict[str, str]:
    """The words for kinds of organisations."""
    return {
        "UNIT": _("预算单位"), "COOPERATIVE": _("合作社"), "STATION": _("电商服务站"), "VILLAGE": _("村委会"), "OPERATOR": _("县级运营方"),
    }  # fmt: skip


def role_words() -> dict[str, str]:
    """The words for roles."""
    return {
        "administrator": _("管理员"), "reviewer": _("审核员"), "treasurer": _("财务"), "auditor": _("审计"), "village_officer": _("帮扶干部"),
        "director": _("理事长"), "accountant": _("会计"), "clerk": _("店员"), "buyer": _("采购人"), "approver": _("审批人"),
        "station_clerk": _("站点店员"), "village_accountant": _("村会计"), "customer": _("买家"),
    }  # fmt: skip
