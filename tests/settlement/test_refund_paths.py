"""Any path of partial refunds of a settled order ends at exactly nothing, whatever its lines: other schemes, villages and groups."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from marketplace import foundation
from marketplace.foundation import clock
from marketplace.foundation.database import db, new_public_id, transaction
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.ledger import balance, event
from marketplace.ledger.posting import Source
from marketplace.orders import order_refund
from marketplace.orders.order import Order, OrderLine, lines_of
from marketplace.organisations.region import Region
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund
from marketplace.reporting import books_shares
from marketplace.settlement import recovery, settlement, taken_back
from marketplace.settlement.settlement import Settlement, SettlementLine
from marketplace.settlement.taken_back import TakenBack
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
            out_request_no=new_public_id(), approved_at=clock.now(), goods=[[line_id, part] for line_id, part in goods.items()],
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


def of_each_line(order_id: int) -> list[int]:
    """What the books count as left of each line; of a line that went back whole no share is left."""
    rows = db.session.scalars(db.select(SettlementLine).join(Settlement).where(Settlement.order_id == order_id).order_by(SettlementLine.id)).all()
    left = taken_back.left_of(rows)
    assert all(fen >= 0 for shares in left.values() for fen in shares)
    return [sum(left[row.id]) for row in rows]


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
        assert of_each_line(order_id) == [left[line_id] for line_id in ids], "each line is what is left of it, to the fen"
    assert set(held(market).values()) == {0}
    assert balance.held("refunds_payable", market.cooperative) - before == total + freight_fen
    with pytest.raises(Conflict, match=r"refund\.exceeds_settled"):
        refunded(order_id, {ids[0]: 1})


@pytest.mark.both
@pytest.mark.parametrize("parts", [(1_000,), (333, 333, 334), (1,) * 7 + (993,), (50,) * 20])
def test_a_line_that_goes_back_in_parts_takes_no_fen_of_another(sold: tuple[Market, tuple[list[int], list[int], list[int]]], parts: tuple[int, ...]) -> None:
    """Lines of ¥10.00 and ¥90.00 share revenue and fund: when the first has gone back whole, what is there is the second's split."""
    market, (_, villages, groups) = sold
    order_id = order(market, 1_000, 9_000)
    with transaction():
        first = lines_of(order_id)[0]
        first.linkage_group_id, first.village_id, first_id = groups[1], villages[1], first.id
    transaction(lambda: settlement.settle(order_id))
    for fen in parts:
        refunded(order_id, {first_id: fen})
    assert held(market) == {
        "revenue": 6_300, "relief_fund": 360, "freight": 0,
        f"household_pool linkage_group:{groups[0]}": 1_800, f"household_pool linkage_group:{groups[1]}": 0,
        f"village_collective village:{villages[0]}": 540, f"village_collective village:{villages[1]}": 0,
    }  # fmt: skip


def test_a_line_of_which_nothing_was_divided_gives_nothing_and_no_other_gives_for_it(app: Flask) -> None:
    """A refund that names it is refused: the money that is there is the other line's. One that names none takes of what is there."""
    market = builders.market()
    order_id = order(market, 1_000, 9_000)
    with transaction():
        row, (first, _) = db.session.get_one(Order, order_id), lines_of(order_id)
        first.refunded_fen, row.refunded_fen = 1_000, 1_000
        event.refund_approved(book=market.cooperative, source=Source("refund", 77), fen=1_000)
        first_id = first.id
    transaction(lambda: settlement.settle(order_id))
    with pytest.raises(Conflict, match=r"refund\.exceeds_settled"):
        refunded(order_id, {first_id: 500})
    with transaction():
        row = db.session.get_one(Order, order_id)
        _paid(row)
        with pytest.raises(InvalidInput, match=r"refund\.lines"):
            order_refund.pay_back(row, 500, "破损", person_id=None, lines={first_id: 500})
    transaction(lambda: order_refund.pay_back(db.session.get_one(Order, order_id), 500, "破损", person_id=None))
    assert (balance.held("revenue", market.cooperative), of_each_line(order_id)) == (5_950, [0, 8_500])


@pytest.mark.both
def test_refunds_from_before_are_counted_to_their_lines(sold: tuple[Market, tuple[list[int], list[int], list[int]]]) -> None:
    """What the migration writes for refunds of which only the entries are there: the same to the fen where a share has one line, and in all."""
    market, (schemes, villages, groups) = sold
    order_id = order(market, 1_001, 9_007, 333)
    with transaction():
        first, second, third = lines_of(order_id)
        first.linkage_group_id, first.village_id, second.scheme_id = groups[1], villages[1], schemes[1]
        ids = [first.id, second.id, third.id]
    transaction(lambda: settlement.settle(order_id))
    for goods in ({ids[0]: 101}, {ids[0]: 300, ids[1]: 4_003}, {ids[1]: 5, ids[2]: 77}):
        refunded(order_id, goods, 0)
    rows = db.session.query(TakenBack).order_by(TakenBack.refund_id, TakenBack.settlement_line_id)
    before = [(row.refund_id, row.settlement_line_id, row.pool_fen, row.village_fen, row.cooperative_fen + row.fund_fen) for row in rows]
    with transaction():
        db.session.execute(db.delete(TakenBack))
    assert books_shares.refunds_are_counted_to_lines() != []
    (path,) = (Path(foundation.__file__).parent / "migrations" / "versions").glob("*_what_refunds_took_back.py")
    spec = spec_from_file_location("taken_back_before", path)
    assert spec is not None and spec.loader is not None
    written = module_from_spec(spec)
    spec.loader.exec_module(written)
    with transaction():
        written._count_to_lines(db.session.connection())
    after = [(row.refund_id, row.settlement_line_id, row.pool_fen, row.village_fen, row.cooperative_fen + row.fund_fen) for row in rows]
    assert books_shares.refunds_are_counted_to_lines() == []
    assert [row[:2] for row in after] == [row[:2] for row in before]
    for now, then in zip(after, before, strict=True):
        assert all(abs(one - other) <= 2 for one, other in zip(now[2:], then[2:], strict=True)), (now, then)
    assert sum(of_each_line(order_id)) == 600 + 4_999 + 256
