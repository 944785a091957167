"""An order of ¥136 on its way to six households, told in money: settled, divided, published, credited, paid, one returned and sent again.

Scheme 70/20/6/4: of ¥136.00 the cooperative keeps 95.20, the pool gets 27.20, the village 8.16, the fund 5.44. Of the pool 60 %
(16.32) go by kilograms delivered (1, 2, 3, 4, 5, 0 of 15), 40 % (10.88) by shares (1, 1, 2, 2, 2, 8 of 16).
"""

from datetime import timedelta

import pytest
from flask import Flask

from marketplace.disclosure import benefit_receipt, household_statement
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.households.household import Household
from marketplace.ledger import balance
from marketplace.orders.order import Order, OrderLine
from marketplace.reporting import books
from marketplace.settlement import distribution, payout_batch, settlement
from tests import builders
from tests.builders import Market
from tests.ledger.account_book import read
from tests.settlement.builders import order

# patronage + equity, in fen: 1632 × n/15 and 1088 × n/16, largest remainder.
EXPECTED = [(109, 68), (218, 68), (326, 136), (435, 136), (544, 136), (0, 544)]


def six_households() -> tuple[Market, list[int]]:
    market = builders.market()
    group = builders.linkage_group(market.cooperative)
    households = builders.members(group, (1, 1, 2, 2, 2, 8))
    delivered = {each: 1_000 * (n + 1) for n, each in enumerate(households[:5])}
    batch = builders.batch(market.cooperative, group, deliveries=delivered)
    order_id = order(market, 13_600, group_id=group, batch_id=batch)
    with transaction():
        for line in db.session.scalars(db.select(OrderLine).where(OrderLine.order_id == order_id)):
            line.households_shown = 6
    return market, [order_id, group, *households]


def results(number: str, rows: list[tuple[int, str, str, str]]) -> bytes:
    lines = ["number,sequence,amount,result,reason", *(f"{number},{','.join(map(str, row))}" for row in rows)]
    return "\n".join(lines).encode()


# The order is built with its entry and without a payment row: rules that compare payment rows are told in other stories.
RULES = {
    "entries_balance", "books_balance", "balances_are_their_lines", "nobody_approved_their_own", "settlements_divide_exactly",
    "pools_add_up", "households_share_is_accounted_for", "households_are_owed_what_was_not_paid", "collectives_add_up",
    "fund_adds_up", "distributions_are_exact",
}  # fmt: skip


def broken_rules() -> list[str]:
    findings = {each.rule: each for each in books.check()}
    return [f"{rule}: {findings[rule].detail}" for rule in sorted(RULES) if not findings[rule].ok]


def held(book: int, kind: str, owner: str = "") -> int:
    return balance.held(kind, book, owner)


@pytest.mark.both
def test_an_order_of_136_yuan_reaches_six_households(app: Flask) -> None:
    market, (order_id, group, *households) = six_households()
    book = market.cooperative
    token = db.session.get_one(Order, order_id).receipt_token

    # Before anything is divided, the receipt says what the yuan will do.
    promised = benefit_receipt.for_token(token)
    assert promised.promised == benefit_receipt.Amounts(9_520, 2_720, 816, 544)
    assert promised.promised.total_fen == 13_600
    assert (promised.settled, promised.distributed_fen, promised.paid_fen) == (None, 0, 0)
    assert [step.code for step in promised.steps if step.at] == ["placed", "paid", "shipped", "received"]

    # Settled.
    settled = transaction(lambda: settlement.settle(order_id))
    assert settled.entry_id is not None
    assert read(settled.entry_id).splitlines() == [
        "debit  buyer_funds 136.00",
        "credit revenue 95.20",
        f"credit household_pool linkage_group:{group} 27.20",
        f"credit village_collective village:{market.village} 8.16",
        "credit relief_fund 5.44",
    ]

    # Drafted by the accountant, approved by the director, published, and credited after the notice.
    period = settled.period
    row = transaction(lambda: distribution.draft(book, period, actor=market.accountant))
    transaction(lambda: distribution.approve(row.id, actor=market.director, version=1))
    notice = transaction(lambda: distribution.publish(row.id, actor=market.director))
    assert notice.body["groups"][0]["households"] == 6
    assert notice.body["groups"][0]["fen"] == 2_720
    with clock.travel(clock.beijing_midnight(notice.ends_on + timedelta(days=1))):
        transaction(lambda: distribution.post(row.id, actor=market.accountant))
        the_households_are_paid(market, row.id, group, households, token)


