"""The client against a gateway that speaks the real protocol: what it believes, and what it calls unknown."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from marketplace.emulator.gateway import envelope
from marketplace.emulator.keys import demo_app_keys
from marketplace.foundation import clock
from marketplace.foundation.errors import Conflict
from marketplace.payments.alipay import (
    Absent,
    AlipayClient,
    Closed,
    Misconfigured,
    NotRefunded,
    Refunded,
    Refused,
    Trade,
    Unknown,
)
from marketplace.payments.channel import Answer
from marketplace.payments.seller_channel import SellerChannel, answer_of
from tests.emulator.desk import Desk, open_desk


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_desk(tmp_path_factory.mktemp("emulator")) as desk:
        yield desk


def test_an_order_is_absent_then_waits_then_is_paid(desk: Desk) -> None:
    number = desk.number()
    url = desk.url(number, 13_600)
    assert desk.tea.query(number) == Absent(number)
    token, _ = desk.look(url)
    waiting = desk.tea.query(number, total_fen=13_600)
    assert isinstance(waiting, Trade)
    assert (waiting.status, waiting.paid, waiting.paid_at) == ("WAIT_BUYER_PAY", False, None)
    desk.press(token, "pay")
    paid = desk.tea.query(number, total_fen=13_600)
    assert isinstance(paid, Trade)
    assert (paid.status, paid.paid, paid.total_fen, paid.trade_no) == (
        "TRADE_SUCCESS",
        True,
        13_600,
        waiting.trade_no,
    )
    assert paid.paid_at is not None and abs(paid.paid_at - datetime.now(UTC)) < timedelta(seconds=30)


def test_a_paid_trade_of_another_amount_is_not_ours(desk: Desk) -> None:
    number = desk.buy(13_600)
    assert desk.tea.query(number, total_fen=13_599) == Unknown("other_amount")


UNKNOWN = {
    "bad_signature": "unverified",
    "sha1_signature": "unverified",
    "md5_signature": "unverified",
    "no_signature": "unsigned",
    "empty": "code",
    "code_10003": "code",
    "code_20000": "code",
    "code_20000_before": "code",
    "http_502": "http_status",
    "http_302": "http_status",
    "truncate": "broken",
    "drop_before": "broken",
    "drop_after": "broken",
    "other_order": "other_order",
}


@pytest.mark.parametrize("kind", UNKNOWN)
def test_a_spoilt_answer_leaves_the_outcome_unknown(desk: Desk, kind: str) -> None:
    other, number = desk.buy(), desk.buy()
    assert isinstance(desk.tea.query(other), Trade)  # gives the gateway a signed answer to replay
    desk.fault(kind, number, method="alipay.trade.query")
    spoilt = desk.tea.query(number)
    assert isinstance(spoilt, Unknown)
    assert (spoilt.reason, spoilt.sent) == (UNKNOWN[kind], True)
    assert isinstance(desk.tea.query(number), Trade)


@pytest.mark.parametrize(("kind", "seconds"), [("drip", 0.05), ("delay_before", 1.5), ("delay_after", 1.5)])
def test_an_answer_that_takes_too_long_is_cut_at_the_deadline(desk: Desk, kind: str, seconds: float) -> None:
    number = desk.buy()
    desk.fault(kind, number, seconds=seconds)
    began = datetime.now(UTC)
    late = desk.impatient(desk.tea).query(number)
    assert isinstance(late, Unknown) and late.reason == "deadline"
    assert datetime.now(UTC) - began < timedelta(seconds=1.4)


def test_a_gateway_that_is_not_there_was_certainly_not_told(desk: Desk) -> None:
    nobody = replace(desk.tea, gateway_url="http://127.0.0.1:9/gateway.do")
    answer = nobody.query("T1")
    assert isinstance(answer, Unknown) and (answer.reason, answer.sent) == ("unreachable", False)


def test_wrong_keys_and_applications_are_for_a_person_to_mend(desk: Desk, tmp_path: Any) -> None:
    number = desk.buy()
    foreign = demo_app_keys(tmp_path)
    assert replace(desk.tea, app_private_key_pem=foreign.private_pem).query(number) == Misconfigured(
        "40002", "isv.invalid-signature"
    )
    assert replace(desk.tea, app_id="2021EMU0").query(number) == Misconfigured("40002", "isv.invalid-app-id")
    # Alipay's key was changed, or somebody else answers: nothing that is said can be believed.
    assert replace(desk.tea, alipay_public_key_pem=foreign.public_pem).query(number) == Unknown(
        "unverified", "ResponseException"
    )


def test_closing_finds_out_about_a_payment(desk: Desk) -> None:
    number = desk.number()
    token, _ = desk.look(desk.url(number))
    closed = desk.tea.close(number)
    assert isinstance(closed, Closed) and closed.out_trade_no == number
    assert desk.press(token, "pay").status == 400  # the tab that was still open
    assert desk.tea.close(desk.buy()) == Refused("ACQ.TRADE_STATUS_ERROR")
    assert desk.tea.close("T_nobody_knows") == Absent("T_nobody_knows")


def test_refunds_in_parts_never_pass_the_total(desk: Desk) -> None:
    number = desk.buy(10_000)
    assert desk.tea.refund(number, "R1", 3_000, "少一罐") == Refunded(number, "R1", 3_000, 3_000)
    assert desk.tea.refund(number, "R2", 7_001, "全退") == Refused("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL")
    assert desk.tea.refund(number, "R3", 7_000, "全退") == Refunded(number, "R3", 7_000, 10_000)
    closed = desk.tea.query(number)
    assert isinstance(closed, Trade)
    assert (closed.status, closed.paid, closed.paid_at is None) == ("TRADE_CLOSED", False, False)
    assert desk.tea.refund(number, "R4", 1, "再退") == Refused("ACQ.TRADE_STATUS_ERROR")


def test_the_same_refund_twice_moves_money_once(desk: Desk) -> None:
    number = desk.buy(10_000)
    assert isinstance(desk.tea.refund(number, "R1", 600, "破损"), Refunded)
    assert desk.tea.refund(number, "R1", 600, "破损") == Unknown("repeated")
    assert desk.tea.refund_query(number, "R1", 600) == Refunded(number, "R1", 600, None)
    assert desk.tea.refund(number, "R1", 601, "破损") == Refused("ACQ.DISCORDANT_REPEAT_REQUEST")
    assert desk.tea.refund_query(number, "R1", 601) == Unknown("other_amount")


@pytest.mark.parametrize("lost", ["drop_after", "http_502", "truncate", "code_20000", "bad_signature"])
def test_a_refund_whose_answer_was_lost_is_found_by_its_number(desk: Desk, lost: str) -> None:
    number = desk.buy(10_000)
    desk.fault(lost, number, method="alipay.trade.refund")
    assert isinstance(desk.tea.refund(number, "R1", 500, "破损"), Unknown)
    assert desk.tea.refund_query(number, "R1", 500) == Refunded(number, "R1", 500, None)


def test_a_refund_that_never_arrived_may_be_sent_again(desk: Desk) -> None:
    number = desk.buy(10_000)
    desk.fault("drop_before", number, method="alipay.trade.refund")
    assert isinstance(desk.tea.refund(number, "R1", 500, "破损"), Unknown)
    assert desk.tea.refund_query(number, "R1", 500) == NotRefunded("R1")
    desk.fault("echoed_numbers", number)  # in the longer form, with the numbers that were asked
    assert desk.tea.refund_query(number, "R1", 500) == NotRefunded("R1")
    assert desk.tea.refund(number, "R1", 500, "破损") == Refunded(number, "R1", 500, 500)


def test_a_refund_answer_of_another_order_is_not_taken(desk: Desk) -> None:
    other, number = desk.buy(10_000), desk.buy(10_000)
    assert isinstance(desk.tea.refund(other, "R1", 500, "破损"), Refunded)
    desk.fault("other_order", number, method="alipay.trade.refund")
    assert desk.tea.refund(number, "R1", 500, "破损") == Unknown("other_order")


def test_an_answer_to_another_refund_of_the_same_order_is_no_proof_of_this_one(desk: Desk) -> None:
    """What Alipay signs names the order and the sum of its refunds, so refund 1's answer fits refund 2: only the query tells them apart."""
    number, channel = desk.buy(20_000), SellerChannel(desk.tea)
    assert channel.refund(number, "R1", 10_000, "缺货").outcome == "succeeded"
    desk.fault("other_refund_before", number, method="alipay.trade.refund")
    assert channel.refund(number, "R2", 5_000, "破损") == Answer("unknown", sub_code="unconfirmed")
    assert channel.refund_query(number, "R2", 5_000).outcome == "refused"  # indeed nothing left
    assert channel.refund(number, "R2", 5_000, "破损").outcome == "succeeded"
    assert channel.refund(number, "R2", 5_000, "破损").outcome == "succeeded"  # a replay, asked about
    assert desk.tea.refund_query(number, "R2", 5_000) == Refunded(number, "R2", 5_000, None)


