"""A count of the shelf by hand: what is really there, and why it differs from the books. Kept as a stock move with its reason."""

from sqlalchemy import select

from marketplace.catalogue.product import Pack
from marketplace.foundation import audit
from marketplace.foundation.database import by_public_id
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.idempotency import once
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor
from marketplace.supply import mass_balance, stock

REASONS = ("COUNTED", "SPOILED", "RETURNED")
MOST = 1_000_000


def count(pack: str, counted: int, *, seen: int, reason: str, note: str, actor: Actor, key: str) -> int:
    """Set the stock of ``pack`` (public id) to what was counted; the change in packs. ``seen`` is the stock that the clerk saw.

    Raises Conflict ``stock.moved`` if it moved since, ``stock.reserved`` below what is promised; InvalidInput naming its field.
    """
    actor.must_have("COOPERATIVE", "clerk", "director")
    request = [pack, counted, seen, reason, note]
    return int(once(f"count:{actor.organisation_id}", key, request, lambda: {"by": _count(pack, counted, seen, reason, note, actor)})["by"])


def _count(pack: str, counted: int, seen: int, reason: str, note: str, actor: Actor) -> int:
    if reason not in REASONS:
        raise InvalidInput("count.reason", N_("请选为什么改。"), field="reason")
    if not 2 <= len(note.strip()) <= 200:
        raise InvalidInput("count.note", N_("请写一句说明，200 字以内。"), field="note")
    if not 0 <= counted <= MOST:
        raise InvalidInput("count.counted", N_("请写现在实际有几件。"), field="counted")
    kind = by_public_id(Pack, pack, select(Pack).where(Pack.organisation_id == actor.organisation_id))
    row = stock.ensure(kind.id, kind.organisation_id)
    if row.on_hand != seen:
        raise Conflict("stock.moved", N_("您数的时候库存动过：从 %(seen)s 件变成 %(now)s 件。请再数一次。"), seen=seen, now=row.on_hand)
    by = counted - row.on_hand
    if by == 0:
        raise InvalidInput("count.same", N_("和账上一样，不用改。"), field="counted")
    stock.adjust(kind.id, by=by, reason=reason, person_id=actor.person_id, note=note.strip())
    audit.record("stock.counted", kind, person_id=actor.person_id, by=by, reason=reason)
    mass_balance.look(kind.organisation_id)
    return by
