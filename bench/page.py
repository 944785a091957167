"""docs/performance.md: each part's section stands between two marks and is replaced when that part ran; all else is written by hand."""

import re

from bench.part import TOP, Part

PATH = TOP / "docs" / "performance.md"


def write(part: Part, how: str, blocks: list[str]) -> None:
    """Put the section of ``part`` into the page, in the place of the old one or else at the end."""
    text = PATH.read_text(encoding="utf-8") if PATH.exists() else "# Performance\n"
    body = "\n\n".join([f"## {part.title}", f"*{how}*", *(block.strip() for block in blocks)])
    section = f"<!-- {part.name} begins -->\n{body}\n<!-- {part.name} ends -->"
    marked = re.compile(rf"<!-- {re.escape(part.name)} begins -->.*?<!-- {re.escape(part.name)} ends -->", re.DOTALL)
    if marked.search(text):
        text = marked.sub(lambda _: section, text)
    else:
        text = f"{text.rstrip()}\n\n{section}\n"
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(text, encoding="utf-8")
