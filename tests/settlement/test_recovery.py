"""A refund after settlement: each share comes back from where it went, and nothing is asked of a household."""

from datetime import timedelta

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketplace.foundation import clock
from marketplace.foundation.database import db, locked, transaction
from marketplace.foundation.errors import Conflict
from marketplace.ledger import balance, share_event
from marketplace.ledger.entry import of_source
from marketplace.ledger.posting import Source
from marketplace.orders import order_refund, received
from marketplace.orders.order import Order, lines_of
from marketplace.payments import refund as refunds
from marketplace.payments import refund_news
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund
from marketplace.reporting import books
from marketplace.settlement import distribution, distribution_pool, distribution_preview, recovery, settlement
from marketplace.settlement.distribution import Distribution
from tests import builders
from tests.builders import Market
from tests.ledger.account_book import read
from tests.orders import trade
from tests.settlement.builders import order


def refunded(order_id: int, fen: int, freight_fen: int = 0) -> int:
    """Refund ``fen`` of the first line's goods; the refund's id."""

    def work() -> int:
        row = db.session.get_one(Order, order_id)
        payment = db.session.scalars(db.select(Payment).where(Payment.payable_id == order_id)).one_or_none() or _paid(row)
        refund = Refund(
            organisation_id=row.organisation_id, payment_id=payment.id, order_id=row.id, fen=fen + freight_fen, reason="破损",
            out_request_no=f"R{order_id}-{clock.now().timestamp()}", approved_at=clock.now(),
        )  # fmt: skip
        db.session.add(refund)
        db.session.flush()
        recovery.take_back(row, refund, {lines_of(order_id)[0].id: fen}, freight_fen)
        return refund.id

    return transaction(work)


def _paid(row: Order) -> Payment:
    payment = Payment(
        organisation_id=row.organisation_id, payable_kind="order", payable_id=row.id, channel="alipay", amount_fen=row.total_fen,
        out_trade_no=f"T{row.id}", app_id="1", seller_id="1", subject="茶", created_at=clock.now(), expires_at=clock.now(),
        state="succeeded",
    )  # fmt: skip
    db.session.add(payment)
    db.session.flush()
    return payment


def settled(market: Market, fen: int, freight_fen: int = 0) -> int:
    order_id = order(market, fen, freight_fen=freight_fen)
    transaction(lambda: settlement.settle(order_id))
    return order_id


def test_each_share_comes_back_from_where_it_went(app: Flask) -> None:
    market = builders.market()
    refund_id = refunded(settled(market, 13_600, 1_000), 6_800, 1_000)
    (entry,) = of_source("refund", refund_id)
    assert read(entry.id).splitlines() == [
        "debit  revenue 47.60",
        "debit  freight 10.00",
        f"debit  household_pool linkage_group:{market.group} 13.60",
        f"debit  village_collective village:{market.village} 4.08",
        "debit  relief_fund 2.72",
        "credit refunds_payable 78.00",
    ]


def test_more_than_was_settled_is_refused(app: Flask) -> None:
    order_id = settled(builders.market(), 1_000)
    refunded(order_id, 600)
    with pytest.raises(Conflict):
        refunded(order_id, 401)


@given(fen=st.integers(1, 5_000), cuts=st.lists(st.integers(1, 5_000), max_size=6))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_path_of_partial_refunds_ends_at_exactly_nothing(app: Flask, fen: int, cuts: list[int]) -> None:
    market = builders.market()
    order_id = settled(market, fen)
    left = fen
    for cut in [*cuts, fen]:
        part = min(cut, left)
        if part:
            refunded(order_id, part)
            left -= part
    assert left == 0
    held = balance.by_kind(market.cooperative)
    assert [held.get(kind, 0) for kind in ("revenue", "household_pool", "village_collective", "relief_fund")] == [0, 0, 0, 0]
    assert held["refunds_payable"] == fen


