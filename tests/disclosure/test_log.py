"""Every entry and notice has its leaf; nothing is missed under concurrent commits; the database refuses what would change the past."""

import threading
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from marketplace.disclosure import hash_tree, log_append, log_check, log_leaf
from marketplace.disclosure.log_leaf import LogLeaf
from marketplace.disclosure.tree_check import tree_root
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.ledger import account, event
from marketplace.ledger.entry import JournalEntry
from marketplace.ledger.posting import Source
from marketplace.notices import public_notice
from marketplace.organisations.organisation import Organisation
from tests.disclosure.sealed import head, seal, traded
from tests.ledger import account_book
from tests.ledger.account_book import Books

pytestmark = pytest.mark.both


def pay(books: Books, number: int, fen: int = 100) -> None:
    event.alipay_paid(book=books.cooperative, source=Source("payment", number), fen=fen)


def kinds() -> list[str]:
    return list(db.session.scalars(select(LogLeaf.kind).order_by(LogLeaf.seq)))


def entries_logged() -> list[int]:
    return list(db.session.scalars(select(LogLeaf.ref).where(LogLeaf.kind == "entry").order_by(LogLeaf.seq)))


def test_everything_gets_one_leaf_and_twice_is_harmless(app: Flask) -> None:
    traded()
    count = seal()
    entries = list(db.session.scalars(select(JournalEntry.id).order_by(JournalEntry.id)))
    assert entries_logged() == entries
    assert kinds() == ["entry"] * len(entries) + ["notice", "distribution", "payout"]
    assert (count, seal(), log_leaf.size()) == (len(entries) + 3, 0, len(entries) + 3)
    hashes = list(db.session.scalars(select(LogLeaf.hash).order_by(LogLeaf.seq)))
    assert log_leaf.root(count) == tree_root([bytes(each) for each in hashes])
    assert log_check.check().findings == []


def test_in_small_steps_it_is_the_same_tree(app: Flask) -> None:
    books = account_book.opened()
    for number in range(1, 12):
        with transaction():
            pay(books, number)
        if number % 3 == 0:
            seal()
    seal()
    leaves = db.session.scalars(select(LogLeaf).order_by(LogLeaf.seq)).all()
    assert [each.subtrees for each in leaves] == hash_tree.append(0, {}, [each.hash for each in leaves])


def test_a_withdrawn_notice_has_a_second_leaf(app: Flask) -> None:
    books = account_book.opened()
    with transaction():
        owner = db.session.get_one(Organisation, books.cooperative)
        notice = public_notice.publish(owner, organisation_id=owner.id, title_zh="公示", title_en=None, body={"total_fen": 1}, workdays=3)
        number = notice.id
    seal()
    with transaction():
        db.session.get_one(public_notice.PublicNotice, number).withdrawn_at = clock.now()
    assert seal() == 1
    assert kinds() == ["notice", "notice_withdrawn"]
    assert log_check.check().findings == []


def test_a_number_drawn_early_and_committed_late_is_not_passed_over(app: Flask) -> None:
    """Entry 2 is committed while entry 1 is not: the log waits for it, and gives both their leaf, in order."""
    if db.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer: nothing can be interleaved")
    books = account_book.opened()
    with transaction():
        account.ids(books.cooperative, [("alipay", ""), ("buyer_funds", "")])
    with app.app_context(), transaction():
        pay(books, 1)
        with app.app_context():
            with transaction():
                pay(books, 2)
            assert (seal(), seal()) == (0, 0)
    assert seal() == 2
    assert entries_logged() == [1, 2]


def test_writers_and_two_loggers_at_once(app: Flask) -> None:
    """Four writers post, some give up, two log all the while: every entry has exactly one leaf, and the tree is whole."""
    books = account_book.opened()
    with transaction():
        account.ids(books.cooperative, [("alipay", ""), ("buyer_funds", "")])
    trouble: list[BaseException] = []
    posting = threading.Event()

    def write(writer: int) -> None:
        for n in range(15):
            with suppress(_GivenUp):
                transaction(lambda n=n: _post(books, writer * 100 + n, give_up=n % 5 == 4))  # type: ignore[misc]

    def keep_logging() -> None:
        while not posting.is_set():
            seal()

    def inside(work: Any, *arguments: int) -> None:
        try:
            with app.app_context():
                work(*arguments)
                db.session.remove()
        except BaseException as error:  # noqa: BLE001 -- a thread's trouble must reach the test
            trouble.append(error)

    writers = [threading.Thread(target=inside, args=(write, n)) for n in range(1, 5)]
    loggers = [threading.Thread(target=inside, args=(keep_logging,)) for _ in range(2)]
    for each in (*writers, *loggers):
        each.start()
    for each in writers:
        each.join()
    posting.set()
    for each in loggers:
        each.join()
    assert trouble == []
    seal()
    assert sorted(entries_logged()) == sorted(db.session.scalars(select(JournalEntry.id)))
    assert len(entries_logged()) == 4 * 12
    assert list(db.session.scalars(select(LogLeaf.seq).order_by(LogLeaf.seq))) == list(range(48))
    assert log_check.check().findings == []


