"""Two clients that nobody here wrote succeed against the emulator: the official SDK as it is, and the community's in an environment
of its own (both are called ``alipay``)."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from marketplace.emulator.server import Running
from tests.emulator.desk import HONEY, TEA
from tests.missing import missing

COMMUNITY = Path(__file__).with_name("community.py")
PINNED = Path(__file__).with_name("community_sdk.txt")

STOCK = """
import json, sys, urllib.request
from importlib import import_module
from alipay.aop.api.AlipayClientConfig import AlipayClientConfig
from alipay.aop.api.DefaultAlipayClient import DefaultAlipayClient
config = AlipayClientConfig()
config.server_url, config.app_id, config.app_private_key, config.alipay_public_key = sys.argv[1:5]
client = DefaultAlipayClient(config)
honey = sys.argv[5:]

def asked(method, page=False, **biz):
    name = "".join(each.capitalize() for each in method.split(".")) + "Request"
    request = getattr(import_module("alipay.aop.api.request." + name), name)()
    request.biz_content = biz
    if page:
        return client.page_execute(request, "GET")
    return json.loads(client.execute(request))

def press(address, button):
    with urllib.request.urlopen(address) as page:
        urllib.request.urlopen(urllib.request.Request(page.geturl() + "/" + button, method="POST"))

order = {"subject": "tea", "seller_id": honey[2]}
said = {}
press(asked("alipay.trade.page.pay", True, out_trade_no="S1", total_amount="1.36", product_code="FAST_INSTANT_TRADE_PAY", **order), "pay")
press(asked("alipay.trade.wap.pay", True, out_trade_no="S2", total_amount="0.50", product_code="QUICK_WAP_WAY", **order), "cancel")
said["paid"] = asked("alipay.trade.query", out_trade_no="S1")["trade_status"]
said["waiting"] = asked("alipay.trade.query", out_trade_no="S2")["trade_status"]
said["closed"] = asked("alipay.trade.close", out_trade_no="S2")["code"]
code = asked("alipay.trade.precreate", out_trade_no="S3", total_amount="2.00", product_code="FACE_TO_FACE_PAYMENT", **order)["qr_code"]
said["unscanned"] = asked("alipay.trade.query", out_trade_no="S3")["sub_code"]
press(code, "pay")
said["scanned"] = asked("alipay.trade.query", out_trade_no="S3")["trade_status"]
said["refund"] = asked("alipay.trade.refund", out_trade_no="S1", out_request_no="R1", refund_amount="0.36")["refund_fee"]
said["found"] = asked("alipay.trade.fastpay.refund.query", out_trade_no="S1", out_request_no="R1")["refund_status"]
said["cancel"] = asked("alipay.trade.cancel", out_trade_no="S3")["action"]
merged = [
    {"app_id": app, "seller_id": seller, "out_trade_no": number, "total_amount": "1.00", "subject": "merged"}
    for app, seller, number in ((sys.argv[2], honey[2], "S4"), (honey[0], honey[1], "S5"))
]
desk = [each | {"product_code": "FAST_INSTANT_TRADE_PAY"} for each in merged]
press(asked("alipay.trade.page.merge.pay", True, order_details=desk, out_merge_no="M1", timeout_express="30m"), "pay")
said["merged"] = asked("alipay.trade.query", out_trade_no="S4")["trade_status"]
phone = [each | {"product_code": "QUICK_WAP_WAY", "out_trade_no": each["out_trade_no"] + "w"} for each in merged]
number = asked("alipay.trade.merge.precreate", order_details=phone, out_merge_no="M2", timeout_express="30m")["pre_order_no"]
press(asked("alipay.trade.wap.merge.pay", True, pre_order_no=number), "pay")
said["merged_wap"] = asked("alipay.trade.query", out_trade_no="S4w")["trade_status"]
said["no_bill_yet"] = asked("alipay.data.dataservice.bill.downloadurl.query", bill_type="trade", bill_date="2099-01-01")["sub_code"]
said["no_certificate"] = asked("alipay.fund.trans.common.query", out_biz_no="P1", product_code="TRANS_ACCOUNT_NO_PWD")["code"]
print(json.dumps(said))
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """The emulator on port 80 of a loopback address that is free: the official SDK knows no other port."""
    for number in range(81, 100):
        try:
            running = Running(tmp_path, port=80, host=f"127.0.0.{number}")
            break
        except (OSError, SystemExit):
            continue
    else:
        missing("the right to listen on port 80 of a loopback address, for the official SDK as it is")
    running.start()
    running.emulator.register_demo_app(*TEA, "璪都白茶合作社")
    running.emulator.register_demo_app(*HONEY, "三爪仑土蜂蜜合作社")
    yield running
    running.stop()


