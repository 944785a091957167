"""The paper of an invoice as the tax software made it: its number, its day, its file."""

import io
import zipfile
from datetime import date, datetime

from marketplace.foundation import clock, files
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_

OFD_ROOT = "OFD.xml"  # what an OFD's zip always has at its top (GB/T 33190)


def number(typed: str) -> str:
    """The number without spaces: 20 digits of a fully digital invoice (数电票), or 18 or 20 of an older one, its code in front."""
    digits = "".join(typed.split())
    if not (digits.isascii() and digits.isdigit() and len(digits) in (18, 20)):
        raise InvalidInput("invoice.number", N_("发票号码是 20 位数字；旧版发票连同代码填，共 18 或 20 位。"), field="number")
    return digits


def day(issued_on: date, not_before: datetime) -> date:
    """The day of issue (Beijing), from the day of ``not_before`` to today."""
    if not clock.business_date(not_before) <= issued_on <= clock.business_date():
        raise InvalidInput("invoice.day", N_("开票日期不能早于申请那天，也不能晚于今天。"), field="issued_on")
    return issued_on


def keep(content: bytes, name: str, organisation_id: int) -> int:
    """Store the file; the id of its row. InvalidInput unless it is a PDF or an OFD."""
    ending = "pdf" if content.startswith(b"%PDF-") else "ofd" if _is_ofd(content) else ""
    if not ending:
        raise InvalidInput("invoice.file", N_("请上传税务软件开出的 PDF 或 OFD 文件。"), field="file")
    return files.store(content, name=f"{name}.{ending}", media_type=f"application/{ending}", organisation_id=organisation_id).id


def _is_ofd(content: bytes) -> bool:
    """Only the zip's list of names is read: nothing of it is unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            return OFD_ROOT in packed.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return False
