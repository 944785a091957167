"""The harness knows its parts, and replaces only the section that was measured."""

from pathlib import Path

import pytest

from bench import page
from bench.part import Part, Run, known, table


def test_the_parts_are_found_and_named_once() -> None:
    names = [each.name for each in known()]
    assert "pages" in names and len(names) == len(set(names))


def test_contestants_are_measured_in_turn() -> None:
    order: list[str] = []
    measured = Run(runs=3).in_turn({"a": lambda: order.append("a"), "b": lambda: order.append("b")})
    assert order == ["a", "b", "b", "a", "a", "b"] and {name: len(each) for name, each in measured.items()} == {"a": 3, "b": 3}


def test_a_section_is_replaced_and_what_people_wrote_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "PATH", tmp_path / "performance.md")
    page.PATH.write_text("# Performance\n\nBy hand.\n")
    books, pages = (Part(name, name.title(), 1, lambda run: []) for name in ("books", "pages"))
    page.write(books, "today", [table(("what", "n"), [("postings", 1)])])
    page.write(pages, "today", ["Quick."])
    page.PATH.write_text(page.PATH.read_text() + "\nMore by hand.\n")
    page.write(books, "tomorrow", ["Slow."])
    said = page.PATH.read_text()
    assert said.startswith("# Performance\n\nBy hand.\n") and said.endswith("\nMore by hand.\n")
    assert "| postings | 1 |" not in said and said.index("*tomorrow*\n\nSlow.") < said.index("*today*\n\nQuick.")
