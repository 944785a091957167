"""The program that people download to check a proof: one file, put together from the very modules that the market runs."""

from pathlib import Path

_HERE = Path(__file__).parent


def text() -> str:
    """The script. It needs Python 3.9 and nothing else."""
    script = (_HERE / "verify_receipt.py").read_text(encoding="utf-8")
    before, _, rest = script.partition("from marketplace.disclosure.tree_check import (")
    return before + _arithmetic() + rest.partition("\n)\n")[2]


def _arithmetic() -> str:
    """What stands in ``tree_check``, but for its opening words and the line that must come first in a file."""
    _, _, code = (_HERE / "tree_check.py").read_text(encoding="utf-8").partition("from __future__ import annotations\n")
    return code
