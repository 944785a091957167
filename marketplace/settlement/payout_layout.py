"""A bank's layout as a cooperative keeps it: how its payout file is written and how its results are read.

The accountant chooses one, and changes it as the bank changes its template. A batch that was approved keeps the form that it was
approved under: what is changed here concerns later files only, and how results that are still to come are read.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Model, Public, Versioned, db, locked, not_found
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.language import gettext as _
from marketplace.organisations.actor import Actor
from marketplace.settlement import payout_form, payout_preset
from marketplace.settlement.payout_form import Answer, Form
from marketplace.settlement.payout_item import PayoutBatch

LONGEST_NAME = 40
MOST_LAYOUTS = 50  # of a cooperative


class PayoutLayout(Public, Versioned, Model):
    """``form`` is of the file that we give, ``answer`` of the results that the bank gives back; both as ``payout_form`` keeps them."""

    __tablename__ = "payout_layout"
    __table_args__ = (UniqueConstraint("organisation_id", "name"),)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    name: Mapped[str] = mapped_column(String(LONGEST_NAME))
    form: Mapped[dict[str, Any]]
    answer: Mapped[dict[str, Any]]
    made_at: Mapped[datetime]
    made_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    changed_at: Mapped[datetime]
    changed_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    retired_at: Mapped[datetime | None]  # is offered no more

    @property
    def its_form(self) -> Form:
        return payout_form.form_of(self.form)

    @property
    def its_answer(self) -> Answer:
        return payout_form.answer_of(self.answer)


def offered(organisation_id: int) -> list[PayoutLayout]:
    """What the cooperative may choose, the latest used first."""
    query = select(PayoutLayout).where(PayoutLayout.organisation_id == organisation_id, PayoutLayout.retired_at.is_(None))
    return list(db.session.scalars(query.order_by(PayoutLayout.changed_at.desc(), PayoutLayout.id.desc()).limit(MOST_LAYOUTS)))


def latest(organisation_id: int) -> PayoutLayout | None:
    """What the cooperative's last batch for a bank was made with, or the only layout that it has."""
    query = (
        select(PayoutLayout)
        .join(PayoutBatch, PayoutBatch.layout_id == PayoutLayout.id)
        .where(PayoutBatch.organisation_id == organisation_id, PayoutLayout.retired_at.is_(None))
        .order_by(PayoutBatch.id.desc())
        .limit(1)
    )
    used = db.session.scalars(query).first()
    if used is not None:
        return used
    rows = offered(organisation_id)
    return rows[0] if rows else None


def add(name: str, form: Form, *, actor: Actor, answer: Answer | None = None) -> PayoutLayout:
    """A layout of one's own. By the accountant. InvalidInput ``layout.name``, ``layout.known``, Conflict ``layout.many``, else as ``payout_form.checked``."""
    actor.must_have("COOPERATIVE", "accountant")
    form = payout_form.checked(form)
    row = PayoutLayout(
        organisation_id=actor.organisation_id, name=_name(name), form=form.kept(),
        answer=payout_form.checked_answer(answer or payout_form.answer(form.money)).kept(), made_at=clock.now(), made_by_id=actor.person_id,
        changed_at=clock.now(), changed_by_id=actor.person_id, version=1,
    )  # fmt: skip
    if len(offered(actor.organisation_id)) >= MOST_LAYOUTS:
        raise Conflict("layout.many", N_("版式最多 %(most)s 个，请先停用不用的。"), most=MOST_LAYOUTS)
    _write(row)
    audit.record("payout_layout.added", row, person_id=actor.person_id, name=row.name, form=row.form)
    db.session.flush()
    return row


def change(
    layout_id: int, *, actor: Actor, version: int, name: str | None = None, form: Form | None = None, answer: Answer | None = None
) -> PayoutLayout:
    """Write later files, and read later results, in this way. What it was stands in the audit. Raises as ``add``."""
    row = _own(layout_id, actor)
    row.must_be_version(version)
    before = {"name": row.name, "form": row.form, "answer": row.answer}
    if name is not None:
        row.name = _name(name)
    if form is not None:
        row.form = payout_form.checked(form).kept()
    if answer is not None:
        row.answer = payout_form.checked_answer(answer).kept()
    after = {"name": row.name, "form": row.form, "answer": row.answer}
    changed = {what: [before[what], after[what]] for what in after if before[what] != after[what]}
    row.changed_at, row.changed_by_id = clock.now(), actor.person_id
    _write(row)
    audit.record("payout_layout.changed", row, person_id=actor.person_id, changed=changed)
    db.session.flush()
    return row


