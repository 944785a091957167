"""An Excel file of a list, as a download: one sheet, its title and its date on top, money in yuan as numbers and not as text."""

import io
from collections.abc import Iterable, Sequence
from typing import Any

from flask import Response, make_response

from marketplace.foundation import clock
from marketplace.foundation.language import gettext as _

EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# (label, kind): text, fen (written in yuan), bp (written as a percentage), number, day
Column = tuple[str, str]


def workbook(title: str, columns: Sequence[Column], rows: Iterable[Sequence[Any]], *, name: str, note: str = "") -> Response:
    """The download. ``rows`` hold one value a column; None stays empty. A cell that looks like a formula is written as text."""
    import xlsxwriter

    held = io.BytesIO()
    book = xlsxwriter.Workbook(held, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False})
    sheet = book.add_worksheet(_("数据"))
    strong, plain = book.add_format({"bold": True, "bottom": 1}), book.add_format({})
    formats = {
        "fen": book.add_format({"num_format": "#,##0.00"}), "bp": book.add_format({"num_format": "0.00%"}),
        "day": book.add_format({"num_format": "yyyy-mm-dd"}), "number": book.add_format({"num_format": "#,##0"}),
    }  # fmt: skip
    sheet.write_string(0, 0, title, book.add_format({"bold": True, "font_size": 14}))
    sheet.write_string(1, 0, _("导出于 %(day)s", day=f"{clock.business_date():%Y-%m-%d}") + (f" · {note}" if note else ""))
    for at, (label, kind) in enumerate(columns):
        sheet.write_string(3, at, label + (_("（元）") if kind == "fen" else ""), strong)
        sheet.set_column(at, at, 28 if kind == "text" else 16)
    for line, row in enumerate(rows, 4):
        for at, ((_label, kind), value) in enumerate(zip(columns, row, strict=True)):
            if value is None:
                continue
            if kind == "fen":
                sheet.write_number(line, at, value / 100, formats[kind])
            elif kind == "bp":
                sheet.write_number(line, at, value / 10_000, formats[kind])
            elif kind == "number":
                sheet.write_number(line, at, value, formats[kind])
            elif kind == "day":
                sheet.write_datetime(line, at, clock.beijing_midnight(value).astimezone(clock.BEIJING).replace(tzinfo=None), formats[kind])
            else:
                sheet.write_string(line, at, str(value), plain)
    sheet.freeze_panes(4, 1)
    book.close()
    response = make_response(held.getvalue())
    response.headers["Content-Type"] = EXCEL
    response.headers["Content-Disposition"] = f'attachment; filename="{name}-{clock.business_date():%Y%m%d}.xlsx"'
    response.headers["Cache-Control"] = "private, no-store"
    return response
