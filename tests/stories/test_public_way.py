"""A family buys tea and honey of two cooperatives, through a browser: two parcels, one payment, and every yuan followed to the end.

Tea: 2 tins at ¥136.00, freight free; 30/60/5/5. Honey: a jar at ¥47.00 and ¥8.00 freight; 30/65/2.5/2.5. In all ¥327.00.
The buyer goes by phone, and each kind of page is looked over for a phone and a desk; once more without scripts, at a desk.
"""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from marketplace.web.shown import money
from tests.stories import month_end
from tests.stories.live_shop import LiveShop
from tests.stories.visitor import DESK, PHONE, Visitor, context_of

pytestmark = pytest.mark.browser

MONDAY = datetime(2026, 4, 13, 1, 0, tzinfo=UTC)
PHONE_NUMBER, PASSWORD = "13907950001", "a-good-password"


def pay_at_the_cashier(visitor: Visitor, sum_: str) -> None:
    """At the gateway's own page, and back with the browser."""
    page = visitor.page
    assert "/cashier/" in page.url
    assert "模拟收银台" in page.inner_text("body")
    with page.expect_navigation(url=re.compile("/orders/")):
        page.get_by_role("button", name=f"付款 {sum_}").click()


def choose(visitor: Visitor, category: str, township: str, goods: str, pack: str, quantity: int) -> None:
    """From the shelf to the cart, by goods and township."""
    visitor.open("/search?q=白茶")
    visitor.open("/goods")
    visitor.follow(category)
    visitor.page.get_by_label("产地乡镇").select_option(label=township)
    visitor.press("筛选")
    visitor.follow(goods)
    visitor.page.get_by_label(re.compile(pack)).check()
    visitor.fill(quantity=str(quantity))
    visitor.press("加入购物车")


def register(visitor: Visitor, phone: str = PHONE_NUMBER) -> None:
    """On the way to the checkout, which does not forget where one was going."""
    visitor.follow("注册")
    visitor.fill(phone=phone, name="王小明", password=PASSWORD)
    visitor.press("注册")


def address(visitor: Visitor) -> None:
    visitor.fill(recipient="王小明", phone="13907950001", province="江西省", city="南昌市", street="赣江中大道 1 号")


def buy(buyer: Visitor) -> None:
    """Browse, choose, register on the way, order and pay: what the pages say of the money, to the fen."""
    buyer.open("/")
    choose(buyer, "白茶", "璪都镇", "云脚明前白茶", "50 g 罐", 2)
    buyer.reads("¥136.00", "货款 ¥272.00", "运费 ¥0.00", "合计 ¥272.00")
    choose(buyer, "蜂蜜", "三爪仑乡", "崖口土蜂蜜", "250 g 瓶", 1)
    buyer.reads("货款 ¥47.00", "运费 ¥8.00", "合计 ¥327.00")
    buyer.follow("去结算")
    register(buyer)
    buyer.reads("合计 ¥327.00")
    address(buyer)
    buyer.press("下单，去支付宝付 ¥327.00")
    pay_at_the_cashier(buyer, "¥327.00")
    buyer.look()
    buyer.reads("云脚白茶", "合计 ¥272.00", "崖口土蜂", "合计 ¥55.00", "已付款")


@pytest.mark.parametrize("live_shop", [MONDAY], indirect=True)
def test_without_scripts_at_a_desk_it_costs_the_same(live_shop: LiveShop, new_context: Any) -> None:
    desk = context_of(java_script_enabled=False, viewport={"width": DESK, "height": 900})
    buy(Visitor(new_context(**desk), live_shop.address))


@pytest.mark.parametrize("live_shop", [MONDAY], indirect=True)
def test_a_family_buys_and_every_yuan_is_followed(live_shop: LiveShop, new_context: Any) -> None:
    def visitor(login: str = "", goal: str = "/", width: int = PHONE) -> Visitor:
        made = Visitor(new_context(**context_of(viewport={"width": width, "height": 844})), live_shop.address, audits=True)
        if login:
            made.sign_in(login, goal)
        return made

    buyer = visitor()
    buy(buyer)
    order = buyer.page.url
    live_shop.move(days=1)
    for clerk, goods in (("tea-clerk", "云脚明前白茶"), ("honey-clerk", "崖口土蜂蜜")):
        ship(visitor(clerk, "/cooperative"), goods)

    live_shop.move(days=3)
    buyer.open(order)
    for _ in range(2):
        buyer.press("货都收到了")
    buyer.reads("中国邮政 JA000000001", "2026-04-24 之前可以退货", "有问题，要退货退款")
    assert live_shop.job("settle") == "", "the return window is open"
    live_shop.move(days=8)
    assert live_shop.job("settle") == "2 settled"
    buyer.open(order)
    buyer.reads("已分账 2026-04-25")
    buyer.follow("看这笔钱去了哪里")
    buyer.reads("货款 ¥272.00", "钱是这样分的", "¥163.20", "¥81.60", "¥13.60", "璪都白茶联结组", "63 户", "承诺 ¥163.20", "已发给农户 —")
    tea_receipt = buyer.page.url
    buyer.page.go_back()
    buyer.page.get_by_role("link", name="看这笔钱去了哪里").nth(1).click()
    buyer.look()
    buyer.reads("货款 ¥47.00", "运费 ¥8.00", "¥30.55", "¥14.10", "¥1.18", "¥1.17")

    accountant, director, stranger = visitor("tea-accountant"), visitor("tea-director"), visitor()
    distribution = month_end.divide_april(live_shop, accountant, director, stranger)
    batch = month_end.credit(live_shop, accountant, distribution)
    buyer.open(tea_receipt)
    buyer.reads("已分到各户名下 ¥163.20", "已发给农户 ¥0.00")
    back = month_end.pay_out(accountant, director, batch, 16_320, returned=1)
    buyer.open(tea_receipt)
    buyer.reads(f"已发给农户 {money(16_320 - back)}")
    again = month_end.reissue(accountant, batch, back)
    month_end.pay_out(accountant, director, again, back)
    buyer.open(tea_receipt)
    buyer.reads("已发给农户 ¥163.20", "全部发给农户 2026-05-")
    month_end.the_household_reads(live_shop, stranger)


def ship(clerk: Visitor, goods: str) -> None:
    """What was paid waits at the top of the clerk's day, and goes out from the oldest batch."""
    clerk.reads("1 张订单等着发货")
    clerk.follow("去发货")
    clerk.follow(goods)
    clerk.fill(carrier="中国邮政", tracking_number="JA000000001")
    clerk.press("记下发货")
    clerk.reads("路上", "中国邮政 JA000000001", "还没有确认收货")