def the_households_are_paid(market: Market, distribution_id: int, group: int, households: list[int], token: str) -> None:
    book = market.cooperative
    (part,) = distribution.groups_of(distribution_id)
    assert (part.patronage_fen, part.equity_fen, part.basis, part.households) == (1_632, 1_088, "BATCHES", 6)
    shares = distribution.shares_of(distribution_id)
    assert [(each.patronage_fen, each.equity_fen) for each in shares] == EXPECTED
    assert sum(each.fen for each in shares) == 2_720
    assert part.entry_id is not None
    assert read(part.entry_id).splitlines() == [
        f"debit  household_pool linkage_group:{group} 27.20",
        f"credit household household:{households[0]} 1.77",
        f"credit household household:{households[1]} 2.86",
        f"credit household household:{households[2]} 4.62",
        f"credit household household:{households[3]} 5.71",
        f"credit household household:{households[4]} 6.80",
        f"credit household household:{households[5]} 5.44",
    ]

    # The batch: made, approved and frozen, sent.
    batch = transaction(lambda: payout_batch.make(distribution_id, actor=market.accountant))
    assert (batch.items, batch.total_fen) == (6, 2_720)
    transaction(lambda: payout_batch.approve(batch.id, actor=market.director, version=1))
    _, content = transaction(lambda: payout_batch.bank_file(batch.id, actor=market.accountant))
    amounts = [line.split(",")[5] for line in content.decode("gb18030").splitlines()]
    assert amounts == ["金额（元）", "1.77", "2.86", "4.62", "5.71", "6.80", "5.44"]
    transaction(lambda: payout_batch.mark_sent(batch.id, actor=market.accountant))
    assert held(book, "in_transit") == 2_720
    assert all(held(book, "household", f"household:{each}") == 0 for each in households)
    assert broken_rules() == []

    # The bank pays five and returns the third: it is owed again, and the receipt tells exactly what arrived.
    bank_before = held(book, "bank")
    sent = ["1.77", "2.86", "4.62", "5.71", "6.80", "5.44"]
    answer = [(n, fen, "returned" if n == 3 else "paid", "账号错误" if n == 3 else "") for n, fen in enumerate(sent, start=1)]
    transaction(lambda: payout_batch.import_results(batch.id, results(batch.number, answer), actor=market.accountant))
    assert held(book, "in_transit") == 0
    assert held(book, "bank") == bank_before - 2_258
    assert held(book, "household", f"household:{households[2]}") == 462
    assert broken_rules() == []
    receipt = benefit_receipt.for_token(token)
    assert (receipt.distributed_fen, receipt.paid_fen) == (2_720, 2_258)
    assert [step.code for step in receipt.steps if step.at is None] == ["paid_out"]

    # The same file again changes nothing.
    again = transaction(
        lambda: payout_batch.import_results(batch.id, results(batch.number, answer), actor=market.accountant)
    )
    assert (again.paid, again.returned) == (0, 0)
    assert held(book, "bank") == bank_before - 2_258

    the_third_is_sent_again(market, batch.id, households[2], token)


def the_third_is_sent_again(market: Market, batch_id: int, household_id: int, token: str) -> None:
    book = market.cooperative
    with transaction():
        db.session.get_one(Household, household_id).bank_account = "6228999988887777"
    fresh = transaction(lambda: payout_batch.reissue(batch_id, actor=market.accountant))
    assert (fresh.items, fresh.total_fen, fresh.reissue_of_id) == (1, 462, batch_id)
    with pytest.raises(Conflict):
        transaction(lambda: payout_batch.reissue(batch_id, actor=market.accountant))
    transaction(lambda: payout_batch.approve(fresh.id, actor=market.director, version=1))
    transaction(lambda: payout_batch.mark_sent(fresh.id, actor=market.accountant))
    transaction(
        lambda: payout_batch.import_results(
            fresh.id, results(fresh.number, [(1, "4.62", "成功", "")]), actor=market.accountant
        )
    )
    assert held(book, "household", f"household:{household_id}") == 0
    assert held(book, "bank") == -2_720
    assert broken_rules() == []

    # The household's own statement shows the same yuan, and it answers.
    statement_token = db.session.get_one(Household, household_id).statement_token
    statement = household_statement.for_token(statement_token)
    assert (statement.earned_fen, statement.paid_fen, statement.owed_fen) == (462, 462, 0)
    assert [(each.patronage_fen, each.equity_fen) for each in statement.earned] == [(326, 136)]
    assert [(each.fen, each.state, each.account_last4, each.is_reissue) for each in statement.payments] == [
        (462, "paid", "7777", True),
        (462, "reissued", statement.payments[1].account_last4, False),
    ]
    assert statement.payments[1].reason == "账号错误"
    transaction(lambda: household_statement.answer(statement_token, statement.payments[0].public_id, "RECEIVED"))
    assert household_statement.for_token(statement_token).payments[0].answer == "RECEIVED"

    receipt = benefit_receipt.for_token(token)
    assert (receipt.distributed_fen, receipt.paid_fen) == (2_720, 2_720)
    assert all(step.at is not None for step in receipt.steps)
    assert [(part.households, part.promised_fen, part.settled_fen, part.distributed_fen, part.paid_fen) for part in receipt.groups] == [
        (6, 2_720, 2_720, 2_720, 2_720)
    ]
