"""A batch that was called off here and that the bank paid: one person says so of all its payments at once, and another decides on them at once.

Each payment is posted as ``payout_found`` posts one. One whose money waits in another batch without a result stays open until that one has it.
"""

from dataclasses import dataclass

from sqlalchemy import Select, func, select

from marketplace.foundation import audit
from marketplace.foundation.database import db, not_found
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor, own_row
from marketplace.organisations.approval import OwnWork
from marketplace.settlement import payout_cap, payout_found, payout_recall
from marketplace.settlement.payout_found import PayoutFound
from marketplace.settlement.payout_item import PayoutBatch, PayoutItem

MOST = 200  # payments that are decided on in one go


@dataclass(frozen=True)
class Waiting:
    """What of a batch waits for the second person: payments, their fen, and the last of them; whoever decides says what they read."""

    count: int
    fen: int
    last_id: int


@dataclass(frozen=True)
class Decided:
    """Payments that were decided on, and those that still wait."""

    done: int
    left: int


def waiting(batch_id: int) -> Waiting:
    """How much of a batch waits. One statement."""
    query = _waiting(batch_id).with_only_columns(func.count(), func.coalesce(func.sum(PayoutFound.fen), 0), func.coalesce(func.max(PayoutFound.id), 0))
    count, fen, last_id = db.session.execute(query.order_by(None)).one()
    return Waiting(int(count), int(fen), int(last_id))


def may_be_said(batch: PayoutBatch) -> bool:
    """Whether the bank may have paid all of a batch that was called off: its file was in somebody's hands."""
    return batch.channel == "bank" and batch.state == "CANCELLED" and payout_recall.handed_out(batch) is not None


def propose(batch_id: int, reason: str, *, actor: Actor) -> int:
    """Say that the bank paid a batch that was called off; of how many payments that is new. By the accountant or the director.

    Raises InvalidInput ``reason.missing``, Conflict ``found.state`` unless ``may_be_said``.
    """
    batch = own_row(PayoutBatch, batch_id, actor, "accountant", "director")
    if not 4 <= len(reason.strip()) <= 300:
        raise InvalidInput("reason.missing", N_("请写明凭什么说银行付了（流水、回单、本人收到），4 到 300 个字。"), field="found")
    if not may_be_said(batch):
        raise Conflict("found.state", N_("这一批没有作废，或者文件没有人取走过，不用整批更正。"), state=batch.state)
    items = db.session.scalars(select(PayoutItem).where(PayoutItem.batch_id == batch.id).order_by(PayoutItem.sequence)).all()
    fresh = sum(payout_found.say(item, reason.strip(), person_id=actor.person_id) for item in items)
    audit.record("payout_found.batch_proposed", batch, person_id=actor.person_id, payments=fresh)
    db.session.flush()
    return fresh


def decide(batch_id: int, *, count: int, last_id: int, approved: bool, answer: str = "", actor: Actor) -> Decided:
    """The director's word on what waits of a batch, at most ``MOST`` payments at a time, the oldest first; ``count`` and ``last_id`` as they were read.

    Raises OwnWork where all of it is one's own word, Conflict ``found.changed`` if other payments wait by now, else as ``payout_found.decide``;
    one that cannot be decided on yet (``found.second``) is left.
    """
    actor.must_have("COOPERATIVE", "director")
    batch = db.session.get(PayoutBatch, batch_id)
    if batch is None or batch.organisation_id != actor.organisation_id:
        raise not_found(PayoutBatch)
    payout_cap.hold(batch.organisation_id)
    rows = db.session.execute(_waiting(batch.id).with_only_columns(PayoutFound.id, PayoutFound.version, PayoutFound.proposed_by_id)).all()
    if not rows or (len(rows), rows[-1].id) != (count, last_id):
        raise Conflict("found.changed", N_("等核对的和您看到的不一样了，请刷新页面再看一遍。"))
    others = [(number, version) for number, version, proposed_by_id in rows if proposed_by_id != actor.person_id]
    if not others:
        raise OwnWork("approval.own", N_("自己经办的，不能自己审批。请换一位同事来审。"))
    done = 0
    for number, version in others:
        done += _decided(number, version, approved, answer, actor)
        if done == MOST:
            break
    if not done:
        raise Conflict("found.second", N_("同一笔钱又做进了另一批，还没有结果。没有交银行的先撤回那一批，交了的等它有结果，再来更正。"))
    return Decided(done, len(rows) - done)


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
