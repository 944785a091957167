"""Payments of which the bank gives no result: they wait in sight, and become paid or returned by a file, a person's word or the statement.
And what was recorded as paid and never made is reversed by two people."""

from datetime import timedelta

import pytest
from flask import Flask

from marketplace.disclosure import household_statement
from marketplace.foundation import clock
from marketplace.foundation.audit import AuditEvent
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.households.household import Household
from marketplace.ledger import balance
from marketplace.ledger.entry import JournalEntry, of_source
from marketplace.organisations.actor import acting
from marketplace.organisations.approval import OwnWork
from marketplace.organisations.person import grant
from marketplace.payments.bank_statement import BankReceipt
from marketplace.payments.statement_row import StatementLink, StatementRow
from marketplace.reporting import books, money_health
from marketplace.settlement import (
    difference,
    payout_batch,
    payout_found,
    payout_reversal,
    payout_word,
    reconciliation,
)
from marketplace.settlement.difference import Difference
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from tests import builders
from tests.builders import Market
from tests.ledger.account_book import read
from tests.payments.statement import take
from tests.settlement.test_payout_batch import bring, posted, sent

RULE = "households_are_owed_what_was_not_paid"


def unanswered(*lines: str) -> tuple[Market, PayoutBatch]:
    """A batch of ¥10.00, ¥20.00 and ¥30.00 of whose second payment the bank says that it is in process."""
    market, distribution_id = posted()
    row = sent(market, distribution_id)
    bring(row, market, f"{row.number},1,10.00,paid,", f"{row.number},2,20.00,处理中,等核心返回", *(f"{row.number},{line}" for line in lines))
    return market, row


def items(row: PayoutBatch) -> list[PayoutItem]:
    db.session.rollback()
    return payout_batch.items_of(row.id)


def told(row: PayoutBatch) -> list[tuple[str, str]]:
    return [(item.state, item.reason) for item in items(row)]


def holds() -> bool:
    return next(each for each in books.check() if each.rule == RULE).ok


@pytest.mark.both
def test_a_person_says_what_the_bank_did_not(app: Flask) -> None:
    market, row = unanswered()
    standing = {each.name: each for each in money_health.standing(market.cooperative)}
    assert (standing["unknown_payouts"].count, standing["unknown_payouts"].fen, standing["unanswered_payouts"].count) == (1, 2_000, 0)
    assert standing["unknown_payouts"].oldest == items(row)[1].unknown_since
    assert [number for _row, number, _fen, _since in money_health.rows("unknown_payouts")] == [f"{row.number}-2"]
    _first, second, third = items(row)
    with pytest.raises(InvalidInput, match=r"reason\.missing"), transaction():
        payout_word.say(second.id, "paid", "好", actor=market.accountant)
    with pytest.raises(InvalidInput, match=r"word\.outcome"), transaction():
        payout_word.say(second.id, "unknown", "柜面说在查", actor=market.accountant)
    with pytest.raises(NotAllowed), transaction():
        payout_word.say(second.id, "paid", "柜面查询回单", actor=market.clerk)
    with pytest.raises(NotFound), transaction():
        payout_word.say(second.id, "paid", "柜面查询回单", actor=builders.market(name="另一家").accountant)
    transaction(lambda: payout_word.say(second.id, "paid", "柜面查询回单 0031", actor=market.accountant))
    with pytest.raises(Conflict, match=r"payout\.told"), transaction():
        payout_word.say(second.id, "returned", "柜面查询回单", actor=market.accountant)
    # What the bank's file forgot can be told as well; then the batch is done.
    transaction(lambda: payout_word.say(third.id, "refused", "银行说这一笔没有上送", actor=market.director))
    assert told(row) == [("paid", ""), ("paid", ""), ("returned", "银行说这一笔没有上送")]
    assert db.session.get_one(PayoutBatch, row.id).state == "DONE"
    assert (balance.held("in_transit", market.cooperative), balance.held("bank", market.cooperative)) == (0, -3_000)
    assert [(word.outcome, word.reason, word.said_by_id) for word in payout_word.words_of(second.id)] == [("paid", "柜面查询回单 0031", market.accountant.person_id)]
    assert db.session.query(AuditEvent).filter_by(action="payout.said").count() == 2
    # The bank's later word of the same changes nothing, another one is a contradiction that a person has to ask about.
    assert len(bring(row, market, f"{row.number},2,20.00,paid,")) == 0
    assert holds()


def statement(market: Market, *rows: tuple[int, str, str, str] | tuple[int, str, str, str, str]) -> None:
    """Today's statement: (fen, the other's name, remark, serial, and their account if it matters)."""
    today = f"{clock.business_date():%Y-%m-%d}"
    take(market.accountant, [(today, *row) for row in rows], opening_fen=0)
    transaction(lambda: difference.reconcile(market.cooperative, ["bank"]))


