"""A household's statement: its own rows only, and its own word on them."""

import pytest
from flask import Flask

from marketplace.disclosure import household_statement
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotFound
from marketplace.households.household import Household
from marketplace.settlement import payout_batch, settlement
from marketplace.settlement.payout_batch import PayoutItem
from tests import builders
from tests.builders import Market
from tests.disclosure.test_benefit_receipt import distribute, pay
from tests.settlement.builders import order


def distributed() -> tuple[Market, int]:
    market = builders.market()
    order_id = order(market, 30_000)
    period = transaction(lambda: settlement.settle(order_id)).period
    return market, distribute(market, period)


def token_of(household_id: int) -> str:
    return db.session.get_one(Household, household_id).statement_token


def item_of(household_id: int) -> str:
    return db.session.scalars(db.select(PayoutItem.public_id).where(PayoutItem.household_id == household_id)).one()


def test_earned_and_paid_are_its_own_and_the_name_is_masked(app: Flask) -> None:
    market, distribution_id = distributed()
    pay(market, distribution_id, returned=2)
    first, second, _ = (household_statement.for_token(token_of(each)) for each in market.households)
    assert (first.earned_fen, first.paid_fen, first.owed_fen) == (1_000, 1_000, 0)
    assert (second.earned_fen, second.paid_fen, second.owed_fen) == (2_000, 0, 2_000)
    assert [(each.grams, each.total_grams, each.group_zh) for each in second.earned] == [
        (2_000, 6_000, second.earned[0].group_zh)
    ]
    assert first.name == "测**"


def test_nothing_is_shown_before_it_is_credited(app: Flask) -> None:
    market = builders.market()
    statement = household_statement.for_token(token_of(market.households[0]))
    assert (statement.earned, statement.payments, statement.owed_fen) == ([], [], 0)
    with pytest.raises(NotFound):
        household_statement.for_token("nothing")


def test_the_last_answer_counts(app: Flask) -> None:
    market, distribution_id = distributed()
    pay(market, distribution_id, returned=0)
    token, item = token_of(market.households[0]), item_of(market.households[0])
    transaction(lambda: household_statement.answer(token, item, "NOT_RECEIVED"))
    transaction(lambda: household_statement.answer(token, item, "RECEIVED"))
    assert household_statement.for_token(token).payments[0].answer == "RECEIVED"


def test_nobody_answers_for_another_household_or_too_early_or_without_words(app: Flask) -> None:
    market, distribution_id = distributed()
    batch = transaction(lambda: payout_batch.make(distribution_id, actor=market.accountant))
    first, second, _ = market.households
    token = token_of(first)
    with pytest.raises(NotFound):
        transaction(lambda: household_statement.answer(token, item_of(second), "RECEIVED"))
    with pytest.raises(Conflict):
        transaction(lambda: household_statement.answer(token, item_of(first), "RECEIVED"))
    transaction(lambda: payout_batch.approve(batch.id, actor=market.director, version=1))
    transaction(lambda: payout_batch.mark_sent(batch.id, actor=market.accountant))
    for said, text in (("MAYBE", ""), ("OBJECTION", "  "), ("OBJECTION", "长" * 501)):
        with pytest.raises(InvalidInput):
            transaction(lambda s=said, t=text: household_statement.answer(token, item_of(first), s, text=t))
    transaction(lambda: household_statement.answer(token, item_of(first), "OBJECTION", text="少了两公斤"))
