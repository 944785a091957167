"""A batch that was called off here and that the bank paid: one person says so of all its payments at once, and another decides on them at once.

Each payment is posted as ``payout_found`` posts one. One whose money waits in another batch without a result stays open until that one has it.
Of very many, either is done in goes of ``MOST`` payments, each of which stands; a page takes one go, a worker takes as many as are left.
"""

from dataclasses import dataclass

from sqlalchemy import Select, func, select

from marketplace.foundation import audit
from marketplace.foundation.database import db, locked, not_found
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.organisations import approval
from marketplace.organisations.actor import Actor, own_row
from marketplace.organisations.approval import OwnWork
from marketplace.settlement import payout_cap, payout_found, payout_recall
from marketplace.settlement.payout_found import PayoutFound
from marketplace.settlement.payout_item import PayoutBatch, PayoutItem

MOST = 50  # payments of one go: about a second, in which nobody else writes on SQLite


@dataclass(frozen=True)
class Waiting:
    """What of a batch waits for the second person: payments, their fen, and the last of them; whoever decides says what they read."""

    count: int
    fen: int
    last_id: int


@dataclass(frozen=True)
class Go:
    """Of a go: payments that it was done to, payments that it looked at, and the last of them, from which the next goes on; 0 if it was the last."""

    done: int
    seen: int
    last: int


def waiting(batch_id: int) -> Waiting:
    """How much of a batch waits. One statement."""
    query = _waiting(batch_id).with_only_columns(func.count(), func.coalesce(func.sum(PayoutFound.fen), 0), func.coalesce(func.max(PayoutFound.id), 0))
    count, fen, last_id = db.session.execute(query.order_by(None)).one()
    return Waiting(int(count), int(fen), int(last_id))


def may_be_said(batch: PayoutBatch) -> bool:
    """Whether the bank may have paid all of a batch that was called off: its file was in somebody's hands."""
    return batch.channel == "bank" and batch.state == "CANCELLED" and payout_recall.handed_out(batch) is not None


def propose(batch_id: int, reason: str, *, after: int = 0, actor: Actor) -> Go:
    """Say that the bank paid a batch that was called off, of the payments whose sequence is ``after``; "done" are those of which that is new.
    By the accountant or the director.

    Raises InvalidInput ``reason.missing``, Conflict ``found.state`` unless ``may_be_said``.
    """
    batch = own_row(PayoutBatch, batch_id, actor, "accountant", "director")
    must_be_sayable(locked(PayoutBatch, batch.id), reason)  # whoever says so at the same time finds the first one's word
    query = select(PayoutItem).where(PayoutItem.batch_id == batch.id, PayoutItem.sequence > after).order_by(PayoutItem.sequence).limit(MOST + 1)
    items = db.session.scalars(query).all()
    fresh = sum(payout_found.say(item, reason.strip(), person_id=actor.person_id) for item in items[:MOST])
    audit.record("payout_found.batch_proposed", batch, person_id=actor.person_id, payments=fresh)
    db.session.flush()
    return Go(fresh, len(items[:MOST]), items[MOST - 1].sequence if len(items) > MOST else 0)


def must_be_sayable(batch: PayoutBatch, reason: str) -> None:
    """Raise as ``propose``."""
    if not 4 <= len(reason.strip()) <= 300:
        raise InvalidInput("reason.missing", N_("请写明凭什么说银行付了（流水、回单、本人收到），4 到 300 个字。"), field="found")
    if not may_be_said(batch):
        raise Conflict("found.state", N_("这一批没有作废，或者文件没有人取走过，不用整批更正。"), state=batch.state)


def decide(batch_id: int, *, last_id: int, approved: bool, answer: str = "", after: int = 0, actor: Actor) -> Go:
    """The director's word on what waits of a batch ``after`` one of it, up to the last that they read; their own word is nothing to decide on.

    Raises as ``payout_found.decide``; one that cannot be decided on yet (``found.second``) is left, unless it is all of them.
    """
    batch = _of_director(batch_id, actor)
    payout_cap.hold(batch.organisation_id)
    query = _waiting(batch.id).where(PayoutFound.id > after, PayoutFound.id <= last_id).limit(MOST + 1)
    rows = db.session.execute(query.with_only_columns(PayoutFound.id, PayoutFound.version, PayoutFound.proposed_by_id)).all()
    others = [(number, version) for number, version, proposed_by_id in rows[:MOST] if proposed_by_id != actor.person_id]
    done = sum(_decided(number, version, approved, answer, actor) for number, version in others)
    if others and not done and not after and len(rows) <= MOST:
        raise Conflict("found.second", payout_found.SECOND)
    return Go(done, len(rows[:MOST]), rows[MOST - 1].id if len(rows) > MOST else 0)


def must_be_decidable(batch_id: int, *, count: int, last_id: int, approved: bool, answer: str = "", actor: Actor) -> PayoutBatch:
    """The batch, if its director may decide on what waits; ``count`` and ``last_id`` as they were read.

    Raises OwnWork where all of it is one's own word, Conflict ``found.changed`` if other payments wait by now, InvalidInput ``reason.missing``
    if it is returned without one.
    """
    batch = _of_director(batch_id, actor)
    now = waiting(batch.id)
    if not now.count or (now.count, now.last_id) != (count, last_id):
        raise Conflict("found.changed", N_("等核对的和您看到的不一样了，请刷新页面再看一遍。"))
    if db.session.scalar(_waiting(batch.id).with_only_columns(PayoutFound.id).where(PayoutFound.proposed_by_id != actor.person_id).limit(1)) is None:
        raise OwnWork("approval.own", N_("自己经办的，不能自己审批。请换一位同事来审。"))
    approval.must_say_why(approved, answer)
    return batch


def _of_director(batch_id: int, actor: Actor) -> PayoutBatch:
    actor.must_have("COOPERATIVE", "director")
    batch = db.session.get(PayoutBatch, batch_id)
    if batch is None or batch.organisation_id != actor.organisation_id:
        raise not_found(PayoutBatch)
    return batch


def _decided(number: int, version: int, approved: bool, answer: str, actor: Actor) -> bool:
    try:
        with db.session.begin_nested():
            payout_found.decide(number, version=version, approved=approved, answer=answer, actor=actor)
    except Conflict as error:
        if error.code != "found.second":
            raise
        return False
    return True


def _waiting(batch_id: int) -> Select[PayoutFound]:
    query = select(PayoutFound).join(PayoutItem, PayoutItem.id == PayoutFound.item_id)
    return query.where(PayoutItem.batch_id == batch_id, PayoutFound.state == "PROPOSED").order_by(PayoutFound.id)
