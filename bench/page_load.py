"""Load on pages: as many requests as a few connections carry for some seconds, through wrk where it is, else from threads here.

An error page is quick, so every path is looked at before and after, and under load the answers must be as long as they were then.
"""

import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from itertools import count
from urllib.parse import urlsplit

from bench.process_tree import cpu_seconds, settle

UNITS = {"us": 0.001, "ms": 1.0, "s": 1_000.0, "m": 60_000.0, "B": 1.0, "KB": 1024.0, "MB": 1024.0**2, "GB": 1024.0**3}


class WrongAnswer(Exception):
    """A page was not what it should be; the text says which, and what came."""


@dataclass(frozen=True)
class Load:
    """What a load brought. ``cpu_ms`` is the whole server's processor time a request, its database included."""

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    requests: int
    page_bytes: int


def generator() -> str:
    """Which program makes the load."""
    return "wrk" if shutil.which("wrk") else "Python threads (wrk is not installed)"


def load(base: str, paths: Sequence[str], expect: str, roots: Sequence[int], *, seconds: float, connections: int = 8) -> Load:
    """Ask for ``paths`` in turn. ``expect`` must be in every page; WrongAnswer if one is not, or if anything fails under load."""
    sizes = [_looked_at(base, path, expect) for path in paths]
    page_bytes = sum(sizes) // len(sizes)
    carry = _wrk if shutil.which("wrk") else _threads
    carry(base, paths, min(1.5, seconds), connections)  # warms caches, pools and compiled templates
    settle(roots)
    before = cpu_seconds(roots)
    requests, per_second, p50_ms, p99_ms, errors, received = carry(base, paths, seconds, connections)
    settle(roots)
    cpu_ms = 1000 * (cpu_seconds(roots) - before) / max(1, requests)
    if errors or not requests:
        raise WrongAnswer(f"{errors} of {requests} requests failed at {base}{paths[0]}")
    if abs(received / requests - page_bytes) > 0.1 * page_bytes + 1_500:  # the head of an answer counts too
        raise WrongAnswer(f"answers of {received / requests:,.0f} bytes where {page_bytes:,} were expected, at {base}{paths[0]}")
    for path in (paths[0], paths[-1]):
        _looked_at(base, path, expect)
    return Load(per_second, p50_ms, p99_ms, cpu_ms, requests, page_bytes)


def fetched(base: str, path: str) -> tuple[int, bytes]:
    """Status and body of one page, on a connection of its own."""
    parts = urlsplit(base)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _looked_at(base: str, path: str, expect: str) -> int:
    status, body = fetched(base, path)
    if status != 200 or expect.encode() not in body:
        raise WrongAnswer(f"{base}{path}: {status}, without {expect!r}: {body[:300]!r}")
    return len(body)


Carried = tuple[int, float, float, float, int, float]  # requests, a second, p50 ms, p99 ms, errors, bytes


def _wrk(base: str, paths: Sequence[str], seconds: float, connections: int) -> Carried:
    quoted = ",".join(f'"{path}"' for path in paths)
    script = (
        f"local P={{{quoted}}}\nlocal i=0\n"
        "function init(a) math.randomseed(tonumber(tostring({}):sub(8)) or 1); i=math.random(#P) end\n"
        "function request() i=i+1; return wrk.format(nil, P[i%#P+1]) end\n"
    )
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        said = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency", "--timeout", "30s", "-s", file.name, base + paths[0]],
            capture_output=True,
            text=True,
            check=True,
            timeout=seconds + 90,
        ).stdout
    return said_by_wrk(said)


def said_by_wrk(said: str) -> Carried:
    """What wrk's report says. WrongAnswer if it is none."""

    def found(pattern: str) -> re.Match[str]:
        match = re.search(pattern, said, re.MULTILINE)
        if match is None:
            raise WrongAnswer(f"wrk said: {said}")
        return match

    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    errors = (int(failed[1]) if failed else 0) + (sum(map(int, broken.groups())) if broken else 0)
    total = found(r"(\d+) requests in [\d.]+\w+, ([\d.]+)([KMG]?B) read")
    p50, p99 = found(r"^\s+50%\s+([\d.]+)(us|ms|s|m)"), found(r"^\s+99%\s+([\d.]+)(us|ms|s|m)")
    return (
        int(total[1]),
        float(found(r"Requests/sec:\s+([\d.]+)")[1]),
        float(p50[1]) * UNITS[p50[2]],
        float(p99[1]) * UNITS[p99[2]],
        errors,
        float(total[2]) * UNITS[total[3]],
    )


def _threads(base: str, paths: Sequence[str], seconds: float, connections: int) -> Carried:
    parts = urlsplit(base)
    turn, until = count(), time.monotonic() + seconds
    times: list[float] = []
    errors: list[int] = []
    received: list[int] = []

    def ask() -> None:
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        while time.monotonic() < until:
            began = time.perf_counter()
            try:
                connection.request("GET", paths[next(turn) % len(paths)])
                response = connection.getresponse()
                body = response.read()
            except (OSError, HTTPException):
                errors.append(1)
                connection.close()
                continue
            times.append(time.perf_counter() - began)
            received.append(len(body))
            if response.status >= 300:
                errors.append(1)
        connection.close()

    began = time.monotonic()
    together([ask] * connections)
    return len(times), len(times) / (time.monotonic() - began), share(times, 0.5) * 1000, share(times, 0.99) * 1000, len(errors), sum(received)


def together(work: Sequence[Callable[[], None]]) -> None:
    """Run all of these at once, each in a thread, to their ends."""
    threads = [threading.Thread(target=each, daemon=True) for each in work]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def share(values: Sequence[float], part: float) -> float:
    """The value below which ``part`` of them lie; 0 if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else 0.0

