"""Households' statements on paper: one household's slip, a distribution's slips, the village board's list, and printing at a service station.

Whose slip was printed by whom is written down. What hangs on the board is masked; a slip that is handed over bears the name.
"""

from collections.abc import Sequence
from typing import Any

import segno
from flask import Blueprint, Response, make_response, render_template, request, url_for
from sqlalchemy import func, select

from marketplace.disclosure import household_statement, tree_head
from marketplace.foundation import audit
from marketplace.foundation.config import settings
from marketplace.foundation.crypto import masked_name
from marketplace.foundation.database import by_public_id, db, get, transaction
from marketplace.foundation.language import gettext as _
from marketplace.households.account_correction import must_know
from marketplace.households.household import Household
from marketplace.notices.public_notice import PublicNotice
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.region import Region
from marketplace.settlement.distribution import Distribution, DistributionShare
from marketplace.web.distribution import basis_words, own
from marketplace.web.limits import limiter, signed_in, was_refused
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.station_desk import desk

bp = Blueprint("slip", __name__)

permission("slip.print", COOPERATIVE="accountant director")
permission("slip.station", STATION="station_clerk")

PAGE = 20  # slips of a sheet to print at once


@bp.get("/households/<public_id>/slip")
@needs("slip.print")
def of_household(public_id: str) -> Any:
    actor = the_actor()
    row = by_public_id(Household, public_id)
    must_know(row, actor, "accountant", "director")
    return printed([row], actor, back=url_for("household_account.show", public_id=public_id))


@bp.get("/distributions/<public_id>/slips")
@needs("slip.print")
def of_distribution(public_id: str) -> Any:
    """Twenty slips at a time, in the order of codes, of whoever gets something from it."""
    actor = the_actor()
    row = own(public_id, actor)
    row.must_be("POSTED")
    query = (
        select(Household)
        .where(Household.id.in_(select(DistributionShare.household_id).where(DistributionShare.distribution_id == row.id, DistributionShare.fen > 0)))
        .order_by(Household.code)
        .limit(PAGE + 1)
    )
    after = request.args.get("after", "")
    if after:
        query = query.where(Household.code > by_public_id(Household, after).code)
    found = list(db.session.scalars(query))
    next_url = url_for(".of_distribution", public_id=public_id, after=found[PAGE - 1].public_id) if len(found) > PAGE else None
    return printed(found[:PAGE], actor, back=url_for("distribution.show", public_id=public_id), next_url=next_url)


@bp.get("/distributions/<public_id>/board")
@needs("slip.print")
def board(public_id: str) -> Any:
    """What hangs on the village boards: each household's amount with its name masked, a sheet a village."""
    row = own(public_id, the_actor())
    row.must_be("PUBLISHED", "POSTED")
    return _private(
        render_template(
            "slip/board.html", row=row, owner=db.session.get_one(Organisation, row.organisation_id), villages=villages_of(row),
            notice=db.session.get(PublicNotice, row.notice_id), back=url_for("distribution.show", public_id=public_id),
        )
    )  # fmt: skip


def villages_of(row: Distribution) -> list[tuple[Region, list[tuple[str, int]]]]:
    """Each village with the masked names and fen of its households that get something of a distribution."""
    query = (
        select(Region, Household, func.sum(DistributionShare.fen))
        .select_from(DistributionShare)
        .join(Household, Household.id == DistributionShare.household_id)
        .join(Region, Region.id == Household.village_id)
        .where(DistributionShare.distribution_id == row.id, DistributionShare.fen > 0)
        .group_by(Region.id, Household.id)
        .order_by(Region.code, Household.code)
    )
    villages: dict[int, tuple[Region, list[tuple[str, int]]]] = {}
    for village, house, fen in db.session.execute(query):
        villages.setdefault(village.id, (village, []))[1].append((masked_name(house.name), int(fen)))
    return list(villages.values())


@bp.get("/station/statements")
@needs("slip.station")
def station() -> Any:
    return _station({})


@bp.post("/station/statements")
@limiter.limit("30 per hour", deduct_when=was_refused)
@limiter.limit("30 per day", key_func=signed_in, deduct_when=was_refused)
@limiter.limit("5 per day", key_func=lambda: f"household {_typed_code()}", deduct_when=was_refused)
@needs("slip.station")
def find() -> Any:
    """The household at the counter: its code, and the last four of its head's identity card, so that codes cannot be tried through.

    Four digits have ten thousand values: tries are counted by household too, whoever makes them, and each refusal is written down.
    """
    actor, code, last = the_actor(), _typed_code(), request.form.get("last", "").strip().upper()
    row = db.session.scalars(select(Household).where(Household.code == code)).one_or_none()
    if row is not None and len(last) == 4 and row.id_number[-4:].upper() == last:
        return printed([row], actor, back=url_for(".station"))
    household_id = row.id if row is not None else None
    transaction(lambda: _write_refusal(household_id, code, actor))
    return _station({"code": _("户编号和身份证后四位对不上，请再核对。")}), 422


def _typed_code() -> str:
    return request.form.get("code", "")[:80].strip().upper()


def _write_refusal(household_id: int | None, code: str, actor: Actor) -> None:
    # A code that nobody has is the station's to answer for. What was typed for the four digits is kept nowhere.
    subject: Any = get(Household, household_id) if household_id is not None else get(Organisation, actor.organisation_id)
    audit.record("household.slip_refused", subject, person_id=actor.person_id, organisation_id=actor.organisation_id, code=code[:40])


def _station(errors: dict[str, str]) -> str:
    return render_template("slip/station.html", errors=errors, values=request.form, **desk())


def printed(households: Sequence[Household], actor: Actor, *, back: str, next_url: str | None = None) -> Response:
    """The slips of these households as a page to print; whoever prints them stands in the audit. Whether they may is the caller's to know."""
    ids = [row.id for row in households]

    def written() -> None:
        for row in db.session.scalars(select(Household).where(Household.id.in_(ids))):
            audit.record("household.slip_printed", row, person_id=actor.person_id, organisation_id=actor.organisation_id)

    transaction(written)
    # The slip is for the household: it names its head. The page behind its code does not.
    slips = [(row.name, household_statement.for_token(row.statement_token)) for row in households]
    phones = dict(db.session.execute(select(Organisation.name_zh, Organisation.phone).where(Organisation.kind == "COOPERATIVE")).all())
    return _private(
        render_template(
            "slip/slips.html",
            slips=[(name, statement, _code(statement.token)) for name, statement in slips],
            phones=phones,
            head=tree_head.newest(),
            bases=basis_words(),
            size="a5" if request.args.get("size") == "a5" else "a4",
            back=back,
            next_url=next_url,
            states={"sent": _("正在办理"), "unknown": _("还没有结果"), "paid": _("已付"), "returned": _("没有发到，将重新发放"), "reissued": _("没有发到，已重新发放")},
        )
    )


def address_of(token: str) -> str:
    """Where a household's own page is, for its code."""
    return settings().base_url.rstrip("/") + url_for("receipt.household", token=token)


def _code(token: str) -> str:
    """The code as a picture in the page."""
    picture: str = segno.make(address_of(token), error="m").svg_data_uri(scale=4, border=2)
    return picture


def _private(page: str) -> Response:
    answer = make_response(page)
    answer.headers["Cache-Control"] = "private, no-store"
    answer.headers["X-Robots-Tag"] = "noindex, nofollow"
    return answer
