"""Deliveries are the base of patronage: of members, in time, no more than was harvested; a wrong one counts no more; imports are whole."""

from datetime import timedelta

import pytest

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.households.household import Household
from marketplace.households.linkage_group import LinkageGroup, LinkageShare
from marketplace.households.linkage_share import NewShare
from marketplace.settlement import distribution_weights
from marketplace.supply import delivery, member_import
from marketplace.supply.batch import Batch, Delivery
from marketplace.supply.delivery import NewDelivery
from tests import builders

pytestmark = pytest.mark.usefixtures("app")
TODAY = clock.business_date()


def supplier(market: builders.Market) -> tuple[int, str]:
    """A household that may deliver to the market's group: its id and code."""
    home = builders.household()
    builders.share(market.group, home, 0, kind="SUPPLY")
    return home, db.session.get_one(Household, home).code


def brought(market: builders.Market, code: str, key: str = "k", **changed: object) -> int:
    given = {"grams": 2500, "delivered_on": TODAY, "floor_price_fen_per_kg": 35_000, **changed}
    new = NewDelivery(code=code, **given)  # type: ignore[arg-type]
    return transaction(lambda: delivery.record(market.batch, new, actor=market.clerk, key=key))


@pytest.mark.both
def test_a_delivery_is_recorded_once_counts_as_patronage_and_can_be_voided() -> None:
    market = builders.market()
    home, code = supplier(market)
    db.session.rollback()
    assert brought(market, code) == brought(market, code)
    period = clock.period_of(TODAY)
    assert distribution_weights.patronage(market.group, [], period)[1][home] == 2500
    db.session.rollback()
    with pytest.raises(InvalidInput, match=r"delivery\.reason"), transaction():
        delivery.void(market.batch, home, TODAY, 2500, " ", actor=market.clerk)
    transaction(lambda: delivery.void(market.batch, home, TODAY, 2500, "记错了户", actor=market.clerk))
    assert home not in distribution_weights.patronage(market.group, [], period)[1]
    db.session.rollback()
    with pytest.raises(Conflict, match=r"delivery\.none"), transaction():
        delivery.void(market.batch, home, TODAY, 2500, "再作废", actor=market.clerk)
    brought(market, code, key="right", grams=2600)
    assert db.session.query(Delivery).filter_by(household_id=home).count() == 2


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"delivered_on": TODAY - timedelta(days=1)}, "delivery.day"), ({"delivered_on": TODAY + timedelta(days=1)}, "delivery.day"),
        ({"grams": 94_001}, "delivery.grams"), ({"grams": 0}, "delivery.grams"), ({"floor_price_fen_per_kg": -1}, "delivery.price"),
    ],
)  # fmt: skip
def test_a_bad_delivery_is_refused(changed: dict[str, object], code: str) -> None:
    market = builders.market()
    _home, own = supplier(market)
    db.session.rollback()
    with pytest.raises(InvalidInput) as refused:
        brought(market, own, **changed)
    assert refused.value.code == code


def test_only_suppliers_of_the_group_and_own_hands() -> None:
    market, other = builders.market(), builders.market(name="另一家合作社")
    _home, code = supplier(market)
    owner = db.session.get_one(Household, market.households[0]).code  # holds equity, no supply terms
    db.session.rollback()
    for stranger in (owner, "JA-NOBODY"):
        with pytest.raises(InvalidInput):
            brought(market, stranger)
    new = NewDelivery(code, 100, TODAY, 0)
    with pytest.raises(NotAllowed), transaction():
        delivery.record(market.batch, new, actor=market.accountant, key="k")
    with pytest.raises(NotFound), transaction():
        delivery.record(market.batch, new, actor=other.clerk, key="k")
    brought(market, code)
    with pytest.raises(InvalidInput, match=r"delivery\.same"):
        brought(market, code, key="other")


