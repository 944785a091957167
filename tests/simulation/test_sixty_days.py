"""The sixty days that a demonstration opens with: everything happened in them, every rule holds, and other people's programs agree.

The same seed trades the same days.
"""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

from flask import Flask
from sqlalchemy import func, select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.organisations.organisation import Cooperative
from marketplace.reporting import books, money_health
from marketplace.settlement import reconciliation
from marketplace.settlement.difference import Difference
from marketplace.simulation import command
from tests.reporting.checkers import beancount, exported, hledger, ours
from tests.seeded import market, seeded_folder
from tests.traded import opened
from tests.web.figures import Walk

__all__ = ["market", "seeded_folder"]


def simulated(app: Flask, *arguments: str) -> dict[str, int]:
    traded = app.test_cli_runner().invoke(command.group, [*arguments, "--until", "2026-11-20", "--json"])
    assert traded.exit_code == 0, traded.output
    report: dict[str, int] = json.loads(traded.output)
    return report


def test_sixty_days_of_everything_leave_books_that_all_agree_on(market: Flask, tmp_path: Path) -> None:
    report = simulated(market, "--days", "60")
    for each in (
        "orders", "payments", "shipped", "confirmed", "received", "directed orders", "accepted", "transfers matched", "called off", "expired",
        "returns asked", "returns agreed", "settled", "distributions", "payout batches", "payouts", "reissued", "commitments",
        "statements", "bills", "withdrawals", "remittances", "transfers", "months closed",
        # As with real banks, and as people answer it.
        "credited back before a file says so", "still processing", "processing ended", "said against the books", "set right",
        "fund asked back", "fund agreed to give back", "fund given back",
    ):  # fmt: skip
        assert report.get(each, 0) > 0, each
    assert not [each for each in report if each.startswith("not closed")], report
    assert [f"{finding.rule}: {finding.detail}" for finding in books.check() if not finding.ok] == []
    ends_reconciled(market)
    balances = ours()
    assert any(balances.values())
    assert hledger(exported(market, "hledger", tmp_path / "books.journal")) == balances
    assert beancount(exported(market, "beancount", tmp_path / "books.beancount")) == balances
    with clock.travel(datetime(2026, 11, 20, 12, tzinfo=UTC)):
        walk = Walk(market).everybody()
    assert walk.faults == [], "every figure of every desk opens on its rows"
    assert walk.figures > 100
    for desk in (
        "shop.home", "transparency.show", "cooperative_desk.today", "cooperative_money.show", "cooperative_batches.show", "cooperative_stock.show",
        "cooperative_members.index", "distribution.show", "payout.show", "operator_county.show", "operator_bulletin.show", "operator_targets.index",
        "unit_desk.today", "unit_reports.show", "village_desk.today",
    ):  # fmt: skip
        assert desk in walk.pages, f"no figures on {desk}"


def ends_reconciled(market: Flask) -> None:
    """Every cooperative's bank and Alipay are what statement and bill say, to the fen, without a difference; none is below zero."""
    assert money_health.below_zero() == []
    assert db.session.scalars(select(Difference.subject).where(Difference.state != "GONE")).all() == []
    told = [
        (where.side, where.matched)
        for book in reconciliation.cooperatives_with_statements()
        for side in reconciliation.followed(book)
        for where in [reconciliation.position(book, side)]
        if (where.theirs_fen, where.before_fen, where.missing_fen, where.differences) == (where.ours_fen - sum(i.effect_fen for i in where.items), 0, 0, [])
        and where.theirs_fen is not None
    ]
    sellers = db.session.scalar(select(func.count()).select_from(Cooperative))
    assert {side: sum(1 for each, _ in told if each == side) for side in ("bank", "alipay")} == {"bank": sellers, "alipay": sellers}
    assert min(matched for _, matched in told) > 2  # a payout is one row of the bank, however many households it pays
    assert market.test_cli_runner().invoke(args=["reconcile", "show"]).exit_code == 0


def test_the_same_seed_trades_the_same_days(seeded_folder: Path, tmp_path: Path) -> None:
    journals, reports = [], []
    for name in ("one", "other"):
        shutil.copytree(seeded_folder, tmp_path / name)
        app = opened(tmp_path / name)
        with app.app_context():
            report = simulated(app, "--days", "4", "--orders", "3", "--seed", "5")
            report.pop("seconds")
            reports.append(report)
            journals.append(exported(app, "hledger", tmp_path / f"{name}.journal").read_bytes())
            db.session.remove()
            db.engine.dispose()
    assert reports[0] == reports[1]
    assert journals[0] == journals[1]
    assert len(journals[0]) > 1000