@pytest.mark.both
def test_the_statement_says_what_was_debited(app: Flask) -> None:
    market, row = unanswered()
    name = db.session.get_one(Household, market.households[1]).name
    statement(
        market, (-2_000, name, "代发", "S1"), (-2_000, "另一人", f"代发 {row.number}", "S2"), (-1_000, "代发专户", f"代发 {row.number}", "S3"),
    )  # fmt: skip
    assert told(row)[1] == ("unknown", "等核心返回"), "without our number, or of another person, a debit says nothing"
    account = items(row)[1].bank_account
    take(market.accountant, [(f"{clock.business_date():%Y-%m-%d}", -2_000, name, f"代发 {row.number}", "S4", account)], opening_fen=-5_000)
    transaction(lambda: difference.reconcile(market.cooperative, ["bank"]))
    assert told(row)[1] == ("paid", "")
    linked = db.session.query(StatementLink).join(StatementRow, StatementRow.id == StatementLink.row_id).filter(StatementRow.fen == -2_000)
    assert [db.session.get_one(StatementRow, each.row_id).serial for each in linked] == ["S4"], "nor does another person's take its place"
    word = payout_word.words_of(items(row)[1].id)[0]
    assert (word.outcome, word.said_by_id, word.row_id is not None) == ("paid", None, True)
    before = db.session.query(JournalEntry).count()
    transaction(lambda: difference.reconcile(market.cooperative, ["bank"]))
    assert db.session.query(JournalEntry).count() == before
    assert holds()


@pytest.mark.both
@pytest.mark.parametrize("told_account", ["6217009999999999999", "", "6217****9999"])
def test_a_remark_does_not_make_a_payment_of_what_went_to_somebody_else(app: Flask, told_account: str) -> None:
    """Whoever transfers writes the remark; the bank writes who got it."""
    market, row = unanswered()
    name, account = db.session.get_one(Household, market.households[1]).name, items(row)[1].bank_account
    statement(market, (-2_000, "会计本人", f"代发 {row.number} {name} {account}", "S1", told_account))
    if told_account:
        statement(market, (-2_000, name, f"代发 {row.number} {name}", "S2", told_account))
    assert told(row)[1] == ("unknown", "等核心返回")
    # Said by one person, it is paid; that this debit paid it, two must say.
    item_id = items(row)[1].id
    transaction(lambda: payout_word.say(item_id, "paid", "柜面查过，付了", actor=market.accountant))
    transaction(lambda: difference.reconcile(market.cooperative, ["bank"]))
    assert db.session.query(StatementLink).join(StatementRow, StatementRow.id == StatementLink.row_id).filter(StatementRow.fen == -2_000).count() == 0


@pytest.mark.both
def test_stars_of_the_bank_stand_for_anything(app: Flask) -> None:
    market, row = unanswered()
    name, account = db.session.get_one(Household, market.households[1]).name, items(row)[1].bank_account
    statement(market, (-2_000, f"{name[0]}**", f"代发 {row.number}", "S1", f"{account[:4]}****{account[-4:]}"))
    assert told(row)[1] == ("paid", "")


@pytest.mark.both
def test_the_statement_says_what_came_back(app: Flask) -> None:
    market, row = unanswered()
    account = items(row)[1].bank_account
    statement(market, (-2_000, "代发专户", f"代发 {row.number}", "S1"), (2_000, "靖安农商银行", f"退票 {row.number} {account}", "S2"))
    assert told(row)[1] == ("returned", f"退票 {row.number} {account}")
    assert db.session.query(BankReceipt).count() == 0, "it is no buyer's money"
    assert balance.held("household", market.cooperative, f"household:{market.households[1]}") == 2_000
    assert holds()


def test_two_payments_that_a_row_may_be_wait_for_a_person(app: Flask) -> None:
    market, row = unanswered()
    with transaction():
        # The third waits too, of as much and to the same account.
        _one, two, three = payout_batch.items_of(row.id)
        three.state, three.fen, three.bank_account = "unknown", two.fen, two.bank_account
        account = two.bank_account
    statement(market, (-2_000, "", f"代发 {row.number} {account}", "S1"))
    assert [state for state, _reason in told(row)] == ["paid", "unknown", "unknown"]


