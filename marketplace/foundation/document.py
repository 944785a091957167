"""Documents as PDF: a Typst template of ours, and data as JSON beside it, never pasted into it. The fonts are ours too, so that every
machine sets the same page; what they lack (a rare character of a name) comes from the machine's own fonts.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from marketplace.foundation import clock

_TEMPLATES = Path(__file__).resolve().parents[2] / "templates" / "documents"


def pdf(name: str, data: dict[str, Any]) -> bytes:
    """The document ``name`` filled with ``data`` (plain JSON). KeyError for a template that does not exist."""
    import typst

    # Its own types speak of a loader that we do not use.
    made: bytes = typst.compile(  # type: ignore[call-overload,misc,assignment,unused-ignore]
        _template(name),
        font_paths=[str(_TEMPLATES / "fonts")],
        sys_inputs={"data": json.dumps(data, ensure_ascii=False)},
        timestamp=int(clock.now().timestamp()),
    )
    return made


@lru_cache(maxsize=32)
def _template(name: str) -> bytes:
    path = _TEMPLATES / f"{name}.typ"
    if not path.is_file():
        raise KeyError(name)
    return (_TEMPLATES / "sheet.typ").read_bytes() + b"\n" + path.read_bytes()
