"""``flask jobs``: run the schedule until interrupted, run one job once, or list them."""

import gc
import logging
import signal
import threading
from typing import Any, cast

import click
from flask import Flask, current_app

from marketplace.jobs import schedule


@click.group("jobs")
def group() -> None:
    """What runs by itself: expiry, receipt, settlement, refunds, search. Safe to run twice and at once."""


@group.command("list")
def list_jobs() -> None:
    """Name every job, how often it runs (seconds) and what it does."""
    for job in schedule.known().values():
        click.echo(f"{job.name:12} {job.every:>6} s  {job.about}")


@group.command("once")
@click.argument("name")
def once(name: str) -> None:
    """Run the job NAME now and say what it did."""
    if name not in schedule.known():
        raise click.BadParameter(f"no job {name!r}; there are: {', '.join(sorted(schedule.known()))}")
    click.echo(schedule.once(_app(), name) or "nothing was due")


@group.command("run")
def run() -> None:
    """Run the schedule until SIGINT or SIGTERM; what is under way is finished first."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    stop = threading.Event()

    def ask_to_stop(*_: Any) -> None:
        stop.set()

    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, ask_to_stop)
    gc.freeze()  # what stands for good need not be looked at again: a group of settlements takes two thirds of the time
    schedule.run(_app(), stop)


def _app() -> Flask:
    return cast(Any, current_app)._get_current_object()  # type: ignore[no-any-return]
