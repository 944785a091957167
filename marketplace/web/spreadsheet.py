"""Tables to and from Excel: lists that people take with them, and rows that they bring.

Text is always written as text, so that nothing typed by a stranger becomes a formula; what is brought is read without being trusted.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from io import BytesIO
from typing import Any
from urllib.parse import quote

import xlsxwriter
from flask import Response
from werkzeug.datastructures import FileStorage

from marketplace.foundation import clock
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.sheet import first_sheet, text_of

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MOST_ROWS = 50_000  # of a download
LARGEST, MOST_BROUGHT = 2 * 1024 * 1024, 1000
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
    table = first_sheet(content)
    wanted = {word.lower(): name for name, words in headings.items() for word in words}
    top = next((n for n, row in enumerate(table[:20]) if sum(text_of(cell).lower() in wanted for cell in row) >= 2), None)
    found = {} if top is None else {at: wanted[text_of(cell).lower()] for at, cell in enumerate(table[top]) if text_of(cell).lower() in wanted}
    missing = [words[0] for name, words in headings.items() if name not in found.values()]
    if top is None or missing:
        raise InvalidInput("file.columns", N_("表头里缺少：%(missing)s。请用下载的模板填写。"), field="file", missing="、".join(missing))
    rows = [(n, {name: text_of(row[at]) for at, name in found.items() if at < len(row)}) for n, row in enumerate(table[top + 1 :], top + 2)]
    rows = [(n, {**dict.fromkeys(headings, ""), **row}) for n, row in rows if any(row.values())]
    if not rows:
        raise InvalidInput("file.empty", N_("表里没有数据行。"), field="file")
    if len(rows) > MOST_BROUGHT:
        raise InvalidInput("file.rows", N_("一次最多 %(limit)s 行，请分成几份再传。"), field="file", limit=MOST_BROUGHT)
    return rows
