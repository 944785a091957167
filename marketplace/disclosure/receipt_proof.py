"""The proof that a benefit receipt offers: the order's settlement in the sealed log, the distributions that count it, their payouts.

It names no buyer and no household. Lines of groups of fewer than five households, and of their villages, are fingerprints only.
"""

from typing import Any

from sqlalchemy import select

from marketplace.disclosure import household_key, log_leaf, log_proof, tree_head
from marketplace.disclosure.log_leaf import LogLeaf
from marketplace.disclosure.tree_head import TreeHead
from marketplace.foundation.database import db, not_found
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_
from marketplace.households.household import Household
from marketplace.ledger import entry
from marketplace.ledger.account import Account, owner_of
from marketplace.notices.suppression import LEAST_HOUSEHOLDS
from marketplace.orders.order import Order, lines_of
from marketplace.settlement import recovery
from marketplace.settlement.settlement import Settlement, SettlementLine


def for_token(token: str, *, since: int | None = None) -> dict[str, Any]:
    """The proof of the receipt at this address, by the newest head, connected with the older head number ``since``.

    Refunds since are in it: what was divided is not told without what was given back. Raises NotFound, Conflict ``log.nothing`` for an order
    that is not settled or was settled with nothing, Unsealed while it, or a refund of it, waits for a head.
    """
    order = db.session.scalars(select(Order).where(Order.receipt_token == token)).one_or_none()
    if order is None:
        raise not_found(Order)
    settlement = db.session.scalars(select(Settlement).where(Settlement.order_id == order.id)).one_or_none()
    if settlement is None or settlement.entry_id is None:
        raise Conflict("log.nothing", N_("这张订单还没有分账，没有可证明的记录。"))
    its = [settlement.entry_id, *recovery.entries_of(settlement.entry_id)]
    leaves = log_leaf.of_many("entry", its)
    head, *_ = [log_proof.head_for(leaves.get(each)) for each in its]
    proof = log_proof.frame(head, tree_head.numbered(since) if since else None)
    withheld = _withheld(order.id)
    proof["settlement"], *refunds = [log_proof.entry(leaves[each], head, withheld) for each in its]
    if refunds:
        proof["refunds"] = refunds
    covered = select(SettlementLine.distribution_id).where(SettlementLine.settlement_id == settlement.id).distinct()
    ids = [each for each in db.session.scalars(covered.order_by(SettlementLine.distribution_id)) if each is not None]
    found = [log_proof.distribution(each, settlement.entry_id, head) for each in ids]
    return proof | {"distributions": [each for each in found if each is not None]}


def for_household(token: str) -> dict[str, Any]:
    """The lines of a household's own account that are sealed, opened with its keys, the newest last; nobody else's line is shown. Of those
    whose key was destroyed only the number is told (``closed``).

    Raises NotFound, Unsealed while there is none, Conflict ``log.closed`` if nobody can open any.
    """
    household_id, head = _household(token), tree_head.newest()
    keys = household_key.of([household_id]).get(household_id)
    lines = _sealed_lines(household_id, head) if head is not None and keys is not None else []
    if head is None or keys is None or not lines:
        raise log_proof.Unsealed("log.unsealed", N_("这笔账还在等封存。总账每天封存一次，明天再来。"))
    opened = [log_proof.household_line(leaf, line_no, keys.living, head) for leaf, line_no in lines]
    shown = [each for each in opened if each is not None]
    if not shown:
        raise Conflict("log.closed", N_("您家的密钥已按要求销毁，以前的 %(n)s 行谁也打不开了。以后新记的账用新的密钥。"), n=len(lines))
    return log_proof.frame(head) | {"lines": shown} | ({"closed": len(lines) - len(shown)} if len(shown) < len(lines) else {})


def closed_to(token: str) -> int:
    """How many sealed lines of a household's account nobody can open any more, their key being destroyed."""
    household_id, head = _household(token), tree_head.newest()
    keys = household_key.of([household_id]).get(household_id)
    if head is None or keys is None or not keys.destroyed:
        return 0
    return sum(log_proof.household_line(leaf, line_no, keys.living, head) is None for leaf, line_no in _sealed_lines(household_id, head))


def _household(token: str) -> int:
    found = db.session.scalar(select(Household.id).where(Household.statement_token == token))
    if found is None:
        raise not_found(Household)
    return found


def _sealed_lines(household_id: int, head: TreeHead) -> list[tuple[LogLeaf, int]]:
    """(leaf, line's number) of its lines that the head covers, the newest last."""
    own = select(Account.id).where(Account.kind == "household", Account.owner_ref == owner_of("household", household_id))
    lines = entry.of_accounts(db.session.scalars(own).all())
    leaves = log_leaf.of_many("entry", {entry_id for entry_id, _ in lines})
    return [(leaf, line_no) for entry_id, line_no in lines if (leaf := leaves.get(entry_id)) is not None and leaf.seq < head.size]


def _withheld(order_id: int) -> frozenset[str]:
    """Owners of lines that are not shown: groups of fewer than five households, and villages that only such groups are of."""
    small, shown = set[str](), set[str]()
    for line in lines_of(order_id):
        owners = {owner_of("household_pool", line.linkage_group_id), owner_of("village_collective", line.village_id)}
        (small if line.households_shown < LEAST_HOUSEHOLDS else shown).update(owners)
    return frozenset(small - shown)
