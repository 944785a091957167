"""``flask log``: the verifiable log by hand: give leaves, sign heads, prove, verify."""

import json
from pathlib import Path
from typing import Any

import click
from flask.cli import with_appcontext

from marketplace.disclosure import (
    log_append,
    log_check,
    log_export,
    log_key,
    log_leaf,
    receipt_proof,
    tree_head,
)
from marketplace.foundation.database import transaction
from marketplace.foundation.errors import MarketError
from marketplace.foundation.language import said
from marketplace.organisations.actor import by_name

WRONG = {
    "altered": "is not what was logged",
    "gone": "was logged, and is gone",
    "household_line": "has a household's line that is not what was logged, or lines that do not sum to zero",
    "unlogged": "stands among logged ones and was never logged",
    "gap": "is missing, or not where it should be",
    "subtrees": "holds wrong hashes of its subtrees",
    "horizon": "is not the last one that the log says it has",
    "missing": "covers more leaves than there are",
    "root": "does not have the root of the leaves",
    "columns": "is not what its signed text says",
    "signature": "is not signed with the key it names",
    "previous": "does not name the head before it",
    "consistency": "does not extend the head before it",
    "note": "cannot be read",
    "statement": "was not introduced by the key before it",
    "elsewhere": "is kept elsewhere, and is not among ours",
}


@click.group("log")
def group() -> None:
    """The verifiable log: every entry and notice is a leaf of an append-only tree, whose head is signed daily."""


@group.command("seal")
@with_appcontext
def seal() -> None:
    """Give everything that is committed and has none its leaf. The job does so every few seconds. Twice is harmless."""
    transaction(log_append.decide)
    count = 0
    while some := transaction(log_append.append):
        count += some
    click.echo(f"{count} leaves added, {log_leaf.size()} in all")


@group.command("head")
@click.option("--if-due", is_flag=True, help="Only if a Beijing day has begun since the newest head.")
@with_appcontext
def head(if_due: bool) -> None:
    """Sign a tree head over all leaves, with the proof that the one before was only added to. Prints the note."""
    row = _domain(lambda: None if if_due and not tree_head.due() else tree_head.publish())
    click.echo(row.note + f"fingerprint {row.fingerprint}" if row else "nothing to sign")


@group.command("prove")
@click.argument("token")
@click.option("--since", type=click.IntRange(1), help="Number of an older head, to connect with the newest.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="File to write; default: print.")
@with_appcontext
def prove(token: str, since: int | None, out: Path | None) -> None:
    """Write the proof of the receipt with this TOKEN (the end of its address) for verify_receipt.py."""
    try:
        text = json.dumps(receipt_proof.for_token(token, since=since), ensure_ascii=False, indent=1)
    except MarketError as error:
        raise click.ClickException(f"{error.code}: {said(error)}") from error
    if out is None:
        click.echo(text)
    else:
        out.write_text(text + "\n", encoding="utf-8")
        click.echo(f"{out}: {len(text.encode())} bytes")


@group.command("verify")
@click.option("--head", "heads", multiple=True, metavar="FINGERPRINT|FILE", help="A head that is kept elsewhere; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of lines.")
@with_appcontext
def verify(heads: tuple[str, ...], as_json: bool) -> None:
    """Compute every leaf again from the books, every root from the leaves, and check every head. Exits 1 and names what was altered.

    Without --head, whoever rewrote books, log and heads together and holds the key is not found out: give at least one.
    """
    given = [Path(each).read_text(encoding="utf-8") if Path(each).is_file() else each for each in heads]
    report = log_check.check(given)
    if as_json:
        found = [{"what": each.what, "which": each.which, "wrong": each.wrong} for each in report.findings]
        told = {"ok": not found, "leaves": report.leaves, "heads": report.heads, "sealed_away": report.sealed_away, "findings": found}
        click.echo(json.dumps(told))
    else:
        for each in report.findings:
            click.echo(f"BROKEN {each.what} {each.which} {WRONG[each.wrong]}")
        away = f", {report.sealed_away} households' lines whose key is destroyed" if report.sealed_away else ""
        click.echo(f"{report.leaves} leaves, {report.heads} heads, {len(heads)} from elsewhere: {len(report.findings)} broken{away}")
    if report.findings:
        raise SystemExit(1)


@group.command("rotate")
@click.option("--actor", "login", required=True, metavar="WHO", help="Login name of the operator's administrator.")
@with_appcontext
def rotate(login: str) -> None:
    """Introduce a new key with the old one's signature. With LOG_KEY: put the new key before the old one there first."""

    def work() -> str:
        newest = tree_head.newest()
        if newest is None:
            raise click.ClickException("no head yet: the first key is made with it")
        origin = tree_head.origin_of(newest)
        return log_key.written(origin, log_key.rotate(origin, actor=by_name(login)).public_key)

    click.echo(_domain(work))


@group.command("export")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@with_appcontext
def export(folder: Path) -> None:
    """Write every head that FOLDER has not yet as a file; if it is a git work tree, commit and push."""
    try:
        click.echo(f"{log_export.write(folder)} heads written to {folder}")
    except MarketError as error:
        raise click.ClickException(f"{error.code}: {said(error)}") from error


def _domain(work: Any) -> Any:
    try:
        return transaction(work)
    except MarketError as error:
        raise click.ClickException(f"{error.code}: {said(error)}") from error
