"""``flask books``: check what must always be true of the money, and hand the books to other people's programs."""

import json
from dataclasses import asdict
from pathlib import Path

import click
from flask.cli import with_appcontext

from marketplace.reporting import books, books_export


@click.group("books")
def group() -> None:
    """The books: check them, export them. Reads only; nothing is changed."""


@group.command("check")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of lines.")
@with_appcontext
def check(as_json: bool) -> None:
    """Check every rule that must always be true. Exits 1 and names each rule that is broken."""
    findings = books.check()
    if as_json:
        outcome = {"ok": all(each.ok for each in findings), "rules": [asdict(each) for each in findings]}
        click.echo(json.dumps(outcome, ensure_ascii=False))
    else:
        for each in findings:
            click.echo(
                f"{'ok    ' if each.ok else 'BROKEN'} {each.rule}{': ' + each.detail if each.detail else ''}"
            )
    if not all(each.ok for each in findings):
        raise SystemExit(1)


@group.command("export")
@click.option(
    "--format",
    "form",
    type=click.Choice(sorted(books_export.FORMS)),
    required=True,
    help="The program that will read it.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    required=True,
    help="File to write, UTF-8.",
)
@with_appcontext
def export(form: str, out: Path) -> None:
    """Write the whole journal, all books, amounts in CNY with two decimals, for hledger or beancount."""
    fresh = out.with_name(out.name + ".part")
    with fresh.open("w", encoding="utf-8") as file:
        count = books_export.write(form, file)
    fresh.replace(out)
    click.echo(f"{count} entries, {out}")
