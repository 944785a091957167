"""A results file as lines of cells, whichever way the bank writes it: CSV, bars or tabs in UTF-8 or GB18030, or an Excel workbook."""

import csv
import io
from collections.abc import Iterator

from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.language import gettext as _
from marketplace.foundation.sheet import FARTHEST, first_sheet, text_of
from marketplace.settlement.payout_file import bare

LARGEST = 16 * 1024 * 1024  # a line is some forty bytes
_WORKBOOK = b"PK\x03\x04"
Line = tuple[int, list[str]]  # its number in the file, from 1, and its cells


def lines(content: bytes) -> Iterator[Line]:
    """Every line of the file. InvalidInput (field ``file``): ``results.large``, ``results.bad``, and as ``first_sheet``."""
    must_not_be_large(content)
    if not content.strip():
        raise _bad(_("文件是空的"))
    if content.startswith(_WORKBOOK):
        return ((number, [bare(text_of(cell)) for cell in row]) for number, row in enumerate(first_sheet(content), 1))
    return _of_text(_decoded(content))


def must_not_be_large(content: bytes) -> None:
    """Raise InvalidInput ``results.large`` (field ``file``) for more than LARGEST."""
    if len(content) > LARGEST:
        raise InvalidInput("results.large", N_("回盘文件超过 %(limit)s MB，不像是这一批的结果。"), field="file", limit=LARGEST // 1024 // 1024)


def number_of(content: bytes, in_workbook: int = FARTHEST[1]) -> int:
    """About how many lines there are, without reading them. A workbook is packed: it is taken to have ``in_workbook``, at most as many as one may."""
    if content.startswith(_WORKBOOK):
        return min(in_workbook, FARTHEST[1])
    return max(content.count(b"\n"), content.count(b"\r")) + 1


def _decoded(content: bytes) -> str:
    # The old .xls too is a folder of binary parts, and some of them would pass as Chinese; a picture begins with zeros.
    for encoding in ("utf-8-sig", "gb18030") if not content.startswith(b"\xd0\xcf\x11\xe0") and b"\0" not in content[:16] else ():
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise _bad(_("既不是 UTF-8 也不是 GB18030 文字"))


def _of_text(text: str) -> Iterator[Line]:
    head = text[:4096]
    delimiter = max(",|\t;", key=head.count)
    try:
        if delimiter != ",":
            yield from ((number, [bare(cell) for cell in line.split(delimiter)]) for number, line in enumerate(text.splitlines(), 1))
        else:
            yield from ((number, [bare(cell) for cell in cells]) for number, cells in enumerate(csv.reader(io.StringIO(text, newline=""), strict=True), 1))
    except csv.Error as error:
        raise _bad(_("不是 CSV 表格：%(error)s", error=error)) from None


def _bad(reason: str) -> InvalidInput:
    return InvalidInput("results.bad", N_("回盘文件有 %(count)s 处不对，一行也没有导入：%(list)s"), field="file", count=1, errors=[reason], list=reason)
