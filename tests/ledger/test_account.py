"""Accounts are opened by being named, once."""

import threading

import pytest
from flask import Flask
from sqlalchemy import func, select

from marketplace.foundation.database import db, transaction
from marketplace.ledger import account
from marketplace.ledger.account import Account
from tests.ledger.account_book import Books


def test_naming_an_account_opens_it_once(books: Books) -> None:
    with transaction():
        first = account.named("household_pool", books.cooperative, "linkage_group:12")
        assert account.named("household_pool", books.cooperative, "linkage_group:12") == first
        assert account.named("household_pool", books.cooperative, "linkage_group:13") != first
        assert account.named("alipay", books.cooperative) != account.named("alipay", books.holder)
    assert account.existing("alipay", books.holder) is not None
    assert account.existing("bank", books.holder) is None


@pytest.mark.both
def test_eight_threads_open_the_same_thirty_accounts(app: Flask, books: Books) -> None:
    seen: list[dict[str, int]] = []
    together = threading.Barrier(8)

    def open_all() -> None:
        with app.app_context():
            together.wait()
            names = [f"household:{n}" for n in range(30)]
            seen.append(transaction(lambda: account.named_many("household", books.cooperative, names)))
            db.session.remove()

    threads = [threading.Thread(target=open_all) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert all(each == seen[0] for each in seen)
    assert db.session.scalar(select(func.count()).select_from(Account)) == 30


@pytest.mark.parametrize(
    ("kind", "owner_ref"),
    [
        ("purse", ""),
        ("household", ""),
        ("household", "village:3"),
        ("alipay", "household:3"),
        ("household", "household:x"),
    ],
)
def test_an_account_that_is_not_on_the_list_is_not_opened(books: Books, kind: str, owner_ref: str) -> None:
    with transaction(), pytest.raises(ValueError, match="no account of kind"):
        account.named(kind, books.cooperative, owner_ref)
