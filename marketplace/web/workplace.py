"""The workplace: the desk of each kind of organisation, for those whose role may open it."""

from marketplace.organisations.actor import Actor
from marketplace.web.permission import holds

# kind of organisation → (path, permission it asks for); the first that one holds is one's own.
DESKS: dict[str, tuple[tuple[str, str], ...]] = {
    "UNIT": (("/unit", "unit.read"),),
    "COOPERATIVE": (("/cooperative", "cooperative.read"),),
    "OPERATOR": (("/operator", "operator.read"), ("/officer", "officer.read")),
    "STATION": (("/station", "station.work"),),
    "VILLAGE": (("/village", "village.read"),),
}


def workplace(actor: Actor | None) -> str:
    """The path of the actor's desk; empty for who has none."""
    if actor is None:
        return ""
    return next((path for path, permission in DESKS.get(actor.kind, ()) if holds(actor, permission)), "")
