"""What is installed is pinned, with hashes, and the same for the market and for its tests."""

import re
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]


def pins(name: str) -> dict[str, tuple[str, int]]:
    """Package → (version, number of hashes)."""
    blocks = re.split(r"\n(?=[A-Za-z0-9])", (TOP / name).read_text())
    found = {}
    for block in blocks:
        if match := re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\\\n;]+)", block):
            found[match[1].lower()] = (match[2].strip(), block.count("--hash=sha256:"))
    return found


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_pin_has_its_hashes(name: str) -> None:
    held = pins(name)
    assert len(held) > 50
    assert [package for package, (_, hashes) in held.items() if hashes == 0] == []


def test_the_tests_run_on_what_the_market_runs_on() -> None:
    market, tests = pins("requirements.txt"), pins("requirements-dev.txt")
    assert {package: version for package, (version, _) in market.items() if tests.get(package, ("", 0))[0] != version} == {}


@pytest.mark.parametrize(("asked", "held"), [("requirements.in", "requirements.txt"), ("requirements-dev.in", "requirements-dev.txt")])
def test_what_is_asked_for_is_pinned(asked: str, held: str) -> None:
    names = re.findall(r"^([A-Za-z0-9][A-Za-z0-9._-]*)", (TOP / asked).read_text(), re.MULTILINE)
    assert [name for name in names if name.lower() not in pins(held)] == []


def test_the_installer_is_pinned_where_the_set_up_looks_for_it() -> None:
    text = (TOP / "requirements-dev.txt").read_text()
    block = re.search(r"^uv==.*?^    # via", text, re.MULTILINE | re.DOTALL)
    assert block
    assert block[0].count("==") == 1
    assert block[0].count("--hash=") > 5
