"""Days of trade through the real functions leave books in which every rule holds, and the same seed trades the same days."""

import json

from flask import Flask
from sqlalchemy import func, select

from marketplace.foundation.database import db
from marketplace.orders.order import Order
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
