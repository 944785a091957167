"""Payments: signing and verifying beside the official SDK as it is, and a notice handled beside a bare durable commit."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from bench.part import Run, figure, middle, part, table
from bench.server import granian

SIGNED, STOCK_SIGNED = 400, 12  # the stock SDK signs some thirty times a second
PRODUCTS = 40


@part("payments", "Payments: signatures and notices", order=45)
def measure(run: Run) -> Iterator[str]:
    yield _signatures(run)
    rows = []
    for engine in run.engines:
        run.say(f"notices on {engine}")
        rows.append((engine, *_notices(run, engine)))
    yield (
        "A notice from the form to `success`: signature, one door, order, ledger, audit and inbox, committed durably, on production's server with its workers"
        " and threads. Beside it on the same server and database a bare Flask route that inserts one row of a notice's size by the driver and commits it"
        " durably. Eight connections, in turn; afterwards every notice that was answered has paid its order, once, and stands in the books. Goal: 0.50."
    )
    yield table(
        ("database", "notices a second", "bare commits a second", "ratio", "CPU ms a notice", "CPU ms bare", "CPU ratio", "p99 ms, ours / bare"), rows
    )


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


def _notices(run: Run, engine: str) -> tuple[str, ...]:
    from bench.bare import commit
    from bench.market import market
    from bench.notices import Waiting, posted

    with market(run, engine, PRODUCTS, scratch=True) as made:
        waiting = Waiting(made)
        address = made.environ["DATABASE_URL"].replace("postgresql+psycopg", "postgresql").removeprefix("sqlite:///")
        with waiting.app.app_context():
            _told(commit.TABLE)
        bare_environ = {"BARE_DATABASE": address}
        with (
            granian("wsgi:app", made.folder, made.environ, beside=made.beside) as ours,
            granian("bench.bare.commit:app", made.folder / "bare", bare_environ, beside=made.beside) as bare,
        ):
            # Enough for the quickest answer that could be hoped for.
            several = round(3_000 * run.seconds)
            posted(ours, "/alipay/notice", waiting.forms(9_000), 3.0)  # on a busy machine the first answers take their time
            posted(bare, "/commit", ["a=b"] * 100_000, 3.0)
            taken = run.in_turn({
                "ours": lambda: posted(ours, "/alipay/notice", waiting.forms(several), run.seconds),
                "bare": lambda: posted(bare, "/commit", ["a=b"] * 200_000, run.seconds),
            })  # fmt: skip
            waiting.applied()
        waiting.close()
    rate, bare_rate, cpu, bare_cpu = (middle(getattr(each, what) for each in taken[who]) for what in ("per_second", "cpu_ms") for who in ("ours", "bare"))
    p99, bare_p99 = (middle(each.p99_ms for each in taken[who]) for who in ("ours", "bare"))
    return (
        figure(rate), figure(bare_rate), f"**{rate / bare_rate:.2f}**", figure(cpu), figure(bare_cpu), f"{bare_cpu / cpu:.2f}",
        f"{p99:.0f} / {bare_p99:.0f}",
    )  # fmt: skip


def _told(statement: str) -> None:
    from sqlalchemy import text

    from marketplace.foundation.database import db, transaction

    transaction(lambda: db.session.execute(text(statement)))
    db.session.remove()


def _rate(times: int, work: Callable[[], object]) -> float:
    def repeat() -> None:
        for _ in range(times):
            work()

    return times / _wall(repeat)


def _wall(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
