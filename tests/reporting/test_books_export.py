"""The exports, read by the programs they are written for: their checkers accept them, and every balance is ours."""

from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.ledger import event, period, share_event
from marketplace.ledger.account import KINDS, Account
from marketplace.ledger.posting import Source
from tests.builders_people import operator, person
from tests.ledger import account_book
from tests.reporting.checkers import beancount, exported, hledger, ours


@pytest.fixture
def every_event(app: Flask) -> None:
    """Two books in which every kind of account is used."""
    books = account_book.opened()
    book = books.cooperative

    def source(number: int) -> Source:
        return Source("story", number)

    with transaction():
        event.alipay_paid(book=book, source=source(1), fen=123_456_789)
        event.alipay_unapplied(book=book, source=source(1), fen=99)
        event.stripe_paid(book=book, source=source(1), fen=8_800)
        event.bank_received(book=book, source=source(1), fen=70_000)
        event.accepted_on_credit(book=book, source=source(1), fen=60_000)
        event.matched_receivable(book=book, source=source(1), fen=60_000)
        event.settled(
            book=book, source=source(1), scheme_version_id=1,
            revenue_fen=800_001, freight_fen=1_000, pools={3: 20_007, 4: 5}, collectives={7: 3_001}, fund_fen=2_002,
        )  # fmt: skip
        event.refund_after_settlement(
            book=book,
            source=source(1),
            revenue_fen=80_000,
            freight_fen=0,
            collectives={7: 300},
            fund_fen=200,
            pools={3: (7, 1_993), 4: (0, 1)},
            villages_beyond={7: 41},
            fund_beyond_fen=12,
        )
        event.fee(book=book, source=source(1), fen=6_001)
        event.withdrawn(book=book, source=source(1), fen=500_000)
        event.interest_due(book=book, source=source(1), fen=31)
        share_event.distributed(book=book, source=source(1), group_id=3, households=[(1, 15_000), (2, 5_000)])
        share_event.payout_sent(book=book, source=source(1), households=[(1, 15_000)])
        share_event.payout_debited(book=book, source=source(1), fen=14_000)
        event.revenue_taken_out(book=book, source=source(1), fen=33)
        share_event.fund_remitted(book=book, holder_book=books.holder, source=source(1), fen=1_802)
        share_event.fund_given_back(book=book, holder_book=books.holder, source=source(1), fen=701)


def test_the_story_uses_every_kind_of_account(every_event: None) -> None:
    assert set(db.session.scalars(select(Account.kind))) == set(KINDS)


def test_hledger_accepts_the_books_and_agrees_on_every_balance(app: Flask, every_event: None, tmp_path: Path) -> None:
    assert hledger(exported(app, "hledger", tmp_path / "books.journal")) == ours()


def test_beancount_accepts_the_books_and_agrees_on_every_balance(app: Flask, every_event: None, tmp_path: Path) -> None:
    assert beancount(exported(app, "beancount", tmp_path / "books.beancount")) == ours()


def test_both_agree_on_every_balance_after_a_month_was_closed_and_trade_went_on(
    months_ago: None, app: Flask, every_event: None, tmp_path: Path
) -> None:
    book = db.session.scalars(select(Account.book).where(Account.kind == "alipay")).one()
    closer = person(operator(), "treasurer").person_id
    with clock.travel(clock.now() + timedelta(days=40)):
        which = period.oldest_open() or ""
        now = period.written(which)
        closed = period.ClosedPeriod(
            period=which, closed_at=clock.now(), closed_by_id=closer,
            entries=now.entries, lines=now.lines, gross=now.gross, sha256=now.sha256,
        )  # fmt: skip
        transaction(lambda: period.write_closed(closed))
        with transaction():  # what came late says when it happened, and stands in the open month
            event.fee(book=book, source=Source("bill", 1), fen=7, at=clock.now() - timedelta(days=39))
            event.alipay_paid(book=book, source=Source("payment", 2), fen=1_000)
    test_hledger_accepts_the_books_and_agrees_on_every_balance(app, every_event, tmp_path)
    test_beancount_accepts_the_books_and_agrees_on_every_balance(app, every_event, tmp_path)


@pytest.mark.parametrize("form", ["hledger", "beancount"])
def test_empty_books_are_a_valid_file(app: Flask, tmp_path: Path, form: str) -> None:
    out = exported(app, form, tmp_path / "books")
    assert (hledger(out) if form == "hledger" else beancount(out)) == {}


def test_the_export_is_ascii_and_names_no_organisation(app: Flask, every_event: None, tmp_path: Path) -> None:
    assert exported(app, "hledger", tmp_path / "books.journal").read_bytes().isascii()


def test_an_unknown_format_is_refused_and_the_old_file_stays(app: Flask, tmp_path: Path) -> None:
    out = exported(app, "hledger", tmp_path / "books.journal")
    before = out.read_text()
    result = app.test_cli_runner().invoke(args=["books", "export", "--format", "gnucash", "--out", str(out)])
    assert result.exit_code == 2
    assert out.read_text() == before
