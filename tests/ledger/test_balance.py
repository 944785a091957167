"""Balances are exact to the last line, whatever was rolled up, and whoever is still writing."""

import pytest
from flask import Flask
from sqlalchemy import select, text

from marketplace.foundation.database import db, transaction
from marketplace.ledger import account, balance, event
from marketplace.ledger.balance import Balance
from marketplace.ledger.posting import Source
from tests.ledger.account_book import Books, held


def pay(books: Books, number: int, fen: int) -> None:
    event.alipay_paid(book=books.cooperative, source=Source("payment", number), fen=fen)


@pytest.fixture
def writers(app: Flask) -> None:
    if db.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer: nothing can be interleaved")


def roll_up() -> int:
    with transaction():
        return balance.roll_up()


@pytest.mark.both
def test_snapshot_and_tail_make_the_balance(books: Books) -> None:
    with transaction():
        pay(books, 1, 100)
        pay(books, 2, 50)
    upto = roll_up()
    assert db.session.scalars(select(Balance.fen).order_by(Balance.account_id)).all() == [150, -150]
    with transaction():
        pay(books, 3, 7)
    assert held(books.cooperative, "alipay") == 157
    assert roll_up() == upto + 1
    assert held(books.cooperative, "alipay") == 157
    assert held(books.cooperative, "buyer_funds") == 157


@pytest.mark.both
def test_balances_by_kind_and_owner_read_as_people_do(books: Books) -> None:
    with transaction():
        for village, fen in ((7, 30), (8, 12)):
            event.settled(
                book=books.cooperative, source=Source("order", village), scheme_version_id=1,
                revenue_fen=70, freight_fen=0, pools={1: 20}, collectives={village: fen}, fund_fen=0,
            )  # fmt: skip
    assert balance.by_kind(books.cooperative) == {
        "buyer_funds": -222,
        "revenue": 140,
        "household_pool": 40,
        "village_collective": 42,
    }
    assert balance.by_owner("village_collective") == {"village:7": 30, "village:8": 12}
    assert balance.by_kind(books.holder) == {}


def test_an_account_without_lines_holds_nothing(books: Books) -> None:
    with transaction():
        bank = account.named("bank", books.cooperative)
    assert balance.of(bank) == 0
    assert held(books.cooperative, "relief_fund") == 0


def test_reading_opens_no_account(books: Books) -> None:
    held(books.cooperative, "bank")
    assert account.existing("bank", books.cooperative) is None


@pytest.mark.both
def test_a_number_drawn_early_and_committed_late_is_not_passed_over(
    app: Flask, books: Books, writers: None
) -> None:
    """Entry 2 is committed while entry 1 is not: the roll-up must not take a snapshot beyond what entry 1 could still change."""
    with transaction():
        account.ids(books.cooperative, [("alipay", ""), ("buyer_funds", "")])
    slow = db.session.registry()
    with app.app_context(), transaction():  # a context of its own has a session of its own
        pay(books, 1, 1000)
        with app.app_context():
            assert db.session.registry() is not slow
            with transaction():
                pay(books, 2, 50)
            assert roll_up() == 0
            assert roll_up() == 0
            assert held(books.cooperative, "alipay") == 50
    assert held(books.cooperative, "alipay") == 1050
    assert roll_up() == 2
    assert held(books.cooperative, "alipay") == 1050
    assert db.session.scalars(select(Balance.fen).order_by(Balance.account_id)).all() == [1050, -1050]


@pytest.mark.both
def test_the_candidate_is_rolled_up_though_a_younger_transaction_runs(
    app: Flask, books: Books, writers: None
) -> None:
    with transaction():
        pay(books, 1, 1000)
    with app.app_context(), transaction():
        pay(books, 2, 50)
        with app.app_context():
            assert (
                roll_up() == 0
            )  # entry 1 becomes the candidate: the transaction of entry 2 is older than this one
    with app.app_context(), transaction():
        pay(books, 3, 7)
        with app.app_context():
            assert roll_up() == 1
            assert held(books.cooperative, "alipay") == 1050
    assert held(books.cooperative, "alipay") == 1057


@pytest.mark.both
def test_rolling_up_inside_another_transaction_is_refused(books: Books, writers: None) -> None:
    with transaction():
        db.session.execute(text("SELECT pg_current_xact_id()"))
        with pytest.raises(RuntimeError, match="of its own"):
            balance.roll_up()
