"""Health: whether the process answers, and whether it could serve, with reasons."""

import shutil
from typing import Any

from flask import Blueprint
from sqlalchemy import inspect, text

from marketplace import search
from marketplace.foundation.config import settings
from marketplace.foundation.database import db

bp = Blueprint("health", __name__)

LEAST_FREE = 256 * 1024 * 1024  # bytes under DATA_DIR; below it somebody should make room before writing fails


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
    if reasons:
        return {"status": "not ready", "reasons": reasons}, 503
    # A full disk stops what is written, not what is read: the shop stays open, and whoever watches it is told.
    free = shutil.disk_usage(settings().data_dir).free
    warnings = {"disk": f"{free // 1024 // 1024} MiB free in DATA_DIR"} if free < LEAST_FREE else {}
    return {"status": "ready", "warnings": warnings} if warnings else {"status": "ready"}


for _view in (healthz, readyz):
    _view.permission = "public"  # type: ignore[attr-defined]
