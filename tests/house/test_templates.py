"""Templates translate what is written in them and nothing else: ``_`` marks its message as markup, so nobody else's words may reach it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import Environment, nodes

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"


def written(message: nodes.Node) -> bool:
    """Whether a message stands in the template itself, or is one of two that do."""
    if isinstance(message, nodes.CondExpr):
        return written(message.expr1) and message.expr2 is not None and written(message.expr2)
    return isinstance(message, nodes.Const)


def given_markup(text: str) -> Iterator[int]:
    """The lines on which words that are not the template's own would be taken for markup."""
    tree = Environment().parse(text)
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in ("_", "gettext") and not (len(call.args) == 1 and written(call.args[0])):
            yield call.lineno
    for told in tree.find_all(nodes.Filter):
        if told.name == "safe":
            yield told.lineno


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_only_a_templates_own_words_are_markup(path: Path) -> None:
    assert list(given_markup(path.read_text())) == []


@pytest.mark.parametrize("text", ["{{ _(item.reason) }}", "{{ _('a' ~ reason) }}", "{{ tag(_(words[kind]), 'wait') }}", "{{ reason|safe }}", "{{ _('a' if x else y) }}"])
def test_a_planted_fault_is_found(text: str) -> None:
    assert list(given_markup(text)) == [1]


def test_what_is_right_is_let_be() -> None:
    assert list(given_markup("{{ _('退回') if back else _('同意') }} {{ _('一' if x else '二') }} {{ translated(reason) }} {{ _('因为 %(why)s', why=reason) }}")) == []
