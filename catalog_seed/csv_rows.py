"""Reading and writing the seed's CSV files, so that a file edited and saved in Excel reads as it was meant.

Long digits are grouped by spaces in the files (Excel would round or abbreviate them otherwise) and ungrouped here.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

FOLDER = Path(__file__).parent

# Columns that hold digits only, and how each is grouped in the file. ``region`` codes are 6 + 3 + 3 digits.
GROUPED = {
    "bank_account": (4, 4, 4, 4, 3),
    "alipay_seller_id": (4, 4, 4, 4),
    "id_number": (6, 8, 4),
    "region_code": (6, 3, 3),
    "village_code": (6, 3, 3),
    "origin_village_code": (6, 3, 3),
}
_REGION_COLUMNS = ("code", "parent_code")  # in regions.csv alone
_EXCEL_DATE = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})")


def text(name: str, folder: Path = FOLDER) -> str:
    """A file's text: UTF-8 (with or without its mark), or GB18030 if Excel saved it so."""
    raw = (folder / name).read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("gb18030")


def rows(name: str, folder: Path = FOLDER) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number in the file, row) of each row that is not empty; values stripped, digits ungrouped, dates YYYY-MM-DD."""
    reader = csv.DictReader(io.StringIO(text(name, folder), newline=""))
    for row in reader:
        clean = {column: _clean(name, column, value or "") for column, value in row.items() if column}
        if any(clean.values()):
            yield reader.line_num, clean


def table(name: str, folder: Path = FOLDER) -> list[dict[str, str]]:
    """The rows of a file without their line numbers."""
    return [row for _, row in rows(name, folder)]


def write(name: str, header: Sequence[str], lines: Iterable[Sequence[object]], folder: Path = FOLDER) -> int:
    """Write a file whole (UTF-8 with mark, CRLF, digits grouped) and return how many rows it has."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(header)
    rest = [
        [_group(name, column, str(value)) for column, value in zip(header, line, strict=True)]
        for line in lines
    ]
    writer.writerows(rest)
    unfinished = folder / f"{name}.part"
    unfinished.write_bytes(out.getvalue().encode("utf-8-sig"))
    unfinished.replace(folder / name)
    return len(rest)


def _sizes(name: str, column: str) -> tuple[int, ...] | None:
    if name == "regions.csv" and column in _REGION_COLUMNS:
        return GROUPED["region_code"]
    return GROUPED.get(column)


def _clean(name: str, column: str, value: str) -> str:
    value = value.strip()
    if _sizes(name, column):
        return value.replace(" ", "")
    if column.endswith("_on") or column == "effective_from":
        written = _EXCEL_DATE.fullmatch(value)
        return f"{written[1]}-{int(written[2]):02d}-{int(written[3]):02d}" if written else value
    return value


def _group(name: str, column: str, value: str) -> str:
    sizes = _sizes(name, column)
    if not sizes:
        return value
    parts, start = [], 0
    for size in sizes:
        parts.append(value[start : start + size])
        start += size
    return " ".join(part for part in parts if part)
