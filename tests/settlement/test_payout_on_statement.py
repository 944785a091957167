"""Payouts that came back, as banks credit them: all at once or one by one, before the results or after; and what was booked wrongly is repaired."""

from datetime import timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.households.household import Household
from marketplace.ledger import balance
from marketplace.payments import row_decision
from marketplace.payments.bank_statement import BankReceipt
from marketplace.payments.statement_row import StatementLink
from marketplace.reporting import books
from marketplace.settlement import difference, pair_undo, payout_word, reconciliation
from marketplace.settlement.difference import Difference
from marketplace.settlement.payout_batch import PayoutBatch
from tests import builders
from tests.builders import Market
from tests.payments.statement import receipt, row, take
from tests.settlement.test_payout_batch import bring, posted, sent
from tests.settlement.test_payout_found import RULES
from tests.settlement.test_payout_unknown import items, statement, told

pytestmark = pytest.mark.both

REASON = "流水和回盘对过，是代发退票"


@pytest.fixture
def out(app: Flask) -> tuple[Market, PayoutBatch]:
    """A batch of ¥10.00, ¥20.00 and ¥30.00 at the bank."""
    market, distribution_id = posted()
    return market, sent(market, distribution_id)


def results(market: Market, batch: PayoutBatch, second: str = "returned,户名不符", third: str = "returned,账号不符") -> None:
    bring(batch, market, f"{batch.number},1,10.00,paid,", f"{batch.number},2,20.00,{second}", f"{batch.number},3,30.00,{third}")


def credits(market: Market, batch: PayoutBatch, *fens: int, remark: str = "") -> None:
    """The bank debited the batch at once, and credits these back."""
    said = remark or f"退票 {batch.number}"
    statement(market, (-6_000, "代发专户", f"代发 {batch.number}", "D"), *((fen, "代发专户", said, f"C{place}") for place, fen in enumerate(fens)))


def standing(market: Market) -> tuple[int, int, list[tuple[str, int]]]:
    """What lies at the bank by the books, what waits for a buyer's order, and what is open between books and statement."""
    where = reconciliation.position(market.cooperative, "bank")
    assert where.explained_fen == where.ours_fen
    assert [each.rule for each in books.check() if not each.ok and each.rule in RULES] == []
    return (
        balance.held("bank", market.cooperative), balance.held("unapplied", market.cooperative),
        sorted((item.kind, item.effect_fen) for item in where.items),
    )  # fmt: skip


@pytest.mark.parametrize("first", ["results", "statement"])
@pytest.mark.parametrize("fens", [(2_000, 3_000), (5_000,), (3_000, 2_000)])
def test_what_came_back_is_no_buyers_money_however_the_bank_credits_it(out: tuple[Market, PayoutBatch], first: str, fens: tuple[int, ...]) -> None:
    market, batch = out
    steps = [lambda: results(market, batch), lambda: credits(market, batch, *fens)]
    for step in steps if first == "results" else reversed(steps):
        step()
    transaction(lambda: difference.reconcile(market.cooperative, ["bank"]))
    assert (standing(market), db.session.query(BankReceipt).count()) == ((-1_000, 0, []), 0)


def test_what_comes_back_after_it_was_paid_is_told_by_the_statement(out: tuple[Market, PayoutBatch]) -> None:
    market, batch = out
    results(market, batch, "paid,", "paid,")
    credits(market, batch, 2_000, remark=f"退票 {batch.number} {items(batch)[1].bank_account}")
    assert [state for state, _reason in told(batch)] == ["paid", "returned", "paid"]
    assert balance.held("household", market.cooperative, f"household:{market.households[1]}") == 2_000
    results(market, batch, "returned,户名不符", "paid,")
    assert standing(market) == (-4_000, 0, [])


