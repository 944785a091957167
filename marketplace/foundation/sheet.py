"""The first sheet of a workbook that somebody brought, read without being trusted: no bomb, no cell so far out that it asks for all memory."""

import re
import zipfile
import zlib
from datetime import date, datetime
from io import BytesIO
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook

from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_

UNPACKED = 40 * 1024 * 1024  # bytes of all parts together
MOST_EXACT = 10**15  # digits beyond it a spreadsheet does not keep
FARTHEST = (200, 20_000)  # column and row of the last cell that is read
MOST_CELLS = 1_000_000  # of the rectangle in which they lie: the reader makes room for every one
_PLACE = re.compile(rb"""\sr\s*=\s*["']([A-Za-z]*)(\d+)["']""")
_SHEET = re.compile(b"\0?".join(bytes([letter]) for letter in b"sheetData"))
_ROW, _CELL = re.compile(rb"<(?:\w+:)?row[\s/>]"), re.compile(rb"<(?:\w+:)?c[\s/>]")


def first_sheet(content: bytes) -> list[list[Any]]:
    """Its cells, row by row. Raises InvalidInput (field ``file``): ``file.unreadable``, ``file.far``."""
    unreadable = InvalidInput("file.unreadable", N_("这个文件读不出来。请另存为 .xlsx 后再传。"), field="file")
    try:
        with zipfile.ZipFile(BytesIO(content)) as packed:
            if "xl/workbook.xml" not in packed.namelist():
                raise unreadable
            left, far = UNPACKED, False
            for part in packed.infolist():
                sheet = _unpacked(packed, part, left)
                left -= len(sheet)
                far = far or (_SHEET.search(sheet) is not None and _reaches_far(sheet))  # whatever it is called, and in whichever folder
            if far:
                raise InvalidInput("file.far", N_("表里有一格离得太远（第 %(rows)s 行或第 %(columns)s 列以外）。请删掉空行空列后再传。"), field="file", rows=FARTHEST[1], columns=FARTHEST[0])
        return CalamineWorkbook.from_filelike(BytesIO(content)).get_sheet_by_index(0).to_python(skip_empty_area=False)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, CalamineError, OSError, ValueError, IndexError) as error:
        raise unreadable from error


def _unpacked(packed: zipfile.ZipFile, part: zipfile.ZipInfo, most: int) -> bytes:
    """A part, as long as it really is. ValueError if that is more than ``most`` or not what the directory tells, or if it is packed in
    another way than workbooks are: the reader behind us believes no directory and unpacks whatever is there."""
    told, part.file_size = part.file_size, most + 1
    if part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(part.compress_type)
    with packed.open(part) as stream:
        content = stream.read(most + 1)
    if len(content) != told or len(content) > most:
        raise ValueError(told)
    return content


def text_of(cell: Any) -> str:
    """A cell as somebody would have typed it: whole numbers without a point, money to two places, days as 2026-11-23.

    A spreadsheet keeps fifteen digits of a number: an account or ID number that it holds as one has lost its end, and is written as
    such (3.60925e+17), so that nobody takes it for the whole.
    """
    if isinstance(cell, int | float) and abs(cell) >= MOST_EXACT:
        return f"{float(cell):e}"
    if isinstance(cell, float):
        if cell.is_integer():
            return str(int(cell))
        return f"{cell:.2f}" if abs(cell * 100 - round(cell * 100)) < 1e-6 else repr(cell)
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%d}"
    if isinstance(cell, date):
        return cell.isoformat()
    return str(cell).strip()[:300]


def _reaches_far(sheet: bytes) -> bool:
    """Whether a cell or a row of a sheet's XML lies beyond FARTHEST, or the rectangle that holds them all is larger than MOST_CELLS.

    Cells that name no place stand one after another: so many are counted. ValueError for an XML that is not written in ASCII or UTF-8.
    """
    if b"\0" in sheet[:200]:
        raise ValueError("encoding")
    rows = _ROW.split(sheet)
    width, height = max(len(_CELL.findall(row)) for row in rows), len(rows) - 1
    for letters, row in _PLACE.findall(sheet):
        if len(letters) > 3 or len(row) > 7:
            return True
        column = 0
        for letter in letters.upper():
            column = column * 26 + letter - 64
        width, height = max(width, column), max(height, int(row))
    return width > FARTHEST[0] or height > FARTHEST[1] or width * height > MOST_CELLS
