"""The form that says what comes back of an order: packs of each line, or an amount of money."""

from flask import request

from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.money import parse_yuan
from marketplace.orders.order import lines_of


def packs(order_id: int) -> tuple[dict[int, int], dict[int, int]]:
    """Order line id → packs, and of them those that have not left, as typed: the page counts the lines from 1, so that it shows no number
    of ours."""
    chosen, unsent = {}, {}
    for at, line in enumerate(lines_of(order_id), 1):
        sent, waits = _typed(f"packs-{at}"), _typed(f"unsent-{at}")
        if sent + waits:
            chosen[line.id] = sent + waits
        if f"unsent-{at}" in request.form:
            unsent[line.id] = waits
    return chosen, unsent


def _typed(name: str) -> int:
    typed = request.form.get(name, "").strip() or "0"
    if not (typed.isascii() and typed.isdigit() and len(typed) < 7):
        raise InvalidInput("return.packs", N_("退的件数要在买的件数以内。"), field="packs")
    return int(typed)


def fen() -> int:
    """Fen of the amount that was typed in yuan."""
    try:
        return parse_yuan(request.form.get("yuan", ""))
    except ValueError:
        raise InvalidInput("return.fen", N_("请写退款金额，例如 88.00。"), field="yuan") from None
