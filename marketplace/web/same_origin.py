"""Forms that readers without a session send: guarded by where they come from instead of by a token, which would need a session.

A page that holds no token is the same for everybody, needs no cookie and can be kept. Browsers say truly where a form was sent from.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import request

from marketplace.foundation.config import settings
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_

F = TypeVar("F", bound=Callable[..., Any])


def own_forms_only(view: F) -> F:
    """Refuse what another site's page sends: InvalidInput ``form.foreign``. The route's module also exempts it from the token."""

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if not _from_here():
            raise InvalidInput("form.foreign", N_("这个请求不是从本站页面发出的，没有照办。请回到本站页面再试。"))
        return view(*args, **kwargs)

    return guarded  # type: ignore[return-value]


def _from_here() -> bool:
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    said = request.headers.get("Origin") or request.headers.get("Referer")
    if not said:
        return True  # not a browser: a browser that is made to send a form says at least one of the three
    parts = urlsplit(said)
    return bool(parts.netloc) and parts.netloc in (request.host, urlsplit(settings().base_url).netloc)
