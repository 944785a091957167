"""The unit's desk: its roads, its year in four figures, what waits for somebody, and the units it supervises."""

from datetime import date
from typing import Any

from flask import Blueprint, render_template, request
from sqlalchemy import func, select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.foundation.language import gettext as _
from marketplace.orders.order import Order
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Organisation
from marketplace.procurement import scorecard
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.procurement.scorecard import Figures
from marketplace.procurement.target import Target
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("unit_desk", __name__, url_prefix="/unit")

permission("unit.read", UNIT="*")

RECENT = 8


def desk(actor: Actor) -> dict[str, Any]:
    """What every page of a unit needs: its roads with what waits on each, in one statement, and the words for states."""
    waiting = counts(actor)
    to_approve = waiting["to_approve"] if actor.has("approver") else 0
    # Buying lies below the orders' address, and is a road of its own.
    in_orders = request.path.startswith("/unit/orders") and not request.path.startswith("/unit/orders/new")
    items: list[tuple[Any, ...]] = [
        (_("今天"), "unit_desk.today"),
        (_("采购单"), "unit_orders.index", in_orders, to_approve or None),
        (_("去采购"), "unit_buy.choose"),
        (_("认购承诺"), "unit_commitments.index"),
        (_("任务申报"), "unit_target.show"),
        (_("报表"), "unit_reports.show"),
        (_("发票"), "invoices.index"),
    ]
    if waiting["children"]:
        items.append((_("下级单位"), "unit_review.index", None, (waiting["to_review"] if actor.has("approver") else 0) or None))
    return {"nav_items": items, "states": states(), "waiting": waiting}


def counts(actor: Actor) -> dict[str, int]:
    """What waits in a unit: orders to approve, to accept, to pay; units below it, and their filings to review. One statement."""
    own = select(func.count(DirectedOrder.id)).join(Order, Order.id == DirectedOrder.order_id).where(DirectedOrder.organisation_id == actor.organisation_id)
    below = select(func.count(Organisation.id)).where(Organisation.parent_id == actor.organisation_id)
    asked = {
        "to_approve": own.where(DirectedOrder.approval == "SUBMITTED"),
        "to_accept": own.where(Order.fulfilment.in_(("PARTLY_SHIPPED", "SHIPPED"))),
        "to_pay": own.where(DirectedOrder.pay_by.is_not(None), Order.payment.in_(("UNPAID", "PARTLY_PAID")), Order.fulfilment != "CANCELLED"),
        "children": below,
        "to_review": below.join(Target, Target.organisation_id == Organisation.id).where(Target.state == "FILED"),
    }
    row = db.session.execute(select(*(query.scalar_subquery().label(name) for name, query in asked.items()))).one()
    return dict(row._mapping)


def states() -> dict[str, str]:
    """The words for approval, fulfilment, payment and terms."""
    return {
        "SUBMITTED": _("等审批"), "APPROVED": _("等合作社接单"), "RETURNED": _("审批退回"), "CONFIRMED": _("合作社已接单"),
        "DECLINED": _("合作社不能供货"), "CANCELLED": _("已取消"), "WAITING": _("未发货"), "READY": _("等发货"),
        "PARTLY_SHIPPED": _("发了一部分"), "SHIPPED": _("在路上"), "RECEIVED": _("已验收"), "UNPAID": _("未付款"),
        "PARTLY_PAID": _("付了一部分"), "PAID": _("已付款"), "REFUNDED": _("已退款"),
        "PREPAY": _("先款后货"), "POSTPAY": _("先货后款"),
    }  # fmt: skip


@bp.get("")
@needs("unit.read")
def today() -> Any:
    actor = the_actor()
    year = clock.business_date().year
    figures = scorecard.figures(actor.organisation_id, year)
    return render_template("unit/today.html", year=year, figures=figures, pace=pace(figures), orders=recent(actor, RECENT), **desk(actor))


def pace(figures: Figures) -> dict[str, int] | None:
    """Days left of the year, what should be counted by today if it came evenly, and the gap to it, in fen; None without a quota."""
    today = clock.business_date()
    if figures.reserved_fen is None or figures.year != today.year:
        return None
    whole = (date(today.year, 12, 31) - date(today.year - 1, 12, 31)).days
    due_fen = figures.reserved_fen * today.timetuple().tm_yday // whole
    return {"days_left": whole - today.timetuple().tm_yday, "due_fen": due_fen, "gap_fen": due_fen - figures.counted_fen}


def recent(actor: Actor, limit: int) -> list[Any]:
    """(directed order, order, cooperative) of the actor's unit, newest first."""
    query = (
        select(DirectedOrder, Order, Organisation)
        .join(Order, Order.id == DirectedOrder.order_id)
        .join(Organisation, Organisation.id == DirectedOrder.cooperative_id)
        .where(DirectedOrder.organisation_id == actor.organisation_id)
        .order_by(DirectedOrder.id.desc())
        .limit(limit)
    )
    return list(db.session.execute(query))
