"""Tables to and from Excel: lists that people take with them, and rows that they bring.

Text is always written as text, so that nothing typed by a stranger becomes a formula; what is brought is read without being trusted.
"""

import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from io import BytesIO
from typing import Any
from urllib.parse import quote

import xlsxwriter
from flask import Response
from python_calamine import CalamineError, CalamineWorkbook
from werkzeug.datastructures import FileStorage

from marketplace.foundation import clock
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MOST_ROWS = 50_000  # of a download
LARGEST, UNPACKED, MOST_BROUGHT = 2 * 1024 * 1024, 40 * 1024 * 1024, 1000
FARTHEST = (200, 20_000)  # column and row of the last cell that is read
_PLACE = re.compile(rb"""\sr=["']([A-Z]{0,7})(\d{1,12})["']""")
# How a column is written: fen as yuan, basis points as percent, grams as they are, days of Beijing.
FORMATS = {"fen": "#,##0.00", "whole": "#,##0", "bp": "0.00%", "day": "yyyy-mm-dd", "moment": "yyyy-mm-dd hh:mm"}


def download(name: str, columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[Any]]) -> Response:
    """A workbook of one sheet called ``name``. Columns are (heading, kind); kinds are ``text`` and those of FORMATS."""
    out = BytesIO()
    book = xlsxwriter.Workbook(out, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    sheet = book.add_worksheet()
    bold = book.add_format({"bold": True, "bottom": 1})
    formats = {kind: book.add_format({"num_format": form}) for kind, form in FORMATS.items()}
    for at, (heading, kind) in enumerate(columns):
        sheet.set_column(at, at, 28 if kind == "text" else 16)
        sheet.write_string(0, at, heading, bold)
    sheet.freeze_panes(1, 0)
    for number, row in enumerate(rows, 1):
        if number > MOST_ROWS:
            break
        for at, ((_, kind), value) in enumerate(zip(columns, row, strict=True)):
            _write(sheet, number, at, kind, value, formats)
    book.close()
    response = Response(out.getvalue(), content_type=MEDIA_TYPE)
    response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name)}.xlsx"
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _write(sheet: Any, row: int, at: int, kind: str, value: Any, formats: Mapping[str, Any]) -> None:
    if value is None or value == "":
        return
    if kind == "text":
        sheet.write_string(row, at, str(value))
    elif kind in ("day", "moment"):
        local = value.astimezone(clock.BEIJING).replace(tzinfo=None) if isinstance(value, datetime) else value
        sheet.write_datetime(row, at, local, formats[kind])
    else:
        sheet.write_number(row, at, value / {"fen": 100, "bp": 10_000}.get(kind, 1), formats[kind])


def brought(sent: FileStorage | None, headings: Mapping[str, Sequence[str]]) -> list[tuple[int, dict[str, str]]]:
    """The rows of the first sheet as (line number, text by name), empty lines left out.

    ``headings`` gives the words that each column may be headed by. Raises InvalidInput (field ``file``): ``file.missing``,
    ``file.large``, ``file.unreadable``, ``file.columns``, ``file.empty``, ``file.rows`` (more than MOST_BROUGHT).
    """
    if sent is None or not sent.filename:
        raise InvalidInput("file.missing", N_("请选择一个 Excel 文件（.xlsx）。"), field="file")
    with sent.stream:  # a large one lies in a file of its own
        content = sent.stream.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise InvalidInput("file.large", N_("文件超过 %(limit)s MB，请分成几份再传。"), field="file", limit=LARGEST // 1024 // 1024)
    table = _first_sheet(content)
    wanted = {word.lower(): name for name, words in headings.items() for word in words}
    top = next((n for n, row in enumerate(table[:20]) if sum(_text(cell).lower() in wanted for cell in row) >= 2), None)
    found = {} if top is None else {at: wanted[_text(cell).lower()] for at, cell in enumerate(table[top]) if _text(cell).lower() in wanted}
    missing = [words[0] for name, words in headings.items() if name not in found.values()]
    if top is None or missing:
        raise InvalidInput("file.columns", N_("表头里缺少：%(missing)s。请用下载的模板填写。"), field="file", missing="、".join(missing))
    rows = [(n, {name: _text(row[at]) for at, name in found.items() if at < len(row)}) for n, row in enumerate(table[top + 1 :], top + 2)]
    rows = [(n, {**dict.fromkeys(headings, ""), **row}) for n, row in rows if any(row.values())]
    if not rows:
        raise InvalidInput("file.empty", N_("表里没有数据行。"), field="file")
    if len(rows) > MOST_BROUGHT:
        raise InvalidInput("file.rows", N_("一次最多 %(limit)s 行，请分成几份再传。"), field="file", limit=MOST_BROUGHT)
    return rows


def _first_sheet(content: bytes) -> list[list[Any]]:
    unreadable = InvalidInput("file.unreadable", N_("这个文件读不出来。请另存为 .xlsx 后再传。"), field="file")
    try:
        with zipfile.ZipFile(BytesIO(content)) as packed:
            if sum(part.file_size for part in packed.infolist()) > UNPACKED or "xl/workbook.xml" not in packed.namelist():
                raise unreadable
            # The reader makes room for every cell up to the last one: a stray one far away would ask for all the memory there is.
            # Read here, each part is held to the size that its directory tells, or its sum does not fit.
            if any(_reaches_far(packed.read(part)) for part in packed.namelist() if part.startswith("xl/worksheets/")):
                raise InvalidInput("file.far", N_("表里有一格离得太远（第 %(rows)s 行或第 %(columns)s 列以外）。请删掉空行空列后再传。"), field="file", rows=FARTHEST[1], columns=FARTHEST[0])
        return CalamineWorkbook.from_filelike(BytesIO(content)).get_sheet_by_index(0).to_python()
    except (zipfile.BadZipFile, CalamineError, OSError, ValueError, IndexError) as error:
        raise unreadable from error


def _reaches_far(sheet: bytes) -> bool:
    """Whether a cell or a row of a sheet's XML lies beyond FARTHEST."""
    for letters, row in _PLACE.findall(sheet):
        column = 0
        for letter in letters:
            column = column * 26 + letter - 64
        if column > FARTHEST[0] or int(row) > FARTHEST[1]:
            return True
    return False


def _text(cell: Any) -> str:
    """A cell as somebody would have typed it: whole numbers without a point, days as 2026-11-23."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%d}"
    if isinstance(cell, date):
        return cell.isoformat()
    return str(cell).strip()[:300]
