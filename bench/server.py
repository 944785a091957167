"""A server under measurement: granian with the workers and threads of deploy/, on the loopback, gone at the end."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket

from bench.page_load import fetched
from bench.part import TOP
from bench.process_tree import members


@dataclass(frozen=True)
class Server:
    """Its address, the process that started it, and what else is charged to it (the database's own process)."""

    base: str
    pid: int
    started_in: float  # seconds until the first answer
    beside: tuple[int, ...] = ()

    @property
    def roots(self) -> tuple[int, ...]:
        """Whose processor time and memory is the server's."""
        return (self.pid, *self.beside)

    def workers(self) -> list[int]:
        """The processes that answer."""
        return [pid for pid in members([self.pid]) if pid != self.pid and _is_worker(pid)]


@contextmanager
def granian(
    target: str, folder: Path, environ: Mapping[str, str], *, cwd: Path = TOP, ready: str = "/healthz", beside: tuple[int, ...] = (), workers: int | None = None
) -> Iterator[Server]:
    """Run ``target`` as production's unit does (``workers`` of another number if given) until the block ends."""
    port = _free_port()
    flags = production_flags()
    if workers is not None:
        flags = re.sub(r"--workers \d+", f"--workers {workers}", flags)
    command = [sys.executable, "-m", "granian", *flags.split(), "--host", "127.0.0.1", "--port", str(port), "--workers-kill-timeout", "4", target]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "server.log").open("wb") as log:
        began = time.monotonic()
        process = subprocess.Popen(command, cwd=cwd, env=os.environ | dict(environ), stdout=log, stderr=log, start_new_session=True)
    base = f"http://127.0.0.1:{port}"
    try:
        _wait(base + "", ready, process, folder / "server.log")
        yield Server(base, process.pid, time.monotonic() - began, beside)
    finally:
        end(process)


def production_flags() -> str:
    """What deploy/'s unit tells granian about workers and threads."""
    unit = (TOP / "deploy/systemd/market-web.service").read_text()
    found = re.search(r"-m granian (.*?)\s*\\?\s*--host", unit, re.DOTALL)
    if found is None:
        raise ValueError("deploy/systemd/market-web.service does not run granian")
    return " ".join(found[1].replace("\\", " ").split())


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a group of its own, with its group."""
    for number, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        if process.poll() is not None:
            break
        os.killpg(process.pid, number)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
    else:
        process.wait(1)


def _wait(base: str, path: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        try:
            if fetched(base, path)[0] < 500:
                return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"the server did not answer at {base}{path}; its log ends:\n{log.read_text(errors='replace')[-3000:]}")


def _free_port() -> int:
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_worker(pid: int) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"resource_tracker" not in command
