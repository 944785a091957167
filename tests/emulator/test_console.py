"""The console: trades are seen, faults are ordered and struck, by hand as by program; the file of an earlier version still opens."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from marketplace.emulator import fault
from marketplace.emulator.refusal import Refusal
from marketplace.emulator.state import TABLES, State
from marketplace.payments.alipay import Trade, Unknown
from tests.emulator.desk import TEA, Desk, open_desk


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_desk(tmp_path_factory.mktemp("emulator")) as desk:
        yield desk


def post(desk: Desk, path: str, **fields: str) -> int:
    address = f"{desk.running.url}/_emulator/{path}"
    return desk.http.request("POST", address, fields=fields, encode_multipart=False, redirect=False).status


def page(desk: Desk, query: str = "") -> str:
    return desk.http.request("GET", f"{desk.running.url}/_emulator/{query}").data.decode()


def test_trades_are_seen_and_found_in_both_languages(desk: Desk) -> None:
    first, second = desk.buy(13_600), desk.buy(100)
    desk.tea.refund(first, "R1", 600, "破损")
    assert all(each in page(desk) for each in (first, second, "136.00", "6.00", "TRADE_SUCCESS", "璪都白茶合作社"))
    found = page(desk, f"?order={second}")
    assert second in found and first not in found
    assert "Console of the emulated gateway" in page(desk, "?lang=en")


def test_a_fault_is_ordered_and_cancelled_on_the_page(desk: Desk) -> None:
    number = desk.buy()
    assert post(desk, "order", kind="http_502", method="alipay.trade.query", order=number, nth="0") == 303
    assert "http_502" in page(desk)
    assert isinstance(desk.tea.query(number), Unknown)
    assert post(desk, "clear") == 303
    assert isinstance(desk.tea.query(number), Trade)


@pytest.mark.parametrize("wrong", [{"kind": "earthquake"}, {"kind": "drip", "nth": "-1"}, {"kind": "drip", "percent": "101"}, {"kind": "drip", "seconds": "９"}])
def test_a_fault_that_makes_no_sense_is_refused(desk: Desk, wrong: dict[str, str]) -> None:
    assert post(desk, "order", **wrong) == 422


def test_the_time_for_refunds_is_ended_and_a_notice_told_again(desk: Desk) -> None:
    number = desk.buy()
    assert post(desk, "finish", app_id=TEA[0], order=number) == 303
    assert post(desk, "finish", app_id=TEA[0], order=number) == 422
    finished = desk.tea.query(number)
    assert isinstance(finished, Trade) and finished.status == "TRADE_FINISHED"
    assert post(desk, "again", app_id=TEA[0], order=number) == 303


def test_a_seller_withdraws_what_lies_in_its_balance_and_the_bill_says_so(desk: Desk) -> None:
    desk.buy(13_600)
    seller = desk.tea.seller_id
    assert "13" in page(desk) and seller in page(desk)
    for amount in ("", "x", "0", "-5", "99999999"):
        assert post(desk, "withdraw", seller=seller, amount=amount) == 422
    assert post(desk, "withdraw", seller="2088000000000000", amount="1.00") == 422
    assert post(desk, "withdraw", seller=seller, amount="100.00") == 303


def test_another_sites_page_presses_no_button(desk: Desk) -> None:
    address = f"{desk.running.url}/_emulator/clear"
    assert desk.http.request("POST", address, headers={"Origin": "http://evil.example"}).status == 403


def test_a_share_of_all_answers_goes_wrong_by_chance_and_repeatably(tmp_path: Path) -> None:
    struck = []
    for run in ("a", "b"):
        state = State(tmp_path / f"{run}.sqlite3", delivers=False)
        fault.order(state, kind=fault.ANY, nth=0, percent=20)
        struck.append([[each.kind for each in fault.take(state, "alipay.trade.query", f"T{n}")] for n in range(500)])
        state.close()
    assert struck[0] == struck[1]
    kinds = [kind for each in struck[0] for kind in each]
    assert 70 < len(kinds) < 130 and set(kinds) <= set(fault.ANSWERS) and len(set(kinds)) > 12


def test_each_method_has_its_own_faults(tmp_path: Path) -> None:
    state = State(tmp_path / "s.sqlite3", delivers=False)
    fault.order(state, kind="drip", method="alipay.trade.refund", nth=2)
    asked = [("alipay.trade.query", "T1"), ("alipay.trade.refund", "T1"), ("alipay.trade.refund", "T2"), ("alipay.trade.refund", "T3")]
    assert [bool(fault.take(state, *each)) for each in asked] == [False, False, True, False]
    with pytest.raises(Refusal):
        fault.order(state, kind="drip", seconds=601)
    state.close()


def test_notices_can_arrive_in_the_wrong_order(desk: Desk) -> None:
    number = desk.number()
    desk.fault("reordered_notice", number)
    token, _ = desk.look(desk.url(number))
    desk.press(token, "pay")
    assert desk.emulator.notices(TEA[0], number) == []
    desk.tea.refund(number, "R1", 600, "破损")
    told = [desk.tea.verify_notice(form).refunded_fen for form in desk.emulator.notices(TEA[0], number)]
    assert told == [600, 0]


def test_a_file_of_an_earlier_version_still_opens(tmp_path: Path) -> None:
    path = tmp_path / "emulator.sqlite3"
    with sqlite3.connect(path) as old:
        old.executescript(
            TABLES.replace(",\n    cert_sn TEXT NOT NULL DEFAULT ''", "").replace(", percent INTEGER NOT NULL DEFAULT 0", "")
        )
    old.close()
    state = State(path, delivers=False)
    fault.order(state, kind="drip", percent=100)
    assert fault.take(state, "alipay.trade.query", "T1")[0].kind == "drip"
    state.close()
