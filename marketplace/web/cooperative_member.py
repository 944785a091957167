"""One household in a group: its shares with their history, what it delivered and got; ending a share, recording wages, rent and relief."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import by_public_id, db, new_public_id, transaction
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said, text
from marketplace.households import benefit, linkage_share, privacy
from marketplace.households.household import Household
from marketplace.households.linkage_group import LinkageGroup, LinkageShare
from marketplace.settlement.distribution import Distribution, DistributionShare
from marketplace.supply.batch import Batch, Delivery
from marketplace.web import form_input
from marketplace.web.cooperative_desk import desk
from marketplace.web.cooperative_members import assets, kinds, own_group
from marketplace.web.member_list import members
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("cooperative_member", __name__, url_prefix="/cooperative/members")

permission("member.read", COOPERATIVE="*")
permission("member.open", COOPERATIVE="director accountant")
permission("share.edit", COOPERATIVE="director accountant")

SHOWN = 60  # rows of each history


def member_of(group: LinkageGroup, public_id: str) -> Household:
    """The household, if it is or was linked to the group; NotFound otherwise: another one's members are not ours to know."""
    linked = select(LinkageShare.household_id).where(LinkageShare.group_id == group.id)
    return by_public_id(Household, public_id, select(Household).where(Household.id.in_(linked)))


@bp.get("/<group_id>/<public_id>")
@needs("member.read")
def show(group_id: str, public_id: str) -> Any:
    return page(group_id, public_id, {})


@bp.post("/<group_id>/<public_id>/open")
@needs("member.open")
def open_(group_id: str, public_id: str) -> Any:
    """Name and account, whole, for a purpose; the look is recorded."""
    actor = the_actor()
    home_id = member_of(own_group(group_id, actor), public_id).id
    purpose = form_input.given("purpose")
    try:
        whole = transaction(lambda: privacy.opened(home_id, purpose=purpose, actor=actor))
    except InvalidInput as error:
        return page(group_id, public_id, {"purpose": said(error)}), 422
    answer = page(group_id, public_id, {}, whole=whole)
    return answer, 200, {"Cache-Control": "private, no-store"}


@bp.post("/<group_id>/<public_id>/end")
@needs("share.edit")
def end(group_id: str, public_id: str) -> Any:
    actor = the_actor()
    group = own_group(group_id, actor)
    own_id, home_id = group.id, member_of(group, public_id).id
    try:
        kind, last_day, reason = form_input.given("end_kind"), form_input.day("last_day"), form_input.given("reason")
        transaction(lambda: linkage_share.end(own_id, home_id, kind, last_day, reason, actor=actor))
    except (InvalidInput, Conflict) as error:
        return page(group_id, public_id, {str(error.data.get("field", "")): said(error)}), 422 if isinstance(error, InvalidInput) else 409
    flash(_("已登记。以前记下的收益照常发放。"), "done")
    return redirect(url_for(".show", group_id=group_id, public_id=public_id))


@bp.post("/<group_id>/<public_id>/benefits")
@needs("share.edit")
def record(group_id: str, public_id: str) -> Any:
    actor = the_actor()
    group = own_group(group_id, actor)
    own_id, home_id = group.id, member_of(group, public_id).id
    try:
        kind, fen, day = form_input.given("kind"), form_input.fen("amount"), form_input.day("paid_on")
        note, key = form_input.given("note"), form_input.given("idempotency_key")
        transaction(lambda: benefit.record(own_id, home_id, kind, fen, day, note, actor=actor, key=key))
    except InvalidInput as error:
        return page(group_id, public_id, {str(error.data.get("field", "")): said(error)}), 422
    flash(_("已记下。这是合作社另外给的，不从收益池里出。"), "done")
    return redirect(url_for(".show", group_id=group_id, public_id=public_id))


def page(group_id: str, public_id: str, errors: dict[str, str], whole: dict[str, str] | None = None) -> str:
    """The page of one member, masked unless ``whole`` was asked for."""
    actor = the_actor()
    group, today = own_group(group_id, actor), clock.business_date()
    home = member_of(group, public_id)
    (member,) = members(group, select(Household).where(Household.id == home.id), actor)
    delivered = (
        select(Delivery, Batch)
        .join(Batch, Batch.id == Delivery.batch_id)
        .where(Batch.linkage_group_id == group.id, Delivery.household_id == home.id)
        .order_by(Delivery.delivered_on.desc(), Delivery.id.desc())
        .limit(SHOWN)
    )
    got = (
        select(DistributionShare, Distribution)
        .join(Distribution, Distribution.id == DistributionShare.distribution_id)
        .where(DistributionShare.linkage_group_id == group.id, DistributionShare.household_id == home.id, Distribution.state != "WITHDRAWN")
        .order_by(Distribution.period.desc())
        .limit(SHOWN)
    )
    return render_template(
        "cooperative/member.html",
        group=group,
        member=member,
        exited_on=home.exited_on,
        whole=whole,
        deliveries=db.session.execute(delivered).all(),
        distributions=db.session.execute(got).all(),
        benefits=benefit.of(group.id, home.id),
        kinds=kinds(),
        assets=assets(),
        open_kinds=[(share.kind, kinds()[share.kind]) for share in member.shares if share.ends_on is None],
        paid_kinds=[(kind, kinds()[kind]) for kind in benefit.KINDS if any(share.kind == kind and share.in_force(today) for share in member.shares)],
        purposes=[(code, _(name)) for code, name in privacy.PURPOSES.items()],
        today=today,
        values={"last_day": f"{today}", "paid_on": f"{today}", "idempotency_key": new_public_id(), **request.form},
        errors=errors,
        crumbs=[
            (_("成员和联结"), url_for("cooperative_members.index")), (text(group, "name"), url_for("cooperative_members.show", public_id=group.public_id)),
            (member.code, None),
        ],
        **desk(actor),
    )  # fmt: skip
