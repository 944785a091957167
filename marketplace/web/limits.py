"""How often one may try: wrong passwords by name and by address, registrations by address. Right passwords never count."""

from flask import Flask, Response, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

from marketplace.foundation.config import settings
from marketplace.web.permission import current_actor

# Without REDIS_URL each worker counts for itself; with it they count together, and fall back to memory if it dies.
limiter = Limiter(get_remote_address, in_memory_fallback_enabled=True)


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
    return f"{get_remote_address()} {named()}"


def signed_in() -> str:
    """Who tries, from whatever address; strangers by theirs."""
    actor = current_actor()
    return f"person {actor.person_id}" if actor is not None else get_remote_address()


def was_refused(response: Response) -> bool:
    """Whether the try failed: only those count."""
    return response.status_code == 422
