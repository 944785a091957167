"""What does not add up is queued once, explained, closed by the county office, and opens anew only if it grows."""

from datetime import date, timedelta

import pytest

from marketplace.catalogue import licence_end
from marketplace.catalogue.product import Product
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.organisations.organisation import Cooperative
from marketplace.supply import mass_balance
from marketplace.supply.batch import Batch, Delivery
from marketplace.supply.mass_balance import MassAnomaly
from tests import builders
from tests.builders_people import operator, person

pytestmark = pytest.mark.usefixtures("app")


def open_ones(market: builders.Market) -> dict[str, int]:
    transaction(lambda: mass_balance.look(market.cooperative))
    return {row.kind: row.grams_over for row in db.session.query(MassAnomaly).filter_by(state="OPEN")}


def changed(market: builders.Market, **values: int) -> None:
    with transaction():
        batch = db.session.get_one(Batch, market.batch)
        for name, value in values.items():
            setattr(batch, name, value)


def test_a_market_in_order_raises_no_question() -> None:
    market = builders.market()
    assert open_ones(market) == {}


@pytest.mark.both
def test_each_kind_is_found_by_how_much_it_is_over_and_goes_when_it_is_mended() -> None:
    market = builders.market(on_hand=10)
    changed(market, area_mu=6, grams_sold=7000)
    with transaction():
        delivery = db.session.query(Delivery).first()
        assert delivery is not None
        delivery.grams = 100_000
    assert open_ones(market) == {"YIELD": 10_000, "DELIVERED": 5000}
    with transaction():
        for delivery in db.session.query(Delivery):
            delivery.voided_at = clock.now()
    assert open_ones(market) == {"YIELD": 10_000, "UNDELIVERED": 7000}
    changed(market, area_mu=100, grams_sold=100_000)
    assert open_ones(market) == {"UNDELIVERED": 100_000, "STOCK": 500}
    states = {(row.kind, row.state) for row in db.session.query(MassAnomaly)}
    assert {("YIELD", "GONE"), ("DELIVERED", "GONE")} <= states


def test_it_is_explained_and_closed_and_opens_anew_only_if_it_grows() -> None:
    market, other = builders.market(), builders.market(name="另一家合作社")
    changed(market, area_mu=6)
    assert open_ones(market) == {"YIELD": 10_000}
    row_id = db.session.query(MassAnomaly).one().id
    office = person(operator(), "reviewer")
    with pytest.raises(NotFound), transaction():
        mass_balance.explain(row_id, "多采了一块地", version=1, actor=other.clerk)
    transaction(lambda: mass_balance.explain(row_id, "多采了一块地", version=1, actor=market.clerk))
    with pytest.raises(NotAllowed), transaction():
        mass_balance.close(row_id, "看过了", version=2, actor=market.director)
    with pytest.raises(InvalidInput), transaction():
        mass_balance.close(row_id, " ", version=2, actor=office)
    with pytest.raises(Conflict, match=r"version\.stale"), transaction():
        mass_balance.close(row_id, "看过了", version=1, actor=office)
    transaction(lambda: mass_balance.close(row_id, "去看过，地有七亩。", version=2, actor=office))
    assert open_ones(market) == {}
    changed(market, area_mu=5)
    assert open_ones(market) == {"YIELD": 25_000}
    assert db.session.query(MassAnomaly).count() == 2


def test_an_ended_licence_stops_the_sale_the_day_after() -> None:
    market = builders.market()
    today = clock.business_date()

    def ends(day: date) -> None:
        with transaction():
            db.session.query(Cooperative).filter_by(organisation_id=market.cooperative).one().licence_expires_on = day

    ends(today)
    assert licence_end.due() == []
    db.session.rollback()
    ends(today - timedelta(days=1))
    assert licence_end.due() == [market.product]
    db.session.rollback()
    assert transaction(lambda: licence_end.stop(market.product))
    assert not transaction(lambda: licence_end.stop(market.product))
    product = db.session.get_one(Product, market.product)
    assert (product.state, product.suspend_reason) == ("SUSPENDED", "食品生产许可已经到期。")
