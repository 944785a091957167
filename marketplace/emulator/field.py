"""Fields of the protocol: numbers, amounts and moments as Alipay writes them, and how the emulator keeps moments."""

import re
from datetime import UTC, datetime
from typing import Any

from marketplace.emulator.refusal import invalid
from marketplace.foundation import clock

_NUMBER = re.compile(r"[0-9A-Za-z_\-]{1,64}")
_TRADE_NUMBER = re.compile(r"[0-9A-Za-z_]{1,64}")
_AMOUNT = re.compile(r"(?P<yuan>0|[1-9][0-9]{0,8})(?:\.(?P<fen>[0-9]{1,2}))?")
_MOST_FEN = 10_000_000_000  # Alipay's own limit, a hundred million yuan


def text(biz: dict[str, Any], name: str) -> str:
    """A text parameter of the business content; ``""`` if it is not there. Refused if it is not a text."""
    value = biz.get(name, "")
    if not isinstance(value, str):
        raise invalid(f"{name} 须为字符串")
    return value


def trade_number(biz: dict[str, Any]) -> str:
    """out_trade_no: 1 to 64 letters, digits and ``_``."""
    value = text(biz, "out_trade_no")
    if not _TRADE_NUMBER.fullmatch(value):
        raise invalid("out_trade_no")
    return value


def request_number(biz: dict[str, Any], name: str) -> str:
    """Another number of the merchant's: 1 to 64 letters, digits, ``_`` and ``-``."""
    value = text(biz, name)
    if not _NUMBER.fullmatch(value):
        raise invalid(name)
    return value


def fen_of(biz: dict[str, Any], name: str) -> int:
    """Fen of an amount in yuan with at most two decimals, at least 0.01. ASCII digits only, no sign, no exponent."""
    match = _AMOUNT.fullmatch(text(biz, name))
    fen = int(match["yuan"]) * 100 + int((match["fen"] or "0").ljust(2, "0")) if match else 0
    if not 1 <= fen <= _MOST_FEN:
        raise invalid(name)
    return fen


def yuan(fen: int) -> str:
    """Fen as Alipay writes money: ``-12.30``."""
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def stamp(moment: datetime) -> str:
    """A moment as the state file keeps it: sortable, in UTC."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def beijing(kept: str) -> str:
    """A kept moment as Alipay writes it: Beijing time, to the second."""
    return datetime.fromisoformat(kept).astimezone(clock.BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def moment(written: str, name: str) -> datetime:
    """The moment that ``2026-11-24 09:30:00`` is in Beijing."""
    try:
        naive = datetime.strptime(written, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 (the zone is added in the next line)
    except ValueError:
        raise invalid(name) from None
    return naive.replace(tzinfo=clock.BEIJING)
