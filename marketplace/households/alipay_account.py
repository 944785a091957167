"""An Alipay account as a household has one: a mobile number, an e-mail address or Alipay's own 2088… number, with its owner's real name.

Alipay compares the name: money is never sent to an account alone.
"""

import re

from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_

ALIPAY = "支付宝"  # what stands as the bank of an account there
_MOBILE, _OWN_NUMBER = re.compile(r"1[3-9][0-9]{9}"), re.compile(r"2088[0-9]{12}")
_EMAIL = re.compile(r"[a-z0-9][a-z0-9._%+-]{0,63}@[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")
# Han characters, those of rare names too, with the dot between the parts of a name; or a name in Latin letters.
_NAME = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff·]{2,30}|[A-Za-z][A-Za-z .'-]{1,58}[A-Za-z]")
_SEPARATORS = str.maketrans("", "", " -\u3000\t")


def checked(account: str, again: str, name: str) -> tuple[str, str]:
    """The account and name as they are kept. Raises InvalidInput for ``account``, ``again`` or ``payee_name``."""
    number, second = _written(account), _written(again)
    if not (_MOBILE.fullmatch(number) or _OWN_NUMBER.fullmatch(number) or (len(number) <= 100 and _EMAIL.fullmatch(number))):
        raise InvalidInput("account.alipay", N_("支付宝账号是 11 位手机号、邮箱，或 2088 开头的 16 位号码。"), field="account")
    if number != second:
        raise InvalidInput("account.again", N_("两次填写的账号不一样，请再对一遍。"), field="again")
    kept = name.strip().replace("•", "·").replace("．", "·")
    if not _NAME.fullmatch(kept):
        raise InvalidInput("account.name", N_("请写这个支付宝账号实名登记的姓名，支付宝会核对。"), field="payee_name")
    return number, kept


def tail(account: str) -> str:
    """The last four characters by which an account is known on pages and slips: of an address, those before the @."""
    return account.partition("@")[0][-4:]


def masked(account: str) -> str:
    """An account as its reader may see it: 138****1234, v***@example.org."""
    before, at, after = account.partition("@")
    if at:
        return f"{before[:1]}***@{after}"
    return f"{account[:3]}****{account[-4:]}" if account else ""


def _written(account: str) -> str:
    text = account.strip()
    return text.lower() if "@" in text else text.translate(_SEPARATORS)
