"""A running emulator, a seller's client of it, and the buyer's browser: all over a real loopback connection."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import urllib3

from marketplace.emulator.server import Running
from marketplace.foundation import clock
from marketplace.payments.alipay import AlipayClient
from marketplace.payments.alipay_transport import HttpTransport

PLATFORM = ("2021EMU000000000", "2088000000000000")
TEA = ("2021EMU000900001", "2088000000900001")
HONEY = ("2021EMU000900002", "2088000000900002")
BACK = "http://127.0.0.1:9/back"

_numbers = itertools.count(1)
_keys: dict[str, str] = {}  # made once a run: two RSA keys take longer than most tests


class Desk:
    """What a test needs to buy something: ``tea`` and ``honey`` are sellers' clients, ``platform`` opens merged payments."""

    def __init__(self, folder: Path, *, notice_speed: float = 1.0) -> None:
        for name, pem in _keys.items():
            (folder / name).write_text(pem)
        self.running = Running(folder, port=0, notice_speed=notice_speed)
        self.emulator = self.running.emulator
        self.http = urllib3.PoolManager(retries=False)
        names = {PLATFORM: "靖安集", TEA: "璪都白茶合作社", HONEY: "三爪仑土蜂蜜合作社"}
        for (app_id, seller_id), name in names.items():
            self.private_pem = self.emulator.register_demo_app(app_id, seller_id, name)
        self.platform, self.tea, self.honey = (self._client(each) for each in names)
        _keys.update({each.name: each.read_text() for each in folder.glob("*_private.pem")})
        self.running.start()

    def _client(self, app: tuple[str, str]) -> AlipayClient:
        return AlipayClient(self.running.gateway_url, *app, self.private_pem, self.emulator.public_key_pem)

    def in_process(self, client: AlipayClient) -> AlipayClient:
        """The same client without a network, which follows a travelling clock."""
        return replace(client, gateway_url="http://emulator.invalid/gateway.do", transport=self.emulator)

    def impatient(self, client: AlipayClient, seconds: float = 0.4) -> AlipayClient:
        """The same client with a short deadline."""
        return replace(client, transport=HttpTransport(seconds))

    def number(self, prefix: str = "T") -> str:
        """A number nobody used yet."""
        return f"{prefix}{next(_numbers):06d}"

    def url(
        self,
        number: str,
        fen: int = 13_600,
        *,
        notify_url: str = "",
        subject: str = "靖安白茶 50 g",
        **more: Any,
    ) -> str:
        """The tea seller's page for an order."""
        more = {"return_url": BACK, "expires_at": clock.now() + timedelta(minutes=30)} | more
        return self.tea.page_pay_url(number, fen, subject, notify_url=notify_url, **more)

    def look(self, url: str) -> tuple[str, str]:
        """Open a page in the browser: its token and its text. Fails on an error page."""
        answer = self.http.request("GET", url, redirect=True, retries=2)
        assert answer.status == 200, answer.data.decode()
        address = answer.geturl() or ""
        return address.split("/cashier/")[1].split("?")[0], answer.data.decode()

    def press(self, token: str, button: str) -> urllib3.BaseHTTPResponse:
        """Press ``pay`` or ``cancel``; where that leads is not followed."""
        return self.http.request("POST", f"{self.running.url}/cashier/{token}/{button}", redirect=False)

    def buy(self, fen: int = 13_600, **more: Any) -> str:
        """A paid order of the tea seller; its number."""
        number = self.number()
        token, _ = self.look(self.url(number, fen, **more))
        assert self.press(token, "pay").status == 303
        return number

    def fault(self, kind: str, order: str, *, method: str = "", nth: int = 1, seconds: float = 0) -> None:
        """Order a fault as a demonstration would."""
        asked = {"kind": kind, "order": order, "method": method, "nth": nth, "seconds": seconds}
        answer = self.http.request("POST", f"{self.running.url}/_emulator/faults", json=asked)
        assert answer.status == 200, answer.data


@contextmanager
def open_desk(folder: Path, *, notice_speed: float = 1.0) -> Iterator[Desk]:
    """A desk that is closed afterwards, with nothing left running."""
    desk = Desk(folder, notice_speed=notice_speed)
    try:
        yield desk
    finally:
        desk.http.clear()
        desk.running.stop()
