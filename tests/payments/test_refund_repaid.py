"""What a buyer gives back of a refund that left twice is told with that refund: on its page, in the payment's story, and by two people."""

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotFound
from marketplace.ledger import balance
from marketplace.payments import refund_loss, row_decision, row_undo
from marketplace.payments.bank_statement import BankReceipt
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund
from marketplace.payments.row_decision import RowDecision
from marketplace.payments.statement_row import StatementLink
from marketplace.reporting import payment_story
from marketplace.settlement import difference
from marketplace.web import payment_words
from tests import builders
from tests.builders import Market
from tests.payments.statement import receipt, row, take
from tests.payments.test_refund_left import PAID, unsound
from tests.payments.test_refund_loss import WHY, market, number
from tests.web.work_desk import browser

__all__ = ["market", "number"]


@pytest.fixture
def borne(market: Market, number: int) -> int:
    """The cooperative has borne the refund that left twice; its id."""
    proposed = transaction(lambda: refund_loss.propose(number, WHY, actor=market.accountant).id)
    transaction(lambda: refund_loss.decide(proposed, actor=market.director, version=1, approved=True))
    return number


def came(market: Market, fen: int, serial: str = "B1", *, opening_fen: int = 0) -> BankReceipt:
    take(market.accountant, [(f"{clock.business_date()}", fen, "王小明", "还多退的", serial)], opening_fen=opening_fen)
    db.session.rollback()
    return receipt(serial)


def steps(refund_id: int) -> list[str]:
    db.session.rollback()
    refund = db.session.get_one(Refund, refund_id)
    return [each.kind for each in payment_story.story(db.session.get_one(Payment, refund.payment_id))]


@pytest.mark.both
def test_it_is_said_on_the_page_agreed_and_told_with_its_refund(app: Flask, market: Market, borne: int) -> None:
    its, public_id = came(market, PAID).public_id, db.session.get_one(Refund, borne).public_id
    clerk, director = browser(app, market.accountant), browser(app, market.director)
    page = clerk.get(f"/cooperative/bank/receipts/{its}").text
    assert ("买家转回来了" in page, db.session.get_one(Refund, borne).out_request_no in page) == (True, True)
    path, form = f"/cooperative/bank/receipts/{its}/say", {"kind": "REPAID", "why": "买家打电话说转回来了"}
    which = clerk.post(path, data=form)
    assert (which.status_code, "请选择是哪一笔多退的款" in which.text, 'href="#refund"' in which.text) == (422, True, True)
    assert clerk.post(path, data=form | {"refund": public_id}).status_code == 303
    waits = clerk.get(f"/cooperative/bank/receipts/{its}").text
    assert ("已经说明是“买家转回来的多退的款”" in waits, path in waits) == (True, False)
    decision = db.session.query(RowDecision).one()
    assert (decision.kind, decision.refund_id, decision.fen) == ("UNRELATED", borne, PAID)
    said = director.get("/cooperative/bank/decisions").text
    assert ("买家转回来的多退的款" in said, f"/cooperative/refunds/{public_id}" in said) == (True, True)
    assert "repaid" not in steps(borne)
    assert director.post(f"/cooperative/bank/decisions/{decision.public_id}", data={"decision": "approve", "version": "1"}).status_code == 303
    assert (balance.held("outside", market.cooperative), balance.held("bank", market.cooperative), unsound()) == (0, PAID, [])
    refund = clerk.get(f"/cooperative/refunds/{public_id}").text
    assert ("买家转回来了 ¥176.00" in refund, "王小明" in refund) == (True, True)
    told = steps(borne)
    assert (told.count("repaid"), set(told) <= set(payment_words.STEPS)) == (1, True)
    assert "买家把多退的转回来了" in clerk.get(f"/cooperative/payments/{db.session.get_one(Payment, db.session.get_one(Refund, borne).payment_id).public_id}").text
    # All of it is back: nothing more is looked for.
    assert "买家转回来了" not in clerk.get(f"/cooperative/bank/receipts/{came(market, PAID, 'B2', opening_fen=PAID).public_id}").text


def test_no_more_than_left_twice_and_only_of_ones_own(app: Flask, market: Market, borne: int) -> None:
    came(market, PAID - 100)
    first = transaction(lambda: row_decision.propose(row("B1").id, "REPAID", "买家转回来的", refund_id=borne, actor=market.accountant).id)
    came(market, 200, "B2", opening_fen=PAID - 100)
    second = transaction(lambda: row_decision.propose(row("B2").id, "REPAID", "买家转回来的", refund_id=borne, actor=market.accountant).id)
    transaction(lambda: row_decision.decide(first, version=1, approved=True, actor=market.director))
    with pytest.raises(Conflict, match=r"refund\.repaid"):  # both were right when they were said
        transaction(lambda: row_decision.decide(second, version=1, approved=True, actor=market.director))
    other = builders.market(name="另一家")
    came(other, 100, "C1")
    with pytest.raises(NotFound):
        transaction(lambda: row_decision.propose(row("C1").id, "REPAID", "买家转回来的", refund_id=borne, actor=other.accountant))
    for wrong in ({"kind": "REPAID"}, {"kind": "UNRELATED", "refund_id": borne}):
        with pytest.raises(InvalidInput, match=r"decision\.kind"):
            transaction(lambda wrong=wrong: row_decision.propose(row("B2").id, reason="x" * 9, actor=market.accountant, **wrong))  # type: ignore[misc]


def test_undone_by_two_people_it_is_owed_back_again(app: Flask, market: Market, borne: int) -> None:
    before = balance.held("outside", market.cooperative)
    came(market, PAID)
    made = transaction(lambda: row_decision.propose(row("B1").id, "REPAID", "买家转回来的", refund_id=borne, actor=market.accountant).id)
    transaction(lambda: row_decision.decide(made, version=1, approved=True, actor=market.director))
    transaction(lambda: difference.reconcile(market.cooperative, ["bank"]))
    link = db.session.query(StatementLink).filter_by(row_id=row("B1").id).one().entry_id
    undo = transaction(lambda: row_undo.ask(row("B1").id, link, "其实是货款", actor=market.accountant).id)
    transaction(lambda: row_undo.decide(undo, version=1, approved=True, actor=market.director))
    assert ("repaid" in steps(borne), receipt("B1").state, balance.held("outside", market.cooperative)) == (False, "imported", before)
    assert before != 0
    assert [left for _refund, left in row_decision.to_be_repaid(market.cooperative)] == [PAID]
    assert unsound() == []
