"""Money that the cooperative gives back of its own accord: after the window, after the split, and never by one person alone."""

import re
from datetime import timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.ledger import balance
from marketplace.orders import received, return_request
from marketplace.orders.order import Order
from marketplace.organisations.approval import Approval
from marketplace.payments import refund as refunds
from marketplace.payments.refund import Refund
from marketplace.reporting import books
from marketplace.settlement import settlement
from tests import builders
from tests.builders import Market
from tests.orders import trade
from tests.web.work_desk import browser

pytestmark = pytest.mark.both


@pytest.fixture
def settled(app: Flask) -> tuple[Market, Order]:
    """Two tins at ¥88.00, received and divided; the buyer's time to ask is over."""
    market = builders.market()
    buyer = builders.customer()
    with clock.travel(clock.now() - timedelta(days=30)):
        order_id = trade.bought(buyer, (market.pack, 2))
        trade.shipped(market, order_id)
        transaction(lambda: received.confirm(order_id, actor=buyer))
    transaction(lambda: settlement.settle(order_id))
    with pytest.raises(Conflict, match=r"return\.late"):
        transaction(lambda: return_request.raise_request(order_id, 100, "坏了", actor=buyer))
    return market, trade.order(order_id)


def test_the_clerk_proposes_the_director_agrees_and_each_share_comes_back(app: Flask, settled: tuple[Market, Order]) -> None:
    market, order = settled
    order_id, address = order.id, f"/cooperative/orders/{order.public_id}"
    clerk, director = browser(app, market.clerk), browser(app, market.director)
    assert clerk.post(f"{address}/returns", data={"yuan": "9999", "reason": "抽检不合格"}).status_code == 422
    assert clerk.post(f"{address}/returns", data={"yuan": "88.00", "reason": ""}).status_code == 422
    assert clerk.post(f"{address}/returns", data={"packs-1": "1", "reason": "抽检不合格"}).status_code == 302
    shown = clerk.get(address).text
    assert "等理事长审批，提出的人自己不能批" in shown
    assert "同意退款" not in shown
    assert "同意退款" not in browser(app, market.accountant).get(address).text
    (answer,) = re.findall(rf'action="({address}/returns/[^"/]+)"', director.get(address).text)
    assert browser(app, market.accountant).post(answer, data={"decision": "approve"}).status_code == 403
    assert director.post(answer, data={"decision": "approve"}).status_code == 302
    db.session.rollback()
    assert db.session.query(Approval).filter_by(subject_type="return_request").one().checker_id == market.director.person_id
    assert trade.order(order_id).refunded_fen == 8800
    refund_id = db.session.query(Refund).one().id
    transaction(lambda: refunds.succeed(refund_id))
    kinds = {kind: fen for kind, fen in balance.by_kind(market.cooperative).items() if fen}
    assert kinds == {"alipay": 8800, "revenue": 6160, "household_pool": 1760, "village_collective": 528, "relief_fund": 352}
    assert [each.detail for each in books.check() if not each.ok] == []


def test_one_director_alone_gives_nothing_back(app: Flask, settled: tuple[Market, Order]) -> None:
    market, order = settled
    address = f"/cooperative/orders/{order.public_id}"
    director = browser(app, market.director)
    assert director.post(f"{address}/returns", data={"yuan": "10", "reason": "抽检不合格"}).status_code == 302
    db.session.rollback()
    request = db.session.query(return_request.ReturnRequest).one()
    own = f"{address}/returns/{request.public_id}"
    assert director.post(own, data={"decision": "approve"}).status_code == 403
    assert director.post(own, data={"decision": "refuse", "answer": "不退了"}).status_code == 403
    assert browser(app, market.clerk).post(f"{own}/withdraw").status_code == 404
    assert director.post(f"{own}/withdraw").status_code == 302
    db.session.rollback()
    assert (db.session.query(Refund).count(), trade.order(order.id).refunded_fen) == (0, 0)


def test_another_cooperative_gives_nobody_s_money_back(app: Flask, settled: tuple[Market, Order]) -> None:
    _, order = settled
    other = builders.market(name="仁首油茶合作社", category="camellia_oil")
    assert browser(app, other.clerk).post(f"/cooperative/orders/{order.public_id}/returns", data={"yuan": "1", "reason": "试试"}).status_code == 404


def test_who_takes_back_their_own_proposal_has_approved_nothing(app: Flask, settled: tuple[Market, Order]) -> None:
    market, order = settled
    proposed = transaction(lambda: return_request.propose(order.id, 8800, "抽检不合格", actor=market.clerk))
    transaction(lambda: return_request.withdraw(proposed.id, actor=market.clerk))
    assert [finding.rule for finding in books.check() if finding.rule == "nobody_approved_their_own" and not finding.ok] == []
