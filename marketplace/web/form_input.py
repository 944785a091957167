"""What people type into forms, as numbers and days. Whatever cannot be read is an InvalidInput that names its field."""

import re
from datetime import date

from flask import request

from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.money import parse_yuan

_WIDE = str.maketrans("０１２３４５６７８９．，％－", "0123456789.,%-")


def given(name: str) -> str:
    """The input as typed, without blanks around it."""
    return request.form.get(name, "").strip()


def version() -> int:
    """The version that the page was read at; a page without one is not whole."""
    return whole("version", N_("这一页不完整，请刷新后再试。"), most=10**9)


def approves() -> bool:
    """Which of a decision's two buttons was pressed, "approve" or "return"; InvalidInput ``decision.bad`` for a page without either."""
    if given("decision") not in ("approve", "return"):
        raise InvalidInput("decision.bad", N_("这一页不完整，请刷新后再试。"), field="decision")
    return given("decision") == "approve"


def whole(name: str, message: str = N_("请写一个整数。"), *, most: int = 10**9, least: int = 0) -> int:
    """A whole number between ``least`` and ``most``."""
    return whole_of(given(name), name, message, most=most, least=least)


def whole_of(typed: str, field: str, message: str = N_("请写一个整数。"), *, most: int = 10**9, least: int = 0) -> int:
    """The same of a text that was read elsewhere."""
    plain = typed.translate(_WIDE).replace(",", "")
    if not re.fullmatch(r"-?[0-9]{1,12}", plain) or not least <= int(plain) <= most:
        raise InvalidInput("number.bad", message, field=field)
    return int(plain)


def day(name: str) -> date:
    """A day written as 2026-11-23."""
    return day_of(given(name), name)


def day_of(typed: str, field: str) -> date:
    """The same of a text that was read elsewhere; 2026/11/23 and 2026.11.23 are understood too."""
    try:
        year, month, number = (int(part) for part in re.split(r"[-/.]", typed.translate(_WIDE)))
        if 1900 < year < 2200:
            return date(year, month, number)
    except ValueError:
        pass
    raise InvalidInput("day.bad", N_("请写一个日期，如 2026-11-23。"), field=field)


def percent(name: str) -> int:
    """Basis points of a percentage with at most two decimals: ``62.5`` or ``62.5%``."""
    plain = given(name).translate(_WIDE).removesuffix("%").strip()
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,2})?", plain):
        raise InvalidInput("percent.bad", N_("请写一个百分数，如 62.5。"), field=name)
    units, _, decimals = plain.partition(".")
    return int(units) * 100 + int(decimals.ljust(2, "0"))


def kilograms(name: str) -> int:
    """Grams of kilograms with at most three decimals."""
    return kilograms_of(given(name), name)


def kilograms_of(typed: str, field: str) -> int:
    """The same of a text that was read elsewhere. More than nothing, less than ten thousand tonnes."""
    plain = typed.translate(_WIDE).replace(",", "")
    if re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,3})?", plain):
        units, _, decimals = plain.partition(".")
        grams = int(units) * 1000 + int(decimals.ljust(3, "0"))
        if grams:
            return grams
    raise InvalidInput("kilograms.bad", N_("请写公斤数，如 12.5。"), field=field)


def fen(name: str) -> int:
    """Fen of an amount typed in yuan."""
    return fen_of(given(name), name)


def fen_of(typed: str, field: str) -> int:
    """The same of a text that was read elsewhere."""
    try:
        return parse_yuan(typed)
    except ValueError:
        raise InvalidInput("fen.bad", N_("请写一个金额，如 136.00。"), field=field) from None
