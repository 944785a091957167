"""kill -9 at any moment of a trading day: after each one the books hold, and in the end nothing is stuck and nothing is lost."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from marketplace import create_app
from marketplace.cli import seed
from marketplace.foundation.config import read_settings
from marketplace.foundation.database import db
from tests.postgres import PostgresServer
from tests.seeded import seeded_folder
from tests.traded import traded_folders

__all__ = ["seeded_folder", "traded_folders"]
TOP = Path(__file__).resolve().parents[2]


def killed(folder: Path, database: str, first: str, rounds: int, quiet: int, seed: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.simulation.killed_days", str(folder), database, first, str(rounds), str(quiet), str(seed)]
    done = subprocess.run(command, cwd=TOP, env=os.environ | {"PYTHONPATH": str(TOP)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["wrong"] == [], done.stderr[-2000:]
    return report


def test_days_that_are_killed_leave_the_books_in_order(traded_folders: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(traded_folders["many"], tmp_path / "market")
    report = killed(tmp_path / "market", "", "2026-11-21", 10, 4, 3)
    assert report["killed"] >= 5
    assert {"alipay_paid", "settled", "refund_succeeded"} <= set(report["kinds"])


@pytest.mark.soak
@pytest.mark.parametrize("chance", [1, 2])
def test_two_hundred_killed_days(seeded_folder: Path, tmp_path: Path, chance: int) -> None:
    shutil.copytree(seeded_folder, tmp_path / "market")
    report = killed(tmp_path / "market", "", "2026-01-05", 200, 12, chance)
    assert report["killed"] >= 120
    assert {"distributed", "payout_sent", "payout_debited"} <= set(report["kinds"])


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
    report = killed(tmp_path / "market", address, "2026-01-05", 200, 12, 4)
    assert report["killed"] >= 120
    assert {"distributed", "payout_sent", "payout_debited"} <= set(report["kinds"])
    postgres.drop_database(address)
