"""Statements on paper: each household its own, with a code that opens its page; printed by who may, written down, and never guessed."""

import re

from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.audit import AuditEvent
from marketplace.foundation.database import db, transaction
from marketplace.households import linkage_share
from marketplace.households.household import Household
from marketplace.households.linkage_share import NewShare
from marketplace.settlement.distribution import Distribution
from marketplace.web.slip import address_of
from tests import builders
from tests.settlement.test_distribution import drafted, sold
from tests.settlement.test_payout_batch import posted
from tests.web.work_desk import browser


def printed() -> int:
    db.session.rollback()
    return db.session.query(AuditEvent).filter_by(action="household.slip_printed").count()


def test_a_distributions_slips_with_reasons_and_codes(app: Flask) -> None:
    market, distribution_id = posted()
    row = db.session.get_one(Distribution, distribution_id)
    answer = browser(app, market.accountant).get(f"/distributions/{row.public_id}/slips")
    page = answer.text
    assert (answer.headers["Cache-Control"], page.count('class="slip ') + page.count('class="slip"')) == ("private, no-store", 3)
    assert page.count('src="data:image/svg+xml') == 3
    for words in ("¥30.00", "您家 3 kg，全组 6 kg", "□ 收到了", "□ 有异议"):
        assert words in page, words
    assert printed() == 3
    assert "slips-a5" in browser(app, market.director).get(f"/distributions/{row.public_id}/slips?size=a5").text
    house = db.session.get_one(Household, market.households[0])
    page = browser(app, market.accountant).get(f"/households/{house.public_id}/slip").text
    assert (house.code in page, house.bank_account in page, house.id_number in page) == (True, False, False)


def test_the_code_opens_the_households_own_page(app: Flask) -> None:
    market, _row = posted()
    house = db.session.get_one(Household, market.households[1])
    with app.test_request_context():
        address = address_of(house.statement_token)
    assert address == f"http://127.0.0.1:8000/h/{house.statement_token}"
    assert "¥20.00" in app.test_client().get(address.removeprefix("http://127.0.0.1:8000")).text


def test_twenty_at_a_time(app: Flask) -> None:
    market = builders.market()
    builders.members(market.group, tuple([1] * 22))
    sold(market, 300_000)
    row = drafted(market)
    assert browser(app, market.accountant).get(f"/distributions/{row.public_id}/slips").status_code == 409
    with transaction():
        db.session.get_one(Distribution, row.id).state = "POSTED"
    client, address, seen = browser(app, market.accountant), f"/distributions/{row.public_id}/slips", set()
    while address:
        page = client.get(address).text
        seen |= set(re.findall(r"<small>(JA-TEST-\d+)</small>", page))
        following = re.search(r'href="([^"]+after=[^"]+)"', page)
        address = following[1] if following else ""
    assert len(seen) == printed() == 25


def test_only_those_who_work_with_a_household_print_it(app: Flask) -> None:
    market, other = builders.market(), builders.market(name="宝峰油茶合作社")
    house = db.session.get_one(Household, market.households[0]).public_id
    for actor, expected in (
        (market.clerk, 403), (other.accountant, 404), (builders.customer(), 403), (builders.person(builders.operator(), "auditor"), 403),
        (market.director, 200),
    ):  # fmt: skip
        assert browser(app, actor).get(f"/households/{house}/slip").status_code == expected
    assert printed() == 1
    # A share of one's own making opens no slip.
    code = db.session.get_one(Household, market.households[0]).code
    for new in (
        NewShare(code, "WAGE", 0, clock.business_date(), "务工"), NewShare(code, "EQUITY", 1, clock.business_date(), "茶园", None, "LAND", 100_000),
    ):  # fmt: skip
        transaction(lambda new=new: linkage_share.add(other.group, new, actor=other.accountant, key=new.kind))  # type: ignore[misc]
        assert browser(app, other.accountant).get(f"/households/{house}/slip").status_code == 404
    assert printed() == 1


def test_a_station_prints_for_whoever_stands_there(app: Flask) -> None:
    market, _row = posted()
    house = db.session.get_one(Household, market.households[2])
    clerk = browser(app, builders.person(builders.station(), "station_clerk"))
    assert "户编号" in clerk.get("/station/statements").text
    wrong = [{"code": house.code, "last": "0000"}, {"code": house.code, "last": ""}, {"code": "JA-NOBODY", "last": house.id_number[-4:]}, {}]
    for form in wrong:
        answer = clerk.post("/station/statements", data=form)
        assert (answer.status_code, "对不上" in answer.text) == (422, True), form
    assert printed() == 0
    page = clerk.post("/station/statements", data={"code": f" {house.code.lower()} ", "last": house.id_number[-4:]})
    assert (page.status_code, "¥30.00" in page.text, printed()) == (200, True, 1)
    assert browser(app, market.accountant).post("/station/statements", data={"code": house.code, "last": house.id_number[-4:]}).status_code == 403


def test_a_station_that_tries_codes_through_is_stopped(app: Flask) -> None:
    clerks = [browser(app, builders.person(builders.station(name), "station_clerk")) for name in ("中源服务站", "宝峰服务站")]
    said = [clerks[n % 2].post("/station/statements", data={"code": f"JA-TEST-{n}", "last": "0000"}).status_code for n in range(9_000, 9_031)]
    assert (said[:30], said[30]) == ([422] * 30, 429)


def test_a_person_who_tries_codes_through_from_everywhere_is_stopped(app: Flask) -> None:
    clerk = browser(app, builders.person(builders.station(), "station_clerk"))
    said = [
        clerk.post("/station/statements", data={"code": f"JA-TEST-{n}", "last": "0000"}, environ_overrides={"REMOTE_ADDR": f"10.0.0.{n}"}).status_code
        for n in range(31)
    ]
    assert (said[:30], said[30]) == ([422] * 30, 429)


def test_one_households_digits_are_tried_five_times_a_day_by_all_together(app: Flask) -> None:
    first, second = (db.session.get_one(Household, each) for each in builders.market().households[:2])
    right = {"code": first.code, "last": first.id_number[-4:]}
    clerks = [browser(app, builders.person(builders.station(name), "station_clerk")) for name in ("中源服务站", "宝峰服务站")]

    def tried(n: int, form: dict[str, str]) -> int:
        code: int = clerks[n % 2].post("/station/statements", data=form, environ_overrides={"REMOTE_ADDR": f"10.0.0.{n}"}).status_code
        return code

    assert tried(0, right) == 200  # what is right is not counted
    assert [tried(n, {"code": f" {first.code.lower()}", "last": f"9{n:03d}"}) for n in range(6)] == [422] * 5 + [429]
    assert tried(7, right) == 429
    assert tried(8, {"code": second.code, "last": second.id_number[-4:]}) == 200
    db.session.rollback()
    written = db.session.query(AuditEvent).filter_by(action="household.slip_refused", subject_id=first.id, subject_type="household").all()
    assert [each.data for each in written] == [{"code": first.code}] * 5
