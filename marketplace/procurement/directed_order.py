"""A directed order: an order of a unit, with approval, terms and a reference for its bank transfer.

Whoever placed it never approves it; a unit never pays more than the public price of the day; an order that is returned,
declined or taken back gives its stock back at once.
"""

import secrets
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import ClassVar

from sqlalchemy import CheckConstraint, ForeignKey, String, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.catalogue.product import Pack, PriceTier, Product
from marketplace.foundation import audit, clock
from marketplace.foundation.config import settings
from marketplace.foundation.database import Identified, Model, Public, db, locked
from marketplace.foundation.errors import Conflict, InvalidInput, NotFound
from marketplace.foundation.idempotency import once
from marketplace.foundation.language import N_
from marketplace.foundation.money import format_yuan
from marketplace.orders import cancellation, cart, checkout
from marketplace.orders.destination import Destination
from marketplace.orders.order import Order, lines_of, locked_order, waiting_packs
from marketplace.organisations import approval
from marketplace.organisations.actor import Actor
from marketplace.organisations.approval import Approval
from marketplace.procurement import approval_rule
from marketplace.procurement.target import Commitment
from marketplace.supply import stock

SHIP_DAYS = 7
PAY_DAYS = 30  # of public bodies: after acceptance (POSTPAY) or after confirmation (PREPAY)
MOST_LATE_RATE = 1000  # millionths a day
PROGRAMMES = ("COUNTY", "832", "UNION")
# Without letters and digits that are misread on a bank's counter.
_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
APPROVAL = ("SUBMITTED", "APPROVED", "RETURNED", "CONFIRMED", "DECLINED", "CANCELLED")
ENDED = ("RETURNED", "DECLINED", "CANCELLED")


class DirectedOrder(Public, Model):
    """What a unit's order has beyond ``orders.order``. SUBMITTED → APPROVED (second person of the unit) → CONFIRMED (cooperative)."""

    __tablename__ = "directed_order"
    __table_args__ = (
        CheckConstraint("approval IN ('SUBMITTED','APPROVED','RETURNED','CONFIRMED','DECLINED','CANCELLED')", name="approval"),
        CheckConstraint("terms IN ('PREPAY','POSTPAY')", name="terms"),
    )
    owner_columns: ClassVar = ("organisation_id", "cooperative_id")

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)  # the unit
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), unique=True)
    commitment_id: Mapped[int | None] = mapped_column(ForeignKey("commitment.id"), index=True)
    approval: Mapped[str] = mapped_column(String(12), default="SUBMITTED")
    terms: Mapped[str] = mapped_column(String(8))
    programme: Mapped[str] = mapped_column(String(8), default="COUNTY")
    is_trade_union: Mapped[bool] = mapped_column(default=False)
    reference: Mapped[str] = mapped_column(String(20), unique=True)  # written in the transfer's remark
    return_days: Mapped[int] = mapped_column(default=7)
    submitted_at: Mapped[datetime]
    approvals_needed: Mapped[int | None]  # by the rule when it was submitted; None: submitted before this was kept
    approved_at: Mapped[datetime | None]
    approved_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    decided_reason: Mapped[str] = mapped_column(String(300), default="")
    confirmed_at: Mapped[datetime | None]
    confirmed_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    ship_by: Mapped[date | None]
    pay_by: Mapped[date | None]
    late_rate: Mapped[int | None]  # agreed late interest, millionths a day; None: the market's
    extended_at: Mapped[datetime | None]  # a PREPAY deadline moves once
    extended_by_id: Mapped[int | None]


class Acceptance(Public, Model):
    """The unit's signature that goods arrived: what was accepted, in fen of goods, and what was short."""

    __tablename__ = "acceptance"

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)  # the unit
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), unique=True)
    accepted_fen: Mapped[int]
    short_fen: Mapped[int]
    note: Mapped[str] = mapped_column(String(300), default="")
    accepted_at: Mapped[datetime]
    accepted_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))


