"""A unit's commitments (认购承诺): pledge, see what was drawn, take back. A pledge moves no stock and no money."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.catalogue.category import Category
from marketplace.foundation import clock
from marketplace.foundation.database import by_public_id, db, new_public_id, transaction
from marketplace.foundation.errors import InvalidInput, MarketError
from marketplace.foundation.language import N_, said, text
from marketplace.foundation.language import gettext as _
from marketplace.foundation.money import parse_yuan
from marketplace.organisations.actor import scoped
from marketplace.organisations.organisation import Organisation
from marketplace.procurement import commitment
from marketplace.procurement.target import Commitment
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.spreadsheet import download
from marketplace.web.unit_desk import desk

bp = Blueprint("unit_commitments", __name__, url_prefix="/unit/commitments")

permission("unit.read", UNIT="*")
permission("unit.buy", UNIT="buyer")


@bp.get("")
@needs("unit.read")
def index() -> Any:
    return _page({})


@bp.post("")
@needs("unit.buy")
def make() -> Any:
    actor, form = the_actor(), request.form
    try:
        try:
            fen = parse_yuan(form.get("yuan", ""))
        except ValueError:
            raise InvalidInput("fen.bad", N_("请填写认购金额。"), field="fen") from None
        year = form.get("year", "")
        sellers = select(Organisation).where(Organisation.kind == "COOPERATIVE")
        seller = by_public_id(Organisation, form["cooperative"], sellers).id if form.get("cooperative") else None
        transaction(
            lambda: commitment.make(
                fen=fen, year=int(year) if year.isascii() and year.isdigit() and len(year) == 4 else 0, cooperative_id=seller,
                category=form.get("category") or None, note=form.get("note", ""), actor=actor, key=form.get("idempotency_key", ""),
            )
        )  # fmt: skip
    except MarketError as error:
        db.session.rollback()
        return _page({{"fen": "yuan", "cooperative_id": "cooperative"}.get(str(error.data.get("field", "")), str(error.data.get("field", ""))): said(error)}), 422
    flash(_("已承诺。下单时选上它，就算在它名下。"), "done")
    return redirect(url_for(".index"))


@bp.post("/<public_id>/withdraw")
@needs("unit.buy")
def withdraw(public_id: str) -> Any:
    actor, version = the_actor(), request.form.get("version", "")
    row_id = by_public_id(Commitment, public_id, scoped(actor, Commitment)).id
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise InvalidInput("decision.bad", N_("这一页不完整，请刷新后再试。"), field="version")
    transaction(lambda: commitment.withdraw(row_id, version=int(version), actor=actor))
    flash(_("承诺已收回。已经下的单不受影响。"), "done")
    return redirect(url_for(".index"))


def _page(errors: dict[str, str]) -> Any:
    actor = the_actor()
    rows = commitment.of_unit(actor.organisation_id)
    if "export" in request.args:
        columns = [
            (_("年份"), "whole"), (_("合作社"), "text"), (_("品类"), "text"), (_("承诺"), "fen"), (_("已下单"), "fen"), (_("还剩"), "fen"), (_("状态"), "text"), (_("备注"), "text"),
        ]  # fmt: skip
        words = states()
        lines = [
            (each.row.year, each.cooperative, each.category, each.row.fen, each.drawn_fen, each.left_fen, words[each.state], each.row.note) for each in rows
        ]
        return download(_("认购承诺"), columns, lines)
    this = clock.business_date().year
    return render_template(
        "unit/commitments.html",
        rows=rows,
        states=states(),
        years=[(str(each), str(each)) for each in (this, this + 1)],
        sellers=[(each.public_id, text(each, "name")) for each in db.session.scalars(select(Organisation).where(Organisation.kind == "COOPERATIVE", Organisation.suspended_at.is_(None)).order_by(Organisation.name_zh))],
        categories=[(each.code, text(each, "name")) for each in db.session.scalars(select(Category).order_by(Category.position))],
        values=request.form,
        errors=errors,
        key=request.form.get("idempotency_key") or new_public_id(),
        **{name: value for name, value in desk(actor).items() if name != "states"},
    )


def states() -> dict[str, str]:
    """The words for how a pledge stands."""
    return {"OPEN": _("在办"), "FULFILLED": _("已兑现"), "WITHDRAWN": _("已收回"), "LAPSED": _("过期")}
