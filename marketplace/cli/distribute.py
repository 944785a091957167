"""``flask distribute``: a cooperative's household pools of one month, divided among its households, step by step."""

from collections.abc import Callable
from typing import Any

import click
from flask.cli import with_appcontext
from sqlalchemy import select

from marketplace.foundation.database import db, get, transaction
from marketplace.foundation.errors import MarketError
from marketplace.foundation.language import said
from marketplace.foundation.money import format_yuan
from marketplace.households.linkage_group import LinkageGroup
from marketplace.organisations.actor import Actor, by_name
from marketplace.settlement import distribution, distribution_check
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.distribution_pool import left_out


@click.group("distribute")
def group() -> None:
    """Distribute a month's household pools: draft, approve, publish, post, and verify what was posted. Amounts are shown in CNY.

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


@group.command("verify")
@click.option("--period", default="", metavar="YYYY-MM", help="Only distributions of this month; default: of every month there is.")
@with_appcontext
def verify(period: str) -> None:
    """Divide every posted distribution once more, by its rule and the weights frozen in it, and say what does not come out to the fen.

    Changes nothing. `flask books check` does the same for what was posted since the last closed month. Fails if anything is wrong.
    """
    query = select(Distribution).where(Distribution.posted_at.is_not(None)).order_by(Distribution.id)
    if period:
        query = query.where(Distribution.period == period)
    numbers, wrong = [row.id for row in db.session.scalars(query)], 0
    for number in numbers:
        row = get(Distribution, number)
        said = distribution_check.faults(row)
        wrong += bool(said)
        click.echo(f"{row.period} {row.public_id}, number {row.number}, CNY {format_yuan(row.total_fen)}: {'WRONG' if said else 'as it should be'}")
        for each in said:
            click.echo(f"  {each}")
        db.session.rollback()  # a million households of one are not kept for the next
    if wrong:
        raise click.ClickException(f"{wrong} of {len(numbers)} distributions do not come out")
