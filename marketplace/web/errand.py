"""An errand's page: waiting, under way since when, done, refused and why, or given up. It renews itself, with scripts or without."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for

from marketplace.errands import attempt, errand
from marketplace.errands.errand import Errand
from marketplace.foundation import clock, idempotency
from marketplace.foundation.database import by_public_id, transaction
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said
from marketplace.organisations.actor import Actor, scoped
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shared_desk import desk, money_home, names_of

bp = Blueprint("errand", __name__, url_prefix="/errands")

permission("money.read", COOPERATIVE="*", OPERATOR="administrator reviewer treasurer auditor")
permission("errand.again", COOPERATIVE="accountant director")

EVERY = 3  # seconds between two looks


def own(public_id: str, actor: Actor) -> Errand:
    """The errand with this outside name, of one's cooperative; the operator's staff may see all."""
    row: Errand = by_public_id(Errand, public_id, scoped(actor, Errand))
    return row


@dataclass(frozen=True)
class Wanted:
    """A step that somebody wants taken, with what ``errand.ask`` is to be told."""

    step: str
    subject: str
    organisation_id: int
    name: str
    households: int
    path: str
    given: Mapping[str, Any]

    @property
    def takes_long(self) -> bool:
        return errand.takes_long(self.households)


def handed_over(wanted: Wanted, actor: Actor) -> Any:
    """Have a worker take the step, and lead to where one sees how it stands."""
    same = errand.already(wanted.step, wanted.subject, wanted.given)
    return led_to(same.public_id if same else transaction(lambda: asked(wanted, actor)))


def once(wanted: Wanted, work: Callable[[], dict[str, Any]], *, key: str, request: Any, actor: Actor) -> dict[str, Any]:
    """The answer of ``work``, or the errand's name as "errand" where it takes long; the same to a form that is sent again (``key``)."""
    same = errand.already(wanted.step, wanted.subject, wanted.given)
    if same is not None:
        return {"errand": same.public_id}

    def either() -> dict[str, Any]:
        return {"errand": asked(wanted, actor)} if wanted.takes_long else work()

    return transaction(lambda: idempotency.once(f"{wanted.step}:{wanted.organisation_id}", key, request, either))


def led_to(public_id: str) -> Any:
    return redirect(url_for("errand.show", public_id=public_id), 303)


def asked(wanted: Wanted, actor: Actor) -> str:
    """Have a worker take the step, inside a transaction; the errand's outside name."""
    row = errand.ask(
        wanted.step, wanted.subject, organisation_id=wanted.organisation_id, name=wanted.name, households=wanted.households, path=wanted.path,
        given=wanted.given, actor=actor,
    )  # fmt: skip
    return row.public_id


@bp.get("/<public_id>")
@needs("money.read")
def show(public_id: str) -> Any:
    """``was``: what whoever asks has seen; they are told nothing until it is another."""
    actor = the_actor()
    row = own(public_id, actor)
    if request.args.get("was") == row.seen:
        return "", 204
    return render_template(
        "errand/show.html",
        row=row,
        title=_(row.kind.title, of=row.name),
        asker=names_of((row.asked_by_id,)).get(row.asked_by_id, ""),
        result=_result(row),
        done=_(row.kind.done, **row.outcome) if row.state == "DONE" and row.outcome else "",
        refused=said(row.refusal) if row.state == "REFUSED" else "",
        reasons=row.refusal.data.get("errors", []) if row.state == "REFUSED" else [],
        wrong=row.refusal.data.get("count", 0) if row.state == "REFUSED" else 0,
        before=errand.before(row) if row.stage == "WAITING" else 0,
        stands=_("已经办好 %(n)s 户，都记下了；其余的没有改。", n=f"{row.through:,}") if row.through else _("什么也没有改。"),
        late=row.stage == "WAITING" and clock.now() - row.asked_at > errand.LATE,
        usual=errand.usual_seconds(row) if row.state == "ASKED" else None,
        most=attempt.MOST,
        every=EVERY,
        crumbs=[(_("钱") if not actor.is_operator else _("今天"), money_home(actor)), (_("在办"), None)],
        **desk(actor),
    )


@bp.post("/<public_id>/again")
@needs("errand.again")
def again(public_id: str) -> Any:
    """What was given up is tried again."""
    actor = the_actor()
    number = own(public_id, actor).id
    transaction(lambda: errand.ask_again(number, actor=actor))
    return led_to(public_id)


def _result(row: Errand) -> str:
    """Where what came of it is."""
    outcome = (row.outcome or {}) if row.state == "DONE" else {}
    if outcome.get("paper"):
        return url_for(f"{row.step.partition('.')[0]}.show", public_id=outcome["paper"])
    return str(outcome.get("then", row.path))
