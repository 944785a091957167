"""To whom an invoice is made out (开票抬头): checked before it is asked for, because a wrong one must be reversed in red."""

import re
from dataclasses import asdict, dataclass

from stdnum.cn import uscc

from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_

KINDS = ("VAT_GENERAL", "VAT_SPECIAL")
LONGEST = {"address": 100, "phone": 20, "bank_name": 100, "bank_account": 30}  # characters
_ACCOUNT = re.compile(r"[0-9]{8,30}")
_PHONE = re.compile(r"[0-9+\- ()]{7,20}")


@dataclass(frozen=True)
class InvoiceTitle:
    """Name and tax number; registered address, phone, bank and account are needed for a special VAT invoice (专票) only."""

    kind: str
    name: str
    tax_number: str = ""
    address: str = ""
    phone: str = ""
    bank_name: str = ""
    bank_account: str = ""

    def cleaned(self) -> "InvoiceTitle":
        """The same without spaces where none belong, letters of the tax number in capitals."""
        given = {name: " ".join(value.split()) for name, value in asdict(self).items()}
        given["tax_number"] = given["tax_number"].replace(" ", "").upper()
        given["bank_account"] = given["bank_account"].replace(" ", "").replace("-", "")
        return InvoiceTitle(**given)

    def check(self, *, is_person: bool) -> None:
        """InvalidInput naming the first field that is wrong. ``is_person``: a private buyer, who may have no tax number."""
        if self.kind not in KINDS:
            raise InvalidInput("invoice.kind", N_("请选择普通发票或专用发票。"), field="kind")
        if not 1 <= len(self.name) <= 100:
            raise InvalidInput("invoice.name", N_("请填写发票抬头，最多 100 个字。"), field="name")
        # 18 characters with a check digit since 2015 (GB 32100): all that is issued now.
        if (self.tax_number or not is_person or self.kind == "VAT_SPECIAL") and not uscc.is_valid(self.tax_number):
            raise InvalidInput("invoice.tax_number", N_("税号是 18 位的统一社会信用代码，请照登记证核对。"), field="tax_number")
        for name, most in LONGEST.items():
            if len(getattr(self, name)) > most:
                raise InvalidInput("invoice.long", N_("这一项最多 %(most)s 个字。"), field=name, most=most)
        if self.kind == "VAT_SPECIAL":
            self._check_special()

    def _check_special(self) -> None:
        if not self.address:
            raise InvalidInput("invoice.address", N_("专用发票要填注册地址。"), field="address")
        if not _PHONE.fullmatch(self.phone):
            raise InvalidInput("invoice.phone", N_("专用发票要填登记的电话。"), field="phone")
        if not self.bank_name:
            raise InvalidInput("invoice.bank_name", N_("专用发票要填开户银行。"), field="bank_name")
        if not _ACCOUNT.fullmatch(self.bank_account):
            raise InvalidInput("invoice.bank_account", N_("银行账号是 8 到 30 位数字。"), field="bank_account")
