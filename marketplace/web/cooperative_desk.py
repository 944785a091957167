"""The cooperative's desk: its roads with what waits on each, and today's figures, each opening on its rows."""

from datetime import date
from typing import Any

from flask import Blueprint, render_template, request
from sqlalchemy import func, select

from marketplace.catalogue.listing_change import ListingChange
from marketplace.catalogue.product import Pack, Product
from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.foundation.language import gettext as _
from marketplace.orders.order import Order
from marketplace.orders.return_request import ReturnRequest
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Cooperative
from marketplace.settlement import payout_found
from marketplace.settlement.difference import Difference
from marketplace.settlement.payout_batch import PayoutItem
from marketplace.settlement.settlement import Settlement
from marketplace.supply.mass_balance import MassAnomaly
from marketplace.supply.stock import Stock
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("cooperative_desk", __name__, url_prefix="/cooperative")

permission("cooperative.read", COOPERATIVE="*")

LOW = 10  # packs left, from which on a pack is said to run low
WARN_DAYS = 90


def desk(actor: Actor) -> dict[str, Any]:
    """What every page of the cooperative needs: its roads."""
    ready = select(func.count()).where(Order.organisation_id == actor.organisation_id, Order.fulfilment.in_(("READY", "PARTLY_SHIPPED")))
    differ = select(func.count()).where(Difference.organisation_id == actor.organisation_id, Difference.state == "OPEN")
    waiting, different = db.session.execute(select(ready.scalar_subquery(), differ.scalar_subquery())).one()
    return {
        "nav_items": [
            (_("今天"), "cooperative_desk.today"),
            (_("订单"), "cooperative_orders.index", None, waiting or None),
            (_("单位采购单"), "unit_seller.orders"),
            (_("逾期账款"), "cooperative_overdue.index"),
            (_("对公到账"), "unit_seller.bank" if actor.has("accountant") else "cooperative_bank.matches"),
            (_("钱"), "cooperative_money.show", _on_money() or None),
            *([(_("付款"), "payments.of_cooperative"), (_("退款"), "cooperative_refunds.index")] if actor.has("accountant", "director") else []),
            *([(_("收款密钥"), "channel_keys.index")] if actor.has("accountant", "director") else []),
            (_("对账"), "reconciliation.index", request.path.startswith(("/reconciliation", "/cooperative/bills")) or None, different or None),
            *([(_("账簿"), "books.index", request.path.startswith("/books") or None)] if actor.has("director", "accountant") else []),
            (_("发票"), "cooperative_invoices.index"),
            (_("商品"), "cooperative_goods.index"),
            (_("批次"), "cooperative_batches.index"),
            (_("库存"), "cooperative_stock.index"),
            (_("成员和联结"), "cooperative_members.index"),
            (_("分账方案"), "cooperative_schemes.index"),
            (_("分配规则"), "cooperative_rules.index"),
        ]
    }


def _on_money() -> bool:
    """Whether this page stands on the road of money, which leads through several."""
    return request.path.startswith(("/cooperative/money", "/distributions", "/payouts", "/errands", "/remittances", "/fund-returns", "/unclaimed", "/households", "/cooperative/withdrawals"))


@bp.get("")
@needs("cooperative.read")
def today() -> Any:
    actor = the_actor()
    return render_template("cooperative/today.html", **_figures(actor.organisation_id), **desk(actor))


def _figures(cooperative_id: int) -> dict[str, Any]:
    """Fen and counts of today: to ship, to answer, settled this month, waiting, brought to households; low stock; the licence."""
    period = clock.period_of(clock.business_date())
    own = Order.organisation_id == cooperative_id
    to_ship, oldest = db.session.execute(
        select(func.count(), func.min(Order.paid_at)).where(own, Order.fulfilment.in_(("READY", "PARTLY_SHIPPED")))
    ).one()
    settled, pool = db.session.execute(
        select(func.coalesce(func.sum(Settlement.cooperative_fen + Settlement.freight_fen), 0), func.coalesce(func.sum(Settlement.pool_fen), 0)).where(
            Settlement.organisation_id == cooperative_id, Settlement.period == period
        )
    ).one()
    low = db.session.execute(
        select(Product, Pack, Stock.on_hand - Stock.reserved)
        .join(Pack, Pack.product_id == Product.id)
        .join(Stock, Stock.pack_id == Pack.id)
        .where(Product.organisation_id == cooperative_id, Product.state == "ON_SALE", Stock.on_hand - Stock.reserved < LOW)
        .order_by(Stock.on_hand - Stock.reserved)
        .limit(10)
    ).all()
    to_answer, returned, anomalies, waiting, paid, expires = _singles(cooperative_id)
    days = (expires - clock.business_date()).days if expires else None
    return {
        "to_ship": to_ship,
        "oldest": oldest,
        "to_answer": to_answer,
        "returned": returned,
        "anomalies": anomalies,
        "settled_fen": settled,
        "pool_fen": pool,
        "month": period,
        "waiting_fen": waiting,
        "paid_fen": paid,
        "low": low,
        "licence_days": days if days is not None and days <= WARN_DAYS else None,
    }


def _singles(cooperative_id: int) -> tuple[int, int, int, int, int, date | None]:
    """Returns to answer, listings (or changes) returned, weights that do not add up, fen paid and not settled, fen that reached
    households, and the licence's last day. One statement."""
    answer = select(func.count()).where(ReturnRequest.organisation_id == cooperative_id, ReturnRequest.state == "OPEN")
    listings = select(func.count()).where(Product.organisation_id == cooperative_id, Product.state == "RETURNED")
    changes = select(func.count()).where(ListingChange.organisation_id == cooperative_id, ListingChange.state == "RETURNED")
    anomalies = select(func.count()).where(MassAnomaly.organisation_id == cooperative_id, MassAnomaly.state == "OPEN")
    waiting = select(func.coalesce(func.sum(Order.paid_fen - Order.refunded_fen), 0)).where(
        Order.organisation_id == cooperative_id, Order.settled_at.is_(None), Order.paid_fen > Order.refunded_fen
    )
    arrived = payout_found.arrived([], PayoutItem.organisation_id == cooperative_id).subquery("arrived")
    paid = select(func.coalesce(func.sum(arrived.c.fen), 0))
    expires = select(Cooperative.licence_expires_on).where(Cooperative.organisation_id == cooperative_id)
    asked = (answer, listings, changes, anomalies, waiting, paid, expires)
    row = db.session.execute(select(*(each.scalar_subquery() for each in asked))).one()
    return row[0], row[1] + row[2], row[3], int(row[4]), int(row[5]), row[6]
