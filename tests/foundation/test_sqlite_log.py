"""SQLite's write-ahead log: nobody who waits holds it, or it grows for as long as they wait."""

import sqlite3
from contextlib import closing
from pathlib import Path

from flask import Flask
from sqlalchemy import text

from marketplace.cli import demo
from marketplace.foundation.database import db
from marketplace.organisations.organisation import Organisation


def test_a_look_for_data_leaves_the_log_free_to_be_written_back(app: Flask) -> None:
    """The demonstration looks whether there is anything, then waits while another program writes for a minute."""
    assert demo._any(Organisation) is False
    path = db.engine.url.database
    assert path
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE something (n INTEGER)")
        other.execute("INSERT INTO something VALUES (1)")
        busy, _pages, _written = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert busy == 0
        assert Path(f"{path}-wal").stat().st_size == 0


def test_what_grew_in_a_long_read_is_cut_again(app: Flask) -> None:
    assert db.session.scalar(text("PRAGMA journal_size_limit")) == 64 * 1024 * 1024
