"""Two people at once: a month is drafted once, a batch made once, a file applied once, a fen promised once; the other is told so."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError

from marketplace.catalogue import scheme_proposal
from marketplace.catalogue.scheme_proposal import Parts, SchemeProposal
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.ledger import balance
from marketplace.settlement import distribution, payout_batch, payout_results, remittance
from marketplace.settlement.distribution import Distribution
from tests import builders
from tests.settlement.test_distribution import sold, this_period
from tests.settlement.test_payout_batch import HEADER, posted, sent
from tests.settlement.test_remittance import earning

pytestmark = pytest.mark.both
PEOPLE = 4


def at_once(app: Flask, work: Callable[[int], Any]) -> list[str]:
    """What became of the same work of four people who begin together: "done" or the code of the conflict."""
    ready, said = threading.Barrier(PEOPLE), list[str]()

    def one(number: int) -> None:
        with app.app_context():
            ready.wait()
            try:
                transaction(lambda: work(number), attempts=10)
                said.append("done")
            except Conflict as error:  # anything else ends the thread and is missing below
                said.append(error.code)
            finally:
                db.session.remove()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(PEOPLE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    db.session.rollback()  # what is read next is what they left
    return sorted(said)


def test_a_month_is_drafted_once(app: Flask) -> None:
    market, period = builders.market(), this_period()
    sold(market, 30_000)
    assert at_once(app, lambda _n: distribution.draft(market.cooperative, period, actor=market.accountant)) == ["distribution.empty"] * 3 + ["done"]
    assert [row.total_fen for row in db.session.query(Distribution)] == [6_000]


def test_of_two_directors_one_proposes_a_scheme(app: Flask) -> None:
    market = builders.market()
    day = clock.business_date() + timedelta(days=10)
    said = at_once(app, lambda n: scheme_proposal.propose("white_tea", Parts(6000, 3000, 600, 400), day, "多分一成", actor=market.director, key=f"k{n}"))
    assert said == ["done"] + ["proposal.open"] * 3
    row = db.session.query(SchemeProposal).one()
    columns = {column.key: getattr(row, column.key) for column in db.inspect(SchemeProposal).column_attrs if column.key not in ("id", "public_id")}
    with pytest.raises(IntegrityError), transaction():  # nor by whoever writes past the door
        db.session.add(SchemeProposal(**columns))


def test_a_batch_is_made_once(app: Flask) -> None:
    market, distribution_id = posted()
    assert at_once(app, lambda _n: payout_batch.make(distribution_id, actor=market.accountant)) == ["done"] + ["payout.empty"] * 3


def test_a_results_file_is_applied_once(app: Flask) -> None:
    market, distribution_id = posted()
    batch = sent(market, distribution_id)
    batch_id, content = batch.id, f"{HEADER}\n{batch.number},1,10.00,paid,\n{batch.number},2,20.00,returned,销户\n".encode()
    assert at_once(app, lambda _n: payout_results.receive(batch_id, content, name="a.csv", actor=market.accountant)) == ["done"] * 4
    results_id = db.session.query(payout_results.PayoutResults).one().id
    assert at_once(app, lambda _n: payout_results.apply(results_id, actor=market.director)) == ["done"] + ["results.applied"] * 3
    assert (balance.held("in_transit", market.cooperative), balance.held("bank", market.cooperative)) == (3_000, -1_000)


def test_a_fen_is_promised_once(app: Flask) -> None:
    market = earning()
    said = at_once(app, lambda n: remittance.propose("FUND", 500, actor=market.accountant, key=f"k{n}"))
    assert said == ["done"] * 2 + ["remittance.short"] * 2
    assert remittance.available(market.cooperative).fund_fen == 200
