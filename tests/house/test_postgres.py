"""The PostgreSQL of the tests: databases from a template, and nothing left when its owner is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.postgres import PostgresServer

TOP = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.postgres
OWNER = """
import time
from tests.postgres import postgres_server
with postgres_server() as server:
    print(server.folder, flush=True)
    time.sleep(60)
"""


def ask(address: str, question: str) -> object:
    engine = create_engine(address)
    try:
        with engine.begin() as connection:
            result = connection.execute(text(question))
            return result.scalar() if result.returns_rows else None
    finally:
        engine.dispose()


def test_a_copy_of_a_template_has_its_rows_and_its_own_life(postgres: PostgresServer) -> None:
    template = postgres.create_database("a_template")
    ask(template, "CREATE TABLE tin (grams bigint)")
    ask(template, "INSERT INTO tin VALUES (50)")
    first, second = postgres.fresh_database("a_template"), postgres.fresh_database("a_template")
    ask(first, "DELETE FROM tin")
    assert ask(first, "SELECT count(*) FROM tin") == 0
    assert ask(second, "SELECT grams FROM tin") == 50
    for each in (first, second, "a_template"):
        postgres.drop_database(each)
    left = ask(postgres.url(), "SELECT string_agg(datname, ' ') FROM pg_database")
    assert "a_template" not in str(left)


def test_killing_its_owner_ends_it() -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER], cwd=TOP, stdout=subprocess.PIPE, text=True)
    assert owner.stdout
    folder = Path(owner.stdout.readline().strip())
    server = int((folder / "data" / "postmaster.pid").read_text().split()[0])
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    until = time.monotonic() + 10
    while _runs(server) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _runs(server)
    subprocess.run(["rm", "-rf", str(folder)], check=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return Path(f"/proc/{process}/status").read_text().find("State:\tZ") < 0
