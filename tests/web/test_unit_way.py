"""What a unit's people see and do beside ordering: figures that open, two approvers, pledges, reports, and a price cut by two organisations."""

import re
from datetime import datetime

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.ledger import balance
from marketplace.organisations.actor import Actor
from marketplace.organisations.approval import OwnWork
from marketplace.procurement import (
    approval_rule,
    approval_rule_change,
    commitment,
    directed_order,
    price_cut,
    scorecard,
    target,
)
from marketplace.procurement.approval_rule_change import ApprovalRuleChange
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.procurement.price_cut import PriceCut
from marketplace.procurement.target import Commitment
from marketplace.reporting import books
from tests import builders
from tests.procurement.unit_market import (
    UnitMarket,
    accept,
    confirmed,
    match,
    order_of,
    receipt,
    ship,
    submit,
    unit_market,
)
from tests.web.work_desk import browser, rows_of

YEAR = clock.business_date().year


def today() -> str:
    return f"{clock.business_date():%Y-%m-%d}"


def accepted(at: UnitMarket, accepted_packs: int = 10) -> int:
    made = confirmed(at, 10)
    ship(at, made, 10)
    accept(at, made, accepted_packs, 10 - accepted_packs)
    return made


@pytest.mark.parametrize(
    ("day", "left", "due"), [((2026, 4, 13), 262, "846.57"), ((2026, 12, 31), 0, "3,000.00"), ((2028, 2, 29), 306, "491.80"), ((2026, 1, 1), 364, "8.21")]
)
def test_the_desk_says_what_the_target_is_made_of_and_what_is_left_of_the_year(app: Flask, day: tuple[int, int, int], left: int, due: str) -> None:
    """Base × percent is the duty; by the 103rd of 365 days 103/365 of it should be counted."""
    with clock.travel(datetime(*day, 10, tzinfo=clock.BEIJING)):
        at = unit_market()
        with transaction():
            target.file(year=day[0], canteen="OWN", base_fen=1_000_000, actor=at.buyer)
        client = browser(app, at.buyer)
        page = client.get("/unit").text
        assert f"今年还剩 {left} 天" in page
        assert f"到今天该计入 ¥{due}，" in page
        page = re.sub(r"<[^>]+>", " ", client.get("/unit/target").text)
        assert re.search(r"全年食材采购\s+¥10,000\.00\s+预留比例\s+30%\s+预留份额\s+¥3,000\.00", page)


def test_each_figure_opens_on_the_orders_that_make_it(app: Flask) -> None:
    at = unit_market()
    with transaction():
        target.file(year=YEAR, canteen="OWN", base_fen=1_000_000, actor=at.buyer)
    made = accepted(at)
    submit(at, 1, key="other")
    match(at, receipt(at, 80_000, day=today()), made, 30_000)
    client = browser(app, at.buyer)
    page = client.get("/unit").text
    assert "今年还剩" in page
    figures = scorecard.figures(at.unit, YEAR)
    for name, fen in (("ordered", 88_800), ("accepted", 80_000), ("paid", 30_000), ("counted", 30_000)):
        assert f"figure={name}" in page
        lines = rows_of(client.get(f"/unit/orders?figure={name}&year={YEAR}&export=1").data)[1:]
        column = {"ordered": -4, "accepted": -3, "paid": -2, "counted": -1}[name]
        assert round(sum(line[column] or 0 for line in lines) * 100) == fen == getattr(figures, f"{name}_fen")
    assert client.get("/unit/orders?figure=wished").status_code == 400
    assert client.get("/unit/orders?view=NOWHERE").status_code == 400
    assert order_reference(made) in client.get("/unit/orders?view=to_pay").text
    sheet = rows_of(client.get("/unit/orders?export=1").data)
    assert {line[0] for line in sheet[1:]} == {row.reference for row in db.session.query(DirectedOrder)}


def order_reference(made: int) -> str:
    return db.session.get_one(DirectedOrder, made).reference


def test_lists_are_paged_by_key(app: Flask) -> None:
    at = unit_market(on_hand=1000)
    for number in range(27):
        submit(at, 1, key=f"k{number}")
    client = browser(app, at.buyer)
    page = client.get("/unit/orders").text
    more = re.search(r'rel="next" href="([^"]+)"', page)
    assert more
    rest = client.get(more[1].replace("&amp;", "&")).text
    on_first, on_second = (set(re.findall(r"JA[0-9A-Z]{8}", text)) for text in (page, rest))
    assert (len(on_first), len(on_second), on_first & on_second) == (25, 2, set())


