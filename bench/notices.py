"""Notices at a server: signed forms by the thousand, each of a payment that waits, and what the server made of them."""

import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench.market import Market
from bench.page_load import WrongAnswer, said_by_wrk
from bench.process_tree import cpu_seconds, settle
from bench.server import Server

CONNECTIONS = 8
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Posted:
    """What a load of forms brought: answers a second, and the whole server's processor time for each, its database included."""

    per_second: float
    p99_ms: float
    cpu_ms: float
    requests: int


def posted(server: Server, path: str, bodies: list[str], seconds: float) -> Posted:
    """Send each of these forms once, for so long, over eight connections. WrongAnswer if they do not last, or one is refused."""
    with tempfile.TemporaryDirectory() as name:
        forms, script = Path(name) / "forms", Path(name) / "post.lua"
        forms.write_text("\n".join(bodies))
        script.write_text(
            f'local B={{}}\nfor line in io.lines("{forms}") do B[#B+1]=line end\nlocal i=0\n'
            f'local H={{["Content-Type"]="{FORM}"}}\n'
            f'function request() i=i+1; return wrk.format("POST", "{path}", H, B[(i-1)%#B+1]) end\n'
        )
        settle(server.roots)
        before = cpu_seconds(server.roots)
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "--latency", "--timeout", "30s", "-s", str(script), server.base + path]
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 90).stdout
        settle(server.roots)
    requests, per_second, _p50, p99_ms, errors, _received = said_by_wrk(said)
    if errors or not requests or requests + CONNECTIONS > len(bodies):
        raise WrongAnswer(f"{path}: {requests} answers, {errors} of them wrong, to {len(bodies)} forms")
    return Posted(per_second, p99_ms, 1000 * (cpu_seconds(server.roots) - before) / requests, requests)


class Waiting:
    """Payments that wait, by the thousand: copies of one that was made as a customer makes it."""

    def __init__(self, made: Market) -> None:
        from marketplace import create_app
        from marketplace.emulator.signature import signed_form
        from marketplace.foundation.config import read_settings

        key = _gateway_key(made)
        self._sign = lambda told: urlencode(signed_form(key, told))
        self.app = create_app(read_settings(made.environ | {"MARKET_ENV": "demo"}))
        self._made = 0
        with self.app.app_context():
            self._order, self._payment = _one()
        self._forms = self._all()

    def forms(self, count: int) -> list[str]:
        """So many notices, none of them told before."""
        return list(islice(self._forms, count))

    def applied(self) -> int:
        """How many were applied; WrongAnswer unless each paid its order, once, and stands in the books."""
        with self.app.app_context():
            asked = (
                "SELECT (SELECT count(*) FROM alipay_notice WHERE outcome = 'applied'), (SELECT count(*) FROM payment WHERE state = 'succeeded'), "
                "(SELECT count(*) FROM \"order\" WHERE payment = 'PAID' AND fulfilment = 'READY' AND paid_fen = total_fen), "
                "(SELECT count(*) FROM journal_entry WHERE kind = 'alipay_paid'), (SELECT count(*) FROM journal_line) / 2, "
                "(SELECT count(*) FROM audit_event WHERE action = 'payment.succeeded')"
            )
            counts = _asked(asked)
        if len(set(counts)) != 1:
            raise WrongAnswer(f"notices applied, payments, orders, entries, pairs of lines, acts in the audit: {counts}")
        return int(counts[0])

    def close(self) -> None:
        """Let go of the database."""
        with self.app.app_context():
            from marketplace.foundation.database import db

            db.engine.dispose()

    def _all(self) -> Iterator[str]:
        while True:
            with self.app.app_context():
                numbers = self._copied(2_000)
            for number in numbers:
                yield self._sign({
                    "app_id": self._payment["app_id"], "charset": "utf-8", "notify_id": f"n{number}", "notify_type": "trade_status_sync",
                    "out_trade_no": number, "seller_id": self._payment["seller_id"], "total_amount": f"{self._payment['amount_fen'] / 100:.2f}",
                    "trade_no": f"T{number}", "trade_status": "TRADE_SUCCESS", "gmt_payment": "2026-11-24 09:30:00", "subject": "茶 & 菊",
                })  # fmt: skip

    def _copied(self, count: int) -> list[str]:
        from sqlalchemy import insert

        from marketplace.foundation.database import db, new_public_id, transaction
        from marketplace.orders.order import Order
        from marketplace.payments.payment import Payment

        first, self._made = self._made, self._made + count
        numbers = [f"B{first + place:020d}" for place in range(count)]
        orders = [self._order | {"id": 1_000_000 + first + n, "public_id": new_public_id(), "receipt_token": new_public_id()} for n in range(count)]
        payments = [
            self._payment | {"id": order["id"], "payable_id": order["id"], "public_id": new_public_id(), "out_trade_no": number}
            for order, number in zip(orders, numbers, strict=True)
        ]

        def write() -> None:
            db.session.execute(insert(Order.__table__), orders)  # type: ignore[arg-type]
            db.session.execute(insert(Payment.__table__), payments)  # type: ignore[arg-type]

        transaction(write)
        db.session.remove()
        return numbers


def _one() -> tuple[dict[str, Any], dict[str, Any]]:
    """An order of one pack and its payment, as rows."""
    from sqlalchemy import select

    from marketplace.catalogue.product import Pack
    from marketplace.foundation.database import db
    from marketplace.orders.order import Order
    from marketplace.payments.payment import Payment
    from tests import builders
    from tests.orders import trade

    pack_id = db.session.scalars(select(Pack.id).order_by(Pack.id.desc()).limit(1)).one()
    (order_id,) = trade.placed(builders.customer(), (pack_id, 1))
    (payment_id,) = trade.opened([order_id])
    rows = []
    for model, number in ((Order, order_id), (Payment, payment_id)):
        table: Any = model.__table__
        rows.append(dict(db.session.execute(select(table).where(table.c.id == number)).mappings().one()))
    db.session.remove()
    return rows[0], rows[1]


def _asked(question: str) -> tuple[Any, ...]:
    from sqlalchemy import text

    from marketplace.foundation.database import db

    row = db.session.execute(text(question)).one()
    db.session.remove()
    return tuple(row)


def _gateway_key(made: Market) -> Any:
    from cryptography.hazmat.primitives import serialization

    return serialization.load_pem_private_key(made.environ["BENCH_GATEWAY_KEY"].encode(), None)
