"""The emulator as a process, met by clients that nobody here wrote."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from socket import socket

import pytest
import urllib3

from marketplace.emulator import Emulator
from marketplace.emulator.server import Running
from marketplace.foundation import clock
from marketplace.payments.alipay import AlipayClient, Trade
from tests.emulator.desk import TEA
from tests.missing import missing

SERVE = "import sys; from pathlib import Path; from marketplace.emulator.server import serve; serve(port=int(sys.argv[1]), data_dir=Path(sys.argv[2]))"

STOCK = """
import json, sys
from alipay.aop.api.AlipayClientConfig import AlipayClientConfig
from alipay.aop.api.DefaultAlipayClient import DefaultAlipayClient
from alipay.aop.api.request.AlipayTradeQueryRequest import AlipayTradeQueryRequest
config = AlipayClientConfig()
config.server_url, config.app_id, config.app_private_key, config.alipay_public_key = sys.argv[1:]
request = AlipayTradeQueryRequest()
request.biz_content = {"out_trade_no": "T1"}
print(DefaultAlipayClient(config).execute(request))
"""


@contextmanager
def serving(data_dir: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(port), str(data_dir)], stderr=subprocess.PIPE
    )
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 30
        with urllib3.PoolManager(retries=False) as http:
            while True:
                try:
                    assert http.request("GET", f"{url}/healthz").data == b"ok"
                    break
                except urllib3.exceptions.HTTPError:
                    assert process.poll() is None and time.monotonic() < until
                    time.sleep(0.05)
        yield process, url
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_keeps_its_state_and_stops_when_told(tmp_path: Path, number: signal.Signals) -> None:
    """What a program paid inside itself before is known to the process that serves afterwards."""
    inside = Emulator(tmp_path / "emulator")
    private_pem = inside.register_demo_app(*TEA)
    inside.pay_order(app_id=TEA[0], out_trade_no="T1", total_fen=88, subject="蜜")
    with serving(tmp_path) as (process, url):
        client = AlipayClient(f"{url}/gateway.do", *TEA, private_pem, inside.public_key_pem)
        found = client.query("T1", total_fen=88)
        assert isinstance(found, Trade) and found.paid
        process.send_signal(number)
        assert process.wait(10) == 0
        assert process.stderr is not None and process.stderr.read() == b""
    inside.close()


def test_the_stock_sdk_succeeds_against_it(tmp_path: Path) -> None:
    """Unhardened, with its own signing and its own connection, which knows no port but 80."""
    try:
        running = Running(tmp_path, port=80, host="127.0.0.80")
    except (OSError, SystemExit):
        missing("the right to listen on port 80 of 127.0.0.80, for the official SDK as it is")
    running.start()
    try:
        emulator = running.emulator
        emulator.register_demo_app(*TEA)
        emulator.pay_order(app_id=TEA[0], out_trade_no="T1", total_fen=88, subject="蜜")
        pkcs1 = tmp_path / "pkcs1.pem"
        subprocess.run(
            ["openssl", "rsa", "-traditional", "-in", tmp_path / "app_private.pem", "-out", pkcs1],
            check=True,
            capture_output=True,
        )
        keys = ["".join(pem.splitlines()[1:-1]) for pem in (pkcs1.read_text(), emulator.public_key_pem)]
        said = subprocess.run(
            [sys.executable, "-c", STOCK, "http://127.0.0.80/gateway.do", TEA[0], *keys],
            check=False,
            capture_output=True,
            text=True,
        )
        assert said.returncode == 0, said.stderr[-2000:]
        assert '"trade_status":"TRADE_SUCCESS"' in said.stdout and '"total_amount":"0.88"' in said.stdout
    finally:
        running.stop()


def test_a_program_pays_inside_itself_on_the_day_it_travels_to(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path)
    private_pem = emulator.register_demo_app(*TEA)
    client = AlipayClient(
        "http://emulator.invalid/gateway.do", *TEA, private_pem, emulator.public_key_pem, emulator
    )
    day = clock.now() - timedelta(days=60)
    with clock.travel(day):
        url = client.page_pay_url(
            "T1",
            100,
            "茶",
            notify_url="http://127.0.0.1:9/n",
            return_url="",
            expires_at=day + timedelta(minutes=30),
        )
        (form,) = emulator.pay_url(url)
        paid = client.query("T1")
    notice = client.verify_notice(form)
    assert notice.paid_at == day.replace(microsecond=0)
    assert isinstance(paid, Trade) and paid.paid_at == notice.paid_at
    assert emulator.notices(TEA[0], "T1") == []
    assert notice.trade_no.startswith(f"{clock.business_date(day):%Y%m%d}")
    emulator.close()
