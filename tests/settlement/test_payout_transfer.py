"""Payouts over Alipay: from the batch to the books, and each way in which a transfer may go wrong."""

import contextlib
import threading
from datetime import timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock, outbox
from marketplace.foundation.config import settings
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import (
    Conflict,
    InvalidInput,
    MarketError,
    NotAllowed,
    NotFound,
    OutsideFailure,
)
from marketplace.households.household import Household
from marketplace.ledger import balance
from marketplace.ledger.entry import of_source
from marketplace.payments import withdrawal
from marketplace.payments.statement_row import StatementRow
from marketplace.reporting import books_shares, books_trade, money_health
from marketplace.settlement import payout_batch, reconciliation_link, transfer_bill
from marketplace.settlement.payout_batch import PayoutBatch
from tests import builders
from tests.builders import Market
from tests.settlement.alipay_desk import (
    QUERY,
    TRANSFER,
    AlipayDesk,
    approved,
    item,
    made,
    rounds,
    started,
    states,
    transfers,
    with_accounts,
)
from tests.settlement.test_payout_batch import bring, posted

pytestmark = pytest.mark.both


def open_desk(app: Flask, fen: int = 100_000) -> tuple[Market, int, AlipayDesk]:
    """A posted distribution of 10.00, 20.00 and 30.00 yuan to households that all have Alipay."""
    market, distribution_id = posted()
    with_accounts(*market.households)
    return market, distribution_id, AlipayDesk(app, market, fen=fen)


def owed(market: Market) -> list[int]:
    held = balance.by_owner("household", market.cooperative)
    return [held.get(f"household:{each}", 0) for each in market.households]


def sound() -> None:
    """What the way of the money keeps; these orders were written into the books without goods and payments."""
    assert [wrong for rule in (*books_shares.RULES, books_trade.transfers_are_posted) for wrong in rule()] == []


def test_households_are_paid_out_of_alipay_and_not_the_bank(app: Flask) -> None:
    market, distribution_id, desk = open_desk(app)
    before = balance.held("alipay", market.cooperative)
    row = started(market, distribution_id)
    assert (owed(market), balance.held("in_transit", market.cooperative)) == ([0, 0, 0], 6_000)
    assert withdrawal.available(market.cooperative) == before - 6_000, "what is on its way cannot be withdrawn"
    rounds()
    assert states(row) == ["paid", "paid", "paid"]
    assert desk.went == [1_000, 2_000, 3_000]
    assert [balance.held(kind, market.cooperative) for kind in ("alipay", "bank", "in_transit")] == [before - 6_000, 0, 0]
    assert db.session.get_one(PayoutBatch, row.id).state == "DONE"
    sound()


def test_who_has_no_account_there_stays_for_the_bank(app: Flask) -> None:
    market, distribution_id = posted()
    with_accounts(market.households[1])
    AlipayDesk(app, market)
    row = made(market, distribution_id)
    assert [each.household_id for each in payout_batch.items_of(row.id)] == [market.households[1]]
    rest = transaction(lambda: payout_batch.make(distribution_id, actor=market.accountant))
    assert (rest.channel, rest.total_fen) == ("bank", 4_000)


def test_what_is_frozen_names_each_transfer(app: Flask) -> None:
    market, distribution_id, _desk = open_desk(app)
    row = approved(market, distribution_id)
    _, content = transaction(lambda: payout_batch.bank_file(row.id, actor=market.director))
    heading, first, *rest = content.decode().split("\r\n")
    assert heading == "商户单号,金额（元）,收款支付宝账号,收款人姓名,转账标题"
    payout = item(row, 0)
    number = f"{row.number.replace('-', '_')}_1"
    assert first.split(",")[:4] == [number, "10.00", payout.bank_account, payout.payee_name]
    assert len(rest) == 3 and rest[-1] == ""


