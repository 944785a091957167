"""What the channel's papers and the books do not say alike: a task, with its age and owner, until a person has explained it."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Model, Public, db
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor, own_row


class BillDifference(Public, Model):
    """Amounts in fen, signed as in the bill; 0 on the side that has none. TWICE: a refund that was made again left after all, so that the
    buyer has the money twice: the books follow one of them, and no bill need have told of the other. CURRENCY: a card channel kept a
    fee in another currency, ``said``, which the books cannot hold: 0 fen on both sides."""

    __tablename__ = "bill_difference"
    __table_args__ = (
        CheckConstraint("kind IN ('ONLY_THEIRS','ONLY_OURS','AMOUNT','TWICE','CURRENCY')", name="kind"),
        UniqueConstraint("organisation_id", "out_trade_no", "out_request_no", "kind", name="uq_bill_difference_subject"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    bill_id: Mapped[int | None] = mapped_column(ForeignKey("alipay_bill.id"))
    kind: Mapped[str] = mapped_column(String(12))
    out_trade_no: Mapped[str] = mapped_column(String(64))
    out_request_no: Mapped[str] = mapped_column(String(64), default="")
    ours_fen: Mapped[int]
    theirs_fen: Mapped[int]
    said: Mapped[str] = mapped_column(String(60), default="", server_default="")  # the channel's own words: a currency and an amount
    found_at: Mapped[datetime] = mapped_column(index=True)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    explained_at: Mapped[datetime | None]
    explained_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    explanation: Mapped[str] = mapped_column(String(300), default="")


def found(
    organisation_id: int, kind: str, out_trade_no: str, out_request_no: str, *, ours_fen: int, theirs_fen: int, bill_id: int | None = None, said: str = ""
) -> None:
    """Keep a difference as a task, once."""
    same = select(BillDifference.id).where(
        BillDifference.organisation_id == organisation_id,
        BillDifference.kind == kind,
        BillDifference.out_trade_no == out_trade_no,
        BillDifference.out_request_no == out_request_no,
    )
    if db.session.scalar(same):
        return
    db.session.add(
        BillDifference(
            organisation_id=organisation_id, bill_id=bill_id, kind=kind, out_trade_no=out_trade_no, out_request_no=out_request_no,
            ours_fen=ours_fen, theirs_fen=theirs_fen, found_at=clock.now(), said=said[:60],
        )
    )  # fmt: skip
    db.session.flush()


def own(difference_id: int, *, actor: Actor) -> BillDifference:
    """Take a difference on oneself, so that the others know who asks Alipay. Conflict ``difference.explained``."""
    row = _open(difference_id, actor)
    row.owner_id = actor.person_id
    db.session.flush()
    audit.record("difference.owned", row, person_id=actor.person_id)
    return row


def explain(difference_id: int, explanation: str, *, actor: Actor) -> BillDifference:
    """The cooperative's accountant or director says what a difference was. Raises InvalidInput ``explanation``, Conflict ``explained``."""
    row = _open(difference_id, actor)
    if not 4 <= len(explanation.strip()) <= 300:
        raise InvalidInput("difference.explanation", N_("请写明这笔差异是怎么回事，4 到 300 个字。"), field="explanation")
    row.explanation, row.explained_at, row.explained_by_id = explanation.strip(), clock.now(), actor.person_id
    row.owner_id = row.owner_id or actor.person_id
    db.session.flush()
    audit.record("difference.explained", row, person_id=actor.person_id)
    return row


def _open(difference_id: int, actor: Actor) -> BillDifference:
    row = own_row(BillDifference, difference_id, actor, "accountant", "director")
    if row.explained_at is not None:
        raise Conflict("difference.explained", N_("这一项已经有人说明过了。"))
    return row
