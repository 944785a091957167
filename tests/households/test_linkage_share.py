"""Shares are dated, never rewritten, never overlapping, and never reach back into what was distributed; whoever looks leaves a trace."""

from datetime import date, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from marketplace.foundation import clock
from marketplace.foundation.audit import AuditEvent
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.households import benefit, linkage_share, privacy
from marketplace.households.household import Household
from marketplace.households.linkage_group import LinkageShare
from marketplace.households.linkage_share import NewShare
from marketplace.reporting import linkage_figures
from marketplace.settlement import closed_period, distribution, settlement
from tests import builders
from tests.settlement.builders import order

pytestmark = pytest.mark.usefixtures("app")
TODAY = clock.business_date()
APPRAISED: dict[str, object] = {"asset_kind": "LAND", "appraised_fen": 800_000}
NOT_EQUITY: dict[str, object] = {"shares": 0, "asset_kind": "", "appraised_fen": None}


def code_of(household_id: int) -> str:
    db.session.rollback()
    return db.session.get_one(Household, household_id).code


def added(market: builders.Market, code: str, key: str = "k", **changed: object) -> str:
    given = {"kind": "EQUITY", "shares": 8, "starts_on": clock.business_date(), "basis": "茶园 4 亩折股"} | APPRAISED | changed
    new = NewShare(code=code, **given)  # type: ignore[arg-type]
    return transaction(lambda: linkage_share.add(market.group, new, actor=market.director, key=key))


def shares_of(household_id: int) -> list[tuple[str, int, date | None]]:
    rows = db.session.scalars(select(LinkageShare).where(LinkageShare.household_id == household_id).order_by(LinkageShare.id))
    return [(row.kind, row.shares, row.ends_on) for row in rows]


