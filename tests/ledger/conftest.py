import pytest
from flask import Flask

from tests.ledger import account_book
from tests.ledger.account_book import Books


@pytest.fixture
def books(app: Flask) -> Books:
    return account_book.opened()
