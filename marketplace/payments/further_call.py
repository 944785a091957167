"""Calls about what another noun than payments and refunds keeps: it says here whose they are, what is asked, and what an answer means.

``call`` makes and carries them out as it does its own: their row is committed before anything is sent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from marketplace.payments.channel import Answer


class Whose(NamedTuple):
    """Whose call it is, over which channel, and the application or account whose key signs it."""

    organisation_id: int
    channel: str
    account: str


@dataclass(frozen=True)
class Further:
    """Calls about what another noun keeps: whose they are, and how it stands; under which number one leaves that is about to; what is
    asked; and what the answer means. Each runs inside a transaction, but for the question itself."""

    whose: Callable[[int], Whose]
    standing: Callable[[int], str]
    opened: Callable[[str, int], str]
    question: Callable[[str, int], Callable[[], Answer]]
    record: Callable[[str, int, Answer], None]


further: dict[str, Further] = {}
