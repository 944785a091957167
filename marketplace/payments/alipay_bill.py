"""Reading a trade bill: a zip from outside, so nothing in it is trusted before it adds up to its own totals."""

import csv
import hashlib
import io
import re
import zipfile
import zlib
from datetime import date

from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.payments.alipay_outcome import Bill, BillRow, fen_of, moment_of

MOST_MEMBERS = 8
MOST_BYTES = 256 * 1024 * 1024
_KINDS = {"交易": "trade", "退款": "refund"}
_TRADES = re.compile(r"#交易合计：([0-9]+)笔，商家实收共([0-9.]+)元")
_REFUNDS = re.compile(r"#退款合计：([0-9]+)笔，商家实收退款共-?([0-9.]+)元")


class BadBill(InvalidInput):
    """A bill that cannot be believed; ``reason`` in data says why."""

    def __init__(self, reason: str) -> None:
        super().__init__("alipay.bad_bill", N_("支付宝账单无法采用：%(reason)s"), reason=reason)


def read_bill(packed: bytes, *, day: date, seller_id: str) -> Bill:
    """The trade bill of ``seller_id`` and Beijing ``day`` in a downloaded zip. Raises BadBill."""
    text = detail(packed, "_业务明细.csv")
    if f"#账号：[{seller_id}" not in text or f"起始日期：[{day:%Y年%m月%d日} 00:00:00]" not in text:
        raise BadBill("other_bill")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    rows = [_row(cells) for cells in csv.DictReader(lines)]
    for kind, pattern in (("trade", _TRADES), ("refund", _REFUNDS)):
        said = pattern.search(text)
        if said is None:
            raise BadBill("no_totals")
        fens = [abs(row.fen) for row in rows if row.kind == kind]
        if (int(said[1]), fen_of(said[2])) != (len(fens), sum(fens)):
            raise BadBill("totals")
    return Bill(day, seller_id, tuple(rows), hashlib.sha256(packed).hexdigest())


def detail(packed: bytes, ending: str) -> str:
    """The text of the one file of a zip whose name ends so. Raises BadBill."""
    try:
        with zipfile.ZipFile(io.BytesIO(packed), metadata_encoding="gbk") as bundle:
            members = bundle.infolist()
            if len(members) > MOST_MEMBERS or sum(each.file_size for each in members) > MOST_BYTES:
                raise BadBill("too_long")
            if any("/" in each.filename or "\\" in each.filename for each in members):
                raise BadBill("path")
            details = [each for each in members if each.filename.endswith(ending)]
            if len(details) != 1:
                raise BadBill("members")
            with bundle.open(details[0]) as member:
                # The directory of a zip may lie about sizes: what is read is capped, not what is announced.
                read = member.read(MOST_BYTES + 1)
            if len(read) > MOST_BYTES:
                raise BadBill("too_long")
            return read.decode("gb18030")
    except (
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
    ) as error:
        raise BadBill("zip") from error


def _row(raw: dict[str, str | None]) -> BillRow:
    # Cells end in a tab. Cells beyond the head stand under the name None, missing ones hold None: neither is a row.
    if None in raw or None in raw.values():
        raise BadBill("row")
    cells = {name.strip(): (value or "").strip() for name, value in raw.items()}
    kind = _KINDS.get(cells.get("业务类型", ""))
    fen, fee_fen = _signed(cells.get("商家实收（元）", "")), _signed(cells.get("服务费（元）", ""))
    finished_at = moment_of(cells.get("完成时间"))
    if (
        kind is None
        or fen is None
        or fee_fen is None
        or finished_at is None
        or (fen < 0) != (kind == "refund")
    ):
        raise BadBill("row")
    number = cells.get("退款批次号/请求号", "")
    if not cells.get("支付宝交易号") or not cells.get("商户订单号") or (kind == "refund" and not number):
        raise BadBill("row")
    return BillRow(
        kind="refund" if kind == "refund" else "trade",
        trade_no=cells["支付宝交易号"],
        out_trade_no=cells["商户订单号"],
        out_request_no=number,
        fen=fen,
        fee_fen=fee_fen,
        finished_at=finished_at,
    )


def _signed(text: str) -> int | None:
    fen = fen_of(text.removeprefix("-"))
    return fen if fen is None or not text.startswith("-") else -fen