class AcceptanceLine(Identified, Model):
    """Packs of an order line that were accepted and that were short."""

    __tablename__ = "acceptance_line"
    __table_args__ = (CheckConstraint("accepted >= 0 AND short >= 0", name="positive"),)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    acceptance_id: Mapped[int] = mapped_column(ForeignKey("acceptance.id"), index=True)
    order_line_id: Mapped[int] = mapped_column(ForeignKey("order_line.id"), unique=True)
    accepted: Mapped[int]
    short: Mapped[int]
    reason: Mapped[str] = mapped_column(String(120), default="")


def submit(
    packs: Mapping[int, int],
    *,
    cooperative_id: int,
    destination: Destination,
    terms: str,
    actor: Actor,
    key: str,
    commitment_id: int | None = None,
    is_trade_union: bool = False,
    programme: str = "COUNTY",
    late_rate: int | None = None,
) -> int:
    """A unit's buyer orders packs (pack id → packs) of one cooperative; the directed order's id. The same ``key``, the same order.

    Each pack is priced by its quantity tier, frozen, and its stock set aside. ``late_rate`` (millionths a day) is late interest other
    than the market's: the unit's approver and the cooperative agree to it with the order. Raises InvalidInput for a bad field,
    StockShortage, Conflict ``pack.off_sale``, ``cooperative.suspended``, ``commitment.foreign``, ``scheme.missing``.
    """
    actor.must_have("UNIT", "buyer")
    request = {
        "packs": sorted(packs.items()), "cooperative": cooperative_id, "to": destination.as_request(), "terms": terms,
        "commitment": commitment_id, "union": is_trade_union, "programme": programme,
        **({} if late_rate is None else {"late_rate": late_rate}),
    }  # fmt: skip

    def work() -> dict[str, int]:
        _check(packs, terms, programme)
        _check_late_rate(late_rate)
        destination.check()
        wanted = [_wanted(pack_id, quantity, cooperative_id) for pack_id, quantity in sorted(packs.items())]
        if commitment_id is not None:
            _must_suit(commitment_id, cooperative_id, wanted, actor)
        purchase = checkout.write_purchase(destination, actor=actor, buyer_id=actor.organisation_id, expires_at=None)
        stock.reserve(packs, source_type="purchase", source_id=purchase.id)
        order = checkout.write_order(purchase, cooperative_id, wanted, kind="DIRECTED")
        row = DirectedOrder(
            organisation_id=actor.organisation_id,
            cooperative_id=cooperative_id,
            order_id=order.id,
            commitment_id=commitment_id,
            approval="SUBMITTED",
            terms=terms,
            programme="UNION" if is_trade_union else programme,
            is_trade_union=is_trade_union,
            late_rate=late_rate,
            reference="JA" + "".join(secrets.choice(_LETTERS) for _ in range(8)),
            submitted_at=clock.now(),
            approvals_needed=approval_rule.needed(actor.organisation_id, order.total_fen),
        )
        db.session.add(row)
        db.session.flush()
        audit.record("directed_order.submitted", row, person_id=actor.person_id, total_fen=order.total_fen)
        return {"directed_order_id": row.id}

    return int(once(f"directed_order:{actor.organisation_id}", key, request, work)["directed_order_id"])


def price_for(pack: Pack, quantity: int) -> int:
    """Fen a pack for a unit that buys so many: the best tier reached, and never above the public price of the day."""
    tiers = select(PriceTier.price_fen).where(PriceTier.pack_id == pack.id, PriceTier.min_quantity <= quantity)
    return int(min([pack.price_fen, *db.session.scalars(tiers)]))


def approve(directed_order_id: int, *, actor: Actor) -> DirectedOrder:
    """A second person of the unit agrees; where the unit's rule asked for two, the order waits for the other one.

    Raises OwnWork for whoever placed it, Conflict ``approval.again`` for whoever has agreed already.
    """
    row, order = of_unit(directed_order_id, actor, "approver")
    _must_stand(row, "SUBMITTED")
    agreed = {each.checker_id for each in approvals(row.id)}
    if actor.person_id in agreed:
        raise Conflict("approval.again", N_("您已经同意过了，这张单还要另一位审批人。"))
    _decide(row, order, actor, approved=True, reason="")
    if len(agreed) + 1 < needed(row, order):
        return row
    row.approval, row.approved_at, row.approved_by_id = "APPROVED", clock.now(), actor.person_id
    db.session.flush()
    return row