def test_the_job_twice_and_the_start_twice_pay_once(app: Flask) -> None:
    market, distribution_id, desk = open_desk(app)
    row = started(market, distribution_id)
    rounds(3)
    with pytest.raises(Conflict, match=r"payout\.state"), transaction():
        payout_batch.start(row.id, actor=market.accountant, version=row.version)
    with transaction():
        outbox.put_many("transfer", {str(each.id): {"transfer_id": each.id} for each in transfers(row)})
    rounds()
    assert (desk.went, desk.asked.count(TRANSFER)) == ([1_000, 2_000, 3_000], 3)


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_answer_that_is_lost_is_unknown_and_asked_for_under_the_same_number(app: Flask, when: str) -> None:
    market, distribution_id, desk = open_desk(app)
    row = started(market, distribution_id)
    desk.loses(TRANSFER, when)
    rounds()
    assert sorted(states(row)) == ["paid", "paid", "unknown"]
    assert balance.held("in_transit", market.cooperative) == 1_000, "the first one"
    assert {each.name: each.fen for each in money_health.standing() if each.count}["unknown_transfers"] == 1_000
    sound()
    rounds(after=timedelta(minutes=1))
    assert states(row) == ["paid", "paid", "paid"]
    assert (desk.went, len(desk.rows("SELECT 1 FROM transfer"))) == ([1_000, 2_000, 3_000], 3)


def test_a_refusal_comes_back_to_the_household_with_its_reason_in_chinese(app: Flask) -> None:
    market, distribution_id, _desk = open_desk(app)
    with transaction():
        db.session.get_one(Household, market.households[0]).alipay_name = "不符"
    before = balance.held("alipay", market.cooperative)
    row = started(market, distribution_id)
    rounds()
    assert states(row) == ["returned", "paid", "paid"]
    assert item(row, 0).reason == "支付宝账号和姓名对不上"
    assert (owed(market), before - balance.held("alipay", market.cooperative)) == ([1_000, 0, 0], 5_000)
    sound()


def test_one_that_is_under_way_is_unknown_until_it_fails(app: Flask) -> None:
    market, distribution_id, desk = open_desk(app)
    row = started(market, distribution_id)
    number = transfers(row)[0].out_biz_no
    desk.fault("transfer_dealing", number)
    rounds(2)
    assert states(row) == ["unknown", "paid", "paid"]
    desk.end(number, "FAIL")
    rounds(after=timedelta(days=1))
    assert (states(row)[0], item(row, 0).reason) == ("returned", "收款的支付宝账号状态异常")
    assert owed(market) == [1_000, 0, 0]
    assert desk.asked.count(TRANSFER) == 3, "it is asked about and not sent again"
    sound()


def test_one_that_fails_there_moves_nothing(app: Flask) -> None:
    market, distribution_id, desk = open_desk(app)
    row = started(market, distribution_id)
    desk.fault("transfer_fail", transfers(row)[1].out_biz_no)
    rounds(2)
    assert (states(row), owed(market)) == (["paid", "returned", "paid"], [0, 2_000, 0])
    assert desk.went == [1_000, 3_000]
    sound()


def test_one_that_comes_back_days_later_is_the_households_again_and_debits_where_it_came_from(app: Flask) -> None:
    market, distribution_id, desk = open_desk(app)
    before = balance.held("alipay", market.cooperative)
    row = started(market, distribution_id)
    rounds()
    desk.end(transfers(row)[2].out_biz_no, "REFUND")
    rounds(after=timedelta(days=1, minutes=1))
    assert (states(row), owed(market)) == (["paid", "paid", "returned"], [0, 0, 3_000])
    assert [balance.held(kind, market.cooperative) for kind in ("alipay", "bank")] == [before - 3_000, 0]
    assert [each.kind for each in of_source("payout_item", item(row, 2).id)] == ["payout_debited", "payout_returned"]
    sound()


def test_a_short_balance_stops_the_batch_loses_nothing_and_goes_on_once_it_is_filled(app: Flask) -> None:
    market, distribution_id, desk = open_desk(app, fen=1_500)
    row = started(market, distribution_id)
    rounds()
    stopped = db.session.get_one(PayoutBatch, row.id)
    assert (stopped.state, stopped.stopped_code) == ("SENT", "PAYER_BALANCE_NOT_ENOUGH")
    assert (desk.went, states(row)) == ([1_000], ["paid", "sent", "sent"])
    assert "stopped_payouts" in money_health.alarms(money_health.standing())
    assert desk.asked.count(TRANSFER) == 2, "the third waits for the second"
    sound()
    desk.fill(100_000)
    rounds(after=timedelta(minutes=1))  # the one that met it tries on by itself, and the others follow
    rounds(after=timedelta(minutes=2))
    assert states(row) == ["paid", "paid", "paid"]
    assert db.session.get_one(PayoutBatch, row.id).stopped_at is None
    sound()


