"""Steps of a trade, each committed as an entrance would."""

import itertools

from sqlalchemy import select

from marketplace.foundation.database import db, transaction
from marketplace.ledger import balance
from marketplace.orders import cart, checkout, order_payment, shipment
from marketplace.orders.destination import Destination
from marketplace.orders.order import Order, lines_of, orders_of
from marketplace.organisations.actor import Actor
from marketplace.payments import payment as payments
from marketplace.payments.outcome import Outcome
from marketplace.payments.payment import Payment
from marketplace.supply.stock import Stock
from tests.builders import Market

_number = itertools.count(1)
HOME = Destination(
    recipient="王小明", phone="13800138000", street="赣江中大道 1 号", province="江西省", city="南昌市"
)


def filled(buyer: Actor, *wanted: tuple[int, int]) -> int:
    """The buyer's cart with packs in it (pack id, quantity); its id."""
    with transaction():
        own = cart.opened(None, buyer.organisation_id)
        for pack_id, quantity in wanted:
            cart.add(own.id, pack_id, quantity)
        return own.id


def placed(buyer: Actor, *wanted: tuple[int, int], key: str = "") -> list[int]:
    """Ids of the orders of a new purchase."""
    cart_id = filled(buyer, *wanted)
    with transaction():
        purchase_id = checkout.place(cart_id, HOME, actor=buyer, key=key or f"place-{next(_number)}")
        return [order.id for order in orders_of(purchase_id)]


def opened(order_ids: list[int], key: str = "") -> list[int]:
    """Ids of an attempt's payments."""
    with transaction():
        made = order_payment.open_for_orders(order_ids, key=key or f"pay-{next(_number)}")
        return [payment.id for payment in made]


def succeeded(payment_id: int, **changed: object) -> Outcome:
    """What Alipay says when this payment was paid."""
    payment = db.session.get_one(Payment, payment_id)
    told: dict[str, object] = {
        "out_trade_no": payment.out_trade_no,
        "state": "succeeded",
        "total_fen": payment.amount_fen,
        "trade_no": f"2026{payment.id:012d}",
        "app_id": payment.app_id,
        "seller_id": payment.seller_id,
    }
    return Outcome(**(told | changed))  # type: ignore[arg-type]


def paid(order_ids: list[int]) -> list[int]:
    """The orders, paid; the payments' ids."""
    made = opened(order_ids)
    for payment_id in made:
        outcome = succeeded(payment_id)
        with transaction():
            payments.apply(outcome)
    return made


def bought(buyer: Actor, *wanted: tuple[int, int]) -> int:
    """A paid order of one cooperative; its id."""
    (order_id,) = placed(buyer, *wanted)
    paid([order_id])
    return order_id


def shipped(market: Market, order_id: int) -> int:
    """Everything of an order sent from the market's batch; the shipment's id."""
    with transaction():
        parts = [(line.id, market.batch, line.quantity) for line in lines_of(order_id)]
        return shipment.ship(order_id, parts, "顺丰速运", "SF100", actor=market.clerk).id


def order(order_id: int) -> Order:
    """The order as it is in the database now."""
    db.session.expire_all()
    return db.session.get_one(Order, order_id)


def free(pack_id: int) -> tuple[int, int]:
    """(on hand, reserved) of a pack."""
    db.session.expire_all()
    row = db.session.get_one(Stock, pack_id)
    return row.on_hand, row.reserved


def payment_state(payment_id: int) -> str:
    db.session.expire_all()
    return db.session.scalars(select(Payment.state).where(Payment.id == payment_id)).one()


def held(market: Market, kind: str) -> int:
    """What the cooperative's accounts of a kind hold or owe, in fen."""
    return balance.held(kind, market.cooperative)
