"""``flask seed``: give an empty market its county, people, goods and households. All is checked before anything is written, and all is
written or nothing; loading again adds only what is new."""

import json
import time
from dataclasses import asdict
from pathlib import Path

import click
from flask.cli import with_appcontext
from sqlalchemy import select

from catalog_seed.csv_rows import FOLDER
from marketplace.cli.seed_columns import Fault
from marketplace.cli.seed_load import DEMO_PASSWORD, SeedLoad
from marketplace.cli.seed_rules import check
from marketplace.foundation import outbox
from marketplace.foundation.config import settings
from marketplace.foundation.database import db, transaction
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import Person, Role
from marketplace.search import product_index


@click.command("seed")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of lines.")
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=FOLDER,
    help="Where the CSV files are.",
)
@with_appcontext
def group(as_json: bool, folder: Path) -> None:
    """Load the county's data. Exits 1 and names every bad row (file, line, column, reason) if one is wrong; then nothing is written."""
    started = time.monotonic()

    def say(text: str) -> None:
        click.echo(f"{time.monotonic() - started:5.1f} s  {text}", err=True)

    say(f"reading and checking {folder}")
    files = check(folder)
    if files.faults:
        _refuse(files.faults, as_json)
    say(f"{sum(len(rows) for rows in files.rows.values()):,} rows are sound; writing")
    added = transaction(
        lambda: SeedLoad(files, lambda table, new, given: say(f"{table}: {new:,} new of {given:,}")).run()
    )
    # What was asked for in that transaction can be done now; a job would do the same if this process died here.
    outbox.drain(limit=10_000, kinds={product_index.KIND})
    changed = sum(added.values())
    sign_ins = _sign_ins()
    if as_json:
        outcome = {"ok": True, "changed": changed, "added": added, "sign_ins": sign_ins, "password": _password()}
        click.echo(json.dumps(outcome, ensure_ascii=False))
        return
    say(f"done: {changed:,} rows added" if changed else "done: everything was there already, nothing changed")
    if sign_ins:
        click.echo(f"Sign-ins for the demonstration (password {_password()}):")
        for each in sign_ins:
            click.echo(f"  {each['login']:<18} {each['role']:<18} {each['organisation']}")


def _refuse(faults: list[Fault], as_json: bool) -> None:
    found = [asdict(fault) for fault in sorted(faults)]
    if as_json:
        click.echo(json.dumps({"ok": False, "changed": 0, "faults": found}, ensure_ascii=False))
    else:
        for fault in found:
            place = f"{fault['file']}:{fault['line']}" + (f" {fault['column']}" if fault["column"] else "")
            click.echo(f"{place}: {fault['reason']}")
        click.echo(f"{len(found)} faults; nothing was written.", err=True)
    raise SystemExit(1)


def _password() -> str | None:
    return None if settings().is_production else DEMO_PASSWORD


def _sign_ins() -> list[dict[str, str]]:
    """The demonstration's people with role and organisation; none in production."""
    if settings().is_production:
        return []
    query = (
        select(Person.login, Person.name_zh, Role.name, Organisation.name_zh)
        .join(Role, Role.person_id == Person.id)
        .join(Organisation, Organisation.id == Role.organisation_id)
        .where(Person.is_demo)
        .order_by(Role.id)
    )
    return [{"login": row[0], "name": row[1], "role": row[2], "organisation": row[3]} for row in db.session.execute(query)]
