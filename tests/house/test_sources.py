"""Every source that an entry can have leads its reader on to what caused it."""

import ast
from collections.abc import Iterator
from pathlib import Path

from marketplace.reporting.entry_cause import CAUSES

TOP = Path(__file__).resolve().parents[2] / "marketplace"
# Sources without a page to lead to, each with the reason why.
NOWHERE: dict[str, str] = {}


def named() -> Iterator[tuple[str, str]]:
    """(file, source type) of each ``Source(...)`` of the domain; the names of constants are looked up in their file."""
    for path in TOP.rglob("*.py"):
        tree = ast.parse(path.read_text())
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Source" and node.args:
                said = node.args[0]
                kind = said.value if isinstance(said, ast.Constant) else constants.get(said.id) if isinstance(said, ast.Name) else None
                assert isinstance(kind, str), f"{path.name}:{node.lineno} names a source that cannot be read here"
                yield path.name, kind


def test_every_source_has_its_cause() -> None:
    found = {kind for _file, kind in named()}
    assert {"settlement", "alipay_withdrawal", "remittance"} <= found, "the reading finds what is there"
    assert found - CAUSES.keys() == NOWHERE.keys()
    assert CAUSES.keys() - found == set(), "a cause of no source"
