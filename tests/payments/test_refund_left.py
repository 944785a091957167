"""A refund that was taken for failed, and left: the bill, a notice or an answer names it. It has succeeded then, and is not paid twice."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.foundation import clock, outbox
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, NotAllowed, NotFound
from marketplace.orders import cancellation, order_refund, refund_reissue
from marketplace.orders.order import locked_order
from marketplace.payments import (
    bank_refund,
    bill_difference,
    bill_import,
    call,
    refund_call,
    refund_loss,
    refund_news,
)
from marketplace.payments import payment as payments
from marketplace.payments.alipay_outcome import BillRow
from marketplace.payments.bank_refund import BankRefund
from marketplace.payments.bill_difference import BillDifference
from marketplace.payments.channel import Answer
from marketplace.payments.payment import Payment
from marketplace.payments.refund import DOUBTED, LEFT, REPLACED_LEFT, Refund
from marketplace.reporting import books, money_health
from tests import builders
from tests.builders import Market
from tests.orders import trade
from tests.payments.gateway import WrittenChannel
from tests.payments.test_bill_import import _bill
from tests.web.work_desk import browser

PAYEE = ("王小明", "6217 0000 1111 2222", "靖安农商银行")
NOT_REFUNDED, UNKNOWN, DONE = Answer("refused", sub_code="not_refunded"), Answer("unknown"), Answer("succeeded")
PAID, PART = 17600, 3000


@pytest.fixture
def market(app: Flask) -> Market:
    return builders.market()


def stopped(app: Flask, market: Market, fen: int = PART) -> int:
    """A refund that came to no end and was stopped, on the channel's word that nothing left; its id."""
    buyer = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 2))
    if fen == PAID:
        transaction(lambda: cancellation.cancel(order_id, actor=buyer))
    else:
        transaction(lambda: order_refund.pay_back(locked_order(order_id), fen, "少了", person_id=None))
    WrittenChannel(app, refund=[UNKNOWN], refund_query=[NOT_REFUNDED])
    outbox.drain(kinds={"refund"})
    number = db.session.scalars(select(Refund.id)).one()
    db.session.rollback()
    with clock.travel(clock.now() + timedelta(minutes=11)):
        assert refund_call.stop(number) == "refused"
    assert [trade.held(market, kind) for kind in ("alipay", "buyer_funds", "refunds_payable")] == [PAID, PAID, 0]
    return number


def billed(market: Market, number: int) -> None:
    """The next day's bill has the refund, under its own number."""
    refund, payment = the(number)
    row = BillRow("refund", payment.trade_no or "", payment.out_trade_no, refund.out_request_no, -refund.fen, 0, clock.now())
    transaction(lambda: bill_import.take(market.cooperative, _bill(market, row)))


def noticed(market: Market, number: int) -> None:
    refund, payment = the(number)
    said = trade.succeeded(payment.id, at=clock.now(), refunded_fen=refund.fen, refund_no=refund.out_request_no)
    assert transaction(lambda: payments.apply(said)) == "refunded"


def answered(market: Market, number: int) -> None:
    """An answer to a question, or a late one to the sending, that nobody waits for any more."""
    kept = transaction(lambda: call.make("refund_query", number))
    assert call.carry_out(kept) == "succeeded"


def the(number: int) -> tuple[Refund, Payment]:
    db.session.rollback()
    refund = db.session.get_one(Refund, number)
    return refund, db.session.get_one(Payment, refund.payment_id)


def differences() -> list[tuple[str, int, int]]:
    return [(each.kind, each.ours_fen, each.theirs_fen) for each in db.session.scalars(select(BillDifference).order_by(BillDifference.id))]


def unsound() -> list[str]:
    db.session.rollback()
    return [f"{each.rule}: {each.detail}" for each in books.check() if not each.ok]


