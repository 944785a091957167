"""A kind of paper of money, as a list: what of each row is told, who said it and who agreed, and by which states it is filtered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import aliased

from marketplace.foundation.crypto import last_four
from marketplace.foundation.language import gettext as _
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import Person
from marketplace.web.key_page import Sorts


class Column(NamedTuple):
    """A heading, how its cells are written (``spreadsheet.FORMATS``), and whether a page has room for it; a sheet has room for all."""

    heading: str
    kind: str = "text"
    shown: bool = True


@dataclass(frozen=True)
class Paper:
    """One kind. ``query`` selects the row itself and then its cooperative; ``cells`` makes of a result what ``columns`` name; ``at`` is
    the day or moment that a page is filtered by; ``states`` are the filter's words, with the condition of each; ``source`` is what the ledger
    calls such a row, if it posts."""

    label: str
    nothing: str
    model: Any
    at: Any
    query: Callable[[], Select[*tuple[Any, ...]]]
    columns: tuple[Column, ...]
    cells: Callable[[Any], tuple[Any, ...]]
    states: Callable[[], Mapping[str, tuple[str, ColumnElement[bool]]]]
    source: str = ""

    @property
    def sorts(self) -> Sorts:
        """By age either way, and by amount, whichever its sign, where a row has one."""
        found = {"new": (self.model.id, True), "old": (self.model.id, False)}
        fen = next((column for name in ("fen", "base_fen") if (column := getattr(self.model, name, None)) is not None), None)
        return found if fen is None else {**found, "amount": (func.abs(fen), True)}


_maker, _other = aliased(Person), aliased(Person)


def listed(model: Any, *more: Any, maker: Any = None, other: Any = None) -> Select[*tuple[Any, ...]]:
    """Rows with their cooperative, ``more``, and the names of up to two people."""
    query = select(model, Organisation, *more)
    for person, column in ((_maker, maker), (_other, other)):
        if column is not None:
            query = query.add_columns(person.name_zh)
    query = query.select_from(model).join(Organisation, Organisation.id == model.organisation_id)
    for person, column in ((_maker, maker), (_other, other)):
        if column is not None:
            query = query.outerjoin(person, person.id == column)
    return query


def by_state(column: Any, words: Mapping[str, Any]) -> dict[str, tuple[str, ColumnElement[bool]]]:
    """The filter of a column of states: by state its words (of a pair, the first) and the condition."""
    return {state: (_(said[0]) if isinstance(said, tuple) else said, column == state) for state, said in words.items()}


def decided_words() -> dict[str, str]:
    """What became of a proposal of one person that another decides on."""
    return {
        "PROPOSED": _("等同意"), "OPEN": _("等同意"), "APPROVED": _("已同意"), "DONE": _("已同意"), "PAID": _("已转账"), "REFUSED": _("没有同意"), "RETURNED": _("没有同意"),
        "WITHDRAWN": _("不退了"),
    }  # fmt: skip


def decided(column: Any, *names: str) -> Callable[[], dict[str, tuple[str, ColumnElement[bool]]]]:
    """The filter of a proposal's states, of these."""
    return lambda: by_state(column, {name: decided_words()[name] for name in names})


def tail(account: str) -> str:
    """The last four characters of an account number; nothing of none."""
    return last_four(account) if account else ""
