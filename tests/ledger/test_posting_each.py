"""One entry to very many, made from a query: the same entry as line by line, and refused the same."""

import pytest
from sqlalchemy import func, literal, select, union_all

from marketplace.foundation.database import db, transaction
from marketplace.ledger import account, balance, share_event
from marketplace.ledger.account import Account
from marketplace.ledger.entry import JournalEntry, JournalLine
from marketplace.ledger.posting import AlreadyPosted, Source
from tests.ledger.account_book import Books, read

pytestmark = pytest.mark.both


def shares(*parts: tuple[int, int]):
    rows = union_all(*(select(literal(owner).label("owner"), literal(fen).label("fen")) for owner, fen in parts))
    each = rows.subquery()
    return select(each.c.owner, each.c.fen)


def distribute(books: Books, number: int, *parts: tuple[int, int]) -> int:
    return transaction(
        lambda: share_event.distributed_by(
            book=books.cooperative, source=Source("group", number), group_id=5, shares=shares(*parts)
        )
    )


def test_it_is_the_same_entry_as_line_by_line(books: Books) -> None:
    with transaction():
        account.named("household", books.cooperative, "household:2")  # one of them is open
        alone = share_event.distributed(
            book=books.cooperative, source=Source("group", 1), group_id=5, households=[(1, 30), (2, 5), (7, 1)]
        )
    together = distribute(books, 2, (7, 1), (1, 30), (2, 5))
    assert read(together) == read(alone)
    first, second = (db.session.get_one(JournalEntry, number) for number in (alone, together))
    for name in ("kind", "book", "n_lines", "gross", "period", "currency"):
        assert getattr(first, name) == getattr(second, name)
    assert balance.by_owner("household") == {"household:1": 60, "household:2": 10, "household:7": 2}


def test_a_source_has_one_entry(books: Books) -> None:
    distribute(books, 1, (1, 30))
    with pytest.raises(AlreadyPosted):
        distribute(books, 1, (1, 30))
    assert db.session.scalar(select(func.count()).select_from(JournalEntry)) == 1


@pytest.mark.parametrize("parts", [((1, 0), (2, 5)), ((1, -3), (2, 5)), ((1, 3), (1, 5))])
def test_what_is_no_share_is_refused(books: Books, parts: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(ValueError, match="shares of"):
        distribute(books, 1, *parts)
    assert db.session.scalar(select(func.count()).select_from(Account)) == 0


def test_five_thousand_households_are_one_entry(books: Books) -> None:
    counted = select(literal(1).label("n")).cte("counted", recursive=True)
    counted = counted.union_all(select(counted.c.n + 1).where(counted.c.n < 5_000))
    each = select(counted.c.n, literal(3).label("fen")).subquery()
    number = transaction(
        lambda: share_event.distributed_by(
            book=books.cooperative, source=Source("group", 9), group_id=5, shares=select(each.c.n, each.c.fen)
        )
    )
    assert db.session.get_one(JournalEntry, number).n_lines == 5_001
    assert db.session.scalar(select(func.count()).select_from(JournalLine)) == 5_001
    assert len(balance.by_owner("household")) == 5_000
    assert sum(balance.by_owner("household").values()) == 15_000
