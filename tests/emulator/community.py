"""Run by the community SDK's own interpreter: every method of the emulator that this client knows, in one of the two modes.

Arguments: gateway, app_id, and files of keys or certificates. Prints one JSON object of what each call said.
"""

import json
import sys
import urllib.parse
import urllib.request
from pathlib import Path

from alipay import AliPay, DCAliPay
from alipay.exceptions import AliPayException

gateway, app_id, folder, mode = sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4]
private = (folder / "app_private.pem").read_text()
if mode == "certificate":
    certificates = folder / "certificates"
    files = (certificates / f"{app_id}.crt", certificates / "alipay.crt", certificates / "root.crt")
    client = DCAliPay(app_id, private, *(each.read_text() for each in files))
else:
    client = AliPay(app_id, None, private, (folder / "alipay_public.pem").read_text())
client._gateway = gateway  # it knows Alipay's own two addresses only


def scan(address: str, button: str) -> int:
    """Open a page and press a button on it."""
    with urllib.request.urlopen(address) as page:
        return urllib.request.urlopen(urllib.request.Request(f"{page.geturl()}/{button}", method="POST")).status


def refused(call: object, *args: object, **more: object) -> str:
    try:
        call(*args, **more)
    except AliPayException as error:
        return json.loads(error.message)["error_response"]["sub_code"]
    return ""


said: dict[str, object] = {}
page = client.api_alipay_trade_page_pay("茶", "C1", "1.36", return_url="", notify_url="http://127.0.0.1:9/n")
scan(f"{gateway}?{page}", "cancel")
said["waiting"] = client.api_alipay_trade_query("C1")["trade_status"]
said["closed"] = client.api_alipay_trade_close("C1")["out_trade_no"]
wap = client.api_alipay_trade_wap_pay("茶", "C2", "13600.00", product_code="QUICK_WAP_WAY", return_url="", notify_url="http://127.0.0.1:9/n")
scan(f"{gateway}?{wap}", "pay")
said["paid"] = client.api_alipay_trade_query("C2")["trade_status"]
code = client.api_alipay_trade_precreate("茶", "C3", "0.88", product_code="FACE_TO_FACE_PAYMENT", notify_url="http://127.0.0.1:9/n")["qr_code"]
said["unscanned"] = client.api_alipay_trade_query("C3").get("sub_code")
scan(code, "pay")
said["scanned"] = client.api_alipay_trade_query("C3")["trade_status"]
said["refund"] = client.api_alipay_trade_refund("0.30", "C3", out_request_no="R1")["fund_change"]
said["again"] = client.api_alipay_trade_refund("0.30", "C3", out_request_no="R1")["fund_change"]
said["found"] = client.api_alipay_trade_fastpay_refund_query("R1", out_trade_no="C3")["refund_amount"]
said["cancel"] = client.api_alipay_trade_cancel("C3")["action"]
said["over"] = client.api_alipay_trade_query("C3")["trade_status"]
if mode == "certificate":
    person = {"identity_type": "ALIPAY_LOGON_ID", "identity": "villager@example.org", "name": "王小明"}
    pay = client.api_alipay_fund_trans_uni_transfer
    said["transfer"] = pay("P1", trans_amount="120.50", order_title="收益分配", **person)["status"]
    said["twice"] = pay("P1", trans_amount="120.50", order_title="收益分配", **person)["order_id"] == pay("P1", trans_amount="120.50", order_title="收益分配", **person)["order_id"]
    said["other"] = pay("P1", trans_amount="120.51", order_title="收益分配", **person)["sub_code"]
    said["small"] = pay("P2", trans_amount="0.09", **person)["sub_code"]
    said["large"] = pay("P3", trans_amount="50000.01", **person)["sub_code"]
    said["short"] = pay("P4", trans_amount="49999.00", **person)["sub_code"]
    said["name"] = pay("P5", trans_amount="1.00", **(person | {"name": "不符"}))["sub_code"]
    said["shut"] = pay("P6", trans_amount="1.00", **(person | {"identity": "closed@example.org"}))["sub_code"]
print(json.dumps(said))
