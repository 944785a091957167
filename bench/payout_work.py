"""What a process of its own does for ``payouts`` and for a distribution's memory: households, their distribution, their payouts; each
step with its time, its processor time and the most memory that the process ever held in it."""

import multiprocessing
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.market import POSTGRES
from bench.part import Run

FEN = 1_000  # of a household
A_FILE = 300_000  # lines of a results file that is taken at once
RETURNED = 100  # every so manieth payment comes back


@dataclass(frozen=True)
class Step:
    """Seconds, seconds of processor, and MiB at most in the step and before it."""

    name: str
    wall: float
    processor: float
    peak: float
    before: float


@contextmanager
def database(run: Run, engine: str) -> Iterator[str]:
    """The address of an empty database."""
    if engine == "sqlite":
        path = run.folder / "payouts.sqlite3"
        for old in run.folder.glob("payouts.sqlite3*"):
            old.unlink()
        try:
            yield f"sqlite:///{path}"
        finally:
            for old in run.folder.glob("payouts.sqlite3*"):
                old.unlink()
        return
    from tests.postgres import postgres_server

    with postgres_server(settings=POSTGRES | {"max_wal_size": "8GB", "work_mem": "64MB"}) as server:
        yield server.create_database("payouts")


def measured(run: Run, engine: str, households: int, *, paid: bool) -> list[Step]:
    """A distribution to so many households from draft to post; ``paid``: and their payout until the returns are issued again."""
    with database(run, engine) as address:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        folder = run.folder / f"payouts-{engine}"
        folder.mkdir(parents=True, exist_ok=True)
        process = context.Process(target=_work, args=(theirs, address, str(folder), households, paid), daemon=True)
        process.start()
        theirs.close()
        steps: list[Step] = []
        try:
            while isinstance(said := ours.recv(), Step):
                run.say(f"{engine}, {households:,}: {said.name} {said.wall:.1f} s, {said.peak:.0f} MiB")
                steps.append(said)
        finally:
            process.join(30)
            if process.is_alive():
                process.kill()
                process.join()
        if said is not None:
            raise RuntimeError(said)
        return steps


def _work(pipe: Any, address: str, folder: str, households: int, paid: bool) -> None:
    import traceback

    try:
        _all(pipe, address, folder, households, paid)
        pipe.send(None)
    except Exception:  # noqa: BLE001 -- told to whoever asked
        pipe.send(traceback.format_exc())


