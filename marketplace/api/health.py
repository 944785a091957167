"""Health: whether the process answers, and whether it could serve, with reasons."""

from typing import Any

from flask import Blueprint
from sqlalchemy import inspect, text

from marketplace import search
from marketplace.foundation.database import db

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def healthz() -> Any:
    return {"status": "ok"}


@bp.get("/readyz")
def readyz() -> Any:
    reasons: dict[str, str] = {}
    try:
        db.session.execute(text("SELECT 1"))
        if not inspect(db.engine).has_table("organisation"):
            reasons["database"] = "no tables: run `flask db upgrade`"
        elif reason := search.trouble():
            reasons["search"] = reason
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is the reason
        reasons["database"] = type(error).__name__
    return ({"status": "ready"}, 200) if not reasons else ({"status": "not ready", "reasons": reasons}, 503)


for _view in (healthz, readyz):
    _view.permission = "public"  # type: ignore[attr-defined]
