"""A cart of two cooperatives: paid in one act, a trade for each, and each cooperative's money its own."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from marketplace.foundation import clock
from marketplace.payments.alipay import Closed, MergeOrder, Precreated, Refunded, Refused, Trade
from tests.emulator.desk import BACK, HONEY, TEA, Desk, open_desk


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_desk(tmp_path_factory.mktemp("emulator")) as desk:
        yield desk


@pytest.fixture
def cart(desk: Desk) -> list[MergeOrder]:
    return [
        MergeOrder(*TEA, desk.number(), 113_600, "靖安白茶 250 g"),
        MergeOrder(*HONEY, desk.number(), 8_800, "土蜂蜜 500 g"),
    ]


def page(desk: Desk, cart: list[MergeOrder], **more: Any) -> str:
    more = {
        "merge_no": desk.number("M"),
        "notify_url": "",
        "return_url": BACK,
        "expires_at": clock.now() + timedelta(minutes=30),
    } | more
    return desk.platform.merge_pay_url(cart, **more)


def statuses(desk: Desk, cart: list[MergeOrder]) -> list[str]:
    found = [desk.tea.query(cart[0].out_trade_no), desk.honey.query(cart[1].out_trade_no)]
    return [each.status if isinstance(each, Trade) else type(each).__name__ for each in found]


def test_one_act_pays_every_cooperative_its_own(desk: Desk, cart: list[MergeOrder]) -> None:
    token, text = desk.look(page(desk, cart))
    for piece in ("¥1,224.00", "¥1,136.00", "¥88.00", "璪都白茶合作社", "三爪仑土蜂蜜合作社", "模拟收银台"):
        assert piece in text
    assert statuses(desk, cart) == ["WAIT_BUYER_PAY", "WAIT_BUYER_PAY"]
    assert desk.press(token, "pay").status == 303
    assert statuses(desk, cart) == ["TRADE_SUCCESS", "TRADE_SUCCESS"]
    for client, order in zip((desk.tea, desk.honey), cart, strict=True):
        (form,) = desk.emulator.notices(order.app_id, order.out_trade_no)
        notice = client.verify_notice(form)
        assert (notice.seller_id, notice.out_trade_no, notice.total_fen) == (
            order.seller_id,
            order.out_trade_no,
            order.total_fen,
        )


def test_one_cooperatives_refund_leaves_the_other_alone(desk: Desk, cart: list[MergeOrder]) -> None:
    desk.emulator.pay_url(page(desk, cart))
    honey = cart[1].out_trade_no
    assert desk.honey.refund(honey, "R1", 8_800, "缺货") == Refunded(honey, "R1", 8_800, 8_800)
    assert statuses(desk, cart) == ["TRADE_SUCCESS", "TRADE_CLOSED"]
    assert desk.tea.refund(honey, "R2", 1, "不是我的") == Refused("ACQ.TRADE_NOT_EXIST")


def test_all_are_paid_or_none(desk: Desk, cart: list[MergeOrder]) -> None:
    token, _ = desk.look(page(desk, cart))
    assert isinstance(desk.honey.close(cart[1].out_trade_no), Closed)
    assert desk.press(token, "pay").status == 400
    assert statuses(desk, cart) == ["WAIT_BUYER_PAY", "TRADE_CLOSED"]


def test_a_phone_announces_first_and_may_announce_twice(desk: Desk, cart: list[MergeOrder]) -> None:
    asked: dict[str, Any] = {
        "merge_no": desk.number("M"),
        "notify_url": "",
        "expires_at": clock.now() + timedelta(minutes=30),
    }
    first = desk.platform.merge_precreate(cart, **asked)
    assert isinstance(first, Precreated)
    assert desk.platform.merge_precreate(cart, **asked) == first
    assert desk.platform.merge_precreate(cart[:1], **asked) == Refused("ACQ.CONTEXT_INCONSISTENT")
    assert statuses(desk, cart) == ["Absent", "Absent"]
    token, _ = desk.look(desk.platform.wap_merge_pay_url(first.pre_order_no, return_url=BACK))
    desk.press(token, "pay")
    assert statuses(desk, cart) == ["TRADE_SUCCESS", "TRADE_SUCCESS"]


def test_nobody_can_send_a_cooperatives_money_elsewhere(desk: Desk) -> None:
    crossed = [MergeOrder(TEA[0], HONEY[1], desk.number(), 100, "换了卖家")]
    answer = desk.http.request("GET", page(desk, crossed))
    assert answer.status == 400 and b"ACQ.SELLER_NOT_EXIST" in answer.data
