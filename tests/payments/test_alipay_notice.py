"""A notice is believed only whole, once, signed by Alipay and meant for us."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from werkzeug.datastructures import MultiDict

from marketplace.emulator.signature import signed_form
from marketplace.payments.alipay import BadNotice
from marketplace.payments.alipay_signing import form_content
from tests.emulator.desk import TEA, Desk, open_desk


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_desk(tmp_path_factory.mktemp("emulator")) as desk:
        yield desk


@pytest.fixture
def form(desk: Desk) -> dict[str, str]:
    return desk.emulator.pay_order(
        app_id=TEA[0], out_trade_no=desk.number(), total_fen=13_600, subject="白茶 & 皇菊"
    )


def refused(desk: Desk, form: Any) -> str:
    with pytest.raises(BadNotice) as bad:
        desk.tea.verify_notice(form)
    return str(bad.value.data["reason"])


def test_a_payment_is_told_whole(desk: Desk, form: dict[str, str]) -> None:
    for dress in (form, list(form.items()), MultiDict(form)):
        notice = desk.tea.verify_notice(dress)
        assert (notice.status, notice.total_fen, notice.refunded_fen) == ("TRADE_SUCCESS", 13_600, 0)
        assert (notice.app_id, notice.seller_id, notice.out_trade_no) == (*TEA, form["out_trade_no"])
        assert notice.paid_at is not None and notice.out_request_no is None


@pytest.mark.parametrize(
    "name",
    ["total_amount", "out_trade_no", "trade_status", "seller_id", "subject", "gmt_payment", "notify_id"],
)
def test_no_field_can_be_changed(desk: Desk, form: dict[str, str], name: str) -> None:
    assert refused(desk, form | {name: form[name] + "0"}) == "signature"


def test_no_field_can_be_added_taken_away_or_repeated(desk: Desk, form: dict[str, str]) -> None:
    assert refused(desk, form | {"refund_fee": "1.00"}) == "signature"
    assert refused(desk, {name: value for name, value in form.items() if name != "subject"}) == "signature"
    assert refused(desk, [*form.items(), ("total_amount", "0.01")]) == "repeated"
    assert refused(desk, MultiDict([*form.items(), ("out_trade_no", form["out_trade_no"])])) == "repeated"
    assert refused(desk, form | {f"x{n}": "" for n in range(100)}) == "too_long"
    assert refused(desk, {}) == "sign_type"


def test_only_rsa2_by_alipay_is_a_signature(desk: Desk, form: dict[str, str]) -> None:
    alipay = desk.emulator.keys.private
    for weak in (hashes.SHA1(), hashes.MD5()):
        signed = base64.b64encode(alipay.sign(form_content(form), padding.PKCS1v15(), weak)).decode()
        assert refused(desk, form | {"sign": signed}) == "signature"
    from marketplace.emulator.keys import demo_app_keys

    ours = signed_form(demo_app_keys(desk.emulator.folder).private, form | {"sign": "", "sign_type": ""})
    assert refused(desk, ours) == "signature"
    assert refused(desk, form | {"sign": "junk"}) == "signature"
    assert refused(desk, form | {"sign_type": "RSA"}) == "sign_type"
    assert refused(desk, {name: value for name, value in form.items() if name != "sign_type"}) == "sign_type"
    assert refused(desk, {name: value for name, value in form.items() if name != "sign"}) == "signature"


def test_alipays_word_to_somebody_else_is_not_for_us(desk: Desk, form: dict[str, str]) -> None:
    with pytest.raises(BadNotice) as bad:
        desk.honey.verify_notice(form)
    assert bad.value.data["reason"] == "app_id"
    assert desk.platform.verify_notice(form, app_ids={TEA[0]}).app_id == TEA[0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"trade_status": "TRADE_PENDING"}, "trade_status"),
        ({"total_amount": "1e3"}, "total_amount"),
        ({"total_amount": "0.00"}, "total_amount"),
        ({"refund_fee": "136.01"}, "total_amount"),
        ({"notify_type": "something_else"}, "notify_type"),
        ({"charset": "gbk"}, "charset"),
        ({"trade_no": ""}, "trade_no"),
    ],
)
def test_a_signed_notice_that_makes_no_sense_is_refused(
    desk: Desk, form: dict[str, str], change: dict[str, str], reason: str
) -> None:
    unsigned = {name: value for name, value in (form | change).items() if name not in ("sign", "sign_type")}
    assert refused(desk, signed_form(desk.emulator.keys.private, unsigned)) == reason


def test_refunds_are_told_with_their_number_and_their_sum(desk: Desk) -> None:
    number = desk.buy(10_000)
    assert [desk.tea.verify_notice(each).status for each in desk.emulator.notices(TEA[0], number)] == [
        "TRADE_SUCCESS"
    ]
    desk.tea.refund(number, "R1", 4_000, "一半")
    desk.tea.refund(number, "R2", 6_000, "其余")
    part, rest = (desk.tea.verify_notice(each) for each in desk.emulator.notices(TEA[0], number))
    assert (part.status, part.refunded_fen, part.out_request_no) == ("TRADE_SUCCESS", 4_000, "R1")
    assert (rest.status, rest.refunded_fen, rest.out_request_no) == ("TRADE_CLOSED", 10_000, "R2")
    assert part.notify_id != rest.notify_id


def test_a_closed_trade_says_whether_money_ever_came(desk: Desk) -> None:
    unpaid = desk.number()
    desk.look(desk.url(unpaid))
    desk.tea.close(unpaid)
    (closed,) = (desk.tea.verify_notice(each) for each in desk.emulator.notices(TEA[0], unpaid))
    assert (closed.status, closed.paid_at, closed.refunded_fen) == ("TRADE_CLOSED", None, 0)
    refunded = desk.buy(500)
    desk.tea.refund(refunded, "R1", 500, "全退")
    last = desk.tea.verify_notice(desk.emulator.notices(TEA[0], refunded)[-1])
    assert last.status == "TRADE_CLOSED" and last.paid_at is not None
