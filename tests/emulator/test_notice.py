"""Notices travel by themselves, come again with the same notify_id until they hear ``success``, and can be made to misbehave."""

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

import pytest

from marketplace.emulator.notice import RETRY_SECONDS
from tests.emulator.desk import TEA, Desk, open_desk

SPEED = 2_400.0  # four minutes are a tenth of a second


class Shop:
    """A merchant's notify_url that remembers what it was told and answers what the test wrote, ``success`` after that."""

    def __init__(self) -> None:
        self.told: list[dict[str, str]] = []
        self.answers: list[tuple[int, bytes]] = []
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                shop.told.append(dict(parse_qsl(body)))
                status, answer = shop.answers.pop(0) if shop.answers else (200, b"success")
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/notice"

    def of(self, number: str) -> list[dict[str, str]]:
        return [each for each in self.told if each["out_trade_no"] == number]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_desk(tmp_path_factory.mktemp("emulator"), notice_speed=SPEED) as desk:
        yield desk


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    thread = threading.Thread(target=shop.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield shop
    shop.server.shutdown()
    thread.join()
    shop.server.server_close()


def eventually(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)


def done(desk: Desk, number: str) -> bool:
    kept = desk.http.request("GET", f"{desk.running.url}/_emulator/notices/{number}").json()
    return bool(kept) and all(each["due_at"] is None for each in kept)


def test_a_payment_is_told_once_and_verifies(desk: Desk, shop: Shop) -> None:
    number = desk.buy(notify_url=shop.url)
    eventually(lambda: done(desk, number))
    (form,) = shop.of(number)
    notice = desk.tea.verify_notice(form)
    assert (notice.out_trade_no, notice.total_fen, notice.status) == (number, 13_600, "TRADE_SUCCESS")


def test_anything_but_exactly_success_is_told_again(desk: Desk, shop: Shop) -> None:
    shop.answers = [(500, b"success"), (302, b"success"), (200, b"success\n")]
    number = desk.buy(notify_url=shop.url)
    eventually(lambda: done(desk, number))
    told = shop.of(number)
    assert len(told) == 4
    assert len({each["notify_id"] for each in told}) == 1
    assert all(desk.tea.verify_notice(each).total_fen == 13_600 for each in told)


def test_it_gives_up_after_alipays_eight_tries() -> None:
    assert [seconds // 60 for seconds in RETRY_SECONDS] == [4, 10, 10, 60, 120, 360, 900]


def test_a_shop_that_is_down_is_tried_again(desk: Desk) -> None:
    number = desk.buy(notify_url="http://127.0.0.1:9/notice")

    def tried() -> bool:
        (kept,) = desk.http.request("GET", f"{desk.running.url}/_emulator/notices/{number}").json()
        return bool(kept["attempts"] >= 3 and kept["answer"] == "NewConnectionError")

    eventually(tried)


def test_refunds_and_closings_are_told_too(desk: Desk, shop: Shop) -> None:
    number = desk.buy(1_000, notify_url=shop.url)
    desk.tea.refund(number, "R1", 1_000, "全退")
    eventually(lambda: len(shop.of(number)) == 2 and done(desk, number))
    assert {each["trade_status"] for each in shop.of(number)} == {"TRADE_SUCCESS", "TRADE_CLOSED"}


def test_duplicates_silence_and_delay_can_be_ordered(desk: Desk, shop: Shop) -> None:
    def bought(kind: str, seconds: float = 0) -> str:
        number = desk.number()
        desk.fault(kind, number, seconds=seconds)
        token, _ = desk.look(desk.url(number, notify_url=shop.url))
        desk.press(token, "pay")
        return number

    silent, late, twice = bought("no_notice"), bought("late_notice", 0.3), bought("duplicate_notice")
    eventually(lambda: done(desk, twice))
    told = shop.of(twice)
    assert len(told) == 2 and told[0]["notify_id"] == told[1]["notify_id"]
    eventually(lambda: done(desk, late))
    assert shop.told.index(shop.of(late)[0]) > shop.told.index(told[0])
    assert shop.of(silent) == [] and desk.emulator.notices(TEA[0], silent) == []
