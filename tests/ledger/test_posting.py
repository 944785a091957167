"""The one door: whole entries, once for each source, whoever knocks and how often."""

import json
import threading
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import func, literal, select, text
from sqlalchemy.exc import IntegrityError

from marketplace.foundation import audit, clock, driver
from marketplace.foundation.audit import AuditEvent
from marketplace.foundation.database import db, transaction
from marketplace.ledger import account, balance, entry, event, pair, posting, share_event
from marketplace.ledger.entry import JournalEntry, JournalLine
from marketplace.ledger.posting import AlreadyPosted, Draft, Line, Source
from tests.ledger.account_book import Books, held, read


def entries() -> int:
    return db.session.scalar(select(func.count()).select_from(JournalEntry)) or 0


def two_lines(book: int, fen: int = 100) -> list[Line]:
    return [Line(account.named("alipay", book), fen), Line(account.named("buyer_funds", book), -fen)]


@pytest.mark.both
def test_a_second_posting_of_a_source_writes_nothing_and_the_transaction_goes_on(books: Books) -> None:
    with transaction():
        event.alipay_paid(book=books.cooperative, source=Source("payment", 1), fen=500)
        with pytest.raises(AlreadyPosted) as refused:
            event.alipay_paid(book=books.cooperative, source=Source("payment", 1), fen=700)
        event.alipay_paid(book=books.cooperative, source=Source("payment", 1, seq=1), fen=30)
    assert refused.value.data["source"] == "payment:1:0"
    assert held(books.cooperative, "alipay") == 530


def one(books: Books, number: int) -> None:
    event.alipay_paid(book=books.cooperative, source=Source("payment", 9), fen=3_000)


def many(books: Books, number: int) -> None:
    """Three orders in one group; every other time the other way round."""
    drafts = [Draft("alipay_paid", Source("payment", each), books.cooperative, two_lines(books.cooperative, 1_000)) for each in (7, 8, 9)]
    posting.post_many(drafts[:: 1 if number % 2 else -1])


def each(books: Books, number: int) -> None:
    """Households that have no account yet, which the entry opens."""
    households = select(literal(1).label("household"), literal(1_000).label("fen")).union_all(select(literal(2), literal(2_000)))
    share_event.credited_to_fund(book=books.cooperative, source=Source("unclaimed", 9), households=select(*households.subquery().c))


