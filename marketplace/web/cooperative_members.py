"""The cooperative's linkage: its groups with what they hold, delivered and last got; a group's members, masked; adding a share."""

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import Select, select

from marketplace.catalogue.category import CATEGORIES
from marketplace.foundation import clock
from marketplace.foundation.database import by_public_id, new_public_id, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said, text
from marketplace.households import linkage_share
from marketplace.households.household import Household
from marketplace.households.linkage_group import LinkageGroup, LinkageShare
from marketplace.households.linkage_share import ASSETS, KINDS, NewShare
from marketplace.organisations.actor import Actor, scoped
from marketplace.reporting import linkage_figures
from marketplace.web import form_input, key_page, spreadsheet
from marketplace.web.cooperative_desk import desk
from marketplace.web.member_list import Member, members
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("cooperative_members", __name__, url_prefix="/cooperative/members")

permission("cooperative.read", COOPERATIVE="*")
permission("member.read", COOPERATIVE="*")
permission("share.edit", COOPERATIVE="director accountant")

PAGE = 25
VIEWS = ("now", "left")
SORTS: key_page.Sorts = {"code": (Household.code, False)}
AT_ONCE = 1000  # members read together for an export


def own_group(public_id: str, actor: Actor) -> LinkageGroup:
    """The cooperative's group with this outside name; NotFound for anybody else's."""
    row: LinkageGroup = by_public_id(LinkageGroup, public_id, scoped(actor, LinkageGroup))
    return row


@bp.get("")
@needs("cooperative.read")
def index() -> Any:
    actor = the_actor()
    return render_template(
        "cooperative/members.html",
        groups=linkage_figures.groups(actor.organisation_id),
        names={code: _(name) for code, (name, _licence) in CATEGORIES.items()},
        year=clock.business_date().year,
        **desk(actor),
    )


def _wanted(group: LinkageGroup, view: str, kind: str, code: str) -> Select[Any]:
    """Households of the group: those with a share in force today, or those whose last one has ended."""
    today = clock.business_date()
    links = select(LinkageShare.household_id).where(LinkageShare.group_id == group.id)
    now = links.where(LinkageShare.starts_on <= today, LinkageShare.ends_on.is_(None) | (LinkageShare.ends_on >= today))
    query = select(Household).where(Household.id.in_(now.where(LinkageShare.kind == kind) if kind else now))
    if view == "left":
        query = select(Household).where(Household.id.in_(links.where(LinkageShare.kind == kind) if kind else links), Household.id.not_in(now))
    return query.where(Household.code.contains(code, autoescape=True)) if code else query


@bp.get("/<public_id>")
@needs("member.read")
def show(public_id: str) -> Any:
    actor = the_actor()
    totals = linkage_figures.one(public_id, actor.organisation_id)
    group = totals.group
    view, kind = key_page.chosen("view", VIEWS, "now"), key_page.chosen("kind", ("", *KINDS), "")
    code = request.args.get("q", "").strip()[:30]
    asked: dict[str, Any] = {name: value for name, value in {"view": view, "kind": kind, "q": code}.items() if value}
    after = request.args.get("after", "")
    wanted = _wanted(group, view, kind, code)
    last = by_public_id(Household, after, wanted).id if after else None
    shown = members(group, key_page.after(wanted, Household, SORTS, "code", last).limit(PAGE + 1), actor)
    return render_template(
        "cooperative/group.html",
        group=group,
        totals=totals,
        members=shown[:PAGE],
        view=view,
        asked=asked,
        kinds=kinds(),
        assets=assets(),
        next_url=url_for(".show", public_id=public_id, **asked, after=shown[PAGE - 1].public_id) if len(shown) > PAGE else None,
        export_url=url_for(".export", public_id=public_id, **asked),
        crumbs=[(_("成员和联结"), url_for(".index")), (text(group, "name"), None)],
        **desk(actor),
    )


@bp.get("/<public_id>/export.xlsx")
@needs("member.read")
def export(public_id: str) -> Any:
    """The members of the list as it is filtered, masked, one row a share."""
    actor = the_actor()
    group = own_group(public_id, actor)
    name = text(group, "name")
    query = _wanted(group, key_page.chosen("view", VIEWS, "now"), key_page.chosen("kind", ("", *KINDS), ""), request.args.get("q", "").strip()[:30])
    columns = [
        (_("户编号"), "text"), (_("户主"), "text"), (_("方式"), "text"), (_("股数"), "whole"), (_("资产种类"), "text"), (_("评估价（元）"), "fen"),
        (_("起始日"), "day"), (_("最后一天"), "day"), (_("依据"), "text"), (_("近一年交货（克）"), "whole"), (_("上次分配（元）"), "fen"),
    ]  # fmt: skip
    names, called = kinds(), assets()
    rows = (
        (
            each.code, each.name, names[share.kind], share.shares, called.get(share.asset_kind or ""), share.appraised_fen,
            share.starts_on, share.ends_on, share.basis_zh, each.grams, each.last_fen,
        )
        for each in _every(group, query, actor)
        for share in each.shares
    )  # fmt: skip
    return spreadsheet.download(name, columns, rows)


def _every(group: LinkageGroup, query: Select[Any], actor: Actor) -> Iterator[Member]:
    """All members that the query finds, in the order of their codes, which are unique."""
    last = ""
    while some := members(group, query.where(Household.code > last).order_by(Household.code).limit(AT_ONCE), actor):
        yield from some
        last = some[-1].code


@bp.get("/<public_id>/shares")
@needs("share.edit")
def new_share(public_id: str) -> Any:
    return _share_page(own_group(public_id, the_actor()), {})


@bp.post("/<public_id>/shares")
@needs("share.edit")
def add_share(public_id: str) -> Any:
    actor = the_actor()
    group_id = own_group(public_id, actor).id
    try:
        kind = form_input.given("kind")
        equity = kind == "EQUITY"
        new = NewShare(
            code=form_input.given("code"),
            kind=kind,
            shares=form_input.whole("shares") if equity else 0,
            starts_on=form_input.day("starts_on"),
            basis=form_input.given("basis"),
            ends_on=form_input.day("ends_on") if form_input.given("ends_on") else None,
            asset_kind=form_input.given("asset_kind") if equity else "",
            appraised_fen=form_input.fen("appraised") if equity else None,
        )
        note = transaction(lambda: linkage_share.add(group_id, new, actor=actor, key=form_input.given("idempotency_key")))
    except InvalidInput as error:
        return _share_page(own_group(public_id, actor), {str(error.data.get("field", "")): said(error)}), 422
    flash(_("已登记。") + (_(note) if note else ""), "wait" if note else "done")
    return redirect(url_for(".show", public_id=public_id, q=new.code))


def kinds() -> dict[str, str]:
    """What each kind of linkage is called."""
    return {code: _(name) for code, name in KINDS.items()}


def assets() -> dict[str, str]:
    """What each kind of asset that was appraised into shares is called."""
    return {code: _(name) for code, name in ASSETS.items()}


def _share_page(group: LinkageGroup, errors: dict[str, str]) -> str:
    values = {"starts_on": f"{clock.business_date()}", "code": request.args.get("code", ""), "idempotency_key": new_public_id(), **request.form}
    return render_template(
        "cooperative/share_new.html",
        group=group,
        kinds=kinds(),
        assets=assets(),
        values=values,
        errors=errors,
        crumbs=[(_("成员和联结"), url_for(".index")), (text(group, "name"), url_for(".show", public_id=group.public_id)), (_("加一户或一种联结"), None)],
        **desk(the_actor()),
    )
