"""The small desks: a station serves villagers, a village sees its books, an officer visits. Each sees its own place only, and each look is logged."""

import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from marketplace.catalogue.product import Pack
from marketplace.foundation import clock
from marketplace.foundation.audit import AuditEvent
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import NotFound
from marketplace.households import visit
from marketplace.households.household import Household
from marketplace.ledger import event
from marketplace.ledger.posting import Source
from marketplace.orders import cancellation, shipment
from marketplace.orders.order import Order, Purchase, lines_of
from marketplace.orders.parcel import Parcel
from marketplace.organisations import assisted_buyer, sign_in_proposal
from marketplace.organisations import person as person_module
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import Person, Role, grant
from marketplace.organisations.region import Region
from marketplace.payments import payment as payments
from marketplace.settlement import settlement
from tests import builders, builders_people
from tests.orders import trade
from tests.settlement.builders import order as settled_order
from tests.web.test_own_page import HOME
from tests.web.work_desk import browser, rows_of

VILLAGER = {"name": "李大娘", "phone": "13807950002", "street": "二组 5 号", "note": ""}


def station() -> Actor:
    return builders.person(builders.station(), "station_clerk")


def village(place_id: int | None = None) -> Actor:
    own = builders_people.organisation("VILLAGE", "三坪村村民委员会")
    with transaction():
        db.session.get_one(Organisation, own).region_id = place_id or builders.county()
    return builders.person(own, "village_accountant")


def elsewhere() -> int:
    """Another village of the township; its id."""
    home = db.session.get_one(Region, builders.county())
    with transaction():
        row = Region(code="360925201002", kind="VILLAGE", parent_id=home.parent_id, name_zh="别村")
        db.session.add(row)
        db.session.flush()
        return row.id


def officer(*village_ids: int) -> Actor:
    own = builders.person(builders.operator(), "village_officer")
    first, second = (builders.person(builders.operator(), "administrator") for _ in range(2))
    asked = transaction(lambda: visit.assign(own.person_id, list(village_ids), actor=first))
    if asked is not None:
        number = asked.id
        transaction(lambda: sign_in_proposal.decide(number, version=1, approved=True, actor=second))
    return own


def ordered_at(client: FlaskClient, market: builders.Market) -> Purchase:
    """What a station's clerk ordered for a villager."""
    client.post("/cart/add", data={"pack": db.session.get_one(Pack, market.pack).public_id, "quantity": "2"})
    page = client.get("/station/order").text
    key = re.search(r'name="idempotency_key" value="([\w-]+)"', page)
    assert key
    form = {**VILLAGER, "idempotency_key": key[1], "shown_fen": re.search(r'name="shown_fen" value="(\d+)"', page)[1]}  # type: ignore[index]
    assert client.post("/station/order", data={**form, "phone": "12"}).status_code == 422
    for _ in range(2):  # the same click twice is one order
        assert client.post("/station/order", data=form).status_code == 303
    return db.session.query(Purchase).one()


def test_what_a_clerk_buys_for_themself_and_what_another_station_placed_is_not_the_stations(app: Flask) -> None:
    market, clerk = builders.market(), station()
    client = browser(app, clerk)
    placed = ordered_at(client, market).public_id
    with transaction():  # the clerk moves to another station, and also buys at home
        elsewhere = builders.station("别的站")
        db.session.query(Role).filter_by(person_id=clerk.person_id).update({"organisation_id": elsewhere})
        home = Organisation(kind="PERSON", name_zh="店员自己", created_at=clock.now(), version=1)
        db.session.add(home)
        db.session.flush()
        grant(clerk.person_id, home.id, "customer")
    moved = Actor(clerk.person_id, elsewhere, frozenset({"station_clerk"}), "STATION")
    private = Actor(clerk.person_id, home.id, frozenset({"customer"}), "PERSON")
    own_client = browser(app, private)
    own_client.post("/cart/add", data={"pack": db.session.get_one(Pack, market.pack).public_id, "quantity": "1"})
    assert own_client.post("/checkout", data={**HOME, "idempotency_key": "k", "shown_fen": ""}).status_code == 303
    db.session.rollback()
    bought = db.session.query(Purchase).filter_by(organisation_id=home.id).one().public_id
    old, new = browser(app, builders.person(clerk.organisation_id, "station_clerk")), browser(app, moved)
    assert [who.get(f"/orders/{each}").status_code for who in (old, new) for each in (placed, bought)] == [200, 404, 404, 404]
    order = db.session.query(Order).filter_by(purchase_id=db.session.query(Purchase).filter_by(public_id=placed).one().id).one()
    with pytest.raises(NotFound), transaction():
        cancellation.cancel(order.id, actor=moved, reason="x")
    assert new.get("/station/orders").text.count("/orders/") < old.get("/station/orders").text.count("/orders/")


