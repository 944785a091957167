"""A bank's file as lines of cells, whichever way the bank writes it: CSV or tabs in UTF-8 or GB18030, or an Excel workbook."""

import csv
import io
from itertools import islice

from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.sheet import first_sheet, text_of

LARGEST = 5 * 1024 * 1024
MOST_LINES = 20_000
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

Line = tuple[int, list[str]]  # its number in the file, from 1, and its cells


def lines(content: bytes) -> list[Line]:
    """Every line of the file. InvalidInput (field ``file``): ``statement.empty``, ``statement.large``, ``statement.encoding``, and as ``first_sheet``."""
    if not content.strip():
        raise InvalidInput("statement.empty", N_("文件是空的。"), field="file")
    if len(content) > LARGEST:
        raise InvalidInput("statement.large", N_("文件超过 %(limit)s MB。请分月导出再传。"), field="file", limit=LARGEST // 1024 // 1024)
    found = _of_workbook(content) if content.startswith(b"PK\x03\x04") else _of_text(_decoded(content))
    if len(found) > MOST_LINES:
        raise InvalidInput("statement.large", N_("文件超过 %(limit)s 行。请分月导出再传。"), field="file", limit=MOST_LINES)
    return found


def media_type(content: bytes) -> str:
    """What the file is called when it is handed out again."""
    return XLSX if content.startswith(b"PK\x03\x04") else "text/csv"


def _of_workbook(content: bytes) -> list[Line]:
    return [(number, [_plain(text_of(cell)) for cell in row]) for number, row in enumerate(first_sheet(content), 1)]


def _decoded(content: bytes) -> str:
    # The old .xls too is a folder of binary parts, and some of them would pass as Chinese.
    for encoding in ("utf-8-sig", "gb18030") if not content.startswith(b"\xd0\xcf\x11\xe0") else ():
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text:
            return text
    raise InvalidInput("statement.encoding", N_("这个文件读不出来。请从网银下载 CSV 或另存为 .xlsx 再传。"), field="file")


def _of_text(text: str) -> list[Line]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if text.count("\t") > text.count(",") else ",")
    try:
        # One more than may be: a file of nothing but ends of lines would be millions of lists.
        return [(reader.line_num, [_plain(cell) for cell in cells]) for cells in islice(reader, MOST_LINES + 1)]
    except csv.Error as error:
        raise InvalidInput("statement.encoding", N_("这个文件读不出来。请从网银下载 CSV 或另存为 .xlsx 再传。"), field="file") from error


def _plain(cell: str) -> str:
    """Banks add a tab or an apostrophe to long numbers, so that spreadsheets leave them alone."""
    return cell.strip().strip("\t'＇").strip()
