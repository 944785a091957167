"""Any path of partial refunds of a settled order ends at exactly nothing, whatever its lines: other schemes, villages and groups."""

import pytest
from flask import Flask
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from marketplace.foundation import clock
from marketplace.foundation.database import db, new_public_id, transaction
from marketplace.foundation.errors import Conflict
from marketplace.ledger import balance
from marketplace.orders.order import Order, OrderLine, lines_of
from marketplace.organisations.region import Region
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund
from marketplace.settlement import recovery, settlement
from tests import builders
from tests.builders import Market
from tests.settlement.builders import order
from tests.settlement.test_recovery import _paid

# One line: its fen, and which of two schemes, villages and groups it is of.
LINES = st.lists(st.tuples(st.integers(1, 3_000), st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=4)
CUTS = st.lists(st.lists(st.integers(0, 1_200), min_size=4, max_size=4), max_size=5)


def two_of_each(market: Market) -> tuple[list[int], list[int], list[int]]:
    """Schemes, villages and groups: the market's own, and others. The second scheme leaves odd fen wherever it can."""
    here = db.session.get_one(Region, market.village)
    with transaction():
        there = Region(code="360925201002", name_zh="另一个村", kind="VILLAGE", parent_id=here.parent_id)
        db.session.add(there)
        db.session.flush()
        village = there.id
    scheme = builders.scheme(market.cooperative, bp=(3_334, 3_333, 3_332, 1), version_no=2)
    return [market.scheme, scheme], [market.village, village], [market.group, builders.linkage_group(market.cooperative)]


def refunded(order_id: int, goods: dict[int, int], freight_fen: int = 0) -> None:
    """Take back ``goods``, fen by order line."""

    def work() -> None:
        row = db.session.get_one(Order, order_id)
        payment = db.session.scalars(db.select(Payment).where(Payment.payable_id == order_id)).one_or_none() or _paid(row)
        refund = Refund(
            organisation_id=row.organisation_id, payment_id=payment.id, order_id=row.id, fen=sum(goods.values()) + freight_fen, reason="破损",
            out_request_no=new_public_id(), approved_at=clock.now(),
        )  # fmt: skip
        db.session.add(refund)
        db.session.flush()
        recovery.take_back(row, refund, goods, freight_fen)

    transaction(work)


def held(market: Market) -> dict[str, int]:
    """Every account that an order is shared among, by its owner too."""
    found = {kind: balance.held(kind, market.cooperative) for kind in ("revenue", "relief_fund", "freight")}
    for kind in ("household_pool", "pool_recoverable", "village_collective"):
        found |= {f"{kind} {owner}": fen for owner, fen in balance.by_owner(kind, market.cooperative).items()}
    return found


@pytest.fixture
def sold(app: Flask) -> tuple[Market, tuple[list[int], list[int], list[int]]]:
    market = builders.market()
    return market, two_of_each(market)


@pytest.mark.both
@given(lines=LINES, cuts=CUTS, freight_fen=st.integers(0, 300))
@example(lines=[(1, True, False, False), (1, True, True, True), (1, False, False, True), (2, True, True, False)], cuts=[[1, 0, 0, 1], [0, 1, 1, 0]], freight_fen=0)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_path_ends_at_exactly_nothing_with_no_step_below_it(
    sold: tuple[Market, tuple[list[int], list[int], list[int]]], lines: list[tuple[int, bool, bool, bool]], cuts: list[list[int]], freight_fen: int
) -> None:
    market, (schemes, villages, groups) = sold
    before = balance.held("refunds_payable", market.cooperative)
    order_id = order(market, *(fen for fen, *_ in lines), freight_fen=freight_fen)
    with transaction():
        for line, (_fen, scheme, village, group) in zip(lines_of(order_id), lines, strict=True):
            row = db.session.get_one(OrderLine, line.id)
            row.scheme_id, row.village_id, row.linkage_group_id = schemes[scheme], villages[village], groups[group]
    transaction(lambda: settlement.settle(order_id))
    ids = [line.id for line in lines_of(order_id)]
    left = dict(zip(ids, (fen for fen, *_ in lines), strict=True))
    total, freight_left = sum(left.values()), freight_fen
    for number, cut in enumerate([*cuts, [3_000] * 4]):
        last = number == len(cuts)
        goods = {line_id: min(fen, left[line_id]) for line_id, fen in zip(ids, cut, strict=False) if min(fen, left[line_id])}
        freight = freight_left if last else min(freight_left, 50)
        if not goods and not (last and freight):
            continue
        refunded(order_id, goods, freight)
        freight_left -= freight
        for line_id, fen in goods.items():
            left[line_id] -= fen
        assert min(held(market).values()) >= 0, "no step below nothing"
        assert sum(held(market).values()) == sum(left.values()) + freight_left
    assert set(held(market).values()) == {0}
    assert balance.held("refunds_payable", market.cooperative) - before == total + freight_fen
    with pytest.raises(Conflict, match=r"refund\.exceeds_settled"):
        refunded(order_id, {ids[0]: 1})
