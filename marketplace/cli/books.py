"""``flask books``: check what must always be true of the money, close a month, and hand the books to other people's programs."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import click
from flask.cli import with_appcontext

from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import MarketError
from marketplace.foundation.language import said
from marketplace.foundation.money import format_yuan
from marketplace.ledger import period as ledger_period
from marketplace.ledger.period import ClosedPeriod
from marketplace.organisations.actor import by_name
from marketplace.reporting import books, books_export, close_waits
from marketplace.settlement import period_close
from marketplace.settlement.distribution_weights import days_of


@click.group("books")
def group() -> None:
    """The books: check them, export them, close a month. Only ``close`` changes anything."""


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


_PERIOD = click.option("--period", required=True, metavar="YYYY-MM", help="The month, in Beijing.")


@group.command("close")
@_PERIOD
@click.option("--actor", "login", required=True, metavar="WHO", help="Login name of who closes it: the county's treasurer.")
@with_appcontext
def close(period: str, login: str) -> None:
    """Check the books and close a month that is over: nothing is posted to it any more. Says the hash of its journal.

    There is no way back: what comes late is posted to the open month.
    """
    try:
        state = period_close.checklist(period)
        for each in close_waits.waits(period):
            if each.count:
                click.echo(f"waits: {each.name} {each.count}{f', CNY {format_yuan(each.fen)}' if each.fen else ''}", err=True)
        row = transaction(lambda: _told(period_close.close(state, actor=by_name(login))))
    except MarketError as error:
        raise click.ClickException(f"{error.code}: {said(error)}") from error
    click.echo(row)


def _told(row: ClosedPeriod) -> str:
    return f"{row.period} closed: {row.entries} entries, {row.lines} lines, debits CNY {format_yuan(row.gross)}, sha256 {row.sha256}"


@group.command("journal")
@_PERIOD
@click.option("--out", type=click.Path(dir_okay=False, writable=True, path_type=Path), required=True, help="File to write, CSV, UTF-8.")
@with_appcontext
def journal(period: str, out: Path) -> None:
    """Write a month's journal, a row a line, amounts in fen. Exits 1 if the month is closed and this is not what it was then."""
    days_of(period)
    digest = hashlib.sha256()
    fresh = out.with_name(out.name + ".part")
    with fresh.open("w", encoding="utf-8", newline="") as file:
        for page in ledger_period.journal(period):
            file.write(page)
            digest.update(page.encode())
    fresh.replace(out)
    closed = db.session.get(ClosedPeriod, period)
    click.echo(f"sha256 {digest.hexdigest()}, {out}")
    if closed is not None and closed.sha256 != digest.hexdigest():
        raise click.ClickException(f"{period} was closed with sha256 {closed.sha256}: its journal was changed since")


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