def needed(row: DirectedOrder, order: Order) -> int:
    """How many approvers it needs: frozen when it was submitted, or one of two could loosen the rule and then approve alone."""
    return row.approvals_needed or approval_rule.needed(row.organisation_id, order.total_fen)


def approvals(directed_order_id: int) -> list[Approval]:
    """Who of the unit has agreed to an order so far."""
    query = select(Approval).where(
        Approval.subject_type == DirectedOrder.__tablename__, Approval.subject_id == directed_order_id, Approval.decision == "APPROVED"
    )
    return list(db.session.scalars(query.order_by(Approval.id)))


def give_back(directed_order_id: int, reason: str, *, actor: Actor) -> DirectedOrder:
    """The approver returns it with a reason; the stock goes back, and the buyer orders anew. OwnWork, ``reason.missing``."""
    row, order = of_unit(directed_order_id, actor, "approver")
    _must_stand(row, "SUBMITTED")
    _decide(row, order, actor, approved=False, reason=reason)
    return end(row, order, "RETURNED", reason, actor)


def withdraw(directed_order_id: int, *, actor: Actor) -> DirectedOrder:
    """The buyer takes it back before the cooperative has confirmed."""
    row, order = of_unit(directed_order_id, actor, "buyer")
    _must_stand(row, "SUBMITTED", "APPROVED")
    return end(row, order, "CANCELLED", "", actor)


def confirm(directed_order_id: int, *, actor: Actor) -> DirectedOrder:
    """The cooperative takes the order on. POSTPAY: ship within 7 days. PREPAY: payment within 30 days, shipping after it."""
    row, order = of_cooperative(directed_order_id, actor)
    _must_stand(row, "APPROVED")
    today = clock.business_date()
    row.approval, row.confirmed_at, row.confirmed_by_id = "CONFIRMED", clock.now(), actor.person_id
    if row.terms == "POSTPAY":
        row.ship_by = today + timedelta(days=SHIP_DAYS)
        order.fulfilment = "READY"
    else:
        row.pay_by = today + timedelta(days=PAY_DAYS)
    order.version += 1
    db.session.flush()
    audit.record("directed_order.confirmed", row, person_id=actor.person_id)
    return row


def decline(directed_order_id: int, reason: str, *, actor: Actor) -> DirectedOrder:
    """The cooperative cannot deliver, and says why. InvalidInput ``reason.missing``."""
    row, order = of_cooperative(directed_order_id, actor)
    _must_stand(row, "APPROVED")
    if not reason.strip():
        raise InvalidInput("reason.missing", N_("请写明不能接单的理由。"), field="reason")
    return end(row, order, "DECLINED", reason, actor)


@cancellation.hears_of_called_off
def _called_off(order: Order, _person_id: int | None) -> None:
    """All that was paid went back before anything left: the unit's side ends with the order."""
    row = of_order(order.id) if order.kind == "DIRECTED" else None
    if row is not None and row.approval not in ENDED:
        row.approval = "CANCELLED"
        db.session.flush()


def of_order(order_id: int) -> DirectedOrder | None:
    """The unit's side of an order, or None for a public one."""
    return db.session.scalars(select(DirectedOrder).where(DirectedOrder.order_id == order_id)).one_or_none()


def of_unit(directed_order_id: int, actor: Actor, *roles: str) -> tuple[DirectedOrder, Order]:
    """The row and its order, locked, for people of the unit in these roles. NotAllowed, NotFound."""
    actor.must_have("UNIT", *roles)
    return _locked(directed_order_id, "organisation_id", actor)


def of_cooperative(directed_order_id: int, actor: Actor) -> tuple[DirectedOrder, Order]:
    """The row and its order, locked, for those who sell at the cooperative. NotAllowed, NotFound."""
    actor.must_have("COOPERATIVE", "director", "clerk")
    return _locked(directed_order_id, "cooperative_id", actor)


def _locked(directed_order_id: int, owner: str, actor: Actor) -> tuple[DirectedOrder, Order]:
    row = locked(DirectedOrder, directed_order_id)
    if getattr(row, owner) != actor.organisation_id:
        raise NotFound("directed_order.missing", N_("没有找到，或不归您的单位查看。"))
    return row, locked_order(row.order_id)


