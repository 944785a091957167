"""The commands explain themselves, and need no folder of a certain name."""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
TARGETS = {"help", "demo", "test", "soak", "lint", "bench", "screenshots", "audit", "requirements", "clean"}


def test_make_alone_explains_every_target_wherever_the_folder_is(tmp_path: Path) -> None:
    folder = tmp_path / "新 市场 'x'"
    folder.mkdir()
    shutil.copy(TOP / "Makefile", folder)
    said = subprocess.run(["make"], cwd=folder, capture_output=True, text=True, check=True).stdout
    explained = dict(re.findall(r"^  make (\S+) +(\S.*)$", said, re.MULTILINE))
    assert explained.keys() == TARGETS
    assert set(re.findall(r"^([a-z]+):", (TOP / "Makefile").read_text(), re.MULTILINE)) == TARGETS


def test_an_environment_that_holds_is_let_be(tmp_path: Path) -> None:
    """The second time is quick: nothing but the sums of the files is looked at."""
    folder = tmp_path / "新 市场"
    shutil.copytree(TOP / ".ci", folder / ".ci")
    for name in ("requirements.txt", "requirements-dev.txt"):
        shutil.copy(TOP / name, folder)
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    held = ""
    for name in ("requirements.txt", "requirements-dev.txt"):
        sums = subprocess.run(["cksum"], input=(TOP / name).read_text(), capture_output=True, text=True, check=True).stdout
        held += f"{name} {sums}"
    (folder / ".venv" / ".held").write_text(held)
    # What only tests need may change: the demonstration still has all that it asks for, and nothing is taken out from under the tests.
    (folder / "requirements-dev.txt").write_text("")
    assert _environment(folder, "demo") == (0, "", "")
    shutil.copy(TOP / "requirements-dev.txt", folder)
    for kind in ("dev", "demo"):
        assert _environment(folder, kind) == (0, "", "")
    assert min(_set_up(folder) for _ in range(3)) < 3, "the best of three: what else the machine does is not ours"


def _set_up(folder: Path) -> float:
    """Seconds that all the set-up of `make demo` and `make test` takes where it has been done before."""
    began = time.monotonic()
    for kind in ("demo", "dev"):
        assert _environment(folder, kind) == (0, "", "")
    assert subprocess.run([str(folder / ".ci" / "setup_debian")], capture_output=True, check=False, timeout=60).returncode == 0
    return time.monotonic() - began


def _environment(folder: Path, kind: str) -> tuple[int, str, str]:
    done = subprocess.run([str(folder / ".ci" / "environment"), kind], capture_output=True, text=True, check=False, timeout=10)
    return done.returncode, done.stdout, done.stderr


def test_ci_ends_with_the_tests() -> None:
    lines = (TOP / ".ci" / "run").read_text().splitlines()
    assert lines[-1] == "exec make test"
    assert "set -euo pipefail" in lines
