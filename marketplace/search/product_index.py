"""The index of products on sale: a Whoosh folder under DATA_DIR/search that answers ids and nothing else.

It is a shadow of the tables: fed through the outbox in the transaction of the change, and rebuilt from them at any time.
"""

import os
import shutil
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rapidfuzz import process
from rapidfuzz.distance import OSA
from sqlalchemy import select
from sqlalchemy.orm import aliased

from marketplace.catalogue.category import CATEGORIES, Category
from marketplace.catalogue.product import Product
from marketplace.foundation import outbox
from marketplace.foundation.config import settings
from marketplace.foundation.database import db
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.region import Region

with warnings.catch_warnings():
    # Whoosh's regular expressions are older than the warning about them.
    warnings.simplefilter("ignore")
    import whoosh.codec.whoosh3  # noqa: F401  loaded late by Whoosh otherwise, and it warns too
    from whoosh import fields, index
    from whoosh.query import And, Or, Prefix, Term
    from whoosh.writing import AsyncWriter

    from marketplace.search import word

KIND = "search.product"
_LONGEST = 80  # characters of a question that are looked at
_WORDS = 8


def index_product(product_id: int) -> None:
    """Ask, in the open transaction, for this product to be searchable as it now is (or no longer, when it is not on sale)."""
    outbox.put(KIND, str(product_id), {"product_id": product_id})


def index_everything() -> None:
    """Ask, in the open transaction, for the index to be made anew: quicker than many products one by one."""
    outbox.put(KIND, "everything", {})


def query(words: str, limit: int = 200) -> list[int]:
    """Ids of products on sale for what somebody typed, best first. Every word must be found; a slip of the keyboard
    or a wrong character of the same sound is forgiven when nothing else is found. Empty if there is no index yet."""
    _learn_places()
    asked = word.words(words[:_LONGEST])[:_WORDS]
    if not asked:
        return []
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


def ready() -> bool:
    """Whether there is an index to ask."""
    return bool(index.exists_in(str(_folder())))


def rebuild() -> int:
    """Make the index anew from the tables and put it in the place of the old one. Returns how many products it holds."""
    _learn_places(again=True)
    fresh = _folder().with_name(f"search.{os.getpid()}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True, mode=0o700)
    made = index.create_in(str(fresh), _schema())
    writer = made.writer()
    for document in _documents(_on_sale()):
        writer.add_document(**document)
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


@outbox.handles(KIND)
def _update(payload: dict[str, Any]) -> None:
    if not ready() or "product_id" not in payload:
        rebuild()
        return
    _learn_places()
    product_id = int(payload["product_id"])
    documents = list(_documents(_on_sale().where(Product.id == product_id)))
    db.session.rollback()
    opened = index.open_dir(str(_folder()))
    writer = AsyncWriter(opened)
    if documents:
        writer.update_document(**documents[0])
    else:
        writer.delete_by_term("id", str(product_id))
    writer.commit()
    opened.close()


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


def _on_sale() -> Any:
    village, township = aliased(Region), aliased(Region)
    return (
        select(Product, Organisation.name_zh, Organisation.name_en, village, township, Category)
        .join(Organisation, Organisation.id == Product.organisation_id)
        .join(village, village.id == Product.origin_id)
        .join(township, township.id == Product.township_id)
        .join(Category, Category.code == Product.category)
        .where(Product.state == "ON_SALE")
        .order_by(Product.id)
    )


def _documents(products: Any) -> Iterator[dict[str, str]]:
    for product, seller, seller_en, village, township, category in db.session.execute(products):
        name = f"{product.name_zh} {category.name_zh} {CATEGORIES[category.code][0]} {village.name_zh}"
        rest = (
            product.name_en, product.summary_zh, product.summary_en, seller, seller_en, village.name_en, township.name_zh, township.name_en, category.name_en,
        )  # fmt: skip
        heard = {sound for each in word.words(f"{name} {township.name_zh}") for sound in word.sounds(each)}
        yield {
            "id": str(product.id),
            "name": name,
            "words": " ".join(each for each in rest if each),
            "sounds": " ".join(sorted(heard)),
        }


def _ask(asked: list[str], limit: int) -> list[int]:
    opened = index.open_dir(str(_folder()))
    try:
        with opened.searcher() as searcher:
            for question in (And([_exactly(each) for each in asked]), And([_roughly(each, opened) for each in asked])):
                found = [int(hit["id"]) for hit in searcher.search(question, limit=limit)]
                if found:
                    return found
            return []
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
    heard = asked if asked.isascii() else next(iter(word.sounds(asked)), "")
    wanted = [_exactly(asked)]
    if heard:
        wanted.append(Term("sounds", heard))
    if len(heard) >= 4:
        with opened.reader() as reader:
            known = [term.decode() for term in reader.lexicon("sounds")] + [term.decode() for term in reader.lexicon("words")]
        near: Iterable[Any] = process.extract(heard, known, scorer=OSA.distance, score_cutoff=1 if len(heard) < 8 else 2, limit=5)
        for term, _, _ in near:
            wanted += [Term("sounds", term), Term("words", term)]
    return Or(wanted)


_learned: set[str] = set()  # databases whose places are words already


def _learn_places(again: bool = False) -> None:
    address = settings().sqlalchemy_url
    if address in _learned and not again:
        return
    names = list(db.session.scalars(select(Region.name_zh)))
    word.learn(names)
    if names:
        _learned.add(address)
