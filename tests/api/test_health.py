"""Whether the process answers, and whether it could serve, with the reason and what to do if not."""

from pathlib import Path

import pytest
from flask import Flask

from marketplace import create_app
from marketplace.api import health
from marketplace.foundation.config import read_settings


def test_a_process_that_runs_answers(app: Flask) -> None:
    answer = app.test_client().get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_a_disk_that_runs_full_is_told_while_the_shop_stays_open(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "warnings" not in app.test_client().get("/readyz").json
    monkeypatch.setattr(health, "LEAST_FREE", 2**62)
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 200
    assert answer.json["warnings"]["disk"].endswith("MiB free in DATA_DIR")


def test_without_tables_it_says_what_to_run(tmp_path: Path) -> None:
    empty = create_app(read_settings({}, environment="test", data_dir=tmp_path, secret_key="t" * 40))
    answer = empty.test_client().get("/readyz")
    assert answer.status_code == 503
    assert "flask db upgrade" in answer.json["reasons"]["database"]


def test_without_its_database_it_says_so_and_still_answers(tmp_path: Path) -> None:
    away = "postgresql+psycopg://nobody@127.0.0.1:1/nothing?connect_timeout=1"
    lost = create_app(read_settings({}, environment="test", data_dir=tmp_path, database_url=away, secret_key="t" * 40))
    browser = lost.test_client()
    answer = browser.get("/readyz")
    assert (answer.status_code, answer.json["reasons"]) == (503, {"database": "OperationalError"})
    assert browser.get("/healthz").status_code == 200
