"""The port to a payment channel: what is asked of it, and whose client answers for an organisation.

A channel's answer is one of three: succeeded, refused (definitely not, with its sub code) or unknown (ask again, same number).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from flask import current_app

from marketplace.payments.payment import Outcome

EXTENSION = "payment_channel"


@dataclass(frozen=True)
class Answer:
    """``outcome`` is succeeded, refused or unknown; ``trade`` what a query said of the trade; ``told`` is kept with the call."""

    outcome: str
    sub_code: str = ""
    trade: Outcome | None = None
    told: dict[str, Any] = field(default_factory=dict)


class Channel(Protocol):
    """What a channel can be asked. Every function may be repeated with the same numbers without harm."""

    def query(self, out_trade_no: str) -> Answer:
        """How the trade stands; refused with ``ACQ.TRADE_NOT_EXIST`` while nobody opened the cashier."""

    def close(self, out_trade_no: str) -> Answer:
        """Let nobody pay it any more; refused if it is paid."""

    def refund(self, out_trade_no: str, out_request_no: str, fen: int, reason: str) -> Answer:
        """Give ``fen`` back."""

    def refund_query(self, out_trade_no: str, out_request_no: str, fen: int) -> Answer:
        """Whether this refund of ``fen`` left; refused if the channel knows of none."""


def client_for(organisation_id: int) -> Channel:
    """The client that acts for a merchant of record. Tests and other channels put their own in ``app.extensions``."""
    replaced: Callable[[int], Channel] | None = current_app.extensions.get(EXTENSION)
    if replaced is not None:
        return replaced(organisation_id)
    from marketplace.payments import seller_channel

    return seller_channel.client_for(organisation_id)
