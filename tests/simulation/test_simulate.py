"""Days of trade through the real functions leave books in which every rule holds, and the same seed trades the same days."""

import json
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select

from marketplace import create_app
from marketplace.cli import seed
from marketplace.foundation.config import read_settings
from marketplace.foundation.database import db
from marketplace.orders.order import Order
from tests.postgres import PostgresServer
from tests.seeded import market, seeded_folder

__all__ = ["market", "seeded_folder"]


def test_days_of_trade_leave_the_books_in_order(market: Flask) -> None:
    runner = market.test_cli_runner()
    traded = runner.invoke(args=["simulate", "--days", "6", "--until", "2026-11-20", "--seed", "7", "--orders", "3", "--json"])
    assert traded.exit_code == 0, traded.output
    report = json.loads(traded.output)
    assert report["orders"] >= 10
    assert report["payments"] > 0
    assert report["shipped"] > 0
    # Whoever signs in the morning after finds something to do.
    assert report["transfers waiting"] == report["listings waiting"] == 1
    assert db.session.scalar(select(func.count()).where(Order.fulfilment == "READY")) > 0
    checked = runner.invoke(args=["books", "check", "--json"])
    assert checked.exit_code == 0, checked.output
    # Each night had its tree head, and what was logged is what the books say.
    assert report["tree heads"] >= 6
    verified = runner.invoke(args=["log", "verify", "--json"])
    assert verified.exit_code == 0, verified.output
    assert json.loads(verified.output)["leaves"] == report["logged"] > 0


@pytest.mark.postgres
def test_a_month_turns_on_postgresql(tmp_path: Path, postgres: PostgresServer) -> None:
    """Days on which months are divided and closed, on the database that a county would run."""
    address = postgres.create_database("month_turns")
    app = create_app(read_settings({}, environment="test", data_dir=tmp_path / "market", database_url=address, secret_key="t" * 40))
    with app.app_context():
        db.create_all()
        db.session.remove()
    runner = app.test_cli_runner()
    assert runner.invoke(seed.group, ["--json"]).exit_code == 0
    traded = runner.invoke(args=["simulate", "--days", "3", "--until", "2026-11-03", "--seed", "7", "--orders", "3", "--json"])
    assert traded.exit_code == 0, traded.output
    assert json.loads(traded.output)["payments"] > 0
    checked = runner.invoke(args=["books", "check", "--json"])
    assert checked.exit_code == 0, checked.output
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    postgres.drop_database(address)
