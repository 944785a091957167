"""The embedded index: a Whoosh folder, DATA_DIR/search. It is private: its schema is pickled."""

import os
import shutil
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from marketplace.foundation.config import settings
from marketplace.search.slip import near

with warnings.catch_warnings():
    # Whoosh's regular expressions are older than the warning about them.
    warnings.simplefilter("ignore")
    import whoosh.codec.whoosh3  # noqa: F401  loaded late by Whoosh otherwise, and it warns too
    from whoosh import fields, index
    from whoosh.query import And, Or, Prefix, Term
    from whoosh.writing import AsyncWriter

    from marketplace.search import word


def ask(asked: list[str], limit: int) -> list[int]:
    """Ids for these words, best first. Empty if there is no index yet."""
    for attempt in (1, 2):
        try:
            return _ask(asked, limit)
        except FileNotFoundError:
            # A writer merged the segments between opening and reading: the new ones are there now.
            if attempt == 2:
                raise
        except index.EmptyIndexError:
            return []
    raise AssertionError("unreachable")


def trouble() -> str:
    """Why the index cannot be asked, and what to do; empty if it can."""
    try:
        if not index.exists_in(str(_folder())):
            return "no index: run `flask search rebuild`"
        index.open_dir(str(_folder())).close()
    except Exception as error:  # noqa: BLE001 -- a damaged index can fail in any way, and the way is the reason
        return f"unreadable ({type(error).__name__}): run `flask search rebuild`"
    return ""


def generation() -> str:
    """Which commit of which folder answers now."""
    try:
        contents = [each.name for each in _folder().iterdir() if each.suffix == ".toc"]
        return f"{_folder().stat().st_ino} {max(contents, default='')}"
    except OSError:
        return ""


def put(product_id: int, document: Any) -> None:
    """Make a product searchable as ``document``, or no longer if there is none."""
    opened = index.open_dir(str(_folder()))
    writer = AsyncWriter(opened)
    if document:
        writer.update_document(**_fields(document))
    else:
        writer.delete_by_term("id", str(product_id))
    writer.commit()
    opened.close()


def rebuild(documents: Iterable[Any]) -> int:
    """An index of these documents takes the place of the old one. How many there are."""
    fresh = _folder().with_name(f"search.{os.getpid()}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True, mode=0o700)
    made = index.create_in(str(fresh), _schema())
    writer = made.writer()
    for document in documents:
        writer.add_document(**_fields(document))
    writer.commit()
    count = int(made.doc_count())
    made.close()
    old = _folder().with_name(f"search.{os.getpid()}.old")
    shutil.rmtree(old, ignore_errors=True)
    if _folder().exists():
        _folder().rename(old)
    fresh.rename(_folder())
    shutil.rmtree(old, ignore_errors=True)
    return count


def _folder() -> Path:
    return settings().data_dir / "search"


def _schema() -> Any:
    analyzer = word.WordAnalyzer()
    return fields.Schema(
        id=fields.ID(stored=True, unique=True),
        name=fields.TEXT(analyzer=analyzer, phrase=False, field_boost=3.0),
        words=fields.TEXT(analyzer=analyzer, phrase=False),
        sounds=fields.KEYWORD(lowercase=True, field_boost=0.5),
    )


def _fields(document: Any) -> dict[str, str]:
    return {"id": str(document.product_id), "name": document.name, "words": document.words, "sounds": " ".join(document.sounds)}


def _ask(asked: list[str], limit: int) -> list[int]:
    opened = index.open_dir(str(_folder()))
    try:
        with opened.searcher() as searcher:
            found = searcher.search(And([_exactly(each) for each in asked]), limit=limit)
            if found.is_empty():
                found = searcher.search(And([_roughly(each, opened) for each in asked]), limit=limit)
            return [int(hit["id"]) for hit in found]
    finally:
        opened.close()


def _exactly(asked: str) -> Any:
    wanted = [Term(field, each) for each in (asked, *word.SYNONYMS.get(asked, ())) for field in ("name", "words")]
    if asked.isascii():
        wanted.append(Term("sounds", asked))
        if len(asked) >= 3:
            wanted += [Prefix("sounds", asked), Prefix("words", asked)]
    return Or(wanted)


def _roughly(asked: str, opened: Any) -> Any:
    """The word, one of the same sound, or one a slip away from it."""
    heard = word.heard(asked)
    wanted = [_exactly(asked)]
    if heard:
        wanted.append(Term("sounds", heard))
    if len(heard) >= 4:
        with opened.reader() as reader:
            known = [term.decode() for field in ("sounds", "words") for term in reader.lexicon(field)]
        for term in near(heard, known):
            wanted += [Term("sounds", term), Term("words", term)]
    return Or(wanted)