@pytest.mark.both
@pytest.mark.parametrize("hear", [billed, noticed, answered])
def test_what_left_has_succeeded_and_is_not_made_again(app: Flask, market: Market, hear: Callable[[Market, int], None]) -> None:
    number = stopped(app, market)
    WrittenChannel(app, refund_query=[DONE])
    hear(market, number)
    refund, payment = the(number)
    assert (refund.state, refund.sub_code, payment.refunded_fen) == ("succeeded", "", PART)
    assert [trade.held(market, kind) for kind in ("alipay", "buyer_funds", "refunds_payable")] == [PAID - PART, PAID - PART, 0]
    assert trade.order(refund.order_id or 0).refunded_fen == PART
    with pytest.raises(Conflict, match=r"refund\.not_failed"), transaction():
        refund_reissue.resend(number, actor=market.accountant)
    standing = {each.name: each.count for each in money_health.standing()}
    assert (standing["refused_refunds"], standing["differences"]) == (0, 0)
    # Told by others too, it is told again.
    if hear is not billed:
        billed(market, number)
    answered(market, number)
    assert len(list(db.session.scalars(select(Refund.id)))) == 1
    assert [trade.held(market, kind) for kind in ("alipay", "buyer_funds")] == [PAID - PART, PAID - PART]
    assert unsound() == []


@pytest.mark.parametrize("way", ["resent", "proposed", "to_transfer"])
def test_what_was_to_replace_it_and_was_not_sent_is_given_up(app: Flask, market: Market, way: str) -> None:
    number = stopped(app, market)
    if way == "resent":
        again = transaction(lambda: refund_reissue.resend(number, actor=market.accountant).id)
    else:
        proposed = transaction(lambda: refund_reissue.propose(number, *PAYEE, actor=market.accountant).id)
        if way == "to_transfer":
            again = transaction(lambda: refund_reissue.decide(proposed, approved=True, actor=market.director).refund_id or 0)
    channel = WrittenChannel(app, refund=[DONE], refund_query=[DONE])
    billed(market, number)
    with clock.travel(clock.now() + timedelta(days=1)):
        outbox.drain(kinds={"refund"})
    assert not [each for each in channel.asked if each[0] == "refund"]
    if way == "to_transfer":
        # A person may have made the transfer already, and not have typed its number yet: that is asked, and said.
        assert (db.session.get_one(Refund, again).state, db.session.get_one(Refund, again).sub_code) == ("approved", DOUBTED)
        page = browser(app, market.accountant).get(f"/cooperative/refunds/{db.session.get_one(Refund, again).public_id}").text
        assert "这笔转了没有？" in page and "没有转，作废" in page
        db.session.rollback()
        with pytest.raises(NotAllowed), transaction():
            refund_news.not_transferred(again, actor=market.clerk)
        with pytest.raises(NotFound), transaction():
            refund_news.not_transferred(again, actor=builders.market(name="另一家").accountant)
        transaction(lambda: refund_news.not_transferred(again, actor=market.accountant))
        with pytest.raises(Conflict, match=r"refund\.state"), transaction():
            refund_news.not_transferred(again, actor=market.accountant)
        db.session.rollback()
    if way == "proposed":
        assert db.session.scalars(select(BankRefund.state)).one() == "RETURNED"
        with pytest.raises(Conflict), transaction():
            refund_reissue.decide(proposed, approved=True, actor=market.director)
    else:
        refund = db.session.get_one(Refund, again)
        assert (refund.state, refund.sub_code) == ("failed", REPLACED_LEFT)
        with pytest.raises(Conflict, match=r"refund\.left"), transaction():
            refund_reissue.resend(again, actor=market.accountant)
    if way == "to_transfer":
        with pytest.raises(Conflict), transaction():
            bank_refund.record(again, "BOC2026112500017", clock.business_date(), actor=market.accountant)
    assert next(each.count for each in money_health.standing() if each.name == "refused_refunds") == 0
    assert differences() == []
    assert [trade.held(market, kind) for kind in ("alipay", "buyer_funds", "bank")] == [PAID - PART, PAID - PART, 0]
    assert unsound() == []


