"""Every refund comes to an end: refused by the channel it is sent again or goes over the bank; made at the channel it is counted."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.foundation import clock, outbox
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.foundation.outbox import OutboxMessage
from marketplace.orders import cancellation, order_refund, refund_reissue
from marketplace.orders.order import locked_order
from marketplace.organisations.actor import Actor
from marketplace.organisations.approval import OwnWork
from marketplace.payments import bank_refund, call, refund_call
from marketplace.payments import payment as payments
from marketplace.payments import refund as refunds
from marketplace.payments.bank_refund import BankRefund
from marketplace.payments.channel import Answer
from marketplace.payments.outcome import Outcome
from marketplace.payments.refund import Refund
from marketplace.payments.refund_waiver import MADE_AGAIN
from marketplace.reporting import books
from marketplace.settlement import reconciliation
from tests import builders
from tests.builders import Market
from tests.orders import trade
from tests.payments.gateway import WrittenChannel
from tests.web.work_desk import browser

PAYEE = ("王小明", "6217 0000 1111 2222", "靖安农商银行")


@pytest.fixture
def market(app: Flask) -> Market:
    return builders.market()


@pytest.fixture
def failed(app: Flask, market: Market) -> int:
    """A refund of a cancelled order that the channel refused for good; its id."""
    buyer = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 2))
    with transaction():
        cancellation.cancel(order_id, actor=buyer)
    WrittenChannel(app, refund=[Answer("refused", sub_code="ACQ.TRADE_HAS_FINISHED")])
    outbox.drain(kinds={"refund"})
    return refund_of("failed")


def refund_of(state: str) -> int:
    db.session.expire_all()
    return db.session.scalars(select(Refund.id).where(Refund.state == state)).one()


def unsound() -> list[str]:
    return [f"{each.rule}: {each.detail}" for each in books.check() if not each.ok]


def approved_over_the_bank(failed: int, market: Market) -> int:
    """The refund that replaces the failed one; its id."""
    proposed = transaction(lambda: refund_reissue.propose(failed, *PAYEE, actor=market.accountant).id)
    return transaction(lambda: refund_reissue.decide(proposed, approved=True, actor=market.director).refund_id or 0)


def test_refused_by_the_channel_it_goes_over_the_bank(market: Market, failed: int) -> None:
    refund_id = approved_over_the_bank(failed, market)
    assert [trade.held(market, kind) for kind in ("buyer_funds", "refunds_payable", "alipay")] == [0, 17600, 17600]
    assert unsound() == []
    for _ in range(2):
        transaction(lambda: bank_refund.record(refund_id, "BOC2026112500017", clock.business_date(), actor=market.accountant))
    assert [trade.held(market, kind) for kind in ("refunds_payable", "alipay", "bank")] == [0, 17600, -17600]
    assert unsound() == []


def test_a_transfer_that_is_told_later_counts_for_its_day(market: Market, failed: int) -> None:
    """Transferred yesterday and recorded today: the statement of yesterday shows it, and so do the books."""
    refund_id, yesterday = approved_over_the_bank(failed, market), clock.business_date()
    with clock.travel(clock.now() + timedelta(days=1)):
        transaction(lambda: bank_refund.record(refund_id, "BOC2026112500017", yesterday, actor=market.accountant))
        assert [reconciliation.position(market.cooperative, "bank", day).ours_fen for day in (yesterday - timedelta(days=1), yesterday)] == [0, -17600]
    assert unsound() == []


def test_nothing_is_sent_to_the_channel_for_a_transfer(market: Market, failed: int) -> None:
    before = list(db.session.scalars(select(OutboxMessage.key).where(OutboxMessage.kind == "refund")))
    approved_over_the_bank(failed, market)
    assert list(db.session.scalars(select(OutboxMessage.key).where(OutboxMessage.kind == "refund"))) == before


def test_refused_it_is_sent_again_under_a_new_number(app: Flask, market: Market, failed: int) -> None:
    again = transaction(lambda: refund_reissue.resend(failed, actor=market.accountant).id)
    assert again != failed
    WrittenChannel(app, refund=[Answer("succeeded")], refund_query=[NOT_REFUNDED])
    assert outbox.drain(kinds={"refund"}) == (1, 0)
    assert db.session.get_one(Refund, again).state == "succeeded"
    assert trade.held(market, "alipay") == 0
    assert unsound() == []


def test_it_is_made_again_once(market: Market, failed: int) -> None:
    proposed = transaction(lambda: refund_reissue.propose(failed, *PAYEE, actor=market.accountant).id)
    with pytest.raises(Conflict), transaction():
        refund_reissue.propose(failed, *PAYEE, actor=market.director)
    transaction(lambda: refund_reissue.resend(failed, actor=market.accountant))
    with pytest.raises(Conflict), transaction():
        refund_reissue.decide(proposed, approved=True, actor=market.director)
    with pytest.raises(Conflict), transaction():
        refund_reissue.resend(failed, actor=market.director)
    assert unsound() == []


def test_a_payee_who_was_proposed_is_out_of_it_once_it_is_sent_again(app: Flask, market: Market, failed: int) -> None:
    proposed = transaction(lambda: refund_reissue.propose(failed, *PAYEE, actor=market.accountant).id)
    again = transaction(lambda: refund_reissue.resend(failed, actor=market.accountant).id)
    row = db.session.get_one(BankRefund, proposed)
    assert (row.state, row.reason) == ("RETURNED", MADE_AGAIN)
    page = browser(app, market.director).get(f"/cooperative/refunds/{db.session.get_one(Refund, failed).public_id}").text
    assert "已经重办" in page and "同意转账" not in page
    transaction(lambda: refunds.fail(again, "ACQ.REFUSED"))
    once_more = transaction(lambda: refund_reissue.propose(again, *PAYEE, actor=market.accountant).id)
    transaction(lambda: refund_reissue.decide(once_more, approved=False, reason="户名不对", actor=market.director))
    assert db.session.get_one(BankRefund, once_more).reason == "户名不对"
    assert unsound() == []


def test_a_payee_that_still_waits_from_before_is_sent_back_and_not_agreed(market: Market, failed: int) -> None:
    """The refund was made again before such payees were out of it by that."""
    proposed = transaction(lambda: refund_reissue.propose(failed, *PAYEE, actor=market.accountant).id)
    transaction(lambda: refund_reissue.resend(failed, actor=market.accountant))

    def waits() -> None:
        db.session.get_one(BankRefund, proposed).state = "PROPOSED"

    transaction(waits)
    with pytest.raises(Conflict, match=r"refund\.not_failed|refund\.reissued"):
        transaction(lambda: refund_reissue.decide(proposed, approved=True, actor=market.director))
    assert transaction(lambda: refund_reissue.decide(proposed, approved=False, reason="已经重发了", actor=market.director).state) == "RETURNED"


def test_nobody_approves_their_own_payee_and_strangers_see_nothing(market: Market, failed: int) -> None:
    proposed = transaction(lambda: refund_reissue.propose(failed, *PAYEE, actor=market.director).id)
    with pytest.raises(OwnWork), transaction():
        refund_reissue.decide(proposed, approved=True, actor=market.director)
    stranger = builders.market(name="土蜂蜜合作社", category="honey")
    for act in (
        lambda: refund_reissue.resend(failed, actor=stranger.director),
        lambda: refund_reissue.decide(proposed, approved=True, actor=stranger.director),
        lambda: bank_refund.record(failed, "BOC1", clock.business_date(), actor=stranger.accountant),
    ):
        with pytest.raises(NotFound), transaction():
            act()
    with pytest.raises(NotAllowed), transaction():
        refund_reissue.resend(failed, actor=market.clerk)


@pytest.mark.parametrize("wrong", [("", "62170000", "行行"), ("王小明", "6217x", "行行"), ("王小明", "６２１７００００", "行行"), ("王小明", "62170000", "")])
def test_a_payee_is_whole(market: Market, failed: int, wrong: tuple[str, str, str]) -> None:
    with pytest.raises(InvalidInput), transaction():
        refund_reissue.propose(failed, *wrong, actor=market.accountant)


@pytest.mark.both
def test_a_wrong_account_is_corrected_by_two_people_before_the_transfer(app: Flask, market: Market, failed: int) -> None:
    refund_id = approved_over_the_bank(failed, market)
    agreed = db.session.scalars(select(BankRefund.id).where(BankRefund.refund_id == refund_id)).one()
    path = f"/cooperative/refunds/{db.session.get_one(Refund, refund_id).public_id}"
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    form = {"agreed": db.session.get_one(BankRefund, agreed).public_id, "payee_name": "王大明", "payee_account": "6217000011113333", "payee_bank": "农商银行"}
    assert "换收款人" in accountant.get(path).text
    assert accountant.post(f"{path}/correct", data={**form, "payee_account": "x"}).status_code == 422
    assert accountant.post(f"{path}/correct", data=form).status_code == 303
    assert accountant.post(f"{path}/correct", data=form).status_code == 409
    assert browser(app, builders.market(name="乙社").accountant).post(f"{path}/correct", data=form).status_code == 404
    made = db.session.scalars(select(BankRefund).where(BankRefund.corrects_id == agreed)).one()
    assert "王大明" in director.get(path).text and "同意转账" in director.get(path).text
    decision = {"proposal": made.public_id, "decision": "approve"}
    assert accountant.post(f"{path}/payee", data=decision).status_code == 403
    assert director.post(f"{path}/payee", data=decision).status_code == 303
    db.session.expire_all()
    old, new = db.session.get_one(BankRefund, agreed), db.session.get_one(BankRefund, made.id)
    assert (old.state, old.refund_id, new.state, new.refund_id, new.payee_name) == ("RETURNED", None, "APPROVED", refund_id, "王大明")
    assert unsound() == []
    transaction(lambda: bank_refund.record(refund_id, "BOC2026112500019", clock.business_date(), actor=market.accountant))
    assert [row.state for row in (db.session.get_one(BankRefund, each) for each in (agreed, made.id))] == ["RETURNED", "PAID"]
    assert [trade.held(market, kind) for kind in ("refunds_payable", "bank")] == [0, -17600]
    with pytest.raises(Conflict, match=r"refund\.decided"):
        transaction(lambda: refund_reissue.correct(made.id, *PAYEE, actor=market.accountant))


def test_a_correction_that_came_too_late_can_only_be_refused(market: Market, failed: int) -> None:
    refund_id = approved_over_the_bank(failed, market)
    agreed = db.session.scalars(select(BankRefund.id).where(BankRefund.refund_id == refund_id)).one()
    made = transaction(lambda: refund_reissue.correct(agreed, "王大明", "6217000011113333", "农商银行", actor=market.accountant)).id
    transaction(lambda: bank_refund.record(refund_id, "BOC2026112500020", clock.business_date(), actor=market.accountant))
    with pytest.raises(Conflict, match=r"refund\.decided"):
        transaction(lambda: refund_reissue.decide(made, approved=True, actor=market.director))
    assert transaction(lambda: refund_reissue.decide(made, approved=False, reason="已经转了", actor=market.director)).state == "RETURNED"
    assert unsound() == []


def test_one_transfer_pays_one_refund(market: Market, failed: int) -> None:
    refund_id = approved_over_the_bank(failed, market)
    today = clock.business_date()
    for reference, day in (("x", today), ("BOC2026", today + timedelta(days=1)), ("BOC2026", today - timedelta(days=1))):
        with pytest.raises(InvalidInput), transaction():
            bank_refund.record(refund_id, reference, day, actor=market.accountant)
    transaction(lambda: bank_refund.record(refund_id, "BOC2026", today, actor=market.accountant))
    with pytest.raises(Conflict), transaction():
        bank_refund.record(refund_id, "BOC2027", today, actor=market.accountant)


def _wholly_refunded(payment_id: int) -> Outcome:
    return trade.succeeded(payment_id, state="closed", at=clock.now(), refunded_fen=17600)


def test_first_heard_when_it_was_paid_and_all_gone_back(market: Market) -> None:
    """TRADE_CLOSED with a moment of payment: the order is not paid, and both movements are in the books."""
    (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
    (payment_id,) = trade.opened([order_id])
    said = _wholly_refunded(payment_id)
    assert [transaction(lambda: payments.apply(said)) for _ in range(2)] == ["refunded_elsewhere", "repeated"]
    assert (trade.order(order_id).payment, trade.payment_state(payment_id)) == ("UNPAID", "late_paid")
    assert [trade.held(market, kind) for kind in ("alipay", "unapplied", "refunds_payable", "buyer_funds")] == [0, 0, 0, 0]
    assert unsound() == []
    (second,) = trade.opened([order_id])  # it can still be paid
    assert transaction(lambda: payments.apply(trade.succeeded(second))) == "applied"


def test_closed_for_want_of_payment_stays_what_it_was(market: Market) -> None:
    (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
    (payment_id,) = trade.opened([order_id])
    said = trade.succeeded(payment_id, state="closed", at=None)
    assert transaction(lambda: payments.apply(said)) == "closed"
    assert trade.payment_state(payment_id) == "canceled"


@pytest.mark.parametrize("heard", ["refund", "closed"])
def test_what_was_refunded_on_the_channels_own_pages_is_counted_once(market: Market, heard: str) -> None:
    (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
    (payment_id,) = trade.opened([order_id])
    first = trade.succeeded(payment_id)
    transaction(lambda: payments.apply(first))
    if heard == "refund":
        said = trade.succeeded(payment_id, at=clock.now(), refunded_fen=3000, refund_no="CONSOLE-1")
    else:
        said = _wholly_refunded(payment_id)
    fen = said.refunded_fen
    assert [transaction(lambda: payments.apply(said)) for _ in range(2)] == ["refunded_elsewhere", "repeated"]
    assert trade.order(order_id).refunded_fen == fen
    assert [trade.held(market, kind) for kind in ("alipay", "buyer_funds", "refunds_payable")] == [17600 - fen, 17600 - fen, 0]
    assert unsound() == []


def test_our_own_refund_is_not_taken_for_a_strangers(app: Flask, market: Market) -> None:
    buyer: Actor = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 2))
    payment_id = db.session.scalars(select(payments.Payment.id)).one()
    said = _wholly_refunded(payment_id)
    with transaction():
        cancellation.cancel(order_id, actor=buyer)
    # The notice comes before the answer to our own request has been recorded.
    assert transaction(lambda: payments.apply(said)) == "repeated"
    WrittenChannel(app, refund=[Answer("succeeded")])
    outbox.drain(kinds={"refund"})
    assert transaction(lambda: payments.apply(said)) == "repeated"
    assert trade.held(market, "alipay") == 0
    assert len(list(db.session.scalars(select(Refund)))) == 1


def test_news_of_our_own_refund_may_reveal_one_made_elsewhere(app: Flask, market: Market) -> None:
    """The notice names our refund, but its sum is larger: an earlier refund at the channel was never told of."""
    buyer: Actor = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 2))
    payment_id = db.session.scalars(select(payments.Payment.id)).one()
    WrittenChannel(app, refund=[Answer("succeeded")])
    transaction(lambda: order_refund.pay_back(locked_order(order_id), 1000, "少了", person_id=None))
    outbox.drain(kinds={"refund"})
    ours = db.session.scalars(select(Refund.out_request_no)).one()
    said = trade.succeeded(payment_id, at=clock.now(), refunded_fen=1600, refund_no=ours)
    assert [transaction(lambda: payments.apply(said)) for _ in range(2)] == ["refunded_elsewhere", "repeated"]
    assert trade.order(order_id).refunded_fen == 1600
    assert trade.held(market, "alipay") == 16000
    assert unsound() == []


# No outcome, again and again.

NOT_REFUNDED = Answer("refused", sub_code="not_refunded")


@pytest.fixture
def unsure(app: Flask, market: Market) -> int:
    """A refund that the seller's empty balance keeps from going out; its id."""
    buyer = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 2))
    with transaction():
        cancellation.cancel(order_id, actor=buyer)
    WrittenChannel(app, refund=[Answer("unknown", sub_code="ACQ.SELLER_BALANCE_NOT_ENOUGH")], refund_query=[NOT_REFUNDED])
    outbox.drain(kinds={"refund"})
    return refund_of("unknown")