def _must_stand(row: DirectedOrder, *states: str) -> None:
    if row.approval not in states:
        raise Conflict("directed_order.state", N_("这张单现在的状态不能办这一步，请刷新页面看看。"), state=row.approval)


def _decide(row: DirectedOrder, order: Order, actor: Actor, *, approved: bool, reason: str) -> None:
    approval.decide(row, maker_id=order.placed_by_id, actor=actor, version=order.version, approved=approved, reason=reason)


def end(row: DirectedOrder, order: Order, to: str, reason: str, actor: Actor | None) -> DirectedOrder:
    """The order will not be, of which nothing was shipped: its stock goes back. Without an actor a deadline ended it, and ``reason`` is its code. Conflict ``order.paid``."""
    must_hold_no_money(order)
    row.approval, row.decided_reason = to, reason.strip()[:300] if actor else ""
    order.fulfilment, order.cancelled_at, order.cancel_reason = "CANCELLED", clock.now(), to if actor else reason
    order.version += 1
    stock.release(waiting_packs(lines_of(order.id)), source_type="order", source_id=order.id)
    person_id, organisation_id = (actor.person_id, actor.organisation_id) if actor else (None, None)
    cancellation.tell(order, person_id=person_id)
    audit.record(f"directed_order.{to.lower()}", row, person_id=person_id, organisation_id=organisation_id, reason=order.cancel_reason)
    return row


def must_hold_no_money(order: Order) -> None:
    """Raise Conflict ``order.paid`` while money of the order is there."""
    if order.paid_fen > order.refunded_fen:
        raise Conflict("order.paid", N_("这张单已经收到货款，不能直接取消。请合作社先撤销到账的认领，把钱退回付款人，再取消这张单。"))


def _check(packs: Mapping[int, int], terms: str, programme: str) -> None:
    if not packs:
        raise InvalidInput("packs.none", N_("请至少选一种商品。"), field="packs")
    if any(not 0 < quantity <= 100_000 for quantity in packs.values()):
        raise InvalidInput("quantity.bad", N_("数量不对，请填写件数。"), field="quantity")
    if terms not in ("PREPAY", "POSTPAY"):
        raise InvalidInput("terms.bad", N_("请选择先款后货或先货后款。"), field="terms")
    if programme not in PROGRAMMES:
        raise InvalidInput("programme.bad", N_("请选择采购项目。"), field="programme")


def _check_late_rate(rate: int | None) -> None:
    """Not below the one-year LPR (保障中小企业款项支付条例), and no more than 0.1 % a day."""
    least = settings().late_interest_least
    if rate is not None and not least <= rate <= MOST_LATE_RATE:
        raise InvalidInput(
            "late_rate.bad", N_("约定的逾期利率按每天万分之几填，不能低于 %(least)s，不能高于 %(most)s。"), field="late_rate",
            least=format_yuan(least), most=format_yuan(MOST_LATE_RATE),
        )  # fmt: skip


def _wanted(pack_id: int, quantity: int, cooperative_id: int) -> checkout.Wanted:
    pack = db.session.get(Pack, pack_id)
    if pack is None or pack.organisation_id != cooperative_id:
        raise InvalidInput("pack.foreign", N_("一张单只能买同一家合作社的商品。"), field="packs")
    product = db.session.get_one(Product, pack.product_id)
    cart.must_be_on_sale(product, pack)
    return checkout.Wanted(pack, product, quantity, price_for(pack, quantity))


def _must_suit(commitment_id: int, cooperative_id: int, wanted: list[checkout.Wanted], actor: Actor) -> None:
    pledge = db.session.get(Commitment, commitment_id)
    if pledge is None or pledge.organisation_id != actor.organisation_id:
        raise NotFound("commitment.missing", N_("没有找到，或不归您的单位查看。"))
    suits = (
        pledge.state == "OPEN"
        and pledge.year == clock.business_date().year
        and pledge.cooperative_id in (None, cooperative_id)
        and all(pledge.category in (None, each.product.category) for each in wanted)
    )
    if not suits:
        raise Conflict("commitment.foreign", N_("这份认购承诺不适用于这张单，请另选一份或不选。"))
