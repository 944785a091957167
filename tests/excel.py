"""What an Excel download says, as rows of values."""

import io
from typing import Any

from python_calamine import CalamineWorkbook


def cells(content: bytes) -> list[list[Any]]:
    """The first sheet's rows."""
    return CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python()
