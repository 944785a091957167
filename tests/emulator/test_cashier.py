"""The cashier: what the buyer sees, and that no way through it pays twice or pays what is closed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from marketplace.emulator.signature import content, verified
from marketplace.foundation import clock
from marketplace.payments.alipay import Closed, Trade
from tests.emulator.desk import BACK, TEA, Desk, open_desk


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_desk(tmp_path_factory.mktemp("emulator")) as desk:
        yield desk


def status(desk: Desk, number: str) -> str:
    found = desk.tea.query(number)
    assert isinstance(found, Trade)
    return found.status


def test_the_page_says_what_is_paid_to_whom_and_that_it_is_not_real(desk: Desk) -> None:
    _, page = desk.look(desk.url(desk.number(), 1_234_567))
    for piece in ("模拟收银台", "不会真实扣款", "璪都白茶合作社", "靖安白茶 50 g", "付款 ¥12,345.67", "取消"):
        assert piece in page
    assert "<script" not in page and "http://" not in page.replace(desk.running.url, "")


def test_the_page_speaks_english_when_asked(desk: Desk) -> None:
    token, _ = desk.look(desk.url(desk.number()))
    page = desk.http.request("GET", f"{desk.running.url}/cashier/{token}?lang=en")
    assert b"Pay \xc2\xa5136.00" in page.data and b'lang="en"' in page.data
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_paying_leads_back_with_a_signed_address(desk: Desk) -> None:
    number = desk.number()
    token, _ = desk.look(desk.url(number, return_url=f"{BACK}?order=7"))
    paid = desk.press(token, "pay")
    back = dict(parse_qsl(urlsplit(paid.headers["Location"]).query))
    assert paid.headers["Location"].startswith(f"{BACK}?order=7&") and back.pop("order") == "7"
    assert (back["out_trade_no"], back["total_amount"], back["seller_id"]) == (number, "136.00", TEA[1])
    key = desk.emulator.keys.private.public_key()
    assert verified(key, content(back, without=("sign", "sign_type")), back["sign"])


def test_cancelling_takes_no_money_and_leaves_the_way_open(desk: Desk) -> None:
    number = desk.number()
    token, _ = desk.look(desk.url(number))
    cancelled = desk.press(token, "cancel").data.decode()
    assert "没有付款" in cancelled and BACK in cancelled
    assert status(desk, number) == "WAIT_BUYER_PAY"
    assert desk.press(token, "pay").status == 303
    assert status(desk, number) == "TRADE_SUCCESS"


def test_twenty_tabs_pay_once(desk: Desk) -> None:
    number = desk.number()
    tokens = [desk.look(desk.url(number))[0] for _ in range(4)]
    with ThreadPoolExecutor(8) as together:
        pressed = list(together.map(lambda n: desk.press(tokens[n % 4], "pay").status, range(20)))
    assert set(pressed) == {303}
    assert len(desk.emulator.notices(TEA[0], number)) == 1
    _, page = desk.look(desk.url(number))
    assert "已付款" in page and "付款 ¥" not in page


def test_what_was_closed_meanwhile_cannot_be_paid(desk: Desk) -> None:
    number = desk.number()
    token, _ = desk.look(desk.url(number))
    assert isinstance(desk.tea.close(number), Closed)
    refused = desk.press(token, "pay")
    assert refused.status == 400 and "ACQ.TRADE_HAS_CLOSE" in refused.data.decode()
    _, page = desk.look(desk.url(number))
    assert "交易已关闭" in page and "付款 ¥" not in page


def test_what_expired_is_closed(desk: Desk) -> None:
    client, number = desk.in_process(desk.tea), desk.number()
    desk.look(desk.url(number, expires_at=clock.now() + timedelta(minutes=2)))
    with clock.travel(clock.now() + timedelta(minutes=3)):
        late = client.query(number)
    assert isinstance(late, Trade) and (late.status, late.paid_at) == ("TRADE_CLOSED", None)


def test_the_same_number_with_another_amount_is_refused(desk: Desk) -> None:
    number = desk.number()
    desk.look(desk.url(number, 100))
    answer = desk.http.request("GET", desk.url(number, 101), redirect=True, retries=2)
    assert answer.status == 400 and "ACQ.CONTEXT_INCONSISTENT" in answer.data.decode()


def test_an_unknown_cashier_is_not_found(desk: Desk) -> None:
    assert desk.http.request("GET", f"{desk.running.url}/cashier/nobody").status == 404
    assert desk.press("nobody", "pay").status == 404
