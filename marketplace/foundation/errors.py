"""The five kinds of trouble. Domain code raises them; only the entrances turn them into HTTP or exit codes.

Each carries a stable code, a message for the person (a Chinese msgid with ``%(name)s`` places) and the data for it.
A specific error (``StockShortage(Conflict)``) lives beside its noun.
"""

from typing import Any


class MarketError(Exception):
    """Base of all errors a person may see. ``message`` is a msgid; the entrance translates and fills it."""

    def __init__(self, code: str, message: str, **data: Any) -> None:
        super().__init__(code, message, data)
        self.code = code
        self.message = message
        self.data = data

    def __str__(self) -> str:
        try:
            return f"{self.code}: {self.message % self.data}"
        except (KeyError, TypeError, ValueError):
            return f"{self.code}: {self.message} {self.data}"


class InvalidInput(MarketError):
    """What was given is not of the form or range it must be (HTTP 400 / 422). ``field`` in data names the input."""


class NotAllowed(MarketError):
    """The actor may not do this (HTTP 403)."""


class NotFound(MarketError):
    """There is no such thing, or none that this actor may know of (HTTP 404)."""


class Conflict(MarketError):
    """The thing is in another state than the action needs (HTTP 409)."""


class OutsideFailure(MarketError):
    """Something outside (a gateway, a bank, a disk) failed or did not answer (HTTP 502 / 503)."""
