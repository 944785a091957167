"""A step that a page asks about first: what is asked, who may take it, and what happens when they say yes.

Distributions, payout batches and other papers of the money go their way by such steps; each keeps its own list of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from flask import flash, redirect, render_template, request

from marketplace.errands import errand
from marketplace.foundation.database import transaction
from marketplace.foundation.errors import InvalidInput, NotAllowed, NotFound
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.organisations.actor import Actor
from marketplace.web.errand import Wanted, handed_over
from marketplace.web.permission import holds
from marketplace.web.shared_desk import desk, typed_version


class Paper(Protocol):
    """What goes by steps: it has a number, an edition, and knows in which states it is."""

    @property
    def id(self) -> Any: ...
    @property
    def organisation_id(self) -> Any: ...
    def must_be(self, *states: str) -> None: ...


P = TypeVar("P", bound=Paper)


@dataclass(frozen=True)
class Step(Generic[P]):
    """A step: who may take it, from which states, what the page says, and what is done (the paper's id, actor, version, reason)."""

    permission: str
    states: tuple[str, ...]
    question: str
    sentence: Callable[[P], str]
    button: Callable[[P], str]
    done: str
    work: Callable[[int, Actor, int, str], Any]
    reason: str = ""  # the field's label, where a reason must be given
    danger: bool = False
    errand: str = ""  # what a worker takes in its stead where households are many


@dataclass(frozen=True)
class Places:
    """Where a paper's pages are: its own, the step's form, and the way that leads here, without the question. Of a paper whose steps
    may be errands: what they are taken with, what people call it, and how many households it has."""

    show: str
    post: str
    crumbs: Sequence[tuple[str, str | None]]
    subject: str = ""
    name: str = ""
    households: Callable[[], int] = int


def chosen(steps: Mapping[str, Step[P]], name: str, actor: Actor) -> Step[P]:
    """The step of this name, for whoever may take it. NotFound, NotAllowed."""
    step = steps.get(name)
    if step is None:
        raise NotFound("step.missing", N_("没有这一步。"))
    if not holds(actor, step.permission):
        raise NotAllowed("permission.missing", N_("您现在的岗位不能办这件事。可以换一个岗位，或请同事来办。"))
    return step


def ask(row: P, step: Step[P], places: Places, actor: Actor, errors: dict[str, str] | None = None) -> str:
    """The page that asks. Conflict, as ``must_be`` says, where the paper is past it; ``errand.under_way`` while another step is taken."""
    row.must_be(*step.states)
    if places.subject:
        errand.must_be_free(places.subject)
    return render_template(
        "distribution/step.html",
        row=row,
        question=_(step.question),
        sentence=step.sentence(row),
        button=step.button(row),
        danger=step.danger,
        reason=_(step.reason) if step.reason else "",
        typed=request.form.get("reason", ""),
        post=places.post,
        back=places.show,
        errors=errors or {},
        crumbs=[*places.crumbs, (_(step.question), None)],
        **desk(actor),
    )


def take(number: int, step: Step[P], actor: Actor, *, again: Callable[[], P], places: Callable[[P], Places]) -> Any:
    """Do what was asked about, and go back to the paper; a reason that is missing is asked for again (of ``again``, read afresh)."""
    reason, version = request.form.get("reason", ""), typed_version()
    before = again()
    its = places(before)
    if step.errand and errand.takes_long(households := its.households()):
        before.must_be(*step.states)
        given = {"id": number, "version": version}
        return handed_over(Wanted(step.errand, its.subject, before.organisation_id, its.name, households, its.show, given), actor)
    if its.subject:
        errand.must_be_free(its.subject)
    try:
        transaction(lambda: step.work(number, actor, version, reason))
    except InvalidInput as error:
        row = again()
        return ask(row, step, places(row), actor, {"reason": said(error)}), 422
    flash(_(step.done), "done")
    return redirect(places(again()).show, 303)
