"""A bill is a stranger's zip: read once it is the right seller's day and adds up, refused otherwise."""

import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from marketplace.emulator import bill as emulated
from marketplace.foundation import clock
from marketplace.payments.alipay import AlipayClient, Bill, BillAbsent, Unknown
from marketplace.payments.alipay_bill import BadBill, read_bill
from tests.emulator.desk import HONEY, TEA, Desk, open_desk

DAY = date(2026, 3, 5)
NOON = datetime(2026, 3, 5, 4, 0, tzinfo=UTC)
READY = datetime(2026, 3, 6, 2, 0, tzinfo=UTC)  # ten in the morning in Beijing


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_desk(tmp_path_factory.mktemp("emulator")) as desk:
        with clock.travel(NOON):
            client = desk.in_process(desk.tea)
            desk.emulator.pay_order(
                app_id=TEA[0], out_trade_no="T1", total_fen=10_000, subject='白茶, "明前" 🍵'
            )
            desk.emulator.pay_order(app_id=TEA[0], out_trade_no="T2", total_fen=33, subject="皇菊")
            client.refund("T1", "R1", 2_500, "破损")
        yield desk


@pytest.fixture(scope="module")
def packed(desk: Desk) -> bytes:
    with clock.travel(READY):
        return emulated.archive(desk.emulator.state, TEA[1], DAY, "trade")


@pytest.fixture
def client(desk: Desk) -> AlipayClient:
    return desk.in_process(desk.tea)


def test_every_movement_is_in_the_bill_with_its_fee(client: AlipayClient) -> None:
    with clock.travel(READY):
        bill = client.bill(DAY)
    assert isinstance(bill, Bill)
    assert [
        (each.kind, each.out_trade_no, each.out_request_no, each.fen, each.fee_fen) for each in bill.rows
    ] == [
        ("trade", "T1", "", 10_000, -60),
        ("trade", "T2", "", 33, 0),
        ("refund", "T1", "R1", -2_500, 15),
    ]
    assert bill.rows[0].finished_at == NOON


def test_fees_go_back_to_the_last_fen(desk: Desk) -> None:
    client = desk.in_process(desk.honey)
    with clock.travel(NOON):
        desk.emulator.pay_order(app_id=HONEY[0], out_trade_no="H1", total_fen=8_877, subject="蜜")
        for number, fen in (("A", 1_111), ("B", 2_222), ("C", 5_544)):
            client.refund("H1", number, fen, "分批")
    with clock.travel(READY):
        bill = client.bill(DAY)
    assert isinstance(bill, Bill)
    assert sum(each.fen for each in bill.rows) == 0 and sum(each.fee_fen for each in bill.rows) == 0
    assert bill.rows[0].fee_fen == -53


def test_a_bill_comes_at_ten_the_next_morning(client: AlipayClient) -> None:
    with clock.travel(READY.replace(hour=1, minute=59)):
        assert client.bill(DAY) == BillAbsent(DAY)


def test_a_day_without_trade_has_an_empty_bill(client: AlipayClient) -> None:
    with clock.travel(READY):
        empty = client.bill(date(2026, 3, 1))
    assert isinstance(empty, Bill) and empty.rows == ()


def test_names_are_gbk_as_alipays_are(packed: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(packed), metadata_encoding="gbk") as bundle:
        names = bundle.namelist()
        text = bundle.read(names[0]).decode("gbk")
    assert names == [f"{TEA[1]}_20260305_业务明细.csv", f"{TEA[1]}_20260305_业务明细(汇总).csv"]
    assert text.startswith("#支付宝业务明细查询\r\n") and "\tT1" not in text and "T1\t," in text


def test_the_account_bill_holds_fees_as_movements(desk: Desk) -> None:
    with clock.travel(READY):
        packed = emulated.archive(desk.emulator.state, TEA[1], DAY, "signcustomer")
    with zipfile.ZipFile(io.BytesIO(packed), metadata_encoding="gbk") as bundle:
        lines = bundle.read(bundle.namelist()[0]).decode("gbk").splitlines()
    rows = [[cell.strip() for cell in line.split(",")] for line in lines if not line.startswith("#")][1:]
    assert [(row[2], row[6], row[7], row[8], row[10]) for row in rows] == [
        ("T1", "100.00", "0.00", "100.00", "在线支付"),
        ("T1", "0.00", "-0.60", "99.40", "收费"),
        ("T2", "0.33", "0.00", "99.73", "在线支付"),
        ("T1", "0.00", "-25.00", "74.73", "交易退款"),
        ("T1", "0.15", "0.00", "74.88", "退费"),
    ]


