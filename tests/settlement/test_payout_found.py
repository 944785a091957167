"""Payments that the books call not made and that the bank made: two people say so, and what was paid twice is the cooperative's to bear."""

import pytest
from flask import Flask

from marketplace.disclosure import household_statement
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.households.household import Household
from marketplace.ledger import balance
from marketplace.ledger.entry import JournalEntry
from marketplace.organisations.approval import OwnWork
from marketplace.reporting import books, county_figures, fairness, money_health, open_books, village
from marketplace.settlement import (
    payout_batch,
    payout_found,
    payout_reversal,
    payout_word,
    reconciliation,
)
from marketplace.settlement.payout_batch import PayoutBatch
from marketplace.settlement.payout_found import PayoutFound
from tests import builders
from tests.builders import Market
from tests.ledger.account_book import read
from tests.settlement.test_payout_batch import approved, bring, made, posted, sent
from tests.settlement.test_payout_many import capped
from tests.settlement.test_payout_unknown import items, statement, told
from tests.web.test_figures_of_money import figures
from tests.web.work_desk import browser

pytestmark = pytest.mark.both

RULES = {
    "entries_balance", "books_balance", "balances_are_their_lines", "nobody_owes_what_cannot_be_owed", "households_share_is_accounted_for",
    "households_are_owed_what_was_not_paid", "rows_are_linked_once", "nobody_approved_their_own",
}  # fmt: skip
WHY = "流水第 3 行已扣款，本人说收到了"


def answered(second: str) -> tuple[Market, PayoutBatch]:
    """A batch of ¥10.00, ¥20.00 and ¥30.00 of whose second payment the bank's results say something else than paid."""
    market, distribution_id = posted()
    row = sent(market, distribution_id)
    bring(row, market, f"{row.number},1,10.00,paid,", f"{row.number},2,20.00,{second}", f"{row.number},3,30.00,paid,")
    return market, row


def found(market: Market, item_id: int) -> PayoutFound:
    asked = transaction(lambda: payout_found.propose(item_id, WHY, actor=market.accountant))
    return transaction(lambda: payout_found.decide(asked.id, version=asked.version, approved=True, actor=market.director))


def again(market: Market, row: PayoutBatch) -> PayoutBatch:
    """What came back was issued again and paid."""
    fresh = transaction(lambda: payout_batch.reissue(row.id, actor=market.accountant))
    transaction(lambda: payout_batch.approve(fresh.id, actor=market.director, version=1))
    transaction(lambda: payout_batch.mark_sent(fresh.id, actor=market.accountant))
    return fresh


def owed(market: Market) -> int:
    return balance.held("household", market.cooperative, f"household:{market.households[1]}")


def broken() -> list[str]:
    """Rules of the households' money that are broken; the order behind it was planted, and its stock and payment are in no record."""
    return [each.rule for each in books.check() if not each.ok and each.rule in RULES]


