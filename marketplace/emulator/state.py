"""What the emulator remembers, in a SQLite file of its own: applications, trades, refunds, transfers, withdrawals, cashiers, notices, faults.

Every change is one transaction, so that a trade is never half paid.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TABLES = """
CREATE TABLE IF NOT EXISTS app (
    app_id TEXT PRIMARY KEY, seller_id TEXT NOT NULL, name TEXT NOT NULL, public_key TEXT NOT NULL,
    cert_sn TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS cashier (
    token TEXT PRIMARY KEY, app_id TEXT NOT NULL, method TEXT NOT NULL, merge_no TEXT NOT NULL, return_url TEXT NOT NULL,
    notify_url TEXT NOT NULL, orders TEXT NOT NULL, expires_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS pre_order (
    pre_order_no TEXT PRIMARY KEY, app_id TEXT NOT NULL, merge_no TEXT NOT NULL, notify_url TEXT NOT NULL,
    orders TEXT NOT NULL, expires_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS trade (
    app_id TEXT NOT NULL, out_trade_no TEXT NOT NULL, trade_no TEXT NOT NULL UNIQUE, seller_id TEXT NOT NULL,
    total_fen INTEGER NOT NULL CHECK (total_fen > 0), subject TEXT NOT NULL, status TEXT NOT NULL, merge_no TEXT NOT NULL,
    notify_url TEXT NOT NULL, buyer_id TEXT NOT NULL, created_at TEXT NOT NULL, expires_at TEXT NOT NULL,
    paid_at TEXT NOT NULL DEFAULT '', closed_at TEXT NOT NULL DEFAULT '', fee_fen INTEGER NOT NULL DEFAULT 0,
    refunded_fen INTEGER NOT NULL DEFAULT 0 CHECK (refunded_fen BETWEEN 0 AND total_fen),
    PRIMARY KEY (app_id, out_trade_no));
CREATE INDEX IF NOT EXISTS trade_of_seller ON trade (seller_id, paid_at);
CREATE INDEX IF NOT EXISTS trade_waiting ON trade (expires_at) WHERE status = 'WAIT_BUYER_PAY';
CREATE TABLE IF NOT EXISTS refund (
    app_id TEXT NOT NULL, out_trade_no TEXT NOT NULL, out_request_no TEXT NOT NULL, fen INTEGER NOT NULL CHECK (fen > 0),
    fee_back_fen INTEGER NOT NULL, reason TEXT NOT NULL, refunded_at TEXT NOT NULL,
    PRIMARY KEY (app_id, out_trade_no, out_request_no));
CREATE TABLE IF NOT EXISTS notice (
    id INTEGER PRIMARY KEY, notify_id TEXT NOT NULL, app_id TEXT NOT NULL, out_trade_no TEXT NOT NULL, url TEXT NOT NULL,
    params TEXT NOT NULL, due_at REAL, attempts INTEGER NOT NULL DEFAULT 0, answer TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS notice_due ON notice (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS notice_of_trade ON notice (app_id, out_trade_no);
CREATE TABLE IF NOT EXISTS fault (
    id INTEGER PRIMARY KEY, method TEXT NOT NULL, out_trade_no TEXT NOT NULL, nth INTEGER NOT NULL, kind TEXT NOT NULL,
    seconds REAL NOT NULL, seen INTEGER NOT NULL DEFAULT 0, percent INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS transfer (
    app_id TEXT NOT NULL, out_biz_no TEXT NOT NULL, order_id TEXT NOT NULL UNIQUE, seller_id TEXT NOT NULL,
    fen INTEGER NOT NULL CHECK (fen > 0), payee TEXT NOT NULL, title TEXT NOT NULL, status TEXT NOT NULL,
    error_code TEXT NOT NULL DEFAULT '', sent_at TEXT NOT NULL, ended_at TEXT NOT NULL DEFAULT '', PRIMARY KEY (app_id, out_biz_no));
CREATE TABLE IF NOT EXISTS withdrawal (
    order_id TEXT PRIMARY KEY, seller_id TEXT NOT NULL, fen INTEGER NOT NULL CHECK (fen > 0), sent_at TEXT NOT NULL,
    back_at TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS bill_link (
    token TEXT PRIMARY KEY, seller_id TEXT NOT NULL, day TEXT NOT NULL, kind TEXT NOT NULL, expires_at TEXT NOT NULL);
"""
# Columns that a file made earlier may lack.
LATER = {
    "app": ("cert_sn", "TEXT NOT NULL DEFAULT ''"), "fault": ("percent", "INTEGER NOT NULL DEFAULT 0"),
    "transfer": ("ended_at", "TEXT NOT NULL DEFAULT ''"), "withdrawal": ("back_at", "TEXT NOT NULL DEFAULT ''"),
}  # fmt: skip


class State:
    """One SQLite connection, shared by the threads of a process; other processes may have the file open as well.

    ``delivers`` says whether notices made here are to be posted, or are taken by the program that runs the emulator inside itself.
    """

    def __init__(self, path: Path, *, delivers: bool) -> None:
        self.delivers = delivers
        # The numbers of the emulator's certificates, once it has any.
        self.root_cert_sn = self.alipay_cert_sn = ""
        self._lock = threading.RLock()
        self._depth = 0
        self._connection = sqlite3.connect(path, timeout=20, isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        # Losing the last moments of make-believe money in a power cut hurts nobody; waiting for the disk hurts the demo.
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.executescript(TABLES)
        for table, (column, kind) in LATER.items():
            if column not in {each["name"] for each in self._connection.execute(f"PRAGMA table_info({table})")}:
                self._connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction; one inside another joins it."""
        with self._lock:
            if self._depth == 0:
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield self._connection
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._connection.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._connection.execute("COMMIT")

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """All rows of a read."""
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def row(self, query: str, *values: object) -> sqlite3.Row | None:
        """The first row of a read, or None."""
        with self._lock:
            found: sqlite3.Row | None = self._connection.execute(query, values).fetchone()
            return found

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
