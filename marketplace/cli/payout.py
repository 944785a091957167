"""``flask payout``: batches as they stand; the bank's file out, the bank's results in; transfers over Alipay sent and asked about now."""

import json
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import click
from flask.cli import with_appcontext
from sqlalchemy import func, select

from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import MarketError
from marketplace.foundation.language import said
from marketplace.foundation.money import format_yuan
from marketplace.organisations.actor import by_name
from marketplace.organisations.organisation import Organisation
from marketplace.payments import transfer_call
from marketplace.payments.transfer import Transfer
from marketplace.settlement import payout_batch, payout_part, payout_transfer
from marketplace.settlement.payout_batch import BATCH_STATES, ITEM_STATES, PayoutBatch, PayoutItem

OPEN = ("DRAFT", "APPROVED", "SENT")


@click.group("payout")
def group() -> None:
    """Payouts to households, by batch NUMBER (DF…): over the bank as its file, or over Alipay one transfer a household."""


@group.command("list")
@click.option("--cooperative", "code", metavar="CODE", help="One cooperative by its code; default: all.")
@click.option("--channel", type=click.Choice(("bank", "alipay")), help="Only batches that go this way.")
@click.option("--state", "states", type=click.Choice(BATCH_STATES), multiple=True, help="Only these states; default: what is not done or cancelled.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="Most batches, the newest first.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, amounts in fen.")
@with_appcontext
def list_(code: str | None, channel: str | None, states: tuple[str, ...], limit: int, as_json: bool) -> None:
    """List batches with their total in CNY and what is paid, came back and has no result. Changes nothing; names no household."""
    query = select(PayoutBatch, Organisation.code).join(Organisation, Organisation.id == PayoutBatch.organisation_id)
    query = query.where(PayoutBatch.state.in_(states or OPEN)).order_by(PayoutBatch.id.desc()).limit(limit)
    if code is not None:
        query = query.where(Organisation.code == code)
    if channel is not None:
        query = query.where(PayoutBatch.channel == channel)
    found = db.session.execute(query).all()
    by_state = _by_state([row.id for row, _code in found])
    told = [_told(row, whose, by_state) for row, whose in found]
    click.echo(json.dumps(told) if as_json else "\n".join(map(_line, told)) or "no such batch")


@group.command("show")
@click.argument("number")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, amounts in fen.")
@with_appcontext
def show(number: str, as_json: bool) -> None:
    """Say how one batch stands, and of one over Alipay each transfer without a result, with Alipay's code. Changes nothing; names no household.

    Exits 1 if it stopped, or if a transfer waits for two people because Alipay's answers contradict each other.
    """
    try:
        row = payout_batch.by_number(number)
    except MarketError as error:
        raise click.ClickException(f"{error.code}: {said(error)}") from error
    told = _told(row, db.session.get_one(Organisation, row.organisation_id).code, _by_state([row.id]))
    query = (
        select(PayoutItem.sequence, Transfer)
        .join(Transfer, (Transfer.payable_kind == payout_transfer.KIND) & (Transfer.payable_id == PayoutItem.id))
        .where(PayoutItem.batch_id == row.id, PayoutItem.state.in_(("sent", "unknown")))
    )
    told["transfers"] = [
        {"sequence": place, "number": each.out_biz_no, "fen": each.fen, "state": each.state, "code": each.sub_code, "sent": each.sent}
        for place, each in db.session.execute(query.order_by(PayoutItem.sequence))
    ]
    if as_json:
        click.echo(json.dumps(told))
    else:
        click.echo(_line(told))
        for each in told["transfers"]:
            why = f", {each['code']}: {payout_transfer.reason_of(each['code'])}" if each["code"] else ""
            click.echo(f"  {each['sequence']} {each['number']} CNY {format_yuan(each['fen'])} {each['state']}{why}")
    if told["stopped"] or any(each["code"] in payout_transfer.CONTRADICTIONS for each in told["transfers"]):
        raise SystemExit(1)


@group.command("send")
@click.argument("number")
@click.option("--actor", "login", required=True, metavar="WHO", help="Login name of the accountant or director.")
@with_appcontext
def send(number: str, login: str) -> None:
    """Start an approved batch over Alipay, or let one go on that stopped, and transfer now instead of when the job's turn comes.

    Starting posts one journal entry (households to in_transit), each transfer's end another. What was sent is never sent under another
    number: to repeat this is harmless. Exits 1 if a transfer has no result yet, or the balance does not reach.
    """

    def work() -> int:
        actor, row = by_name(login), payout_batch.by_number(number)
        if row.state == "APPROVED":
            payout_batch.start(row.id, actor=actor, version=row.version)
        elif row.stopped_at is not None:
            payout_batch.go_on(row.id, actor=actor, version=row.version)
        return row.id

    try:
        _carry(transaction(work), login)
    except MarketError as error:
        raise click.ClickException(f"{error.code}: {said(error)}") from error


@group.command("ask")
@click.argument("number")
@click.option("--actor", "login", required=True, metavar="WHO", help="Login name of the accountant or director.")
@with_appcontext
def ask(number: str, login: str) -> None:
    """Ask Alipay now about each transfer of a batch that has no result; what Alipay does not know is sent, unchanged and under its number.

    A batch that was not started, or has stopped, stays so. Posts each end that is learnt. Exits 1 if one has no result yet.
    """
    try:
        _carry(transaction(lambda: payout_batch.by_number(number).id), login)
    except MarketError as error:
        raise click.ClickException(f"{error.code}: {said(error)}") from error


def _carry(batch_id: int, login: str) -> None:
    """Bring every transfer of a batch nearer to its end, and say how they stand then."""
    ids = transaction(lambda: payout_batch.going(batch_id, actor=by_name(login)))
    stands: Counter[str] = Counter()
    with click.progressbar(ids, label=f"{len(ids)} transfers") as numbers:
        for each in numbers:
            stands[transfer_call.carry(each)] += 1
    click.echo(", ".join(f"{count} {state}" for state, count in sorted(stands.items())) or "nothing waits")
    if set(stands) - {"succeeded", "failed", "returned"}:
        raise SystemExit(1)


def _by_state(batches: list[int]) -> dict[int, dict[str, tuple[int, int]]]:
    """(items, fen) by state of each batch."""
    found: dict[int, dict[str, tuple[int, int]]] = {number: {} for number in batches}
    query = select(PayoutItem.batch_id, PayoutItem.state, func.count(), func.sum(PayoutItem.fen)).where(PayoutItem.batch_id.in_(batches))
    for batch_id, state, count, fen in db.session.execute(query.group_by(PayoutItem.batch_id, PayoutItem.state)):
        found[batch_id][state] = (count, int(fen))
    return found


def _told(row: PayoutBatch, code: str | None, by_state: dict[int, dict[str, tuple[int, int]]]) -> dict[str, Any]:
    items = by_state[row.id]
    return {
        "number": row.number, "cooperative": code, "channel": row.channel, "state": row.state, "items": row.items, "fen": row.total_fen,
        "stopped": row.stopped_code if row.stopped_at else "",
        "by_state": {state: {"items": items[state][0], "fen": items[state][1]} for state in ITEM_STATES if state in items},
    }  # fmt: skip


def _line(told: dict[str, Any]) -> str:
    stopped = f", stopped by {told['stopped']}" if told["stopped"] else ""
    parts = ", ".join(f"{each['items']} {state} CNY {format_yuan(each['fen'])}" for state, each in told["by_state"].items())
    return f"{told['number']} {told['cooperative']} {told['channel']} {told['state']}{stopped}: {told['items']} items CNY {format_yuan(told['fen'])}; {parts}"


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
