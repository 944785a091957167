"""The bank's desk of late interest: a claim is paid like an order, but nothing of it divides."""

from collections.abc import Sequence

from sqlalchemy import select

from marketplace.foundation.database import db, get, locked
from marketplace.foundation.errors import Conflict, NotFound
from marketplace.foundation.language import N_
from marketplace.organisations.organisation import Organisation
from marketplace.payments.bank_match import Owed, Payable, desks
from marketplace.payments.payment import Payment
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.procurement.late_interest import LateInterest


class _LateInterest:
    def open_of(self, cooperative_id: int) -> Sequence[Payable]:
        query = (
            select(LateInterest, DirectedOrder.reference, Organisation.name_zh)
            .join(DirectedOrder, DirectedOrder.order_id == LateInterest.order_id)
            .join(Organisation, Organisation.id == LateInterest.unit_id)
            .where(LateInterest.organisation_id == cooperative_id, LateInterest.state == "CLAIMED")
        )
        return [_payable(row, reference, name) for row, reference, name in db.session.execute(query)]

    def held(self, payable_id: int) -> Payable:
        row = locked(LateInterest, payable_id)
        if row.state == "WAIVED":
            raise NotFound("payable.missing", N_("没有找到，或不归您的单位查看。"))
        reference = db.session.scalars(select(DirectedOrder.reference).where(DirectedOrder.order_id == row.order_id)).one()
        return _payable(row, reference, get(Organisation, row.unit_id).name_zh)

    def take(self, payment: Payment) -> None:
        row = locked(LateInterest, payment.payable_id)
        if row.state != "CLAIMED":
            raise Conflict("interest.state", N_("这笔利息已经付过或免过了。"), state=row.state)
        row.paid_fen += payment.amount_fen
        row.state = "CLAIMED" if row.open_fen else "WAIVED" if row.waived_fen else "PAID"
        row.version += 1
        db.session.flush()

    def may_give_up(self, payment: Payment) -> None:
        """Always: interest is settled with nobody."""

    def give_up(self, payment: Payment) -> Owed:
        row = locked(LateInterest, payment.payable_id)
        row.paid_fen -= payment.amount_fen
        row.state = "CLAIMED"
        row.version += 1
        db.session.flush()
        return "interest"


def _payable(row: LateInterest, reference: str, payer_name: str) -> Payable:
    return Payable(
        kind="late_interest", id=row.id, public_id=row.public_id, organisation_id=row.organisation_id, reference=reference,
        payer_name=payer_name, open_fen=row.open_fen, owed="interest",
    )  # fmt: skip


desks["late_interest"] = _LateInterest()
