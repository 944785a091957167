"""The seeded county after days of trade, made once a run: a small market of one day, and a fuller one of twelve."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from marketplace import create_app
from marketplace.foundation.config import read_settings
from marketplace.foundation.database import db
from marketplace.simulation import command
from tests.seeded import seeded_folder
from tests.shared import made_once

__all__ = ["DAYS", "seeded_folder", "traded", "traded_folders"]

DAYS = {"few": 1, "many": 12}


def opened(folder: Path) -> Flask:
    """An application on the market in a folder."""
    app = create_app(read_settings({}, environment="test", data_dir=folder, secret_key="t" * 40))
    app.config["WTF_CSRF_ENABLED"] = False
    app.testing = True
    return app


@pytest.fixture(scope="session")
def traded_folders(seeded_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    def trade(folder: Path) -> None:
        for size, days in DAYS.items():
            shutil.copytree(seeded_folder, folder / size)
            app = opened(folder / size)
            result = app.test_cli_runner().invoke(command.group, ["--days", str(days), "--until", "2026-11-20", "--json"])
            assert result.exit_code == 0, result.output
            with app.app_context():
                db.session.remove()
                db.engine.dispose()

    own = tmp_path_factory.mktemp("traded") / "markets"  # a test that only reads puts something into a cart all the same
    shutil.copytree(made_once(tmp_path_factory, "traded", trade), own)
    return {size: own / size for size in DAYS}


@pytest.fixture(params=list(DAYS))
def traded(request: pytest.FixtureRequest, traded_folders: dict[str, Path]) -> Iterator[Flask]:
    """An application on one of them, inside an application context. Only to be read."""
    app = opened(traded_folders[request.param])
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()
