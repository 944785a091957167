"""Transfers to a person: what counts as paid, what as refused, and what stays unknown until it is asked for."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from marketplace.emulator.gateway import envelope
from marketplace.payments.alipay import (
    AlipayClient,
    Misconfigured,
    NotTransferred,
    Payee,
    Refused,
    TransferEnded,
    Transferred,
    Unknown,
)
from marketplace.payments.alipay_certificate import read_certificates
from marketplace.payments.alipay_transfer import QUERY, TRANSFER
from marketplace.payments.alipay_transport import Lost
from tests.emulator.desk import TEA, Desk, open_desk

VILLAGER = Payee("villager@example.org", "王小明")
TITLE = "收益分配"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_desk(tmp_path_factory.mktemp("emulator")) as desk:
        desk.emulator.register_certificate(TEA[0])
        desk.tea = replace(desk.tea, certificates=read_certificates(desk.emulator.certificates, TEA[0]))
        desk.buy(1_000_000)
        yield desk


def sent(desk: Desk, number: str) -> list[int]:
    """The amounts that left the balance under a number."""
    return [row["fen"] for row in desk.emulator.state.rows("SELECT fen FROM transfer WHERE out_biz_no = ?", number)]


def test_a_transfer_is_paid_once_and_found_by_its_number(desk: Desk) -> None:
    number = desk.number("P")
    paid = desk.tea.transfer(number, 12_050, VILLAGER, TITLE)
    assert isinstance(paid, Transferred)
    assert (paid.out_biz_no, paid.fen) == (number, 12_050)
    assert paid.order_id and paid.paid_at is not None
    assert desk.tea.transfer(number, 12_050, VILLAGER, TITLE) == paid
    assert desk.tea.transfer_query(number, 12_050) == paid
    assert sent(desk, number) == [12_050]


def test_a_number_pays_once_and_never_another_amount_or_payee(desk: Desk) -> None:
    number = desk.number("P")
    assert isinstance(desk.tea.transfer(number, 12_050, VILLAGER, TITLE), Transferred)
    used = Unknown("inconsistent", "PAYMENT_INFO_INCONSISTENCY")
    assert desk.tea.transfer(number, 12_051, VILLAGER, TITLE) == used
    assert desk.tea.transfer(number, 12_050, Payee("villager@example.org", "王大明"), TITLE) == used
    assert desk.tea.transfer_query(number, 12_051) == Unknown("other_amount")
    assert sent(desk, number) == [12_050]


@pytest.mark.parametrize("kind", ["drop_after", "http_502", "truncate", "bad_signature", "code_20000"])
def test_a_transfer_whose_answer_was_lost_is_found_by_its_number(desk: Desk, kind: str) -> None:
    number = desk.number("P")
    desk.fault(kind, number, method=TRANSFER)
    lost = desk.tea.transfer(number, 500, VILLAGER, TITLE)
    assert isinstance(lost, Unknown) and lost.sent
    assert isinstance(desk.tea.transfer_query(number, 500), Transferred)
    assert sent(desk, number) == [500]


def test_an_answer_that_takes_too_long_is_unknown(desk: Desk) -> None:
    number = desk.number("P")
    desk.fault("delay_after", number, method=TRANSFER, seconds=1)
    assert isinstance(desk.impatient(desk.tea).transfer(number, 500, VILLAGER, TITLE), Unknown)
    assert isinstance(desk.tea.transfer_query(number, 500), Transferred)


@pytest.mark.parametrize("kind", ["drop_before", "http_502_before", "code_20000_before"])
def test_a_lost_transfer_that_alipay_does_not_know_is_sent_again_unchanged(desk: Desk, kind: str) -> None:
    number = desk.number("P")
    desk.fault(kind, number, method=TRANSFER)
    assert isinstance(desk.tea.transfer(number, 500, VILLAGER, TITLE), Unknown)
    assert desk.tea.transfer_query(number, 500) == NotTransferred(number)
    assert isinstance(desk.tea.transfer(number, 500, VILLAGER, TITLE), Transferred)
    assert sent(desk, number) == [500]


@pytest.mark.parametrize("method", [TRANSFER, QUERY])
def test_another_transfers_answer_is_not_taken(desk: Desk, method: str) -> None:
    first, number = desk.number("P"), desk.number("P")
    assert isinstance(desk.tea.transfer(first, 500, VILLAGER, TITLE), Transferred)
    desk.fault("other_order", number, method=method)
    assert desk.tea.transfer(number, 500, VILLAGER, TITLE) == Unknown("other_order")
    desk.fault("other_order", number, method=QUERY)
    assert desk.tea.transfer_query(number, 500) == Unknown("other_order")
    assert isinstance(desk.tea.transfer_query(number, 500), Transferred)


@pytest.mark.parametrize("kind", ["drop_before", "http_502", "bad_signature"])
def test_a_success_whose_amount_nobody_named_is_unknown(desk: Desk, kind: str) -> None:
    number = desk.number("P")
    desk.fault(kind, number, method=QUERY)
    unsure = desk.tea.transfer(number, 500, VILLAGER, TITLE)
    assert isinstance(unsure, Unknown) and unsure.sent
    assert isinstance(desk.tea.transfer(number, 500, VILLAGER, TITLE), Transferred)
    assert sent(desk, number) == [500]


def stands(desk: Desk, status: str, code: str = "") -> str:
    """The number of a transfer that Alipay says is in this status."""
    number = desk.number("P")
    assert isinstance(desk.tea.transfer(number, 500, VILLAGER, TITLE), Transferred)
    with desk.emulator.state.transaction() as write:
        write.execute("UPDATE transfer SET status = ?, error_code = ? WHERE out_biz_no = ?", (status, code, number))
    return number


@pytest.mark.parametrize(("status", "reason"), [("DEALING", "under_way"), ("INIT", "under_way"), ("success", "odd_answer"), ("", "odd_answer")])
def test_only_success_is_success(desk: Desk, status: str, reason: str) -> None:
    number = stands(desk, status)
    assert desk.tea.transfer(number, 500, VILLAGER, TITLE) == Unknown("odd_answer", status)
    assert desk.tea.transfer_query(number, 500) == Unknown(reason, status)


@pytest.mark.parametrize("status", ["FAIL", "CLOSED", "REFUND"])
def test_another_end_is_told_with_its_reason_and_believed_of_this_amount_only(desk: Desk, status: str) -> None:
    number = stands(desk, status, "PAYEE_ACC_STATUS_ERROR")
    ended = TransferEnded(number, status, "PAYEE_ACC_STATUS_ERROR", 500)  # type: ignore[arg-type]
    assert desk.tea.transfer(number, 500, VILLAGER, TITLE) == Unknown("odd_answer", status), "only the question names the amount"
    assert desk.tea.transfer_query(number, 500) == ended
    assert desk.tea.transfer_query(number, 501) == Unknown("other_amount", "" if status == "REFUND" else status)


def test_a_reason_that_is_no_code_says_nothing(desk: Desk) -> None:
    number = stands(desk, "FAIL", "<b>余额</b>")
    assert desk.tea.transfer_query(number, 500) == TransferEnded(number, "FAIL", "", 500)


@pytest.mark.parametrize(
    ("fen", "payee", "refused"),
    [
        (4_900_000, VILLAGER, Refused("PAYER_BALANCE_NOT_ENOUGH", passing=True)),
        (500, Payee("villager@example.org", "不符"), Refused("PAYEE_USER_INFO_ERROR")),
        (500, Payee("closed@example.org", "王小明"), Refused("PAYEE_ACC_STATUS_ERROR")),
        (9, VILLAGER, Refused("EXCEED_LIMIT_SM_MIN_AMOUNT")),
        (5_000_001, VILLAGER, Refused("EXCEED_LIMIT_SM_AMOUNT")),
    ],
)
def test_a_refused_transfer_moves_nothing(desk: Desk, fen: int, payee: Payee, refused: Refused) -> None:
    number = desk.number("P")
    assert desk.tea.transfer(number, fen, payee, TITLE) == refused
    assert desk.tea.transfer_query(number, fen) == NotTransferred(number)
    assert sent(desk, number) == []


def test_a_balance_that_was_short_pays_the_same_number_once_it_is_filled(desk: Desk) -> None:
    number = desk.number("P")
    assert desk.tea.transfer(number, 4_800_000, VILLAGER, TITLE) == Refused("PAYER_BALANCE_NOT_ENOUGH", passing=True)
    for _ in range(5):
        desk.buy(1_000_000)
    assert isinstance(desk.tea.transfer(number, 4_800_000, VILLAGER, TITLE), Transferred)


class Says:
    """A way to a gateway that gives these answers in turn, and cannot be reached after them."""

    def __init__(self, *answers: bytes) -> None:
        self.asked = 0
        self._answers = answers

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        self.asked += 1
        if self.asked > len(self._answers):
            raise Lost("unreachable", sent=False)
        return self._answers[self.asked - 1]

    def get(self, url: str) -> bytes:
        raise AssertionError(url)


OK = {"code": "10000", "msg": "Success"}
SENT = OK | {"out_biz_no": "P1", "order_id": "2026", "status": "SUCCESS"}
FOUND = SENT | {"trans_amount": "5.00", "pay_date": "2026-11-24 09:30:00"}
UNREACHABLE: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("answer", "query", "outcome"),
    [
        (SENT | {"out_biz_no": "P2"}, FOUND, Unknown("other_order")),
        (SENT | {"order_id": "2027"}, FOUND, Unknown("other_order")),
        (SENT, FOUND | {"out_biz_no": "P2"}, Unknown("other_order")),
        (SENT, FOUND | {"trans_amount": "5.01"}, Unknown("other_amount")),
        (SENT, FOUND | {"trans_amount": 5}, Unknown("other_amount")),
        (SENT, SENT, Unknown("other_amount")),
        (SENT | {"status": "DEALING"}, FOUND, Unknown("odd_answer", "DEALING")),
        (SENT, {"code": "40004", "sub_code": "ORDER_NOT_EXIST"}, Unknown("unconfirmed", "NotTransferred")),
        (SENT, {"code": "40002", "sub_code": "isv.invalid-signature"}, Unknown("unconfirmed", "Misconfigured")),
        ({"code": "40004", "sub_code": "SYSTEM_ERROR"}, FOUND, Unknown("code", "40004 SYSTEM_ERROR")),
        ({"code": "40004", "sub_code": "TRANSFER_ERROR"}, FOUND, Unknown("code", "40004 TRANSFER_ERROR")),
        (SENT, UNREACHABLE, Unknown("unreachable", sent=True)),
        (UNREACHABLE, UNREACHABLE, Unknown("unreachable", sent=False)),
    ],
)
def test_what_does_not_name_this_transfer_is_unknown(
    desk: Desk, answer: dict[str, Any], query: dict[str, Any], outcome: Unknown
) -> None:
    def told(*nodes: tuple[str, dict[str, Any]]) -> AlipayClient:
        sn, key = desk.emulator.state.alipay_cert_sn, desk.emulator.keys.private
        return replace(desk.tea, transport=Says(*(envelope(key, method, node, cert_sn=sn) for method, node in nodes if node)))

    assert told((TRANSFER, SENT), (QUERY, FOUND)).transfer("P1", 500, VILLAGER, TITLE).__class__ is Transferred
    assert told((TRANSFER, answer), (QUERY, query)).transfer("P1", 500, VILLAGER, TITLE) == outcome


def test_without_certificates_nothing_is_sent(desk: Desk) -> None:
    refused = Misconfigured("40006", "isv.insufficient-isv-permissions")
    silent = Says()
    bare = replace(desk.tea, certificates=None, transport=silent)
    assert bare.transfer("P0", 500, VILLAGER, TITLE) == refused
    assert bare.transfer_query("P0", 500) == refused
    assert silent.asked == 0


@pytest.mark.parametrize("fen", [0, -1, True, 10_000_000_001])
def test_only_whole_fen_are_transferred(desk: Desk, fen: int) -> None:
    with pytest.raises(ValueError, match="amount"):
        desk.tea.transfer("P0", fen, VILLAGER, TITLE)


def test_a_payee_has_an_account_and_a_name_and_is_not_shown() -> None:
    for account, name in (("", "王小明"), (" ", "王小明"), ("villager@example.org", "")):
        with pytest.raises(ValueError, match="account"):
            Payee(account, name)
    assert Payee("2088000000000001", "王小明").info["identity_type"] == "ALIPAY_USER_ID"
    assert VILLAGER.info["identity_type"] == "ALIPAY_LOGON_ID"
    assert "王小明" not in repr(VILLAGER) and "villager" not in repr(VILLAGER)
