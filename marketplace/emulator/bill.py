"""A seller's bill of one Beijing day: a zip of GBK CSVs with GBK names, every movement of the seller's money once.

It comes out at 10:00 of the next day, and its address lives thirty seconds, as Alipay's does.
"""

import io
import secrets
import sqlite3
import zipfile
from datetime import date, datetime, time, timedelta
from typing import Any

from marketplace.emulator.field import beijing, stamp, text, yuan
from marketplace.emulator.refusal import business, invalid
from marketplace.emulator.state import State
from marketplace.emulator.trade import BUYER_LOGON_ID
from marketplace.foundation import clock

LINK_SECONDS = 30
READY_AT = time(10, 0)
_RULE = "-" * 40
_TRADE_HEAD = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,商家实收（元）,"
    "支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,"
    "退款批次号/请求号,服务费（元）,分润（元）,备注"
)
_ACCOUNT_HEAD = "账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,支出金额（-元）,账户余额（元）,交易渠道,业务类型,备注"


def link(state: State, seller_id: str, base_url: str, biz: dict[str, Any]) -> dict[str, str]:
    """alipay.data.dataservice.bill.downloadurl.query: ``trade`` is what was sold, ``signcustomer`` every movement."""
    kind = text(biz, "bill_type")
    if kind not in ("trade", "signcustomer"):
        raise invalid("bill_type")
    try:
        day = date.fromisoformat(text(biz, "bill_date"))
    except ValueError:
        raise invalid("bill_date") from None
    ready = datetime.combine(day + timedelta(days=1), READY_AT, clock.BEIJING)
    if clock.now() < ready:
        raise business("isp.bill_not_exist", "账单不存在")
    token = secrets.token_urlsafe(24)
    with state.transaction() as write:
        write.execute(
            "INSERT INTO bill_link (token, seller_id, day, kind, expires_at) VALUES (?, ?, ?, ?, ?)",
            (token, seller_id, day.isoformat(), kind, stamp(clock.now() + timedelta(seconds=LINK_SECONDS))),
        )
    return {"bill_download_url": f"{base_url}/bill/{token}.zip?fileType=csv.zip"}


def download(state: State, token: str) -> bytes | None:
    """The zip behind an address that still lives, else None."""
    found = state.row("SELECT * FROM bill_link WHERE token = ? AND expires_at > ?", token, stamp(clock.now()))
    if found is None:
        return None
    return archive(state, found["seller_id"], date.fromisoformat(found["day"]), found["kind"])