@pytest.mark.parametrize("said", ["returned,户名不符", "refused,户名不符"])
def test_what_was_recorded_as_not_paid_and_was_is_corrected_by_two_people(app: Flask, said: str) -> None:
    market, row = answered(said)
    item = items(row)[1]
    assert owed(market) == 2_000
    with pytest.raises(InvalidInput, match=r"reason\.missing"), transaction():
        payout_found.propose(item.id, "付", actor=market.accountant)
    with pytest.raises(Conflict, match=r"found\.state"), transaction():
        payout_found.propose(items(row)[0].id, WHY, actor=market.accountant)
    for who, error in ((market.clerk, NotAllowed), (builders.market(name="另一家").accountant, NotFound)):
        with pytest.raises(error), transaction():
            payout_found.propose(item.id, WHY, actor=who)
    asked = transaction(lambda: payout_found.propose(item.id, WHY, actor=market.director))
    assert transaction(lambda: payout_found.propose(item.id, "再说一次也一样", actor=market.accountant)).id == asked.id
    assert {each.name: each.count for each in money_health.standing()}["payouts_found"] == 1
    with pytest.raises(OwnWork), transaction():
        payout_found.decide(asked.id, version=1, approved=True, actor=market.director)
    with pytest.raises(NotAllowed), transaction():
        payout_found.decide(asked.id, version=1, approved=True, actor=market.accountant)
    second = builders.person(market.cooperative, "director")
    done = transaction(lambda: payout_found.decide(asked.id, version=1, approved=True, actor=second))
    assert done.entry_id is not None
    assert read(done.entry_id).splitlines() == [f"debit  household household:{market.households[1]} 20.00", "credit bank 20.00"]
    entry = db.session.get_one(JournalEntry, done.entry_id)
    assert (entry.kind, entry.reverses_id is not None, done.beyond_fen) == ("payout_found", said.startswith("returned"), 0)
    assert (told(row)[1], owed(market), balance.held("bank", market.cooperative)) == (("paid", ""), 0, -6_000)
    with pytest.raises(Conflict, match=r"found\.decided"), transaction():
        payout_found.decide(asked.id, version=2, approved=True, actor=second)
    # The bank's file that was right all along is taken now, and the statement's one debit leaves nothing open.
    assert len(bring(row, market, f"{row.number},2,20.00,paid,")) == 0
    statement(market, (-6_000, "代发专户", f"代发 {row.number}", "S1"))
    where = reconciliation.position(market.cooperative, "bank")
    assert (list(where.items), where.explained_fen == where.ours_fen) == ([], True)
    assert broken() == []


def test_a_proposal_that_is_returned_leaves_all_as_it_was(app: Flask) -> None:
    market, row = answered("returned,户名不符")
    asked = transaction(lambda: payout_found.propose(items(row)[1].id, WHY, actor=market.accountant))
    with pytest.raises(InvalidInput, match=r"reason\.missing"), transaction():
        payout_found.decide(asked.id, version=1, approved=False, actor=market.director)
    transaction(lambda: payout_found.decide(asked.id, version=1, approved=False, answer="流水第 3 行是别人的", actor=market.director))
    assert (told(row)[1], owed(market)) == (("returned", "户名不符"), 2_000)


def test_what_was_paid_twice_is_the_cooperatives_to_bear_and_no_households_debt(app: Flask) -> None:
    """One wrong word, and a re-issue: the bank made both payments."""
    market, row = answered("refused,户名不符")
    fresh = again(market, row)
    first = items(row)[1]
    asked = transaction(lambda: payout_found.propose(first.id, WHY, actor=market.accountant))
    with pytest.raises(Conflict, match=r"found\.second"), transaction():
        payout_found.decide(asked.id, version=1, approved=True, actor=market.director)
    bring(fresh, market, f"{fresh.number},1,20.00,paid,")
    done = transaction(lambda: payout_found.decide(asked.id, version=1, approved=True, actor=market.director))
    assert done.entry_id is not None
    assert (done.beyond_fen, read(done.entry_id).splitlines()) == (2_000, ["debit  outside 20.00", "credit bank 20.00"])
    assert (told(row)[1], told(fresh)[0], owed(market)) == (("paid", ""), ("paid", ""), 0)
    payment = household_statement.for_token(db.session.get_one(Household, market.households[1]).statement_token)
    assert (payment.paid_fen, payment.owed_fen) == (4_000, 0), "it has what it got, and owes nothing"
    standing = next(each for each in money_health.standing(market.cooperative) if each.name == "paid_twice")
    assert (standing.count, standing.fen) == (1, 2_000)
    statement(market, (-4_000, "代发专户", f"代发 {row.number}", "S1"), (-2_000, "代发专户", f"代发 {row.number}", "S2"), (-2_000, "代发专户", f"代发 {fresh.number}", "S3"))
    assert list(reconciliation.position(market.cooperative, "bank").items) == []
    with pytest.raises(InvalidInput, match=r"reason\.missing"), transaction():
        payout_found.end(done.id, "好", actor=market.accountant, version=done.version)
    version = db.session.get_one(PayoutFound, done.id).version
    transaction(lambda: payout_found.end(done.id, "本人不愿退，合作社承担", actor=market.accountant, version=version))
    assert next(each for each in money_health.standing() if each.name == "paid_twice").count == 0
    assert broken() == []


