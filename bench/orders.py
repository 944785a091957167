"""Whole public orders: product → add → cart → address → place → Alipay's signed notice, several buyers at once, books and stock included."""

import random
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from bench.goods import PASSWORD, phone
from bench.market import Market, market
from bench.page_load import WrongAnswer, share, together
from bench.part import Run, figure, middle, part, table
from bench.process_tree import cpu_seconds, memory_mib, settle
from bench.server import Server, granian
from bench.shopper import Shopper, asked_of_alipay, value_of

BUYERS = 8
PRODUCTS = 1_000
BEIJING = timezone(timedelta(hours=8))


@part("orders", "Whole orders", order=20)
def measure(run: Run) -> Iterator[str]:
    yield (
        f"{BUYERS} buyers at once, each signed in, one order after another: product page, into the cart, the cart, the address form, the order placed "
        "(stock reserved, prices frozen), and Alipay's notice of the payment, signed and verified, posted to the ledger. Six requests an order. Processor "
        "time is that of the whole server with its database, for one whole order. Afterwards the database is asked whether every order is paid and the books hold."
    )
    rows = []
    for engine in run.engines:
        with market(run, engine, PRODUCTS, scratch=True) as made, granian("wsgi:app", made.folder, made.environ, beside=made.beside) as server:
            run.say(f"orders, {engine}")
            flow = Flow(made, server)
            flow.for_seconds(min(2.0, run.seconds))
            flow.begin_anew()
            measured = [flow.for_seconds(run.seconds) for _ in range(run.runs)]
            memory = sum(mib for _name, mib in memory_mib([server.pid]))
            flow.check()
        per_second, cpu_ms = middle(each[0] for each in measured), middle(each[1] for each in measured)
        rows.append((
            engine, figure(per_second), f"{share(flow.times, 0.5) * 1000:.0f} / {share(flow.times, 0.99) * 1000:.0f}", figure(cpu_ms),
            len(flow.times), 0, f"{memory:.0f}", ", ".join(f"{name} {share(times, 0.5) * 1000:.0f}" for name, times in flow.steps.items()),
        ))  # fmt: skip
    yield table(("database", "orders a second", "p50 / p99 ms", "CPU ms an order", "orders", "errors", "MiB, all processes", "median ms of each step"), rows)


class Flow:
    """The buyers, and what they have measured."""

    def __init__(self, made: Market, server: Server) -> None:
        self._made, self._server = made, server
        self._gateway = _gateway_key(made)
        self._sellers = dict(_asked(made, "SELECT alipay_app_id, alipay_seller_id FROM cooperative"))
        self._lock = threading.Lock()
        self._shoppers = [Shopper(server.base) for _ in range(BUYERS)]
        for number, shopper in enumerate(self._shoppers):
            shopper.sign_in(phone(number), PASSWORD)
        self.placed = 0
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget the times, not the orders."""
        self.times: list[float] = []
        self.steps: dict[str, list[float]] = {}
        self.errors: list[Exception] = []

    def for_seconds(self, seconds: float) -> tuple[float, float]:
        """Let all of them buy for so long: orders a second, and the server's milliseconds of processor time an order."""
        settle(self._server.roots)
        before, cpu, began = len(self.times), cpu_seconds(self._server.roots), time.monotonic()
        until = began + seconds
        together([lambda shopper=each, number=number: self._buy(shopper, number, until) for number, each in enumerate(self._shoppers)])  # type: ignore[misc]
        took = time.monotonic() - began
        settle(self._server.roots)
        if self.errors:
            raise self.errors[0]
        done = len(self.times) - before
        return done / took, 1000 * (cpu_seconds(self._server.roots) - cpu) / max(1, done)

    def _buy(self, shopper: Shopper, number: int, until: float) -> None:
        chance = random.Random(number + self.placed)
        while time.monotonic() < until and not self.errors:
            try:
                self._one(shopper, chance.randrange(900))
            except Exception as error:  # noqa: BLE001 -- any error ends the measuring, in the thread that asked for it
                self.errors.append(error)

    def _one(self, shopper: Shopper, product: int) -> None:
        watch = Watch()
        page = shopper.get(f"/goods/bench-{product}", 'action="/cart/add"')
        watch.lap("product")
        shopper.post("/cart/add", pack=_first_pack(page), quantity="1", next="/cart")
        watch.lap("add")
        shopper.get("/cart", "/checkout")
        watch.lap("cart")
        form = shopper.get("/checkout", 'name="recipient"')
        watch.lap("address")
        fields = {name: value_of(form, name) for name in ("csrf_token", "idempotency_key", "shown_fen")}
        address = {"recipient": "王小明", "phone": "13800138000", "province": "江西省", "city": "南昌市", "street": "赣江中大道 1 号"}
        cashier = shopper.post("/checkout", **fields, **address)
        if "biz_content" not in cashier:
            shopper.get(cashier, "the cashier")  # it is not there: the error says what the page says instead
        watch.lap("place")
        shopper.tell("/alipay/notice", "success", **self._notice(asked_of_alipay(cashier)))
        watch.lap("notice")
        with self._lock:
            self.placed += 1
            self.times.append(watch.total())
            for name, seconds in watch.laps.items():
                self.steps.setdefault(name, []).append(seconds)

    def _notice(self, asked: dict[str, str]) -> dict[str, str]:
        from marketplace.emulator.signature import signed_form

        now = f"{datetime.now(UTC).astimezone(BEIJING):%Y-%m-%d %H:%M:%S}"
        number = asked["out_trade_no"]
        return signed_form(self._gateway, {
            "app_id": asked["app_id"], "charset": "utf-8", "gmt_create": now, "gmt_payment": now, "notify_time": now, "notify_type": "trade_status_sync",
            "notify_id": f"n{number}", "out_trade_no": number, "seller_id": self._sellers[asked["app_id"]], "total_amount": asked["total_amount"], "version": "1.0",
            "trade_no": f"2026{number[-24:]}", "trade_status": "TRADE_SUCCESS", "buyer_pay_amount": asked["total_amount"], "subject": asked["subject"],
        })  # fmt: skip

    def check(self) -> None:
        """Every order that was placed is paid, once, and every book sums to zero."""
        states = dict(_asked(self._made, "SELECT payment, count(*) FROM \"order\" WHERE kind = 'PUBLIC' GROUP BY payment"))
        crooked = _asked(self._made, "SELECT entry_id FROM journal_line GROUP BY entry_id HAVING sum(fen) <> 0")
        if states != {"PAID": self.placed} or crooked:
            raise WrongAnswer(f"{self.placed} orders were placed and paid; the database says {states}, {len(crooked)} entries do not balance")


class Watch:
    """Seconds between laps."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._began = self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = now - self._last
        self._last = now

    def total(self) -> float:
        return self._last - self._began


def _first_pack(page: str) -> str:
    import re

    found = re.search(r'name="pack"[^>]*value="([^"]+)"', page)
    if found is None:
        raise WrongAnswer("no pack on the product page")
    return found[1]


def _asked(made: Market, question: str) -> list[Any]:
    """What the market's database says."""
    from sqlalchemy import create_engine, text

    engine = create_engine(made.environ["DATABASE_URL"])
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(text(question))]
    engine.dispose()
    return rows


def _gateway_key(made: Market) -> Any:
    from cryptography.hazmat.primitives import serialization

    return serialization.load_pem_private_key(made.environ["BENCH_GATEWAY_KEY"].encode(), None)
