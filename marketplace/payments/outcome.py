"""What a channel said of a trade, whoever asked, and whether it speaks of the payment that it names. ``payment.apply`` is the door for it."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_

if TYPE_CHECKING:
    from marketplace.payments.payment import Payment


class OutcomeMismatch(Conflict):
    """What the channel says does not fit the payment it names: nothing is applied. Data: ``field``."""


@dataclass(frozen=True)
class Outcome:
    """What a channel said of a trade, whoever asked. ``state``: succeeded, closed or pending; what was not told is None."""

    out_trade_no: str
    state: str
    total_fen: int | None = None
    trade_no: str | None = None
    app_id: str | None = None
    seller_id: str | None = None
    at: datetime | None = None  # when it was paid
    refunded_fen: int = 0  # the trade's sum of refunds, as far as it was told
    refund_no: str = ""  # the refund that the channel tells of, if it does
    by_number: bool = False  # the sum was told refund by refund: those of ours in it are known as such
    channel: str | None = None


class Attempt(NamedTuple):
    """A payment as ``payment_at_once`` reads it: what an outcome is compared with."""

    id: int
    organisation_id: int
    payable_kind: str
    payable_id: int
    amount_fen: int
    state: str
    app_id: str
    seller_id: str
    trade_no: str | None
    channel: str


def must_fit(payment: "Payment | Attempt", outcome: Outcome) -> None:
    """Raise OutcomeMismatch unless the channel speaks of this payment."""
    told = {"app_id": outcome.app_id, "seller_id": outcome.seller_id, "amount_fen": outcome.total_fen, "trade_no": outcome.trade_no}
    told["channel"] = outcome.channel
    for name, value in told.items():
        known = getattr(payment, name)
        if value is not None and known is not None and value != known:
            raise OutcomeMismatch("payment.mismatch", N_("渠道返回的内容和这笔支付对不上，没有入账。"), field=name, payment_id=payment.id)
    paid = outcome.state == "succeeded" or outcome.at is not None
    if paid and (outcome.total_fen is None or not outcome.trade_no):
        raise OutcomeMismatch("payment.mismatch", N_("渠道返回的内容和这笔支付对不上，没有入账。"), field="missing", payment_id=payment.id)