@pytest.mark.both
def test_a_refund_without_an_outcome_is_stopped_and_goes_over_the_bank(app: Flask, market: Market, unsure: int) -> None:
    with pytest.raises(Conflict, match=r"refund\.sent_lately"):
        refund_call.stop(unsure)
    with clock.travel(clock.now() + timedelta(minutes=11)):
        channel = WrittenChannel(app, refund=[Answer("succeeded")], refund_query=[NOT_REFUNDED])
        assert refund_call.stop(unsure) == "refused"
        assert db.session.get_one(Refund, unsure).state == "failed"
        approved_over_the_bank(unsure, market)
    with clock.travel(clock.now() + timedelta(days=2)):
        outbox.drain(kinds={"refund"})
    assert [name for name, *_ in channel.asked] == ["refund_query"]  # what was stopped is never sent again
    assert [trade.held(market, kind) for kind in ("buyer_funds", "refunds_payable", "alipay")] == [0, 17600, 17600]
    assert unsound() == []


@pytest.mark.parametrize(("said", "ends"), [(Answer("succeeded"), "succeeded"), (Answer("unknown", sub_code="timeout"), "unknown")])
def test_it_is_not_stopped_unless_the_channel_says_plainly_that_nothing_went_back(app: Flask, unsure: int, said: Answer, ends: str) -> None:
    WrittenChannel(app, refund_query=[said])
    with clock.travel(clock.now() + timedelta(minutes=11)):
        assert refund_call.stop(unsure) == ends
    db.session.expire_all()
    assert db.session.get_one(Refund, unsure).state == ends