def test_a_refund_that_failed_for_good_took_nothing_and_may_be_made_again(app: Flask) -> None:
    """Through the order's own door: refunded whole, refused by the channel, refunded whole again, and every rule holds."""
    market = builders.market(on_hand=50)
    buyer = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 3))
    trade.shipped(market, order_id)
    with transaction():
        received.confirm(order_id, actor=buyer)
    with clock.travel(clock.now() + timedelta(days=8)):
        transaction(lambda: settlement.settle(order_id))

        def pay_back() -> int:
            row = locked(Order, order_id)
            (made,) = order_refund.pay_back(row, row.paid_fen - row.refunded_fen, "破损", person_id=None)
            return made

        first = transaction(pay_back)
        assert transaction(lambda: refunds.fail(first, "ACQ.SELLER_BALANCE_NOT_ENOUGH"))
        assert balance.held("revenue", market.cooperative, "") == 18_480  # 70 % of three tins at ¥88.00: all is back
        again = transaction(pay_back)
        transaction(lambda: refunds.succeed(again))
        assert balance.held("revenue", market.cooperative, "") == 0
        assert [each.rule for each in books.check() if not each.ok] == []


def divided(market: Market) -> dict[str, int]:
    held = balance.by_kind(market.cooperative)
    return {kind: held.get(kind, 0) for kind in ("revenue", "household_pool", "village_collective", "relief_fund", "pool_recoverable")}


def test_a_refund_that_failed_and_left_after_all_takes_its_shares_once_more(app: Flask) -> None:
    """Settled, refunded, called failed; then it turns out to have left; days later the buyer's bank sends it back. Every time all rules hold."""
    market = builders.market(on_hand=50)
    buyer = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 3))
    trade.shipped(market, order_id)
    with transaction():
        received.confirm(order_id, actor=buyer)
    with clock.travel(clock.now() + timedelta(days=8)):
        transaction(lambda: settlement.settle(order_id))
        (refund_id,) = transaction(lambda: order_refund.pay_back(locked(Order, order_id), 8_800, "破损", person_id=None))
        shares = divided(market)
        transaction(lambda: refunds.fail(refund_id, "ACQ.SELLER_BALANCE_NOT_ENOUGH"))
        assert balance.held("revenue", market.cooperative, "") == 18_480  # 70 % of three tins at ¥88.00
        assert transaction(lambda: refund_news.left(refund_id))
        assert divided(market) == shares
        assert (trade.order(order_id).refunded_fen, balance.held("alipay", market.cooperative)) == (8_800, trade.order(order_id).paid_fen - 8_800)
        assert [each.rule for each in books.check() if not each.ok] == []
        db.session.rollback()
        assert transaction(lambda: refunds.fail(refund_id, "expired_or_canceled_card", came_back=True))
        assert not transaction(lambda: refund_news.left(refund_id))  # that it had left is no news
        assert (balance.held("revenue", market.cooperative, ""), trade.order(order_id).refunded_fen) == (18_480, 0)
        assert [each.rule for each in books.check() if not each.ok] == []


