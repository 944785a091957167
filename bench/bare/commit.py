"""``POST /commit``: one row of a notice's size inserted by the bare driver and committed durably, whatever the form says."""

import os
import sqlite3
import threading
from typing import Any

from flask import Flask

app = Flask(__name__)
ADDRESS = os.environ.get("BARE_DATABASE", "")
ROW = ("n" * 40, "2026112409300012345678901234", "TRADE_SUCCESS", 9600)
TABLE = "CREATE TABLE IF NOT EXISTS told (notify_id TEXT, out_trade_no TEXT, status TEXT, fen BIGINT)"
_kept = threading.local()


@app.post("/commit")
def commit() -> str:
    """Commit, and only then answer."""
    connection = _kept.__dict__.get("connection") or _opened()
    if isinstance(connection, sqlite3.Connection):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO told VALUES (?, ?, ?, ?)", ROW)
        connection.execute("COMMIT")
    else:
        connection.execute("INSERT INTO told VALUES (%s, %s, %s, %s)", ROW)
        connection.commit()
    return "success"


@app.get("/healthz")
def health() -> str:
    return "well"


def _opened() -> Any:
    if ADDRESS.startswith("postgresql"):
        import psycopg

        _kept.connection = psycopg.connect(ADDRESS)
    else:
        _kept.connection = sqlite3.connect(ADDRESS, isolation_level=None, timeout=60)
        _kept.connection.execute("PRAGMA journal_mode = WAL")
        _kept.connection.execute("PRAGMA synchronous = FULL")
    return _kept.connection
