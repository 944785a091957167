"""``flask distribute``: a cooperative's household pools of one month, divided among its households, step by step."""

from collections.abc import Callable
from typing import Any

import click
from flask.cli import with_appcontext

from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import MarketError
from marketplace.foundation.language import said
from marketplace.foundation.money import format_yuan
from marketplace.households.linkage_group import LinkageGroup
from marketplace.organisations.actor import Actor, by_name
from marketplace.settlement import distribution
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.distribution_pool import left_out


@click.group("distribute")
def group() -> None:
    """Distribute a month's household pools: draft, approve, publish, post. Amounts are shown in CNY.

    The actor's cooperative is the one that distributes; the same rules hold as on the screens.
    """


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--actor", "login", required=True, metavar="WHO", help="Login name of who does it."),
        click.option("--period", required=True, metavar="YYYY-MM", help="Month (Beijing) in which the orders were settled."),
    ):
        command = option(command)
    return command


def _carry_out(login: str, work: Callable[[Actor], Distribution]) -> Distribution:
    try:
        return transaction(lambda: work(by_name(login)))
    except MarketError as error:
        raise click.ClickException(f"{error.code}: {said(error)}") from error


def _tell(row: Distribution) -> None:
    click.echo(f"distribution {row.public_id} of {row.period}, number {row.number}: {row.state}, CNY {format_yuan(row.total_fen)}")
    if row.state == "DRAFTED":
        for group_id, fen in left_out(row).items():
            name = db.session.get_one(LinkageGroup, group_id).name_zh
            click.echo(f"left out: {name}, CNY {format_yuan(fen)}: it had no shares and no deliveries, or settled since")


@group.command("draft")
@_options
@with_appcontext
def draft(period: str, login: str) -> None:
    """Draft: divide what was settled in the month and is not distributed yet. By the accountant; posts nothing."""

    def work(actor: Actor) -> Distribution:
        return distribution.draft(actor.organisation_id, period, actor=actor)

    _tell(_carry_out(login, work))


@group.command("approve")
@_options
@with_appcontext
def approve(period: str, login: str) -> None:
    """Approve the month's draft. By the director, who may not be the one who drafted it; posts nothing."""

    def work(actor: Actor) -> Distribution:
        row = distribution.latest(actor.organisation_id, period)
        return distribution.approve(row.id, actor=actor, version=row.version)

    _tell(_carry_out(login, work))


@group.command("publish")
@_options
@with_appcontext
def publish(period: str, login: str) -> None:
    """Publish the approved distribution for NOTICE_WORKDAYS working days. Public, aggregates only; posts nothing."""

    def work(actor: Actor) -> Distribution:
        row = distribution.latest(actor.organisation_id, period)
        notice = distribution.publish(row.id, actor=actor)
        flag = " (provisional: the calendar of that year is not announced yet)" if notice.is_provisional else ""
        click.echo(f"published to the end of {notice.ends_on}, Beijing{flag}")
        return row

    _tell(_carry_out(login, work))


@group.command("post")
@_options
@with_appcontext
def post(period: str, login: str) -> None:
    """Credit every household, once the notice has ended and objections are answered. One journal entry a linkage group."""

    def work(actor: Actor) -> Distribution:
        return distribution.post(distribution.latest(actor.organisation_id, period).id, actor=actor)

    _tell(_carry_out(login, work))
