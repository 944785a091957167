"""A cart adds up, takes over what was put in before signing in, and sells nothing that is not on sale."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.catalogue.product import Pack, Product
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.jobs import trade as jobs
from marketplace.orders import cart
from marketplace.organisations.organisation import Organisation
from tests import builders


def test_adding_adds_up_and_changing_sets(app: Flask) -> None:
    market = builders.market()
    with transaction():
        own = cart.opened(None).id
        cart.add(own, market.pack, 2)
        assert cart.add(own, market.pack, 3) == 5
        assert [(item.quantity, item.sum_fen, item.free) for item in cart.lines(own)] == [(5, 44000, 10)]
        assert cart.change(own, market.pack, 4) == 4
        assert cart.count(own) == 4
        cart.change(own, market.pack, 0)
        assert cart.lines(own) == []


@pytest.mark.parametrize("quantity", [0, -1, 10_000])
def test_odd_quantities_are_refused(app: Flask, quantity: int) -> None:
    market = builders.market()
    with transaction():
        own = cart.opened(None).id
        with pytest.raises(InvalidInput):
            cart.add(own, market.pack, quantity)


def test_signing_in_keeps_what_was_chosen(app: Flask) -> None:
    market = builders.market()
    other = builders.pack(market.product, price_fen=19900)
    buyer = builders.customer()
    with transaction():
        own = cart.opened(None, buyer.organisation_id)
        cart.add(own.id, market.pack, 1)
        anonymous = cart.opened(None)
        token = anonymous.token
        cart.add(anonymous.id, market.pack, 2)
        cart.add(anonymous.id, other, 1)
    with transaction():
        kept = cart.claim(token, buyer.organisation_id)
        assert [(item.pack.id, item.quantity) for item in cart.lines(kept.id)] == [
            (market.pack, 3),
            (other, 1),
        ]
    assert cart.found(token) is None


def test_a_full_cart_takes_no_other_kind_but_more_of_what_is_in(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cart, "MOST_KINDS", 2)
    market = builders.market()
    second, third = (builders.pack(market.product, price_fen=19900) for _ in range(2))
    with transaction():
        own = cart.opened(None).id
        cart.add(own, market.pack)
        cart.add(own, second)
        assert cart.add(own, second, 3) == 4
        with pytest.raises(Conflict) as full:
            cart.add(own, third)
        assert full.value.code == "cart.full"
        cart.change(own, second, 0)
        assert cart.add(own, third) == 1


def test_an_address_opens_so_many_carts_and_whoever_has_one_goes_on(app: Flask) -> None:
    form = {"pack": db.session.get_one(Pack, builders.market(on_hand=500).pack).public_id, "quantity": "1"}
    own = app.test_client()
    said = [app.test_client().post("/cart/add", data=form).status_code for _ in range(119)] + [own.post("/cart/add", data=form).status_code]
    assert set(said) == {303}
    assert app.test_client().post("/cart/add", data=form).status_code == 429
    assert own.post("/cart/add", data=form).status_code == 303


def test_what_is_off_sale_cannot_be_put_in(app: Flask) -> None:
    market = builders.market()
    with transaction():
        db.session.get_one(Product, market.product).state = "SUSPENDED"
    with pytest.raises(Conflict) as off, transaction():
        cart.add(cart.opened(None).id, market.pack)
    assert off.value.code == "pack.off_sale"


def test_nothing_of_a_suspended_cooperative_can_be_put_in_and_its_page_says_so(app: Flask) -> None:
    market = builders.market()
    slug = db.session.get_one(Product, market.product).slug
    pack = db.session.get_one(Pack, market.pack).public_id
    assert "加入购物车" in app.test_client().get(f"/goods/{slug}").text
    with transaction():
        db.session.get_one(Organisation, market.cooperative).suspended_at = clock.now()
    page = app.test_client().get(f"/goods/{slug}").text
    assert ("加入购物车" in page, "这家合作社现在停用了" in page, 'href="/cooperatives/' in page) == (False, True, False)
    assert app.test_client().post("/cart/add", data={"pack": pack, "quantity": "1"}, headers={"Origin": "http://localhost"}).status_code == 409
    with pytest.raises(Conflict) as off, transaction():
        cart.add(cart.opened(None).id, market.pack)
    assert off.value.code == "cooperative.suspended"


def test_a_cart_that_was_touched_once_is_forgotten_sooner(app: Flask) -> None:
    market = builders.market()
    with transaction():
        once, twice = cart.opened(None).id, cart.opened(None).id
        for each in (once, twice, twice):
            cart.add(each, market.pack, 1)
    for days, left in ((1, {once, twice}), (3, {twice}), (31, set())):
        with clock.travel(clock.now() + timedelta(days=days)):
            jobs.forget_carts()
        db.session.rollback()
        assert set(db.session.scalars(select(cart.Cart.id))) == left


@pytest.mark.both
def test_carts_that_visitors_left_are_forgotten_and_nobody_elses(app: Flask) -> None:
    market = builders.market()
    with transaction():
        left, own = cart.opened(None), cart.opened(None, builders.customer().organisation_id)
        for each in (left, own):
            cart.add(each.id, market.pack, 1)
        ids = left.id, own.id
    assert jobs.forget_carts() == ""
    with clock.travel(clock.now() + timedelta(days=31)):
        with transaction():
            fresh = cart.opened(None).id
        assert jobs.forget_carts() == "1 carts forgotten"
    db.session.rollback()
    assert {row.id for row in db.session.query(cart.Cart)} == {ids[1], fresh}
    assert {line.cart_id for line in db.session.query(cart.CartLine)} == {ids[1]}


def test_a_cookie_of_a_cart_that_is_gone_opens_no_more_than_others_do(app: Flask) -> None:
    """The attack: send the cookie of a cart that one has signed in with since, again and again; each time another one is made."""
    market = builders.market(on_hand=500)
    form = {"pack": db.session.get_one(Pack, market.pack).public_id, "quantity": "1"}
    stale = app.test_client()
    stale.post("/cart/add", data=form)
    with stale.session_transaction() as session:
        token = session["cart"]
    with transaction():
        cart.claim(token, builders.customer().organisation_id)

    def tried(clerk: bool) -> int:
        client = app.test_client()
        with client.session_transaction() as session:
            session["cart"] = token
            if clerk:  # signed in, and no buyer
                session["person_id"], session["organisation_id"] = market.clerk.person_id, market.clerk.organisation_id
        return client.post("/cart/add", data=form).status_code

    said = [tried(clerk=number % 2 == 1) for number in range(120)]
    assert (said[:119], said[119]) == ([303] * 119, 429)