def test_a_credit_that_names_no_batch_but_sounds_like_a_payout_waits_for_a_person(out: tuple[Market, PayoutBatch]) -> None:
    market, batch = out
    results(market, batch, "paid,", "paid,")
    account = db.session.get_one(Household, market.households[1]).bank_account
    today = f"{clock.business_date()}"
    took = take(
        market.accountant,
        [(today, 2_000, "代发业务专户", "退汇", "E1"), (today, 3_000, "靖安农商银行", f"转入 {account}", "E2"), (today, 1_000, "某学校", f"转入 {items(batch)[0].bank_account}", "E3"),
         (today, 2_000, "某学校", "货款", "E4"), (today, 2_500, "靖安农商银行", "退票", "E5")],
    )  # fmt: skip
    assert (took.arrivals, [each.serial for each in db.session.query(BankReceipt).order_by(BankReceipt.id)]) == (2, ["E2", "E4", "E5"]), "E2 is of another amount"
    transaction(lambda: difference.reconcile(market.cooperative, ["bank"]))
    assert ("ONLY_THEIRS", -2_000) in [(item.kind, item.effect_fen) for item in reconciliation.position(market.cooperative, "bank").items]


def booked_wrongly(market: Market, batch: PayoutBatch) -> None:
    """As it was booked before anybody looked for a batch's number: two buyers' receipts."""
    results(market, batch)
    credits(market, batch, 2_000, 3_000, remark="转入")
    transaction(lambda: difference.reconcile(market.cooperative, ["bank"]))
    assert (balance.held("unapplied", market.cooperative), balance.held("bank", market.cooperative)) == (5_000, 4_000)


def decided(market: Market, serial: str, kind: str, entry_id: int | None = None) -> None:
    """The accountant says what a row is, and the director agrees."""
    asked = transaction(lambda: row_decision.propose(row(serial).id, kind, REASON, entry_id=entry_id, actor=market.accountant))
    transaction(lambda: row_decision.decide(asked.id, version=1, approved=True, actor=market.director))


def entry_of(market: Market, kind: str = "payout_returned") -> int:
    found = next(item for item in reconciliation.position(market.cooperative, "bank").items if item.what == kind)
    assert found.entry_id is not None
    return found.entry_id


def test_what_was_booked_as_a_buyers_receipt_is_said_to_be_the_entry_that_stands(out: tuple[Market, PayoutBatch]) -> None:
    market, batch = out
    booked_wrongly(market, batch)
    entry_id = entry_of(market)
    with pytest.raises(InvalidInput, match=r"decision\.kind"), transaction():
        row_decision.propose(row("C0").id, "STANDS", REASON, actor=market.accountant)
    with pytest.raises(Conflict, match=r"entry\.amount"), transaction():
        row_decision.propose(row("C0").id, "STANDS", REASON, entry_id=entry_of(market) + 999, actor=market.accountant)
    for serial in ("C0", "C1"):
        decided(market, serial, "STANDS", entry_id)
    transaction(lambda: difference.reconcile(market.cooperative, ["bank"]))
    assert (receipt("C0").state, standing(market)) == ("unrelated", (-1_000, 0, []))
    assert not difference.unexplained(reconciliation.position(market.cooperative, "bank"))


def test_an_entry_is_never_more_than_it_is(out: tuple[Market, PayoutBatch]) -> None:
    market, batch = out
    results(market, batch, third="paid,")
    credits(market, batch, 2_000, 2_000)
    entry = db.session.query(StatementLink).filter_by(row_id=row("C0").id).one().entry_id
    assert standing(market)[2] == [("ONLY_THEIRS", -2_000)]
    with pytest.raises(Conflict, match=r"entry\.amount"), transaction():
        row_decision.propose(row("C1").id, "STANDS", REASON, entry_id=entry, actor=market.accountant)