@pytest.mark.both
def test_a_large_order_needs_two_people_and_nobody_twice(app: Flask) -> None:
    at = unit_market()
    rule = browser(app, at.approver)
    alone = rule.post("/unit/rule", data={"second_from": "500", "version": "0"})
    assert (alone.status_code, "只有一位审批人" in alone.text) == (409, True)
    second = builders.person(at.unit, "approver")
    assert browser(app, at.buyer).post("/unit/rule", data={"second_from": "500", "version": "0"}).status_code == 403
    assert rule.post("/unit/rule", data={"second_from": "a lot", "version": "0"}).status_code == 422
    assert rule.post("/unit/rule", data={"second_from": "500", "version": "0"}).status_code == 302
    assert rule.post("/unit/rule", data={"second_from": "900", "version": "0"}).status_code == 409
    row = approval_rule.of(at.unit)
    assert row is not None and row.second_from_fen == 50_000

    small, large = submit(at, 1, key="s"), submit(at, 10, key="l")
    paths = [f"/unit/orders/{db.session.get_one(DirectedOrder, each).public_id}" for each in (small, large)]
    states = lambda: [db.session.get_one(DirectedOrder, each).approval for each in (small, large)]  # noqa: E731
    for path in paths:
        assert rule.post(f"{path}/approve", data={"decision": "approve"}).status_code == 302
    db.session.expire_all()
    assert states() == ["APPROVED", "SUBMITTED"]
    assert "1 / 2" in rule.get(paths[1]).text
    assert rule.post(f"{paths[1]}/approve", data={"decision": "approve"}).status_code == 409
    assert browser(app, second).post(f"{paths[1]}/approve", data={"decision": "approve"}).status_code == 302
    db.session.expire_all()
    assert states() == ["APPROVED", "APPROVED"]


def loosened(asks: Actor, agrees: Actor, fen: int | None = None) -> None:
    """The rule made looser, by two approvers."""
    asked = transaction(lambda: approval_rule_change.set_rule(fen, version=1, actor=asks))
    assert asked is not None
    number = asked.id
    transaction(lambda: approval_rule_change.decide(number, version=1, approved=True, actor=agrees))


def test_whoever_loosens_the_rule_does_not_then_approve_alone(app: Flask) -> None:
    at = unit_market()
    second = builders.person(at.unit, "approver")
    with transaction():
        approval_rule.set_rule(50_000, version=0, actor=at.approver)
    made = submit(at, 10)
    loosened(at.approver, second)
    with transaction():
        assert directed_order.approve(made, actor=at.approver).approval == "SUBMITTED"
    path = f"/unit/orders/{db.session.get_one(DirectedOrder, made).public_id}"
    assert "1 / 2" in browser(app, at.approver).get(path).text
    with transaction():
        assert directed_order.approve(made, actor=second).approval == "APPROVED"
    later = submit(at, 10, key="later")
    with transaction():
        assert directed_order.approve(later, actor=at.approver).approval == "APPROVED"  # submitted under the new rule


@pytest.mark.both
@pytest.mark.parametrize("fen", [None, 60_000])
def test_one_approver_alone_does_not_undo_the_rule_of_two(app: Flask, fen: int | None) -> None:
    at = unit_market()
    second, other = builders.person(at.unit, "approver"), builders.person(builders.unit(), "approver")
    transaction(lambda: approval_rule.set_rule(50_000, version=0, actor=at.approver))
    with pytest.raises(NotAllowed, match=r"rule\.two"), transaction():
        approval_rule.set_rule(fen, version=1, actor=at.approver)
    asked = transaction(lambda: approval_rule_change.set_rule(fen, version=1, actor=at.approver))
    assert asked is not None
    number = asked.id
    with pytest.raises(Conflict, match=r"rule\.waiting"), transaction():
        approval_rule_change.set_rule(None, version=1, actor=second)
    made = submit(at, 10)
    for actor, refusal in ((at.approver, OwnWork), (at.buyer, NotAllowed), (other, NotFound)):
        with pytest.raises(refusal), transaction():
            approval_rule_change.decide(number, version=1, approved=True, actor=actor)
    with transaction():
        assert directed_order.approve(made, actor=at.approver).approval == "SUBMITTED"
    with pytest.raises(InvalidInput, match=r"reason\.missing"), transaction():
        approval_rule_change.decide(number, version=1, approved=False, actor=second)
    assert approval_rule.needed(at.unit, 55_000) == 2
    transaction(lambda: approval_rule_change.decide(number, version=1, approved=True, actor=second))
    assert approval_rule.needed(at.unit, 55_000) == 1
    with pytest.raises(Conflict, match=r"rule\.decided"), transaction():
        approval_rule_change.decide(number, version=2, approved=True, actor=second)


