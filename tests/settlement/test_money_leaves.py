"""Two villages, the fund and the cooperative are paid, then the order goes back whole: nobody is short, and later shares make it good."""

from marketplace.reporting import books
from tests.settlement.money_leaves import MoneyLeaves
from tests.settlement.test_any_money import Opened, on_sqlite

__all__ = ["on_sqlite"]


def all_holds(market: MoneyLeaves) -> None:
    market.nobody_but_the_cooperative_is_ever_short()
    market.what_is_wholly_refunded_has_left_nothing_divided()
    assert [each.rule for each in books.check() if not each.ok] == []


def test_money_that_left_before_it_was_asked_back(on_sqlite: Opened) -> None:
    market = type("MoneyLeavesHere", (MoneyLeaves,), {"market_opened": staticmethod(on_sqlite), "seen": set()})()
    try:
        order = market.one_is_paid()
        assert isinstance(order, int)
        market.goes_on(order, 4)
        market.accountant_withdraws(1)
        market.remittances_go_on(12)
        all_holds(market)
        market.cooperative_gives_back(order, 1)
        all_holds(market)
        market.the_oldest_refund_ends(True)
        market.count_tins_in(3)
        later = market.place(3, 2)
        assert isinstance(later, int)
        market.goes_on(later, 5)
        market.accountant_withdraws(1)
        all_holds(market)
        market.remittances_go_on(12)
        all_holds(market)
    finally:
        market.teardown()
    assert market.seen >= {
        "collective_paid", "fund_remitted", "revenue_taken_out", "withdrawn", "refund_after_settlement", "collective_recovered", "fund_recovered",
    }
