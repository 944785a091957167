"""An errand (交办): a step that a person asked for and a worker takes, with what was given and what came of it.

Of one subject there is at most one errand under way. What it does and that it is done are one transaction (``attempt``).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.errands.step import Step, steps
from marketplace.foundation import audit, clock, outbox
from marketplace.foundation.config import settings
from marketplace.foundation.database import Model, Public, broke_unique, db, get, locked, not_found
from marketplace.foundation.errors import Conflict, MarketError
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor

KIND = "errand"  # of the outbox's messages, and whom they are apart from others for
STATES = ("ASKED", "DONE", "REFUSED", "FAILED")
TOLD = timedelta(days=1)  # how long a paper's page tells of an errand that came to nothing
LATE = timedelta(minutes=2)  # after which an errand that nobody has begun means that no worker runs
LOOKED_AT = 100  # errands of a subject among which one is looked for
_OPEN = text("state = 'ASKED'")


class Errand(Public, Model):
    """``subject`` is what the step is taken with; ``name`` what people call it, ``path`` the page from which it was asked for.

    DONE: ``outcome`` is what the step answered. REFUSED: the error's code, message and data; nothing was changed. FAILED: given up
    after ``attempt.MOST`` attempts, and nothing was changed either; it may be asked for again. Of a step in goes: nothing beyond ``gone``.
    """

    __tablename__ = "errand"
    __table_args__ = (
        CheckConstraint("state IN ('ASKED','DONE','REFUSED','FAILED')", name="state"),
        CheckConstraint("(state = 'ASKED') = (ended_at IS NULL)", name="ended"),
        Index("uq_errand_under_way", "subject", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index("ix_errand_subject", "subject", "id"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    step: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(60))
    name: Mapped[str] = mapped_column(String(60))
    path: Mapped[str] = mapped_column(String(200))
    given: Mapped[dict[str, Any]]
    households: Mapped[int]
    asked_at: Mapped[datetime]
    asked_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    state: Mapped[str] = mapped_column(String(8), default="ASKED")
    attempts: Mapped[int] = mapped_column(default=0)
    began_at: Mapped[datetime | None]  # of the attempt under way, or of the last one
    ended_at: Mapped[datetime | None]
    outcome: Mapped[dict[str, Any] | None]
    # How far the attempt under way is with what it does ahead of its transaction: so much of so much, or None where nothing is told.
    told: Mapped[int | None]
    told_of: Mapped[int | None]
    gone: Mapped[dict[str, Any] | None]  # what the last go answered, of a step in goes: that much is done, and the next one goes on from there

    @property
    def kind(self) -> Step:
        return steps[self.step]

    @property
    def stage(self) -> str:
        """The state, and of what was asked for: WAITING, RUNNING or AGAIN (an attempt failed, and another will be made)."""
        if self.state != "ASKED":
            return self.state
        return "RUNNING" if self.began_at else "AGAIN" if self.attempts else "WAITING"

    @property
    def through(self) -> int:
        """How many households its goes are through: what has been done of an errand that stopped."""
        return int((self.gone or {}).get("done", 0))

    @property
    def seen(self) -> str:
        """What whoever looks has seen of it: the stage, and how far it is."""
        return f"{self.stage}-{self.told}" if self.stage == "RUNNING" and self.told_of else self.stage

    @property
    def refusal(self) -> MarketError:
        """Why it was refused, to be said in a reader's language."""
        outcome = self.outcome or {}
        return MarketError(outcome.get("code", ""), outcome.get("message", ""), **outcome.get("data", {}))


def takes_long(households: int) -> bool:
    """Whether a step with so many households is an errand (ERRAND_HOUSEHOLDS), and is not taken while a page waits."""
    return households >= settings().errand_households


def ask(
    step: str, subject: str, *, organisation_id: int, name: str, households: int, path: str, given: Mapping[str, Any], actor: Actor
) -> Errand:
    """Have a worker take the step. Asked for twice, by whomever, it is one errand.

    Raises NotAllowed unless the actor may take such a step in this cooperative; Conflict ``errand.under_way`` while another step of
    the subject is. What the step itself demands is looked at when it is taken.
    """
    actor.must_have("COOPERATIVE", *steps[step].roles)
    if actor.organisation_id != organisation_id:
        raise not_found(Errand)
    row = Errand(
        organisation_id=organisation_id, step=step, subject=subject, name=name, path=path, given=dict(given), households=households,
        asked_at=clock.now(), asked_by_id=actor.person_id, state="ASKED", attempts=0,
    )  # fmt: skip
    try:
        with db.session.begin_nested():
            db.session.add(row)
    except IntegrityError as error:
        if not broke_unique(error):
            raise
        same = already(step, subject, given)
        if same is None:  # it ended just now
            raise _occupied() from error
        return same
    audit.record("errand.asked", row, person_id=actor.person_id, step=step, of=subject)
    return _put(row)