@pytest.mark.both
def test_what_was_never_made_is_reversed_by_two_people(app: Flask) -> None:
    market, row = unanswered("3,30.00,paid,")
    third = items(row)[2]
    owner = f"household:{market.households[2]}"
    with pytest.raises(Conflict, match=r"payout\.unpaid"), transaction():
        payout_reversal.propose(items(row)[1].id, "流水上没有这一笔", actor=market.accountant)
    with pytest.raises(InvalidInput, match=r"reason\.missing"), transaction():
        payout_reversal.propose(third.id, "错", actor=market.accountant)
    asked = transaction(lambda: payout_reversal.propose(third.id, "流水上没有这一笔，柜面回单 0032", actor=market.accountant))
    assert transaction(lambda: payout_reversal.propose(third.id, "再说一次也一样", actor=market.director)).id == asked.id
    assert {each.name: each.count for each in money_health.standing()}["payout_reversals"] == 1
    with transaction():
        grant(market.accountant.person_id, market.cooperative, "director")
    both = acting(market.accountant.person_id, market.cooperative)
    assert both is not None
    for actor, error in ((market.clerk, NotAllowed), (builders.market(name="另一家").director, NotFound), (both, OwnWork)):
        with pytest.raises(error), transaction():
            payout_reversal.decide(asked.id, version=1, approved=True, actor=actor)
    with pytest.raises(InvalidInput, match=r"reason\.missing"), transaction():
        payout_reversal.decide(asked.id, version=1, approved=False, actor=market.director)
    bank = balance.held("bank", market.cooperative)
    later = clock.now() + timedelta(days=45)
    with clock.travel(later):
        done = transaction(lambda: payout_reversal.decide(asked.id, version=1, approved=True, actor=market.director))
    assert done.entry_id is not None
    assert read(done.entry_id).splitlines() == ["debit  bank 30.00", f"credit household {owner} 30.00"]
    entry = db.session.get_one(JournalEntry, done.entry_id)
    (debit,) = of_source("payout_batch", row.id, "payout_debited")
    assert (entry.kind, entry.reverses_id, entry.event_at) == ("payout_unmade", debit.id, debit.event_at)
    assert debit.period < entry.period == clock.period_of(clock.business_date(later)), "it stands in the open month"
    assert (balance.held("bank", market.cooperative) - bank, balance.held("household", market.cooperative, owner)) == (3_000, 3_000)
    assert told(row)[2] == ("returned", "流水上没有这一笔，柜面回单 0032")
    with pytest.raises(Conflict, match=r"reversal\.state"), transaction():
        payout_reversal.decide(asked.id, version=2, approved=True, actor=market.director)
    token = db.session.get_one(Household, market.households[2]).statement_token
    payment = household_statement.for_token(token)
    assert (payment.paid_fen, payment.owed_fen, payment.payments[0].state, payment.payments[0].reason) == (0, 3_000, "returned", "流水上没有这一笔，柜面回单 0032")
    # It is issued again as anything that came back, and the bank's old word cannot bring it back: it asks, and the rest of its file is taken.
    changed = bring(row, market, f"{row.number},2,20.00,paid,", f"{row.number},3,30.00,paid,")
    assert (changed.paid, changed.asked, told(row)[1][0], told(row)[2][0]) == (1, 1, "paid", "returned")
    (found,) = payout_found.of_item(third.id)
    transaction(lambda: payout_found.decide(found.id, version=1, approved=False, answer="旧的一行", actor=builders.person(market.cooperative, "director")))
    again = transaction(lambda: payout_batch.reissue(row.id, actor=market.accountant))
    assert (again.total_fen, items(again)[0].reissue_of_id) == (3_000, third.id)
    assert [each.rule for each in books.check() if not each.ok and each.rule in (RULE, "books_balance", "entries_balance", "balances_are_their_lines")] == []


def test_a_reversal_that_is_returned_leaves_all_as_it_was(app: Flask) -> None:
    market, row = unanswered()
    first = items(row)[0]
    asked = transaction(lambda: payout_reversal.propose(first.id, "以为没有付出", actor=market.accountant))
    transaction(lambda: payout_reversal.decide(asked.id, version=1, approved=False, answer="流水第 3 行就是", actor=market.director))
    assert (told(row)[0], db.session.query(JournalEntry).filter_by(kind="payout_unmade").count()) == (("paid", ""), 0)
    again = transaction(lambda: payout_reversal.propose(first.id, "又查了一次，还是没有", actor=market.accountant))
    assert (again.id != asked.id, [each.state for each in payout_reversal.of_item(first.id)]) == (True, ["RETURNED", "PROPOSED"])


@pytest.mark.both
def test_a_reversal_leaves_no_difference_with_the_statement(app: Flask) -> None:
    """The file said ¥10.00 and ¥30.00 were paid; the bank debited ¥10.00."""
    market, row = unanswered("3,30.00,paid,")
    statement(market, (-1_000, "代发专户", f"代发 {row.number}", "S1"))
    where = reconciliation.position(market.cooperative, "bank")
    assert [(item.kind, item.fen) for item in where.items] == [("AMOUNT", -3_000)]
    asked = transaction(lambda: payout_reversal.propose(items(row)[2].id, "流水上没有这一笔", actor=market.accountant))
    transaction(lambda: payout_reversal.decide(asked.id, version=1, approved=True, actor=market.director))
    where = reconciliation.position(market.cooperative, "bank")
    assert (list(where.items), where.explained_fen == where.ours_fen) == ([], True)
    transaction(lambda: difference.reconcile(market.cooperative, ["bank"]))
    assert db.session.query(Difference).filter_by(state="OPEN").count() == 0