def test_what_was_sent_while_the_question_was_asked_is_not_stopped(app: Flask, unsure: int) -> None:
    """The job sends between the question and its answer: the answer says nothing about that."""

    class Meanwhile(WrittenChannel):
        def refund_query(self, out_trade_no: str, out_request_no: str, fen: int) -> Answer:
            transaction(lambda: call.make("refund", unsure))
            return super().refund_query(out_trade_no, out_request_no, fen)

    Meanwhile(app, refund_query=[NOT_REFUNDED])
    with clock.travel(clock.now() + timedelta(minutes=11)), pytest.raises(Conflict, match=r"refund\.sent_lately"):
        refund_call.stop(unsure)
    assert db.session.get_one(Refund, unsure).state == "unknown"


def test_the_page_offers_to_stop_it(app: Flask, market: Market, unsure: int) -> None:
    public_id = db.session.get_one(Refund, unsure).public_id
    accountant = browser(app, market.accountant)
    address = f"/cooperative/refunds/{public_id}"
    assert "SELLER_BALANCE_NOT_ENOUGH" in accountant.get(address).text
    assert browser(app, market.clerk).post(f"{address}/stop").status_code == 403
    assert browser(app, builders.market(name="乙社").accountant).post(f"{address}/stop").status_code == 404
    assert accountant.post(f"{address}/stop").status_code == 303
    assert "请等十分钟" in accountant.get(address).text
    with clock.travel(clock.now() + timedelta(minutes=11)):
        accountant.post(f"{address}/stop")
        page = accountant.get(address).text
    assert ("已经停下" in page, "改走银行" in page) == (True, True)
