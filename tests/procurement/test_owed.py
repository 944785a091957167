"""What a unit owes is one figure, on the desk, the lists, the letters, the invoice and in the books, whatever was undone or went back."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.jobs import trade as jobs
from marketplace.ledger import balance
from marketplace.orders import return_request
from marketplace.orders.invoice import invoiceable_fen
from marketplace.orders.invoice_choice import invoiceable
from marketplace.orders.order import Order
from marketplace.payments import bank_match, match_undo, row_decision
from marketplace.payments.bank_statement import BankReceipt
from marketplace.payments.refund import Refund
from marketplace.procurement import late_interest, price_cut
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.reporting import books, cooperative_money, overdue
from marketplace.settlement import difference, settlement
from marketplace.settlement.settlement import Settlement
from tests.payments import statement
from tests.procurement.unit_market import (
    UnitMarket,
    accept,
    confirmed,
    match,
    order_of,
    receipt,
    ship,
    transferred,
    unit_market,
)
from tests.web.test_documents import words
from tests.web.work_desk import browser

NOW = clock.beijing_midnight(date(2026, 6, 1)) + timedelta(hours=9)
AFTER = NOW + timedelta(days=50)  # twenty days after the thirty in which to pay


@pytest.fixture(autouse=True)
def _books_agree(app: Flask) -> Iterator[None]:
    yield
    assert [f"{each.rule}: {each.detail}" for each in books.check() if not each.ok] == []


@pytest.fixture
def at(app: Flask) -> Iterator[UnitMarket]:
    with clock.travel(NOW):
        yield unit_market()


def arrived(at: UnitMarket, *, accepted: int = 10) -> int:
    """An order of ten tins at ¥80.00, accepted now."""
    made = confirmed(at, 10)
    ship(at, made, 10)
    accept(at, made, accepted, 10 - accepted)
    return made


def came(at: UnitMarket, fen: int, serial: str = "S1", day: datetime = NOW) -> int:
    return receipt(at, fen, day=f"{clock.business_date(day)}", serial=serial)


def went_back(at: UnitMarket, made: int, fen: int) -> None:
    """The cooperative gives so much back of its own accord."""
    request = transaction(lambda: return_request.propose(order_of(made).id, fen, "有一罐受潮", actor=at.market.accountant)).id
    transaction(lambda: return_request.approve(request, actor=at.market.director))


def undone(at: UnitMarket, match_id: int) -> None:
    asked = transaction(lambda: match_undo.ask(match_id, "核到别的单位去了", actor=at.market.accountant)).id
    transaction(lambda: match_undo.decide(asked, version=1, approved=True, actor=at.market.director))


def figures(at: UnitMarket, made: int) -> dict[str, int]:
    """What each place says that the unit still owes."""
    desk = {each.id: each.open_fen for each in bank_match.desks["order"].open_of(at.market.cooperative)}
    listed = {each.order.id: each.open_fen for each in overdue.of_cooperative(at.market.cooperative)}
    order = order_of(made)
    return {
        "desk": desk.get(order.id, 0), "list": listed.get(order.id, 0), "unit": overdue.of_unit(at.unit)[1], "year": overdue.of_year(2026)[0].open_fen,
        "books": balance.held("receivable", at.market.cooperative),
    }  # fmt: skip


@pytest.mark.both
def test_half_paid_and_something_returned_is_one_debt_everywhere(app: Flask, at: UnitMarket, tmp_path: Path) -> None:
    made = arrived(at)
    match(at, came(at, 40_000), made, 40_000)
    went_back(at, made, 10_000)
    with clock.travel(AFTER):
        assert set(figures(at, made).values()) == {40_000}
        order, row = order_of(made), db.session.get_one(DirectedOrder, made)
        # ¥300.00 were kept and ¥400.00 are owed.
        assert invoiceable_fen(order) == db.session.scalar(select(invoiceable()).where(Order.id == order.id)) == 70_000
        accountant, unit = browser(app, at.market.accountant), browser(app, at.buyer)
        letter = accountant.get(f"/cooperative/overdue/{row.public_id}/letter").text
        assert "¥400.00" in letter and "¥500.00" not in letter
        assert "¥400.00" in unit.get(f"/unit/orders/{row.public_id}").text
        assert "肆佰元" in words(unit.get(f"/unit/orders/{row.public_id}/payment-letter.pdf").data, tmp_path)
        # Twenty days late with ¥400.00, at 0.05 % a day: what went back was not late.
        accrued = late_interest.accrued(order, row)
        assert accrued is not None and (accrued.days, accrued.fen) == (19, 380)
        rest = came(at, 50_000, "S2", AFTER)
        with pytest.raises(Conflict, match=r"match\.owed"):
            match(at, rest, made, 50_000, key="2")
        match(at, rest, made, 40_000, key="3")
        assert (order_of(made).payment, order_of(made).owed_fen) == ("PAID", 0)
        transferred(at)
        assert transaction(lambda: settlement.settle(order_of(made).id)).base_fen == 70_000


@pytest.mark.both
def test_what_was_paid_may_go_back_whole_while_the_rest_is_owed(at: UnitMarket) -> None:
    made = arrived(at)
    match(at, came(at, 30_000), made, 30_000)
    went_back(at, made, 30_000)
    assert (order_of(made).payment, order_of(made).open_fen) == ("PARTLY_PAID", 50_000)
    with clock.travel(AFTER):
        assert settlement.settle_due() == []
        assert set(figures(at, made).values()) == {50_000}
        match(at, came(at, 50_000, "S2", AFTER), made, 50_000, key="2")
        transferred(at)
        assert transaction(lambda: settlement.settle(order_of(made).id)).base_fen == 50_000


def test_what_was_paid_may_go_back_whole_and_the_rest_be_cut(at: UnitMarket) -> None:
    made = arrived(at)
    match(at, came(at, 30_000), made, 30_000)
    went_back(at, made, 30_000)
    cut = transaction(lambda: price_cut.ask(order_of(made).id, 50_000, "整批受潮", actor=at.buyer, key="c"))
    transaction(lambda: price_cut.decide(cut, version=1, approved=True, actor=at.market.director))
    assert (order_of(made).payment, order_of(made).owed_fen) == ("REFUNDED", 0)
    with clock.travel(AFTER):
        transferred(at)
        assert transaction(lambda: settlement.settle(order_of(made).id)).base_fen == 0


@pytest.mark.both
@pytest.mark.parametrize("terms", ["POSTPAY", "PREPAY"])
def test_what_was_paid_before_it_arrived_is_due_when_the_match_is_undone(at: UnitMarket, terms: str) -> None:
    made = confirmed(at, 10, terms=terms)
    match_id = match(at, came(at, 80_000), made, 80_000)
    ship(at, made, 10)
    accept(at, made, 10)
    with clock.travel(NOW + timedelta(days=3)):
        undone(at, match_id)
    assert db.session.get_one(DirectedOrder, made).pay_by == date(2026, 7, 1)
    with clock.travel(AFTER):
        assert set(figures(at, made).values()) == {80_000}
        accrued = late_interest.accrued(order_of(made), db.session.get_one(DirectedOrder, made))
        assert accrued is not None and accrued.fen == 760
        match(at, came(at, 80_000, "S2", AFTER), made, 80_000, key="again")
        assert order_of(made).payment == "PAID"


def test_paid_first_undone_on_the_way_and_accepted_is_owed(at: UnitMarket) -> None:
    made = confirmed(at, 10, terms="PREPAY")
    match_id = match(at, came(at, 80_000), made, 80_000)
    ship(at, made, 10)
    undone(at, match_id)
    accept(at, made, 9, 1)
    with clock.travel(AFTER):
        assert set(figures(at, made).values()) == {72_000}


def test_what_went_back_before_the_acceptance_is_not_owed_again(at: UnitMarket) -> None:
    """Ten are ordered and half paid; for one that broke on the way ¥80.00 go back, and the other nine are accepted: they cost ¥720.00."""
    made = confirmed(at, 10)
    match(at, came(at, 40_000), made, 40_000)
    ship(at, made, 10)
    went_back(at, made, 8_000)
    accept(at, made, 9, 1)
    assert order_of(made).open_fen == balance.held("receivable", at.market.cooperative) == 40_000
    with clock.travel(AFTER):
        match(at, came(at, 40_000, "S2", AFTER), made, 40_000, key="2")
        transferred(at)
        assert transaction(lambda: settlement.settle(order_of(made).id)).base_fen == 72_000


def test_what_was_short_and_paid_goes_back_and_of_the_rest_a_match_is_undone(at: UnitMarket) -> None:
    made = confirmed(at, 10)
    match(at, came(at, 40_000), made, 40_000, key="1")
    second = match(at, came(at, 40_000, "S2"), made, 40_000, key="2")
    ship(at, made, 10)
    accept(at, made, 9, 1)
    assert [each.fen for each in db.session.query(Refund)] == [8_000]
    undone(at, second)
    with clock.travel(AFTER):
        assert set(figures(at, made).values()) == {40_000}


@pytest.mark.both
def test_a_match_that_waits_for_the_director_holds_the_split(at: UnitMarket) -> None:
    """Paid on the 25th day, when the return window has long been over: the next run would divide it within minutes."""
    made = arrived(at)
    with clock.travel(NOW + timedelta(days=25)):
        match_id = match(at, came(at, 80_000, day=NOW + timedelta(days=25)), made, 80_000)
        asked = transaction(lambda: match_undo.ask(match_id, "核到别的单位去了", actor=at.market.accountant)).id
        order_id = order_of(made).id
        assert settlement.settle_due() == []
        with pytest.raises(settlement.NotDue, match=r"settlement\.match_asked"):
            transaction(lambda: settlement.settle(order_id))
        assert [(each.why, each.fen) for each in cooperative_money.waiting(at.market.cooperative)] == [("match_asked", 80_000)]
        transaction(lambda: match_undo.decide(asked, version=1, approved=False, reason="没有错", actor=at.market.director))
        assert [each.why for each in cooperative_money.waiting(at.market.cooperative)] == ["due"]
        assert jobs.settle() == "1 settled"


@pytest.mark.both
def test_a_transfer_that_the_bank_took_back_after_the_split_is_owed_and_paid_again(app: Flask, at: UnitMarket) -> None:
    """The shares stay where they went; the cooperative waits for its money, the unit transfers once more, and nothing is divided twice."""
    made = arrived(at)
    book, reference = at.market.cooperative, db.session.get_one(DirectedOrder, made).reference
    late, day = NOW + timedelta(days=25), f"{clock.business_date(NOW + timedelta(days=25))}"
    with clock.travel(late):
        statement.take(at.market.accountant, [(day, 80_000, "靖安县第一中学", f"货款 {reference}", "B1")])
        match_id = match(at, statement.receipt("B1").id, made, 80_000)
        assert jobs.settle() == "1 settled"
        kinds = ("revenue", "household_pool", "village_collective", "relief_fund")
        divided = [balance.by_owner(kind, book) for kind in kinds]
        undone(at, match_id)
        order = order_of(made)
        assert (order.payment, order.owed_fen, order.settled_at is not None) == ("UNPAID", 80_000, True)
        assert [balance.held(kind, book) for kind in ("receivable", "accepted_unpaid", "buyer_funds", "unapplied")] == [80_000, 0, 0, 80_000]
        # The bank's own row takes the receipt back.
        statement.take(at.market.accountant, [(day, -80_000, "靖安县第一中学", "冲正", "B2")], opening_fen=80_000)
        taken = transaction(lambda: row_decision.propose(statement.row("B2").id, "TAKES_BACK", "银行冲正", receipt_id=statement.receipt("B1").id, actor=at.market.accountant)).id
        transaction(lambda: row_decision.decide(taken, version=1, approved=True, actor=at.market.director))
        assert transaction(lambda: difference.reconcile(book)) == 0
        assert (balance.held("bank", book), balance.held("unapplied", book)) == (0, 0)
        with pytest.raises(Conflict, match=r"cut\.settled"):
            transaction(lambda: price_cut.ask(order.id, 1_000, "有点旧", actor=at.buyer, key="c"))
    with clock.travel(AFTER):
        assert set(figures(at, made).values()) == {80_000}
        again = match(at, came(at, 80_000, "B3", AFTER), made, 80_000, key="again")
        undone(at, again)
        assert balance.held("receivable", book) == 80_000
        match(at, db.session.query(BankReceipt).filter_by(serial="B3").one().id, made, 80_000, key="once more")
        assert (order_of(made).payment, balance.held("receivable", book), balance.held("unapplied", book)) == ("PAID", 0, 0)
        assert jobs.settle() == ""
        assert db.session.query(Settlement).one().base_fen == 80_000
        assert [balance.by_owner(kind, book) for kind in kinds] == divided
        assert "¥800.00" in browser(app, at.market.director).get("/cooperative/bank/matches").text