@pytest.mark.both
def test_a_share_is_added_once_and_ended_with_its_last_day() -> None:
    market, home = builders.market(), builders.household()
    code = code_of(home)
    assert added(market, code) == ""
    assert added(market, code) == ""
    assert shares_of(home) == [("EQUITY", 8, None)]
    db.session.rollback()
    last = clock.business_date() + timedelta(days=9)
    transaction(lambda: linkage_share.end(market.group, home, "EQUITY", last, "搬走了", actor=market.accountant))
    row = db.session.scalars(select(LinkageShare).where(LinkageShare.household_id == home)).one()
    assert (row.ends_on, row.end_reason, row.ended_by_id, row.recorded_by_id) == (last, "搬走了", market.accountant.person_id, market.director.person_id)
    db.session.rollback()
    with pytest.raises(Conflict, match=r"share\.none"), transaction():
        linkage_share.end(market.group, home, "EQUITY", last, "再结束一次", actor=market.director)
    note = added(market, code, key="again", shares=4, starts_on=last + timedelta(days=3))
    assert "空档" in note
    assert added(market, code, key="supply", kind="SUPPLY", **NOT_EQUITY) == ""


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"kind": "GIFT"}, "kind"), ({"shares": 0}, "shares"), ({"kind": "SUPPLY", "asset_kind": "", "appraised_fen": None}, "shares"), ({"shares": 10**7}, "shares"),
        ({"starts_on": date(2019, 12, 31)}, "starts_on"), ({"starts_on": date(2099, 1, 1)}, "starts_on"),
        ({"ends_on": TODAY - timedelta(days=1)}, "ends_on"), ({"basis": " "}, "basis"),
        ({"asset_kind": ""}, "asset_kind"), ({"asset_kind": "LABOUR"}, "asset_kind"), ({"appraised_fen": None}, "appraised"),
        ({"appraised_fen": 0}, "appraised"), ({"appraised_fen": -1}, "appraised"), ({"appraised_fen": 10**10 + 1}, "appraised"),
        ({"kind": "SUPPLY", "shares": 0}, "asset_kind"), ({**NOT_EQUITY, "kind": "WAGE", "appraised_fen": 100}, "asset_kind"),
        ({**NOT_EQUITY, "kind": "LEASE", "asset_kind": "LAND"}, "asset_kind"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_at_its_field(changed: dict[str, object], field: str) -> None:
    market, home = builders.market(), builders.household()
    with pytest.raises(InvalidInput) as refused:
        added(market, code_of(home), **changed)
    assert refused.value.data["field"] == field
    assert shares_of(home) == []


@pytest.mark.both
def test_equity_says_what_was_appraised_and_nothing_else_may() -> None:
    """The database refuses it too; a share recorded before that was asked says neither, and stays."""
    market, home = builders.market(), builders.household()
    added(market, code_of(home), asset_kind="FUNDS", appraised_fen=10**10)
    row = db.session.scalars(select(LinkageShare).where(LinkageShare.household_id == home)).one()
    assert (row.asset_kind, row.appraised_fen) == ("FUNDS", 10**10)
    older = db.session.scalars(select(LinkageShare).where(LinkageShare.household_id == market.households[0])).one()
    assert (older.kind, older.asset_kind, older.appraised_fen) == ("EQUITY", None, None)
    number = row.id
    db.session.rollback()
    for wrong in (
        {"asset_kind": None}, {"appraised_fen": None}, {"appraised_fen": 0}, {"asset_kind": "LABOUR"}, {"kind": "SUPPLY"}, {"kind": "LEASE", "appraised_fen": None},
    ):  # fmt: skip
        with pytest.raises(IntegrityError, match="appraised"), transaction():
            db.session.execute(update(LinkageShare).where(LinkageShare.id == number).values(wrong))
        db.session.rollback()


def test_overlaps_strangers_and_those_who_left_are_refused() -> None:
    market = builders.market()
    with pytest.raises(InvalidInput, match=r"share\.overlap"):
        added(market, code_of(market.households[0]))
    with pytest.raises(InvalidInput, match=r"share\.household"):
        added(market, "JA-NOBODY")
    home = builders.household()
    with transaction():
        db.session.get_one(Household, home).exited_on = TODAY - timedelta(days=1)
    with pytest.raises(InvalidInput, match=r"share\.exited"):
        added(market, code_of(home))


def test_only_director_and_accountant_of_the_own_cooperative() -> None:
    market, other, home = builders.market(), builders.market(name="另一家合作社"), builders.household()
    new = NewShare(code_of(home), "EQUITY", 8, TODAY, "茶园折股", None, "LAND", 800_000)
    with pytest.raises(NotAllowed), transaction():
        linkage_share.add(market.group, new, actor=market.clerk, key="k")
    with pytest.raises(NotFound), transaction():
        linkage_share.add(market.group, new, actor=other.director, key="k")
    with pytest.raises(NotFound), transaction():
        linkage_share.end(market.group, market.households[0], "EQUITY", TODAY, "不归你管", actor=other.director)


def test_no_share_reaches_back_into_a_period_that_was_distributed() -> None:
    market, home = builders.market(), builders.household()
    order_id = order(market, 13_600)
    settled = transaction(lambda: settlement.settle(order_id))
    transaction(lambda: distribution.draft(market.cooperative, settled.period, actor=market.accountant))
    closed = closed_period.distributed_until(market.group)
    assert closed is not None
    db.session.rollback()
    with pytest.raises(InvalidInput, match=r"share\.closed"):
        added(market, code_of(home), starts_on=closed)
    with pytest.raises(InvalidInput, match=r"share\.closed_end"), transaction():
        linkage_share.end(market.group, market.households[0], "EQUITY", closed - timedelta(days=1), "想改过去", actor=market.director)
    added(market, code_of(home), starts_on=closed + timedelta(days=1))


def test_wages_and_rent_are_records_and_never_of_the_pool() -> None:
    market, home = builders.market(), builders.household()
    added(market, code_of(home), kind="WAGE", basis="采茶工", **NOT_EQUITY)

    def paid(key: str = "k", kind: str = "WAGE", fen: int = 120_000, day: date = TODAY, note: str = "三月采茶工钱") -> int:
        return transaction(lambda: benefit.record(market.group, home, kind, fen, day, note, actor=market.accountant, key=key))

    assert paid() == paid()
    assert [row.fen for row in benefit.of(market.group, home)] == [120_000]
    assert linkage_figures.groups(market.cooperative)[0].benefit_fen == 120_000
    db.session.rollback()
    for wrong in ({"kind": "LEASE"}, {"kind": "EQUITY"}, {"fen": 0}, {"day": TODAY + timedelta(days=1)}, {"note": ""}, {"day": TODAY - timedelta(days=20)}):
        with pytest.raises(InvalidInput):
            paid("wrong", **wrong)  # type: ignore[arg-type]
    with pytest.raises(NotAllowed), transaction():
        benefit.record(market.group, home, "WAGE", 1, TODAY, "店员不行", actor=market.clerk, key="c")


def test_whoever_opens_a_name_leaves_a_trace_without_it() -> None:
    market = builders.market()
    home = market.households[0]
    with pytest.raises(InvalidInput, match=r"purpose\.bad"), transaction():
        privacy.opened(home, purpose="CURIOSITY", actor=market.director)
    whole = transaction(lambda: privacy.opened(home, purpose="SHARES", actor=market.director))
    assert whole["name"].startswith("测")
    trace = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "household.opened")).one()
    assert (trace.person_id, trace.subject_id, trace.data) == (market.director.person_id, home, {"purpose": "SHARES"})
    assert whole["name"] not in str(trace.data)
