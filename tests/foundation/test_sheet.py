"""A workbook that somebody brought takes no more than a workbook may, whatever its directory says of itself; and a heading is read in a moment."""

import time
import zipfile
from io import BytesIO
from typing import Any

import pytest
from flask import Flask

from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.sheet import UNPACKED, first_sheet
from marketplace.payments import bank_layout
from marketplace.settlement import payout_answer
from marketplace.settlement.payout_form import USUAL_WORDS, Answer
from tests.web.work_desk import workbook

GOOD = workbook(["户名", "金额"], ["王小花", 10]).getvalue()


def changed(sheet: bytes | None = None, *, method: int = zipfile.ZIP_DEFLATED, told: int | None = None, also: bytes = b"") -> bytes:
    """The workbook with another first sheet, packed so, whose directory tells ``told`` bytes; and one more part."""
    out = BytesIO()
    with zipfile.ZipFile(BytesIO(GOOD)) as good, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bundle:
        for part in good.infolist():
            its = sheet if sheet is not None and part.filename == "xl/worksheets/sheet1.xml" else good.read(part)
            bundle.writestr(part.filename, its, compress_type=method if its is sheet else zipfile.ZIP_DEFLATED)
        if also:
            bundle.writestr("xl/media/more.bin", also)
    content = bytearray(out.getvalue())
    if told is not None:
        at = content.rindex(b"PK\x01\x02", 0, content.rindex(b"xl/worksheets/sheet1.xml"))
        content[at + 24 : at + 28] = told.to_bytes(4, "little")
    return bytes(content)


def sheet_of(cells: str) -> bytes:
    head = '<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    return f"{head}{cells}</sheetData></worksheet>".encode()


LARGE = sheet_of("<row r='1'><c r='A1'/></row>" + " " * (UNPACKED + 1))
BAD: dict[str, Any] = {
    "too much": changed(LARGE),
    "too much, and says it is little": changed(LARGE, told=200),
    "little, and says it is less": changed(sheet_of("<row r='1'><c r='A1'/></row>"), told=10),
    "packed in another way": changed(sheet_of("<row r='1'><c r='A1'/></row>"), method=zipfile.ZIP_BZIP2),
    "much beside the sheet": changed(also=b"0" * (UNPACKED + 1)),
    "a cell far out": changed(sheet_of("<row r='99999'><c r='A99999'/></row>")),
    "a cell far out, spelt otherwise": changed(sheet_of("<row r = '99999'><c r = 'a99999'/></row>")),
    "a rectangle with nothing in it": changed(sheet_of("<row r='1'><c r='A1'/></row><row r='19999'><c r='GQ19999'/></row>")),
    "cells without a place": changed(sheet_of("<row>" + "<c/>" * 201 + "</row>")),
    "rows without a place": changed(sheet_of("<row/>" * 20_001)),
    "a sheet in another folder": changed(sheet_of("<row r='99999'><c r='A99999'/></row>")).replace(b"xl/worksheets/sheet1", b"xl/elsewhere_/sheet1"),
    "another encoding": changed(sheet_of("<row r='1'><c r='A1'/></row>").decode().encode("utf-16")),
}


@pytest.mark.parametrize("name", BAD)
def test_a_workbook_that_asks_for_too_much_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"file\."):
        first_sheet(BAD[name])


def test_an_honest_workbook_is_read() -> None:
    assert first_sheet(GOOD) == [["户名", "金额"], ["王小花", 10.0]]
    assert first_sheet(changed(sheet_of("<row r='1'><c r='A1'><v>3</v></c></row>"), method=zipfile.ZIP_STORED)) == [[3.0]]


def test_a_heading_of_spaces_takes_no_time(app: Flask) -> None:
    cells = ["x" + " " * 100_000 + "\ny", "金额（元）", "户名 "]
    began = time.perf_counter()
    assert (bank_layout.guess(cells), payout_answer.guess(cells, Answer(USUAL_WORDS, {}))) == ({"amount": 1}, {"name": 2, "amount": 1})
    assert time.perf_counter() - began < 1
