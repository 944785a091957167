"""A person's inbox, and what they wish to be told: in the inbox, by e-mail, every morning. Each their own only."""

from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput, MarketError
from marketplace.foundation.language import N_, language, said
from marketplace.foundation.language import gettext as _
from marketplace.notices import mail, mail_wish, message
from marketplace.notices.message import Message
from marketplace.web.limits import limiter, signed_in
from marketplace.web.permission import needs, the_actor

bp = Blueprint("messages", __name__)

PAGE = 30


@bp.get("/messages")
@needs("self")
def index() -> Any:
    actor, unread = the_actor(), "unread" in request.args
    before = request.args.get("before", "0")
    if not (before.isascii() and before.isdigit() and len(before) < 16):
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="before")
    rows = message.inbox(actor.person_id, unread=unread, before_id=int(before), limit=PAGE + 1)
    return _private(
        render_template(
            "account/messages.html",
            rows=[(row, message.said(row)[0]) for row in rows[:PAGE]],
            unread=unread,
            next_url=url_for(".index", before=rows[PAGE - 1].id, unread=1 if unread else None) if len(rows) > PAGE else None,
        )
    )


@bp.get("/messages/<public_id>")
@needs("self")
def show(public_id: str) -> Any:
    person_id = the_actor().person_id
    row = by_public_id(Message, public_id, select(Message).where(Message.person_id == person_id))
    if row.read_at is None:
        row_id = row.id
        transaction(lambda: message.read(person_id, [row_id]))
        row = db.session.get_one(Message, row_id)
    subject, text = message.said(row)
    return _private(render_template("account/message.html", row=row, subject=subject, said=text))


@bp.post("/messages/read")
@needs("self")
def read_all() -> Any:
    person_id = the_actor().person_id
    transaction(lambda: message.read(person_id))
    return redirect(url_for(".index"), 303)


@bp.get("/account/mail")
@needs("self")
def wishes() -> Any:
    return _page({})


@bp.post("/account/mail")
@limiter.limit("20 per hour", key_func=signed_in)  # each new address is written to
@needs("self")
def save() -> Any:
    actor, form = the_actor(), request.form
    version = form.get("version", "0")
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise InvalidInput("version.bad", N_("请刷新页面再试。"), field="version")
    try:
        row = transaction(
            lambda: mail_wish.save(
                address=form.get("address", ""), language=form.get("language", ""), alarms="alarms" in form, digest="digest" in form,
                by_mail="by_mail" in form, version=int(version), actor=actor,
            )
        )  # fmt: skip
    except InvalidInput as error:
        db.session.rollback()
        return _page({str(error.data.get("field", "address")): said(error)}), 422
    if row.address and row.confirmed_at is None:
        flash(_("存好了。打开我们发到这个邮箱的信，点确认，以后才会发提醒。"), "done")
    else:
        flash(_("存好了。"), "done")
    return redirect(url_for(".wishes"), 303)


@bp.get("/account/mail/confirm/<token>")
@needs("self")
def ask_to_confirm(token: str) -> Any:
    mail_wish.linked(token, actor=the_actor())
    return render_template("account/mail_confirm.html", token_of_link=token)


@bp.post("/account/mail/confirm/<token>")
@needs("self")
def confirm(token: str) -> Any:
    actor = the_actor()
    try:
        transaction(lambda: mail_wish.confirm(token, actor=actor))
    except MarketError as error:
        db.session.rollback()
        return _page({"address": said(error)}), 409
    flash(_("邮箱确认好了，以后的提醒会发到这里。"), "done")
    return redirect(url_for(".wishes"), 303)


def _page(errors: dict[str, str]) -> Any:
    row = mail_wish.of(the_actor().person_id)
    values: dict[str, Any] = (
        {"address": row.address, "language": row.language, "alarms": row.alarms, "digest": row.digest, "by_mail": row.by_mail}
        if row
        else {"address": "", "language": language(), "alarms": True, "digest": False, "by_mail": True}
    )
    if errors and request.method == "POST" and "version" in request.form:
        values |= {"address": request.form.get("address", ""), **{name: name in request.form for name in ("alarms", "digest", "by_mail")}}
    return _private(
        render_template("account/mail.html", row=row, values=values, version=row.version if row else 0, errors=errors, can_send=mail.can_send())
    )


def _private(page: str) -> Response:
    return Response(page, headers={"Cache-Control": "private, no-store"})
