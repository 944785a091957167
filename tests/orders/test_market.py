"""The builders build."""

from flask import Flask

from marketplace.foundation.database import db
from marketplace.supply.stock import Stock
from tests import builders


def test_a_small_market_has_ten_tins(app: Flask) -> None:
    market = builders.market()
    assert db.session.get_one(Stock, market.pack).free == 10
    assert builders.market(name="另一家").cooperative != market.cooperative