@pytest.mark.both
@pytest.mark.parametrize("fen", [PART, PAID])
@pytest.mark.parametrize("made", [True, False])
def test_a_transfer_that_was_made_before_its_number_was_typed_is_told_as_double(app: Flask, market: Market, fen: int, made: bool) -> None:
    number = stopped(app, market, fen)
    proposed = transaction(lambda: refund_reissue.propose(number, *PAYEE, actor=market.accountant).id)
    again = transaction(lambda: refund_reissue.decide(proposed, approved=True, actor=market.director).refund_id or 0)
    for _ in range(2):
        billed(market, number) if _ == 0 else answered_left(app, number)
    assert differences() == []  # nobody knows yet
    db.session.rollback()
    if made:
        transaction(lambda: bank_refund.record(again, "BOC2026112500017", clock.business_date(), actor=market.accountant))
        assert differences() == [("TWICE", 0, -fen)]
        refund, payment = the(number)
        assert (refund.state, refund.sub_code) == ("failed", LEFT)
        assert [trade.held(market, kind) for kind in ("bank", "alipay", "buyer_funds")] == [-fen, PAID, PAID - fen]
    else:
        transaction(lambda: refund_news.not_transferred(again, actor=market.director))
        assert differences() == []
        refund, payment = the(number)
        assert (refund.state, payment.refunded_fen) == ("succeeded", fen)
        assert [trade.held(market, kind) for kind in ("alipay", "buyer_funds", "bank", "refunds_payable")] == [PAID - fen, PAID - fen, 0, 0]
    assert unsound() == []


@pytest.mark.both
def test_the_very_notice_that_tells_of_it_is_no_refund_that_somebody_else_made(app: Flask, market: Market) -> None:
    """More than half of the price: what is left of the order is not enough for it, and is not what the channel tells of either."""
    most = 10_000
    number = stopped(app, market, most)
    proposed = transaction(lambda: refund_reissue.propose(number, *PAYEE, actor=market.accountant).id)
    again = transaction(lambda: refund_reissue.decide(proposed, approved=True, actor=market.director).refund_id or 0)
    transaction(lambda: bank_refund.record(again, "BOC2026112500017", clock.business_date(), actor=market.accountant))
    refund, payment = the(number)
    said = trade.succeeded(payment.id, at=clock.now(), refunded_fen=most, refund_no=refund.out_request_no)
    for _ in range(2):
        assert transaction(lambda: payments.apply(said)) == "repeated"
    refund, payment = the(number)
    assert (refund.state, refund.sub_code, payment.refunded_fen, trade.order(refund.order_id or 0).refunded_fen) == ("failed", LEFT, most, most)
    assert len(list(db.session.scalars(select(Refund.id)))) == 2
    assert [trade.held(market, kind) for kind in ("alipay", "bank", "buyer_funds")] == [PAID, -most, PAID - most]
    # Borne by the cooperative, the books say what Alipay says; and only what somebody really gave back there comes off the order.
    loss = transaction(lambda: refund_loss.propose(number, "打过三次电话，买家不还。", actor=market.accountant).id)
    transaction(lambda: refund_loss.decide(loss, actor=market.director, version=1, approved=True))
    more = trade.succeeded(payment.id, at=clock.now(), refunded_fen=most + 1_500)
    assert transaction(lambda: payments.apply(more)) == "refunded_elsewhere"
    assert trade.order(refund.order_id or 0).refunded_fen == most + 1_500
    assert [trade.held(market, kind) for kind in ("alipay", "bank", "buyer_funds")] == [PAID - most - 1_500, -most, PAID - most - 1_500]
    assert unsound() == []


