"""The cooperative's split schemes: what is in force for each kind of goods, the history, and the director's proposal of a change."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.catalogue import scheme_proposal, split_scheme
from marketplace.catalogue.category import CATEGORIES
from marketplace.catalogue.scheme_proposal import Parts, SchemeProposal
from marketplace.foundation import clock
from marketplace.foundation.database import by_public_id, db, new_public_id, transaction
from marketplace.foundation.errors import InvalidInput, NotFound
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.organisations.actor import scoped
from marketplace.organisations.approval import Approval
from marketplace.organisations.organisation import Cooperative
from marketplace.web import form_input
from marketplace.web.cooperative_desk import desk
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("cooperative_schemes", __name__, url_prefix="/cooperative/schemes")

permission("cooperative.read", COOPERATIVE="*")
permission("scheme.propose", COOPERATIVE="director")

PARTS = ("household_pool_bp", "cooperative_bp", "village_collective_bp", "relief_fund_bp")
SHOWN = 30  # proposals of the past


@bp.get("")
@needs("cooperative.read")
def index() -> Any:
    actor = the_actor()
    seller = db.session.scalars(select(Cooperative).where(Cooperative.organisation_id == actor.organisation_id)).one_or_none()
    history = split_scheme.history(actor.organisation_id)
    codes = [code for code in CATEGORIES if code in history or (seller is not None and seller.may_sell(code))]
    query = select(SchemeProposal).where(SchemeProposal.organisation_id == actor.organisation_id)
    proposals = list(db.session.scalars(query.order_by(SchemeProposal.id.desc()).limit(SHOWN)))
    words = select(Approval).where(
        Approval.subject_type == SchemeProposal.__tablename__, Approval.subject_id.in_([each.id for each in proposals])
    )
    return render_template(
        "cooperative/schemes.html",
        goods=[(code, _(CATEGORIES[code][0]), history.get(code, [])) for code in codes],
        proposals=proposals,
        names={code: _(name) for code, (name, _licence) in CATEGORIES.items()},
        words={word.subject_id: word for word in db.session.scalars(words)},
        reasons={each.scheme_id: each.reason for each in proposals if each.scheme_id},
        today=clock.business_date(),
        **desk(actor),
    )


@bp.get("/new/<category>")
@needs("scheme.propose")
def new(category: str) -> Any:
    return _page(category, {})


@bp.post("/new/<category>")
@needs("scheme.propose")
def propose(category: str) -> Any:
    actor = the_actor()
    _known(category)
    try:
        parts = Parts(**{name: form_input.percent(name) for name in PARTS})
        first, reason, key = form_input.day("effective_from"), form_input.given("reason"), form_input.given("idempotency_key")
        transaction(lambda: scheme_proposal.propose(category, parts, first, reason, actor=actor, key=key))
    except InvalidInput as error:
        return _page(category, {str(error.data.get("field", "")): said(error)}), 422
    flash(_("已送县运营方审批。批准后从执行日起用于新订单，已下的订单不变。"), "done")
    return redirect(url_for(".index"))


@bp.post("/<public_id>/withdraw")
@needs("scheme.propose")
def withdraw(public_id: str) -> Any:
    actor = the_actor()
    row_id = by_public_id(SchemeProposal, public_id, scoped(actor, SchemeProposal)).id
    version = form_input.version()
    transaction(lambda: scheme_proposal.withdraw(row_id, version=version, actor=actor))
    flash(_("已撤回。现在的方案继续有效。"), "done")
    return redirect(url_for(".index"))


def _known(category: str) -> None:
    if category not in CATEGORIES:
        raise NotFound("category.missing", N_("没有找到，或不归您的单位查看。"))


def _page(category: str, errors: dict[str, str]) -> str:
    _known(category)
    actor = the_actor()
    before = split_scheme.latest(actor.organisation_id, category)
    kept = {name: f"{getattr(before, name) / 100:g}" for name in PARTS} if before else {}
    return render_template(
        "cooperative/scheme_new.html",
        category=category,
        name=_(CATEGORIES[category][0]),
        before=before,
        waiting=scheme_proposal.waiting(actor.organisation_id, category),
        values={**kept, "idempotency_key": new_public_id(), **request.form},
        errors=errors,
        crumbs=[(_("分账方案"), url_for(".index")), (_(CATEGORIES[category][0]), None)],
        **desk(actor),
    )
