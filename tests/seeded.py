"""The county's seed, loaded once a run into a database file and a search index that tests then copy."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from marketplace import create_app
from marketplace.cli import seed
from marketplace.foundation.config import read_settings
from marketplace.foundation.database import db
from tests.shared import made_once


@pytest.fixture(scope="session")
def seeded_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "seeded", _load)


def _load(folder: Path) -> None:
    app = create_app(read_settings({}, environment="test", data_dir=folder, secret_key="t" * 40))
    with app.app_context():
        db.create_all()
    result = app.test_cli_runner().invoke(seed.group, ["--json"])
    assert result.exit_code == 0, result.output
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def market(seeded_folder: Path, tmp_path: Path) -> Iterator[Flask]:
    """An application on a copy of the seeded market, inside an application context."""
    shutil.copytree(seeded_folder, tmp_path / "market")
    app = create_app(read_settings({}, environment="test", data_dir=tmp_path / "market", secret_key="t" * 40))
    app.config["WTF_CSRF_ENABLED"] = False
    app.testing = True
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()