def test_whoever_registers_anothers_number_gets_nothing_of_what_they_order_at_a_counter(app: Flask) -> None:
    with transaction():
        stranger = person_module.register(phone=VILLAGER["phone"], name="李大娘", password="not-her-number")
    market, client = builders.market(), browser(app, station())
    bought = ordered_at(client, market)
    theirs = {row.organisation_id for row in db.session.query(Role).filter_by(person_id=stranger.id)}
    assert bought.organisation_id not in theirs
    with transaction():
        again = assisted_buyer.found_or_made(phone=VILLAGER["phone"], name="李大娘", actor=station())
    assert again == bought.organisation_id, "the same villager at any counter is one buyer"


def test_who_placed_and_who_bought_are_two_people(app: Flask) -> None:
    market = builders.market()
    clerk = station()
    client = browser(app, clerk)
    assert client.get("/checkout").location == "/station/order"
    bought = ordered_at(client, market)
    villager = db.session.query(Person).filter_by(login="p13807950002").one()
    assert bought.placed_by_id == clerk.person_id != villager.id
    assert bought.organisation_id != clerk.organisation_id
    assert "李**" in client.get("/station/orders").text
    assert "李大娘" not in client.get("/station/orders").text
    assert client.get(f"/orders/{bought.public_id}").status_code == 200
    other = browser(app, builders.person(builders.station("别的站"), "station_clerk"))
    assert other.get(f"/orders/{bought.public_id}").status_code == 404
    assert other.post(f"/orders/{bought.public_id}/pay", data={"idempotency_key": "x"}).status_code == 404
    assert browser(app, builders.customer()).get("/station").status_code == 403
    # A villager without a password cannot sign in until they have one.
    assert app.test_client().post("/sign-in", data={"login": "13807950002", "password": "!"}).status_code == 422


def test_a_served_buyer_gets_a_link_from_whoever_served_them_and_only_once_without_a_password(app: Flask) -> None:
    market = builders.market()
    client = browser(app, station())
    bought = ordered_at(client, market)
    path = f"/station/orders/{bought.public_id}/link"
    assert browser(app, builders.person(builders.station("别的站"), "station_clerk")).post(path).status_code == 404
    link = re.search(r"/invitation/[\w-]+", client.post(path).text)
    assert link
    theirs = app.test_client()
    assert theirs.post(link[0], data={"password": "tea-and-rice", "again": "tea-and-rice"}).status_code == 302
    assert theirs.get(f"/orders/{bought.public_id}").status_code == 200
    assert client.post(path).status_code == 409  # they have a password now


def test_a_parcel_comes_in_and_goes_out_once(app: Flask) -> None:
    market = builders.market()
    client = browser(app, station())
    bought = ordered_at(client, market)
    order = db.session.query(Order).filter_by(purchase_id=bought.id).one()
    payment_id = trade.opened([order.id])[0]
    with transaction():
        payments.apply(trade.succeeded(payment_id))
    with transaction():
        sent = shipment.ship(order.id, [(lines_of(order.id)[0].id, market.batch, 2)], "邮政", "EMS1", actor=market.clerk).public_id
    page = client.get("/station").text
    assert ("李**" in page, "EMS1" in page, "13807950002" in page) == (True, True, False)
    path = f"/station/parcels/{sent}"
    assert browser(app, builders.person(builders.station("别的站"), "station_clerk")).post(path, data={"step": "out"}).status_code == 404
    assert client.post(path, data={"step": "out"}).status_code == 404  # it has not come in
    assert client.post(path, data={"step": "in"}).status_code == 302
    assert client.post(path, data={"step": "in"}).status_code == 409
    assert "在站" in client.get("/station").text
    assert client.post(path, data={"step": "out"}).status_code == 302
    assert client.post(path, data={"step": "out"}).status_code == 409
    assert "EMS1" in client.get("/station?view=handed").text
    row = db.session.query(Parcel).one()
    assert row.handed_by_id is not None


def test_a_slip_is_of_the_own_village_and_logged(app: Flask) -> None:
    here, there = builders.household(), builders.household(village_id=elsewhere())
    codes = [db.session.get_one(Household, each).code for each in (here, there)]
    client = browser(app, village())
    page = client.get(f"/village/slips/{codes[0]}")
    assert page.status_code == 200
    assert "data:image/svg" in page.text
    assert page.headers["Cache-Control"] == "private, no-store"
    assert client.get(f"/village/slips/{codes[1]}").status_code == 404
    assert db.session.query(AuditEvent).filter_by(action="household.slip_printed").count() == 1
    assert browser(app, station()).get(f"/village/slips/{codes[0]}").status_code == 403


