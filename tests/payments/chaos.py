"""A gateway that fails a fifth of all calls in every way it can; buyers who pay one cooperative or two in one act, on a page, a phone or by a
code, change their minds and pay twice; and a worker that is killed again and again. At last the day's bills come. Every yuan is looked for, on
both sides.

The worker is a process of its own (``python -m tests.payments.chaos FOLDER``), so that it can be killed with -9. Its days are short:
each round moves the common clock on, so that hours of backing off pass in seconds.
"""

import contextlib
import os
import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import urllib3
from flask import Flask
from sqlalchemy import func, select
from werkzeug.serving import WSGIRequestHandler, make_server

from marketplace import create_app
from marketplace.emulator import fault
from marketplace.emulator.bill import balance as at_the_gateway
from marketplace.emulator.server import Running
from marketplace.foundation import clock
from marketplace.foundation.config import Settings, read_settings
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import MarketError
from marketplace.foundation.outbox import OutboxMessage
from marketplace.jobs import schedule
from marketplace.ledger import balance
from marketplace.orders import cancellation, return_request
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Cooperative
from marketplace.payments import bill_day, call, seller_channel
from marketplace.payments.account_bill import KeptAccountBill
from marketplace.payments.alipay_transport import HttpTransport
from marketplace.payments.bill_difference import BillDifference
from marketplace.payments.bill_import import ImportedBill, ImportedRow
from marketplace.payments.call import PaymentCall
from marketplace.payments.payment import OPEN, Payment
from marketplace.payments.refund import Refund
from marketplace.reporting import books
from marketplace.settlement.difference import Difference
from tests import builders
from tests.builders import Market
from tests.orders import trade

STEP = timedelta(seconds=10)  # of the common clock, a round of the worker
PAID_WITHIN = 10  # minutes: a page that nobody opened stays open so long, and the run waits for its end
JOBS = ("outbox", "calls", "ask", "expire")
BILLS = ("bills", "accounts")  # what the last worker does besides, on the next day
BILL = "alipay.data.dataservice.bill.downloadurl.query"
LATE = 0.5  # seconds that the gateway keeps an answer, a byte of it or a notice back
DEADLINE = 0.4  # seconds that the worker gives a whole exchange: what is late comes after it
PATIENCE = 600  # seconds in which a worker must have begun to work, on whatever machine
LATE_ANSWERS = {"delay_before": "alipay.trade.query", "delay_after": "alipay.trade.refund", "drip": "alipay.trade.fastpay.refund.query"}


def settings_of(folder: Path, database: str, gateway: str, base_url: str) -> Settings:
    return read_settings(
        {}, environment="test", data_dir=folder, database_url=database, secret_key="t" * 40, alipay_gateway=gateway, base_url=base_url,
        payment_minutes=PAID_WITHIN,
    )  # fmt: skip


