"""A household turns up after its money went to the relief fund: it gets it back by a new entry, on two people's word.

Then it is the household's credit again, of the distributions it came from, and is paid with their next batch.
"""


from sqlalchemy import CheckConstraint, ForeignKey, Index, String, select, text
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Model, db, get, locked, not_found
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.money import format_yuan
from marketplace.ledger import account, balance, share_event
from marketplace.ledger.posting import Source
from marketplace.organisations.actor import Actor, own_row
from marketplace.organisations.proposal import TWO_PEOPLE, Proposal, put
from marketplace.settlement.household_credit import CreditMove
from marketplace.settlement.unclaimed import Unclaimed, moves_of


class UnclaimedReturn(Proposal, Model):
    """What is asked for a household of one list; all of what the list moved of it."""

    __tablename__ = "unclaimed_return"
    not_now = ("unclaimed.decided", N_("这一户的退还已经有结果了，请刷新页面看看。"))
    __table_args__ = (
        CheckConstraint("state IN ('PROPOSED','APPROVED','RETURNED')", name="state"),
        CheckConstraint(TWO_PEOPLE, name="two_people"),
        Index(
            "uq_unclaimed_return_stands", "unclaimed_id", "household_id", unique=True,
            sqlite_where=text("state <> 'RETURNED'"), postgresql_where=text("state <> 'RETURNED'"),
        ),
    )  # fmt: skip

    unclaimed_id: Mapped[int] = mapped_column(ForeignKey("unclaimed.id"), index=True)
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"))
    fen: Mapped[int]
    reason: Mapped[str] = mapped_column(String(300))
    state: Mapped[str] = mapped_column(String(10), default="PROPOSED")


def propose(unclaimed_id: int, household_id: int, reason: str, *, actor: Actor) -> UnclaimedReturn:
    """The household is there, and how it was known. By the accountant. Conflict ``unclaimed.asked`` if it is asked for already."""
    row = own_row(Unclaimed, unclaimed_id, actor, "accountant")
    row.must_be("POSTED")
    fen = -sum(move.fen for move in _moves(row.id, household_id))
    if not fen:
        raise not_found(CreditMove)
    if not 2 <= len(reason.strip()) <= 300:
        raise InvalidInput("reason.missing", N_("请写明凭什么认定是这一户，例如“本人持户口簿到场”。"), field="reason")
    stands = select(UnclaimedReturn.id).where(
        UnclaimedReturn.unclaimed_id == row.id, UnclaimedReturn.household_id == household_id, UnclaimedReturn.state != "RETURNED"
    )
    if db.session.scalar(stands) is not None:
        raise Conflict("unclaimed.asked", N_("这一户已经提过退还，等审批或已经退还。"))
    made = UnclaimedReturn(organisation_id=row.organisation_id, unclaimed_id=row.id, household_id=household_id, fen=fen, reason=reason.strip())
    return put(made, "unclaimed.return_proposed", person_id=actor.person_id, fen=fen)


def decide(return_id: int, *, actor: Actor, version: int, approved: bool, reason: str = "") -> UnclaimedReturn:
    """The director's word. Approved: the fund gives it back, and it is the household's credit again.

    Raises OwnWork; Conflict ``unclaimed.decided``, ``unclaimed.fund_short`` while the cooperative's book holds less of the fund than
    that (the rest was remitted to its holder): no account of the market ever goes below nothing.
    """
    known = get(UnclaimedReturn, return_id)
    locked(Unclaimed, known.unclaimed_id)  # the list first, as in ``propose``
    row = own_row(UnclaimedReturn, return_id, actor, "director")
    row.decide(actor=actor, version=version, approved=approved, reason=reason)
    row.state = "APPROVED" if approved else "RETURNED"
    if approved:
        _give_back(row)
    db.session.flush()
    return row


def _give_back(row: UnclaimedReturn) -> None:
    account.lock([account.named("relief_fund", row.organisation_id)])
    held = balance.held("relief_fund", row.organisation_id)
    if held < row.fen:
        raise Conflict(
            "unclaimed.fund_short",
            N_("账上防贫基金的份额只有 ¥%(held)s，不够退还。等下次结算，或由会计在“划款”里请基金退回，到账以后再来审批。"), held=format_yuan(max(0, held)), held_fen=held,
        )  # fmt: skip
    for move in _moves(row.unclaimed_id, row.household_id):
        db.session.add(
            CreditMove(
                organisation_id=row.organisation_id, distribution_id=move.distribution_id, household_id=move.household_id, kind="BACK",
                fen=-move.fen, paper_type="unclaimed_return", paper_id=row.id, moved_at=clock.now(),
            )
        )  # fmt: skip
    share_event.unclaimed_back(book=row.organisation_id, source=Source("unclaimed_return", row.id), household_id=row.household_id, fen=row.fen)
    audit.record("unclaimed.given_back", row, person_id=row.decided_by_id, fen=row.fen)


def _moves(unclaimed_id: int, household_id: int) -> list[CreditMove]:
    return list(db.session.scalars(moves_of(unclaimed_id).where(CreditMove.household_id == household_id)))
