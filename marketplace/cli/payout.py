"""``flask payout``: the bank's batch file out, the bank's results in."""

import os
import shutil
from pathlib import Path

import click
from flask.cli import with_appcontext

from marketplace.foundation.database import transaction
from marketplace.foundation.errors import MarketError
from marketplace.foundation.language import said
from marketplace.organisations.actor import by_name
from marketplace.settlement import payout_batch, payout_part


@click.group("payout")
def group() -> None:
    """Payouts to households' bank accounts, by batch NUMBER (DF…)."""


@group.command("export")
@click.argument("number")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="File to write; readable by you only.")
@click.option("--actor", "login", required=True, metavar="WHO", help="Login name of the accountant or director.")
@click.option("--part", type=click.IntRange(1), help="Which file, where the bank's bound on payments made several.")
@click.option("--sent", is_flag=True, help="Also record that the bank has the file: the money is in transit from then on.")
@with_appcontext
def export(number: str, out: Path, login: str, part: int | None, sent: bool) -> None:
    """Write an approved batch as the bank's file, in the layout that it was approved in. Holds names, ID and account numbers.

    Reading is audited. Without --sent nothing changes; with it, one journal entry (households to in_transit) is posted.
    """

    def work() -> tuple[str, Path]:
        actor, row = by_name(login), payout_batch.by_number(number)
        parts = len(payout_part.parts_of(row.id))
        if part is None and parts > 1:
            # A part taken for the whole would leave households unpaid.
            raise click.ClickException(f"{number} is {parts} files: name one by --part, 1 to {parts}")
        file = payout_batch.bank_file_path(row.id, actor=actor, part=part or 1)
        if sent:
            payout_batch.mark_sent(row.id, actor=actor)
        return file

    try:
        _, frozen = transaction(work)
    except MarketError as error:
        raise click.ClickException(f"{error.code}: {said(error)}") from error
    descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file, frozen.open("rb") as content:
        shutil.copyfileobj(content, file)
    click.echo(f"{out}: {frozen.stat().st_size} bytes{', marked as sent' if sent else ''}")


@group.command("import")
@click.argument("number")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--actor", "login", required=True, metavar="WHO", help="Login name of the accountant or director.")
@with_appcontext
def import_(number: str, file: Path, login: str) -> None:
    """Import the bank's results: as the batch's layout reads them, or CSV of number,sequence,amount,result,reason; amount in yuan.

    result: paid, returned (credited back), refused (never debited) or unknown. All lines or none; every bad line is listed. Posts
    in_transit to bank for each debit, and back to the household for each return. The same file again changes nothing.
    """
    content = file.read_bytes()

    def work() -> str:
        changed = payout_batch.import_results(payout_batch.by_number(number).id, content, actor=by_name(login))
        return f"{changed.paid} paid, {changed.returned} returned" + (f", {changed.unknown} unknown" if changed.unknown else "")

    try:
        click.echo(transaction(work))
    except MarketError as error:
        for line in error.data.get("errors", []):
            click.echo(line, err=True)
        raise click.ClickException(f"{error.code}: {said(error)}") from error