def _all(pipe: Any, address: str, folder: str, households: int, paid: bool) -> None:
    from marketplace import create_app
    from marketplace.foundation import clock
    from marketplace.foundation.config import read_settings
    from marketplace.foundation.database import db, transaction
    from marketplace.ledger import month
    from marketplace.settlement import distribution, payout_batch, payout_results, settlement
    from tests import builders
    from tests.settlement.builders import order

    settings = read_settings({}, environment="test", data_dir=Path(folder), database_url=address, secret_key="b" * 40)
    app = create_app(settings)

    def step(name: str, work: Callable[[], Any]) -> Any:
        before = _resident()
        Path("/proc/self/clear_refs").write_text("5")
        began, used = time.monotonic(), _processor()
        answer = work()
        db.session.remove()
        pipe.send(Step(name, time.monotonic() - began, _processor() - used, _peak(), before))
        return answer

    with app.app_context():
        db.create_all()
        transaction(lambda: month.must_exist(month.ahead(2)))
        market = builders.market()
        group = builders.linkage_group(market.cooperative)
        operator = builders.operator()
        transaction(lambda: _make_households(operator, market.village, group, households))
        # Of a scheme of 70/20/6/4 a fifth goes to the households.
        order_id = order(market, households * FEN * 5, group_id=group, batch_id=0)
        period = transaction(lambda: settlement.settle(order_id)).period
        db.session.remove()
        _analyse()
        row_id = step("distribution drafted", lambda: transaction(lambda: distribution.draft(market.cooperative, period, actor=market.accountant).id))
        step("approved", lambda: transaction(lambda: distribution.approve(row_id, actor=market.director, version=1).id))
        ends_on = step("published", lambda: transaction(lambda: distribution.publish(row_id, actor=market.director).ends_on))
        with clock.travel(clock.beijing_midnight(ends_on + timedelta(days=1))):
            step("credited to each household", lambda: transaction(lambda: distribution.post(row_id, actor=market.accountant).id))
            if not paid:
                return
            _analyse()
            batch_id = step("batch made (accounts opened and sealed anew)", lambda: transaction(lambda: payout_batch.make(row_id, actor=market.accountant).id))
            step("approved (three sealed values a line)", lambda: transaction(lambda: payout_batch.approve(batch_id, actor=market.director, version=1).id))
            number = step("handed over: one entry", lambda: transaction(lambda: payout_batch.mark_sent(batch_id, actor=market.accountant).number))

            brought = [_results(number, first, min(households, first + A_FILE - 1)) for first in range(1, households + 1, A_FILE)]

            def keep() -> list[int]:
                return [
                    transaction(lambda content=content: payout_results.keep(batch_id, content, name="results.csv", actor=market.accountant).id)
                    for content in brought
                ]

            def read() -> None:
                for each in kept:
                    found = payout_results.understood(each, actor=market.accountant)
                    transaction(lambda each=each, found=found: payout_results.take_in(each, found, actor=market.accountant).id)

            def look() -> None:
                for each in kept:
                    payout_results.looked_at(db.session.get_one(payout_results.PayoutResults, each), 100)

            def take() -> None:
                for each in kept:
                    transaction(lambda each=each: len(payout_results.apply(each, actor=market.accountant)))

            kept = step("results file kept", keep)
            step("results read, line by line", read)
            step("results looked at, a page", look)
            step(f"results taken, one in {RETURNED} returned", take)
            step("returns issued again", lambda: transaction(lambda: payout_batch.reissue(batch_id, actor=market.accountant).id))


def _make_households(operator: int, village: int, group: int, count: int) -> None:
    """So many households with an account and one share each, past the pages by which people add them."""
    from marketplace.foundation.crypto import keyring
    from marketplace.foundation.database import db, insert_many, new_public_id
    from marketplace.households.household import Household

    first = (db.session.query(db.func.max(Household.id)).scalar() or 0) + 1
    columns = (
        "id", "public_id", "organisation_id", "code", "village_id", "registry_status", "monitoring_kind", "people", "name_sealed", "id_number_sealed",
        "bank_name", "bank_account_sealed", "hardship_sealed", "entered_on", "statement_token", "version",
    )  # fmt: skip

    def rows() -> Iterator[tuple[Any, ...]]:
        ring = keyring()
        for n in range(count):
            public_id = new_public_id()

            def sealed(name: str, plain: str, public_id: str = public_id) -> str:
                return ring.seal(plain, f"household.{name}.{public_id}")

            yield (
                first + n, public_id, operator, f"JA-BENCH-{n:07d}", village, "LIFTED", "NONE", 3, sealed("name", f"测{n}"),
                sealed("id_number", f"36092519{n:010d}"), "靖安农商银行", sealed("bank_account", f"6228480{n:012d}"), "", "2020-01-01", f"bench-{n}", 1,
            )  # fmt: skip

    insert_many("household", columns, rows())
    share = ("organisation_id", "group_id", "household_id", "kind", "shares", "starts_on", "basis_zh")
    insert_many("linkage_share", share, ((operator, group, first + n, "EQUITY", 1, "2020-01-01", "") for n in range(count)))


def _results(number: str, first: int, last: int) -> bytes:
    amount = f"{FEN // 100}.{FEN % 100:02d}"
    lines = (f"{number},{sequence},{amount},{'paid,' if sequence % RETURNED else 'returned,户名不符'}" for sequence in range(first, last + 1))
    return "\n".join(["number,sequence,amount,result,reason", *lines]).encode()


def _analyse() -> None:
    """As the databases do by themselves in the hours that pass between the steps."""
    from marketplace.foundation.database import db

    with db.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("ANALYZE")


def _resident() -> float:
    return _status("VmRSS")


def _peak() -> float:
    return _status("VmHWM")


def _status(name: str) -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
