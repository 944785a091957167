"""Signing in and out, registering, choosing the organisation to act in, and the language."""

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from sqlalchemy import select

from marketplace.foundation import audit
from marketplace.foundation.config import settings
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import MarketError, NotAllowed
from marketplace.foundation.language import LANGUAGES, N_, said
from marketplace.foundation.language import gettext as _
from marketplace.organisations import own_sign_in
from marketplace.organisations.actor import acting, organisations_of
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import Person, by_login, hash_password, password_fits
from marketplace.organisations.person import register as register_person
from marketplace.web.limits import limiter, named, named_from_here, was_refused
from marketplace.web.permission import current_actor, needs, public, the_actor
from marketplace.web.workplace import workplace

bp = Blueprint("account", __name__)


def safe_next(target: str | None) -> str:
    """A path of this shop to go on to; anything else becomes the home page."""
    target = target or "/"
    parts = urlsplit(target)
    if parts.scheme or parts.netloc or not target.startswith("/") or target.startswith(("//", "/\\")):
        return "/"
    return target


@bp.get("/sign-in")
@public
def sign_in() -> Any:
    people: list[Any] = []
    if settings().demo_sign_ins and not settings().is_production:
        people = list(db.session.scalars(select(Person).where(Person.is_demo).order_by(Person.id)))
    return render_template("account/sign_in.html", next=safe_next(request.args.get("next")), errors={}, values={}, people=people)


@bp.post("/sign-in")
@limiter.limit("60 per 5 minutes", deduct_when=was_refused)
# One address has used up its tries for a name long before the name is shut for everybody: it takes ten addresses to lock a person out.
@limiter.limit("200 per hour", key_func=named, deduct_when=was_refused)
@limiter.limit("10 per 5 minutes; 20 per hour", key_func=named_from_here, deduct_when=was_refused)
@public
def do_sign_in() -> Any:
    login, goal = request.form.get("login", "")[:80], safe_next(request.form.get("next"))
    person = by_login(login)
    fits = password_fits(person, request.form.get("password", ""))
    actor = acting(person.id) if person is not None and fits else None
    if person is None or actor is None:
        errors = {"password": _("登录名或密码不对。手机号注册的，登录名就是手机号。")}
        return render_template("account/sign_in.html", next=goal, errors=errors, values={"login": login}, people=[]), 422
    begin(person.id, actor.organisation_id)
    with transaction():
        audit.record("person.signed_in", db.session.get_one(Person, actor.person_id), person_id=actor.person_id, organisation_id=actor.organisation_id)
    # Who signs in from the front page goes on to what waits at the desk.
    return redirect(workplace(actor) or goal if goal == "/" else goal)


@bp.get("/register")
@public
def register() -> Any:
    return render_template("account/register.html", next=safe_next(request.args.get("next")), errors={}, values={})


@bp.post("/register")
@limiter.limit("30 per hour")
@public
def do_register() -> Any:
    form, goal = request.form, safe_next(request.form.get("next"))
    try:
        chosen = hash_password(form.get("password", ""))
        person_id = transaction(lambda: register_person(phone=form.get("phone", ""), name=form.get("name", ""), password=chosen).id)
    except MarketError as error:
        field = error.data.get("field", "phone")
        values = {"phone": form.get("phone", ""), "name": form.get("name", "")}
        return render_template("account/register.html", next=goal, errors={field: said(error)}, values=values), 422
    actor = acting(person_id)
    assert actor is not None
    begin(person_id, actor.organisation_id)
    flash(_("注册好了，已经登录。"), "done")
    return redirect(goal)


@bp.post("/sign-out")
@public
def sign_out() -> Any:
    language, actor = session.get("language"), current_actor()
    if actor is not None:
        transaction(lambda: own_sign_in.sign_out(actor.person_id))
    session.clear()
    request.environ.pop("market.actor", None)
    if language:
        session["language"] = language
    flash(_("已退出登录。"), "done")
    return redirect("/")


@bp.get("/act-as")
@needs("self")
def choose() -> Any:
    return render_template("account/act_as.html", organisations=organisations_of(the_actor().person_id), next=safe_next(request.args.get("next")))


@bp.post("/act-as/<public_id>")
@needs("self")
def act_as(public_id: str) -> Any:
    organisation = by_public_id(Organisation, public_id)
    actor = acting(the_actor().person_id, organisation.id)
    if actor is None:
        raise NotAllowed("role.missing", N_("您在这个单位没有岗位。"))
    session["organisation_id"] = actor.organisation_id
    return redirect(url_for("account.choose") if not request.form.get("next") else safe_next(request.form["next"]))


@bp.get("/language/<code>")
@public
def choose_language(code: str) -> Any:
    if code in LANGUAGES:
        session["language"] = code
    return redirect(safe_next(request.args.get("next")))


def begin(person_id: int, organisation_id: int) -> None:
    """Start a fresh session for this person, keeping the language and the cart."""
    kept = {name: session[name] for name in ("language", "cart") if name in session}
    session.clear()
    session.update(kept)
    session["person_id"], session["organisation_id"] = person_id, organisation_id
    actor = acting(person_id, organisation_id)
    session["stamp"] = actor.stamp if actor else ""
    session.permanent = True
    request.environ.pop("market.actor", None)
