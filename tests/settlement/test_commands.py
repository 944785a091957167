"""The terminal's way from due orders to the bank's file, as an officer types it."""

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
from tests.settlement.builders import order


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


def test_help_tells_units_and_effects(app: Flask) -> None:
    for words in (["settle", "due"], ["distribute", "draft"], ["distribute", "post"], ["payout", "export"], ["payout", "import"]):
        text = run(app, *words, "--help").output
        assert "posts" in text.lower() or "journal entr" in text
