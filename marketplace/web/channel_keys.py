"""Keys of payment channels: a cooperative's own, or the platform's. New ones stand beside the old; a second person confirms them, then
switches; then the old is retired."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.config import settings
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput, OutsideFailure
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Organisation
from marketplace.payments import channel_key, key_material, key_print, lacking_permission
from marketplace.payments.channel_key import ChannelKey
from marketplace.payments.lacking_permission import HOW, OTHER, WAITS
from marketplace.web import payment_words
from marketplace.web.limits import limiter, signed_in
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shared_desk import desk, names_of, typed_version

bp = Blueprint("channel_keys", __name__, url_prefix="/keys")

permission("key.handle", COOPERATIVE="director accountant", OPERATOR="administrator treasurer")

STATES = {  # (words, kind of tag)
    "ADDED": (N_("等核对"), "wait"), "CONFIRMED": (N_("核对过，等启用"), "wait"), "CURRENT": (N_("正在用"), ""), "OLD": (N_("旧的，还认"), "still"), "RETIRED": (N_("已作废"), "still"),
}  # fmt: skip
STEPS: dict[str, tuple[Callable[..., ChannelKey], str]] = {
    "confirm": (channel_key.confirm, N_("核对过了。从现在起认它签的通知；渠道那边准备好，再启用。")),
    "switch": (channel_key.switch, N_("换好了。旧的那套还认，等渠道那边也换好再作废。")),
    "retire": (channel_key.retire, N_("作废了，里面的密钥已经销毁。")),
}
LARGEST = 20_000  # characters of one certificate


@bp.get("")
@needs("key.handle")
def index() -> Any:
    return _page({}, "")


@bp.post("/stripe")
@limiter.limit("10 per hour", key_func=signed_in)  # Stripe is asked, and may take its time
@needs("key.handle")
def add_stripe() -> Any:
    actor = the_actor()
    given = {name: request.form.get(name, "")[:300] for name in ("account", "secret_key", "webhook_secret")}
    try:
        owned = key_material.ask_stripe(**given)
    except (InvalidInput, OutsideFailure) as error:
        return _page({str(error.data.get("field", "secret_key")): said(error)}, "stripe"), 422 if isinstance(error, InvalidInput) else 503
    return _added(lambda: key_material.add_stripe(actor.organisation_id, **given, owned=owned, actor=actor), "stripe")


@bp.post("/alipay")
@needs("key.handle")
def add_alipay() -> Any:
    actor, form = the_actor(), request.form
    try:
        texts = [_text(name) for name in ("root", "theirs", "own")]
    except InvalidInput as error:
        return _page({"certificates": said(error)}, "alipay"), 422
    if any(texts) and not all(texts):
        return _page({"certificates": _("三份证书要一起交。")}, "alipay"), 422
    return _added(
        lambda: key_material.add_alipay(
            actor.organisation_id, private=form.get("private_key", "")[:LARGEST], public=form.get("alipay_public_key", "")[:LARGEST],
            certificates=(texts[0], texts[1], texts[2]) if all(texts) else None, actor=actor,
        ),
        "alipay",
    )  # fmt: skip


@bp.get("/<public_id>/<step>")
@needs("key.handle")
def ask(public_id: str, step: str) -> Any:
    """The question before confirming, switching, or retiring."""
    row = _own(public_id)
    if step not in STEPS:
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="step")
    return _question(row, step, {})


def _question(row: ChannelKey, step: str, errors: dict[str, str]) -> str:
    prints = key_print.parts_of(row.channel, row.parts) if step == "confirm" and row.state == "ADDED" else []
    return render_template(
        "payment/key_step.html", row=row, step=step, public=key_material.shown_public(row), prints=prints, words=_part_words(), errors=errors,
        last=key_print.LAST, last_of_key=key_print.LAST_OF_KEY, **desk(the_actor()),
    )  # fmt: skip


def _part_words() -> dict[str, str]:
    return {
        "alipay_public_key": _("支付宝公钥"), "own_public_key": _("我们的公钥"), "alipay": _("支付宝公钥证书"), "root": _("支付宝根证书"),
        "app": _("应用公钥证书"),
    }  # fmt: skip


@bp.post("/<public_id>/<step>")
@needs("key.handle")
def act(public_id: str, step: str) -> Any:
    actor, row, version = the_actor(), _own(public_id), typed_version()
    if step not in STEPS:
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="step")
    number, (work, done) = row.id, STEPS[step]
    given: dict[str, Any] = {name: request.form.get(name, "")[:200] for name in ("seen", "seen_key")} if step == "confirm" else {}
    try:
        if step == "switch":
            given = {"owned": key_material.ask_before_switch(row)}
        transaction(lambda: work(number, version=version, actor=actor, **given))
    except (InvalidInput, OutsideFailure) as error:
        db.session.rollback()
        return _question(_own(public_id), step, {str(error.data.get("field", "seen")): said(error)}), 422 if isinstance(error, InvalidInput) else 503
    flash(_(done), "done")
    return redirect(url_for(".index"), 303)


def _own(public_id: str) -> ChannelKey:
    own = select(ChannelKey).where(ChannelKey.organisation_id == the_actor().organisation_id)
    return by_public_id(ChannelKey, public_id, own)


def _added(work: Any, which: str) -> Any:
    try:
        transaction(work)
    except InvalidInput as error:
        db.session.rollback()
        return _page({str(error.data.get("field", "")): said(error)}, which), 422
    flash(_("加好了，等另一个人核对；在那之前一切照旧，它签的什么都不认。"), "done")
    return redirect(url_for(".index"), 303)


def _text(name: str) -> str:
    """A certificate that was uploaded; empty if none was. InvalidInput for something that is no text."""
    file = request.files.get(name)
    content = file.read(LARGEST + 1) if file else b""
    if len(content) > LARGEST or not content.isascii():
        raise InvalidInput("key.certificate", N_("证书不能用：%(reason)s。"), field="certificates", reason=name)
    return content.decode("ascii").strip()


def _page(errors: dict[str, str], which: str) -> str:
    actor = the_actor()
    rows = channel_key.history(actor.organisation_id)
    return render_template(
        "payment/keys.html",
        rows=rows,
        states=STATES,
        people=names_of(each for row in rows for each in (row.added_by_id, row.confirmed_by_id, row.switched_by_id)),
        publics={row.id: key_material.shown_public(row) for row in rows if row.state == "ADDED"},
        now=clock.now(),
        notice_url=_notice_url(actor),
        wrong_key=payment_words.WRONG_KEY,
        lacks=[(row, *lacking_permission.in_console(row.permission), WAITS.get(row.kind, OTHER)) for row in lacking_permission.of(actor.organisation_id)],
        how=HOW,
        errors=errors,
        which=which,
        values={} if which == "" else {"account": request.form.get("account", "")},  # secrets are never sent back
        **desk(actor),
    )


def _notice_url(actor: Actor) -> str:
    own = db.session.get_one(Organisation, actor.organisation_id)
    return f"{settings().base_url.rstrip('/')}/stripe/notice/{own.public_id}"
