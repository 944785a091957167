"""A school buys forty tins at the unit's price, through a browser: pledged, approved by another, shipped in two parts, one short, paid
by a transfer that names the reference, and counted; again without scripts, and by keyboard alone. ¥136.00 a tin, ¥129.20 from twenty on; 39 accepted are ¥5,038.80.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.stories.keyboard import WithoutMouse
from tests.stories.live_shop import LiveShop
from tests.stories.visitor import DESK, Visitor, context_of

pytestmark = pytest.mark.browser

MONDAY = datetime(2026, 4, 13, 1, 0, tzinfo=UTC)
TINS, SENT, CAME = 40, (25, 15), 39


@pytest.mark.parametrize("live_shop", [MONDAY], indirect=True)
def test_a_school_buys_at_a_tier_and_it_counts(live_shop: LiveShop, new_context: Any) -> None:
    def at_work(login: str, goal: str) -> Visitor:
        made = Visitor(new_context(**context_of(viewport={"width": DESK, "height": 900})), live_shop.address, audits=True)
        made.sign_in(login, goal)
        return made

    the_way(live_shop, at_work)
    parent = at_work("edu-accountant", "/unit/subordinates")
    row = parent.page.get_by_role("row").filter(has_text="靖安县第一中学")
    assert [word for word in row.inner_text().split() if word[0] == "¥"][:5] == ["¥360,000.00", "¥5,168.00", "¥5,038.80", "¥5,038.80", "¥5,038.80"]
    assert "1.4%" in row.inner_text()

    live_shop.move(days=1)
    assert live_shop.job("settle") == "1 settled"
    parent.open("/transparency")
    parent.reads("¥5,038.80", "农户 ¥3,023.28", "合作社 ¥1,511.64", "村集体 ¥251.94", "防贫基金 ¥251.94")


@pytest.mark.parametrize("live_shop", [MONDAY], indirect=True)
def test_without_scripts_on_a_phone_it_counts_the_same(live_shop: LiveShop, new_context: Any) -> None:
    def at_work(login: str, goal: str) -> Visitor:
        made = Visitor(new_context(**context_of(java_script_enabled=False)), live_shop.address)
        made.sign_in(login, goal)
        return made

    the_way(live_shop, at_work)


@pytest.mark.parametrize("live_shop", [MONDAY], indirect=True)
def test_by_keyboard_alone_it_counts_the_same(live_shop: LiveShop, new_context: Any) -> None:
    def at_work(login: str, goal: str) -> Visitor:
        made = WithoutMouse(new_context(**context_of(viewport={"width": DESK, "height": 900})), live_shop.address)
        made.sign_in(login, goal)
        return made

    the_way(live_shop, at_work)


def the_way(live_shop: LiveShop, at_work: Callable[[str, str], Visitor]) -> None:
    """From the pledge to what counts: what the pages say of the money, to the fen."""
    buyer = at_work("school-buyer", "/unit")
    buyer.reads("预留份额 ¥360,000.00")
    buyer.open("/unit/target")
    buyer.reads("¥1,200,000.00", "30%")
    buyer.open("/unit/commitments")
    buyer.fill(yuan="10000", note="白茶")
    buyer.press(re.compile("^承诺$"))
    buyer.reads("2026 · 不限合作社", "¥10,000.00", "白茶")
    order = order_forty(buyer)
    buyer.reads("等审批", "¥5,168.00")

    assert refused_to_the_buyer(buyer, order), "who bought does not approve, by whatever way"
    approver = at_work("school-approver", "/unit")
    approver.follow("去审批")
    approver.follow(reference_on(buyer))
    approver.press("同意采购 ¥5,168.00")
    approver.reads("等合作社接单")

    clerk = at_work("tea-clerk", "/cooperative/unit-orders")
    clerk.reads("靖安县第一中学", f"× {TINS}", "¥129.20", "合计 ¥5,168.00")
    clerk.press("接单")
    clerk.follow("去发货")
    for number, packs in enumerate(SENT, start=1):
        clerk.write("这次发几件", str(packs))
        clerk.fill(carrier="靖安快运", tracking_number=f"JA-{number}")
        clerk.press("记下发货")
    clerk.reads("靖安快运 JA-1", "靖安快运 JA-2", "还没有付清")

    live_shop.move(days=2)
    buyer.open(order)
    buyer.write("验收几件", str(CAME))
    buyer.write("短缺说明", "破损一罐")
    buyer.press("签字验收")
    buyer.reads("已验收", "验收 ¥5,038.80，短缺 ¥129.20", "应付 ¥5,038.80", "付款期限 2026-05-15")

    live_shop.move(days=7)
    pay(at_work("tea-accountant", "/cooperative/bank"), reference_on(buyer))
    buyer.open("/unit")
    buyer.reads("已下单 ¥5,168.00", "已验收 ¥5,038.80", "已付款 ¥5,038.80", "已计入 ¥5,038.80")


def order_forty(buyer: Visitor) -> str:
    """Choose the cooperative, forty tins on the pledge, and send it off; the order's address."""
    buyer.open("/unit/orders/new")
    buyer.follow("云脚白茶")
    buyer.reads("云脚明前白茶 50 g 罐", "20 件起 ¥129.20")
    buyer.write("订几件 云脚明前白茶 50 g 罐", str(TINS))
    buyer.fill(recipient="刘老师", phone="13807950001", street="双溪路 502 号 食堂")
    buyer.choose_first("用哪份认购承诺")
    buyer.press("提交审批")
    return buyer.page.url


def refused_to_the_buyer(buyer: Visitor, order: str) -> bool:
    """The page offers no button, and the address behind it is closed."""
    buyer.open(order)
    buyer.does_not_read("同意采购")
    form = {"csrf_token": buyer.page.locator("[name=csrf_token]").first.input_value(), "decision": "approve"}
    return buyer.page.request.post(f"{order}/approve", form=form, max_redirects=0).status == 403


def reference_on(visitor: Visitor) -> str:
    """The order's reference, as its heading says it."""
    return visitor.page.locator("h1").inner_text().split()[-1]


def pay(accountant: Visitor, reference: str) -> None:
    """The bank's statement of the day comes in, as the bank writes it; what it proposes is confirmed."""
    statement = (
        "账户明细查询\n"
        "交易日期,收入金额,支出金额,对方户名,对方账号,摘要,附言,流水号\n"
        f'2026-04-22,"5,038.80",,靖安县国库集中支付中心,36050001,货款,茶款 {reference.lower()},L1\n'
    )
    accountant.bring("银行流水", {"name": "4月.csv", "mimeType": "text/csv", "buffer": statement.encode("gb18030")})
    accountant.press("核对")
    accountant.reads("靖安县国库集中支付中心", "新到账")
    accountant.press("导入 1 行")
    accountant.reads("新到账 1 笔 ¥5,038.80", "附言里有编号", "金额相同")
    accountant.press("核销到这张单")
    accountant.reads("到账都核销了")
