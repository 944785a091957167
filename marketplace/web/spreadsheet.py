"""Tables to and from Excel: lists that people take with them, and rows that they bring.

Text is always written as text, so that nothing typed by a stranger becomes a formula; what is brought is read without being trusted.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from io import SEEK_END
from tempfile import SpooledTemporaryFile
from typing import IO, Any
from urllib.parse import quote

import xlsxwriter
from flask import Response
from sqlalchemy import Select
from werkzeug.datastructures import FileStorage

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.language import gettext as _
from marketplace.foundation.sheet import first_sheet, text_of

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MOST_ROWS = 1_048_576 - 1  # of a download: what an Excel sheet holds below its heading
KEPT_IN_MEMORY = 1024 * 1024  # bytes of a workbook; a larger one lies in a file until it is sent
LARGEST, MOST_BROUGHT = 2 * 1024 * 1024, 1000
# How a column is written: fen as yuan, basis points as percent, grams as they are, days of Beijing.
FORMATS = {"fen": "#,##0.00", "whole": "#,##0", "bp": "0.00%", "day": "yyyy-mm-dd", "moment": "yyyy-mm-dd hh:mm"}


def download(name: str, columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[Any]]) -> Response:
    """A workbook of one sheet called ``name``. Columns are (heading, kind); kinds are ``text`` and those of FORMATS.

    Rows are written as they come and never held. What a sheet cannot hold is left out, and both its last line and the file's
    name say how many of how many it has: nobody adds up a part and takes it for all.
    """
    out = SpooledTemporaryFile(max_size=KEPT_IN_MEMORY)  # noqa: SIM115 - closed when it was sent
    book = xlsxwriter.Workbook(out, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    sheet = book.add_worksheet()
    bold = book.add_format({"bold": True, "bottom": 1})
    formats = {kind: book.add_format({"num_format": form}) for kind, form in FORMATS.items()}
    for at, (heading, kind) in enumerate(columns):
        sheet.set_column(at, at, 28 if kind == "text" else 16)
        sheet.write_string(0, at, heading, bold)
    sheet.freeze_panes(1, 0)
    number, last = 0, None
    for number, row in enumerate(rows, 1):
        if number < MOST_ROWS:
            _write_row(sheet, number, columns, row, formats)
        elif number == MOST_ROWS:
            last = row  # whether it or the words about the others go into the last line shows when there is one more
    if last is not None and number == MOST_ROWS:
        _write_row(sheet, number, columns, last, formats)
    elif number > MOST_ROWS:
        sheet.write_string(MOST_ROWS, 0, _("没有列全：一张表放不下，这里是 %(all)s 行中的前 %(shown)s 行。请筛选后分几次导出。", all=f"{number:,}", shown=f"{MOST_ROWS - 1:,}"), bold)
        name = _("%(name)s（前 %(shown)s 行，共 %(all)s 行）", name=name, shown=MOST_ROWS - 1, all=number)
    book.close()
    size = out.seek(0, SEEK_END)
    out.seek(0)
    response = Response(sent(out), content_type=MEDIA_TYPE)
    response.call_on_close(out.close)
    response.content_length = size
    response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name)}.xlsx"
    response.headers["Cache-Control"] = "private, no-store"
    return response


def streamed(query: Select[*tuple[Any, ...]]) -> Iterator[Any]:
    """The rows of a query for a download, a thousand at a time: never all of them in memory."""
    return iter(db.session.execute(query, execution_options={"yield_per": 1000}))


def sent(file: IO[bytes]) -> Iterator[bytes]:
    """What lies in a file, a piece at a time, and the file closed."""
    with file:
        yield from iter(lambda: file.read(64 * 1024), b"")


def _write_row(sheet: Any, number: int, columns: Sequence[tuple[str, str]], row: Sequence[Any], formats: Mapping[str, Any]) -> None:
    for at, ((_heading, kind), value) in enumerate(zip(columns, row, strict=True)):
        _write(sheet, number, at, kind, value, formats)


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
