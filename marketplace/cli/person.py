"""``flask person``: the first sign-ins of a market, and a way back in for who has lost a password."""

import secrets
from collections.abc import Callable
from typing import TypeVar

import click
from flask.cli import with_appcontext
from sqlalchemy import select

from marketplace.foundation import audit
from marketplace.foundation.config import settings
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import MarketError, NotFound
from marketplace.foundation.language import N_, said
from marketplace.organisations import person, sign_in_proposal
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import Person, Role
from marketplace.organisations.sign_in_proposal import SignInProposal

T = TypeVar("T")


@click.group("person")
def group() -> None:
    """People who sign in. Whoever may run this holds the machine: it asks for no actor, and the audit says that it was used."""


@group.command("list")
@click.option("--kind", type=click.Choice(sorted(person.ROLES)), default="OPERATOR", show_default=True, help="Of organisations of this kind.")
@with_appcontext
def list_(kind: str) -> None:
    """Login, role, organisation and its outside name (which ``add`` asks for), one line each."""
    query = (
        select(Organisation.public_id, Organisation.name_zh, Person.login, Role.name)
        .join(Role, Role.organisation_id == Organisation.id, isouter=True)
        .join(Person, Person.id == Role.person_id, isouter=True)
        .where(Organisation.kind == kind)
        .order_by(Organisation.id, Role.id)
    )
    for public_id, name, login, role in db.session.execute(query):
        click.echo(f"{login or '-':<24} {role or '-':<18} {public_id}  {name}")


@group.command("add")
@click.argument("login")
@click.option("--name", required=True, help="The person's name.")
@click.option("--organisation", required=True, metavar="ID", help="Outside name of the organisation, from `flask person list`.")
@click.option("--role", required=True, help="A role that organisations of that kind have, as administrator or director.")
@with_appcontext
def add(login: str, name: str, organisation: str, role: str) -> None:
    """Add somebody with a role and print a random password, once. They should change it after signing in."""
    password = secrets.token_urlsafe(12)

    def work() -> None:
        place = by_public_id(Organisation, organisation)
        row = person.add(login=login, name=name, password=password)
        person.grant(row.id, place.id, role)
        audit.record("person.added_by_machine", row, organisation_id=place.id, role=role)

    _carry_out(work)
    click.echo(f"{login}  {password}")


@group.command("password")
@click.argument("login")
@with_appcontext
def password(login: str) -> None:
    """Give LOGIN a new random password and print it, once."""
    fresh = secrets.token_urlsafe(12)

    def work() -> None:
        row = person.by_login(login)
        if row is None:
            raise NotFound("person.missing", N_("没有叫 %(login)s 的登录名。"), login=login)
        row.password_hash = person.hash_password(fresh)
        audit.record("person.password_by_machine", row)

    _carry_out(work)
    click.echo(f"{login}  {fresh}")


@group.command("waiting")
@with_appcontext
def waiting() -> None:
    """What an administrator asked for about a sign-in and nobody has allowed yet: number, kind, login, organisation, roles (of VILLAGES, their codes) before and after."""
    for row, someone, place in sign_in_proposal.waiting():
        click.echo(f"{row.public_id}  {row.kind:<8} {someone.login:<24} {place.name_zh}  {row.change[0] or '-'} → {row.change[1] or '-'}")


@group.command("agree")
@click.argument("number")
@click.option("--return", "reason", default="", metavar="REASON", help="Return it instead, with this reason.")
@with_appcontext
def agree(number: str, reason: str) -> None:
    """Be the second person for NUMBER of ``waiting`` where the county has one administrator; prints a link to hand over, where there is one.

    The code that goes with it is shown to the administrator who asked, at /operator/sign-ins, for them to hand over.
    """

    def work() -> str | None:
        row = by_public_id(SignInProposal, number)
        return sign_in_proposal.decide(row.id, version=row.version, approved=not reason, reason=reason, actor=None)

    token = _carry_out(work)
    base = settings().base_url.rstrip("/")
    click.echo(f"{base}/invitation/{token}" if token else ("returned" if reason else "done"))
    if token:
        click.echo(f"It takes a code too: whoever asked finds it at {base}/operator/sign-ins and hands it over.", err=True)


def _carry_out(work: Callable[[], T]) -> T:
    try:
        return transaction(work)
    except MarketError as error:
        raise click.ClickException(f"{error.code}: {said(error)}") from error
