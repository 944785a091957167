"""The last key of an application at Alipay that a cooperative has left is kept as long as anything that went over it may need it."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.organisations.organisation import Cooperative
from marketplace.payments import channel_key, transfer
from marketplace.payments.channel_key import ChannelKey
from marketplace.payments.payment import Payment
from tests import builders
from tests.builders import Market
from tests.foundation.test_config_and_files import keys as pair
from tests.orders import trade
from tests.payments.test_channel_key import added, market, switched

__all__ = ["market"]


@pytest.fixture
def left(market: Market) -> int:
    """The last key of an application with which two tins were sold, and which the cooperative has left since."""
    first = added(market, public=pair()[1])
    switched(market, first)
    trade.bought(builders.customer(), (market.pack, 2))

    def move() -> None:
        db.session.get_one(Cooperative, market.cooperative).alipay_app_id = "2021EMU999999999"

    transaction(move)
    switched(market, added(market, public=pair()[1]))
    return first


def retired(market: Market, key_id: int, *, after: timedelta) -> str:
    with clock.travel(clock.now() + after):
        return transaction(lambda: channel_key.retire(key_id, actor=market.director).state)


@pytest.mark.both
def test_the_last_key_of_an_application_that_was_left_is_kept_while_alipay_refunds(market: Market, left: int) -> None:
    for after in (timedelta(), channel_key.MAY_GO_BACK + timedelta(days=1), channel_key.LONGEST - timedelta(hours=1)):
        with pytest.raises(Conflict, match=r"key\.needed"):
            retired(market, left, after=after)
    assert retired(market, left, after=channel_key.LONGEST + timedelta(hours=1)) == "RETIRED"


def test_it_is_retired_at_once_where_all_went_back(market: Market, left: int) -> None:
    def back() -> None:
        payment = db.session.scalars(select(Payment)).one()
        payment.refunded_fen = payment.amount_fen

    transaction(back)
    assert retired(market, left, after=timedelta()) == "RETIRED"


@pytest.mark.both
@pytest.mark.parametrize("state", transfer.GOING)
def test_a_transfer_from_it_that_has_no_end_keeps_it_however_long(market: Market, left: int, state: str) -> None:
    order = transfer.Order(payable_id=1, out_biz_no="DF1", fen=1_000, account="a@example.com", name="甲", title="代发")
    transaction(lambda: transfer.order("payout", 1, market.cooperative, [order]))

    def going(state: str) -> None:
        row = db.session.scalars(select(transfer.Transfer)).one()
        row.account, row.state = db.session.get_one(ChannelKey, left).account, state

    transaction(lambda: going(state))
    with pytest.raises(Conflict, match=r"key\.needed"):
        retired(market, left, after=2 * channel_key.LONGEST)
    transaction(lambda: going("failed"))
    assert retired(market, left, after=2 * channel_key.LONGEST) == "RETIRED"