def test_somebody_may_say_that_a_stopped_batch_goes_on(app: Flask) -> None:
    market, distribution_id, desk = open_desk(app, fen=1_500)
    row = started(market, distribution_id)
    rounds()
    desk.fill(2_000)  # enough for the second, not for the third
    version = db.session.get_one(PayoutBatch, row.id).version
    transaction(lambda: payout_batch.go_on(row.id, actor=market.accountant, version=version))
    rounds()
    assert (states(row), desk.went) == (["paid", "paid", "sent"], [1_000, 2_000])
    assert db.session.get_one(PayoutBatch, row.id).stopped_item_id == item(row, 2).id


def test_a_refusal_after_a_lost_answer_is_no_end_until_alipay_knows_of_none(app: Flask) -> None:
    """The first request may still arrive: only its absence makes the second one's refusal the end."""
    market, distribution_id, desk = open_desk(app)
    with transaction():
        db.session.get_one(Household, market.households[0]).alipay_account = "closed@example.org"
    row = started(market, distribution_id)
    desk.loses(TRANSFER, "before")
    rounds()
    assert (states(row), owed(market)) == (["unknown", "paid", "paid"], [0, 0, 0])
    rounds(after=timedelta(minutes=1))
    assert (transfers(row)[0].refused, states(row)[0], owed(market)) == (True, "unknown", [0, 0, 0])
    rounds(after=timedelta(minutes=10))
    assert (states(row)[0], item(row, 0).reason, owed(market)) == ("returned", "收款的支付宝账号状态异常", [1_000, 0, 0])
    sound()


def test_an_altered_amount_or_account_is_not_sent(app: Flask) -> None:
    market, distribution_id, desk = open_desk(app)
    row = approved(market, distribution_id)
    with transaction():
        item(row, 0).bank_account = "13911112222"
    with pytest.raises(Conflict, match=r"payout\.altered"), transaction():
        payout_batch.start(row.id, actor=market.accountant, version=row.version)
    assert balance.held("in_transit", market.cooperative) == 0 and desk.asked == []


def test_an_altered_transfer_is_not_sent(app: Flask) -> None:
    market, distribution_id, desk = open_desk(app)
    row = started(market, distribution_id)
    with transaction():
        transfers(row)[0].payee_account = "13911112222"
    rounds()
    assert (states(row), desk.went) == (["sent", "paid", "paid"], [2_000, 3_000])


def test_an_altered_paper_sends_nothing(app: Flask) -> None:
    market, distribution_id, desk = open_desk(app)
    row = started(market, distribution_id)
    assert row.sha256 is not None
    path = settings().data_dir / "files" / row.sha256[:2] / row.sha256
    path.write_bytes(path.read_bytes().replace(b"30.00", b"90.00"))
    rounds()
    assert (states(row), desk.asked) == (["sent", "sent", "sent"], [])


def test_an_application_without_certificates_may_not_transfer(app: Flask) -> None:
    market, distribution_id = posted()
    with_accounts(*market.households)
    AlipayDesk(app, market, fen=0, certificates=False)
    with pytest.raises(OutsideFailure, match=r"transfer\.unopened"):
        made(market, distribution_id)


def test_who_may_what(app: Flask) -> None:
    market, distribution_id, _desk = open_desk(app)
    row = made(market, distribution_id)
    with pytest.raises(NotAllowed), transaction():
        payout_batch.withdraw(row.id, actor=market.director, version=1)
    with pytest.raises(NotFound), transaction():
        payout_batch.withdraw(row.id, actor=builders.market(name="另一家").accountant, version=1)
    transaction(lambda: payout_batch.withdraw(row.id, actor=market.accountant, version=1))
    again = approved(market, distribution_id)
    with pytest.raises(NotAllowed), transaction():
        payout_batch.start(again.id, actor=market.clerk, version=again.version)
    with pytest.raises(Conflict, match=r"payout\.channel"), transaction():
        payout_batch.mark_sent(again.id, actor=market.accountant)
    with pytest.raises(Conflict, match=r"payout\.state"), transaction():
        payout_batch.withdraw(again.id, actor=market.accountant, version=again.version)
    with pytest.raises(InvalidInput, match=r"payout\.channel"), transaction():
        payout_batch.make(distribution_id, actor=market.accountant, channel="stripe")