def test_a_stricter_rule_holds_at_once_and_what_was_asked_of_the_old_one_is_stale(app: Flask) -> None:
    at = unit_market()
    second = builders.person(at.unit, "approver")
    transaction(lambda: approval_rule.set_rule(50_000, version=0, actor=at.approver))
    asked = transaction(lambda: approval_rule_change.set_rule(None, version=1, actor=at.approver))
    assert asked is not None
    number = asked.id
    assert transaction(lambda: approval_rule_change.set_rule(20_000, version=1, actor=second)) is None
    assert approval_rule.needed(at.unit, 20_000) == 2
    with pytest.raises(Conflict, match=r"rule\.stale"), transaction():
        approval_rule_change.decide(number, version=1, approved=True, actor=second)
    transaction(lambda: approval_rule_change.decide(number, version=1, approved=False, reason="已收紧", actor=second))
    assert approval_rule.needed(at.unit, 20_000) == 2


def test_the_page_of_the_rule_asks_the_other_approver(app: Flask) -> None:
    at = unit_market()
    second = builders.person(at.unit, "approver")
    one, two = browser(app, at.approver), browser(app, second)
    assert one.post("/unit/rule", data={"second_from": "500", "version": "0"}).status_code == 302
    assert one.post("/unit/rule", data={"second_from": "", "version": "1"}).status_code == 302
    assert "这是您提出的" in one.get("/unit/rule").text
    assert "由另一位审批人来定" in browser(app, at.buyer).get("/unit/rule").text
    assert ("放宽审批规则" in two.get("/messages").text, "同意放宽" in two.get("/unit/rule").text) == (True, True)
    db.session.rollback()
    path = f"/unit/rule/{db.session.query(ApprovalRuleChange).one().public_id}"
    form = {"version": "1", "decision": "approve"}
    assert [each.post(path, data=form).status_code for each in (one, browser(app, at.buyer))] == [403, 403]
    assert two.post(path, data={"version": "1", "decision": "return"}).status_code == 422
    assert two.post(path, data={"version": "1"}).status_code == 422
    assert two.post(path, data=form).status_code == 303
    assert "一位审批人同意就行" in one.get("/unit/rule").text


def test_a_pledge_is_made_once_drawn_on_and_taken_back(app: Flask) -> None:
    at = unit_market()
    client = browser(app, at.buyer)
    key = re.search(r'name="idempotency_key" value="(\w+)"', client.get("/unit/commitments").text)
    assert key
    form = {"yuan": "2000", "year": str(YEAR), "note": "端午", "idempotency_key": key[1]}
    assert browser(app, at.approver).post("/unit/commitments", data=form).status_code == 403
    assert client.post("/unit/commitments", data={**form, "yuan": "-1"}).status_code == 422
    assert client.post("/unit/commitments", data={**form, "category": "gold"}).status_code == 422
    assert client.post("/unit/commitments", data={**form, "year": "1999"}).status_code == 422
    for _ in range(2):
        assert client.post("/unit/commitments", data=form).status_code == 302
    pledge = db.session.query(Commitment).one()
    public_id, number = pledge.public_id, pledge.id
    made = submit(at, 10, key="drawn", commitment_id=number)
    page = client.get("/unit/commitments").text
    assert ("¥800.00" in page, "¥1,200.00" in page) == (True, True)
    assert order_reference(made) in client.get(f"/unit/orders?commitment={public_id}").text
    assert "还剩 ¥1,200.00" in client.get(f"/unit/orders/new/{seller(at)}").text
    (listed,) = commitment.of_unit(at.unit)
    assert (listed.drawn_fen, listed.left_fen, listed.state) == (80_000, 120_000, "OPEN")
    stranger = browser(app, builders.person(builders.unit("别的单位"), "buyer"))
    assert stranger.get(f"/unit/orders?commitment={public_id}").status_code == 404
    assert stranger.post(f"/unit/commitments/{public_id}/withdraw", data={"version": "1"}).status_code == 404
    assert client.post(f"/unit/commitments/{public_id}/withdraw", data={"version": "9"}).status_code == 409
    assert client.post(f"/unit/commitments/{public_id}/withdraw", data={"version": "1"}).status_code == 302
    assert client.post(f"/unit/commitments/{public_id}/withdraw", data={"version": "2"}).status_code == 409
    assert [line[4] for line in rows_of(client.get("/unit/commitments?export=1").data)[1:]] == [800.0]