def test_what_was_recovered_for_a_refund_that_then_failed_goes_back_to_the_pool(app: Flask) -> None:
    """The pool had paid; a refund made the rest recoverable; a later period recovered it; then the channel refused for good."""
    market = builders.market(on_hand=50)
    buyer = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 3))
    trade.shipped(market, order_id)
    with transaction():
        received.confirm(order_id, actor=buyer)
    pool, recoverable = f"linkage_group:{market.group}", "pool_recoverable"
    book = market.cooperative
    with clock.travel(clock.now() + timedelta(days=8)):
        transaction(lambda: settlement.settle(order_id))
        share = balance.held("household_pool", book, pool)
        # The pool is emptied: its households have theirs.
        households = [(market.households[0], share)]
        transaction(
            lambda: share_event.distributed(book=book, source=Source("distribution_group", 1), group_id=market.group, households=households)
        )

        def pay_back() -> int:
            row = locked(Order, order_id)
            (made,) = order_refund.pay_back(row, row.paid_fen - row.refunded_fen, "破损", person_id=None)
            return made

        refund_id = transaction(pay_back)
        assert balance.held(recoverable, book, pool) == share
        whole = balance.of_book(book, "village_collective", recoverable)
        assert distribution_pool.recoverable(book, whole) == distribution_pool.recoverable(book) == {market.group: share}
        settled(market, 100_000)  # a later period's revenue
        later = balance.held("household_pool", book, pool)
        transaction(
            lambda: share_event.recovered(book=book, source=Source("distribution_group", 2), group_id=market.group, fen=share)
        )
        assert transaction(lambda: refunds.fail(refund_id, "ACQ.TRADE_HAS_FINISHED"))
    assert balance.held(recoverable, book, pool) == 0
    assert balance.held("household_pool", book, pool) == later


def test_a_draft_recovers_nothing_that_is_no_longer_owed(app: Flask) -> None:
    """A draft recovers a refund; within its notice the channel refuses that refund for good: it must be drafted again."""
    market = builders.market(on_hand=50)
    buyer, book, pool = builders.customer(), market.cooperative, f"linkage_group:{market.group}"
    order_id = trade.bought(buyer, (market.pack, 3))
    trade.shipped(market, order_id)
    with transaction():
        received.confirm(order_id, actor=buyer)
    with clock.travel(clock.now() + timedelta(days=8)):
        transaction(lambda: settlement.settle(order_id))
        first = distributed(market)
        refund_id = transaction(lambda: order_refund.pay_back(locked(Order, order_id), 3 * 8800, "破损", person_id=None)[0])
        share = balance.held("pool_recoverable", book, pool)
        assert share > 0
        settled(market, 1_000_000)
        row = transaction(lambda: distribution.draft(book, first.period, actor=market.accountant))
        recovered = sum(each.recovered_fen for each in distribution.groups_of(row.id))
        assert recovered == share
        transaction(lambda: distribution.approve(row.id, actor=market.director, version=row.version))
        transaction(lambda: distribution.publish(row.id, actor=market.director))
        assert transaction(lambda: refunds.fail(refund_id, "ACQ.TRADE_HAS_FINISHED"))
    with clock.travel(clock.now() + timedelta(days=40)):
        with pytest.raises(Conflict, match=r"distribution\.recovered"), transaction():
            distribution.post(row.id, actor=market.accountant)
        assert balance.held("pool_recoverable", book, pool) == 0


def distributed(market: Market) -> Distribution:
    """The present month's pool, drafted, approved, published and credited."""
    period = clock.period_of(clock.business_date())
    row = transaction(lambda: distribution.draft(market.cooperative, period, actor=market.accountant))
    transaction(lambda: distribution.approve(row.id, actor=market.director, version=row.version))
    transaction(lambda: distribution.publish(row.id, actor=market.director))
    with clock.travel(clock.now() + timedelta(days=30)):
        transaction(lambda: distribution.post(row.id, actor=market.accountant))
    return row


def traded(market: Market, packs: int) -> int:
    """An order of so many tins, bought, shipped and received as a buyer would; its id."""
    buyer = builders.customer()
    order_id = trade.bought(buyer, (market.pack, packs))
    trade.shipped(market, order_id)
    with transaction():
        received.confirm(order_id, actor=buyer)
    return order_id


def paid_back(order_id: int, fen: int) -> int:
    def work() -> int:
        (made,) = order_refund.pay_back(locked(Order, order_id), fen, "破损", person_id=None)
        return made

    return transaction(work)


def the_draft(market: Market, period: str) -> Distribution:
    return transaction(lambda: distribution.draft(market.cooperative, period, actor=market.accountant))