def test_a_refund_whose_confirmation_does_not_come_is_unknown(desk: Desk) -> None:
    number, channel = desk.buy(20_000), SellerChannel(desk.tea)
    desk.fault("drop_after", number, method="alipay.trade.fastpay.refund.query")
    assert channel.refund(number, "R1", 10_000, "缺货").outcome == "unknown"
    assert channel.refund_query(number, "R1", 10_000).outcome == "succeeded"


def test_refunds_at_once_stop_at_the_total(desk: Desk) -> None:
    number = desk.buy(1_000)
    with ThreadPoolExecutor(8) as together:
        answers = list(together.map(lambda n: desk.tea.refund(number, f"R{n}", 300, "一起退"), range(8)))
    assert sum(isinstance(each, Refunded) for each in answers) == 3
    assert answers.count(Refused("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL")) == 5


def test_what_is_finished_or_unpaid_is_not_refunded(desk: Desk) -> None:
    number = desk.buy()
    desk.emulator.finish(desk.tea.app_id, number)
    assert desk.tea.refund(number, "R1", 1, "太晚") == Refused("ACQ.TRADE_HAS_FINISHED")
    waiting = desk.number()
    desk.look(desk.url(waiting))
    assert desk.tea.refund(waiting, "R1", 1, "没付") == Refused("ACQ.TRADE_STATUS_ERROR")
    assert desk.tea.refund("T_nobody", "R1", 1, "没有") == Refused("ACQ.TRADE_NOT_EXIST")
    assert desk.tea.refund_query("T_nobody", "R1", 1) == NotRefunded("R1")


