"""kill -9 in the midst of any work of a trading day: after each one the books hold, and in the end nothing is stuck and nothing is lost."""

import json
import os
import shutil
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from marketplace import create_app
from marketplace.cli import seed
from marketplace.foundation.config import read_settings
from marketplace.foundation.database import db
from tests.postgres import PostgresServer
from tests.seeded import seeded_folder

__all__ = ["seeded_folder"]
TOP = Path(__file__).resolve().parents[2]


# One month's end: it settles, divides, pays, hears from the bank and closes, and dies once in each. What died is gone on with the day after.
MONTH_END = [
    ("2026-01-05", "whole"), ("2026-01-06", "whole"), ("2026-01-07", "ship"), ("2026-01-20", "confirm"), ("2026-01-30", "settle"), ("2026-01-31", "statement"),
    ("2026-02-02", "distribute"), ("2026-02-03", "distribute"), ("2026-02-04", "whole"), ("2026-02-24", "credit"), ("2026-02-25", "payout"),
    ("2026-02-26", "payout"), ("2026-02-27", "whole"), ("2026-02-28", "results"), ("2026-03-16", "close"),
]  # fmt: skip
KINDS = {"settle", "distribute", "credit", "payout", "results", "close"}


def killed(folder: Path, database: str, rounds: list[tuple[str, str]], quiet: int, seed: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.simulation.killed_days", str(folder), database, json.dumps(rounds), str(quiet), str(seed)]
    done = subprocess.run(command, cwd=TOP, env=os.environ | {"PYTHONPATH": str(TOP)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["wrong"] == [], done.stderr[-2000:]
    return report


def test_a_month_end_that_is_killed_in_each_of_its_works_leaves_the_books_in_order(seeded_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(seeded_folder, tmp_path / "market")
    report = killed(tmp_path / "market", "", MONTH_END, 2, 5)
    assert report["killed"] >= 10, "one of them had nothing to receive and nothing to send that evening"
    assert set(report["killed_in"]) >= KINDS
    assert {"alipay_paid", "settled", "refund_succeeded", "distributed", "payout_sent", "payout_debited"} <= set(report["kinds"])


def two_hundred(folder: Path, database: str, seed: int) -> None:
    """Four of five days are killed, two hundred in all (some have nothing to do that could die); in between one lives, so that there is trade to divide.
    All of them are past, since PostgreSQL closes no month that is not over by its own clock."""
    days = [(f"{date(2025, 11, 3) + timedelta(days=each)}", "" if each % 5 else "whole") for each in range(331)]
    # Until 28 October: what was credited after the notice of the month's beginning (National Day in it) is paid; what the bank is still at takes
    # it four days, and what comes back of it two more.
    report = killed(folder, database, days, 29, seed)
    print(report)
    assert report["killed"] >= 200
    assert set(report["killed_in"]) >= KINDS | {"refund"}
    assert {"distributed", "payout_sent", "payout_debited", "refund_succeeded"} <= set(report["kinds"])


@pytest.mark.soak
@pytest.mark.parametrize("chance", [1, 2])
def test_two_hundred_killed_days(seeded_folder: Path, tmp_path: Path, chance: int) -> None:
    shutil.copytree(seeded_folder, tmp_path / "market")
    two_hundred(tmp_path / "market", "", chance)


@pytest.mark.soak
@pytest.mark.postgres
def test_two_hundred_killed_days_on_postgresql(tmp_path: Path, postgres: PostgresServer) -> None:
    address = postgres.create_database("killed_days")
    app = create_app(read_settings({}, environment="test", data_dir=tmp_path / "market", database_url=address, secret_key="t" * 40))
    with app.app_context():
        db.create_all()
        db.session.remove()
    assert app.test_cli_runner().invoke(seed.group, ["--json"]).exit_code == 0
    with app.app_context():
        db.engine.dispose()
    two_hundred(tmp_path / "market", address, 4)
    postgres.drop_database(address)
