"""``deploy/backup`` saves one moment of a database that is being written to, and says so by sums."""

import os
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.postgres import PostgresServer

BACKUP = Path(__file__).resolve().parents[2] / "deploy" / "backup"


def save(folder: Path, **environ: str) -> Path:
    done = subprocess.run([str(BACKUP), str(folder)], env=os.environ | environ, capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())


def test_an_open_database_is_saved_at_one_moment(tmp_path: Path) -> None:
    data = tmp_path / "数据 folder"
    (data / "files" / "ab").mkdir(parents=True)
    (data / "files" / "ab" / "abcd").write_bytes(b"a licence")
    writer = sqlite3.connect(data / "market.sqlite3", isolation_level=None)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("CREATE TABLE tin (grams)")
    writer.execute("INSERT INTO tin VALUES (50)")
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO tin VALUES (100)")

    saved = save(tmp_path / "backups", DATA_DIR=str(data), DATABASE_URL=f"sqlite:///{data / 'market.sqlite3'}")

    writer.execute("COMMIT")
    writer.close()
    copy = sqlite3.connect(saved / "market.sqlite3")
    assert copy.execute("SELECT grams FROM tin").fetchall() == [(50,)]
    copy.close()
    assert (saved / "files" / "ab" / "abcd").read_bytes() == b"a licence"
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=saved, check=True)
    assert [each.name for each in saved.parent.iterdir()] == [saved.name]


@pytest.mark.postgres
def test_postgresql_is_saved_by_its_own_program(postgres: PostgresServer, tmp_path: Path) -> None:
    address = postgres.create_database("to_be_saved")
    path = f"{postgres.programs}:{os.environ['PATH']}"
    saved = save(tmp_path / "backups", DATABASE_URL=address, DATA_DIR=str(tmp_path / "data"), PATH=path)
    assert (saved / "market.dump").read_bytes()[:5] == b"PGDMP"
    postgres.drop_database(address)


def test_a_failure_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    (tmp_path / "market.sqlite3").write_bytes(b"not a database" * 100)
    with pytest.raises(subprocess.CalledProcessError):
        save(tmp_path / "backups", DATABASE_URL=f"sqlite:///{tmp_path / 'market.sqlite3'}", DATA_DIR=str(tmp_path / "none"))
    assert [each.suffix for each in (tmp_path / "backups").iterdir()] == [".part"]