def test_what_was_paid_twice_and_came_back_is_not_paid_a_third_time(app: Flask) -> None:
    market, row = answered("refused,户名不符")
    fresh = again(market, row)
    bring(fresh, market, f"{fresh.number},1,20.00,paid,")
    found(market, items(row)[1].id)
    assert bring(row, market, f"{row.number},2,20.00,returned,账户已注销").asked == 1
    (asked,) = payout_reversal.of_item(items(row)[1].id)
    assert (asked.kind, told(row)[1]) == ("BACK", ("paid", "")), "two people said otherwise: a line of a file asks them"
    transaction(lambda: payout_reversal.decide(asked.id, version=1, approved=True, actor=builders.person(market.cooperative, "director")))
    assert db.session.query(JournalEntry).filter_by(kind="payout_found_back").count() == 1
    assert (owed(market), balance.held("outside", market.cooperative)) == (0, 0)
    with pytest.raises(Conflict, match=r"payout\.nothing_returned"), transaction():
        payout_batch.reissue(row.id, actor=market.accountant)
    assert broken() == []


@pytest.mark.parametrize("how", ["the results", "the statement", "two people"])
def test_of_two_payments_the_other_one_comes_back_and_the_household_has_it_once(app: Flask, how: str) -> None:
    """The first was found, and the second, which had replaced it, comes back or was never made: that credit is what the cooperative bore."""
    market, row = answered("refused,户名不符")
    fresh = again(market, row)
    bring(fresh, market, f"{fresh.number},1,20.00,paid,")
    done = found(market, items(row)[1].id)
    assert (done.beyond_fen, balance.held("outside", market.cooperative)) == (2_000, -2_000)
    (second,) = items(fresh)
    if how == "the results":
        bring(fresh, market, f"{fresh.number},1,20.00,returned,账户已注销")
    elif how == "the statement":
        statement(market, (2_000, "代发专户", f"退票 {fresh.number} {second.bank_account}", "S9"))
    else:
        asked = transaction(lambda: payout_reversal.propose(second.id, "流水上没有这一笔", actor=market.accountant))
        transaction(lambda: payout_reversal.decide(asked.id, version=1, approved=True, actor=market.director))
    assert (told(row)[1], items(fresh)[0].state, items(fresh)[0].moved) == (("paid", ""), "reissued", True)
    assert (owed(market), balance.held("outside", market.cooperative), balance.held("bank", market.cooperative)) == (0, 0, -6_000)
    with pytest.raises(Conflict, match=r"payout\.nothing_returned"), transaction():
        payout_batch.reissue(fresh.id, actor=market.accountant)
    payment = household_statement.for_token(db.session.get_one(Household, market.households[1]).statement_token)
    assert (payment.paid_fen, payment.owed_fen) == (2_000, 0)
    assert next(each for each in money_health.standing(market.cooperative) if each.name == "paid_twice").count == 0
    assert broken() == []
    # The one that was found comes back as well: now it is the household's, once.
    asked = transaction(lambda: payout_reversal.propose(items(row)[1].id, "银行说退回来了", actor=market.accountant, kind="BACK"))
    transaction(lambda: payout_reversal.decide(asked.id, version=1, approved=True, actor=market.director))
    assert (owed(market), balance.held("outside", market.cooperative), broken()) == (2_000, 0, [])


def test_what_comes_back_after_somebody_said_how_it_ended_is_the_households(app: Flask) -> None:
    """It gave the second one back by hand; then the bank, too, sent it back."""
    market, row = answered("refused,户名不符")
    fresh = again(market, row)
    bring(fresh, market, f"{fresh.number},1,20.00,paid,")
    done = found(market, items(row)[1].id)
    version = db.session.get_one(PayoutFound, done.id).version
    transaction(lambda: payout_found.end(done.id, "本人把多的一份送回来了", actor=market.accountant, version=version))
    bring(fresh, market, f"{fresh.number},1,20.00,returned,账户已注销")
    assert (items(fresh)[0].state, owed(market), broken()) == ("returned", 2_000, [])


