"""Placing: stock, price, scheme and households are promised together, once, and never more than there is."""

import threading

import pytest
from flask import Flask
from sqlalchemy import func, select

from marketplace.catalogue.product import Pack, Product
from marketplace.foundation.config import settings
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.orders import cart, checkout
from marketplace.orders.checkout import households_in
from marketplace.orders.destination import Destination
from marketplace.orders.order import Order, OrderLine, Purchase, lines_of
from marketplace.payments import payment as payments
from marketplace.payments.payment import MOST_OPEN, Payment
from marketplace.search import detail
from marketplace.supply.batch import Batch
from marketplace.supply.stock import StockShortage
from tests import builders
from tests.orders import trade


def test_promises_are_frozen(app: Flask) -> None:
    market = builders.market()
    (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
    with transaction():
        db.session.get_one(Pack, market.pack).price_fen = 9900
        builders.scheme(market.cooperative, bp=(5000, 4000, 500, 500), version_no=2)
        builders.members(market.group, (1,))
    order = trade.order(order_id)
    (line,) = lines_of(order_id)
    assert (order.goods_fen, order.freight_fen, order.total_fen) == (17600, 0, 17600)
    assert (line.price_fen, line.scheme_id, line.linkage_group_id, line.village_id) == (
        8800,
        market.scheme,
        market.group,
        market.village,
    )
    assert line.households_shown == 3
    assert trade.free(market.pack) == (10, 2)


def test_households_that_get_nothing_of_the_pool_are_not_counted(app: Flask) -> None:
    market = builders.market()
    for kind in ("WAGE", "LEASE", "RELIEF"):
        builders.share(market.group, builders.household(), 0, kind=kind)
    product = db.session.get_one(Product, market.product)
    assert households_in([market.group]) == {market.group: 3}
    assert detail.of_slug(product.slug).households is None
    assert "不到 5 户" in app.test_client().get(f"/b/{db.session.get_one(Batch, market.batch).public_id}").text
    for _number in range(2):
        builders.share(market.group, builders.household(), 0, kind="SUPPLY")
    assert households_in([market.group]) == {market.group: 5}
    assert detail.of_slug(product.slug).households == 5


def test_one_buyer_keeps_little_of_the_stock_waiting_and_the_last_tin_is_anybodys(app: Flask) -> None:
    market = builders.market(on_hand=40)
    buyer = builders.customer()
    trade.placed(buyer, (market.pack, 15))
    with pytest.raises(Conflict) as kept:
        trade.placed(buyer, (market.pack, 6))
    assert (kept.value.code, kept.value.data["most"]) == ("stock.kept", 20)
    assert trade.free(market.pack) == (40, 15)
    trade.placed(builders.customer("别人"), (market.pack, 12))
    last = builders.market(name="土蜂蜜合作社", category="honey", on_hand=1)
    trade.placed(builders.customer("第三人"), (last.pack, 1))
    assert trade.free(last.pack) == (1, 1)


def test_so_many_purchases_wait_for_a_payment_and_one_that_is_paid_makes_room(app: Flask) -> None:
    market = builders.market(on_hand=40)
    buyer = builders.customer()
    placed = [trade.placed(buyer, (market.pack, 1)) for _ in range(settings().unpaid_purchases)]
    with pytest.raises(Conflict) as many:
        trade.placed(buyer, (market.pack, 1))
    assert many.value.code == "purchase.unpaid"
    (payment_id,) = trade.opened(placed[0])
    transaction(lambda: payments.apply(trade.succeeded(payment_id)))
    trade.placed(buyer, (market.pack, 1))


def test_attempts_to_pay_are_few_and_the_last_is_taken_again(app: Flask) -> None:
    market = builders.market()
    order_ids = trade.placed(builders.customer(), (market.pack, 1))
    made = [trade.opened(order_ids) for _ in range(5)]
    assert made[0] != made[1] != made[2] == made[3] == made[4]
    assert db.session.scalar(select(func.count()).select_from(Payment)) == MOST_OPEN


def test_attempts_for_other_things_too_are_not_taken_for_one(app: Flask) -> None:
    tea, honey = builders.market(), builders.market(name="土蜂蜜合作社", category="honey")
    order_ids = trade.placed(builders.customer(), (tea.pack, 1), (honey.pack, 1))
    made = [trade.opened(order_ids) for _ in range(4)]
    assert made[2] == made[3]
    with pytest.raises(Conflict) as opened:
        trade.opened(order_ids[:1])
    assert opened.value.code == "payment.open"


def test_small_orders_pay_freight(app: Flask) -> None:
    market = builders.market()
    (order_id,) = trade.placed(builders.customer(), (market.pack, 1))
    assert trade.order(order_id).total_fen == 8800 + 800


def test_goods_of_two_cooperatives_become_two_orders(app: Flask) -> None:
    tea, honey = builders.market(), builders.market(name="土蜂蜜合作社", category="honey", price_fen=6800)
    orders = [trade.order(each) for each in trade.placed(builders.customer(), (tea.pack, 2), (honey.pack, 1))]
    assert [(each.organisation_id, each.total_fen) for each in orders] == [
        (tea.cooperative, 17600),
        (honey.cooperative, 7600),
    ]
    assert orders[0].purchase_id == orders[1].purchase_id
    first, second = trade.opened([each.id for each in orders])
    assert trade.payment_state(first) == trade.payment_state(second) == "requires_action"


def test_a_repeated_click_places_once(app: Flask) -> None:
    market = builders.market()
    buyer = builders.customer()
    cart_id = trade.filled(buyer, (market.pack, 3))
    with transaction():
        first = checkout.place(cart_id, trade.HOME, actor=buyer, key="click")
    with transaction():
        assert checkout.place(cart_id, trade.HOME, actor=buyer, key="click") == first
    elsewhere = Destination(
        recipient="李四", phone="13800138000", street="别处 2 号", province="江西省", city="九江市"
    )
    with pytest.raises(Conflict) as reused, transaction():
        checkout.place(cart_id, elsewhere, actor=buyer, key="click")
    assert reused.value.code == "key.reused"
    assert trade.free(market.pack) == (10, 3)
    assert db.session.scalar(select(func.count(Purchase.id))) == 1


def test_a_changed_price_is_said_and_nothing_kept(app: Flask) -> None:
    market = builders.market()
    buyer = builders.customer()
    cart_id = trade.filled(buyer, (market.pack, 2))
    with pytest.raises(Conflict) as changed, transaction():
        checkout.place(cart_id, trade.HOME, actor=buyer, key="k", shown_fen=16000)
    assert (changed.value.code, changed.value.data["now_fen"]) == ("price.changed", 17600)
    assert trade.free(market.pack) == (10, 0)
    assert len(cart.lines(cart_id)) == 1


@pytest.mark.parametrize(
    ("field", "wrong"),
    [("recipient", " "), ("phone", "123"), ("street", ""), ("city", ""), ("note", "长" * 301)],
)
def test_a_bad_destination_names_its_field(app: Flask, field: str, wrong: str) -> None:
    market = builders.market()
    buyer = builders.customer()
    cart_id = trade.filled(buyer, (market.pack, 1))
    fields = trade.HOME.as_request() | {field: wrong}
    with pytest.raises(InvalidInput) as bad, transaction():
        checkout.place(cart_id, Destination(**fields), actor=buyer, key="k")  # type: ignore[arg-type]
    assert bad.value.data["field"] == field
    assert trade.free(market.pack) == (10, 0)


def test_the_last_tin_goes_to_one(app: Flask) -> None:
    market = builders.market(on_hand=1)
    first, second = builders.customer(), builders.customer("李四")
    late = trade.filled(second, (market.pack, 1))
    trade.placed(first, (market.pack, 1))
    with pytest.raises(StockShortage) as short, transaction():
        checkout.place(late, trade.HOME, actor=second, key="k")
    assert short.value.data == {"pack_id": market.pack, "asked": 1, "left": 0}
    assert trade.free(market.pack) == (1, 1)


@pytest.mark.both
def test_fifty_buyers_of_ten_tins_get_exactly_ten(app: Flask) -> None:
    market = builders.market(on_hand=10)
    buyers = [builders.customer(f"买家{i}") for i in range(50)]
    carts = [trade.filled(buyer, (market.pack, 1)) for buyer in buyers]
    results: list[str] = []
    ready = threading.Barrier(50)

    def buy(i: int) -> None:
        with app.app_context():
            ready.wait()
            try:
                transaction(
                    lambda: checkout.place(carts[i], trade.HOME, actor=buyers[i], key="k"), attempts=10
                )
                results.append("bought")
            except StockShortage:
                results.append("short")
            except Conflict as error:  # anything else ends the thread and is missing below
                results.append(repr(error))
            finally:
                db.session.remove()

    threads = [threading.Thread(target=buy, args=(i,)) for i in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(results)) == ["bought", "short"]
    assert (len(results), results.count("bought")) == (50, 10)
    assert trade.free(market.pack) == (10, 10)
    assert db.session.scalar(select(func.count(Order.id))) == 10
    assert db.session.scalar(select(func.sum(OrderLine.quantity))) == 10
