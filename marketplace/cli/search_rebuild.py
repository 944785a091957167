"""``flask search rebuild``: make the search index anew from the tables, for instance after it was lost or its words changed."""

import time

import click
from flask.cli import with_appcontext

from marketplace import search


@click.group("search")
def group() -> None:
    """The search index, a shadow of the tables."""


@group.command("rebuild")
@with_appcontext
def rebuild() -> None:
    """Index every product on sale anew; the old index answers until the new one is whole."""
    started = time.monotonic()
    click.echo(f"{search.rebuild()} products, {time.monotonic() - started:.1f} s")
