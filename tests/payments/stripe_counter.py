"""Stripe's answer to whose a key is, on loopback: localstripe has no accounts. In the form that Stripe documents for GET /v1/account."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from flask import Flask
from werkzeug.wrappers import Response

from tests.payments.stripe_desk import served

FAULTS = {
    "unknown": (401, {"error": {"type": "invalid_request_error", "message": "Invalid API Key provided"}}),
    "restricted": (403, {"error": {"type": "invalid_request_error", "code": "more_permissions_required", "message": "no read on accounts"}}),
    "down": (502, {"error": {"type": "api_error", "message": "told to"}}),
    "junk": (200, {"object": "list", "data": []}),
}


class Counter:
    """``says`` is what it answers to each key: an account's number, or one of FAULTS."""

    def __init__(self) -> None:
        self.says: dict[str, str] = {}
        self.asked: list[str] = []

    def __call__(self, environ: Any, start: Any) -> Any:
        self.asked.append(environ["PATH_INFO"])
        said = self.says.get(environ.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer "), "unknown")
        status, body = FAULTS.get(said) or (200, {"id": said, "object": "account"})
        return Response(json.dumps(body), status, content_type="application/json")(environ, start)


@contextmanager
def counter(app: Flask) -> Iterator[Counter]:
    """The counter, where the application finds Stripe."""
    before, made = app.extensions["settings"], Counter()
    with served(made) as url:
        app.extensions["settings"] = replace(before, stripe_api=url)
        try:
            yield made
        finally:
            app.extensions["settings"] = before
