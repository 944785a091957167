"""Payments on pages: one payment's whole story, refunds that wait for a person, differences from the bill, and money health."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.foundation import clock, outbox
from marketplace.foundation.database import db, transaction
from marketplace.jobs import payments as jobs
from marketplace.orders import cancellation
from marketplace.payments import bill_import, call
from marketplace.payments.alipay_outcome import BillRow
from marketplace.payments.bill_difference import BillDifference
from marketplace.payments.channel import Answer
from marketplace.payments.notice_inbox import AlipayNotice
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund
from marketplace.reporting import money_health
from marketplace.web import payment_words
from tests import builders
from tests.builders import Market
from tests.orders import trade
from tests.payments import statement
from tests.payments.gateway import WrittenChannel
from tests.payments.test_bill_import import _bill
from tests.statements import counted, repeated
from tests.web.work_desk import browser, rows_of

PAYEE = {"way": "bank", "payee_name": "王小明", "payee_account": "6217000011112222", "payee_bank": "靖安农商银行"}
REFUSED = Answer("refused", sub_code="ACQ.TRADE_HAS_FINISHED")


@pytest.fixture
def market(app: Flask) -> Market:
    return builders.market(on_hand=100)


def cancelled(app: Flask, market: Market, answer: Answer) -> Refund:
    """A paid order, cancelled; its refund as the channel answered."""
    buyer = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 2))
    with transaction():
        cancellation.cancel(order_id, actor=buyer)
    WrittenChannel(app, refund=[answer], refund_query=[answer])
    outbox.drain(kinds={"refund"})
    db.session.expire_all()
    return db.session.scalars(select(Refund).order_by(Refund.id.desc())).first()  # type: ignore[return-value]


def test_a_payments_whole_story_is_told_in_order(app: Flask, market: Market) -> None:
    refund = cancelled(app, market, Answer("succeeded"))
    payment = db.session.get_one(Payment, refund.payment_id)
    with transaction():
        db.session.add(
            AlipayNotice(
                notify_id="n", out_trade_no=payment.out_trade_no, trade_status="TRADE_SUCCESS", total_fen=17600, received_at=clock.now(), outcome="applied"
            )
        )  # fmt: skip
    at = datetime(2026, 3, 10, 4, tzinfo=UTC)
    row = BillRow("trade", payment.trade_no or "", payment.out_trade_no, "", 17600, -106, at)
    transaction(lambda: bill_import.take(market.cooperative, _bill(market, row)))
    for actor, path in ((market.accountant, "/cooperative"), (builders.person(builders.operator(), "auditor"), "/operator")):
        client = browser(app, actor)
        listed = client.get(f"{path}/payments")
        assert payment.out_trade_no in listed.text
        page = client.get(f"{path}/payments/{payment.public_id}").text
        for words in ("开了一次付款", "同意退款", "请支付宝退款", "退款到账", "支付宝发来通知", "账单上的收款", "手续费", "买家货款", "应退款"):
            assert words in page, words
        with counted() as said:
            client.get(f"{path}/payments/{payment.public_id}")
        assert not repeated(said)


def test_the_attempts_of_an_order_lead_to_each_other(app: Flask, market: Market) -> None:
    (order_id,) = trade.placed(builders.customer(), (market.pack, 1))
    attempts = [db.session.get_one(Payment, each).public_id for each in (*trade.opened([order_id]), *trade.opened([order_id]))]
    (alone,) = trade.opened(trade.placed(builders.customer(), (market.pack, 1)))
    reader = browser(app, market.accountant)
    for this, other in (attempts, attempts[::-1]):
        page = reader.get(f"/cooperative/payments/{this}").text
        assert f'href="/cooperative/payments/{other}"' in page and f'href="/cooperative/payments/{this}"' not in page
    assert f'href="/operator/payments/{attempts[1]}"' in browser(app, builders.person(builders.operator(), "auditor")).get(f"/operator/payments/{attempts[0]}").text
    assert "同一张单的其他付款" not in reader.get(f"/cooperative/payments/{db.session.get_one(Payment, alone).public_id}").text


def test_the_list_is_filtered_found_and_taken_away(app: Flask, market: Market) -> None:
    first, second = (trade.paid(trade.placed(builders.customer(), (market.pack, 1)))[0] for _ in range(2))
    (order_id,) = trade.placed(builders.customer(), (market.pack, 1))
    trade.opened([order_id])
    numbers = [db.session.get_one(Payment, each).out_trade_no for each in (first, second)]
    client = browser(app, market.director)
    assert all(each in client.get("/cooperative/payments?view=paid").text for each in numbers)
    found = client.get(f"/cooperative/payments?number={numbers[0]}").text
    assert numbers[0] in found and numbers[1] not in found
    sheet = rows_of(client.get("/cooperative/payments?export=1").data)
    assert len(sheet) == 4 and sheet[1][4] == 96.0
    assert client.get("/cooperative/payments?view=strange").status_code == 400
    assert "没有这样的付款" in client.get("/cooperative/payments?view=late").text


def test_strangers_and_clerks_see_no_payments(app: Flask, market: Market) -> None:
    refund = cancelled(app, market, REFUSED)
    address, payment = refund.public_id, db.session.get_one(Payment, refund.payment_id).public_id
    stranger = builders.market(name="土蜂蜜合作社", category="honey")
    assert browser(app, market.clerk).get("/cooperative/payments").status_code == 403
    other = browser(app, stranger.director)
    for path in (f"/cooperative/payments/{payment}", f"/cooperative/refunds/{address}"):
        assert other.get(path).status_code == 404
    assert other.post(f"/cooperative/refunds/{address}/again", data={"way": "alipay"}).status_code == 404
    assert browser(app, market.director).get(f"/operator/payments/{payment}").status_code == 403


def test_a_refused_refund_is_paid_over_the_bank_from_page_to_page(app: Flask, market: Market) -> None:
    refund = cancelled(app, market, REFUSED)
    number, address = refund.out_request_no, f"/cooperative/refunds/{refund.public_id}"
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    assert number in accountant.get("/cooperative/refunds").text
    page = accountant.get(address).text
    assert "渠道没有退成" in page and "ACQ.TRADE_HAS_FINISHED" in page
    wrong = accountant.post(f"{address}/again", data=PAYEE | {"payee_account": "abc"})
    assert wrong.status_code == 422 and "银行账号是" in wrong.text and 'value="王小明"' in wrong.text
    assert accountant.post(f"{address}/again", data=PAYEE).status_code == 303
    assert accountant.post(f"{address}/again", data=PAYEE).status_code == 409
    proposal = re.search(r'name="proposal" value="(\w+)"', director.get(address).text)
    assert proposal is not None
    assert "name=\"proposal\"" not in accountant.get(address).text
    assert director.post(f"{address}/payee", data={"proposal": proposal[1], "decision": "return"}).status_code == 422
    decided = director.post(f"{address}/payee", data={"proposal": proposal[1], "decision": "approve"})
    assert decided.status_code == 303
    waiting = decided.location
    assert "等会计转账" in accountant.get(waiting).text
    form = {"reference": "BOC2026112500017", "paid_on": clock.business_date().isoformat()}
    assert accountant.post(f"{waiting}/transfer", data=form | {"paid_on": "gestern"}).status_code == 422
    assert director.post(f"{waiting}/transfer", data=form).status_code == 403
    assert accountant.post(f"{waiting}/transfer", data=form).status_code == 303
    assert "BOC2026112500017" in accountant.get(waiting).text
    assert trade.held(market, "bank") == -17600
    assert "没有要人办的退款" in accountant.get("/cooperative/refunds").text


def test_a_refused_refund_is_handed_in_again(app: Flask, market: Market) -> None:
    refund = cancelled(app, market, REFUSED)
    address = f"/cooperative/refunds/{refund.public_id}"
    client = browser(app, market.director)
    again = client.post(f"{address}/again", data={"way": "alipay"})
    assert again.status_code == 303 and again.location != address
    assert client.post(f"{address}/again", data={"way": "alipay"}).status_code == 409
    assert "已经重办" in client.get(address).text


def test_a_difference_is_explained_on_its_page(app: Flask, market: Market) -> None:
    row = BillRow("trade", "2026", "NOBODY", "", 100, -1, datetime(2026, 3, 10, 4, tzinfo=UTC))
    transaction(lambda: bill_import.take(market.cooperative, _bill(market, row)))
    client = browser(app, market.accountant)
    assert "NOBODY" in client.get("/cooperative/differences").text
    address = f"/cooperative/differences/{db.session.scalars(select(BillDifference.public_id)).one()}"
    client.post(address, data={"explanation": "?"})
    assert "NOBODY" in client.get("/cooperative/differences").text
    client.post(address, data={"explanation": "门店收款，不归平台。"})
    assert "账和支付宝账单一致" in client.get("/cooperative/differences").text
    assert "门店收款" in client.get("/cooperative/differences?view=explained").text


def test_each_kind_of_difference_comes_with_a_proposal(app: Flask, market: Market) -> None:
    transaction(lambda: bill_import.take(market.cooperative, _bill(market)))
    bill_id = db.session.scalars(select(bill_import.ImportedBill.id)).one()
    with transaction():
        for kind in payment_words.DIFFERENCES:
            ours, theirs = (0 if kind == "ONLY_THEIRS" else 100), (0 if kind == "ONLY_OURS" else 90)
            db.session.add(
                BillDifference(
                    organisation_id=market.cooperative, bill_id=bill_id, kind=kind, out_trade_no=f"T{kind}", ours_fen=ours, theirs_fen=theirs,
                    found_at=clock.now(),
                )
            )  # fmt: skip
    page = browser(app, market.accountant).get("/cooperative/differences").text
    rows = {kind: page[page.index(f"T{kind}<") :].partition("</tr>")[0] for kind in payment_words.DIFFERENCES}
    for kind, telling in (("ONLY_THEIRS", "写明来源"), ("ONLY_OURS", "等后一天的账单"), ("AMOUNT", "以支付宝账单为准")):
        assert [each for each, row in rows.items() if telling in row] == [kind]


def test_a_receipt_that_nobody_matched_is_a_trouble_with_its_fen(app: Flask, market: Market) -> None:
    statement.take(market.accountant, [("2026-03-01", 100, "某人", "", "S2"), ("2026-03-02", 4200, "靖安县某小学", "", "S1")])
    found = standing()["receipts"]
    assert (found.count, found.fen, found.oldest and clock.business_date(found.oldest)) == (2, 4300, date(2026, 3, 1))
    page = browser(app, builders.person(builders.operator(), "treasurer")).get("/operator/money/receipts").text
    assert "¥42.00" in page and "¥1.00" in page


def standing() -> dict[str, money_health.Standing]:
    return {each.name: each for each in money_health.standing()}


def test_a_healthy_market_says_so_and_its_books_are_checked_on_request(app: Flask, market: Market) -> None:
    client = browser(app, builders.person(builders.operator(), "treasurer"))
    assert "每一笔付款和退款都有结果" in client.get("/operator/money").text
    assert "条规则都成立" in client.get("/operator/money?books=1").text
    for name in money_health.NAMES:
        assert client.get(f"/operator/money/{name}").status_code == 200
    assert client.get("/operator/money/what").status_code == 404
    assert client.get("/operator/money/notices?after=x").status_code == 400


def test_each_trouble_is_counted_with_its_fen_and_its_age(app: Flask, market: Market) -> None:
    cancelled(app, market, Answer("unknown"))
    cancelled(app, market, REFUSED)
    (order_id,) = trade.placed(builders.customer(), (market.pack, 1))
    (late,) = trade.opened([order_id])
    WrittenChannel(app, query=[Answer("unknown", sub_code="40002/isv.invalid-signature", told={"misconfigured": True})])
    call.ask(late)
    transaction(lambda: bill_import.take(market.cooperative, _bill(market, BillRow("trade", "2026", "NOBODY", "", 100, -1, clock.now()))))
    with transaction():
        db.session.add(
            AlipayNotice(notify_id="n", out_trade_no="T", trade_status="TRADE_SUCCESS", total_fen=5, received_at=clock.now(), outcome="refused:amount_fen")
        )  # fmt: skip
    found = standing()
    assert {name: (each.count, each.fen) for name, each in found.items() if each.count} == {
        "alarm": (1, None), "unknown_refunds": (1, 17600), "refused_refunds": (1, 17600), "differences": (1, 100), "notices": (1, 5),
    }  # fmt: skip
    with clock.travel(clock.now() + timedelta(hours=1)):
        hour_later = standing()
        assert (hour_later["unknown_payments"].count, hour_later["unknown_payments"].fen) == (1, 9600)
        assert hour_later["alarm"].count == 1  # the key is still wrong, though nobody asked since
        WrittenChannel(app, query=[Answer("refused", sub_code="ACQ.TRADE_NOT_EXIST")])
        call.ask(late)
        assert standing()["alarm"].count == 0
        client = browser(app, builders.person(builders.operator(), "treasurer"))
        page = client.get("/operator/money").text
        whole = {row[0]: row[1:3] for row in rows_of(client.get("/operator/money?export=1").data)[1:]}
        assert len(whole) == len(money_health.NAMES) and whole["结果不明的退款"] == [1.0, 176.0]
        assert "结果不明的付款" in page and "1 小时前" in page
        rows = client.get("/operator/money/unknown_refunds").text
        assert "¥176.00" in rows and "/operator/payments/" in rows
        (line,) = rows_of(client.get("/operator/money/unknown_refunds?export=1").data)[1:]
        assert line[1:3] == ["中源白茶合作社", 176.0]
    of_one = {each.name: each.count for each in money_health.standing(market.cooperative)}
    other = {each.name: each.count for each in money_health.standing(builders.market(name="x", category="honey").cooperative)}
    assert of_one["refused_refunds"] == 1 and not any(other.values())


def test_what_ended_well_leaves_the_page(app: Flask, market: Market) -> None:
    cancelled(app, market, Answer("unknown"))
    assert standing()["unknown_refunds"].count == 1
    WrittenChannel(app, refund_query=[Answer("succeeded")])
    with clock.travel(clock.now() + timedelta(minutes=5)):
        outbox.drain(kinds={"refund"})
        jobs.ask_due()
    assert standing()["unknown_refunds"].count == 0



def test_a_refused_notice_is_looked_into_with_its_repeats(app: Flask) -> None:
    def heard(number: str, outcome: str) -> None:
        with transaction():
            db.session.add(
                AlipayNotice(notify_id="n", out_trade_no=number, trade_status="TRADE_SUCCESS", total_fen=5, received_at=clock.now(), outcome=outcome)
            )

    for number, outcome in (("T1", "refused:amount_fen"), ("T1", "refused:amount_fen"), ("T2", "refused:seller_id"), ("T1", "applied")):
        heard(number, outcome)
    office = builders.operator()
    public_id = db.session.scalars(select(AlipayNotice.public_id).where(AlipayNotice.out_trade_no == "T1")).first()
    treasurer, auditor = (browser(app, builders.person(office, role)) for role in ("treasurer", "auditor"))
    address = f"/operator/money/notices/{public_id}"
    assert ("查过了" in treasurer.get("/operator/money/notices").text, "查过了" in auditor.get("/operator/money/notices").text) == (True, False)
    assert auditor.post(address, data={"handling": "问过支付宝"}).status_code == 403
    assert treasurer.post("/operator/money/notices/0000000000000000", data={"handling": "问过支付宝"}).status_code == 404
    treasurer.post(address, data={"handling": " "})
    assert "写明查到了什么" in treasurer.get("/operator/money/notices").text
    treasurer.post(address, data={"handling": "问过支付宝，是别人的单"})
    page = treasurer.get("/operator/money/notices").text
    assert ("T1" in page, "T2" in page) == (False, True)
    heard("T1", "refused:amount_fen")
    assert "T1" in treasurer.get("/operator/money/notices").text  # told again, it is listed again