def test_what_is_not_paid_a_second_time_comes_off_what_is_still_owed(app: Flask) -> None:
    """Issued again, and sent back again: that credit was paid by the first payment."""
    market, row = answered("refused,户名不符")
    fresh = again(market, row)
    bring(fresh, market, f"{fresh.number},1,20.00,returned,账户已注销")
    done = found(market, items(row)[1].id)
    assert (done.beyond_fen, told(row)[1], items(fresh)[0].state, owed(market)) == (0, ("paid", ""), "reissued", 0)
    with pytest.raises(Conflict, match=r"payout\.nothing_returned"), transaction():
        payout_batch.reissue(fresh.id, actor=market.accountant)
    assert broken() == []


@pytest.mark.parametrize("twice", [False, True])
def test_what_was_found_and_was_not_there_after_all_is_reversed(app: Flask, twice: bool) -> None:
    market, row = answered("returned,户名不符")
    if twice:
        fresh = again(market, row)
        bring(fresh, market, f"{fresh.number},1,20.00,paid,")
    item = items(row)[1]
    found(market, item.id)
    bank = balance.held("bank", market.cooperative)
    asked = transaction(lambda: payout_reversal.propose(item.id, "看错了行，流水上没有这一笔", actor=market.accountant))
    transaction(lambda: payout_reversal.decide(asked.id, version=1, approved=True, actor=market.director))
    assert balance.held("bank", market.cooperative) == bank + 2_000
    assert (owed(market), items(row)[1].state) == ((0, "reissued") if twice else (2_000, "returned"))
    assert balance.held("outside", market.cooperative) == 0
    assert broken() == []


def test_one_who_was_reversed_as_never_paid_can_be_found(app: Flask) -> None:
    market, row = answered("paid,")
    item = items(row)[1]
    asked = transaction(lambda: payout_reversal.propose(item.id, "流水上没有这一笔", actor=market.accountant))
    transaction(lambda: payout_reversal.decide(asked.id, version=1, approved=True, actor=market.director))
    found(market, item.id)
    statement(market, (-6_000, "代发专户", f"代发 {row.number}", "S1"))
    assert (owed(market), list(reconciliation.position(market.cooperative, "bank").items), broken()) == (0, [], [])
    with pytest.raises(Conflict, match=r"reversal\.done"), transaction():
        payout_reversal.propose(item.id, "流水上没有这一笔", actor=market.accountant)


@pytest.mark.parametrize("second", ["not made", "paid"])
def test_results_of_a_batch_that_was_cancelled_here_find_a_home(app: Flask, second: str) -> None:
    """Two people said that the bank never got the file, and it had."""
    market, distribution_id = posted()
    row = approved(market, distribution_id)
    transaction(lambda: payout_batch.bank_file(row.id, actor=market.accountant))
    transaction(lambda: payout_batch.recall(row.id, "网银上查过，没有这一批", actor=market.accountant, version=2))
    transaction(lambda: payout_batch.approve(row.id, actor=market.director, version=3, approved=False, reason="重做"))
    fresh = None
    if second == "paid":
        fresh = made(market, distribution_id)
        transaction(lambda: payout_batch.approve(fresh.id, actor=market.director, version=1))
        transaction(lambda: payout_batch.mark_sent(fresh.id, actor=market.accountant))
        bring(fresh, market, *(f"{fresh.number},{each.sequence},{each.fen // 100}.00,paid," for each in items(fresh)))
    lines = (f"{row.number},1,10.00,paid,", f"{row.number},2,20.00,paid,", f"{row.number},3,30.00,refused,户名不符")
    assert (len(bring(row, market, *lines)), len(bring(row, market, *lines))) == (2, 0)
    for waiting, _item in payout_found.of_batch(row.id):
        transaction(lambda one=waiting: payout_found.decide(one.id, version=1, approved=True, actor=market.director))  # type: ignore[misc]
    assert [state for state, _reason in told(row)] == ["paid", "paid", "reissued"]
    assert (balance.held("outside", market.cooperative), balance.held("bank", market.cooperative)) == ((-3_000, -9_000) if second == "paid" else (0, -3_000))
    assert owed(market) == 0
    if fresh is None:
        assert made(market, distribution_id).total_fen == 3_000, "the third is still owed"
    assert broken() == []


