"""What leaves for villages, the fund and the cooperative itself: never more than is theirs, by two people, posted once the bank paid."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.ledger import balance, event
from marketplace.ledger.entry import of_source
from marketplace.ledger.posting import Source
from marketplace.organisations.actor import acting
from marketplace.organisations.approval import OwnWork
from marketplace.organisations.person import grant
from marketplace.payments import refund as refunds
from marketplace.reporting import books
from marketplace.settlement import period_close, reconciliation, remittance, settlement
from marketplace.settlement.remittance import Remittance
from tests import builders
from tests.builders import Market
from tests.settlement.test_distribution import sold
from tests.settlement.test_recovery import paid_back, refunded, settled, traded


def earning(*, to_bank: int = 30_000) -> Market:
    """An order of ¥300 settled at 70/20/6/4: 210.00 own, 60.00 pool, 18.00 village, 12.00 fund; moved from Alipay to the bank."""
    market = builders.market()
    sold(market, 30_000)
    with transaction():
        event.withdrawn(book=market.cooperative, source=Source("withdrawal", 1), fen=to_bank)
    return market


def propose(market: Market, kind: str, fen: int, key: str = "k") -> Remittance:
    village = market.village if kind == "COLLECTIVE" else None
    return transaction(lambda: remittance.propose(kind, fen, village_id=village, actor=market.accountant, key=key))


def approve(row: Remittance, market: Market) -> Remittance:
    return transaction(lambda: remittance.approve(row.id, actor=market.director, version=row.version))


def paid(row: Remittance, market: Market, version: int = 2) -> Remittance:
    today = clock.business_date()
    return transaction(lambda: remittance.record_paid(row.id, paid_on=today, bank_serial=f"WY{row.id:06}", actor=market.accountant, version=version))


def remitted(market: Market, kind: str, fen: int) -> Remittance:
    """Proposed, approved and recorded."""
    row = propose(market, kind, fen, key=f"{kind}{market.village}-{fen}")
    approve(row, market)
    return paid(row, market)


def books_hold() -> bool:
    rules = {"entries_balance", "books_balance", "collectives_add_up", "fund_adds_up", "nobody_approved_their_own"}
    return all(each.ok for each in books.check() if each.rule in rules)


@pytest.mark.both
@pytest.mark.parametrize(("kind", "fen"), [("COLLECTIVE", 1_800), ("FUND", 1_200), ("REVENUE", 21_000)])
def test_it_goes_to_whom_it_belongs(app: Flask, kind: str, fen: int) -> None:
    market = earning()
    holder = builders.operator()
    available = remittance.available(market.cooperative)
    assert available.of(kind, market.village) == fen
    row = propose(market, kind, fen)
    approve(row, market)
    assert (balance.held("bank", market.cooperative), remittance.available(market.cooperative).of(kind, market.village)) == (30_000, 0)
    paid(row, market)
    assert balance.held("bank", market.cooperative) == 30_000 - fen
    assert remittance.available(market.cooperative).of(kind, market.village) == 0
    assert balance.held("bank", holder) == (fen if kind == "FUND" else 0)
    assert books_hold()
    with pytest.raises(Conflict):
        paid(row, market, version=3)
    assert balance.held("bank", market.cooperative) == 30_000 - fen


def test_no_more_than_is_theirs_even_asked_in_parts(app: Flask) -> None:
    market = earning()
    builders.operator()
    propose(market, "FUND", 700, "a")
    with pytest.raises(Conflict) as short:
        propose(market, "FUND", 501, "b")
    assert (short.value.code, short.value.data["left_fen"]) == ("remittance.short", 500)
    propose(market, "FUND", 500, "c")
    for fen in (0, -1):
        with pytest.raises(InvalidInput):
            propose(market, "REVENUE", fen, f"n{fen}")
    with pytest.raises(InvalidInput):
        transaction(lambda: remittance.propose("COLLECTIVE", 100, actor=market.accountant, key="v"))
    with pytest.raises(InvalidInput):
        transaction(lambda: remittance.propose("GIFT", 100, actor=market.accountant, key="g"))


def test_what_is_others_is_never_the_cooperatives_to_take(app: Flask) -> None:
    market = earning(to_bank=25_000)
    available = remittance.available(market.cooperative)
    assert (available.bank_fen, available.alipay_fen, available.others_fen, available.own_fen) == (25_000, 5_000, 9_000, 21_000)
    sold(market, 10_000)  # all of it on Alipay: the bank limits what can go
    assert remittance.available(market.cooperative).own_fen == 25_000


def test_the_same_page_sent_twice_is_one_remittance(app: Flask) -> None:
    market = earning()
    assert propose(market, "FUND", 100).id == propose(market, "FUND", 100).id
    with pytest.raises(Conflict):
        propose(market, "FUND", 200)


def test_two_people_and_only_ones_own(app: Flask) -> None:
    market, other = earning(), builders.market(name="宝峰油茶合作社")
    row = propose(market, "FUND", 100)
    with transaction():
        grant(market.accountant.person_id, market.cooperative, "director")
    both = acting(market.accountant.person_id, market.cooperative)
    assert both is not None
    with pytest.raises(OwnWork):
        transaction(lambda: remittance.approve(row.id, actor=both, version=1))
    for actor, kind in ((market.clerk, NotAllowed), (other.director, NotFound)):
        with pytest.raises(kind):
            transaction(lambda actor=actor: remittance.approve(row.id, actor=actor, version=1))
    with pytest.raises(NotAllowed):
        transaction(lambda: remittance.propose("FUND", 100, actor=market.director, key="d"))
    with pytest.raises(Conflict):
        paid(row, market, version=1)
    with pytest.raises(InvalidInput):
        transaction(lambda: remittance.approve(row.id, actor=market.director, version=1, approved=False))
    transaction(lambda: remittance.approve(row.id, actor=market.director, version=1, approved=False, reason="先不划"))
    assert remittance.available(market.cooperative).fund_fen == 1_200


def test_a_refund_that_took_the_share_stops_the_approval(app: Flask) -> None:
    market = earning()
    row = propose(market, "FUND", 1_200)
    with transaction():
        event.refund_after_settlement(
            book=market.cooperative, source=Source("refund", 9), revenue_fen=0, freight_fen=0, collectives={}, fund_fen=50, pools={},
        )  # fmt: skip
    with pytest.raises(Conflict) as short:
        approve(row, market)
    assert short.value.code == "remittance.short"
    transaction(lambda: remittance.withdraw(row.id, actor=market.accountant, version=1, reason="有退款"))
    assert remittance.available(market.cooperative).fund_fen == 1_150


@pytest.mark.parametrize(("days", "serial"), [(1, "WY000001"), (-1, "WY000001"), (0, " "), (0, "WY1"), (0, "x" * 41)])
def test_the_banks_slip_must_make_sense(app: Flask, days: int, serial: str) -> None:
    market = earning()
    row = propose(market, "FUND", 100)
    approve(row, market)
    day = clock.business_date() + timedelta(days=days)
    with pytest.raises(InvalidInput):
        transaction(lambda: remittance.record_paid(row.id, paid_on=day, bank_serial=serial, actor=market.accountant, version=2))
    assert db.session.get_one(Remittance, row.id).state == "APPROVED"


def recoverable(market: Market) -> tuple[int, int]:
    """What waits for later shares of the village and of the fund."""
    return (
        balance.held("village_recoverable", market.cooperative, f"village:{market.village}"),
        balance.held("fund_recoverable", market.cooperative),
    )


@pytest.mark.both
def test_a_refund_after_the_money_left_is_recovered_from_what_comes_later(app: Flask) -> None:
    """Paid out to village and fund, then all of the order goes back: nothing is owed by anybody, and the month can be closed."""
    market = builders.market(on_hand=90)
    builders.operator()
    order_id = traded(market, 10)  # of ¥880.00 the village gets ¥52.80 and the fund ¥35.20
    later = traded(market, 20)
    with clock.travel(clock.now() + timedelta(days=8)):
        transaction(lambda: settlement.settle(order_id))
        remitted(market, "COLLECTIVE", 5_280)
        remitted(market, "FUND", 3_520)
        refund_id = paid_back(order_id, 88_000)
        assert recoverable(market) == (5_280, 3_520)
        assert [each.detail for each in books.check() if not each.ok] == []
        period = clock.period_of(clock.business_date())
        transaction(lambda: settlement.settle(later))
        # Of ¥105.60 and ¥70.40 a fifth at most goes to what the refund took.
        available = remittance.available(market.cooperative)
        assert (available.of("COLLECTIVE", market.village), available.fund_fen) == (10_560 - 2_112, 7_040 - 1_408)
        with pytest.raises(Conflict, match=r"remittance\.short"):
            propose(market, "COLLECTIVE", 8_449)
        rows = [remitted(market, "COLLECTIVE", 8_448), remitted(market, "FUND", 2_816)]
        assert [row.recovered_fen for row in rows] == [2_112, 704]
        assert recoverable(market) == (5_280 - 2_112, 3_520 - 704)
        assert [each.detail for each in books.check() if not each.ok] == []
        # The channel refuses it after all: what was recovered is theirs again.
        transaction(lambda: refunds.fail(refund_id, "ACQ.TRADE_HAS_FINISHED"))
        assert recoverable(market) == (0, 0)
        available = remittance.available(market.cooperative)
        assert (available.of("COLLECTIVE", market.village), available.fund_fen) == (2_112, 4_224)
        assert [each.detail for each in books.check() if not each.ok] == []
    with clock.travel(clock.now() + timedelta(days=50)):
        assert not period_close.checklist(period).broken


def test_what_a_refund_took_between_approval_and_the_banks_slip_is_recoverable(app: Flask) -> None:
    market = earning()
    village, fund = propose(market, "COLLECTIVE", 1_800, "v"), propose(market, "FUND", 1_000, "f")
    approve(village, market)
    approve(fund, market)
    refunded(settled(market, 10_000), 10_000)
    with transaction():
        event.refund_after_settlement(
            book=market.cooperative, source=Source("refund", 99), revenue_fen=0, freight_fen=0, collectives={market.village: 500},
            fund_fen=400, pools={},
        )  # fmt: skip
    paid(village, market)
    paid(fund, market)
    assert recoverable(market) == (500, 200)
    assert balance.held("village_collective", market.cooperative, f"village:{market.village}") == balance.held("relief_fund", market.cooperative) == 0
    assert [each.rule for each in books.check() if each.rule == "nobody_owes_what_cannot_be_owed" and not each.ok] == []


def test_a_refund_of_one_village_leaves_nothing_of_anothers_to_the_cooperative(app: Flask) -> None:
    """Two villages have ¥18.00 each; the first is paid, and its order goes back over the bank: the second's is still the second's."""
    market = builders.market()
    other = replace(market, village=builders.village())
    order_id = settled(market, 30_000)
    settled(other, 30_000)
    with transaction():
        event.withdrawn(book=market.cooperative, source=Source("withdrawal", 1), fen=60_000)
    remitted(market, "COLLECTIVE", 1_800)
    refund_id = refunded(order_id, 30_000)
    with transaction():
        event.refund_succeeded(book=market.cooperative, source=Source("refund", refund_id), fen=30_000, channel="bank")
    available = remittance.available(market.cooperative)
    # In the bank ¥282.00; of it ¥60.00 the households', ¥12.00 the fund's and ¥18.00 the other village's.
    assert (available.bank_fen, available.others_fen, available.own_fen) == (28_200, 9_000, 19_200)
    remitted(market, "REVENUE", 19_200)
    remitted(other, "COLLECTIVE", 1_800)
    assert balance.held("bank", market.cooperative) == 6_000 + 1_200


@pytest.mark.both
@pytest.mark.parametrize("kind", ["COLLECTIVE", "FUND", "REVENUE"])
def test_what_the_bank_did_counts_for_its_day_though_it_is_told_later(app: Flask, kind: str) -> None:
    """Carried out on 31 January and recorded on 2 February: the end of January is what the statement says."""
    with clock.travel(clock.beijing_midnight(date(2026, 1, 28))):
        market = earning()
        row = propose(market, kind, 1_000)
        approve(row, market)
    with clock.travel(clock.beijing_midnight(date(2026, 2, 2))):
        transaction(lambda: remittance.record_paid(row.id, paid_on=date(2026, 1, 31), bank_serial="WY0131", actor=market.accountant, version=2))
        ours = [reconciliation.position(market.cooperative, "bank", date(2026, *day)).ours_fen for day in ((1, 30), (1, 31), (2, 2))]
        assert ours == [30_000, 29_000, 29_000]
        assert {each.period for each in of_source("remittance", row.id)} == {"2026-02"}
    assert books_hold()
