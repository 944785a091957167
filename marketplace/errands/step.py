"""A step that can be an errand: who may ask for it, what it is called, and what does it.

Whoever owns the work registers it beside its domain functions; nothing here knows what it is about.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from marketplace.organisations.actor import Actor

# What was given, and whose it is; answers with "paper", the outside name of what came of it, and the figures that ``done`` tells.
Work = Callable[[Mapping[str, Any], Actor], dict[str, Any]]


@dataclass(frozen=True)
class Step:
    """``title`` says what is done to which paper (``%(of)s``), ``done`` what came of it. ``roles`` are a cooperative's.

    ``work`` runs inside a transaction, for the asker as they are then: it checks everything that it would check on a page.
    """

    title: str
    done: str
    roles: tuple[str, ...]
    work: Work


steps: dict[str, Step] = {}


def step(name: str, title: str, done: str, *roles: str) -> Callable[[Work], Work]:
    """Register the work of the step ``name``."""

    def register(work: Work) -> Work:
        steps[name] = Step(title, done, roles, work)
        return work

    return register
