"""The index on PostgreSQL: a table of words segmented by us, with a GIN index, written in the database's own transactions.

Every node sees the same one. Lexemes carry where they stand: A in the name, B in the other texts, D is how a word sounds.
"""

import threading
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, bindparam, delete, func, select
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import TSVECTOR, insert
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Model, db, transaction
from marketplace.search import word
from marketplace.search.slip import near

CHUNK = 1_000
RANKED = 3_000  # of more answers than this, the first ones found are put in order
LONGEST = 80


class SearchDocument(Model):
    """The words of a product on sale. Empty on a database that is not PostgreSQL."""

    __tablename__ = "search_document"
    __table_args__ = (Index("ix_search_document_terms", "terms", postgresql_using="gin").ddl_if(dialect="postgresql"),)

    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"), primary_key=True, autoincrement=False)
    terms: Mapped[str] = mapped_column(TSVECTOR().with_variant(Text(), "sqlite"))


class SearchTerm(Model):
    """Every word written in Latin letters that the index ever held: what a slip of the keyboard is compared with."""

    __tablename__ = "search_term"

    term: Mapped[str] = mapped_column(String(LONGEST), primary_key=True)


_document: Any = SearchDocument.__table__
_term: Any = SearchTerm.__table__
_QUESTION: Any = sql("CAST(:question AS tsquery)")
_FOUND = (
    select(_document.c.product_id, _document.c.terms)
    .where(_document.c.terms.op("@@")(_QUESTION))
    .limit(RANKED)
    .subquery("found")
)
_ASK = (
    select(_FOUND.c.product_id)
    .order_by(func.ts_rank(sql("'{0.1, 0.1, 0.3, 1.0}'::real[]"), _FOUND.c.terms, _QUESTION).desc(), _FOUND.c.product_id)
    .limit(bindparam("most"))
)


def ask(asked: list[str], limit: int) -> list[int]:
    """Ids for these words, best first."""
    found = _answer([_exactly(each) for each in asked], limit)
    return found or _answer([_roughly(each) for each in asked], limit)


def trouble() -> str:
    """Why the index cannot be asked, and what to do; empty if it can."""
    return "" if db.session.scalar(select(_document.c.product_id).limit(1)) else "no index: run `flask search rebuild`"


def generation() -> str:
    """Nothing: the index is a table of the shelf, and its version tells."""
    return ""


def put(product_id: int, document: Any) -> None:
    """Make a product searchable as ``document``, or no longer if there is none."""

    def write() -> None:
        if document:
            _write([document])
        else:
            db.session.execute(delete(SearchDocument).where(SearchDocument.product_id == product_id))

    transaction(write)


def rebuild(documents: Iterable[Any]) -> int:
    """An index of these documents takes the place of the old one, in one transaction. How many there are."""
    every = list(documents)
    db.session.rollback()

    def write() -> None:
        db.session.execute(delete(SearchDocument))
        db.session.execute(delete(SearchTerm))
        for at in range(0, len(every), CHUNK):
            _write(every[at : at + CHUNK])

    transaction(write)
    return len(every)


def _write(documents: list[Any]) -> None:
    rows = [{"product_id": each.product_id, "terms": _vector(each)} for each in documents]
    upsert = insert(_document)
    db.session.execute(upsert.on_conflict_do_update(index_elements=["product_id"], set_={"terms": upsert.excluded.terms}), rows)
    terms = sorted({term for each in documents for term in _latin(each)})
    if terms:
        db.session.execute(insert(_term).on_conflict_do_nothing(), [{"term": term} for term in terms])


def _vector(document: Any) -> str:
    """The text of a tsvector: each lexeme quoted, with its places (at most 16,383, as PostgreSQL counts) and weight."""
    lexemes = []
    for weight, terms in (("A", word.words(document.name)), ("B", word.words(document.words)), ("D", document.sounds)):
        lexemes += [f"{_quoted(term)}:{min(place, 16_383)}{weight}" for place, term in enumerate(terms, 1)]
    return " ".join(lexemes)


def _latin(document: Any) -> Iterator[str]:
    yield from (term for term in (*document.sounds, *word.words(document.words)) if term.isascii() and len(term) <= LONGEST)


def _answer(parts: list[str], limit: int) -> list[int]:
    question = " & ".join(f"({part})" for part in parts)
    return list(db.session.scalars(_ASK, {"question": question, "most": limit}))


def _exactly(asked: str) -> str:
    wanted = [f"{_quoted(each)}:AB" for each in (asked, *word.SYNONYMS.get(asked, ()))]
    if asked.isascii():
        wanted.append(f"{_quoted(asked)}:D")
        if len(asked) >= 3:
            wanted.append(f"{_quoted(asked)}:*BD")
    return " | ".join(wanted)


def _roughly(asked: str) -> str:
    """The word, one of the same sound, or one a slip away from it."""
    heard = word.heard(asked)
    wanted = [_exactly(asked)]
    if heard:
        wanted.append(f"{_quoted(heard)}:D")
    if len(heard) >= 4:
        wanted += [f"{_quoted(term)}:BD" for term in near(heard, _known_terms())]
    return " | ".join(wanted)


def _quoted(term: str) -> str:
    return "'" + term.replace("\\", "\\\\").replace("'", "''") + "'"


_lock = threading.Lock()
_kept: dict[str, tuple[int, list[str]]] = {}  # database → how many terms there were, and they: terms are only added


def _known_terms() -> list[str]:
    count = db.session.scalar(select(func.count()).select_from(_term)) or 0
    address = str(db.engine.url)
    with _lock:
        kept = _kept.get(address)
    if kept is None or kept[0] != count:
        kept = (count, list(db.session.scalars(select(_term.c.term))))
        with _lock:
            _kept[address] = kept
    return kept[1]
