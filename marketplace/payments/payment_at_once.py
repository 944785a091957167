"""The usual outcome, a payment that came whole and in time or is told again, with three statements: nine of ten notices are this one.

It decides by the same rules as ``payment.apply``, on rows locked in the same order, and leaves everything else to it.
"""

from collections.abc import Callable

from marketplace.foundation import audit, clock, driver
from marketplace.foundation.database import db
from marketplace.foundation.driver import Write
from marketplace.ledger import event
from marketplace.ledger.posting import Source
from marketplace.payments.payment import OPEN, PAID, Attempt, Outcome, Payment, handlers, must_fit

FIRST = ("alipay",)  # what comes over another channel goes the longer way
_PLAIN = "SELECT " + ", ".join(Attempt._fields) + " FROM payment WHERE out_trade_no = ?"  # noqa: S608 -- names from code
_LOCKED = _PLAIN + " FOR UPDATE"
_PAID = "UPDATE payment SET state = 'succeeded', trade_no = ?, succeeded_at = ?, ask_at = NULL WHERE id = ?"


def apply(outcome: Outcome, kept: Callable[[str], Write] | None = None) -> str:
    """``applied`` or ``repeated``; "" if it is not the usual case, and then nothing is written. OutcomeMismatch as ``payment.apply``."""
    if outcome.state != "succeeded" or outcome.refunded_fen:
        return ""
    db.session.flush()
    found = driver.rows(_LOCKED if driver.on_postgresql() else _PLAIN, outcome.out_trade_no)
    if not found:
        return ""
    payment = Attempt(*found[0])
    must_fit(payment, outcome)
    if payment.channel not in FIRST:
        return ""
    if payment.state in PAID:
        driver.together(*([kept("repeated")] if kept else []))
        return "repeated"
    counted = handlers[payment.payable_kind].taken(payment.payable_id, payment.amount_fen) if payment.state in OPEN else None
    if counted is None:
        return ""
    event.alipay_paid(
        book=payment.organisation_id,
        source=Source("payment", payment.id),
        fen=payment.amount_fen,
        at=outcome.at,
        beside=[
            (_PAID, (outcome.trade_no, clock.now(), payment.id)),
            counted,
            audit.write("payment.succeeded", "payment", payment.id, organisation_id=payment.organisation_id, fen=payment.amount_fen),
            *([kept("applied")] if kept else []),
        ],
    )
    driver.forget(Payment, payment.id)
    return "applied"
