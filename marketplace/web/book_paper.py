"""A kind of paper of money, as a list: what of each row is told, who said it and who agreed, and by which states it is filtered."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import aliased

from marketplace.foundation.crypto import last_four
from marketplace.foundation.language import N_
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


def of_two(
    label: str, nothing: str, model: Any, number: tuple[str, Any], fen: Any, joined: Callable[[Any], Any], *,
    says: Callable[[Any], str] | None = None, states: Sequence[str] = ("PROPOSED", "APPROVED", "RETURNED"), source: str = "",
) -> Paper:
    """What one person said of a thing and another decided on. ``number`` is a heading and what the thing is known by, ``joined`` brings its
    table to the query, ``says`` tells which of several things was said."""
    columns = (
        Column(N_("提出"), "moment"), Column(number[0]), *((Column(N_("说是什么")),) if says else ()), Column(N_("金额"), "fen"), Column(N_("理由")), Column(N_("提出人")),
        Column(N_("状态")), Column(N_("决定人")), Column(N_("决定"), "moment", shown=False), Column(N_("答复"), shown=False),
    )  # fmt: skip

    def cells(row: Any) -> tuple[Any, ...]:
        its, _owner, called, its_fen, maker, other = row
        told = (says(its),) if says else ()
        return (its.proposed_at, called, *told, its_fen, its.reason, maker, decided_words()[its.state], other, its.decided_at, getattr(its, "answer", ""))

    def query() -> Any:
        return joined(listed(model, number[1], fen, maker=model.proposed_by_id, other=model.decided_by_id))

    return Paper(label, nothing, model, model.proposed_at, query, columns, cells, decided(model.state, *states), source)
