"""The terminal's way from due orders to the bank's file, as an officer types it."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.notices.public_notice import PublicNotice
from marketplace.organisations.person import Person
from marketplace.settlement import payout_batch
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.payout_batch import PayoutBatch
from tests import builders
from tests.settlement.alipay_desk import TRANSFER, AlipayDesk, approved, rounds, with_accounts
from tests.settlement.builders import order
from tests.settlement.test_payout_batch import posted


def run(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=list(words))


def login(person_id: int) -> str:
    return db.session.get_one(Person, person_id).login


@pytest.mark.both
def test_from_due_orders_to_the_banks_file_and_back(app: Flask, tmp_path: Path) -> None:
    market = builders.market()
    order(market, 30_000)
    accountant, director = login(market.accountant.person_id), login(market.director.person_id)
    assert run(app, "settle", "due").output == "1 orders settled, goods CNY 300.00, 0 left\n"
    assert run(app, "settle", "due").output == "0 orders settled, goods CNY 0.00, 0 left\n"
    month = ["--period", clock.period_of(clock.business_date()), "--actor"]
    own = run(app, "distribute", "approve", *month, director)
    assert own.exit_code == 1 and "distribution.missing" in own.output
    assert "DRAFTED, CNY 60.00" in run(app, "distribute", "draft", *month, accountant).output
    assert run(app, "distribute", "approve", *month, accountant).exit_code == 1
    assert "APPROVED, CNY 60.00" in run(app, "distribute", "approve", *month, director).output
    assert "PUBLISHED" in run(app, "distribute", "publish", *month, director).output
    early = run(app, "distribute", "post", *month, accountant)
    assert early.exit_code == 1 and "notice.running" in early.output
    ends_on = db.session.scalars(db.select(PublicNotice.ends_on)).one()
    with clock.travel(clock.beijing_midnight(ends_on + timedelta(days=1))):
        assert "POSTED, CNY 60.00" in run(app, "distribute", "post", *month, accountant).output

    distribution_id = db.session.scalars(db.select(Distribution.id)).one()
    batch = transaction(lambda: payout_batch.make(distribution_id, actor=market.accountant))
    number, out = batch.number, tmp_path / "bank.csv"
    assert run(app, "payout", "export", number, "--out", str(out), "--actor", accountant).exit_code == 1
    assert not out.exists()
    transaction(lambda: payout_batch.approve(batch.id, actor=market.director, version=1))
    assert run(app, "payout", "export", number, "--out", str(out), "--actor", accountant, "--sent").exit_code == 0
    assert out.stat().st_mode & 0o077 == 0
    assert len(out.read_bytes().decode("gb18030").splitlines()) == 4

    results = tmp_path / "results.csv"
    results.write_text(f"number,sequence,amount,result,reason\n{number},1,10.01,paid,\n{number},2,20.00,maybe,\n")
    refused = run(app, "payout", "import", number, str(results), "--actor", accountant)
    assert refused.exit_code == 1
    assert "2: 金额 10.01 和发出的 10.00 不同" in refused.output
    assert "3: 结果 maybe 不认识" in refused.output
    results.write_text(
        f"number,sequence,amount,result,reason\n{number},1,10.00,paid,\n{number},2,20.00,paid,\n{number},3,30.00,returned,x\n"
    )
    assert run(app, "payout", "import", number, str(results), "--actor", accountant).output == "2 paid, 1 returned\n"
    assert db.session.scalars(db.select(PayoutBatch.state)).one() == "DONE"


@pytest.mark.both
def test_a_batch_over_alipay_is_sent_and_asked_about_from_the_terminal(app: Flask) -> None:
    market, distribution_id = posted()
    with_accounts(*market.households)
    desk = AlipayDesk(app, market, fen=1_500)
    accountant, clerk = login(market.accountant.person_id), login(market.clerk.person_id)
    assert run(app, "payout", "list").output == "no such batch\n"
    number = approved(market, distribution_id).number
    line = run(app, "payout", "list", "--channel", "alipay").output
    assert f"{number} " in line and " alipay APPROVED: 3 items CNY 60.00; 3 approved CNY 60.00" in line
    assert run(app, "payout", "list", "--channel", "bank").output == "no such batch\n"
    for words in (["send", number, "--actor", clerk], ["ask", number, "--actor", accountant], ["show", "DF-none"]):
        refused = run(app, "payout", *words)
        assert refused.exit_code == 1 and ("role.missing" in refused.output or "payout.state" in refused.output or "missing" in refused.output)
    assert desk.asked == [], "nobody who may not has sent anything, and what was not started is not asked about"

    short = run(app, "payout", "send", number, "--actor", accountant)
    assert (short.exit_code, desk.went, "1 succeeded" in short.output, "1 held" in short.output) == (1, [1_000], True, True)
    stopped = run(app, "payout", "show", number)
    assert stopped.exit_code == 1 and "stopped by PAYER_BALANCE_NOT_ENOUGH" in stopped.output and "支付宝余额不够" in stopped.output
    desk.fill(10_000)
    desk.loses(TRANSFER, "after")
    unknown = run(app, "payout", "send", number, "--actor", accountant)
    assert (unknown.exit_code, "1 succeeded, 1 unknown" in unknown.output) == (1, True)
    told = json.loads(run(app, "payout", "show", number, "--json").output)
    assert (told["state"], told["by_state"]["paid"]["fen"], [each["state"] for each in told["transfers"]]) == ("SENT", 4_000, ["unknown"])
    asked = run(app, "payout", "ask", number, "--actor", accountant)
    assert (asked.exit_code, "1 succeeded" in asked.output) == (0, True)
    assert "nothing waits" in run(app, "payout", "ask", number, "--actor", accountant).output
    rounds()
    assert (desk.went, desk.asked.count(TRANSFER)) == ([1_000, 2_000, 3_000], 4), "once each, and the one that was refused again"
    done = json.loads(run(app, "payout", "list", "--state", "DONE", "--json").output)
    assert [(each["number"], each["by_state"]) for each in done] == [(number, {"paid": {"items": 3, "fen": 6_000}})]


def test_the_banks_batches_are_not_sent_by_us(app: Flask) -> None:
    market, distribution_id = posted()
    batch = transaction(lambda: payout_batch.make(distribution_id, actor=market.accountant))
    transaction(lambda: payout_batch.approve(batch.id, actor=market.director, version=1))
    refused = run(app, "payout", "send", batch.number, "--actor", login(market.accountant.person_id))
    assert (refused.exit_code, "payout.channel" in refused.output) == (1, True)


def test_help_tells_units_and_effects(app: Flask) -> None:
    commands = ["export", "import", "send", "ask"]
    for words in (["settle", "due"], ["distribute", "draft"], ["distribute", "post"], *(["payout", each] for each in commands)):
        text = run(app, *words, "--help").output
        assert "posts" in text.lower() or "journal entr" in text
