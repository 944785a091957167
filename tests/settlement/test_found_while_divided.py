"""On PostgreSQL a household's credit is divided while a payment of it is found: each sees what the other did, and no account falls below nothing."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event as happens
from sqlalchemy import text

from marketplace.foundation.database import db, transaction
from marketplace.households import household_change
from marketplace.households.household import Household
from marketplace.households.household_change import Other
from marketplace.settlement import payout_found, payout_reversal
from tests.settlement.test_draft_while_settling import database  # noqa: F401 - PostgreSQL alone
from tests.settlement.test_household_change import administrator, owed_of, proposed, rules_hold
from tests.settlement.test_payout_batch import posted
from tests.settlement.test_payout_found import WHY, answered, cancelled, items

pytestmark = pytest.mark.postgres


@contextmanager
def meanwhile(app: Flask, words: str, work: Callable[[], Any]) -> Iterator[list[Any]]:
    """Another person does something once a statement with these words was read, and goes on until it is done, or waits for us; what came of it."""
    workers, came = list[threading.Thread](), list[Any]()

    def another() -> None:
        with app.app_context():
            came.append(transaction(work))
            db.session.remove()

    def after(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if words not in statement or workers:
            return
        workers.append(threading.Thread(target=another))
        workers[0].start()
        with db.engine.connect() as other:
            while workers[0].is_alive() and not other.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
                workers[0].join(0.01)

    happens.listen(db.engine, "after_cursor_execute", after)
    try:
        yield came
    finally:
        happens.remove(db.engine, "after_cursor_execute", after)
        for each in workers:
            each.join()
    assert workers


def test_what_is_inherited_while_a_payment_is_found_is_not_paid_from_it(app: Flask) -> None:
    market, distribution_id = posted()
    dead, heir = market.households[1], market.households[0]
    row = cancelled(market, distribution_id)
    asked = transaction(lambda: payout_found.propose(items(row)[1].id, WHY, actor=market.accountant))
    change = proposed(dead, "DIES", Other(code=db.session.get_one(Household, heir).code.lower()))
    number, change_id, actor, administers = asked.id, change.id, market.director, administrator()
    with meanwhile(app, "AS owed", lambda: household_change.decide(change_id, actor=administers, version=1, approved=True)):
        done = transaction(lambda: payout_found.decide(number, version=1, approved=True, actor=actor))
    db.session.rollback()
    assert (done.beyond_fen, owed_of(market, dead, heir)) == (0, [0, 1_000])
    assert rules_hold()


@pytest.mark.parametrize("what", ["found", "reversed"])
def test_two_who_say_the_same_at_once_have_said_it_once(app: Flask, what: str) -> None:
    market, row = answered("refused,户名不符")
    number = items(row)[1 if what == "found" else 0].id
    say = payout_found.propose if what == "found" else payout_reversal.propose
    table = "payout_found" if what == "found" else "payout_reversal"
    with meanwhile(app, f"FROM {table}", lambda: say(number, WHY, actor=market.director).id) as other:
        mine = transaction(lambda: say(number, WHY, actor=market.accountant).id)
    assert other == [mine]
