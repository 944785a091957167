"""The gateway is as strict about our requests as Alipay is."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from marketplace.emulator import gateway
from marketplace.emulator.keys import demo_app_keys
from marketplace.emulator.signature import content, sign
from tests.emulator.desk import TEA, Desk, open_desk

QUERY = {
    "app_id": TEA[0],
    "method": "alipay.trade.query",
    "charset": "utf-8",
    "format": "json",
    "version": "1.0",
    "sign_type": "RSA2",
    "timestamp": "2026-11-24 09:30:00",
    "biz_content": '{"out_trade_no":"T_nobody"}',
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_desk(tmp_path_factory.mktemp("emulator")) as desk:
        yield desk


def signed(desk: Desk, change: dict[str, str]) -> dict[str, str]:
    params = {name: value for name, value in (QUERY | change).items() if value}
    return params | {"sign": sign(demo_app_keys(desk.emulator.folder).private, content(params))}


def sub_code(desk: Desk, params: dict[str, str] | list[tuple[str, str]]) -> str:
    pairs = params if isinstance(params, list) else list(params.items())
    answer = desk.http.request("POST", desk.running.gateway_url, fields=pairs, encode_multipart=False)
    (node,) = (value for name, value in json.loads(answer.data).items() if name.endswith("_response"))
    return str(node.get("sub_code", node["code"]))


def test_a_signed_request_is_answered(desk: Desk) -> None:
    assert sub_code(desk, signed(desk, {})) == "ACQ.TRADE_NOT_EXIST"


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"method": "alipay.trade.magic"}, "isv.invalid-method"),
        ({"method": ""}, "isv.invalid-method"),
        ({"method": "alipay.trade.page.pay"}, ""),
        ({"app_id": "2021EMU0"}, "isv.invalid-app-id"),
        ({"app_id": ""}, "isv.missing-app-id"),
        ({"timestamp": ""}, "isv.missing-timestamp"),
        ({"timestamp": "2026-11-24T09:30:00"}, "isv.invalid-timestamp"),
        ({"charset": "gbk"}, "isv.invalid-charset"),
        ({"version": "2.0"}, "isv.invalid-version"),
        ({"format": "xml"}, "isv.invalid-format"),
        ({"sign_type": "RSA"}, "isv.invalid-signature-type"),
        ({"sign_type": ""}, "isv.missing-sign-type"),
        ({"biz_content": "[]"}, "isv.invalid-parameter"),
        ({"biz_content": "{"}, "isv.invalid-parameter"),
        ({"biz_content": '{"out_trade_no":7}'}, "ACQ.INVALID_PARAMETER"),
        ({"biz_content": "{}"}, "ACQ.INVALID_PARAMETER"),
    ],
)
def test_a_request_of_bad_form_is_refused_by_name(desk: Desk, change: dict[str, str], refusal: str) -> None:
    if refusal:
        assert sub_code(desk, signed(desk, change)) == refusal
    else:  # a page is for browsers: a bad one is shown as a page
        answer = desk.http.request(
            "POST", desk.running.gateway_url, fields=signed(desk, change), encode_multipart=False
        )
        assert answer.status == 400 and "没有扣款" in answer.data.decode()


def test_every_parameter_is_covered_by_the_signature(desk: Desk) -> None:
    good = signed(desk, {})
    for change in (
        {"biz_content": '{"out_trade_no":"T2"}'},
        {"notify_url": "http://elsewhere/"},
        {"sign": "x"},
        {"sign": good["sign"][::-1]},
    ):
        assert sub_code(desk, good | change) == "isv.invalid-signature"
    assert (
        sub_code(desk, {name: value for name, value in good.items() if name != "sign"}) == "isv.missing-sign"
    )
    assert sub_code(desk, [*good.items(), ("app_id", TEA[0])]) == "isv.invalid-parameter"


def test_an_answer_is_signed_over_its_raw_text(desk: Desk) -> None:
    raw = gateway.envelope(
        desk.emulator.keys.private, "alipay.trade.query", {"url": "http://a/b", "zh": "茶"}
    )
    assert b'"url":"http:\\/\\/a\\/b"' in raw and "茶".encode() in raw
    node = raw[len(b'{"alipay_trade_query_response":') : raw.rindex(b',"sign"')]
    assert json.loads(raw)["sign"] == sign(desk.emulator.keys.private, node)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"total_amount": "0"}, "ACQ.INVALID_PARAMETER"),
        ({"total_amount": "1.234"}, "ACQ.INVALID_PARAMETER"),
        ({"total_amount": "100000000.01"}, "ACQ.INVALID_PARAMETER"),
        ({"total_amount": 1}, "ACQ.INVALID_PARAMETER"),
        ({"product_code": "QUICK_WAP_WAY"}, "ACQ.INVALID_PARAMETER"),
        ({"subject": "a=b"}, "ACQ.INVALID_PARAMETER"),
        ({"out_trade_no": "a-b"}, "ACQ.INVALID_PARAMETER"),
        ({"time_expire": "2020-01-01 00:00:00"}, "ACQ.INVALID_PARAMETER"),
        ({"seller_id": "2088000000900002"}, "ACQ.SELLER_NOT_EXIST"),
    ],
)
def test_a_page_of_bad_content_opens_no_cashier(desk: Desk, change: dict[str, Any], refusal: str) -> None:
    good = {
        "out_trade_no": desk.number(),
        "total_amount": "1.00",
        "subject": "茶",
        "product_code": "FAST_INSTANT_TRADE_PAY",
    }
    for biz, status in ((good, 302), (good | change, 400)):
        params = signed(desk, {"method": "alipay.trade.page.pay", "biz_content": json.dumps(biz)})
        answer = desk.http.request("GET", desk.running.gateway_url, fields=params, redirect=False)
        assert answer.status == status
        assert (refusal in answer.data.decode()) == (status == 400)
