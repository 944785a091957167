"""Documents say what is: settings are listed as they are, links lead somewhere, and the two READMEs are twins."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from marketplace.foundation.config import Settings

TOP = Path(__file__).resolve().parents[2]
DOCUMENTS = [*TOP.glob("*.md"), *TOP.glob("docs/**/*.md"), *TOP.glob("deploy/**/*.md")]


def test_every_setting_is_listed_as_it_is() -> None:
    listed = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \| (.*?) \|$", (TOP / "docs/configuration.md").read_text(), re.MULTILINE)
    assert listed == [
        (each.metadata["variable"], each.metadata["about"], _shown(each.default)) for each in fields(Settings)
    ]


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return "`1`" if default else "`0`"
    return f"`{default}`" if str(default) else "empty"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(TOP)))
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text())
    inside = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    assert [link for link in inside if not (document.parent / link).exists()] == []


def test_the_readmes_are_twins() -> None:
    english, chinese = ((TOP / name).read_text() for name in ("README.md", "README.zh.md"))
    for what in (r"^(#+) ", r"^    (make \w+|flask [\w ]+)", r"\]\(([^)]+)\)", r"^\| `([\w-]+)`"):
        twins = [re.findall(what, text, re.MULTILINE) for text in (english, chinese)]
        twins = [[item.replace("README.zh.md", "README.md") for item in found] for found in twins]
        assert twins[0] == twins[1], what
        assert twins[0], what
