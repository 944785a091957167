"""A notice: what the gateway tells a merchant's notify_url about a trade, signed, until it hears exactly ``success``.

Every repeat has the same notify_id. The times between tries are Alipay's, and can be compressed.
"""

import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import urllib3
from cryptography.hazmat.primitives.asymmetric import rsa

from marketplace.emulator import fault
from marketplace.emulator.field import beijing, stamp, yuan
from marketplace.emulator.signature import signed_form
from marketplace.emulator.state import State
from marketplace.foundation import clock

HELD = "held"  # ordered to arrive after the notice that follows it
RETRY_SECONDS = (240, 600, 600, 3_600, 7_200, 21_600, 54_000)


def announce(state: State, trade: sqlite3.Row, *, request_no: str = "") -> None:
    """Keep a notice of the trade's state as it is now; ``request_no`` is the refund's that changed it."""
    params = {
        "app_id": trade["app_id"],
        "auth_app_id": trade["app_id"],
        "buyer_id": trade["buyer_id"],
        "charset": "utf-8",
        "gmt_create": beijing(trade["created_at"]),
        "notify_type": "trade_status_sync",
        "out_trade_no": trade["out_trade_no"],
        "seller_id": trade["seller_id"],
        "subject": trade["subject"],
        "total_amount": yuan(trade["total_fen"]),
        "trade_no": trade["trade_no"],
        "trade_status": trade["status"],
        "version": "1.0",
    }
    if trade["paid_at"]:
        paid = yuan(trade["total_fen"])
        params |= {
            "buyer_pay_amount": paid,
            "fund_bill_list": json.dumps(
                [{"amount": paid, "fundChannel": "ALIPAYACCOUNT"}], separators=(",", ":")
            ),
            "gmt_payment": beijing(trade["paid_at"]),
            "invoice_amount": paid,
            "point_amount": "0.00",
            "receipt_amount": paid,
        }
    if request_no:
        params |= {
            "gmt_refund": beijing(stamp(clock.now())),
            "out_biz_no": request_no,
            "refund_fee": yuan(trade["refunded_fen"]),
        }
    if trade["closed_at"]:
        params["gmt_close"] = beijing(trade["closed_at"])
    event = f"{trade['trade_no']}/{trade['status']}/{request_no}"
    params["notify_id"] = (
        params["gmt_create"][:10].replace("-", "") + hashlib.sha256(event.encode()).hexdigest()[:26]
    )

    faults = fault.take(state, "notice", trade["out_trade_no"])
    kinds = {each.kind for each in faults}
    if "no_notice" in kinds:
        return
    due_at: float | None = None
    if state.delivers and trade["notify_url"]:
        due_at = time.time() + sum(each.seconds for each in faults if each.kind == "late_notice")
    kept = (params["notify_id"], trade["app_id"], trade["out_trade_no"], trade["notify_url"], json.dumps(params, ensure_ascii=False))
    with state.transaction() as write:
        if "reordered_notice" in kinds:
            _keep(write, kept, None, HELD)
            return
        for _ in range(2 if "duplicate_notice" in kinds else 1):
            _keep(write, kept, due_at, "")
        # What was held back goes out after the one that should have followed it.
        for held in state.rows("SELECT * FROM notice WHERE out_trade_no = ? AND answer = ?", trade["out_trade_no"], HELD):
            write.execute("DELETE FROM notice WHERE id = ?", (held["id"],))
            _keep(write, tuple(held[name] for name in ("notify_id", "app_id", "out_trade_no", "url", "params")), due_at and due_at + 0.5, "")


def _keep(write: sqlite3.Connection, kept: tuple[str, ...], due_at: float | None, answer: str) -> None:
    write.execute(
        "INSERT INTO notice (notify_id, app_id, out_trade_no, url, params, due_at, answer) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (*kept, due_at, answer),
    )


def take(state: State, key: rsa.RSAPrivateKey, app_id: str, out_trade_no: str) -> list[dict[str, str]]:
    """The signed forms of the trade's notices that nobody was told yet; they count as delivered from now on."""
    with state.transaction() as write:
        waiting = state.rows(
            "SELECT * FROM notice WHERE app_id = ? AND out_trade_no = ? AND attempts = 0 AND answer <> ? ORDER BY id",
            app_id,
            out_trade_no,
            HELD,
        )
        for each in waiting:
            write.execute(
                "UPDATE notice SET attempts = 1, due_at = NULL, answer = 'taken' WHERE id = ?", (each["id"],)
            )
    return [form(key, each["params"]) for each in waiting]


def form(key: rsa.RSAPrivateKey, params: str) -> dict[str, str]:
    """The signed form of a kept notice, as sent now."""
    kept: dict[str, Any] = json.loads(params)
    return signed_form(key, kept | {"notify_time": beijing(stamp(clock.now()))})


class Postman:
    """The thread that carries notices, and closes trades whose time is over. ``speed`` 60 makes a minute a second."""

    def __init__(
        self, state: State, key: rsa.RSAPrivateKey, *, speed: float, sweep: Callable[[State], None]
    ) -> None:
        self._state = state
        self._key = key
        self._speed = speed
        self._sweep = sweep
        self._wake = threading.Event()
        self._stopped = False
        self._http = urllib3.PoolManager(maxsize=4, retries=False, timeout=10)
        self._carriers = ThreadPoolExecutor(4, "notice")
        self._thread = threading.Thread(target=self._run, name="postman", daemon=True)

    def start(self) -> None:
        """Begin; notices left from an earlier run are carried too."""
        self._thread.start()

    def wake(self) -> None:
        """There may be something to carry now."""
        self._wake.set()

    def stop(self) -> None:
        """End after the deliveries under way."""
        self._stopped = True
        self._wake.set()
        self._thread.join()
        self._carriers.shutdown()
        self._http.clear()

    def _run(self) -> None:
        while not self._stopped:
            try:
                self._sweep(self._state)
                for each in self._claimed():
                    self._carriers.submit(self._carry, each)
            except sqlite3.OperationalError:
                pass  # another process holds the file for long: the next round finds everything still due
            self._wake.wait(0.5)
            self._wake.clear()

    def _claimed(self) -> list[sqlite3.Row]:
        now = time.time()
        due = "SELECT * FROM notice WHERE due_at <= ? ORDER BY id LIMIT 100"
        if self._state.row(due, now) is None:
            return []
        with self._state.transaction() as write:
            claimed = self._state.rows(due, now)
            for each in claimed:  # should this process die while it carries, the notice is due again
                write.execute(
                    "UPDATE notice SET due_at = ?, attempts = attempts + 1 WHERE id = ?",
                    (now + 30, each["id"]),
                )
        return claimed

    def _carry(self, row: sqlite3.Row) -> None:
        try:
            response = self._http.request(
                "POST", row["url"], fields=form(self._key, row["params"]), encode_multipart=False, redirect=False,
                headers={"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
            )  # fmt: skip
            answer = f"{response.status} {response.data[:100]!r}"
            heard = response.status == 200 and response.data == b"success"
        except urllib3.exceptions.HTTPError as error:
            answer, heard = type(error).__name__, False
        tried = row["attempts"]  # as it was before this try
        due_at = None
        if not heard and tried < len(RETRY_SECONDS):
            due_at = time.time() + RETRY_SECONDS[tried] / self._speed
        with self._state.transaction() as write:
            write.execute(
                "UPDATE notice SET due_at = ?, answer = ? WHERE id = ?", (due_at, answer, row["id"])
            )