def test_what_came_back_from_alipay_is_issued_again_over_the_bank_and_the_other_way(app: Flask) -> None:
    market, distribution_id, desk = open_desk(app)
    row = started(market, distribution_id)
    for each in transfers(row)[:2]:
        desk.fault("transfer_fail", each.out_biz_no)
    rounds(2)
    over_bank = transaction(lambda: payout_batch.reissue(row.id, actor=market.accountant, channel="bank"))
    assert (over_bank.channel, over_bank.total_fen, over_bank.reissue_of_id) == ("bank", 3_000, row.id)
    transaction(lambda: payout_batch.approve(over_bank.id, actor=market.director, version=1))
    transaction(lambda: payout_batch.mark_sent(over_bank.id, actor=market.accountant))
    bring(over_bank, market, f"{over_bank.number},1,10.00,paid,", f"{over_bank.number},2,20.00,returned,户名不符")
    back = transaction(lambda: payout_batch.reissue(over_bank.id, actor=market.accountant, channel="alipay"))
    assert (back.channel, back.total_fen) == ("alipay", 2_000)
    transaction(lambda: payout_batch.approve(back.id, actor=market.director, version=1))
    transaction(lambda: payout_batch.start(back.id, actor=market.accountant, version=2))
    rounds()
    assert (states(row), states(over_bank), states(back)) == (["reissued", "reissued", "paid"], ["paid", "reissued"], ["paid"])
    assert desk.went == [2_000, 3_000] and owed(market) == [0, 0, 0]
    sound()
    assert QUERY in desk.asked


class Killed(BaseException):
    """The worker is gone: nothing after this line runs, and nobody records anything."""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_killed_between_the_row_and_the_answer_pays_once(app: Flask, when: str) -> None:
    market, distribution_id, desk = open_desk(app)
    row = started(market, distribution_id)

    def kill(method: str, at: str) -> bool:
        if (method, at) == (TRANSFER, when):
            raise Killed
        return False

    desk.lose = kill
    with pytest.raises(Killed):
        rounds()
    db.session.rollback()
    desk.lose = lambda method, at: False
    assert [each.state for each in transfers(row)] == ["sending", "waiting", "waiting"], "its row was there before the call"
    rounds(after=timedelta(minutes=3))  # its claim is over
    assert (states(row), desk.went) == (["paid", "paid", "paid"], [1_000, 2_000, 3_000])
    assert len(desk.rows("SELECT 1 FROM transfer")) == 3
    sound()


def test_two_workers_at_one_transfer_pay_once(app: Flask) -> None:
    market, distribution_id, desk = open_desk(app)
    row = started(market, distribution_id)
    numbers, ready = [each.id for each in transfers(row)], threading.Barrier(3)
    db.session.rollback()

    def work() -> None:
        with app.app_context():
            ready.wait()
            for number in numbers:
                with contextlib.suppress(MarketError):  # the other one has it: the outbox would come again
                    outbox.handlers["transfer"]({"transfer_id": number})
            db.session.remove()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    rounds(2, after=timedelta(minutes=3))
    assert (states(row), desk.went) == (["paid", "paid", "paid"], [1_000, 2_000, 3_000])
    sound()


def test_the_bill_tells_of_one_that_came_back_and_of_a_fee(app: Flask) -> None:
    market, distribution_id, desk = open_desk(app)
    row = started(market, distribution_id)
    rounds()
    number = transfers(row)[0].out_biz_no
    desk.end(number, "REFUND")
    day = clock.business_date()
    with transaction():
        for serial, kind, fen in (("A1", "transfer", -1_000), ("A2", "transfer", 1_000), ("A3", "fee", -10)):
            db.session.add(StatementRow(organisation_id=market.cooperative, side="alipay", serial=serial, day=day, fen=fen, kind=kind, number=number, remark="转账"))
    before = balance.held("alipay", market.cooperative)
    for _ in range(2):
        transaction(lambda: transfer_bill.learn(market.cooperative))
    rounds()
    assert (states(row)[0], owed(market)[0]) == ("returned", 1_000)
    assert balance.held("alipay", market.cooperative) - before == 1_000 - 10
    assert transaction(lambda: reconciliation_link.link(market.cooperative, "alipay")) == 3, "each row is an entry of the books"
    sound()