def test_over_the_network_an_address_lives_thirty_seconds(desk: Desk) -> None:
    bill = desk.tea.bill(DAY)
    assert isinstance(bill, Bill) and len(bill.rows) == 3
    node = emulated.link(
        desk.emulator.state, TEA[1], desk.running.url, {"bill_type": "trade", "bill_date": "2026-03-05"}
    )
    assert desk.http.request("GET", node["bill_download_url"]).status == 200
    with desk.emulator.state.transaction() as write:
        write.execute("UPDATE bill_link SET expires_at = ?", (clock.now().isoformat(),))
    assert desk.http.request("GET", node["bill_download_url"]).status == 404


def test_a_bill_that_cannot_be_fetched_is_unknown(desk: Desk) -> None:
    desk.fault("http_502", "", method="alipay.data.dataservice.bill.downloadurl.query")
    assert isinstance(desk.tea.bill(DAY), Unknown)
    secure = replace(desk.in_process(desk.tea), gateway_url="https://emulator.invalid/gateway.do")
    assert secure.bill(DAY) == Unknown("odd_answer")  # an address in the clear, from a gateway that is not


def test_another_sellers_or_days_bill_is_refused(packed: bytes) -> None:
    assert len(read_bill(packed, day=DAY, seller_id=TEA[1]).rows) == 3
    for day, seller_id in ((DAY, HONEY[1]), (date(2026, 3, 6), TEA[1])):
        with pytest.raises(BadBill):
            read_bill(packed, day=day, seller_id=seller_id)


def repacked(packed: bytes, change: Callable[[str], str]) -> bytes:
    name = "x_业务明细.csv"
    with zipfile.ZipFile(io.BytesIO(packed), metadata_encoding="gbk") as bundle:
        text = bundle.read(bundle.namelist()[0]).decode("gbk")
    return zipped({name: change(text)})


def zipped(files: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in files.items():
            entry = emulated._GbkName(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            bundle.writestr(entry, text.encode("gbk"))
    return out.getvalue()


SPOILT: dict[str, Callable[[str], str]] = {
    "a row is missing": lambda text: "\r\n".join(line for line in text.splitlines() if "T2\t" not in line),
    "a row is there twice": lambda text: "\r\n".join(
        again for line in text.splitlines() for again in [line] * (1 + ("T2\t" in line))
    ),
    "an amount is another": lambda text: text.replace("100.00\t", "100.01\t"),
    "an amount is no amount": lambda text: text.replace("100.00\t", "=1+1\t"),
    "the totals are gone": lambda text: "\r\n".join(line for line in text.splitlines() if "合计" not in line),
    "a cell is gone": lambda text: text.replace("退款\t,", ""),
    "a kind nobody knows": lambda text: text.replace("退款\t", "转账\t"),
    "a refund that brings money": lambda text: text.replace("-25.00\t", "25.00\t"),
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_bill_that_does_not_add_up_is_refused(packed: bytes, how: str) -> None:
    assert len(read_bill(repacked(packed, lambda text: text), day=DAY, seller_id=TEA[1]).rows) == 3
    with pytest.raises(BadBill):
        read_bill(repacked(packed, SPOILT[how]), day=DAY, seller_id=TEA[1])


def test_a_hostile_zip_is_refused(packed: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    for body in (
        b"",
        b"PK",
        packed[:-30],
        zipped({"../../etc/x_业务明细.csv": "x"}),
        zipped({f"{n}.csv": "" for n in range(9)}),
        zipped({"a.csv": ""}),
    ):
        with pytest.raises(BadBill):
            read_bill(body, day=DAY, seller_id=TEA[1])
    monkeypatch.setattr("marketplace.payments.alipay_bill.MOST_BYTES", 10_000)
    with pytest.raises(BadBill) as bomb:
        read_bill(zipped({"x_业务明细.csv": "0" * 10_001}), day=DAY, seller_id=TEA[1])
    assert bomb.value.data["reason"] == "too_long"
