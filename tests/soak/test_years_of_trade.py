"""Years of trade, then the books: everything that must always be true still is, and other people's programs agree.

`make soak` runs it; sixty days are among the ordinary tests (`tests/simulation/test_sixty_days.py`).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from marketplace import create_app
from marketplace.foundation.config import read_settings
from marketplace.foundation.database import db
from tests.postgres import PostgresServer
from tests.reporting.checkers import hledger, ours

TOP = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.soak


def flask(folder: Path, database: str, *arguments: str) -> str:
    """What a command said; it must succeed."""
    environ = {key: value for key, value in os.environ.items() if key != "MARKET_ENV"}
    environ |= {"DATA_DIR": str(folder), "DATABASE_URL": database}
    done = subprocess.run(
        [sys.executable, "-m", "flask", *arguments], cwd=TOP, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def trade_and_check(folder: Path, database: str, seed: int) -> None:
    flask(folder, database, "db", "upgrade")
    flask(folder, database, "seed")
    flask(folder, database, "simulate", "--days", "365", "--until", "2026-11-22", "--seed", str(seed), "--orders", "12")
    checked = json.loads(flask(folder, database, "books", "check", "--json"))
    assert [rule["rule"] for rule in checked["rules"] if not rule["ok"]] == []
    closed_and_proven(folder, database)
    positions = json.loads(flask(folder, database, "reconcile", "show", "--json"))  # it fails on anything unexplained
    assert {each["side"] for each in positions} == {"alipay", "bank"}
    journal = folder / "books.journal"
    flask(folder, database, "books", "export", "--format", "hledger", "--out", str(journal))
    settings = read_settings({}, environment="test", data_dir=folder, database_url=database, secret_key="t" * 40)
    with create_app(settings).app_context():
        balances = ours()
        db.session.remove()
        db.engine.dispose()
    assert any(balances.values())
    assert hledger(journal) == balances


def closed_and_proven(folder: Path, database: str) -> None:
    """The treasurer closed the year month by month while trade went on, each on the fifteenth; what was closed is what it was then."""
    assert flask(folder, database, "jobs", "once", "close") == "nothing was due\n"
    for month in ("2025-12", "2026-06", "2026-10"):
        flask(folder, database, "books", "journal", "--period", month, "--out", str(folder / "month.csv"))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_year_on_sqlite(tmp_path: Path, seed: int) -> None:
    trade_and_check(tmp_path, "", seed)


@pytest.mark.postgres
def test_a_year_on_postgresql(tmp_path: Path, postgres: PostgresServer) -> None:
    address = postgres.create_database("a_year")
    trade_and_check(tmp_path, address, 4)
    postgres.drop_database(address)
