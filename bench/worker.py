"""A web worker over its life: how soon it answers, and how much memory it holds after a great many requests."""

import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from statistics import median
from urllib.parse import quote, urlsplit

from bench.goods import RARE
from bench.market import market
from bench.page_load import load
from bench.part import Run, part, table
from bench.process_tree import resident_mib
from bench.server import granian

REQUESTS = 100_000
LARGEST_MINUTES = 6


@part("worker", "A worker's start and memory", order=40)
def measure(run: Run) -> Iterator[str]:
    with market(run, "sqlite", 1_000) as made:
        starts = []
        for _ in range(max(3, run.runs)):
            with granian("wsgi:app", made.folder, made.environ, workers=1) as server:
                starts.append(server.started_in)
        run.say("start measured; now a long walk")
        yield (
            f"From the command to the first answer of a worker, granian's own start included: **{median(starts):.2f} s** (median of {len(starts)}). "
            f"Importing and making the application alone: {_import_seconds(made.environ):.2f} s of processor time."
        )
        rows = []
        with granian("wsgi:app", made.folder, made.environ) as server:
            paths = [f"/goods/bench-{n}" for n in range(0, 900, 7)] + [f"/search?q={quote(word)}" for word in RARE] + ["/", "/goods", "/origins", "/cooperatives"]
            paths += [f"/goods?sort=price&category={name}" for name in ("honey", "white_tea", "camellia_oil")]
            for path in paths:
                _get(server.base, path)
            done, until = len(paths), time.monotonic() + 60 * LARGEST_MINUTES
            rows.append((f"{done:,}", *_sizes(server)))
            step = REQUESTS // 4
            goal = step
            while goal <= REQUESTS and time.monotonic() < until:
                done += load(server.base, paths, "</html>", server.roots, seconds=run.seconds).requests
                if done >= goal:
                    rows.append((f"{done:,}", *_sizes(server)))
                    goal = (done // step + 1) * step
        yield "Resident memory of each worker, the page cache and the kept cards included (limit: 110 MiB, flat):"
        yield table(("requests answered by both", "worker 1, MiB", "worker 2, MiB"), rows)
        if done < REQUESTS:
            yield f"Stopped after {LARGEST_MINUTES} minutes, at {done:,} requests."


def _sizes(server: object) -> list[str]:
    workers = server.workers()  # type: ignore[attr-defined]
    return [f"{resident_mib(pid):.0f}" for pid in workers][-2:]


def _get(base: str, path: str) -> None:
    parts = urlsplit(base)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    connection.request("GET", path)
    connection.getresponse().read()
    connection.close()


def _import_seconds(environ: dict[str, str]) -> float:
    code = "import time; import wsgi; print(time.process_time())"
    import os

    said = subprocess.run([sys.executable, "-c", code], env=os.environ | environ, capture_output=True, text=True, check=True)
    return float(said.stdout)