@pytest.mark.both
def test_what_a_failed_refund_brings_back_after_the_distribution_is_divided_with_the_next_one(app: Flask) -> None:
    market = builders.market(on_hand=50)
    order_id = traded(market, 3)  # of ¥264.00 the pool gets ¥52.80
    with clock.travel(clock.now() + timedelta(days=8)):
        transaction(lambda: settlement.settle(order_id))
        refund_id = paid_back(order_id, 8_800)
        period = clock.period_of(clock.business_date())
        row = the_draft(market, period)
        transaction(lambda: distribution.approve(row.id, actor=market.director, version=1))
        ends_on = transaction(lambda: distribution.publish(row.id, actor=market.director)).ends_on
    with clock.travel(clock.beijing_midnight(ends_on + timedelta(days=1))):
        assert transaction(lambda: distribution.post(row.id, actor=market.accountant)).total_fen == 3_520
        assert distribution_preview.months(market.cooperative) == []
        transaction(lambda: refunds.fail(refund_id, "ACQ.TRADE_HAS_FINISHED"))
        (month,) = distribution_preview.months(market.cooperative)
        (group,) = distribution_preview.preview(market.cooperative, month.period)
        assert (month.period, month.pool_fen, group.pool_fen) == (clock.period_of(clock.business_date()), 1_760, 1_760)
        again = the_draft(market, month.period)
        assert again.total_fen == 1_760
        assert distribution_preview.months(market.cooperative) == []
        with pytest.raises(Conflict, match=r"distribution\.empty"):
            the_draft(market, month.period)
        transaction(lambda: distribution.approve(again.id, actor=market.director, version=1))
        ends_on = transaction(lambda: distribution.publish(again.id, actor=market.director)).ends_on
    with clock.travel(clock.beijing_midnight(ends_on + timedelta(days=1))):
        transaction(lambda: distribution.post(again.id, actor=market.accountant))
    assert balance.held("household_pool", market.cooperative, f"linkage_group:{market.group}") == 0
    assert [each.rule for each in books.check() if not each.ok] == []


def test_what_came_back_is_divided_once_though_other_months_wait(app: Flask) -> None:
    market = builders.market(on_hand=50)
    order_id = traded(market, 3)
    with clock.travel(clock.now() + timedelta(days=8)):
        transaction(lambda: settlement.settle(order_id))
        refund_id, period = paid_back(order_id, 8_800), clock.period_of(clock.business_date())
        row = the_draft(market, period)
    with clock.travel(clock.now() + timedelta(days=45)):
        settled(market, 10_000)
        transaction(lambda: refunds.fail(refund_id, "ACQ.TRADE_HAS_FINISHED"))
        later = the_draft(market, clock.period_of(clock.business_date()))
        assert (row.total_fen, later.total_fen) == (3_520, 3_760)
        # Withdrawn, the first one's lines are ¥52.80 again, of which the other draft divides what the pool had beyond it.
        transaction(lambda: distribution.withdraw(row.id, actor=market.accountant, reason="重来"))
        assert the_draft(market, period).total_fen == 3_520


@pytest.mark.both
def test_an_order_that_went_back_whole_is_none_of_those_that_wait_for_a_division(app: Flask) -> None:
    market = builders.market(on_hand=50)
    kept, whole = traded(market, 3), traded(market, 1)
    with clock.travel(clock.now() + timedelta(days=8)):
        for order_id in (kept, whole):
            transaction(lambda each=order_id: settlement.settle(each))  # type: ignore[misc]
        paid_back(whole, trade.order(whole).paid_fen)
        (month,) = distribution_preview.months(market.cooperative)
        for divided in (True, False):
            (group,) = distribution_preview.preview(market.cooperative, month.period, divided=divided)
            assert (month.orders, month.pool_fen, group.orders, group.pool_fen) == (1, 5_280, 1, 5_280)
        paid_back(kept, trade.order(kept).paid_fen)
        assert distribution_preview.months(market.cooperative) == []
