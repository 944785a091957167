"""The first sheet of a workbook that somebody brought, read without being trusted: no bomb, no cell so far out that it asks for all memory."""

import re
import zipfile
from datetime import date, datetime
from io import BytesIO
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook

from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_

UNPACKED = 40 * 1024 * 1024
MOST_EXACT = 10**15
FARTHEST = (200, 20_000)  # column and row of the last cell that is read
_PLACE = re.compile(rb"""\sr=["']([A-Z]{0,7})(\d{1,12})["']""")


def first_sheet(content: bytes) -> list[list[Any]]:
    """Its cells, row by row. Raises InvalidInput (field ``file``): ``file.unreadable``, ``file.far``."""
    unreadable = InvalidInput("file.unreadable", N_("这个文件读不出来。请另存为 .xlsx 后再传。"), field="file")
    try:
        with zipfile.ZipFile(BytesIO(content)) as packed:
            if sum(part.file_size for part in packed.infolist()) > UNPACKED or "xl/workbook.xml" not in packed.namelist():
                raise unreadable
            # The reader makes room for every cell up to the last one: a stray one far away would ask for all the memory there is.
            # Read here, each part is held to the size that its directory tells, or its sum does not fit.
            if any(_reaches_far(packed.read(part)) for part in packed.namelist() if part.startswith("xl/worksheets/")):
                raise InvalidInput("file.far", N_("表里有一格离得太远（第 %(rows)s 行或第 %(columns)s 列以外）。请删掉空行空列后再传。"), field="file", rows=FARTHEST[1], columns=FARTHEST[0])
        return CalamineWorkbook.from_filelike(BytesIO(content)).get_sheet_by_index(0).to_python(skip_empty_area=False)
    except (zipfile.BadZipFile, CalamineError, OSError, ValueError, IndexError) as error:
        raise unreadable from error


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
    """Whether a cell or a row of a sheet's XML lies beyond FARTHEST."""
    for letters, row in _PLACE.findall(sheet):
        column = 0
        for letter in letters:
            column = column * 26 + letter - 64
        if column > FARTHEST[0] or int(row) > FARTHEST[1]:
            return True
    return False