@pytest.mark.parametrize("fen", [PART, PAID])
def test_what_went_twice_is_a_persons_task_and_nothing_of_it_is_divided(app: Flask, market: Market, fen: int) -> None:
    number = stopped(app, market, fen)
    again = transaction(lambda: refund_reissue.resend(number, actor=market.accountant).id)
    WrittenChannel(app, refund=[DONE], refund_query=[NOT_REFUNDED])
    outbox.drain(kinds={"refund"})
    assert db.session.get_one(Refund, again).state == "succeeded"
    for _ in range(2):
        answered_left(app, number)
    assert differences() == [("TWICE", 0, -fen)]
    refund, payment = the(number)
    assert (refund.state, refund.sub_code) == ("failed", LEFT)
    # Also where the order holds more: its split is the households', and one refund is all that it gave back.
    assert [trade.held(market, kind) for kind in ("buyer_funds", "alipay")] == [PAID - fen, PAID - fen]
    assert (payment.refunded_fen, trade.order(refund.order_id or 0).refunded_fen) == (fen, fen)
    assert unsound() == []
    with pytest.raises(Conflict), transaction():
        refund_reissue.resend(number, actor=market.accountant)
    accountant = browser(app, market.accountant)
    page = accountant.get("/cooperative/differences").text
    assert ("退了两次" in page, "请联系买家退回" in page) == (True, True)
    row = db.session.scalars(select(BillDifference.id)).one()
    db.session.rollback()
    transaction(lambda: bill_difference.explain(row, "买家已把多出的钱转回。", actor=market.accountant))


def answered_left(app: Flask, number: int) -> None:
    WrittenChannel(app, refund_query=[DONE])
    transaction(lambda: outbox.put("refund.ask", str(number), {"refund_id": number}))
    assert outbox.drain(kinds={"refund.ask"}) == (1, 0)


def test_what_replaced_it_and_is_refused_after_it_left_is_not_offered_again(app: Flask, market: Market) -> None:
    """The second one is on its way when the first turns out to have left; then it is refused."""
    number = stopped(app, market)
    again = transaction(lambda: refund_reissue.resend(number, actor=market.accountant).id)
    WrittenChannel(app, refund=[UNKNOWN], refund_query=[NOT_REFUNDED])
    outbox.drain(kinds={"refund"})
    billed(market, number)
    assert (differences(), the(number)[0].sub_code) == ([("TWICE", 0, -PART)], LEFT)
    WrittenChannel(app, refund=[Answer("refused", sub_code="ACQ.TRADE_STATUS_ERROR")], refund_query=[NOT_REFUNDED])
    with clock.travel(clock.now() + timedelta(minutes=1)):
        outbox.drain(kinds={"refund"})
    refund, _payment = the(again)
    assert (refund.state, refund.sub_code, the(number)[0].state) == ("failed", REPLACED_LEFT, "succeeded")
    assert [trade.held(market, kind) for kind in ("alipay", "buyer_funds")] == [PAID - PART, PAID - PART]
    page = browser(app, market.accountant).get(f"/cooperative/refunds/{refund.public_id}").text
    assert ("不用再退" in page, "改走银行" in page) == (True, False)
    assert unsound() == []


@pytest.mark.both
def test_the_second_of_two_that_were_taken_for_failed_is_told_as_double(app: Flask, market: Market) -> None:
    """Both came to no end and were stopped; both left. The order gave the money back once, whichever is heard of first."""
    number = stopped(app, market)
    again = transaction(lambda: refund_reissue.resend(number, actor=market.accountant).id)
    WrittenChannel(app, refund=[UNKNOWN], refund_query=[NOT_REFUNDED])
    outbox.drain(kinds={"refund"})
    with clock.travel(clock.now() + timedelta(minutes=11)):
        assert refund_call.stop(again) == "refused"
    WrittenChannel(app, refund_query=[DONE])
    answered(market, number)
    assert (the(number)[0].state, the(again)[0].sub_code, differences()) == ("succeeded", REPLACED_LEFT, [])
    for _ in range(2):
        answered(market, again)
    assert (the(again)[0].state, the(again)[0].sub_code, differences()) == ("failed", LEFT, [("TWICE", 0, -PART)])
    assert [trade.held(market, kind) for kind in ("alipay", "buyer_funds")] == [PAID - PART, PAID - PART]
    assert {each.name: each.count for each in money_health.standing()}["lost_refunds"] == 1
    assert unsound() == []