def test_a_village_sees_what_its_collective_was_given_and_masked_households(app: Flask) -> None:
    market = builders.market()
    order_id = settled_order(market, 100_000)
    transaction(lambda: settlement.settle(order_id))
    client = browser(app, village())
    page = client.get("/village").text
    assert page.count("¥60.00") >= 3  # the sum, what is owed, and its row: 6 % of ¥1,000
    assert [row[-1] for row in rows_of(client.get("/village?export=1").data)[1:]] == [60.0]
    assert "以后扣回" not in page
    with transaction():  # a refund took ¥4.00 that the village was paid already
        event.refund_after_settlement(
            book=market.cooperative, source=Source("refund", 9), revenue_fen=0, freight_fen=0, collectives={}, fund_fen=0, pools={},
            villages_beyond={market.village: 400},
        )  # fmt: skip
    page = client.get("/village").text
    assert ("以后扣回" in page, "¥4.00" in page, "每次最多扣 20%" in page) == (True, True, True)
    listed = client.get("/village/households").text
    row = db.session.get_one(Household, market.households[0])
    assert (row.code in listed, row.name in listed, row.bank_account in listed) == (True, False, False)
    assert db.session.query(AuditEvent).filter_by(action="households.listed").count() == 1
    away = browser(app, village(elsewhere()))
    assert row.code not in away.get("/village/households").text
    assert "今年还没有归村集体的钱" in away.get("/village").text
    assert browser(app, market.clerk).get("/village/households").status_code == 403


@pytest.mark.both
def test_an_officer_writes_down_a_visit_to_an_assigned_household_once(app: Flask) -> None:
    home, other = builders.household(unable_to_work=1), builders.household(village_id=elsewhere())
    own = officer(builders.county())
    client = browser(app, own)
    row = db.session.get_one(Household, home)
    name, public_id, path = row.name, row.public_id, f"/officer/households/{row.public_id}"
    assert public_id in client.get("/officer").text
    page = client.get(path).text
    assert (name in page, "测**" in page) == (False, True)
    assert db.session.query(AuditEvent).filter_by(action="household.read", person_id=own.person_id).count() == 1
    stranger = f"/officer/households/{db.session.get_one(Household, other).public_id}"
    today = clock.business_date()
    key = re.search(r'name="idempotency_key" value="(\w+)"', page)
    assert key
    form = {"visited_on": today.isoformat(), "finding": "ILLNESS", "note": "老伴住院", "idempotency_key": key[1]}
    assert client.get(stranger).status_code == 404
    assert client.post(stranger, data=form).status_code == 404
    assert client.post(path, data={**form, "note": ""}).status_code == 422
    assert client.post(path, data={**form, "finding": "FINE"}).status_code == 422
    assert client.post(path, data={**form, "visited_on": (today + timedelta(days=1)).isoformat()}).status_code == 422
    assert client.post(path, data={**form, "visited_on": "yesterday"}).status_code == 422
    for _ in range(2):
        assert client.post(path, data=form).status_code == 302
    assert client.post(path, data={**form, "idempotency_key": "again"}).status_code == 409
    kept = db.session.query(visit.Visit).one()
    assert "老伴住院" not in kept.note_sealed
    assert "老伴住院" in client.get(path).text
    assert public_id not in client.get("/officer").text
    assert public_id in client.get("/officer/households").text
    assert browser(app, builders.person(builders.operator(), "treasurer")).get("/officer").status_code == 403


def test_an_assignment_that_ended_closes_the_door(app: Flask) -> None:
    home = builders.household()
    own = officer(builders.county())
    path = f"/officer/households/{db.session.get_one(Household, home).public_id}"
    assert browser(app, own).get(path).status_code == 200
    admin = browser(app, builders.person(builders.operator(), "administrator"))
    at = f"/operator/people/{db.session.get_one(Person, own.person_id).public_id}/{db.session.get_one(Organisation, own.organisation_id).public_id}"
    assert "三坪村" in admin.get(at).text
    assert admin.post(f"{at}/villages", data={}).status_code == 302
    assert browser(app, own).get(path).status_code == 404
    assert "还没有给您分配村" in browser(app, own).get("/officer").text


def test_whoever_signs_in_finds_their_desk(app: Flask) -> None:
    from marketplace.web.workplace import workplace

    for own, path, name in ((station(), "/station", "中源服务站"), (village(), "/village", "三坪村村民委员会")):
        page = browser(app, own).get(path)
        assert (workplace(own), page.status_code, name in page.text) == (path, 200, True)
    nowhere = builders.person(builders_people.organisation("VILLAGE", "某处"), "village_accountant")
    assert browser(app, nowhere).get(workplace(nowhere)).status_code == 404, "a village without a place on the map"
