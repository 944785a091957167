"""What a row of the statement was said to be is undone by two people: the money is a buyer's again, or waits for what it is; the books agree."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.audit import AuditEvent
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.ledger import balance, period
from marketplace.ledger.entry import JournalEntry
from marketplace.organisations.approval import OwnWork
from marketplace.payments import row_decision, row_undo, statement_row, withdrawal
from marketplace.payments.bank_statement import BankReceipt
from marketplace.payments.row_undo import RowUndo
from marketplace.payments.statement_row import StatementLink
from marketplace.payments.withdrawal import Withdrawal
from marketplace.reporting import books
from marketplace.settlement import difference, pair_undo, period_close, reconciliation
from tests import builders
from tests.builders import Market
from tests.orders import trade
from tests.payments.statement import receipt, row, take
from tests.payments.test_receipt_return import decided
from tests.payments.test_withdrawal import ALIPAY, record
from tests.procurement.unit_market import confirmed, match, order_of, unit_market

NOW = datetime(2026, 3, 12, 3, tzinfo=UTC)
DAY = "2026-03-12"
WHY = "查了回单，是学校付的货款"


@pytest.fixture
def market(app: Flask) -> Iterator[Market]:
    """Two tins were paid over Alipay: ¥176.00 lie there."""
    with clock.travel(NOW):
        market = builders.market()
        trade.bought(builders.customer(), (market.pack, 2))
        yield market


def link(serial: str) -> StatementLink:
    return db.session.query(StatementLink).filter_by(row_id=row(serial).id).one()


def asked(market: Market, serial: str, reason: str = WHY) -> RowUndo:
    return transaction(lambda: row_undo.ask(row(serial).id, link(serial).entry_id, reason, actor=market.accountant))


def undone(market: Market, serial: str) -> RowUndo:
    made = asked(market, serial)
    done = transaction(lambda: row_undo.decide(made.id, version=1, approved=True, actor=market.director))
    transaction(lambda: difference.reconcile(market.cooperative))
    return done


def held(market: Market, *kinds: str) -> tuple[int, ...]:
    return tuple(balance.held(kind, market.cooperative) for kind in kinds or ("bank", "unapplied", "outside"))


def sound() -> list[str]:
    return [f"{finding.rule}: {finding.detail}" for finding in books.check() if not finding.ok]


@pytest.mark.both
def test_a_units_money_that_was_called_unrelated_pays_its_order_after_all(app: Flask) -> None:
    with clock.travel(NOW):
        at = unit_market()
        made = confirmed(at, 10)
        take(at.market.accountant, [(DAY, 80_000, "靖安县第一中学", "货款", "B1")])
        decided(at.market, "B1", "UNRELATED")
        assert (receipt("B1").state, held(at.market)) == ("unrelated", (80_000, 0, 80_000))
        with pytest.raises(Conflict, match=r"row\.told"), transaction():
            row_decision.propose(row("B1").id, "RECEIPT", WHY, actor=at.market.accountant)
        undone(at.market, "B1")
        assert (receipt("B1").state, receipt("B1").left_fen, held(at.market)) == ("imported", 80_000, (80_000, 80_000, 0))
        assert reconciliation.position(at.market.cooperative, "bank").differences == []
        match(at, receipt("B1").id, made, 80_000)
        assert (order_of(made).paid_fen, receipt("B1").state, sound()) == (80_000, "matched", [])
        said = db.session.query(row_decision.RowDecision).one()
        assert (said.state, said.undone_at is not None) == ("APPROVED", True)
        assert {"row_undo.asked", "row_undo.done", "approval.approved"} <= {each.action for each in db.session.query(AuditEvent)}


def test_it_can_be_said_to_be_something_else_afterwards_as_often_as_one_errs(market: Market) -> None:
    take(market.accountant, [(DAY, 10_000, "王五", "往来", "B1")])
    for kind, money in (("UNRELATED", (10_000, 0, 10_000)), ("WITHDRAWAL", (10_000, 0, 0)), ("WITHDRAWAL", (10_000, 0, 0)), ("UNRELATED", (10_000, 0, 10_000))):
        decided(market, "B1", kind)
        assert held(market) == money
        undone(market, "B1")
        assert (held(market), receipt("B1").state, sound()) == ((10_000, 10_000, 0), "imported", [])
    assert held(market, "alipay") == (17_600,)
    assert [each.state for each in db.session.query(Withdrawal)] == ["FAILED", "FAILED"], "nobody had ordered either"


@pytest.mark.both
def test_a_debit_called_unrelated_and_one_that_took_a_receipt_back_are_open_again(market: Market) -> None:
    take(market.accountant, [(DAY, 10_000, "靖安县第一中学", "货款", "B1"), (DAY, -1_500, "银行", "管理费", "B2"), (DAY, -10_000, "靖安县第一中学", "冲正", "B3")])
    decided(market, "B2", "UNRELATED")
    decided(market, "B3", "TAKES_BACK", receipt_serial="B1")
    assert (held(market), receipt("B1").state) == ((-1_500, 0, -1_500), "returned")
    undone(market, "B2")
    undone(market, "B3")
    assert (held(market), receipt("B1").state, receipt("B1").left_fen) == ((10_000, 10_000, 0), "imported", 10_000)
    assert held(market, "refunds_payable") == (0,)
    assert {each.fen for each in reconciliation.position(market.cooperative, "bank").items} == {-1_500, -10_000}
    # What they were is said anew.
    decided(market, "B3", "TAKES_BACK", receipt_serial="B1")
    decided(market, "B2", "UNRELATED")
    assert (held(market), receipt("B1").state, sound()) == ((-1_500, 0, -1_500), "returned", [])


@pytest.mark.both
def test_a_credit_taken_for_a_withdrawals_arrival_is_a_buyers_and_the_withdrawal_arrives_later(market: Market) -> None:
    made = record(market.accountant)
    assert take(market.accountant, [(DAY, 10_000, "支付宝代付中学", "货款", "B1")]).arrivals == 1
    assert db.session.get_one(Withdrawal, made.id).state == "ARRIVED"
    undone(market, "B1")
    assert (db.session.get_one(Withdrawal, made.id).state, receipt("B1").left_fen, held(market, "alipay", "bank", "unapplied")) == ("SENT", 10_000, (7_600, 20_000, 10_000))
    assert take(market.accountant, [(DAY, 10_000, ALIPAY, "提现", "B2")], opening_fen=10_000).arrivals == 1
    assert db.session.query(Withdrawal).one().state == "ARRIVED"
    assert held(market, "alipay", "bank", "unapplied") == (7_600, 20_000, 10_000)
    assert (reconciliation.position(market.cooperative, "bank").differences, sound()) == ([], [])


def test_no_number_brings_together_again_what_two_people_parted(market: Market) -> None:
    made = record(market.accountant)
    take(market.accountant, [(DAY, 10_000, "清算账户", f"提现 {made.number}", "B1"), (DAY, -1, "银行", "费", "B2")])
    undone(market, "B1")
    transaction(lambda: row_decision.set_free(row("B1").id, actor=market.accountant))
    transaction(lambda: difference.reconcile(market.cooperative))
    assert db.session.query(StatementLink).filter_by(entry_id=made.entry_id).count() == 0
    # It was right all the same: two people say so.
    decided(market, "B1", "WITHDRAWAL")
    assert (db.session.query(Withdrawal).one().state, link("B1").entry_id) == ("ARRIVED", made.entry_id)


def test_a_withdrawal_that_somebody_ordered_waits_again_and_one_that_alipay_shows_is_not_taken_out_of_the_books(market: Market) -> None:
    take(market.accountant, [(DAY, 10_000, "某清算户", "转入", "B1"), (DAY, 700, "某清算户", "转入", "B2")])
    made = record(market.accountant)
    decided(market, "B1", "WITHDRAWAL")
    decided(market, "B2", "WITHDRAWAL")
    recorded = db.session.query(Withdrawal).filter_by(fen=700).one()
    bill_row = statement_row.StatementRow(organisation_id=market.cooperative, side="alipay", serial="A1", day=NOW.date(), fen=-700)
    with transaction():
        db.session.add(bill_row)
        db.session.flush()
        statement_row.link(bill_row, recorded.entry_id or 0, -700, by=market.accountant.person_id)
    undone(market, "B1")
    undone(market, "B2")
    assert (made.state, db.session.get_one(Withdrawal, recorded.id).state) == ("SENT", "SENT")
    assert held(market, "alipay", "unapplied") == (6_900, 10_700)


def test_a_month_that_is_closed_stays_and_the_open_one_says_so(market: Market) -> None:
    take(market.accountant, [(DAY, 10_000, "靖安县第一中学", "货款", "B1")])
    decided(market, "B1", "UNRELATED")
    with clock.travel(NOW + timedelta(days=25)):
        state, treasurer = period_close.checklist("2026-03"), builders.person(builders.operator(), "treasurer")
        transaction(lambda: period_close.close(state, actor=treasurer))
        assert period.last_closed() == "2026-03"
        undone(market, "B1")
        reversal = db.session.query(JournalEntry).filter_by(source_type="row_undo").one()
        assert (reversal.period, clock.business_date(reversal.event_at).isoformat(), reversal.kind) == ("2026-04", DAY, "reversed")
        assert (held(market), sound()) == ((10_000, 10_000, 0), [])


def test_what_was_built_upon_it_goes_first(app: Flask) -> None:
    with clock.travel(NOW):
        at = unit_market()
        made = confirmed(at, 10)
        take(at.market.accountant, [(DAY, 80_000, "靖安县第一中学", "货款", "B1")])
        transaction(lambda: row_decision.set_free(row("B1").id, actor=at.market.accountant))
        decided(at.market, "B1", "RECEIPT")
        waits = asked(at.market, "B1")
        match(at, receipt("B1").id, made, 80_000)
        for act in (lambda: row_undo.decide(waits.id, version=1, approved=True, actor=at.market.director), lambda: row_undo.ask(row("B1").id, 0, WHY, actor=at.market.accountant)):
            with pytest.raises((Conflict, NotFound)) as refused, transaction():
                act()
            assert refused.value.code in ("receipt.used", "statement_link.missing")
        assert (receipt("B1").state, db.session.get_one(RowUndo, waits.id).state) == ("matched", "PROPOSED")
        transaction(lambda: row_undo.decide(waits.id, version=1, approved=False, reason="已经核销，不撤", actor=at.market.director))
        with pytest.raises(Conflict, match=r"receipt\.used"):
            asked(at.market, "B1")


def test_a_buyers_receipt_that_was_said_to_be_one_is_free_again(market: Market) -> None:
    take(market.accountant, [(DAY, 10_000, "靖安县第一中学", "货款", "B1")])
    transaction(lambda: row_decision.set_free(row("B1").id, actor=market.accountant))
    decided(market, "B1", "RECEIPT")
    undone(market, "B1")
    assert (receipt("B1").state, held(market), db.session.query(StatementLink).count()) == ("unrelated", (0, 0, 0), 0)
    decided(market, "B1", "RECEIPT")
    assert (receipt("B1").state, held(market), sound()) == ("imported", (10_000, 10_000, 0), [])


def test_who_may_ask_and_who_agrees_and_what_is_none_of_theirs(market: Market) -> None:
    take(market.accountant, [(DAY, 10_000, "王五", "往来", "B1"), (DAY, 900, "赵六", "货款", "B2")])
    decided(market, "B1", "UNRELATED")
    other = builders.market(name="乙社")
    row_id, entry_id = row("B1").id, link("B1").entry_id
    for who, error, reason in ((market.director, NotAllowed, WHY), (market.clerk, NotAllowed, WHY), (other.accountant, NotFound, WHY), (market.accountant, InvalidInput, " ")):
        with pytest.raises(error), transaction():
            row_undo.ask(row_id, entry_id, reason, actor=who)
    with pytest.raises(Conflict, match=r"pair\.alone"):
        asked(market, "B2")  # a receipt as it came: it can be said to be something else
    made = asked(market, "B1")
    assert asked(market, "B1").id == made.id, "asked twice"
    both = replace(market.accountant, roles=frozenset({"accountant", "director"}))
    for who, wrong in ((market.accountant, NotAllowed), (other.director, NotFound), (both, OwnWork)):
        with pytest.raises(wrong), transaction():
            row_undo.decide(made.id, version=1, approved=True, actor=who)
    with pytest.raises(InvalidInput, match=r"reason\.missing"), transaction():
        row_undo.decide(made.id, version=1, approved=False, actor=market.director)
    with pytest.raises(Conflict, match=r"version\.stale"), transaction():
        row_undo.decide(made.id, version=2, approved=True, actor=market.director)
    transaction(lambda: row_undo.decide(made.id, version=1, approved=False, reason="就是无关的", actor=market.director))
    assert (held(market), receipt("B1").state) == ((10_900, 900, 10_000), "unrelated")
    with pytest.raises(Conflict, match=r"undo\.state"), transaction():
        row_undo.decide(made.id, version=2, approved=True, actor=market.director)
    undone(market, "B1")
    assert (held(market), [each.state for each in row_undo.of_row(row_id)]) == ((10_900, 10_900, 0), ["RETURNED", "APPROVED"])


def test_a_pairing_by_hand_beside_a_decision_is_taken_apart_by_one(market: Market) -> None:
    """Two people decided what the rest of the row is, not the part that one person paired."""
    made = record(market.accountant, 5_000)
    take(market.accountant, [(DAY, 9_000, "某清算户", "转入", "B1")])
    with transaction():
        row_decision.set_free(row("B1").id, actor=market.accountant)
        paired = statement_row.link(row("B1"), made.entry_id or 0, 5_000, by=market.accountant.person_id)
    decided(market, "B1", "UNRELATED")
    assert [each.id for each in pair_undo.paired(market.cooperative, row_id=row("B1").id, entry_id=None)] == [paired.id]
    transaction(lambda: pair_undo.undo(paired.id, "不是这一笔提现", actor=market.accountant))
    undone(market, "B1")
    assert (receipt("B1").left_fen, withdrawal.available(market.cooperative), db.session.query(BankReceipt).count()) == (9_000, 12_600, 1)
