"""A unit beside the small market of ``builders``: its people, and its order at any step of its way."""

from dataclasses import dataclass

from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.orders import shipment
from marketplace.orders.destination import Destination
from marketplace.orders.order import Order, lines_of
from marketplace.organisations.actor import Actor
from marketplace.payments import bank_match, bank_refund, bank_statement
from marketplace.payments.bank_statement import BankReceipt
from marketplace.payments.refund import Refund
from marketplace.procurement import acceptance, directed_order
from marketplace.procurement.acceptance import Arrived
from marketplace.procurement.directed_order import DirectedOrder
from tests import builders

DESTINATION = Destination(recipient="刘老师", phone="13807950001", street="教育路 1 号", province="江西省", city="宜春市")


@dataclass(frozen=True)
class UnitMarket:
    """``market`` sells tins at ¥88.00, from ten on at ¥80.00; ``unit`` buys."""

    market: builders.Market
    unit: int
    buyer: Actor
    approver: Actor


def unit_market(*, on_hand: int = 100) -> UnitMarket:
    market = builders.market(on_hand=on_hand)
    builders.tier(market.pack, 10, 8000)
    unit = builders.unit()
    return UnitMarket(market, unit, builders.person(unit, "buyer"), builders.person(unit, "approver"))


def submit(at: UnitMarket, quantity: int = 10, *, terms: str = "POSTPAY", key: str = "k", union: bool = False, commitment_id: int | None = None, late_rate: int | None = None) -> int:
    """A submitted order of tins; the directed order's id."""
    with transaction():
        return directed_order.submit(
            {at.market.pack: quantity}, cooperative_id=at.market.cooperative, destination=DESTINATION, terms=terms,
            actor=at.buyer, key=key, is_trade_union=union, commitment_id=commitment_id, late_rate=late_rate,
        )  # fmt: skip


def confirmed(at: UnitMarket, quantity: int = 10, *, terms: str = "POSTPAY", key: str = "k", union: bool = False, late_rate: int | None = None) -> int:
    """An order that the cooperative took on; the directed order's id."""
    made = submit(at, quantity, terms=terms, key=key, union=union, late_rate=late_rate)
    with transaction():
        directed_order.approve(made, actor=at.approver)
    with transaction():
        directed_order.confirm(made, actor=at.market.director)
    return made


def ship(at: UnitMarket, made: int, packs: int) -> None:
    order_id = order_of(made).id
    with transaction():
        shipment.ship(order_id, [(lines_of(order_id)[0].id, at.market.batch, packs)], "快运", "1", actor=at.market.clerk)


def accept(at: UnitMarket, made: int, accepted: int, short: int = 0) -> None:
    order_id = order_of(made).id
    with transaction():
        acceptance.accept(order_id, [Arrived(lines_of(order_id)[0].id, accepted, short, "少" if short else "")], actor=at.buyer)


def receipt(at: UnitMarket, fen: int, *, day: str = "2026-03-01", remark: str = "", payer: str = "", serial: str = "S1") -> int:
    """Money on the cooperative's account; the receipt's id."""
    text = f"交易日期,收入金额,对方户名,摘要,流水号\n{day},{fen // 100}.{fen % 100:02d},{payer},{remark},{serial}\n"
    with transaction():
        bank_statement.import_csv(text.encode(), actor=at.market.accountant)
    return db.session.query(BankReceipt).filter_by(organisation_id=at.market.cooperative, serial=serial).one().id


def match(at: UnitMarket, receipt_id: int, made: int, fen: int, *, key: str = "m") -> int:
    order_id = order_of(made).id
    with transaction():
        return bank_match.match(receipt_id, "order", order_id, fen, actor=at.market.accountant, key=key).id


def transferred(at: UnitMarket) -> None:
    """The accountant has made and recorded every transfer back that was agreed: until then it holds its order's split."""
    for number in db.session.scalars(select(Refund.id).where(Refund.way == "bank", Refund.state == "approved").order_by(Refund.id)).all():
        with transaction():
            bank_refund.record(number, f"WY{number:06}", clock.business_date(), actor=at.market.accountant)


def order_of(made: int) -> Order:
    return db.session.get_one(Order, db.session.get_one(DirectedOrder, made).order_id)
