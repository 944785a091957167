"""``flask demo`` as a newcomer meets it: it opens, moves aside when its port is taken, and leaves nothing running."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket

import pytest

from tests.demonstration import demonstration

TOP = Path(__file__).resolve().parents[2]
LOOPBACK = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def processes_of(folder: Path) -> list[str]:
    """Command lines of all processes that work in this DATA_DIR."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (each / "environ").read_bytes():
                found.append((each / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


@contextmanager
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        yield somebody.getsockname()[1]


def changed_in_the_checkout() -> str:
    """What git says was changed, added or left behind in the checkout; what it ignores (var/, caches) aside."""
    done = subprocess.run(["git", "status", "--porcelain", "--untracked-files=all"], cwd=TOP, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("no checkout of git")
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One DATA_DIR for all: the second start finds the data of the first."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture
def opened(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str, str, int]]:
    with taken() as port, demonstration(folder, port, "--days", "0") as (demo, address, said):
        yield demo, address, said, port


@pytest.fixture(scope="module")
def before() -> str:
    return changed_in_the_checkout()


def test_opens_beside_a_taken_port_and_ends_with_ctrl_c(
    before: str, opened: tuple[subprocess.Popen[str], str, str, int], folder: Path
) -> None:
    demo, address, said, port = opened
    assert f"Port {port} is taken" in said
    assert not address.endswith(f":{port}/")
    with LOOPBACK.open(address + "readyz", timeout=10) as answer:
        assert json.load(answer)["status"] == "ready"
    with LOOPBACK.open(address, timeout=10) as answer:
        assert "靖" in answer.read().decode()
    assert re.search(r"customer +customer", said), "the sign-ins are printed"
    assert len(processes_of(folder)) > 2
    assert any(command.endswith("flask jobs run ") for command in processes_of(folder)), "somebody does what is due"

    demo.send_signal(signal.SIGINT)
    assert demo.wait(20) == 0
    assert processes_of(folder) == []
    assert changed_in_the_checkout() == before, "a demonstration leaves the checkout as it was"
    kept_out = subprocess.run(["git", "check-ignore", "-q", "var/market.sqlite3"], cwd=TOP, check=False)
    assert kept_out.returncode == 0, "nor does its own folder of data count as a change"


def test_what_it_started_ends_even_when_it_is_killed(
    opened: tuple[subprocess.Popen[str], str, str, int], folder: Path
) -> None:
    demo, _, _, _ = opened
    demo.kill()
    demo.wait()
    until = time.monotonic() + 15
    while processes_of(folder) and time.monotonic() < until:
        time.sleep(0.1)
    assert processes_of(folder) == []


def test_ctrl_c_while_the_data_is_loaded_leaves_nothing_running(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "flask", "demo"],
        cwd=TOP,
        env={key: value for key, value in os.environ.items() if key != "MARKET_ENV"} | {"DATA_DIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert demo.stdout
    with demo.stdout:
        assert any("load the county's data:" in line for line in demo.stdout)
        demo.send_signal(signal.SIGINT)
        assert "nothing is left running" in demo.stdout.read()
    assert demo.wait(20) == 0
    assert processes_of(tmp_path) == []


def test_production_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flask", "demo"],
        cwd=TOP,
        env=os.environ | {"DATA_DIR": str(tmp_path), "MARKET_ENV": "production"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0
    assert "SECRET_KEY: missing" in done.stderr
