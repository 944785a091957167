"""``flask demo``: the whole market on this machine, with data: database, shop, jobs and the emulator of the payment gateway.

Everything it writes is under DATA_DIR, everything it starts listens on the loopback only and ends with it.
"""

import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from socket import SO_REUSEADDR, SOL_SOCKET, socket
from types import FrameType

import click
from flask.cli import with_appcontext
from flask_migrate import upgrade
from sqlalchemy import select

from marketplace.cli.demo_welcome import welcome
from marketplace.cli.processes import Processes
from marketplace.foundation.config import settings
from marketplace.foundation.database import db
from marketplace.orders.order import Order
from marketplace.organisations.organisation import Organisation

TOP = Path(__file__).resolve().parents[2]
FLASK = (sys.executable, "-m", "flask")
DAYS = 60
SERVE = (
    "--interface", "wsgi", "--workers", "2", "--blocking-threads", "4", "--no-ws", "--host", "127.0.0.1",
    # A worker that is told to end while it is still starting does not hear it; without a limit its master waits for ever.
    "--workers-kill-timeout", "4",
)  # fmt: skip


class Ended(BaseException):
    """Somebody asked for the end: Ctrl-C, SIGTERM, or the terminal closed. Raised where the demonstration waits, and nowhere else:
    an exception out of a signal's handler is lost in a finaliser, or leaves a child behind that nobody knows."""


@click.command("demo")
@click.option("--port", type=click.IntRange(1024, 65535), default=8000, show_default=True, help="Where the shop answers; the next free one if taken.")
@click.option("--days", type=click.IntRange(0, 400), default=DAYS, show_default=True, help="Days of trade that a new market opens with.")
@with_appcontext
def group(port: int, days: int) -> None:
    """Open the market on this machine with a county's data, until Ctrl-C. Writes under DATA_DIR only; money is the emulator's."""
    if settings().is_production:
        raise click.ClickException("MARKET_ENV is production: a demonstration has sign-ins that everybody knows")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ask_for_the_end)
    try:
        _open(port, days)
    except Ended:
        click.echo("\nClosed; nothing is left running.")


_end_is_asked: list[int] = []  # signals heard; a list and no Event, whose lock the interrupted wait may hold


def _ask_for_the_end(number: int, frame: FrameType | None) -> None:
    _end_is_asked.append(number)


def _pause(seconds: float) -> None:
    """Wait; raise Ended as soon as somebody asks for the end."""
    until = time.monotonic() + seconds
    while not _end_is_asked and time.monotonic() < until:
        time.sleep(0.05)
    if _end_is_asked:
        raise Ended


def _open(port: int, days: int) -> None:
    data = settings().data_dir.resolve()
    environ = os.environ | {"DATA_DIR": str(data), "PYTHONUNBUFFERED": "1"}
    with Processes(folder=TOP, logs=data / "log", environ=environ, pause=_pause) as processes:
        with _alone(data):
            _prepare(processes, days)
        shop = _open_shop(processes, port)
        click.echo(welcome(f"http://127.0.0.1:{shop}/", data))
        db.session.remove()
        db.engine.dispose()
        _keep_open(processes)


def _open_shop(processes: Processes, port: int) -> int:
    """Start the shop, the gateway and the jobs; the shop's port, once the shop and the gateway answer.

    A free port is found only now and may still be lost to somebody quicker: then the next two are tried.
    """
    free = _free_ports(port)
    while True:
        shop, gateway = next(free), next(free)
        if shop != port:
            click.echo(f"Port {port} is taken; using {shop}.")
        environ = {"BASE_URL": f"http://127.0.0.1:{shop}", "ALIPAY_GATEWAY": f"http://127.0.0.1:{gateway}/gateway.do"}
        processes.start("emulator", *FLASK, "emulator", "run", "--port", str(gateway), environ=environ)
        processes.start("web", sys.executable, "-m", "granian", *SERVE, "--port", str(shop), "wsgi:app", environ=environ)
        with _timed("open the shop"):
            lost = _wait_until_ready(processes, "web", shop, "/readyz") or _wait_until_ready(processes, "emulator", gateway, "/healthz")
        if not lost:
            processes.start("jobs", *FLASK, "jobs", "run", environ=environ)
            return shop
        processes.end("web", "emulator")


def _prepare(processes: Processes, days: int) -> None:
    """Tables, then the county's data, then days of trade: each only if it is not there."""
    with _timed("bring the database up to date"):
        upgrade()
    if not _any(Organisation):
        _fill(processes, "seed", "load the county's data", quiet=True)
    begun = settings().data_dir / "demo-trade-begun"
    if begun.exists():
        click.echo("  Its days of trade were interrupted; it opens with what was traded until then. `make clean` begins anew.")
    elif days and not _any(Order):
        begun.touch()
        _fill(processes, "simulate", f"trade {days} days", "--days", str(days))
        begun.unlink()
    db.session.remove()


def _fill(processes: Processes, command: str, what: str, *arguments: str, quiet: bool = False) -> None:
    click.echo(f"  {what}:")
    began = time.monotonic()
    code = processes.run(command, *FLASK, command, *arguments, quiet=quiet)
    if code:
        raise click.ClickException(f"`flask {command}` ended with {code}\n{processes.said(command)}")
    click.echo(f"  {what} … {time.monotonic() - began:.1f} s")


def _any(model: type[Organisation] | type[Order]) -> bool:
    """Whether there is one. The look is ended at once: an open one would keep SQLite's log growing while the next program writes."""
    try:
        return db.session.scalar(select(model.id).limit(1)) is not None
    finally:
        db.session.remove()


@contextmanager
def _timed(what: str) -> Iterator[None]:
    click.echo(f"  {what} … ", nl=False)
    began = time.monotonic()
    yield
    click.echo(f"{time.monotonic() - began:.1f} s")


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    """Two demonstrations in one folder prepare it one after the other."""
    with (data / "demo.lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                _pause(0.2)
        yield


def _free_ports(first: int) -> Iterator[int]:
    """Ports from ``first`` up that nobody listens on."""
    for port in range(first, min(first + 200, 65536)):
        if _is_free(port):
            yield port
    raise click.ClickException(f"no free port from {first} on")


def _is_free(port: int) -> bool:
    with socket() as probe:
        probe.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _wait_until_ready(processes: Processes, name: str, port: int, path: str, *, seconds: float = 90) -> bool:
    """Wait until ``name`` answers 200. True if it ended because somebody else has its port; any other end is an error."""
    until = time.monotonic() + seconds
    answer = "no answer"
    while time.monotonic() < until:
        if name in processes.ended():
            if not _is_free(port):
                return True
            break
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            answer = f"{response.status} {response.read().decode(errors='replace')}"
            if response.status == 200:
                return False
        except (OSError, HTTPException):
            pass
        finally:
            connection.close()
        _pause(0.1)
    click.echo("")
    raise click.ClickException(f"{name} did not open ({answer.strip()}). Its log ends:\n{processes.said(name)}")


def _keep_open(processes: Processes) -> None:
    """Until somebody ends it. A shop that ends by itself ends the demonstration; another process is reported."""
    while True:
        for name, code in processes.ended().items():
            click.echo(f"\n{name} ended with {code}. Its log ends:\n{processes.said(name)}", err=True)
            if name == "web":
                raise SystemExit(1)
            processes.forget(name)
        _pause(0.5)
