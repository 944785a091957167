"""Payments: signing and verifying beside the official SDK as it is, and a notice handled beside a bare durable commit."""

import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench.part import Run, figure, middle, part, table

SIGNED, STOCK_SIGNED = 400, 12  # the stock SDK signs some thirty times a second
NOTICES = 60  # first notices of as many attempts, in each measuring
FORM = "application/x-www-form-urlencoded"


@part("payments", "Payments: signatures and notices", order=45)
def measure(run: Run) -> Iterator[str]:
    yield _signatures(run)
    rows = []
    for engine in run.engines:
        run.say(f"notices on {engine}")
        rows.append((engine, *_notices(run, engine)))
    yield (
        "A notice from the form to `success`: signature, one door, order, ledger, audit and inbox, committed durably. Beside it one row of the same"
        " size, inserted and committed durably by the bare driver on the same database. One connection, in turn."
    )
    yield table(("database", "notices a second", "bare commits a second", "ratio", "a repeat, a second"), rows)


def _signatures(run: Run) -> str:
    """Ours and the official SDK's, with one key and one content; both make the same bytes."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    from marketplace.payments.alipay_signing import signature, verifies

    key = rsa.generate_private_key(65537, 2048)
    encoding, private = serialization.Encoding, serialization.PrivateFormat.TraditionalOpenSSL
    pem = key.private_bytes(encoding.PEM, private, serialization.NoEncryption()).decode()
    public = key.public_key().public_bytes(encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    content = "app_id=2021000000000001&biz_content={}&charset=utf-8&method=alipay.trade.query" + "&x=1" * 60
    signed = signature(pem, content)

    def ours() -> float:
        return _rate(SIGNED, lambda: verifies(public, content.encode(), signature(pem, content)))

    bare, bare_public = ("".join(each.splitlines()[1:-1]) for each in (pem, public))
    stock_signed, stock = _stock(bare, bare_public, content)
    assert stock_signed == signed, "the SDK signs otherwise"
    taken = run.in_turn({"ours": ours, "stock": stock})
    mine, theirs = middle(taken["ours"]), middle(taken["stock"])
    return (
        f"One request signed and its answer verified (2,048 bits): {figure(mine)} a second; the official SDK as it is {figure(theirs)}."
        f" **{mine / theirs:.0f} ×**, the same bytes."
    )


def _stock(private: str, public: str, content: str) -> tuple[str, Callable[[], float]]:
    """The SDK's own functions in a process of its own, where nothing of ours has replaced them."""
    program = (
        "import sys, time\n"
        "from alipay.aop.api.util.SignatureUtils import sign_with_rsa2, verify_with_rsa\n"
        "private, public, content, times = sys.argv[1:]\n"
        "signed = sign_with_rsa2(private, content, 'utf-8')\n"
        "signed = signed.decode() if isinstance(signed, bytes) else signed\n"
        "began = time.perf_counter()\n"
        "for _ in range(int(times)):\n"
        "    one = sign_with_rsa2(private, content, 'utf-8')\n"
        "    assert verify_with_rsa(public, content.encode(), signed)\n"
        "print(time.perf_counter() - began, signed)\n"
    )

    def said() -> tuple[float, str]:
        done = subprocess.run([sys.executable, "-c", program, private, public, content, str(STOCK_SIGNED)], capture_output=True, text=True, check=True)
        seconds, signed = done.stdout.split()
        return float(seconds), signed

    return said()[1], lambda: STOCK_SIGNED / said()[0]


def _notices(run: Run, engine: str) -> tuple[str, str, str, str]:
    if engine == "sqlite":
        return _through(run, engine, "")
    from tests.postgres import postgres_server

    with postgres_server() as server:
        return _through(run, engine, server.create_database("payments"))


def _through(run: Run, engine: str, address: str) -> tuple[str, str, str, str]:
    from marketplace import create_app
    from marketplace.emulator.keys import gateway_keys
    from marketplace.emulator.signature import signed_form
    from marketplace.foundation.config import read_settings
    from marketplace.foundation.database import db
    from marketplace.payments.payment import Payment
    from tests import builders
    from tests.orders import trade

    folder = run.folder / f"payments-{engine}"
    shutil.rmtree(folder, ignore_errors=True)
    app = create_app(read_settings({}, environment="test", data_dir=folder, database_url=address, secret_key="t" * 40))
    keys = gateway_keys(folder / "emulator")
    client: Any = app.test_client()
    with app.app_context():
        db.create_all()
        market = builders.market(on_hand=100_000)

        def forms() -> list[str]:
            made = []
            for number in range(NOTICES):
                (order_id,) = trade.placed(builders.customer(), (market.pack, 1))
                payment = db.session.get_one(Payment, trade.opened([order_id])[0])
                told = {
                    "app_id": payment.app_id, "charset": "utf-8", "notify_id": f"n{payment.id}", "notify_type": "trade_status_sync",
                    "out_trade_no": payment.out_trade_no, "seller_id": payment.seller_id, "total_amount": "96.00", "trade_no": f"T{payment.id:012d}",
                    "trade_status": "TRADE_SUCCESS", "gmt_payment": "2026-11-24 09:30:00", "subject": f"{number}",
                }  # fmt: skip
                made.append(urlencode(signed_form(keys.private, told)))
            db.session.remove()
            return made

        def heard(bodies: list[str]) -> float:
            def each() -> None:
                for body in bodies:
                    assert client.post("/alipay/notice", data=body, content_type=FORM).text == "success"

            return len(bodies) / _wall(each)

        repeats: list[float] = []

        def first() -> float:
            bodies = forms()
            rate = heard(bodies)
            repeats.append(heard(bodies))
            return rate

        taken = run.in_turn({"notices": first, "bare": lambda: _bare(folder, address)})
        db.session.remove()
        db.engine.dispose()
    shutil.rmtree(folder, ignore_errors=True)
    notices, bare = middle(taken["notices"]), middle(taken["bare"])
    return figure(notices), figure(bare), f"{notices / bare:.3f}", figure(middle(repeats))


def _bare(folder: Path, address: str) -> float:
    """Durable one-row commits of the bare driver, a second."""
    row = ("n" * 40, "2026112409300012345678901234", "TRADE_SUCCESS", 9600)
    if not address:
        bare = sqlite3.connect(folder / "bare.sqlite3", isolation_level=None)
        bare.execute("PRAGMA journal_mode = WAL")
        bare.execute("PRAGMA synchronous = FULL")
        bare.execute("CREATE TABLE IF NOT EXISTS told (notify_id TEXT, out_trade_no TEXT, status TEXT, fen INTEGER)")

        def one() -> None:
            bare.execute("BEGIN IMMEDIATE")
            bare.execute("INSERT INTO told VALUES (?, ?, ?, ?)", row)
            bare.execute("COMMIT")
    else:
        import psycopg

        bare_pg = psycopg.connect(address.replace("postgresql+psycopg", "postgresql"))
        bare_pg.execute("CREATE TABLE IF NOT EXISTS told (notify_id TEXT, out_trade_no TEXT, status TEXT, fen INTEGER)")
        bare_pg.commit()

        def one() -> None:
            bare_pg.execute("INSERT INTO told VALUES (%s, %s, %s, %s)", row)
            bare_pg.commit()

    rate = _rate(300, one)
    (bare if not address else bare_pg).close()
    return rate


def _rate(times: int, work: Callable[[], object]) -> float:
    def repeat() -> None:
        for _ in range(times):
            work()

    return times / _wall(repeat)


def _wall(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