def retire(layout_id: int, *, actor: Actor, version: int) -> PayoutLayout:
    """Offer it no more; batches that were made with it keep it. Its name is free again."""
    row = _own(layout_id, actor)
    row.must_be_version(version)
    if row.retired_at is None:
        row.retired_at = clock.now()
        row.name = f"{row.name[: LONGEST_NAME - 12]}·{row.public_id[:10]}"
        db.session.flush()
        audit.record("payout_layout.retired", row, person_id=actor.person_id)
    return row


def chosen(layout_id: int | None, organisation_id: int) -> PayoutLayout | None:
    """The layout that was chosen for a batch; None stands for the first preset. NotFound for another cooperative's, or a retired one."""
    if layout_id is None:
        return None
    row = db.session.get(PayoutLayout, layout_id)
    if row is None or row.organisation_id != organisation_id or row.retired_at is not None:
        raise not_found(PayoutLayout)
    return row


def form_for(layout: PayoutLayout | None) -> dict[str, Any]:
    """What a draft keeps of the layout that was chosen for it: the director approves this, whatever the layout becomes. Raises as ``add``."""
    return payout_form.checked(layout.its_form if layout else payout_preset.form(payout_preset.FIRST)).kept()


def still_offered(layout_id: int | None) -> int | None:
    """The same layout for a batch that follows another; None once it was retired."""
    row = db.session.get(PayoutLayout, layout_id) if layout_id is not None else None
    return row.id if row is not None and row.retired_at is None else None


def form_of(batch: PayoutBatch) -> Form:
    """The form that a batch was approved under, or will be: as its layout was when it was chosen."""
    return payout_form.form_of(batch.form) if batch.form is not None else payout_preset.form(payout_preset.FIRST)


def answer_of(batch: PayoutBatch) -> Answer:
    """How the results of a batch are read now."""
    if batch.layout_id is not None:
        return db.session.get_one(PayoutLayout, batch.layout_id).its_answer
    return payout_form.answer(form_of(batch).money)


def teach(
    batch: PayoutBatch, *, actor: Actor, columns: Mapping[str, str | int] | None = None, words: Mapping[str, str] | None = None, heading: bool | None = None
) -> PayoutLayout:
    """Keep what an accountant or director says of a results file with the batch's layout: which column is what, what a word means.

    A batch without a layout gets one, of its form. Raises as ``payout_form.checked_answer``.
    """
    actor.must_have("COOPERATIVE", "accountant", "director")
    its = answer_of(batch)
    if columns is not None:
        its = Answer(its.words, dict(columns), heading is not False, its.money)
    if words:
        its = its.taught(words)
    its = payout_form.checked_answer(its)
    if batch.layout_id is None:
        row = PayoutLayout(
            organisation_id=batch.organisation_id, name=_free_name(batch.organisation_id), form=form_of(batch).kept(), answer=its.kept(),
            made_at=clock.now(), made_by_id=actor.person_id, changed_at=clock.now(), changed_by_id=actor.person_id, version=1,
        )  # fmt: skip
        _write(row)
        batch.layout_id = row.id
    else:
        row = locked(PayoutLayout, batch.layout_id)
        row.answer, row.changed_at, row.changed_by_id = its.kept(), clock.now(), actor.person_id
    db.session.flush()
    audit.record("payout_layout.taught", row, person_id=actor.person_id, columns=dict(columns or {}), words=dict(words or {}))
    return row


def _own(layout_id: int, actor: Actor) -> PayoutLayout:
    actor.must_have("COOPERATIVE", "accountant")
    row = locked(PayoutLayout, layout_id)
    if row.organisation_id != actor.organisation_id or row.retired_at is not None:
        raise not_found(PayoutLayout)
    return row


def _name(name: str) -> str:
    name = " ".join(name.split())
    if not 2 <= len(name) <= LONGEST_NAME - 12:
        raise InvalidInput("layout.name", N_("请写银行的名字，2 到 %(most)s 个字。"), field="name", most=LONGEST_NAME - 12)
    return name


def _free_name(organisation_id: int) -> str:
    name = _(payout_preset.PRESETS[payout_preset.FIRST][0])
    taken = set(db.session.scalars(select(PayoutLayout.name).where(PayoutLayout.organisation_id == organisation_id)))
    return next(each for each in (name, *(f"{name} {number}" for number in range(2, 100))) if each not in taken)


def _write(row: PayoutLayout) -> None:
    try:
        with db.session.begin_nested():
            db.session.add(row)
            db.session.flush()
    except IntegrityError as error:
        raise InvalidInput("layout.known", N_("已经有一个版式叫这个名字。"), field="name") from error
