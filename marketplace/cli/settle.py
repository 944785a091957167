"""``flask settle``: divide the money of orders that can no longer come back."""

import click
from flask.cli import with_appcontext

from marketplace.foundation.database import transaction
from marketplace.settlement import settlement, settlement_run


@click.group("settle")
def group() -> None:
    """Divide orders' money: cooperative, household pool, village collective, relief fund."""


@group.command("due")
@click.option("--limit", default=200, show_default=True, type=click.IntRange(1, 100_000), help="Most orders to settle now.")
@with_appcontext
def due(limit: int) -> None:
    """Settle every order that is due: paid, received, return window over, no return open.

    Each order is one journal entry in its cooperative's book; they are committed in groups. Running it again settles nothing twice.
    Exits 1 if an order could not be settled for another reason than not being due.
    """
    done = settlement_run.settle(settlement.settle_due(limit), transaction)
    for error in done.refused:
        click.echo(f"not settled: {error}", err=True)
    for order_id in done.failed:
        click.echo(f"failed: order {order_id}; the log says why", err=True)
    left = len(done.refused) + len(done.failed)
    click.echo(f"{done.settled} orders settled, goods CNY {done.base_fen / 100:,.2f}, {left} left")
    if done.failed:
        raise SystemExit(1)
