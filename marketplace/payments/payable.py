"""What can be paid, as payments know it: by kind and id, with whoever counts its payments in. create_app registers who handles a kind."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from marketplace.foundation.database import Base
from marketplace.foundation.driver import Row

if TYPE_CHECKING:
    from marketplace.payments.payment import Payment


@dataclass(frozen=True)
class Payable:
    """What is to be paid: fen to the cooperative ``organisation_id`` until ``expires_at``."""

    kind: str
    id: int
    organisation_id: int
    amount_fen: int
    subject: str
    expires_at: datetime


@dataclass(frozen=True)
class Counting:
    """How a payment that pays the whole price is counted in past the session.

    ``decide`` are the columns of the payable on which it depends, ``change`` those that it writes, with their types as PostgreSQL calls
    them. ``counted`` says what they become at a moment; None if it cannot be counted in, or does not pay the whole price.
    """

    model: type[Base]
    decide: Mapping[str, str]
    change: Mapping[str, str]
    counted: Callable[[Row, int, datetime], Row | None]

    @property
    def table(self) -> str:
        return f'"{self.model.__tablename__}"'


class Handler(Protocol):
    """What a kind of payable does with its payments, in the same transaction; errors propagate."""

    counting: Counting

    def take(self, payment: "Payment") -> bool:
        """Count the payment in and return True; False if the payable cannot take it (cancelled, or paid already)."""

    def refund_failed(self, order_id: int, fen: int, refund_id: int) -> None:
        """An approved refund will not happen: count it out again."""

    def refund_counts(self, order_id: int, refund_id: int) -> bool:
        """A refund that was counted out left after all: count and post it again; False, and nothing done, if too little is left for it."""

    def refunded_elsewhere(self, payment: "Payment", fen: int, number: str) -> None:
        """The channel gave back what nobody ordered here: count and post it as a refund that has happened."""


handlers: dict[str, Handler] = {}
