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
from typing import Never

import click
from flask import current_app
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
    """Somebody asked for the end: Ctrl-C, SIGTERM, or the terminal closed."""


@click.command("demo")
@click.option("--port", type=click.IntRange(1024, 65535), default=8000, show_default=True, help="Where the shop answers; the next free one if taken.")
@click.option("--days", type=click.IntRange(0, 400), default=DAYS, show_default=True, help="Days of trade that a new market opens with.")
@with_appcontext
def group(port: int, days: int) -> None:
    """Open the market on this machine with a county's data, until Ctrl-C. Writes under DATA_DIR only; money is the emulator's."""
    if settings().is_production:
        raise click.ClickException("MARKET_ENV is production: a demonstration has sign-ins that everybody knows")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        _open(port, days)
    except Ended:
        click.echo("\nClosed; nothing is left running.")


def _end(number: int, frame: FrameType | None) -> Never:
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)  # once is enough: the end is under way
    raise Ended


def _open(port: int, days: int) -> None:
    free = _free_ports(port)
    shop, gateway = next(free), next(free)
    if shop != port:
        click.echo(f"Port {port} is taken; using {shop}.")
    data = settings().data_dir.resolve()
    environ = os.environ | {
        "DATA_DIR": str(data),
        "BASE_URL": f"http://127.0.0.1:{shop}",
        "ALIPAY_GATEWAY": f"http://127.0.0.1:{gateway}/gateway.do",
        "PYTHONUNBUFFERED": "1",
    }
    commands = set(current_app.cli.list_commands(click.get_current_context()))
    with Processes(folder=TOP, logs=data / "log", environ=environ) as processes:
        with _alone(data):
            _prepare(processes, commands, days)
        if "emulator" in commands:
            processes.start("emulator", *FLASK, "emulator", "run", "--port", str(gateway))
        else:
            click.echo("  No emulator of the payment gateway here yet: paying will not work.")
        processes.start("web", sys.executable, "-m", "granian", *SERVE, "--port", str(shop), "wsgi:app")
        if "jobs" in commands:
            processes.start("jobs", *FLASK, "jobs", "run")
        else:
            click.echo("  No schedule of jobs here yet: nothing happens by itself.")
        with _timed("open the shop"):
            _wait_until_ready(processes, shop)
        click.echo(welcome(f"http://127.0.0.1:{shop}/", data))
        db.session.remove()
        db.engine.dispose()
        _keep_open(processes)


def _prepare(processes: Processes, commands: set[str], days: int) -> None:
    """Tables, then the county's data, then days of trade: each only if it is not there."""
    with _timed("bring the database up to date"):
        upgrade()
    if not _any(Organisation):
        _fill(processes, commands, "seed", "load the county's data", quiet=True)
    begun = settings().data_dir / "demo-trade-begun"
    if begun.exists():
        click.echo("  Its days of trade were interrupted; it opens with what was traded until then. `make clean` begins anew.")
    elif days and not _any(Order):
        begun.touch()
        _fill(processes, commands, "simulate", f"trade {days} days", "--days", str(days))
        begun.unlink()
    db.session.remove()


def _fill(processes: Processes, commands: set[str], command: str, what: str, *arguments: str, quiet: bool = False) -> None:
    if command not in commands:
        click.echo(f"  No `flask {command}` here yet: going on without ({what}).")
        return
    click.echo(f"  {what}:")
    began = time.monotonic()
    code = processes.run(command, *FLASK, command, *arguments, quiet=quiet)
    if code:
        raise click.ClickException(f"`flask {command}` ended with {code}\n{processes.said(command)}")
    click.echo(f"  {what} … {time.monotonic() - began:.1f} s")


def _any(model: type[Organisation] | type[Order]) -> bool:
    db.session.rollback()  # another process may have written since the last look
    return db.session.scalar(select(model.id).limit(1)) is not None


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
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _free_ports(first: int) -> Iterator[int]:
    """Ports from ``first`` up that nobody listens on."""
    for port in range(first, min(first + 200, 65536)):
        with socket() as probe:
            probe.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        yield port
    raise click.ClickException(f"no free port from {first} on")


def _wait_until_ready(processes: Processes, port: int, *, seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    answer = "no answer"
    while time.monotonic() < until:
        if "web" in processes.ended():
            break
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            response = connection.getresponse()
            answer = f"{response.status} {response.read().decode(errors='replace')}"
            if response.status == 200:
                return
        except (OSError, HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.1)
    click.echo("")
    raise click.ClickException(f"the shop did not open ({answer.strip()}). Its log ends:\n{processes.said('web')}")


def _keep_open(processes: Processes) -> None:
    """Until somebody ends it. A shop that ends by itself ends the demonstration; another process is reported."""
    while True:
        for name, code in processes.ended().items():
            click.echo(f"\n{name} ended with {code}. Its log ends:\n{processes.said(name)}", err=True)
            if name == "web":
                raise SystemExit(1)
            processes.forget(name)
        time.sleep(0.5)
