"""A person's own page: name, phone number, password, language; and the addresses that a buyer keeps."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput, MarketError
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said
from marketplace.organisations import address, own_sign_in
from marketplace.organisations.address import Address
from marketplace.organisations.person import Person, hash_password, is_staff
from marketplace.organisations.region import Region
from marketplace.web.checkout import places, region_of, regions
from marketplace.web.limits import limiter
from marketplace.web.permission import needs, the_actor

bp = Blueprint("own_page", __name__, url_prefix="/account")

FIELDS = ("recipient", "phone", "region", "province", "city", "street")


def _whose() -> str:
    return f"person {the_actor().person_id}"


@bp.get("")
@needs("self")
def show() -> Any:
    return _page({})


@bp.post("/name")
@needs("self")
def rename() -> Any:
    actor = the_actor()
    return _changed(lambda: lambda: own_sign_in.rename(request.form.get("name", ""), actor=actor), _("姓名改好了。"))


@bp.post("/phone")
@limiter.limit("10 per 10 minutes", key_func=_whose)
@needs("self")
def change_phone() -> Any:
    actor, form = the_actor(), request.form

    def proven() -> Callable[[], Any]:
        proof = own_sign_in.proven(form.get("current", ""), actor=actor)
        return lambda: own_sign_in.change_phone(form.get("phone", ""), proof, actor=actor)

    return _changed(proven, _("手机号改好了，以后用新的登录。"), {"current": "phone_current"})


@bp.post("/password")
@limiter.limit("10 per 10 minutes", key_func=_whose)
@needs("self")
def change_password() -> Any:
    actor, form = the_actor(), request.form
    if form.get("password", "") != form.get("again", ""):
        return _page({"again": _("两次填的密码不一样。")}), 422
    if form.get("password", "") == form.get("current", ""):
        return _page({"password": _("新密码和现在的一样。")}), 422

    def proven() -> Callable[[], Any]:
        proof, wanted = own_sign_in.proven(form.get("current", ""), actor=actor), hash_password(form.get("password", ""))
        return lambda: own_sign_in.change_password(proof, wanted, actor=actor)

    return _changed(proven, _("密码改好了。"))


@bp.get("/addresses")
@needs("buy")
def addresses() -> Any:
    return _addresses({}, {})


@bp.post("/addresses")
@needs("buy")
def add() -> Any:
    return _saved(None)


@bp.get("/addresses/<public_id>")
@needs("buy")
def edit(public_id: str) -> Any:
    return _addresses(_typed(_own(public_id)), {}, public_id)


@bp.post("/addresses/<public_id>")
@needs("buy")
def save(public_id: str) -> Any:
    return _saved(public_id)


@bp.post("/addresses/<public_id>/delete")
@needs("buy")
def delete(public_id: str) -> Any:
    actor, row_id = the_actor(), _own(public_id).id
    transaction(lambda: address.retire(row_id, actor=actor))
    flash(_("地址删掉了。以前的订单不受影响。"), "done")
    return redirect(url_for(".addresses"))


def _changed(prepared: Callable[[], Callable[[], Any]], sentence: str, fields: dict[str, str] | None = None) -> Any:
    """``prepared`` does what takes its time, outside of the transaction, and gives what is done in it."""
    try:
        transaction(prepared())
    except MarketError as error:
        db.session.rollback()
        field = str(error.data.get("field", ""))
        return _page({(fields or {}).get(field, field): said(error)}), 422
    flash(sentence, "done")
    return redirect(url_for(".show"))


def _page(errors: dict[str, str]) -> Any:
    person = db.session.get_one(Person, the_actor().person_id)
    page = render_template("account/own.html", person=person, tail=person.phone[-4:], staff=is_staff(person.id), errors=errors, values=request.form)
    return Response(page, headers={"Cache-Control": "private, no-store"})


def _own(public_id: str) -> Address:
    # Scoped as a buyer, whoever the actor is: nobody reads another's address here.
    actor = the_actor()
    return by_public_id(Address, public_id, select(Address).where(Address.organisation_id == actor.organisation_id))


def _typed(row: Address) -> dict[str, str]:
    region = db.session.get(Region, row.region_id) if row.region_id else None
    return {
        "recipient": row.recipient, "phone": row.phone, "region": region.code if region else "", "province": row.province, "city": row.city,
        "street": row.street,
    }  # fmt: skip


def _saved(public_id: str | None) -> Any:
    actor, values = the_actor(), {name: request.form.get(name, "").strip() for name in FIELDS}
    instead_of = _own(public_id).id if public_id else None
    region_id = region_of(values["region"])
    try:
        transaction(
            lambda: address.save(
                recipient=values["recipient"], phone=values["phone"], street=values["street"], region_id=region_id,
                province=values["province"], city=values["city"], instead_of=instead_of, actor=actor,
            )
        )  # fmt: skip
    except MarketError as error:
        db.session.rollback()
        return _addresses(values, {str(error.data.get("field", "recipient")): said(error)}, public_id), 422 if isinstance(error, InvalidInput) else 409
    flash(_("地址存好了。"), "done")
    return redirect(url_for(".addresses"))


def _addresses(values: dict[str, str], errors: dict[str, str], public_id: str | None = None) -> str:
    rows = address.of(the_actor().organisation_id)
    return render_template(
        "account/addresses.html", rows=places(rows), regions=regions(), values=values, errors=errors, editing=public_id,
    )  # fmt: skip
