"""How often one may try: wrong passwords by name and by address, registrations by address. Right passwords never count."""

from ipaddress import IPv6Address, ip_address, ip_network

from flask import Flask, Response, request
from flask_limiter import Limiter

from marketplace.foundation.config import settings
from marketplace.web.permission import current_actor

ONE_LINE = 64  # bits of an IPv6 address that a provider gives to one line; the other half whoever has it chooses anew for every request


def address() -> str:
    """From where a request comes, as it is counted: an IPv4 address, or the network of an IPv6 one."""
    said = request.remote_addr or "127.0.0.1"
    try:
        known = ip_address(said.partition("%")[0])
    except ValueError:  # a proxy's word that is none
        return said
    if not isinstance(known, IPv6Address):
        return said
    return str(known.ipv4_mapped or ip_network((known, ONE_LINE), strict=False))


# Without REDIS_URL each worker counts for itself; with it they count together, and fall back to memory if it dies.
limiter = Limiter(address, in_memory_fallback_enabled=True)


def register(app: Flask) -> None:
    """Count in Redis where one is configured, else in memory."""
    with app.app_context():
        app.config["RATELIMIT_STORAGE_URI"] = settings().redis_url or "memory://"
    limiter.init_app(app)


def named() -> str:
    """Whose password is being tried, whoever tries it from wherever."""
    return request.form.get("login", "")[:80].strip().lower()


def named_from_here() -> str:
    """Whose password is being tried, from one address: a stranger's guessing locks the stranger out, not the person."""
    return f"{address()} {named()}"


def signed_in() -> str:
    """Who tries, from whatever address; strangers by theirs."""
    actor = current_actor()
    return f"person {actor.person_id}" if actor is not None else address()


def was_refused(response: Response) -> bool:
    """Whether the try failed: only those count."""
    return response.status_code == 422
