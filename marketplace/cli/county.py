"""``flask county figures``: the county's figures, counted from the tables."""

import json

import click
from flask.cli import with_appcontext

from marketplace.reporting import county_figures


@click.group("county")
def group() -> None:
    """The county as the tables know it. Reads only."""


@group.command("figures")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of lines.")
@with_appcontext
def figures(as_json: bool) -> None:
    """Households, people and everything else that can be counted."""
    found = county_figures.figures()
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    for name, value in found.items():
        click.echo(f"{name.replace('_', ' '):<28} {value if isinstance(value, dict) else f'{value:,}'}")
