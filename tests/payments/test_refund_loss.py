"""A refund that left twice when no order held money for it: the cooperative bears it, by two people's word, and books and bill agree again."""

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.foundation import outbox
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.ledger.entry import JournalEntry
from marketplace.orders import refund_reissue
from marketplace.payments import refund_loss
from marketplace.payments.bill_difference import BillDifference
from marketplace.payments.refund import Refund
from marketplace.payments.refund_loss import RefundLoss
from marketplace.reporting import money_alarm, money_health
from tests import builders
from tests.builders import Market
from tests.ledger.account_book import read
from tests.orders import trade
from tests.payments.gateway import WrittenChannel
from tests.payments.test_refund_left import DONE, NOT_REFUNDED, PAID, answered_left, stopped, unsound
from tests.web.work_desk import browser

WHY = "两次都退到了，打过三次电话，买家不还。"


@pytest.fixture
def market(app: Flask) -> Market:
    return builders.market()


@pytest.fixture
def number(app: Flask, market: Market) -> int:
    """A whole refund that was taken for failed, made again, and then turned out to have left too."""
    made = stopped(app, market, PAID)
    transaction(lambda: refund_reissue.resend(made, actor=market.accountant))
    WrittenChannel(app, refund=[DONE], refund_query=[NOT_REFUNDED])
    outbox.drain(kinds={"refund"})
    answered_left(app, made)
    db.session.rollback()
    return made


def lost() -> int:
    db.session.rollback()
    return next(each.count for each in money_health.standing() if each.name == "lost_refunds")


@pytest.mark.both
def test_what_went_twice_and_no_order_holds_is_borne_by_two_peoples_word(app: Flask, market: Market, number: int) -> None:
    assert (trade.held(market, "alipay"), lost()) == (0, 1)  # the channel has paid it out twice
    assert "lost_refunds" in {each.name for each in money_alarm.frequent()}
    db.session.rollback()
    for _ in range(2):
        proposed = transaction(lambda: refund_loss.propose(number, WHY, actor=market.accountant).id)
    assert len(list(db.session.scalars(select(RefundLoss.id)))) == 1
    db.session.rollback()
    transaction(lambda: refund_loss.decide(proposed, actor=market.director, version=1, approved=True))
    db.session.rollback()
    row = db.session.get_one(RefundLoss, proposed)
    entry = db.session.get_one(JournalEntry, row.entry_id)
    assert (row.state, entry.kind, row.fen) == ("DONE", "refund_lost", PAID)
    assert read(entry.id) == "debit  outside 176.00\ncredit alipay 176.00"
    assert [trade.held(market, kind) for kind in ("alipay", "buyer_funds", "refunds_payable")] == [-PAID, 0, 0]
    difference = db.session.scalars(select(BillDifference)).one()
    assert (difference.explanation, difference.explained_by_id) == (WHY, market.director.person_id)
    assert (lost(), unsound()) == (0, [])
    answered_left(app, number)  # told once more: it is the same
    assert (lost(), unsound(), len(list(db.session.scalars(select(Refund.id))))) == (0, [], 2)
    for again in (lambda: refund_loss.decide(proposed, actor=market.director, version=2, approved=True), lambda: refund_loss.propose(number, WHY, actor=market.accountant)):
        with pytest.raises(Conflict, match=r"loss\.decided"):
            transaction(again)


def test_nobody_decides_alone_or_of_anothers(app: Flask, market: Market, number: int) -> None:
    other = builders.market(name="另一家")
    for who, trouble in ((market.clerk, NotAllowed), (other.accountant, NotFound), (builders.customer(), NotAllowed)):
        with pytest.raises(trouble):
            transaction(lambda who=who: refund_loss.propose(number, WHY, actor=who))  # type: ignore[misc]
    for words in ("", "   ", "短", "长" * 301):
        with pytest.raises(InvalidInput, match=r"reason\.missing"):
            transaction(lambda words=words: refund_loss.propose(number, words, actor=market.director))  # type: ignore[misc]
    db.session.rollback()
    kept = db.session.scalars(select(Refund.id).where(Refund.id != number)).one()
    with pytest.raises(Conflict, match=r"loss\.state"):  # that one is in the books
        transaction(lambda: refund_loss.propose(kept, WHY, actor=market.director))
    mine = transaction(lambda: refund_loss.propose(number, WHY, actor=market.director).id)
    with pytest.raises(NotAllowed, match=r"approval\.own"):
        transaction(lambda: refund_loss.decide(mine, actor=market.director, version=1, approved=True))
    with pytest.raises(NotAllowed):
        transaction(lambda: refund_loss.decide(mine, actor=market.accountant, version=1, approved=True))
    with pytest.raises(NotFound):
        transaction(lambda: refund_loss.decide(mine, actor=other.director, version=1, approved=True))
    second = builders.person(market.cooperative, "director")
    with pytest.raises(InvalidInput, match=r"reason\.missing"):
        transaction(lambda: refund_loss.decide(mine, actor=second, version=1, approved=False))
    with pytest.raises(Conflict, match=r"version\.stale"):
        transaction(lambda: refund_loss.decide(mine, actor=second, version=7, approved=True))
    transaction(lambda: refund_loss.decide(mine, actor=second, version=1, approved=False, answer="再问一次买家"))
    assert (lost(), trade.held(market, "alipay")) == (1, 0)
    again = transaction(lambda: refund_loss.propose(number, WHY, actor=market.director).id)
    transaction(lambda: refund_loss.decide(again, actor=second, version=1, approved=True))
    assert (lost(), unsound()) == (0, [])


def test_it_is_ended_on_the_refunds_page(app: Flask, market: Market, number: int) -> None:
    public_id = db.session.get_one(Refund, number).public_id
    db.session.rollback()
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    assert public_id in accountant.get("/cooperative/refunds").text
    page = accountant.get(f"/cooperative/refunds/{public_id}").text
    assert "多退的这笔怎么了结" in page and "请理事长定" in page
    assert accountant.post(f"/cooperative/refunds/{public_id}/loss", data={"loss": "短"}).status_code == 422
    assert accountant.post(f"/cooperative/refunds/{public_id}/loss", data={"loss": WHY}).status_code == 303
    assert "提出的人不能自己定" in accountant.get(f"/cooperative/refunds/{public_id}").text
    page = director.get(f"/cooperative/refunds/{public_id}").text
    assert "同意，合作社承担" in page and WHY in page
    row = db.session.scalars(select(RefundLoss)).one()
    sent = {"proposal": row.public_id, "version": str(row.version), "decision": "approve"}
    db.session.rollback()
    assert director.post(f"/cooperative/refunds/{public_id}/loss/decide", data=sent).status_code == 303
    assert "正好抵掉" in director.get(f"/cooperative/refunds/{public_id}").text
    assert public_id not in accountant.get("/cooperative/refunds").text
    assert director.post(f"/cooperative/refunds/{public_id}/loss/decide", data=sent).status_code == 409