def seller(at: UnitMarket) -> str:
    from marketplace.organisations.organisation import Organisation

    return db.session.get_one(Organisation, at.market.cooperative).public_id


def test_the_reports_say_our_place_and_leave_as_workbooks(app: Flask) -> None:
    at = unit_market()
    with transaction():
        target.file(year=YEAR, canteen="OWN", base_fen=1_000_000, actor=at.buyer)
    made = accepted(at)
    match(at, receipt(at, 80_000, day=today()), made, 80_000)
    client = browser(app, at.buyer)
    assert "第 1 名" in client.get("/unit/reports").text
    assert rows_of(client.get("/unit/reports?export=ranking").data)[1][0] == 1.0
    assert ["计入金额", "", "", 0.2667, 800.0] in rows_of(client.get("/unit/reports?export=bulletin").data)
    assert rows_of(client.get("/unit/reports?export=orders").data)[1][0] == order_reference(made)


def test_whose_turn_it_is(app: Flask) -> None:
    at = unit_market()
    made = submit(at, 10)
    path = f"/unit/orders/{db.session.get_one(DirectedOrder, made).public_id}"
    client = browser(app, at.buyer)
    assert "等本单位的审批人同意" in client.get(path).text
    with transaction():
        directed_order.approve(made, actor=at.approver)
    assert "等合作社接单" in client.get(path).text
    with transaction():
        directed_order.confirm(made, actor=at.market.director)
    assert "等合作社发货" in client.get(path).text
    ship(at, made, 10)
    assert "等本单位验收" in client.get(path).text
    accept(at, made, 10)
    assert "等本单位付款 ¥800.00" in client.get(path).text
    match(at, receipt(at, 80_000, day=today()), made, 80_000)
    assert "货和钱都齐了" in client.get(path).text


@pytest.mark.both
def test_a_price_cut_shrinks_the_receivable_when_the_cooperative_agrees(app: Flask) -> None:
    at = unit_market()
    made = accepted(at)
    order = order_of(made)
    book, order_id = order.organisation_id, order.id
    path = f"/unit/orders/{db.session.get_one(DirectedOrder, made).public_id}/cut"
    unit, coop = browser(app, at.buyer), browser(app, at.market.director)
    form = {"cut": "100", "cut_reason": "两罐受潮", "idempotency_key": "c1"}
    assert browser(app, builders.person(builders.unit("别的单位"), "buyer")).post(path, data=form).status_code == 404
    assert unit.post(path, data={**form, "cut": "x"}).status_code == 422
    assert unit.post(path, data={**form, "cut_reason": ""}).status_code == 422
    assert unit.post(path, data={**form, "cut": "800.01"}).status_code == 409
    for _ in range(2):
        assert unit.post(path, data=form).status_code == 302
    assert unit.post(path, data={**form, "idempotency_key": "c2"}).status_code == 409
    cut = db.session.query(PriceCut).one()
    decide = f"/cooperative/bank/cuts/{cut.public_id}"
    assert "两罐受潮" in coop.get("/cooperative/bank/cuts").text
    assert balance.held("receivable", book) == 80_000
    assert browser(app, at.market.clerk).post(decide, data={"decision": "approve", "version": "1"}).status_code == 403
    assert browser(app, builders.market(name="乙社").director).post(decide, data={"decision": "approve", "version": "1"}).status_code == 404
    assert coop.post(decide, data={"decision": "return", "version": "1"}).status_code == 422
    assert coop.post(decide, data={"decision": "approve", "version": "1"}).status_code == 302
    assert coop.post(decide, data={"decision": "approve", "version": "1"}).status_code == 409
    assert (balance.held("receivable", book), balance.held("accepted_unpaid", book)) == (70_000, 70_000)
    match(at, receipt(at, 70_000, day=today()), made, 70_000)
    db.session.expire_all()
    assert order_of(made).payment == "PAID"
    assert scorecard.figures(at.unit, YEAR).counted_fen == 70_000
    with transaction(), pytest.raises(Exception, match="cut"):
        price_cut.ask(order_id, 1, "再减", actor=at.buyer, key="c3")
    assert [each for each in books.check() if not each.ok] == []