def ask_again(errand_id: int, *, actor: Actor) -> Errand:
    """Have what was given up tried again, for whoever asks now. Raises as ``ask``, Conflict ``errand.state`` unless it failed."""
    row = get(Errand, errand_id)
    actor.must_have("COOPERATIVE", *row.kind.roles)
    if actor.organisation_id != row.organisation_id:
        raise not_found(Errand)
    if row.state == "ASKED":  # whoever takes it holds it
        return row
    row = locked(Errand, errand_id)
    if row.state != "FAILED":
        raise Conflict("errand.state", N_("这一步已经有结果了，不用再办。"), state=row.state)
    must_be_free(row.subject)
    row.state, row.attempts, row.began_at, row.ended_at, row.outcome = "ASKED", 0, None, None, None
    if row.gone is None:
        row.told = row.told_of = None
    row.asked_at, row.asked_by_id = clock.now(), actor.person_id
    db.session.flush()
    audit.record("errand.asked_again", row, person_id=actor.person_id, step=row.step, of=row.subject)
    return _put(row)


def under_way(subject: str) -> Errand | None:
    """The errand of a subject that has no end yet."""
    return db.session.scalars(select(Errand).where(Errand.subject == subject, Errand.state == "ASKED")).one_or_none()


def already(step: str, subject: str, given: Mapping[str, Any]) -> Errand | None:
    """This very errand, if it is under way; Conflict ``errand.under_way`` if another of the subject is. It is looked at, and nobody waits
    for a lock."""
    row = under_way(subject)
    if row is not None and (row.step, row.given) != (step, dict(given)):
        raise _occupied()
    return row


def must_be_free(subject: str) -> None:
    """Raise Conflict ``errand.under_way`` while any step of the subject is."""
    if under_way(subject) is not None:
        raise _occupied()


def standing(subject: str, version: int) -> Errand | None:
    """The subject's last errand, while it is under way; or, for a day, if it came to nothing and the subject still is at that ``version``."""
    row = db.session.scalars(select(Errand).where(Errand.subject == subject).order_by(Errand.id.desc()).limit(1)).first()
    if row is None or row.ended_at is None:
        return row
    came_to_nothing = row.state != "DONE" and row.given.get("version", version) == version
    return row if came_to_nothing and clock.now() - row.ended_at < TOLD else None


def latest(step: str, subject: str, given: Mapping[str, Any]) -> Errand | None:
    """The last errand of this step with just that given, however it ended."""
    query = select(Errand).where(Errand.subject == subject, Errand.step == step).order_by(Errand.id.desc())
    return next((row for row in db.session.scalars(query.limit(LOOKED_AT)) if row.given == dict(given)), None)


def waiting(organisation_id: int) -> Sequence[Errand]:
    """An organisation's errands that have no end yet, the oldest first."""
    return db.session.scalars(select(Errand).where(Errand.organisation_id == organisation_id, Errand.state == "ASKED").order_by(Errand.id)).all()


def before(row: Errand) -> int:
    """How many errands of anybody's a worker takes first."""
    query = select(func.count()).select_from(Errand).where(Errand.state == "ASKED", Errand.id != row.id, Errand.asked_at <= row.asked_at)
    return db.session.scalar(query) or 0


def usual_seconds(row: Errand) -> int | None:
    """How long the step may take for so many households, by the last that was done here; None for the first."""
    query = select(Errand).where(Errand.step == row.step, Errand.state == "DONE", Errand.households > 0).order_by(Errand.id.desc()).limit(1)
    last = db.session.scalars(query).first()
    if last is None or last.began_at is None or last.ended_at is None:
        return None
    return round((last.ended_at - last.began_at).total_seconds() * row.households / last.households)


def _put(row: Errand) -> Errand:
    outbox.put(KIND, row.public_id, {"errand_id": row.id})
    return row


def _occupied() -> Conflict:
    return Conflict("errand.under_way", N_("另外一步正在办，办完以后才能办这一步。户数多的要几分钟，请稍后刷新看看。"))
