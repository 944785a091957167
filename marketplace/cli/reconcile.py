"""``flask reconcile``: compare the books with bank statements and Alipay's bills, and say every fen between them."""

import json
from datetime import datetime, timedelta
from typing import Any

import click
from flask.cli import with_appcontext
from sqlalchemy import select

from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import MarketError
from marketplace.foundation.language import said
from marketplace.foundation.money import format_yuan
from marketplace.organisations.actor import by_name
from marketplace.organisations.organisation import Organisation
from marketplace.payments import bill_day
from marketplace.settlement import difference, reconciliation
from marketplace.settlement.reconciliation import Position

_DAY = click.option("--day", type=click.DateTime(["%Y-%m-%d"]), default=None, help="The day (Beijing); default: the last that is covered.")
_WHO = click.option("--cooperative", "code", default=None, metavar="CODE", help="One cooperative by its code; default: all with statements.")


@click.group("reconcile")
def group() -> None:
    """Books against bank statements and Alipay's bills. ``run`` lists differences as tasks; ``show`` changes nothing; ``fetch`` asks for a bill."""


@group.command("run")
@_WHO
@with_appcontext
def run(code: str | None) -> None:
    """Link what can be told by its number and bring the differences up to date; says how many are open. Safe to run twice."""
    open_ones = sum(transaction(lambda own=own: difference.reconcile(own)) for own in _cooperatives(code))  # type: ignore[misc]
    click.echo(f"{open_ones} differences open")


@group.command("show")
@_WHO
@_DAY
@click.option("--json", "as_json", is_flag=True, help="One JSON document, amounts in fen.")
@with_appcontext
def show(code: str | None, day: datetime | None, as_json: bool) -> None:
    """Say the control total of each account: books, statement, and what lies between, in CNY. Exits 1 if anything is unexplained."""
    found = []
    for own in _cooperatives(code):
        name = db.session.get_one(Organisation, own).code or str(own)
        for side in reconciliation.followed(own):
            where = reconciliation.position(own, side, day.date() if day else None)
            found.append((name, where, len(difference.unexplained(where))))
    if as_json:
        click.echo(json.dumps([_told(*each) for each in found], ensure_ascii=False))
    else:
        for name, where, unexplained in found:
            click.echo(_line(name, where, unexplained))
    if any(unexplained for _name, _where, unexplained in found):
        raise SystemExit(1)


@group.command("fetch")
@click.option("--cooperative", "code", required=True, metavar="CODE", help="The cooperative by its code.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), required=True, help="The day (Beijing) whose bills of Alipay are wanted.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="The last of several days; default: only --day.")
@click.option("--actor", "login", required=True, metavar="WHO", help="Login name of the treasurer, administrator, director or accountant.")
@with_appcontext
def fetch(code: str, day: datetime, until: datetime | None, login: str) -> None:
    """Have the bills of a day, or of several, fetched now instead of when their turn comes; `flask jobs run` does it within seconds."""
    days = [day.date() + timedelta(days=ahead) for ahead in range(max(0, ((until or day) - day).days) + 1)]
    own = db.session.scalar(select(Organisation.id).where(Organisation.code == code))
    if own is None:
        raise click.BadParameter(f"no cooperative {code!r}")
    try:
        asked = transaction(lambda: bill_day.ask_for(own, days, actor=by_name(login)))
    except MarketError as error:
        raise click.ClickException(f"{error.code}: {said(error)}") from error
    click.echo(f"{asked} days asked for")


def _cooperatives(code: str | None) -> list[int]:
    known = reconciliation.cooperatives_with_statements()
    if code is None:
        return known
    own = db.session.scalar(select(Organisation.id).where(Organisation.code == code))
    if own not in known:
        raise click.BadParameter(f"no statement or bill of {code!r} is here")
    return [own]


def _line(name: str, where: Position, unexplained: int) -> str:
    if where.theirs_fen is None:
        return f"{name} {where.side} {where.on}: books {format_yuan(where.ours_fen)}, the statement writes no balances"
    between = [("carried over", where.before_fen), ("missing rows", -where.missing_fen), ("listed", sum(item.effect_fen for item in where.items))]
    said = "".join(f", {what} {format_yuan(fen)}" for what, fen in between if fen)
    verdict = f", {unexplained} unexplained" if unexplained else ", explained"
    return f"{name} {where.side} {where.on}: books {format_yuan(where.ours_fen)} = statement {format_yuan(where.theirs_fen)}{said}{verdict}"


def _told(name: str, where: Position, unexplained: int) -> dict[str, Any]:
    return {
        "cooperative": name, "side": where.side, "day": where.on.isoformat(), "books_fen": where.ours_fen, "statement_fen": where.theirs_fen,
        "carried_over_fen": where.before_fen, "missing_rows_fen": where.missing_fen, "matched": where.matched, "unexplained": unexplained,
        "items": [{"kind": item.kind, "day": item.day.isoformat(), "fen": item.effect_fen, "number": item.number, "timing": item.timing, "young": item.young} for item in where.items],
    }  # fmt: skip
