"""Books to measure: a database with the market's tables and cooperatives that trade, and workers that post to it, each a process.

A worker is asked to do one thing for so many seconds and says how often it did it; what it does is named in ``ledger_work``.
"""

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench.market import POSTGRES
from bench.part import Run

COOPERATIVES = 8
HOLDER = 1


@dataclass
class Books:
    """An engine's database. ``do`` runs one task on the first ``workers`` workers at once: answers, and seconds until the last."""

    engine: str
    address: str
    folder: Path
    pipes: list[Connection] = field(default_factory=list)

    def do(self, task: str, workers: int, **given: Any) -> tuple[list[Any], float]:
        for number, pipe in enumerate(self.pipes[:workers]):
            pipe.send((task, {"number": number, **given}))
        began = time.monotonic()
        answers = [pipe.recv() for pipe in self.pipes[:workers]]
        for answer in answers:
            if isinstance(answer, str):
                raise RuntimeError(f"{task}: {answer}")
        return answers, time.monotonic() - began

    def per_second(self, task: str, workers: int, **given: Any) -> float:
        answers, took = self.do(task, workers, **given)
        return float(sum(answers)) / took


@contextmanager
def books(run: Run, engine: str, workers: int) -> Iterator[Books]:
    """Fresh books on ``engine``, and so many workers."""
    folder = run.folder / f"books-{engine}"
    folder.mkdir(parents=True, exist_ok=True)
    if engine == "sqlite":
        for old in folder.glob("books.sqlite3*"):
            old.unlink()
        with _workers(Books(engine, f"sqlite:///{folder / 'books.sqlite3'}", folder), 1) as made:
            yield made
        return
    from tests.postgres import postgres_server

    with (
        postgres_server(settings=POSTGRES | {"max_wal_size": "8GB", "work_mem": "64MB"}) as server,
        _workers(Books(engine, server.create_database("books"), folder), workers) as made,
    ):
        yield made


@contextmanager
def _workers(made: Books, count: int) -> Iterator[Books]:
    from bench import ledger_work

    context = multiprocessing.get_context("spawn")
    processes = []
    for number in range(count):
        ours, theirs = context.Pipe()
        # The first makes the tables before the others come.
        process = context.Process(target=ledger_work.serve, args=(theirs, made.address, str(made.folder)), daemon=True)
        process.start()
        processes.append(process)
        made.pipes.append(ours)
        if number == 0:
            made.do("make", 1)
    made.do("ready", count)
    try:
        yield made
    finally:
        for pipe in made.pipes:
            pipe.send(None)
        for process in processes:
            process.join(20)
            if process.is_alive():
                process.kill()
                process.join()
