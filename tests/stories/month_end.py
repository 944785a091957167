"""What follows a month of sales, at the desks of a cooperative: divided, published, objected to, answered, credited and paid."""

import csv
import io
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.households.household import Household
from marketplace.notices.public_notice import PublicNotice
from marketplace.settlement.distribution import DistributionShare
from marketplace.settlement.payout_answer import RESULT_HEADER
from marketplace.web.shown import money
from tests.stories.live_shop import LiveShop
from tests.stories.visitor import Visitor


def divide_april(live_shop: LiveShop, accountant: Visitor, director: Visitor, stranger: Visitor) -> str:
    """Drafted by one, approved by another, and published; an objection raised by a stranger is answered. The distribution's address."""
    live_shop.move(to=datetime(2026, 5, 6, 1, 0, tzinfo=UTC))
    accountant.open("/distributions")
    accountant.reads("2026-04 有 ¥163.20 还没有分配")
    accountant.follow("拟定分配")
    accountant.follow("2026-04")
    accountant.reads("璪都白茶联结组", "¥163.20")
    accountant.press("拟定 2026-04 的分配")
    accountant.reads("等理事长审批")
    distribution = accountant.page.url

    director.open(distribution)
    director.follow("去审批")
    director.press("同意分配 ¥163.20")
    director.follow("去公示")
    director.press("公示 ¥163.20")

    stranger.open("/transparency")
    stranger.reads("已分账的货款 2 张订单 ¥319.00", "其中分给农户 ¥193.75", "已发给农户 ¥0.00")
    stranger.follow("云脚白茶专业合作社 2026-04 收益分配公示")
    stranger.reads("璪都白茶联结组", "63", "¥163.20")
    stranger.fill(text="我家的鲜叶少算了一筐", name="陈大山", contact="13800138000")
    stranger.press("提出异议")
    stranger.reads("我家的鲜叶少算了一筐", "等答复")
    stranger.does_not_read("陈大山", "13800138000")

    director.open(distribution)
    director.reads("有 1 条异议等答复", "我家的鲜叶少算了一筐", "陈大山")
    director.page.get_by_role("radio", name="不成立").check()
    director.fill(text="过秤单上有这一筐，已经算在内。")
    director.press("公开答复")
    stranger.page.reload()
    stranger.reads("已答复", "过秤单上有这一筐，已经算在内。")
    return distribution


def credit(live_shop: LiveShop, accountant: Visitor, distribution: str) -> str:
    """Once the notice has ended the households are credited and a batch is made; the batch's address."""
    with live_shop.app.app_context():
        ends_on = db.session.scalars(select(PublicNotice.ends_on)).one()
        db.session.remove()
    live_shop.move(to=clock.beijing_midnight(ends_on + timedelta(days=1)) + timedelta(hours=9))
    accountant.open(distribution)
    accountant.follow("记到各户")
    accountant.press("把 ¥163.20 记到各户")
    accountant.follow("做代发")
    accountant.press("做代发批次 ¥163.20")
    return accountant.page.url


def pay_out(accountant: Visitor, director: Visitor, batch: str, fen: int, *, returned: int = 0) -> int:
    """The director approves, the bank gets its file and answers it line by line, the first ``returned`` sent back; their fen."""
    director.open(batch)
    director.follow("去审批")
    director.press(f"同意代发 {money(fen)}")
    accountant.open(batch)
    with accountant.page.expect_download() as download:
        accountant.page.get_by_role("button", name="下载代发文件").click()
    heading, *lines = csv.reader(io.StringIO(download.value.path().read_bytes().decode("gb18030")))
    amount = heading.index("金额（元）")
    accountant.follow("记为已交银行")
    accountant.press(f"已交银行 {money(fen)}")
    number = next(word for word in accountant.page.locator("h1").inner_text().split() if word.startswith("DF"))
    answer = [",".join(RESULT_HEADER)]
    for place, line in enumerate(lines):
        answer.append(f"{number},{line[0]},{line[amount]},{'returned,账号不符' if place < returned else 'paid,'}")
    accountant.follow("导入回盘")
    accountant.page.get_by_label("银行给的回盘文件").set_input_files(
        {"name": "回盘.csv", "mimeType": "text/csv", "buffer": "\n".join(answer).encode("gb18030")}
    )
    accountant.press("上传，先看结果")
    accountant.press(f"记入 {len(lines)} 笔结果")
    accountant.reads(f"{len(lines) - returned} 笔到账，{returned} 笔退回")
    return sum(round(float(line[amount]) * 100) for line in lines[:returned])


def reissue(accountant: Visitor, batch: str, fen: int) -> str:
    """What came back is sent again in a batch linked to the first; its address."""
    accountant.open(batch)
    accountant.follow("补发")
    accountant.press(f"补发 {money(fen)}")
    return accountant.page.url


def the_household_reads(live_shop: LiveShop, household: Visitor) -> None:
    """The household with the largest part opens its slip, finds the same yuan, and says that they came."""
    with live_shop.app.app_context():
        share = db.session.scalars(select(DistributionShare).order_by(DistributionShare.fen.desc())).first()
        assert share is not None
        token = db.session.get_one(Household, share.household_id).statement_token
        fen, parts = share.fen, (share.patronage_fen, share.equity_fen)
        db.session.remove()
    household.open(f"/h/{token}")
    household.reads(f"分到您家 {money(fen)}", f"已发给您家 {money(fen)}", "还要发 ¥0.00")
    household.reads(f"交货 {money(parts[0])}", f"股份 {money(parts[1])}")
    household.press("收到了")
    household.reads("您的回答：收到了")
