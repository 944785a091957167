"""A step that can be an errand: who may ask for it, what it is called, and what does it.

Whoever owns the work registers it beside its domain functions; nothing here knows what it is about.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from marketplace.organisations.actor import Actor

# What was given, and whose it is; answers with "paper", the outside name of what came of it (or with "then", the page where it is), and
# the figures that ``done`` tells. A step in goes answers with GOES_ON besides where another go is left, and is given back all of that answer as GONE.
Work = Callable[[Mapping[str, Any], Actor], dict[str, Any]]
GOES_ON = "goes_on"
GONE = "gone"
# Says how far something is: so much of so much.
Tell = Callable[[int, int], None]
# What of a step changes nothing and is done before its transaction, so that it can tell how far it is; answers with the work that is left.
Ahead = Callable[[Mapping[str, Any], Actor, Tell], Work]


@dataclass(frozen=True)
class Step:
    """``title`` says what is done to which paper (``%(of)s``), ``done`` what came of it. ``roles`` are a cooperative's.

    ``work`` runs inside a transaction, for the asker as they are then: it checks everything that it would check on a page. Where there
    is something to do ``ahead``, what that answers with is the work. A step ``in_goes`` is not done at once but in many transactions,
    each of which stands: "done" of its answer is how many of the errand's households are through. It must be able to go on from any of them.
    """

    title: str
    done: str
    roles: tuple[str, ...]
    work: Work
    ahead: Ahead | None = None
    in_goes: bool = False


steps: dict[str, Step] = {}


def silent(_done: int, _of: int) -> None:
    """Tells nobody: where a page waits."""


def step(name: str, title: str, done: str, *roles: str, ahead: Ahead | None = None, in_goes: bool = False) -> Callable[[Work], Work]:
    """Register the work of the step ``name``."""

    def register(work: Work) -> Work:
        steps[name] = Step(title, done, roles, work, ahead, in_goes)
        return work

    return register