def test_what_went_twice_and_was_sent_back_by_the_buyers_bank_is_nobodys_loss(app: Flask, market: Market) -> None:
    number = stopped(app, market)
    transaction(lambda: refund_reissue.resend(number, actor=market.accountant))
    WrittenChannel(app, refund=[DONE], refund_query=[NOT_REFUNDED])
    outbox.drain(kinds={"refund"})
    answered_left(app, number)
    refund, _payment = the(number)
    told = (market.cooperative, refund.out_request_no, PART, "failed", "expired_or_canceled_card")
    db.session.rollback()
    for said in ("applied", "repeated"):
        assert transaction(lambda: refund_news.told(*told)) == said
    answered_left(app, number)  # what was told of before, once more
    refund, payment = the(number)
    assert (refund.state, refund.sub_code, payment.refunded_fen) == ("failed", "expired_or_canceled_card", PART)
    standing = {each.name: each.count for each in money_health.standing()}
    assert (standing["lost_refunds"], standing["refused_refunds"]) == (0, 0)
    assert [trade.held(market, kind) for kind in ("alipay", "buyer_funds")] == [PAID - PART, PAID - PART]
    with pytest.raises(Conflict, match=r"loss\.state"), transaction():
        refund_loss.propose(number, "打过三次电话，买家不还。", actor=market.accountant)
    assert unsound() == []


@pytest.mark.parametrize("way", ["alipay", "bank"])
def test_the_channel_is_asked_once_more_before_it_is_made_again(app: Flask, market: Market, way: str) -> None:
    """It left a minute after the channel had said that it did not, and nobody has told us."""
    number = stopped(app, market)
    public_id = the(number)[0].public_id
    if way == "alipay":
        transaction(lambda: refund_reissue.resend(number, actor=market.accountant))
        channel = WrittenChannel(app, refund=[DONE], refund_query=[DONE])
        outbox.drain(kinds={"refund"})
    else:
        proposed = transaction(lambda: refund_reissue.propose(number, *PAYEE, actor=market.accountant).public_id)
        channel = WrittenChannel(app, refund_query=[DONE])
        address = f"/cooperative/refunds/{public_id}/payee"
        assert browser(app, market.director).post(address, data={"proposal": proposed, "decision": "approve"}).status_code == 409
    assert [name for name, *_ in channel.asked] == ["refund_query"]
    assert the(number)[0].state == "succeeded"
    assert [trade.held(market, kind) for kind in ("alipay", "buyer_funds", "bank")] == [PAID - PART, PAID - PART, 0]
    assert unsound() == []


# Notices of refunds that are on their way.


def unsure(app: Flask, market: Market, fen: int = PART) -> int:
    """A refund whose answer was lost; its id."""
    order_id = trade.bought(builders.customer(), (market.pack, 2))
    transaction(lambda: order_refund.pay_back(locked_order(order_id), fen, "少了", person_id=None))
    WrittenChannel(app, refund=[UNKNOWN])
    outbox.drain(kinds={"refund"})
    return db.session.scalars(select(Refund.id)).one()


def test_a_notice_that_names_our_refund_and_its_sum_ends_it(app: Flask, market: Market) -> None:
    number = unsure(app, market)
    channel = WrittenChannel(app, refund_query=[UNKNOWN])
    noticed(market, number)
    assert the(number)[0].state == "succeeded"
    assert [trade.held(market, kind) for kind in ("alipay", "buyer_funds", "refunds_payable")] == [PAID - PART, PAID - PART, 0]
    with clock.travel(clock.now() + timedelta(hours=1)):
        assert outbox.drain(kinds={"refund", "refund.ask"}) == (1, 0)
    assert channel.asked == []
    assert unsound() == []


@pytest.mark.parametrize(("sum_fen", "named"), [(PART - 1, True), (PART, False)])
def test_a_notice_that_does_not_show_it_has_the_channel_asked_at_once(app: Flask, market: Market, sum_fen: int, named: bool) -> None:
    number = unsure(app, market)
    refund, payment = the(number)
    said = trade.succeeded(payment.id, at=clock.now(), refunded_fen=sum_fen, refund_no=refund.out_request_no if named else "")
    assert transaction(lambda: payments.apply(said)) == "repeated"
    assert the(number)[0].state == "unknown"
    WrittenChannel(app, refund_query=[DONE])
    assert outbox.drain(kinds={"refund.ask"}) == ((1, 0) if named else (0, 0))
    assert the(number)[0].state == ("succeeded" if named else "unknown")