class SharedClock:
    """What both processes take for the present: real time, and as far ahead as the file says."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ahead"

    @property
    def ahead(self) -> timedelta:
        return timedelta(seconds=float(self._path.read_text())) if self._path.exists() else timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def move(self, by: timedelta) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.write_text(str((self.ahead + by).total_seconds()))
        fresh.replace(self._path)


def work(folder: Path, database: str, gateway: str, base_url: str, *more: str) -> None:
    """The worker: rounds of its jobs and ``more``, until somebody kills it."""
    HttpTransport.__init__.__defaults__ = (DEADLINE,)
    app = create_app(settings_of(folder, database, gateway, base_url))
    shared = SharedClock(folder)
    while True:
        with clock.travel(shared.now()):
            for name in (*JOBS, *more):
                with contextlib.suppress(MarketError):  # a busy database: the next round finds the same rows
                    schedule.once(app, name)
        shared.move(STEP)


@dataclass
class Told:
    """What a run was like, to be read by people."""

    payments: int = 0
    refunds: int = 0
    calls: int = 0
    unknown: int = 0
    late: int = 0
    kills: int = 0
    unseen: int = 0
    merged: int = 0
    by_code: int = 0
    billed: int = 0
    drained: timedelta = field(default_factory=timedelta)

    def __str__(self) -> str:
        share = 100 * self.unknown // max(1, self.calls)
        return (
            f"{self.payments} paid ({self.merged} of them in one act with another cooperative's, {self.by_code} by a code), {self.refunds} refunds, "
            f"{self.billed} rows of bills, {self.calls} calls of which {share} % came to an unknown end "
            f"({self.late} at the deadline), {self.unseen} pages never opened, worker killed {self.kills} times; drained within {self.drained} after the gateway healed"
        )


class Chaos:
    """One run over ``database``, whose tables are there. ``folder`` is DATA_DIR."""

    def __init__(self, app: Flask, folder: Path, database: str, running: Running, base_url: str, *, seed: int) -> None:
        self.app, self.folder, self.database, self.running, self.base_url = app, folder, database, running, base_url
        self.chance = random.Random(seed)
        self.shared = SharedClock(folder)
        self.http = urllib3.PoolManager(retries=False, timeout=10, maxsize=8)
        self.told = Told()
        self.worker: subprocess.Popen[bytes] | None = None
        self.markets: list[Market] = [builders.market(on_hand=100_000), builders.market(name="土蜂蜜合作社", category="honey", price_fen=6800, on_hand=100_000)]
        for seller in db.session.scalars(select(Cooperative)):
            running.emulator.register_demo_app(seller.alipay_app_id, seller.alipay_seller_id)

    def trade(self, buyers: int, kills: int, *, percent: int = 20, changing: float = 0.7, at_once: int = 1) -> None:
        """Let them buy, so many ``at_once``, while the gateway fails and the worker dies; then heal, and let a last worker finish.

        ``changing``: the share of buyers who cancel or return something; besides, late and double payments go back.
        """
        state = self.running.emulator.state
        fault.order(state, kind=fault.ANY, nth=0, percent=percent, seconds=LATE)
        fault.order(state, kind=fault.ANY, method="notice", nth=0, percent=percent, seconds=LATE)
        fault.order(state, kind="echoed_numbers", nth=0, percent=50)
        for kind, method in LATE_ANSWERS.items():  # however few the calls are
            fault.order(state, kind=kind, method=method, nth=1, seconds=LATE)
        dying = sorted(self.chance.sample(range(1, buyers), kills))
        self.worker = worker = self._worker()
        for first, last in pairwise([0, *dying, buyers]):
            with ThreadPoolExecutor(at_once) as shops:
                share, more = divmod(last - first, at_once)
                sizes = [share + (place < more) for place in range(at_once)]
                self.told.unseen += sum(shops.map(self._shop, sizes, [self.chance.random() for _ in sizes], [changing] * at_once))
            if last != buyers:
                worker = self._killed(worker)
        # The last one dies with what all of them ordered still to do; only then the gateway heals.
        self._kill(worker)
        self.told.kills += 1
        fault.clear(self.running.emulator.state)
        healed = self.shared.now()
        self.worker = worker = self._worker()
        until = time.monotonic() + 240 + buyers / 5
        while not self._drained():
            assert worker.poll() is None, "the worker ended by itself"
            assert time.monotonic() < until, f"stuck: {self._stuck()}"
            time.sleep(0.2)
        self.told.drained = self.shared.now() - healed
        self._kill(worker)
        self._next_day(buyers)

    def _next_day(self, buyers: int) -> None:
        """The days' bills come out, and are not to be had at once; then they are learnt from."""
        state = self.running.emulator.state
        for nth, kind in enumerate(("http_502_before", "truncate"), 1):
            fault.order(state, kind=kind, method=BILL, nth=nth)
        tomorrow = clock.beijing_midnight(clock.business_date(self.shared.now())) + timedelta(days=1, hours=bill_day.READY_HOUR, minutes=1)
        self.shared.move(tomorrow - self.shared.now())
        self.worker = worker = self._worker(*BILLS)
        until = time.monotonic() + 120 + buyers / 20
        while not self._billed():
            assert worker.poll() is None, "the worker ended by itself"
            assert time.monotonic() < until, "the bills do not come"
            time.sleep(0.2)
        self._kill(worker)

    def _billed(self) -> bool:
        """Whether every bill is here, of every day until yesterday."""
        db.session.rollback()
        with clock.travel(self.shared.now()):
            days = sum((last - first).days + 1 for first, last in bill_day.spans().values())
        here = [db.session.scalar(select(func.count()).select_from(each)) for each in (ImportedBill, KeptAccountBill)]
        return here == [days, days]

    def end(self) -> None:
        """Leave no process behind."""
        if self.worker is not None:
            self._kill(self.worker)

    def account(self) -> list[str]:
        """What does not add up between the gateway's own memory and the market's books; empty if every fen is found."""
        db.session.rollback()
        wrong: list[str] = []
        state = self.running.emulator.state
        ours = {each.out_trade_no: each for each in db.session.scalars(select(Payment))}
        refunds = {each.out_request_no: each for each in db.session.scalars(select(Refund))}
        paid_there = [ours[row["out_trade_no"]] for row in state.rows("SELECT * FROM trade WHERE paid_at <> ''")]
        wrong += [f"{each.out_trade_no} was paid, and stands as {each.state}" for each in paid_there if each.state not in ("succeeded", "late_paid")]
        for row in state.rows("SELECT * FROM refund"):
            refund = refunds.get(row["out_request_no"])
            if refund is None or (refund.state, refund.fen) != ("succeeded", row["fen"]):
                wrong.append(f"refund {row['out_request_no']} of {row['fen']} fen left, and stands as {refund and refund.state}")
        if state.row("SELECT count(*) AS n FROM refund")["n"] != sum(each.state == "succeeded" for each in refunds.values()):  # type: ignore[index]
            wrong.append("the gateway and the market do not count the same refunds")
        for number, seller_id in db.session.execute(select(Cooperative.organisation_id, Cooperative.alipay_seller_id)):
            lies, held = at_the_gateway(state, seller_id, self.shared.now()), balance.held("alipay", number)
            if held != lies:
                wrong.append(f"{lies} fen of {seller_id} lie at the gateway, the books say {held}")
            left = {kind: balance.held(kind, number) for kind in ("unapplied", "refunds_payable")}
            wrong += [f"{fen} fen are left in {kind} of {seller_id}" for kind, fen in left.items() if fen]
        wrong += [f"the bill differs: {each.kind} {each.out_trade_no} {each.out_request_no}" for each in db.session.scalars(select(BillDifference))]
        wrong += [f"the account differs: {each.kind} {each.subject}" for each in db.session.scalars(select(Difference).where(Difference.state == "OPEN"))]
        wrong += [f"{each.rule}: {each.detail}" for each in books.check() if not each.ok]
        calls = {row[0]: row[1] for row in db.session.execute(select(PaymentCall.outcome, func.count()).group_by(PaymentCall.outcome))}
        self.told.payments = sum(each.state in ("succeeded", "late_paid") for each in ours.values())
        self.told.refunds, self.told.calls = len(refunds), sum(calls.values())
        paid = [each for each in ours.values() if each.state in ("succeeded", "late_paid")]
        self.told.merged = sum(each.merge_no is not None for each in paid)
        self.told.by_code = sum(each.merge_no is None and bool(each.precreated) for each in paid)
        self.told.billed = db.session.scalar(select(func.count()).select_from(ImportedRow)) or 0
        self.told.unknown = calls.get("unknown", 0) + calls.get(None, 0)  # killed before the answer was written
        answers = db.session.scalars(select(PaymentCall.answer).where(PaymentCall.outcome == "unknown"))
        self.told.late = sum((each or {}).get("sub_code") == "deadline" for each in answers)
        return wrong

    def _shop(self, buyers: int, seed: float, changing: float) -> int:
        """So many buyers, one after the other; each may think again when some others have bought. How many pages nobody opened."""
        chance, unseen = random.Random(seed), 0
        waiting: list[tuple[int, Actor]] = []
        with self.app.app_context():
            for _ in range(buyers):
                orders, buyer, closed = self._buys(chance)
                waiting += [(each, buyer) for each in orders]
                unseen += closed
                while len(waiting) > 4:
                    self._changes_mind(*waiting.pop(chance.randrange(len(waiting))), chance, changing)
            for each in waiting:
                self._changes_mind(*each, chance, changing)
            db.session.remove()
        return unseen

    def _buys(self, chance: random.Random) -> tuple[list[int], Actor, int]:
        """Goods of one cooperative or of both: the orders, and how many pages were closed unseen."""
        buyer, closed = builders.customer(), 0
        tea, honey = self.markets
        sellers = chance.choice(([tea], [tea], [honey], [tea, honey]))
        with clock.travel(self.shared.now()):
            orders = trade.placed(buyer, *((each.pack, chance.randint(1, 3)) for each in sellers))
            # How many pages are asked for, and of how many of them the first is closed unseen.
            tabs, unseen = chance.choice(((0, 0), (1, 1), (1, 0), (1, 0), (1, 0), (1, 0), (2, 0), (2, 1)))
            for number in range(tabs):
                with contextlib.suppress(MarketError):  # paid or expired meanwhile
                    url = self._page(trade.opened(orders), chance)
                    if number < unseen:
                        closed += 1
                    else:
                        self._pays(url)
        return orders, buyer, closed

    def _page(self, ids: list[int], chance: random.Random) -> str:
        """What the buyer pays on: a page, a phone's page, or what is behind a code. The gateway may fail to make the last two."""
        wap = chance.random() < 0.3
        kind = ("merge" if wap else "") if len(ids) > 1 else "qr_code" if chance.random() < 0.2 else ""
        call.announce(ids, kind)
        payments = list(db.session.scalars(select(Payment).where(Payment.id.in_(ids)).order_by(Payment.id)))
        url = str(payments[0].precreated) if kind == "qr_code" else seller_channel.cashier_url(payments, return_url="", wap=wap)
        db.session.rollback()
        return url

    def _pays(self, url: str) -> None:
        page = self.http.request("GET", url, redirect=True, retries=3)
        if page.status == 200:  # else it was closed before the buyer saw it
            token = (page.geturl() or "").split("/cashier/")[1].split("?")[0]
            self.http.request("POST", f"{self.running.url}/cashier/{token}/pay", redirect=False)

    def _changes_mind(self, order_id: int, buyer: Actor, chance: random.Random, changing: float) -> None:
        what = chance.random()
        with clock.travel(self.shared.now()), contextlib.suppress(MarketError):  # paid late, shipped, expired: then not
            if what < changing * 0.6:
                transaction(lambda: cancellation.cancel(order_id, actor=buyer))
            elif what < changing:
                asked = transaction(lambda: return_request.raise_request(order_id, chance.randint(1, 900), "少了", actor=buyer).id)
                seller = trade.order(order_id).organisation_id
                director = next(each.director for each in self.markets if each.cooperative == seller)
                db.session.rollback()
                transaction(lambda: return_request.approve(asked, actor=director))

    def _worker(self, *more: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.payments.chaos", str(self.folder), self.database, self.running.gateway_url, self.base_url, *more]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": str(Path.cwd())})

    def _killed(self, worker: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        """Let it get into its work, kill it in the middle of whatever it does, start another."""
        until = time.monotonic() + PATIENCE
        before = self.shared.ahead
        while self.shared.ahead - before < 3 * STEP:
            assert worker.poll() is None, "the worker ended by itself"
            assert time.monotonic() < until, "the worker does not work"
            time.sleep(0.02)
        time.sleep(self.chance.random() * 0.2)
        self._kill(worker)
        self.told.kills += 1
        self.worker = self._worker()
        return self.worker

    def _kill(self, worker: subprocess.Popen[bytes]) -> None:
        worker.kill()
        worker.wait()

    def _stuck(self) -> dict[str, int]:
        """What is still to be done outside, by kind."""
        db.session.rollback()
        waiting = select(OutboxMessage.kind, func.count()).where(
            OutboxMessage.done_at.is_(None), OutboxMessage.kind.in_(("refund", "payment.close", "payment.query"))
        )
        stuck: dict[str, int] = {row[0]: row[1] for row in db.session.execute(waiting.group_by(OutboxMessage.kind))}
        stuck["open payments"] = db.session.scalar(select(func.count()).where(Payment.state.in_(OPEN))) or 0
        stuck["refunds"] = db.session.scalar(select(func.count()).where(Refund.state.in_(("approved", "submitting", "unknown")))) or 0
        return {what: number for what, number in stuck.items() if number}

    def _drained(self) -> bool:
        return not self._stuck()


class Quiet(WSGIRequestHandler):
    """A server that does not say what it was asked."""

    def log(self, *_: Any) -> None:
        pass


def _bills_of_tomorrow(gateway: Any, shared: SharedClock) -> Any:
    """The gateway's own clock is the real one; but whether a bill is out is a matter of the common one."""

    def answer(environ: Any, start: Any) -> Any:
        if BILL in environ["QUERY_STRING"] or environ["PATH_INFO"].startswith("/bill/"):
            with clock.travel(shared.now()):
                return gateway(environ, start)
        return gateway(environ, start)

    return answer


@contextlib.contextmanager
def chaos(folder: Path, database: str, *, seed: int) -> Any:
    """A shop that hears notices over HTTP, a gateway that fails, and a run between them; all closed afterwards."""
    shop: list[Flask] = []  # its address must be known before it can be made

    def _shop(environ: Any, start: Any) -> Any:
        return shop[0](environ, start)

    running = Running(folder / "emulator", port=0, notice_speed=600.0)
    running._server.app = _bills_of_tomorrow(running._server.app, SharedClock(folder))
    running.start()
    server = make_server("127.0.0.1", 0, _shop, threaded=True, request_handler=Quiet)
    base_url = f"http://127.0.0.1:{server.server_port}"
    app = create_app(settings_of(folder, database, running.gateway_url, base_url))
    shop.append(app)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    serving.start()
    try:
        with app.app_context():
            run = Chaos(app, folder, database, running, base_url, seed=seed)
            try:
                yield run
            finally:
                run.end()
            db.session.remove()
            db.engine.dispose()
    finally:
        running.stop()
        server.shutdown()
        serving.join()
        server.server_close()


if __name__ == "__main__":
    work(Path(sys.argv[1]), *sys.argv[2:])