def archive(state: State, seller_id: str, day: date, kind: str) -> bytes:
    """The zip of one seller, day and kind."""
    begin = clock.beijing_midnight(day)
    span = (seller_id, stamp(begin), stamp(begin + timedelta(days=1)))
    paid = state.rows(
        "SELECT * FROM trade WHERE seller_id = ? AND paid_at >= ? AND paid_at < ? ORDER BY paid_at, trade_no",
        *span,
    )
    refunded = state.rows(
        "SELECT t.trade_no, t.subject, t.created_at, r.* FROM refund r JOIN trade t USING (app_id, out_trade_no)"
        " WHERE t.seller_id = ? AND r.refunded_at >= ? AND r.refunded_at < ? ORDER BY r.refunded_at, r.out_request_no",
        *span,
    )
    transferred = state.rows(
        "SELECT *, sent_at AS at, -fen AS moved FROM transfer WHERE seller_id = ? AND sent_at >= ? AND sent_at < ? AND status IN ('SUCCESS', 'REFUND')"
        " UNION ALL SELECT *, ended_at, fen FROM transfer WHERE seller_id = ? AND ended_at >= ? AND ended_at < ? AND status = 'REFUND'"
        " ORDER BY at, out_biz_no",
        *span, *span,
    )  # fmt: skip
    withdrawn = state.rows(
        "SELECT order_id, sent_at AS at, -fen AS moved, '提现' AS kind, '提现到银行卡' AS title FROM withdrawal WHERE seller_id = ? AND sent_at >= ? AND sent_at < ?"
        " UNION ALL SELECT order_id, back_at, fen, '提现退回', '银行退回' FROM withdrawal WHERE seller_id = ? AND back_at >= ? AND back_at < ?"
        " ORDER BY at, order_id",
        *span, *span,
    )  # fmt: skip
    name = f"{seller_id}_{day:%Y%m%d}"
    if kind == "trade":
        files = {
            f"{name}_业务明细.csv": _trade_rows(seller_id, day, paid, refunded),
            f"{name}_业务明细(汇总).csv": _trade_sums(seller_id, day, paid, refunded),
        }
    else:
        files = {
            f"{name}_账务明细.csv": _account_rows(
                seller_id, day, balance(state, seller_id, begin), paid, refunded, transferred, withdrawn
            )
        }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as bundle:
        for file_name, lines in files.items():
            entry = _GbkName(file_name, (day.year, day.month, day.day, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            bundle.writestr(entry, "".join(f"{line}\r\n" for line in lines).encode("gbk", "replace"))
    return packed.getvalue()


class _GbkName(zipfile.ZipInfo):
    """An entry whose name is written in GBK without saying so, as Alipay's are."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802 (the name is the library's)
        return self.filename.encode("gbk"), self.flag_bits & ~0x800


def _preamble(title: str, seller_id: str, day: date) -> list[str]:
    return [
        f"#支付宝{title}查询",
        f"#账号：[{seller_id}0156]",
        f"#起始日期：[{day:%Y年%m月%d日} 00:00:00]   终止日期：[{day + timedelta(days=1):%Y年%m月%d日} 00:00:00]",
        f"#{_RULE}{title}列表{_RULE}",
    ]


def _row(*cells: str) -> str:
    """Cells end in a tab, so that a spreadsheet keeps long numbers; a comma inside would break the columns."""
    return ",".join(f"{cell.replace(',', '，')}\t" for cell in cells)


def _trade_rows(seller_id: str, day: date, paid: list[sqlite3.Row], refunded: list[sqlite3.Row]) -> list[str]:
    lines = [*_preamble("业务明细", seller_id, day), _TRADE_HEAD]
    lines += [
        _trade_row(each, "交易", each["paid_at"], each["total_fen"], "", -each["fee_fen"]) for each in paid
    ]
    lines += [
        _trade_row(
            each, "退款", each["refunded_at"], -each["fen"], each["out_request_no"], each["fee_back_fen"]
        )
        for each in refunded
    ]
    received, returned = sum(each["total_fen"] for each in paid), sum(each["fen"] for each in refunded)
    return [
        *lines,
        f"#{_RULE}业务明细列表结束{_RULE}",
        f"#交易合计：{len(paid)}笔，商家实收共{yuan(received)}元，商家优惠共0.00元",
        f"#退款合计：{len(refunded)}笔，商家实收退款共{yuan(-returned)}元，商家优惠退款共0.00元",
        f"#导出时间：[{beijing(stamp(clock.now()))}]",
    ]


def _trade_row(each: sqlite3.Row, kind: str, done_at: str, fen: int, request_no: str, fee_fen: int) -> str:
    amount, nothing = yuan(fen), "0.00"
    return _row(
        each["trade_no"], each["out_trade_no"], kind, each["subject"], beijing(each["created_at"]), beijing(done_at),
        "", "", "", "", f"**买({BUYER_LOGON_ID})", amount, amount, nothing, nothing, nothing, nothing, nothing, "", nothing, nothing,
        request_no, yuan(fee_fen), nothing, "",
    )  # fmt: skip


def _trade_sums(seller_id: str, day: date, paid: list[sqlite3.Row], refunded: list[sqlite3.Row]) -> list[str]:
    received = sum(each["total_fen"] for each in paid) - sum(each["fen"] for each in refunded)
    fees = sum(each["fee_back_fen"] for each in refunded) - sum(each["fee_fen"] for each in paid)
    cells = ("合计", "", str(len(paid)), str(len(refunded)), yuan(received), yuan(received), "0.00", "0.00", "0.00", yuan(fees),
             "0.00", yuan(received + fees))  # fmt: skip
    return [
        *_preamble("业务汇总", seller_id, day),
        "门店编号,门店名称,交易订单总笔数,退款订单总笔数,订单金额（元）,商家实收（元）,支付宝优惠（元）,商家优惠（元）,卡消费金额（元）,服务费（元）,分润（元）,实收净额（元）",
        _row(*cells),
        f"#{_RULE}业务汇总列表结束{_RULE}",
    ]


def _account_rows(
    seller_id: str, day: date, left: int, paid: list[sqlite3.Row], refunded: list[sqlite3.Row], transferred: list[sqlite3.Row],
    withdrawn: list[sqlite3.Row],
) -> list[str]:  # fmt: skip
    moves: list[tuple[str, tuple[str, str, str], str, int]] = []
    for each in paid:
        named = each["trade_no"], each["out_trade_no"], each["subject"]
        moves.append((each["paid_at"], named, "在线支付", each["total_fen"]))
        if each["fee_fen"]:
            moves.append((each["paid_at"], named, "收费", -each["fee_fen"]))
    for each in refunded:
        named = each["trade_no"], each["out_trade_no"], each["subject"]
        moves.append((each["refunded_at"], named, "交易退款", -each["fen"]))
        if each["fee_back_fen"]:
            moves.append((each["refunded_at"], named, "退费", each["fee_back_fen"]))
    moves += [
        (each["at"], (each["order_id"], each["out_biz_no"], each["title"]), "转账", each["moved"]) for each in transferred
    ]
    moves += [(each["at"], (each["order_id"], "", each["title"]), each["kind"], each["moved"]) for each in withdrawn]
    lines = [*_preamble("账务明细", seller_id, day), _ACCOUNT_HEAD]
    for number, (at, named, kind, fen) in enumerate(sorted(moves, key=lambda move: move[0]), 1):
        left += fen
        lines.append(
            _row(
                f"{day:%Y%m%d}{seller_id[-6:]}{number:08d}",
                *named,
                beijing(at),
                f"**买({BUYER_LOGON_ID})",
                yuan(fen) if fen > 0 else "0.00",
                yuan(fen) if fen < 0 else "0.00",
                yuan(left),
                "支付宝",
                kind,
                "",
            )
        )
    income, outgo = sum(m[3] for m in moves if m[3] > 0), sum(m[3] for m in moves if m[3] < 0)
    return [
        *lines,
        f"#{_RULE}账务明细列表结束{_RULE}",
        f"#支出合计：{sum(m[3] < 0 for m in moves)}笔，共{yuan(outgo)}元",
        f"#收入合计：{sum(m[3] > 0 for m in moves)}笔，共{yuan(income)}元",
        f"#导出时间：[{beijing(stamp(clock.now()))}]",
    ]


def balance(state: State, seller_id: str, until: datetime) -> int:
    """What a seller had at a moment, in fen: paid less refunded, fees, transfers and withdrawals off."""
    got = state.row(
        "SELECT coalesce(sum(total_fen - fee_fen), 0) AS fen FROM trade WHERE seller_id = ? AND paid_at <> '' AND paid_at < ?",
        seller_id, stamp(until),
    )  # fmt: skip
    gave = state.row(
        "SELECT coalesce(sum(r.fen - r.fee_back_fen), 0) AS fen FROM refund r JOIN trade t USING (app_id, out_trade_no)"
        " WHERE t.seller_id = ? AND r.refunded_at < ?",
        seller_id, stamp(until),
    )  # fmt: skip
    sent = state.row(
        "SELECT coalesce(sum(CASE WHEN status = 'REFUND' AND ended_at < ? THEN 0 ELSE fen END), 0) AS fen FROM transfer"
        " WHERE seller_id = ? AND sent_at < ? AND status IN ('SUCCESS', 'REFUND')",
        stamp(until), seller_id, stamp(until),
    )  # fmt: skip
    took = state.row(
        "SELECT coalesce(sum(CASE WHEN back_at <> '' AND back_at < ? THEN 0 ELSE fen END), 0) AS fen FROM withdrawal WHERE seller_id = ? AND sent_at < ?",
        stamp(until), seller_id, stamp(until),
    )  # fmt: skip
    assert got is not None and gave is not None and sent is not None and took is not None
    return int(got["fen"]) - int(gave["fen"]) - int(sent["fen"]) - int(took["fen"])