def test_a_word_after_a_correction_is_another_matter(app: Flask) -> None:
    market, row = answered("returned,户名不符")
    item = items(row)[1]
    found(market, item.id)
    for outcome in ("refused", "returned"):
        with pytest.raises(Conflict, match=r"payout\.told"), transaction():
            payout_word.say(item.id, outcome, "柜面查询回单 0033", actor=market.accountant)
    assert clock.now() >= items(row)[1].paid_at  # type: ignore[operator]
    with pytest.raises(Conflict, match=r"payout\.unpaid"), transaction():
        payout_reversal.propose(items(row)[0].id, "柜面查询回单 0034", kind="BACK", actor=market.accountant)
    asked = transaction(lambda: payout_reversal.propose(item.id, "柜面查询回单 0034", kind="BACK", actor=market.accountant))
    transaction(lambda: payout_reversal.decide(asked.id, version=1, approved=True, actor=market.director))
    assert (told(row)[1], owed(market), broken()) == (("returned", "柜面查询回单 0034"), 2_000, [])


@pytest.mark.parametrize("said", ["returned,户名不符", "refused,户名不符"])
def test_an_old_line_in_a_later_file_does_not_overrule_two_people(app: Flask, said: str) -> None:
    """The first file has no result of the third payment yet; the complete one repeats all that it said."""
    market, row = answered(said)
    number = items(row)[1].id
    found(market, number)
    bank = balance.held("bank", market.cooperative)
    later = (f"{row.number},1,10.00,paid,", f"{row.number},2,20.00,{said}", f"{row.number},3,30.00,paid,")
    assert (len(bring(row, market, *later)), len(bring(row, market, *later))) == (1, 0)
    assert (told(row)[1], owed(market), balance.held("bank", market.cooperative)) == (("paid", ""), 0, bank)
    (stale,) = payout_reversal.of_item(number)
    assert (stale.kind, stale.state) == ("BACK" if said.startswith("returned") else "UNMADE", "PROPOSED")
    # The director looks at the statement, and it was the old line; the next time it is true, and what is found once more stands again.
    second = builders.person(market.cooperative, "director")
    transaction(lambda: payout_reversal.decide(stale.id, version=1, approved=False, answer="流水上扣了没有退", actor=second))
    assert (told(row)[1], owed(market)) == (("paid", ""), 0)
    bring(row, market, *later)
    asked = payout_reversal.of_item(number)[1]
    transaction(lambda: payout_reversal.decide(asked.id, version=1, approved=True, actor=second))
    assert (told(row)[1][0], owed(market), balance.held("bank", market.cooperative)) == ("returned", 2_000, bank + 2_000)
    assert broken() == []
    again_found = found(market, number)
    assert (again_found.state, told(row)[1], owed(market), balance.held("bank", market.cooperative)) == ("DONE", ("paid", ""), 0, bank)
    statement(market, (-6_000, "代发专户", f"代发 {row.number}", "S1"))
    assert (list(reconciliation.position(market.cooperative, "bank").items), broken()) == ([], [])


def test_the_statement_itself_may_say_that_what_was_found_came_back(app: Flask) -> None:
    market, row = answered("refused,户名不符")
    item = items(row)[1]
    found(market, item.id)
    account = items(row)[1].bank_account
    statement(market, (-6_000, "代发专户", f"代发 {row.number}", "S1"), (2_000, "靖安农商银行", f"退票 {row.number} {account}", "S2"))
    assert (told(row)[1][0], owed(market)) == ("returned", 2_000)
    assert (list(reconciliation.position(market.cooperative, "bank").items), broken()) == ([], [])
    assert not payout_found.of_item(item.id)[0].stands


def cancelled(market: Market, distribution_id: int) -> PayoutBatch:
    """A batch whose file was taken, and of which two people said that the bank never got it."""
    row = approved(market, distribution_id)
    transaction(lambda: payout_batch.bank_file(row.id, actor=market.accountant))
    transaction(lambda: payout_batch.recall(row.id, "网银上查过，没有这一批", actor=market.accountant, version=2))
    return transaction(lambda: payout_batch.approve(row.id, actor=market.director, version=3, approved=False, reason="重做"))