def test_a_row_that_was_held_back_is_a_buyers_after_all(out: tuple[Market, PayoutBatch]) -> None:
    market, batch = out
    results(market, batch, "paid,", "paid,")
    today = f"{clock.business_date()}"
    take(market.accountant, [(today, -6_000, "代发专户", f"代发 {batch.number}", "D"), (today, 2_000, "某学校", "代发货款退补", "E1")])
    assert db.session.query(BankReceipt).count() == 0
    decided(market, "E1", "RECEIPT")
    transaction(lambda: difference.reconcile(market.cooperative, ["bank"]))
    assert (receipt("E1").state, standing(market)) == ("imported", (-4_000, 2_000, []))
    with pytest.raises(Conflict, match=r"row\.told"), transaction():
        row_decision.propose(row("E1").id, "RECEIPT", "学校打来的货款", actor=market.accountant)
    decided(market, "E1", "UNRELATED")
    assert (receipt("E1").state, balance.held("unapplied", market.cooperative)) == ("unrelated", 0)


def test_a_pairing_that_was_wrong_is_taken_apart_and_stays_written(out: tuple[Market, PayoutBatch]) -> None:
    market, batch = out
    results(market, batch, third="paid,")
    today = f"{clock.business_date()}"
    take(market.accountant, [(today, -6_000, "代发专户", f"代发 {batch.number}", "D"), (today, 3_000, "代发业务专户", "退票", "E1"), (today, 2_000, "代发业务专户", "退票", "E2")])
    with clock.travel(clock.now() + timedelta(days=3)):
        # Two days on, what is open is no matter of the evening any more.
        take(market.accountant, [(f"{clock.business_date() - timedelta(days=1)}", 1, "银行", "利息", "E3")], opening_fen=-1_000)
        transaction(lambda: difference.reconcile(market.cooperative, ["bank"]))
        paired_wrongly(market)


def paired_wrongly(market: Market) -> None:
    def of(**which: int) -> Difference:
        return db.session.query(Difference).filter_by(state="OPEN", **which).one()

    ours = of(entry_id=entry_of(market))
    wrong = of(row_id=row("E1").id)
    transaction(lambda: difference.pair(ours.id, wrong.id, version=ours.version, actor=market.accountant))
    (link,) = pair_undo.paired(market.cooperative, row_id=row("E1").id, entry_id=None)
    for who, error in ((market.clerk, NotAllowed), (builders.market(name="另一家").accountant, NotFound)):
        with pytest.raises(error), transaction():
            pair_undo.undo(link.id, "看错了行", actor=who)
    with pytest.raises(InvalidInput, match=r"reason\.missing"), transaction():
        pair_undo.undo(link.id, "错", actor=market.accountant)
    undone = transaction(lambda: pair_undo.undo(link.id, "看错了行，是另一笔", actor=market.accountant))
    assert (undone.fen, undone.linked_by_id, [each.reason for each in pair_undo.undone(row("E1").id, None)]) == (2_000, market.accountant.person_id, ["看错了行，是另一笔"])
    assert ("ONLY_OURS", 2_000) in standing(market)[2]
    ours, right = of(entry_id=entry_of(market)), of(row_id=row("E2").id)
    transaction(lambda: difference.pair(ours.id, right.id, version=ours.version, actor=market.accountant))
    assert standing(market) == (-3_999, 1, [("ONLY_THEIRS", -3_000)])
    with pytest.raises(Conflict, match=r"pair\.decided"), transaction():
        pair_undo.undo(db.session.query(StatementLink).filter_by(row_id=row("D").id).first().id, "不是同一笔", actor=market.accountant)  # type: ignore[union-attr]


def test_a_person_says_that_what_was_paid_came_back(out: tuple[Market, PayoutBatch]) -> None:
    market, batch = out
    results(market, batch, "paid,", "paid,")
    _first, second, third = (item.id for item in items(batch))
    transaction(lambda: payout_word.say(third, "returned", "柜面说退回来了，回单 0040", actor=market.accountant))
    assert told(batch)[2][0] == "returned"
    with pytest.raises(Conflict, match=r"payout\.told"), transaction():
        payout_word.say(second, "refused", "柜面说没有付", actor=market.accountant)
