"""The bank's two files: the batch that we give (GB18030 CSV) and the results that it gives back.

What leaves is safe to open in a spreadsheet; what comes back is checked line by line, and every error is named before anything changes.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.money import parse_yuan

ENCODING = "gb18030"
HEADER = ("序号", "姓名", "身份证号", "开户行", "账号", "金额（元）", "用途", "乡镇", "村")
RESULT_HEADER = ("number", "sequence", "amount", "result", "reason")
OUTCOMES = {
    "paid": "paid", "成功": "paid", "已付": "paid",
    "returned": "returned", "退票": "returned", "失败": "returned",
    "refused": "refused", "拒付": "refused",
}  # fmt: skip
_RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@dataclass(frozen=True)
class Row:
    """One payment as the bank gets it; amount in fen."""

    sequence: int
    name: str
    id_number: str
    bank: str
    account: str
    fen: int
    purpose: str
    township: str
    village: str


@dataclass(frozen=True)
class Result:
    """The bank's word on one item. ``outcome``: paid, returned (credited back after the debit) or refused (never debited)."""

    sequence: int
    fen: int
    outcome: str
    reason: str


def yuan(fen: int) -> str:
    """``2240`` fen as ``22.40``: no grouping, as banks read it."""
    return f"{fen // 100}.{fen % 100:02d}"


def safe(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(_RISKY) else cell


def write(rows: Iterable[Row]) -> bytes:
    """The batch file: GB18030, comma separated, CRLF, a heading line, amounts in yuan."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(HEADER)
    for row in rows:
        texts = (row.name, row.id_number, row.bank, row.account)
        places = (row.purpose, row.township, row.village)
        writer.writerow([row.sequence, *map(safe, texts), yuan(row.fen), *map(safe, places)])
    return out.getvalue().encode(ENCODING)


def read_results(content: bytes, *, number: str, expected: Mapping[int, int]) -> list[Result]:
    """The results in a file of number, sequence, amount (yuan), result, reason; UTF-8 or GB18030.

    ``expected``: sequence → fen as sent. Raises InvalidInput ``results.bad`` with all errors of all lines in ``errors``: another
    batch's number, an unknown or repeated sequence, an amount other than was sent, an unknown result, a return without a reason.
    """
    rows = _rows(content)
    errors: list[str] = []
    results: dict[int, Result] = {}
    for line, cells in rows:
        found = _result(cells, number, expected)
        if isinstance(found, str):
            errors.append(f"{line}: {found}")
        elif found.sequence in results:
            errors.append(f"{line}: sequence {found.sequence} twice")
        else:
            results[found.sequence] = found
    if not rows:
        errors.append("no lines")
    if errors:
        raise _bad(errors)
    return list(results.values())


def _result(cells: list[str], number: str, expected: Mapping[int, int]) -> Result | str:
    if len(cells) != len(RESULT_HEADER):
        return f"{len(cells)} columns instead of {len(RESULT_HEADER)}"
    its_number, sequence, amount, result, reason = cells
    if its_number != number:
        return f"number {its_number[:40]!r} is not {number}"
    if not (sequence.isascii() and sequence.isdigit()) or int(sequence) not in expected:
        return f"sequence {sequence[:20]!r} is not in this batch"
    try:
        fen = parse_yuan(amount)
    except ValueError:
        return f"amount {amount[:20]!r} is not yuan"
    if fen != expected[int(sequence)]:
        return f"amount {amount[:20]} is not {yuan(expected[int(sequence)])}"
    outcome = OUTCOMES.get(result.lower())
    if outcome is None:
        return f"result {result[:20]!r} is unknown"
    if outcome != "paid" and not reason:
        return "no reason given"
    return Result(int(sequence), fen, outcome, reason[:120])


def _rows(content: bytes) -> list[tuple[int, list[str]]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = content.decode(ENCODING)
        except UnicodeDecodeError:
            raise _bad(["neither UTF-8 nor GB18030"]) from None
    try:
        rows = [[cell.strip() for cell in cells] for cells in csv.reader(io.StringIO(text, newline=""), strict=True)]
    except csv.Error as error:
        raise _bad([f"not CSV: {error}"]) from None
    if not rows or [cell.lower() for cell in rows[0]] != list(RESULT_HEADER):
        raise _bad([f"1: the heading must be {','.join(RESULT_HEADER)}"])
    return [(line, cells) for line, cells in enumerate(rows[1:], start=2) if any(cells)]


def _bad(errors: list[str]) -> InvalidInput:
    return InvalidInput(
        "results.bad",
        N_("回盘文件有 %(count)s 处不对，一行也没有导入：%(list)s"),
        field="file", count=len(errors), errors=errors, list="; ".join(errors[:20]),
    )  # fmt: skip
