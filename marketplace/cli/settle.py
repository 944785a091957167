"""``flask settle``: divide the money of orders that can no longer come back."""

import click
from flask.cli import with_appcontext

from marketplace.foundation.database import transaction
from marketplace.foundation.errors import Conflict
from marketplace.settlement import settlement


@click.group("settle")
def group() -> None:
    """Divide orders' money: cooperative, household pool, village collective, relief fund."""


@group.command("due")
@click.option("--limit", default=200, show_default=True, type=click.IntRange(1, 100_000), help="Most orders to settle now.")
@with_appcontext
def due(limit: int) -> None:
    """Settle every order that is due: paid, received, return window over, no return open.

    Each order is one transaction and one journal entry in its cooperative's book. Running it again settles nothing twice.
    """
    settled = skipped = base_fen = 0
    for order_id in settlement.settle_due(limit):
        try:
            base_fen += transaction(lambda number=order_id: settlement.settle(number).base_fen)  # type: ignore[misc]
            settled += 1
        except Conflict as error:
            skipped += 1
            click.echo(f"not settled: {error}", err=True)
    click.echo(f"{settled} orders settled, goods CNY {base_fen / 100:,.2f}, {skipped} left")
