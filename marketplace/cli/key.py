"""``flask key``: keys of payment channels, added from files, confirmed and switched to by a second person, retired."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
from flask.cli import with_appcontext
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import by_public_id, db, get, transaction
from marketplace.foundation.errors import MarketError
from marketplace.foundation.language import said
from marketplace.organisations.actor import by_name
from marketplace.payments import channel_key, key_check, key_material
from marketplace.payments.alipay_certificate import text_of
from marketplace.payments.alipay_signing import BadKey
from marketplace.payments.channel_key import ChannelKey

WHO = click.option("--actor", "login", required=True, metavar="WHO", help="Login name of the director, accountant, administrator or treasurer.")
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("key")
def group() -> None:
    """Keys of Alipay and Stripe: the new one is added beside the old, a second person confirms it, then switches; then the old is retired.

    Each belongs to the organisation of --actor: a cooperative's own account, or the platform's application.
    """


@group.command("list")
@WHO
@with_appcontext
def list_(login: str) -> None:
    """Outside name, channel, account, state, fingerprint and last day of each key. Nothing secret is printed."""
    for row in _said(lambda: channel_key.history(_may(login))):
        ends = f"{clock.business_date(row.expires_at):%Y-%m-%d}" if row.expires_at else "-"
        stage = "CONFIRMED" if row.state == "ADDED" and row.confirmed_at else row.state
        click.echo(f"{row.public_id}  {row.channel:<7} {row.account:<24} {stage:<9} {row.fingerprint}  {ends}")


@group.command("add-alipay")
@WHO
@click.option("--private-key", type=FILE, help="Our private key (PEM or base64). Without it a new pair is made here.")
@click.option("--alipay-public-key", type=FILE, help="Alipay's public key, for public-key mode.")
@click.option("--certificates", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder of root.crt, alipay.crt and <app_id>.crt, for certificate mode.")
@with_appcontext
def add_alipay(login: str, private_key: Path | None, alipay_public_key: Path | None, certificates: Path | None) -> None:
    """Add keys of the organisation's application; print their outside name, and the public key that Alipay must know first."""
    if (alipay_public_key is None) == (certificates is None):
        raise click.UsageError("either --alipay-public-key or --certificates")
    private = private_key.read_text() if private_key else ""
    public = alipay_public_key.read_text() if alipay_public_key else ""

    def work() -> tuple[str, str]:
        actor = by_name(login)
        channel_key.may_handle(actor.organisation_id, actor)
        files = ("root.crt", "alipay.crt", f"{key_material.application_of(actor.organisation_id, actor)}.crt")
        texts = [text_of(certificates / name) for name in files] if certificates else None
        three = (texts[0], texts[1], texts[2]) if texts else None
        row = key_material.add_alipay(actor.organisation_id, private=private, public=public, certificates=three, actor=actor)
        return row.public_id, key_material.shown_public(row)

    name, shown = _said(lambda: transaction(work))
    click.echo(f"{name}\n{shown}")


@group.command("add-stripe")
@WHO
@click.option("--account", required=True, help="The account's number, acct_…")
@click.option("--secrets", "file", type=FILE, required=True, help="File of two lines: the secret key, and the webhook's secret.")
@with_appcontext
def add_stripe(login: str, account: str, file: Path) -> None:
    """Add a cooperative's Stripe account, of which Stripe itself says that the key opens it; print the key's outside name."""
    lines = file.read_text().split()
    if len(lines) != 2:
        raise click.UsageError("the file holds two lines: the secret key, and the webhook's secret")
    given = {"account": account, "secret_key": lines[0], "webhook_secret": lines[1]}

    def work() -> str:
        _may(login)
        owned = key_material.ask_stripe(**given)
        return transaction(lambda: key_material.add_stripe(_may(login), **given, owned=owned, actor=by_name(login)).public_id)

    click.echo(_said(work))


@group.command("confirm")
@click.argument("name")
@WHO
@click.option("--seen", required=True, help="Last 8 characters of the SHA-256 of Alipay's public key as its console gives it; of Stripe, of the webhook's secret.")
@click.option("--seen-key", default="", help="Of Stripe also the last 4 characters of the secret key.")
@with_appcontext
def confirm(name: str, login: str, seen: str, seen_key: str) -> None:
    """Believe what comes signed with the key NAME. By another person than who added it, who has seen at the channel that it is the right one."""
    _done(partial(channel_key.confirm, seen=seen, seen_key=seen_key), name, login)
    click.echo(f"{name} is believed")


@group.command("switch")
@click.argument("name")
@WHO
@with_appcontext
def switch(name: str, login: str) -> None:
    """Sign with the confirmed key NAME from now on. By another person than who added it; the one before stays believed. Stripe is asked again whose it is."""
    owned = _said(lambda: key_material.ask_before_switch(get(ChannelKey, _own(name, login))))
    _done(partial(channel_key.switch, owned=owned), name, login)
    click.echo(f"{name} is in use")


@group.command("check")
@with_appcontext
def check() -> None:
    """Ask Stripe of every key in use whose it is; a line for each, and an exit status of 1 unless all open the account that they are kept for.

    A job does the same every day, and what is wrong is on money health. Keys that were added before Stripe was asked stay in use until they are
    switched.
    """
    wrong = False
    for key_id in transaction(key_check.in_use):
        error = key_check.ask(*transaction(partial(key_check.parts, key_id)))
        transaction(partial(key_check.keep, key_id, error))
        row, wrong = get(ChannelKey, key_id), wrong or error is not None
        click.echo(f"{row.public_id}  {row.account:<24} {f'{error.code}: {said(error)}' if error is not None else 'ok'}")
    if wrong:
        raise click.exceptions.Exit(1)


@group.command("retire")
@click.argument("name")
@WHO
@with_appcontext
def retire(name: str, login: str) -> None:
    """Never believe the key NAME again, and destroy it."""
    _done(channel_key.retire, name, login)
    click.echo(f"{name} is destroyed")


def _done(step: Callable[..., object], name: str, login: str) -> None:
    _said(lambda: transaction(lambda: step(_own(name, login), actor=by_name(login))))


def _may(login: str) -> int:
    actor = by_name(login)
    channel_key.may_handle(actor.organisation_id, actor)
    return actor.organisation_id


def _own(name: str, login: str) -> int:
    return by_public_id(ChannelKey, name, select(ChannelKey).where(ChannelKey.organisation_id == _may(login))).id


def _said(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except MarketError as error:
        db.session.rollback()
        raise click.ClickException(f"{error.code}: {said(error)}") from error
    except BadKey as error:
        raise click.ClickException(str(error)) from error
