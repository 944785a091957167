"""The bank's two files: the batch that we give (GB18030 CSV) and the results that it gives back.

What leaves is safe to open in a spreadsheet; what comes back is checked line by line, and every error is named before anything changes.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.language import gettext as _
from marketplace.foundation.money import parse_yuan

ENCODING = "gb18030"
LARGEST = 16 * 1024 * 1024  # a results file; a line is some forty bytes
AT_ONCE = 2_000  # lines written in one piece
HEADER = ("序号", "姓名", "身份证号", "开户行", "账号", "金额（元）", "用途", "乡镇", "村")
RESULT_HEADER = ("number", "sequence", "amount", "result", "reason")
OUTCOMES = {
    "paid": "paid", "成功": "paid", "已付": "paid",
    "returned": "returned", "退票": "returned", "失败": "returned",
    "refused": "refused", "拒付": "refused",
}  # fmt: skip
Expected = Callable[[int], int | None]
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
    return b"".join(chunks(rows))


def chunks(rows: Iterable[Row]) -> Iterator[bytes]:
    """The same in pieces of so many lines."""
    each = chain([HEADER], map(_cells, rows))
    while some := list(islice(each, AT_ONCE)):
        out = io.StringIO(newline="")
        csv.writer(out).writerows(some)
        yield out.getvalue().encode(ENCODING)


def _cells(row: Row) -> tuple[object, ...]:
    texts = (row.name, row.id_number, row.bank, row.account)
    return (row.sequence, *map(safe, texts), yuan(row.fen), *map(safe, (row.purpose, row.township, row.village)))


def read_results(content: bytes, *, number: str, expected: Expected) -> list[Result]:
    """The results in a file of number, sequence, amount (yuan), result, reason; UTF-8 or GB18030.

    ``expected``: fen as sent of a sequence, None for one that was not. Raises InvalidInput ``results.bad`` with all errors of all lines in ``errors``: another
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
            errors.append(f"{line}: {_('第 %(sequence)s 笔出现了两次', sequence=found.sequence)}")
        else:
            results[found.sequence] = found
    if not rows:
        errors.append(_("文件里一笔结果也没有"))
    if errors:
        raise _bad(errors)
    return list(results.values())


def _result(cells: list[str], number: str, expected: Expected) -> Result | str:
    if len(cells) != len(RESULT_HEADER):
        return _("有 %(n)s 栏，应为 %(wanted)s 栏", n=len(cells), wanted=len(RESULT_HEADER))
    its_number, sequence, amount, result, reason = cells
    if its_number != number:
        return _("批号 %(its)s 不是这一批 %(number)s", its=its_number[:40], number=number)
    sent_fen = expected(int(sequence)) if sequence.isascii() and sequence.isdigit() and len(sequence) < 10 else None
    if sent_fen is None:
        return _("序号 %(sequence)s 不在这一批里", sequence=sequence[:20])
    try:
        fen = parse_yuan(amount)
    except ValueError:
        return _("金额 %(amount)s 读不出来", amount=amount[:20])
    if fen != sent_fen:
        return _("金额 %(amount)s 和发出的 %(sent)s 不同", amount=amount[:20], sent=yuan(sent_fen))
    outcome = OUTCOMES.get(result.lower())
    if outcome is None:
        return _("结果 %(result)s 不认识", result=result[:20])
    if outcome != "paid" and not reason:
        return _("退票或拒付没有写原因")
    return Result(int(sequence), fen, outcome, reason[:120])


def _rows(content: bytes) -> list[tuple[int, list[str]]]:
    if len(content) > LARGEST:
        raise InvalidInput("results.large", N_("回盘文件超过 %(limit)s MB，不像是这一批的结果。"), field="file", limit=LARGEST // 1024 // 1024)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = content.decode(ENCODING)
        except UnicodeDecodeError:
            raise _bad([_("既不是 UTF-8 也不是 GB18030 文字")]) from None
    try:
        rows = [[cell.strip() for cell in cells] for cells in csv.reader(io.StringIO(text, newline=""), strict=True)]
    except csv.Error as error:
        raise _bad([_("不是 CSV 表格：%(error)s", error=error)]) from None
    if not rows or [cell.lower() for cell in rows[0]] != list(RESULT_HEADER):
        raise _bad([f"1: {_('表头应为 %(heading)s', heading=','.join(RESULT_HEADER))}"])
    return [(line, cells) for line, cells in enumerate(rows[1:], start=2) if any(cells)]


def _bad(errors: list[str]) -> InvalidInput:
    return InvalidInput(
        "results.bad",
        N_("回盘文件有 %(count)s 处不对，一行也没有导入：%(list)s"),
        field="file", count=len(errors), errors=errors, list="; ".join(errors[:20]),
    )  # fmt: skip
