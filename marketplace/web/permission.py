"""Permissions: each route declares exactly one. A route that declares none does not start the application.

``needs("order.ship")`` asks for a signed-in actor whose kind of organisation and role hold that permission; ``public`` says that anybody may.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import Flask, redirect, request, session, url_for

from marketplace.foundation.errors import NotAllowed
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor, acting

F = TypeVar("F", bound=Callable[..., Any])

# permission → (kind of organisation, role) pairs that hold it.
PERMISSIONS: dict[str, frozenset[tuple[str, str]]] = {}


def permission(name: str, **holders: str) -> None:
    """Declare a permission: ``permission("order.ship", COOPERATIVE="clerk director")``. ``*`` stands for every role."""
    from marketplace.organisations.person import ROLES

    pairs = set()
    for kind, roles in holders.items():
        names = ROLES[kind] if roles == "*" else tuple(roles.split())
        unknown = set(names) - set(ROLES[kind])
        if unknown:
            raise ValueError(f"{name}: {kind} has no {unknown}")
        pairs |= {(kind, role) for role in names}
    if name in PERMISSIONS and PERMISSIONS[name] != pairs:
        raise ValueError(f"{name} is declared twice")
    PERMISSIONS[name] = frozenset(pairs)


permission("self", **dict.fromkeys(("OPERATOR", "COOPERATIVE", "UNIT", "STATION", "VILLAGE", "PERSON"), "*"))
permission("buy", PERSON="customer", STATION="station_clerk")


def holds(actor: Actor | None, name: str) -> bool:
    """Whether the actor holds the permission."""
    return actor is not None and any((actor.kind, role) in PERMISSIONS[name] for role in actor.roles)


def public(view: F) -> F:
    """Anybody may open this route."""
    view.permission = "public"  # type: ignore[attr-defined]
    return view


def needs(name: str) -> Callable[[F], F]:
    """Only an actor with this permission may open this route; somebody who has not signed in is asked to, and comes back."""

    def guard(view: F) -> F:
        if name not in PERMISSIONS:
            raise ValueError(f"undeclared permission {name}")

        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            actor = current_actor()
            if actor is None:
                if request.method == "GET":
                    return redirect(url_for("account.sign_in", next=request.full_path.rstrip("?")))
                return redirect(url_for("account.sign_in"))
            if not holds(actor, name):
                raise NotAllowed("permission.missing", N_("您现在的岗位不能办这件事。可以换一个岗位，或请同事来办。"))
            return view(*args, **kwargs)

        guarded.permission = name  # type: ignore[attr-defined]
        return guarded  # type: ignore[return-value]

    return guard


def current_actor() -> Actor | None:
    """Who acts in this request: the signed-in person in the organisation that the session names."""
    if "market.actor" not in request.environ:
        person_id = session.get("person_id") if request.cookies else None
        actor = None if person_id is None else acting(int(person_id), session.get("organisation_id"))
        if actor is not None and session.get("stamp", actor.stamp) != actor.stamp:
            actor = None  # the password was changed since: whoever had the old one is out, everywhere
        request.environ["market.actor"] = actor
    kept: Actor | None = request.environ["market.actor"]
    return kept


def the_actor() -> Actor:
    """The actor of a guarded route."""
    actor = current_actor()
    if actor is None:
        raise NotAllowed("sign_in", N_("请先登录。"))
    return actor


def every_route_declares(app: Flask) -> None:
    """Raise RuntimeError if a route of ours has no permission."""
    for rule in app.url_map.iter_rules():
        if rule.endpoint != "static" and not hasattr(app.view_functions[rule.endpoint], "permission"):
            raise RuntimeError(f"{rule.rule} declares no permission")