def test_one_payment_of_a_cancelled_batch_that_was_found_leaves_the_banks_file_its_home(app: Flask) -> None:
    """A household showed its slip, and two people found it; then comes the bank's file of the whole batch."""
    market, distribution_id = posted()
    row = cancelled(market, distribution_id)
    fresh = made(market, distribution_id)
    transaction(lambda: payout_batch.approve(fresh.id, actor=market.director, version=1))
    transaction(lambda: payout_batch.mark_sent(fresh.id, actor=market.accountant))
    bring(fresh, market, *(f"{fresh.number},{each.sequence},{each.fen // 100}.00,paid," for each in items(fresh)))
    found(market, items(row)[1].id)
    assert [state for state, _reason in told(row)] == ["reissued", "paid", "reissued"]
    changed = bring(row, market, f"{row.number},1,10.00,paid,", f"{row.number},2,20.00,paid,", f"{row.number},3,30.00,处理中,")
    assert (len(changed), changed.asked) == (1, 1)
    changed = bring(row, market, f"{row.number},1,10.00,paid,", f"{row.number},2,20.00,paid,", f"{row.number},3,30.00,paid,")
    assert changed.asked == 1
    second = builders.person(market.cooperative, "director")
    for waiting, _item in payout_found.of_batch(row.id):
        if waiting.state == "PROPOSED":
            transaction(lambda one=waiting: payout_found.decide(one.id, version=1, approved=True, actor=second))  # type: ignore[misc]
    assert [state for state, _reason in told(row)] == ["paid"] * 3
    assert (balance.held("outside", market.cooperative), balance.held("bank", market.cooperative)) == (-6_000, -12_000)
    assert broken() == []


def test_what_was_found_while_it_was_issued_again_stays_paid_when_that_is_taken_back(app: Flask) -> None:
    """A household is owed more of the distribution than came back, so that the first payment can be found while the second is a draft."""
    market, distribution_id = posted()
    capped(app, 1_500)
    row = sent(market, distribution_id)
    bring(row, market, f"{row.number},1,10.00,paid,", f"{row.number},2,15.00,paid,", f"{row.number},3,15.00,returned,户名不符")
    fresh = transaction(lambda: payout_batch.reissue(row.id, actor=market.accountant))
    found(market, items(row)[2].id)
    transaction(lambda: payout_batch.withdraw(fresh.id, actor=market.accountant, version=1))
    assert [state for state, _reason in told(row)] == ["paid"] * 3
    with pytest.raises(Conflict, match=r"payout\.nothing_returned"), transaction():
        payout_batch.reissue(row.id, actor=market.accountant)
    assert balance.held("household", market.cooperative, f"household:{market.households[2]}") == 1_500
    assert broken() == []


def test_what_was_paid_twice_reached_its_household_once_in_every_figure(app: Flask) -> None:
    market, row = answered("refused,户名不符")
    fresh = again(market, row)
    bring(fresh, market, f"{fresh.number},1,20.00,paid,")
    found(market, items(row)[1].id)
    home, year = market.households[1], clock.business_date().year
    brought = county_figures.brought(year)
    assert (brought["paid_fen"], brought["households"]) == (6_000, 3)
    assert village.received([home])[home] == (2_000, 2_000)
    assert {each.id: each.paid_fen for each in fairness.homes(year)}[home] == 2_000
    assert open_books.paid(year) == {market.cooperative: 6_000}
    assert [fen for _label, fen, _href in figures(browser(app, market.clerk), "/cooperative")][3] == 6_000
    # It was not there after all: then it never was twice.
    asked = transaction(lambda: payout_reversal.propose(items(row)[1].id, "看错了行，流水上没有这一笔", actor=market.accountant))
    transaction(lambda: payout_reversal.decide(asked.id, version=1, approved=True, actor=market.director))
    assert (county_figures.brought(year)["paid_fen"], village.received([home])[home]) == (6_000, (2_000, 2_000))