def said(command: list[Any]) -> dict[str, Any]:
    done = subprocess.run([str(each) for each in command], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_the_official_sdk_as_it_is_uses_every_method(running: Running, tmp_path: Path) -> None:
    pkcs1 = tmp_path / "pkcs1.pem"
    convert = ["openssl", "rsa", "-traditional", "-in", tmp_path / "app_private.pem", "-out", pkcs1]
    subprocess.run(convert, check=True, capture_output=True)
    keys = ["".join(pem.splitlines()[1:-1]) for pem in (pkcs1.read_text(), running.emulator.public_key_pem)]
    answer = said([sys.executable, "-c", STOCK, f"http://{running.host}/gateway.do", TEA[0], *keys, *HONEY, TEA[1]])
    assert answer == {
        "paid": "TRADE_SUCCESS", "waiting": "WAIT_BUYER_PAY", "closed": "10000", "unscanned": "ACQ.TRADE_NOT_EXIST",
        "scanned": "TRADE_SUCCESS", "refund": "0.36", "found": "REFUND_SUCCESS", "cancel": "refund", "merged": "TRADE_SUCCESS",
        "merged_wap": "TRADE_SUCCESS", "no_bill_yet": "isp.bill_not_exist", "no_certificate": "40006",
    }  # fmt: skip


@pytest.fixture(scope="session")
def community(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the community SDK as pinned."""
    folder = tmp_path_factory.mktemp("community")
    python = folder / "environment" / "bin" / "python"
    uv = [sys.executable, "-m", "uv"]
    made = subprocess.run([*uv, "venv", "-q", "--python", sys.executable, folder / "environment"], check=False, capture_output=True, text=True)
    if made.returncode == 0:
        install = [*uv, "pip", "install", "-q", "--python", python, "--require-hashes", "-r", PINNED]
        made = subprocess.run(install, check=False, capture_output=True, text=True)
    if made.returncode != 0:
        missing(f"the package index, for the community SDK: {made.stderr.strip()[-300:]}")
    return python


COMMON = {
    "waiting": "WAIT_BUYER_PAY", "closed": "C1", "paid": "TRADE_SUCCESS", "unscanned": "ACQ.TRADE_NOT_EXIST", "scanned": "TRADE_SUCCESS",
    "refund": "Y", "again": "N", "found": "0.30", "cancel": "refund", "over": "TRADE_CLOSED",
}  # fmt: skip
TRANSFERS = {
    "transfer": "SUCCESS", "twice": True, "other": "PAYMENT_INFO_INCONSISTENCY", "small": "EXCEED_LIMIT_SM_MIN_AMOUNT",
    "large": "EXCEED_LIMIT_SM_AMOUNT", "short": "PAYER_BALANCE_NOT_ENOUGH", "name": "PAYEE_USER_INFO_ERROR", "shut": "PAYEE_ACC_STATUS_ERROR",
}  # fmt: skip


@pytest.mark.parametrize(("mode", "expected"), [("key", COMMON), ("certificate", COMMON | TRANSFERS)])
def test_the_communitys_sdk_succeeds_in_both_modes(
    running: Running, community: Path, mode: str, expected: dict[str, Any]
) -> None:
    if mode == "certificate":
        running.emulator.register_certificate(TEA[0])
    assert said([community, COMMUNITY, running.gateway_url, TEA[0], running.emulator.folder, mode]) == expected