class Says:
    """A wire that answers whatever the test wrote."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        return self.body

    def get(self, url: str) -> bytes:
        return self.body


GENUINE = {
    "code": "10000",
    "msg": "Success",
    "out_trade_no": "T1",
    "trade_no": "2026",
    "trade_status": "TRADE_SUCCESS",
    "total_amount": "136.00",
}


def told(desk: Desk, node: dict[str, Any], method: str = "alipay.trade.query") -> AlipayClient:
    return replace(desk.tea, transport=Says(envelope(desk.emulator.keys.private, method, node)))


def test_the_genuine_answer_that_the_spoilt_ones_are_made_of_is_taken(desk: Desk) -> None:
    assert told(desk, GENUINE).query("T1", total_fen=13_600) == Trade(
        "T1", "2026", "TRADE_SUCCESS", 13_600, None
    )
    nested = GENUINE | {"body": '{"x_response":{"a":"/"},"sign":"AAAA"}'}
    assert isinstance(
        told(desk, nested).query("T1"), Trade | Unknown
    )  # the SDK's cutting may fail, never mislead
    assert told(desk, nested | {"out_trade_no": "T2"}).query("T1").__class__ is Unknown


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"trade_status": "TRADE_PENDING"}, "odd_answer"),
        ({"trade_status": None}, "odd_answer"),
        ({"total_amount": 136.0}, "odd_answer"),
        ({"total_amount": "１３６.00"}, "odd_answer"),
        ({"total_amount": "-136.00"}, "odd_answer"),
        ({"total_amount": "1e9"}, "odd_answer"),
        ({"total_amount": "0.00"}, "odd_answer"),
        ({"trade_no": ""}, "odd_answer"),
        ({"out_trade_no": "T2"}, "other_order"),
        ({"code": 10000}, "code"),
        ({"code": "10000", "sub_code": "ACQ.WHO_KNOWS"}, "code"),
        ({"code": "40004", "sub_code": "ACQ.SYSTEM_ERROR"}, "code"),
        ({"code": "40004"}, "code"),
    ],
)
def test_a_signed_answer_that_says_something_odd_decides_nothing(
    desk: Desk, change: dict[str, Any], reason: str
) -> None:
    answer = told(desk, GENUINE | change).query("T1")
    assert isinstance(answer, Unknown) and answer.reason == reason


def test_a_signed_answer_to_another_question_is_not_ours(desk: Desk) -> None:
    answer = told(desk, GENUINE, "alipay.trade.close").query("T1")
    assert isinstance(answer, Unknown) and answer.reason == "other_node"


def test_only_one_node_and_one_signature_is_an_answer(desk: Desk) -> None:
    genuine = envelope(desk.emulator.keys.private, "alipay.trade.query", GENUINE).decode()
    forged = json.dumps(GENUINE | {"out_trade_no": "T9"})
    for body, reason in (
        (
            f'{{"alipay_trade_query_response":{forged},{genuine[1:]}',
            "truncated",
        ),  # the name twice: the first is forged
        (genuine[:-1] + ',"more":1}', "other_node"),
        ("[]", "other_node"),
        ("<html>", "truncated"),
        ("", "truncated"),
        ('{"alipay_trade_query_response":7,"sign":"x"}', "odd_answer"),
    ):
        answer = replace(desk.tea, transport=Says(body.encode())).query("T9")
        assert isinstance(answer, Unknown) and answer.reason == reason, body


@pytest.mark.parametrize("fen", [0, -1, 10_000_000_001, True, 1.0, "1"])
def test_only_whole_fen_are_asked_for(desk: Desk, fen: Any) -> None:
    with pytest.raises(ValueError):
        desk.url(desk.number(), fen)
    with pytest.raises(ValueError):
        desk.tea.refund("T1", "R1", fen, "x")


def test_numbers_that_alipay_would_refuse_are_not_sent(desk: Desk) -> None:
    for number in ("", "a b", "订单1", "x" * 65, "a-b", "１２"):
        with pytest.raises(ValueError):
            desk.tea.query(number)


@pytest.mark.parametrize(
    "subject", ["a\"b'c", "a&amp;b=c/d", "🍵 茶\n\t换行", "<script>alert(1)</script>", "字" * 300, "  "]
)
def test_any_subject_can_be_paid_and_is_shown_harmlessly(desk: Desk, subject: str) -> None:
    number = desk.number()
    _, page = desk.look(desk.url(number, subject=subject))
    assert "<script" not in page
    assert isinstance(desk.tea.query(number), Trade)


def test_it_is_too_late_to_pay_what_has_expired(desk: Desk) -> None:
    with pytest.raises(Conflict) as late:
        desk.url(desk.number(), expires_at=clock.now())
    assert late.value.code == "payment.expired"


def test_the_time_in_a_request_is_beijings(desk: Desk) -> None:
    with clock.travel(datetime(2026, 11, 23, 16, 0, 1, tzinfo=UTC)):
        asked = parse_qs(urlsplit(desk.url(desk.number())).query)
    assert asked["timestamp"] == ["2026-11-24 00:00:01"]
    assert json.loads(asked["biz_content"][0])["time_expire"] == "2026-11-24 00:30:01"


def test_a_phone_page_is_signed_for_phones(desk: Desk) -> None:
    number = desk.number()
    url = desk.url(number, wap=True)
    assert parse_qs(urlsplit(url).query)["method"] == ["alipay.trade.wap.pay"]
    token, _ = desk.look(url)
    assert desk.press(token, "pay").status == 303


def test_nothing_is_logged_and_no_key_is_shown(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    number = desk.buy()
    caplog.clear()
    caplog.set_level(logging.DEBUG)
    assert isinstance(desk.tea.query(number), Trade)
    desk.tea.refund(number, "R1", 1, "破损")
    assert "biz_content" not in caplog.text and "sign=" not in caplog.text
    assert "KEY" not in repr(desk.tea)


def test_the_sdk_waits_until_it_is_needed() -> None:
    look = "import sys, marketplace.payments.alipay; sys.exit(any(name.split('.')[0] == 'alipay' for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", look], check=False).returncode == 0


def test_a_refund_that_the_sellers_balance_does_not_cover_may_be_sent_again(desk: Desk) -> None:
    """No refusal for good: the same request succeeds once there is money, so nothing is failed and no other number taken."""
    node = {"code": "40004", "msg": "Business Failed", "sub_code": "ACQ.SELLER_BALANCE_NOT_ENOUGH", "sub_msg": "卖家余额不足"}
    said = told(desk, node, "alipay.trade.refund").refund("T1", "R1", 100, "茶少了一罐")
    assert said == Refused("ACQ.SELLER_BALANCE_NOT_ENOUGH", passing=True)
    assert answer_of(said) == Answer("unknown", sub_code="ACQ.SELLER_BALANCE_NOT_ENOUGH")