@pytest.mark.both
@pytest.mark.parametrize(("door", "written"), [(one, 1), (many, 3), (each, 1)])
def test_eight_threads_that_replay_five_times_write_one_entry(
    app: Flask, books: Books, door: Callable[[Books, int], None], written: int
) -> None:
    outcomes: list[str] = []
    together = threading.Barrier(8)

    def knock(number: int) -> None:
        with app.app_context():
            for replay in range(5):
                if not replay:
                    together.wait()
                try:
                    transaction(lambda replay=replay: door(books, number + replay), attempts=20)  # type: ignore[misc]
                    outcomes.append("posted")
                except AlreadyPosted:
                    outcomes.append("already")
                finally:
                    db.session.remove()

    threads = [threading.Thread(target=knock, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["already"] * 39 + ["posted"]
    assert entries() == written
    assert db.session.scalar(select(func.sum(JournalEntry.gross))) == 3_000
    assert db.session.scalar(select(func.count()).select_from(JournalLine)) == {1: 2, 3: 6}[written] + (door is each)


@pytest.mark.both
def test_many_entries_are_posted_together_and_none_if_one_is_a_repeat(books: Books) -> None:
    with transaction():
        lines = two_lines(books.cooperative)
        ids = posting.post_many(
            [Draft("alipay_paid", Source("payment", n), books.cooperative, lines) for n in range(50)]
        )
        assert len(set(ids)) == 50
        again = [Draft("alipay_paid", Source("payment", n), books.cooperative, lines) for n in (50, 7)]
        with pytest.raises(AlreadyPosted):
            posting.post_many(again)
    assert entries() == 50
    assert held(books.cooperative, "alipay") == 5000
    assert db.session.get_one(JournalEntry, ids[7]).source_id == 7


def test_zero_lines_are_dropped(books: Books) -> None:
    with transaction():
        lines = [*two_lines(books.cooperative), Line(account.named("freight", books.cooperative), 0)]
        number = posting.post(
            kind="alipay_paid", source=Source("payment", 1), book=books.cooperative, lines=lines
        )
    assert read(number) == "debit  alipay 1.00\ncredit buyer_funds 1.00"
    assert db.session.get_one(JournalEntry, number).n_lines == 2


@pytest.mark.parametrize("amounts", [(100, -99), (0, 0), (100,), ()])
def test_what_is_no_entry_never_reaches_the_database(books: Books, amounts: tuple[int, ...]) -> None:
    with transaction():
        alipay = account.named("alipay", books.cooperative)
        lines = [Line(alipay, fen) for fen in amounts]
        with pytest.raises(ValueError, match="lines that sum to"):
            posting.post(kind="alipay_paid", source=Source("payment", 1), book=books.cooperative, lines=lines)
    assert entries() == 0


def test_an_event_refuses_a_negative_amount(books: Books) -> None:
    with transaction(), pytest.raises(ValueError, match="negative amount"):
        event.alipay_paid(book=books.cooperative, source=Source("payment", 1), fen=-5)


@pytest.mark.both
def test_a_reversal_negates_every_line_and_names_what_it_reverses(books: Books) -> None:
    with transaction():
        first = event.bank_received(book=books.cooperative, source=Source("bank_receipt", 3), fen=880)
        second = posting.reverse(first, source=Source("bank_receipt", 3))
    assert read(second) == "credit bank 8.80\ndebit  unapplied 8.80"
    assert db.session.get_one(JournalEntry, second).reverses_id == first
    assert held(books.cooperative, "unapplied") == 0


@pytest.mark.both
def test_an_entry_of_a_thousand_households_is_one_entry(books: Books) -> None:
    households = [(n, 100 + n) for n in range(1000)]
    with transaction():
        number = share_event.distributed(
            book=books.cooperative,
            source=Source("distribution", 1),
            group_id=5,
            households=households,
            period="2020-10",
        )
    kept = db.session.get_one(JournalEntry, number)
    assert (kept.n_lines, kept.period, kept.gross) == (1001, "2020-10", sum(fen for _, fen in households))
    assert db.session.scalar(select(func.count()).select_from(JournalLine)) == 1001
    assert balance.by_owner("household", books.cooperative)["household:999"] == 1099


def test_the_entries_of_a_source_are_found(books: Books) -> None:
    with transaction():
        first = event.alipay_paid(book=books.cooperative, source=Source("payment", 4), fen=10)
        second = event.fee(book=books.cooperative, source=Source("payment", 4), fen=1)
        event.fee(book=books.cooperative, source=Source("payment", 5), fen=1)
    assert [row.id for row in entry.of_source("payment", 4)] == [first, second]
    assert [row.id for row in entry.of_source("payment", 4, "fee")] == [second]


@pytest.mark.both
def test_a_book_is_an_organisations(books: Books) -> None:
    """On PostgreSQL no key says so: that every account is of the entry's book does."""
    lines = transaction(lambda: two_lines(books.cooperative))
    with pytest.raises(IntegrityError):
        transaction(lambda: posting.post(kind="alipay_paid", source=Source("payment", 1), book=999, lines=lines))
    with pytest.raises(IntegrityError):
        transaction(lambda: account.named("alipay", 999))
    assert entries() == 0


@pytest.mark.both
def test_pairs_and_what_is_written_with_them_come_and_go_together(books: Books) -> None:
    """Written past the session, several at once; one of them again, and the database refuses all of what came with it."""
    place = transaction(lambda: pair.place(books.cooperative, "alipay", "buyer_funds", clock.now()))

    def pay(*numbers: int) -> None:
        now = clock.now()
        pairs = [pair.Pair(each, books.cooperative, place.debit, place.credit, 5 * each, now, place.period, now) for each in numbers]
        acts = [audit.write("did", "payment", each.source_id, fen=each.fen) for each in pairs]
        if db.engine.dialect.name == "sqlite":
            driver.alike(acts)
            pair.write("alipay_paid", "payment", pairs, on=driver.opened())
            return
        columns = ", ".join(f"{name} {kind}" for name, kind in pair.COLUMNS.items())
        told = json.dumps([each._asdict() for each in pairs], default=str)
        driver.rows(
            f"WITH so AS (SELECT * FROM json_to_recordset(?::json) AS t ({columns})), {pair.parts('alipay_paid', 'payment', 'so')}, "
            f"act AS ({audit.of_each('did', 'payment', 'so')}) SELECT 1",
            told,
        )

    transaction(lambda: pay(1, 2))
    with pytest.raises(IntegrityError):
        transaction(lambda: pay(3, 2))
    assert sorted(db.session.scalars(select(AuditEvent.subject_id))) == [1, 2]
    assert [list(entry.book_lines(each.id)) for each in entry.of_source("payment", 2)] == [
        [entry.BookLine("alipay", "", 10), entry.BookLine("buyer_funds", "", -10)]
    ]
    assert (held(books.cooperative, "alipay"), entries()) == (15, 2)


@pytest.mark.both
def test_the_number_of_an_account_that_was_undone_is_forgotten(books: Books) -> None:
    """Numbers are kept from one posting to the next; what a failed transaction opened must not be among them."""
    for attempt in range(2):
        with pytest.raises(ZeroDivisionError), transaction():
            event.fee(book=books.cooperative, source=Source("payment", attempt), fen=1)
            event.fee(book=books.cooperative, source=Source("payment", attempt, seq=1), fen=1)
            _ = 1 // 0
    transaction(lambda: account.named_many("household", books.cooperative, ["household:1", "household:2"]))
    for attempt in range(3):
        transaction(lambda n=attempt: event.fee(book=books.cooperative, source=Source("payment", n), fen=1))  # type: ignore[misc]
    assert held(books.cooperative, "fees") == 3


@pytest.mark.both
def test_two_post_to_the_same_accounts_and_neither_waits(app: Flask, books: Books) -> None:
    """No row is hot: while one transaction that posted to two accounts is open, another posts to both and commits."""
    if db.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")

    def paid(number: int, fen: int) -> int:
        return event.alipay_paid(book=books.cooperative, source=Source("payment", number), fen=fen)

    transaction(lambda: paid(1, 100))  # the accounts are there
    committed: list[int] = []

    def second() -> None:
        with app.app_context(), transaction():
            db.session.execute(text("SET LOCAL lock_timeout = '500ms'"))
            committed.append(paid(3, 7))

    with transaction():
        first = paid(2, 20)
        other = threading.Thread(target=second)
        other.start()
        other.join(30)
        assert committed and committed[0] > first, "the second had to wait for the first"
    assert held(books.cooperative, "buyer_funds") == 127
