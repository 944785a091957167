"""Due orders settle in groups: the same books as one by one, one bad order alone is left, and no order twice, whoever races."""

import threading
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.ledger import balance
from marketplace.ledger.entry import JournalEntry
from marketplace.settlement import settlement, settlement_run
from marketplace.settlement.settlement import Settlement
from tests import builders
from tests.settlement.builders import open_return, order


def settled_orders() -> list[int]:
    return list(db.session.scalars(select(Settlement.order_id).order_by(Settlement.order_id)))


@pytest.mark.both
def test_a_group_settles_as_one_by_one_does(app: Flask) -> None:
    market = builders.market(on_hand=100)
    together = [order(market, 8_800 + 7 * n, 100 + n, freight_fen=n) for n in range(6)]
    alone = [order(market, 8_800 + 7 * n, 100 + n, freight_fen=n) for n in range(6)]
    commits: list[int] = []

    def commit(work: Callable[[], None]) -> None:
        commits.append(1)
        transaction(work)

    done = settlement_run.settle(together, commit, group=4)
    for each in alone:
        transaction(lambda each=each: settlement.settle(each))
    assert (done.settled, done.refused, done.failed, len(commits)) == (6, [], [], 2)
    columns = (Settlement.base_fen, Settlement.freight_fen, func.abs(Settlement.cooperative_fen - Settlement.base_fen * 7 // 10) <= 1)
    of = lambda ids: db.session.execute(select(*columns).where(Settlement.order_id.in_(ids)).order_by(Settlement.order_id)).all()  # noqa: E731
    assert of(together) == of(alone)
    assert done.base_fen == sum(8_900 + 8 * n for n in range(6))
    assert balance.held("buyer_funds", market.cooperative) == 0
    entries = select(JournalEntry.gross).where(JournalEntry.kind == "settled")
    assert sorted(db.session.scalars(entries)) == sorted(2 * [8_900 + 9 * n for n in range(6)])


def test_who_is_not_due_does_not_hold_up_the_group(app: Flask) -> None:
    market = builders.market(on_hand=100)
    good, unpaid, disputed, free = order(market, 500), order(market, 500, paid=False), order(market, 500), order(market, 0)
    open_return(disputed)
    done = settlement_run.settle([good, unpaid, disputed, free], transaction)
    assert sorted(error.data["why"] for error in done.refused) == ["return_open", "unpaid"]
    assert settled_orders() == [good, free]


@pytest.mark.both
def test_one_bad_order_alone_is_left(app: Flask) -> None:
    """A settlement of it stands already, though the order does not say so: what nobody foresaw, and nobody but a person can mend."""
    market = builders.market(on_hand=100)
    ids = [order(market, 500) for _ in range(5)]
    with transaction():
        db.session.add(
            Settlement(
                organisation_id=market.cooperative, order_id=ids[2], period="2020-01", base_fen=0, freight_fen=0,
                cooperative_fen=0, pool_fen=0, village_fen=0, fund_fen=0, settled_at=clock.now(),
            )
        )  # fmt: skip
    done = settlement_run.settle(ids, transaction)
    assert (done.settled, done.failed) == (4, [ids[2]])
    assert settled_orders() == ids
    assert db.session.scalar(text("SELECT count(*) FROM journal_entry WHERE kind = 'settled'")) == 4
    assert settlement_run.settle(ids, transaction).failed == [ids[2]]


@pytest.mark.both
def test_no_order_settles_twice_though_four_runs_race(app: Flask) -> None:
    market = builders.market(on_hand=100)
    ids = [order(market, 500 + n) for n in range(12)]
    together = threading.Barrier(4)
    outcomes: list[settlement_run.Outcome] = []

    def run(order_ids: list[int]) -> None:
        with app.app_context():
            together.wait()
            outcomes.append(settlement_run.settle(order_ids, transaction, group=5))
            db.session.remove()

    threads = [threading.Thread(target=run, args=(ids[n:] + ids[:n],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(each.settled for each in outcomes) == 12
    assert [each.failed for each in outcomes] == [[]] * 4
    assert settled_orders() == ids
    assert balance.held("buyer_funds", market.cooperative) == 0
