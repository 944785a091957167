"""A cart: what somebody means to buy. It reserves nothing and promises no price."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, delete, func, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.catalogue.product import Pack, Product
from marketplace.foundation import clock
from marketplace.foundation.database import Identified, Model, db, get, locked
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.organisations.organisation import Organisation
from marketplace.supply.stock import Stock

LARGEST = 9999  # packs of one kind
MOST_KINDS = 100  # in one cart: more than anybody chooses among, and what a stranger may have us keep
ONCE_DAYS = 2  # if it was touched just once: most of those are no shopper's
KEPT_DAYS = 30  # longer than a session lasts: nobody comes back to the cart of one that is over


class Cart(Identified, Model):
    """Found by a random token in the session; belongs to an organisation once its buyer has signed in."""

    __tablename__ = "cart"

    token: Mapped[str] = mapped_column(String(32), unique=True)
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"), index=True)
    touched_at: Mapped[datetime] = mapped_column(index=True)


class CartLine(Identified, Model):
    """Packs of one kind in a cart."""

    __tablename__ = "cart_line"
    __table_args__ = (UniqueConstraint("cart_id", "pack_id"), CheckConstraint("quantity BETWEEN 1 AND 9999", name="quantity"))

    cart_id: Mapped[int] = mapped_column(ForeignKey("cart.id", ondelete="CASCADE"), index=True)
    pack_id: Mapped[int] = mapped_column(ForeignKey("pack.id"))
    quantity: Mapped[int]
    added_at: Mapped[datetime]


@dataclass(frozen=True)
class CartItem:
    """A line as a page shows it, at the price and stock of this moment."""

    pack: Pack
    product: Product
    cooperative: Organisation
    quantity: int
    free: int  # packs that could be had now

    @property
    def sum_fen(self) -> int:
        return self.pack.price_fen * self.quantity

    @property
    def on_sale(self) -> bool:
        return self.product.state == "ON_SALE" and self.pack.withdrawn_at is None and self.cooperative.suspended_at is None

    @property
    def short(self) -> bool:
        """Whether it cannot be bought in this quantity now."""
        return not self.on_sale or self.free < self.quantity


def found(token: str | None, organisation_id: int | None = None) -> Cart | None:
    """The cart of an organisation, or the anonymous one with this token. None if there is none; writes nothing."""
    if organisation_id is not None:
        query = select(Cart).where(Cart.organisation_id == organisation_id).order_by(Cart.id).limit(1)
        return db.session.scalars(query).one_or_none()
    if not token:
        return None
    return db.session.scalars(select(Cart).where(Cart.token == token, Cart.organisation_id.is_(None))).one_or_none()


def opened(token: str | None, organisation_id: int | None = None) -> Cart:
    """The same, made if there is none yet."""
    cart = found(token, organisation_id)
    if cart is None:
        cart = Cart(token=secrets.token_urlsafe(24), organisation_id=organisation_id, touched_at=clock.now())
        db.session.add(cart)
        db.session.flush()
    return cart


def add(cart_id: int, pack_id: int, quantity: int = 1) -> int:
    """Put packs in, on top of what is there; how many of it are in now. Raises as ``change`` does."""
    _touched(cart_id)
    line = _line(cart_id, pack_id)
    return change(cart_id, pack_id, _counted(quantity) + (line.quantity if line else 0))


def change(cart_id: int, pack_id: int, quantity: int) -> int:
    """Set how many packs are in; 0 takes them out. InvalidInput ``cart.quantity`` outside 0–9999, Conflict ``cart.full`` beyond MOST_KINDS,
    else as ``must_be_on_sale``."""
    _touched(cart_id)
    if quantity == 0:
        remove(cart_id, pack_id)
        return 0
    _counted(quantity)
    pack = get(Pack, pack_id)
    must_be_on_sale(get(Product, pack.product_id), pack)
    line = _line(cart_id, pack_id)
    if line is None:
        if (db.session.scalar(select(func.count()).where(CartLine.cart_id == cart_id)) or 0) >= MOST_KINDS:
            raise Conflict("cart.full", N_("购物车里已有 %(most)s 种商品。请先结算，或者拿掉一些再放。"), most=MOST_KINDS)
        db.session.add(CartLine(cart_id=cart_id, pack_id=pack_id, quantity=quantity, added_at=clock.now()))
    else:
        line.quantity = quantity
    db.session.flush()
    return quantity


def remove(cart_id: int, pack_id: int) -> None:
    """Take packs of one kind out; not an error if there are none."""
    db.session.execute(delete(CartLine).where(CartLine.cart_id == cart_id, CartLine.pack_id == pack_id))


def empty(cart_id: int, pack_ids: Sequence[int]) -> None:
    """Take these packs out: they were bought."""
    db.session.execute(delete(CartLine).where(CartLine.cart_id == cart_id, CartLine.pack_id.in_(pack_ids)))


def claim(token: str | None, organisation_id: int) -> Cart:
    """The buyer signed in: their own cart takes over what the anonymous one with this token holds, quantities added."""
    own = opened(None, organisation_id)
    anonymous = found(token)
    if anonymous is None:
        return own
    _touched(own.id)
    for line in db.session.scalars(select(CartLine).where(CartLine.cart_id == anonymous.id).order_by(CartLine.id)):
        kept = _line(own.id, line.pack_id)
        if kept is None:
            db.session.add(CartLine(cart_id=own.id, pack_id=line.pack_id, quantity=line.quantity, added_at=line.added_at))
        else:
            kept.quantity = min(LARGEST, kept.quantity + line.quantity)
    db.session.execute(delete(CartLine).where(CartLine.cart_id == anonymous.id))
    db.session.delete(anonymous)
    db.session.flush()
    return own


def forget(limit: int = 1000) -> int:
    """Delete carts of visitors who never signed in and have not touched them for KEPT_DAYS, or ONCE_DAYS; at most ``limit``; how many."""
    now = clock.now()
    again = select(CartLine.id).where(CartLine.cart_id == Cart.id, CartLine.added_at < Cart.touched_at).exists()
    old = select(Cart.id).where(
        Cart.organisation_id.is_(None),
        (Cart.touched_at < now - timedelta(days=KEPT_DAYS)) | ((Cart.touched_at < now - timedelta(days=ONCE_DAYS)) & ~again),
    )
    ids = list(db.session.scalars(old.order_by(Cart.touched_at).limit(limit)))
    db.session.execute(delete(CartLine).where(CartLine.cart_id.in_(ids)))
    db.session.execute(delete(Cart).where(Cart.id.in_(ids)))
    return len(ids)


def lines(cart_id: int) -> list[CartItem]:
    """What is in the cart, by cooperative and then in the order in which it was put in."""
    query = (
        select(CartLine.quantity, Pack, Product, Organisation, Stock.on_hand - Stock.reserved)
        .join(Pack, Pack.id == CartLine.pack_id)
        .join(Product, Product.id == Pack.product_id)
        .join(Organisation, Organisation.id == Pack.organisation_id)
        .outerjoin(Stock, Stock.pack_id == Pack.id)
        .where(CartLine.cart_id == cart_id)
        .order_by(Organisation.id, CartLine.id)
    )
    return [
        CartItem(pack=pack, product=product, cooperative=cooperative, quantity=quantity, free=free or 0)
        for quantity, pack, product, cooperative, free in db.session.execute(query)
    ]


def count(cart_id: int) -> int:
    """How many packs are in, for the mark beside the basket."""
    return int(db.session.scalar(select(func.coalesce(func.sum(CartLine.quantity), 0)).where(CartLine.cart_id == cart_id)) or 0)


def must_be_on_sale(product: Product, pack: Pack) -> None:
    """Raise Conflict ``cooperative.suspended``, ``pack.off_sale`` unless buyers may have it now."""
    must_sell(get(Organisation, pack.organisation_id))
    if product.state != "ON_SALE" or pack.withdrawn_at is not None:
        raise Conflict("pack.off_sale", N_("“%(name)s”已经下架，暂时买不到。"), name=product.name_zh, pack_id=pack.id)


def must_sell(cooperative: Organisation) -> None:
    """Raise Conflict ``cooperative.suspended`` while nobody may buy from it."""
    if cooperative.suspended_at is not None:
        raise Conflict("cooperative.suspended", N_("“%(name)s”现在停用了，它的商品暂时买不到。"), name=cooperative.name_zh)


def _touched(cart_id: int) -> None:
    # Whoever changes a cart holds its row: two clicks at once add up.
    locked(Cart, cart_id).touched_at = clock.now()


def _line(cart_id: int, pack_id: int) -> CartLine | None:
    return db.session.scalars(select(CartLine).where(CartLine.cart_id == cart_id, CartLine.pack_id == pack_id)).one_or_none()


def _counted(quantity: int) -> int:
    if not 1 <= quantity <= LARGEST:
        raise InvalidInput("cart.quantity", N_("数量请填 1 到 %(most)s 之间的整数。"), field="quantity", most=LARGEST)
    return quantity