def test_an_import_of_deliveries_is_whole_or_nothing_and_once() -> None:
    market = builders.market()
    codes = [supplier(market)[1] for _ in range(3)]
    rows = [NewDelivery(code, 1000, TODAY, 30_000) for code in codes]
    batch = db.session.get_one(Batch, market.batch)
    outcomes = member_import.look_at_deliveries(batch, list(enumerate([*rows, rows[0], NewDelivery("X", 1, TODAY, 0)], 2)))
    assert [outcome.fault.code if outcome.fault else "" for outcome in outcomes] == ["", "", "", "delivery.same", "delivery.household"]
    db.session.rollback()
    kept = transaction(lambda: member_import.keep_deliveries(db.session.get_one(Batch, market.batch), rows, "四月.xlsx", actor=market.clerk).id)
    before = db.session.query(Delivery).count()
    db.session.rollback()
    with transaction():
        db.session.get_one(Batch, market.batch).grams_harvested = 100_000  # as it was
    brought(market, codes[2], grams=1000)  # meanwhile somebody recorded the last row by hand
    with pytest.raises(InvalidInput, match=r"delivery\.same"), transaction():
        member_import.apply(kept, actor=market.clerk)
    db.session.rollback()
    assert db.session.query(Delivery).count() == before + 1
    db.session.rollback()
    third = db.session.query(Household).filter_by(code=codes[2]).one().id
    db.session.rollback()
    transaction(lambda: delivery.void(market.batch, third, TODAY, 1000, "重复了", actor=market.clerk))
    assert transaction(lambda: member_import.apply(kept, actor=market.clerk)) == 3
    with pytest.raises(Conflict, match=r"import\.applied"), transaction():
        member_import.apply(kept, actor=market.clerk)


def test_an_import_of_shares_must_sum_to_what_was_declared() -> None:
    market, other = builders.market(), builders.market(name="另一家合作社")
    codes = [db.session.get_one(Household, builders.household()).code for _ in range(2)]
    rows = [NewShare(code, "EQUITY", 5, TODAY, "林地折股", None, "FOREST", 500_000) for code in codes]
    group = db.session.get_one(LinkageGroup, market.group)
    twice = member_import.look_at_shares(group, [(2, rows[0]), (3, rows[0]), (4, NewShare(codes[1], "EQUITY", 0, TODAY, "林地"))])
    assert [outcome.fault.code if outcome.fault else "" for outcome in twice] == ["", "share.overlap", "share.shares"]
    db.session.rollback()

    def kept(declared: int | None) -> int:
        return transaction(
            lambda: member_import.keep_shares(db.session.get_one(LinkageGroup, market.group), rows, "折股.xlsx", declared=declared, actor=market.director).id
        )

    wrong = kept(17)  # 1 + 2 + 3 stand, 10 are added
    with pytest.raises(Conflict, match=r"import\.total"), transaction():
        member_import.apply(wrong, actor=market.director)
    assert db.session.query(LinkageShare).filter_by(kind="EQUITY", group_id=market.group).count() == 3
    db.session.rollback()
    with pytest.raises(NotAllowed), transaction():
        member_import.apply(wrong, actor=market.clerk)
    with pytest.raises(NotFound), transaction():
        member_import.apply(wrong, actor=other.director)
    right = kept(16)
    assert transaction(lambda: member_import.apply(right, actor=market.director)) == 2
    assert member_import.equity_shares(market.group, TODAY) == 16
    assert {row.asset_kind: row.appraised_fen for row in db.session.query(LinkageShare).filter_by(shares=5)} == {"FOREST": 500_000}


def test_rows_kept_before_assets_were_asked_for_are_refused_in_words() -> None:
    market = builders.market()
    code = db.session.get_one(Household, builders.household()).code
    new = NewShare(code, "EQUITY", 5, TODAY, "林地折股", None, "FOREST", 500_000)

    def keep() -> int:
        group = db.session.get_one(LinkageGroup, market.group)
        row = member_import.keep_shares(group, [new], "折股.xlsx", declared=None, actor=market.director)
        row.rows = [{name: value for name, value in each.items() if name not in ("asset_kind", "appraised_fen")} for each in row.rows]
        db.session.flush()
        return row.id

    db.session.rollback()
    older = transaction(keep)
    with pytest.raises(InvalidInput, match=r"share\.asset"), transaction():
        member_import.apply(older, actor=market.director)
    assert db.session.query(LinkageShare).filter_by(shares=5).count() == 0
