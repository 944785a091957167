"""What of an order comes back: packs that have left are sent back, packs that have not are never sent, and each says what it costs."""

from collections.abc import Mapping
from typing import NamedTuple

from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.orders.order import Order, lines_of

BEFORE_SHIPPING = ("WAITING", "READY")
SHIPS_STILL = (*BEFORE_SHIPPING, "PARTLY_SHIPPED")


class Chosen(NamedTuple):
    """Packs of a line that come back, what they cost, and how many of them have not left."""

    line_id: int
    packs: int
    fen: int
    unsent: int


def of_packs(order: Order, packs: Mapping[int, int], unsent: Mapping[int, int]) -> list[Chosen]:
    """What comes back; the last packs of a line bring whatever is left of it. InvalidInput ``return.packs``, ``return.which``."""
    known = {line.id: line for line in lines_of(order.id)}
    chosen = []
    for line_id, count in sorted(packs.items()):
        line = known.get(line_id)
        if line is None:
            raise _too_many()
        waits = line.to_ship if order.fulfilment in SHIPS_STILL else 0
        if waits and line.shipped and line_id not in unsent:
            raise InvalidInput("return.which", N_("“%(name)s”发了一部分：请写明退的是还没发的，还是发了的。"), field="packs", name=line.name_zh)
        kept_back = unsent.get(line_id, count if waits else 0)
        if count <= 0 or not 0 <= kept_back <= min(count, waits) or count - kept_back > line.wanted - waits:
            raise _too_many()
        chosen.append(Chosen(line.id, count, line.worth_of(count), kept_back))
    return chosen


def is_everything(order: Order, fen: int, chosen: list[Chosen]) -> bool:
    """Whether nothing of an order would be left: all of its money is asked for while packs wait, or all of its packs and none has left."""
    lines = lines_of(order.id) if order.fulfilment in SHIPS_STILL else []
    if chosen:
        return order.fulfilment in BEFORE_SHIPPING and sum(each.unsent for each in chosen) == sum(line.to_ship for line in lines)
    return bool(lines) and 0 < fen == order.paid_fen - order.refunded_fen


def everything(order: Order, fen: int) -> list[Chosen]:
    """All packs, for ``fen``: goods first, the rest of it is freight."""
    chosen = []
    for line in lines_of(order.id):
        part = min(fen, line.left_fen)
        fen -= part
        chosen.append(Chosen(line.id, line.wanted, part, line.to_ship))
    return [each for each in chosen if each.packs]


def _too_many() -> InvalidInput:
    return InvalidInput("return.packs", N_("退的件数要在买的件数以内。"), field="packs")