class _GivenUp(Exception):
    pass


def _post(books: Books, number: int, *, give_up: bool) -> None:
    pay(books, number)
    if give_up:
        raise _GivenUp


def test_deciding_inside_another_transaction_is_refused(app: Flask) -> None:
    if db.engine.dialect.name == "sqlite":
        pytest.skip("SQLite's single writer decides by itself")
    with transaction():
        db.session.execute(text("SELECT pg_current_xact_id()"))
        with pytest.raises(RuntimeError, match="of its own"):
            log_append.decide()


@pytest.fixture
def sealed(app: Flask) -> None:
    """Three leaves, two heads."""
    books = account_book.opened()
    for number in (1, 2, 3):
        with transaction():
            pay(books, number)
        if number > 1:
            seal()
            with clock.travel(clock.now() + timedelta(days=number)):
                head()


REFUSED = [
    "UPDATE log_leaf SET hash = hash",
    "UPDATE log_leaf SET ref = 99 WHERE seq = 1",
    "DELETE FROM log_leaf WHERE seq = 2",
    "UPDATE tree_head SET note = 'x'",
    "UPDATE tree_head SET size = 2",
    "DELETE FROM tree_head",
    "UPDATE log_key SET public_key = 'x'",
    "DELETE FROM log_key",
    "INSERT INTO log_leaf SELECT seq + 4, kind, ref + 10, hash, subtrees, secret, commitments, logged_at FROM log_leaf WHERE seq = 2",
    "INSERT INTO log_leaf SELECT -1, kind, ref + 10, hash, subtrees, secret, commitments, logged_at FROM log_leaf WHERE seq = 2",
    "INSERT INTO log_leaf SELECT seq + 1, kind, ref, hash, subtrees, secret, commitments, logged_at FROM log_leaf WHERE seq = 2",
    "INSERT INTO log_leaf SELECT seq, kind, ref + 10, hash, subtrees, secret, commitments, logged_at FROM log_leaf WHERE seq = 2",
    "INSERT INTO tree_head SELECT number + 2, size, root, at, key_id, note, 'other', consistency FROM tree_head WHERE number = 2",
    "INSERT INTO tree_head SELECT number + 1, size, root, at, key_id, note, fingerprint, consistency FROM tree_head WHERE number = 2",
    "INSERT INTO log_key (id, public_key, seed_sealed, statement, introduced_at) SELECT 3, 'x', '', '', introduced_at FROM log_key",
]


def test_the_database_refuses(sealed: None) -> None:
    for statement in REFUSED:
        _must_refuse(statement)


def test_the_log_is_not_truncated(sealed: None) -> None:
    if db.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no TRUNCATE: it is a DELETE, and refused as one")
    for table in ("log_leaf", "tree_head", "log_key CASCADE"):
        _must_refuse(f"TRUNCATE {table}")


REPLACED = [
    "INSERT OR REPLACE INTO log_leaf SELECT seq, kind, ref, zeroblob(32), subtrees, secret, commitments, logged_at FROM log_leaf",
    "INSERT OR REPLACE INTO log_leaf SELECT seq + 1, kind, ref, zeroblob(32), subtrees, secret, commitments, logged_at FROM log_leaf WHERE seq = 2",
    "REPLACE INTO tree_head SELECT number, size, root, at, key_id, 'x', 'x', consistency FROM tree_head",
    "REPLACE INTO tree_head SELECT number + 1, size, root, at, key_id, 'x', fingerprint, consistency FROM tree_head WHERE number = 2",
    "REPLACE INTO log_key (id, public_key, seed_sealed, statement, introduced_at) SELECT 1, 'x', '', '', introduced_at FROM log_key",
    "INSERT INTO tree_head SELECT * FROM tree_head WHERE true ON CONFLICT (number) DO UPDATE SET note = 'x'",
]


def test_nothing_is_replaced(sealed: None) -> None:
    """INSERT OR REPLACE deletes without asking the delete triggers, unless recursive triggers are on: it must fail either way."""
    if db.engine.dialect.name != "sqlite":
        pytest.skip("REPLACE is SQLite's")
    for recursive_triggers in ("ON", "OFF"):
        for statement in REPLACED:
            _must_refuse(f"PRAGMA recursive_triggers = {recursive_triggers}", statement)


def _must_refuse(*statements: str) -> None:
    before = _everything()
    with pytest.raises(DBAPIError), db.engine.begin() as connection:
        for each in statements:
            connection.execute(text(each))
        pytest.fail(f"accepted: {statements[-1]}")
    db.engine.dispose()  # a pragma stays with the connection
    assert _everything() == before, statements[-1]


def _everything() -> list[Any]:
    with db.engine.connect() as connection:
        return [connection.execute(text(f"SELECT * FROM {table} ORDER BY 1")).all() for table in ("log_leaf", "tree_head", "log_key")]
