"""The ladder is a contract that is kept, and that notices when it is not."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the packages that can be spoilt."""
    shutil.copytree(TOP / "marketplace", tmp_path / "marketplace", ignore=shutil.ignore_patterns("__pycache__", "locale"))
    shutil.copy(TOP / "pyproject.toml", tmp_path)
    return tmp_path


def lint(house: Path) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-c", LINT], cwd=house, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


BROKEN = {
    "upwards": ("foundation/money.py", "import marketplace.ledger.posting"),
    "between entrances": ("jobs/schedule_of_pages.py", "import marketplace.web.account"),
    "the emulator reaches out": ("emulator/keys.py", "import marketplace.organisations.person"),
    "the shop knows its emulator": ("api/health.py", "import marketplace.emulator.keys"),
    "a package that has no rung": ("gossip/__init__.py", ""),
}


def test_the_ladder_is_kept(house: Path) -> None:
    code, said = lint(house)
    assert code == 0, said


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_rung_is_noticed(house: Path, how: str) -> None:
    path, line = BROKEN[how]
    file = house / "marketplace" / path
    file.parent.mkdir(exist_ok=True)
    with file.open("a") as text:
        text.write(f"\n{line}\n")
    code, said = lint(house)
    assert code == 1, said
