"""Each thing that domain rules refuse is refused by name; what is only unusual is a warning."""

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from flask import Flask

from marketplace.catalogue import listing_check
from marketplace.catalogue.product import Pack, PriceTier, Product
from marketplace.catalogue.split_scheme import SplitScheme
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.households.linkage_group import LinkageGroup, LinkageShare
from marketplace.organisations.organisation import Cooperative
from marketplace.organisations.region import Region
from marketplace.supply.batch import Batch
from marketplace.supply.stock import Stock
from tests import builders
from tests.catalogue.listing import codes, product_of, ready

pytestmark = pytest.mark.usefixtures("app")
YESTERDAY = timedelta(days=1)


def the_licence(market: builders.Market) -> Cooperative:
    return db.session.query(Cooperative).filter_by(organisation_id=market.cooperative).one()


def end_group(market: builders.Market) -> None:
    db.session.get_one(LinkageGroup, market.group).ends_on = clock.business_date() - YESTERDAY


def end_shares(market: builders.Market) -> None:
    for row in db.session.query(LinkageShare).filter_by(group_id=market.group):
        row.ends_on = clock.business_date() - YESTERDAY


def other_group(market: builders.Market) -> None:
    db.session.get_one(LinkageGroup, market.group).category = "honey"


def narrow_licence(market: builders.Market) -> None:
    the_licence(market).licence_scope = "honey;camellia_oil"


def foreign_licence(market: builders.Market) -> None:
    the_licence(market).food_licence = "SC11436040000011"


def end_licence(market: builders.Market) -> None:
    the_licence(market).licence_expires_on = clock.business_date() - YESTERDAY


def no_village(market: builders.Market) -> None:
    product = db.session.get_one(Product, market.product)
    product.origin_id = product.township_id


def oil_with_mark(market: builders.Market) -> None:
    product = db.session.get_one(Product, market.product)
    product.gi_mark, product.category = True, "camellia_oil"


def low_tea(market: builders.Market) -> None:
    db.session.get_one(Product, market.product).gi_mark = True
    db.session.get_one(Region, market.village).altitude_m = 399


def outside_tea(market: builders.Market) -> None:
    db.session.get_one(Product, market.product).gi_mark = True
    db.session.get_one(Region, market.village).gi_area = False


def late_tea(market: builders.Market) -> None:
    db.session.get_one(Product, market.product).gi_mark = True
    db.session.get_one(Batch, market.batch).harvested_on = date(2026, 4, 16)


def valley_batch(market: builders.Market) -> None:
    db.session.get_one(Product, market.product).gi_mark = True
    batch = db.session.get_one(Batch, market.batch)
    batch.harvested_on, batch.altitude_m = date(2026, 4, 1), 390


def no_summary(market: builders.Market) -> None:
    db.session.get_one(Product, market.product).summary_zh = " "


def no_standard(market: builders.Market) -> None:
    db.session.get_one(Product, market.product).standard_code = ""


def no_shelf_life(market: builders.Market) -> None:
    db.session.get_one(Product, market.product).shelf_life_months = 0


def no_scheme(market: builders.Market) -> None:
    db.session.get_one(SplitScheme, market.scheme).effective_from = clock.business_date() + timedelta(days=1)


def no_pack(market: builders.Market) -> None:
    db.session.get_one(Pack, market.pack).withdrawn_at = clock.now()


def dear_tier(market: builders.Market) -> None:
    db.session.add(PriceTier(organisation_id=market.cooperative, pack_id=market.pack, min_quantity=10, price_fen=8801))


def promised_stock(market: builders.Market) -> None:
    db.session.get_one(Stock, market.pack).reserved = 10


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (end_group, "linkage.ended"),
        (end_shares, "linkage.empty"),
        (other_group, "linkage.other"),
        (narrow_licence, "licence.scope"),
        (foreign_licence, "licence.region"),
        (end_licence, "licence.expired"),
        (no_village, "origin.bad"),
        (oil_with_mark, "gi.category"),
        (low_tea, "gi.area"),
        (outside_tea, "gi.area"),
        (late_tea, "gi.batch"),
        (valley_batch, "gi.batch"),
        (no_summary, "label.summary"),
        (no_standard, "label.standard"),
        (no_shelf_life, "label.shelf_life"),
        (no_scheme, "scheme.missing"),
        (no_pack, "pack.none"),
        (dear_tier, "price.tier"),
        (promised_stock, "stock.none"),
    ],
)
def test_each_fault_is_refused_by_name(spoil: Callable[[builders.Market], None], code: str) -> None:
    market = ready()
    assert codes(market) == set()
    with transaction():
        spoil(market)
    assert code in codes(market)
    with pytest.raises(listing_check.ListingRefused) as refused:
        listing_check.must_pass(product_of(market))
    assert code in {finding.code for finding in refused.value.data["findings"]}


def test_all_reasons_come_at_once() -> None:
    market = ready()
    with transaction():
        for spoil in (end_licence, no_standard, promised_stock):
            spoil(market)
    assert codes(market) == {"licence.expired", "label.standard", "stock.none"}


def test_the_mark_is_allowed_to_high_tea_of_the_season() -> None:
    market = ready()
    with transaction():
        db.session.get_one(Product, market.product).gi_mark = True
        db.session.get_one(Batch, market.batch).harvested_on = date(2026, 4, 15)
    assert codes(market) == set()


@pytest.mark.parametrize(
    ("days", "expected"),
    [(91, set()), (90, {"licence.ends_90"}), (30, {"licence.ends_30"}), (7, {"licence.ends_7"}), (0, {"licence.ends_7"})],
)
def test_an_ending_licence_warns_and_does_not_refuse(days: int, expected: set[str]) -> None:
    market = ready()
    with transaction():
        the_licence(market).licence_expires_on = clock.business_date() + timedelta(days=days)
    assert codes(market, refusing=False) == expected
    assert codes(market) == set()


@pytest.mark.parametrize(
    ("category", "grams", "ml", "pieces", "fen", "warned"),
    [
        ("white_tea", 50, None, None, 15_000, False),
        ("white_tea", 50, None, None, 15_001, True),
        ("honey", 500, None, None, 4_999, True),
        ("chrysanthemum", 20, None, 10, 4_000, False),
        ("chrysanthemum", 20, None, 10, 4_010, True),
        ("chrysanthemum", 50, None, None, 3_400, True),
        ("camellia_oil", 460, 500, None, 8_001, True),
        ("camellia_oil", 4600, 5000, None, 38_000, False),
    ],
)
def test_a_price_outside_the_guide_warns(
    app: Flask, category: str, grams: int, ml: int | None, pieces: int | None, fen: int, warned: bool
) -> None:
    market = ready(category=category)
    with transaction():
        pack = db.session.get_one(Pack, market.pack)
        pack.net_grams, pack.net_ml, pack.pieces, pack.price_fen = grams, ml, pieces, fen
    assert ("price.guide" in codes(market, refusing=False)) is warned
    assert codes(market) == set()
    assert all(finding.said() and "%(" not in finding.said() for finding in listing_check.findings(product_of(market)))
