"""What the design language promises and a machine can check: contrast, nothing inline, little script, every piece in the reference and the guide."""

import re
from pathlib import Path

import pytest
from flask import Flask

TOP = Path(__file__).resolve().parents[2]
MACROS = sorted((TOP / "templates" / "macros").glob("*.html"))
TEMPLATES = sorted((TOP / "templates").rglob("*.html"))


def colours() -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", (TOP / "static/css/tokens.css").read_text()))


def brightness(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((brightness(one), brightness(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    ("words", "ground", "least"),
    [
        ("ink", "paper", 7), ("ink-2", "paper", 4.5), ("ink-2", "sheet", 4.5), ("ink-2", "tea-2", 4.5), ("ink-2", "mum-2", 4.5),
        ("on-dark", "tea", 4.5), ("on-dark", "ink", 7), ("tea-ink", "paper", 7), ("tea-ink", "tea-2", 4.5), ("mum-ink", "mum-2", 4.5),
        ("camellia", "paper", 4.5), ("camellia", "sheet", 4.5), ("camellia-ink", "camellia-2", 4.5), ("edge", "paper", 3), ("edge", "sheet", 3),
    ],
)  # fmt: skip
def test_words_stand_out_from_their_ground(words: str, ground: str, least: float) -> None:
    known = colours()
    assert contrast(known[words], known[ground]) >= least


def test_contrast_is_measured_as_the_standard_says() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#c98a1b", "#faf7f0") < 3


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(TOP / "templates")))
def test_nothing_is_inline_that_the_content_policy_refuses(template: Path) -> None:
    text = re.sub(r"\{#.*?#\}", "", template.read_text(), flags=re.S)
    assert not re.findall(r"\sstyle\s*=|<style|\son[a-z]+\s*=\s*[\"']|javascript:|hx-on", text)
    assert not re.findall(r"<script(?![^>]*\ssrc=)(?![^>]*type=\"application/)", text)


def test_own_script_stays_small() -> None:
    assert 0 < sum(path.stat().st_size for path in (TOP / "static/js").glob("*.js")) < 10_000


@pytest.mark.parametrize("macro", MACROS, ids=lambda path: path.stem)
def test_every_piece_is_in_the_reference_or_part_of_the_frame(macro: Path) -> None:
    reference = (TOP / "docs/design-language.md").read_text()
    framed = any(
        f"macros/{macro.name}" in base.read_text() for base in (TOP / "templates").glob("base*.html")
    )
    assert framed or f"| `{macro.stem}` |" in reference


def test_every_drawing_that_pages_name_is_there() -> None:
    drawings = {path.stem for path in (TOP / "static/drawings").glob("*.svg")}
    for template in TEMPLATES:
        named = re.findall(r"drawing(?:=|\()'([\w-]+)'", template.read_text())
        assert set(named) <= drawings, template


def test_the_guide_opens_in_both_languages_and_shows_no_two_elements_by_one_name(app: Flask) -> None:
    for language in ("zh", "en"):
        page = app.test_client().get("/design", headers={"X-Language": language})
        assert page.status_code == 200
        assert f'<html lang="{"en" if language == "en" else "zh-CN"}">' in page.text
        ids = re.findall(r'\sid="([^"]+)"', page.text)
        assert len(ids) == len(set(ids))
