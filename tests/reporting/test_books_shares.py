"""From a settled order to the households: a small honest month breaks nothing, and each rule is broken once and named."""

from typing import Any

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import transaction
from marketplace.ledger import event, movement, share_event
from marketplace.ledger.posting import Source
from marketplace.orders.order import Order
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund
from marketplace.payments.transfer import Transfer
from marketplace.reporting import books, books_shares
from marketplace.settlement.distribution import Distribution, DistributionGroup, DistributionShare
from marketplace.settlement.payout_batch import PayoutItem
from marketplace.settlement.settlement import Settlement, SettlementLine
from marketplace.settlement.taken_back import TakenBack
from tests.ledger import account_book
from tests.reporting import planted

GROUP, VILLAGE = 12, 7
LI, WANG, ZHANG = 101, 102, 103  # households


pytestmark = pytest.mark.both


@pytest.fixture
def book(app: Flask) -> int:
    """One order of 100.00 and 5.00 freight, settled; the pool's 20.00 distributed; Li paid, Wang refused, Zhang on the way.

    Then 10.00 of the order came back after all, 2.00 of it from a pool that holds nothing any more.
    """
    opened = account_book.opened()
    book, now = opened.cooperative, clock.now()
    planted.row(
        Order, id=1, organisation_id=book, kind="PUBLIC", fulfilment="RECEIVED", payment="PAID", goods_fen=10_000, freight_fen=500,
        total_fen=10_500, paid_fen=10_500, refunded_fen=1_000, settled_at=now,
    )  # fmt: skip
    planted.row(
        Payment, id=1, organisation_id=book, payable_kind="order", payable_id=1, channel="alipay", state="succeeded",
        amount_fen=10_500, refunded_fen=1_000,
    )  # fmt: skip
    with transaction():
        event.alipay_paid(book=book, source=Source("payment", 1), fen=10_500)
        settled = event.settled(
            book=book, source=Source("order", 1), scheme_version_id=1,
            revenue_fen=7_500, freight_fen=500, pools={GROUP: 2_000}, collectives={VILLAGE: 300}, fund_fen=200,
        )  # fmt: skip
        entry = share_event.distributed(
            book=book,
            source=Source("distribution", 1),
            group_id=GROUP,
            households=[(LI, 1_200), (WANG, 500), (ZHANG, 300)],
        )
        share_event.payout_sent(
            book=book, source=Source("payout_batch", 1), households=[(LI, 1_200), (WANG, 500), (ZHANG, 300)]
        )
        share_event.payout_debited(book=book, source=Source("payout_item", 1), fen=1_200, channel="alipay")
        share_event.payout_refused(book=book, source=Source("payout_item", 2), households=[(WANG, 500)])
        share_event.collective_paid(book=book, source=Source("payment_to_village", 1), village_id=VILLAGE, fen=200)
        share_event.fund_remitted(book=book, holder_book=opened.holder, source=Source("remittance", 1), fen=150)
        event.refund_after_settlement(
            book=book, source=Source("refund", 1), revenue_fen=750, freight_fen=0,
            collectives={VILLAGE: 30}, fund_fen=20, pools={GROUP: (0, 200)},
        )  # fmt: skip
        event.refund_succeeded(book=book, source=Source("refund", 1), fen=1_000)
    planted.row(Transfer, id=1, organisation_id=book, payable_kind="payout_item", payable_id=1, bundle_id=1, fen=1_200, state="succeeded", made_at=now)
    planted.row(
        Refund,
        id=1,
        organisation_id=book,
        payment_id=1,
        order_id=1,
        fen=1_000,
        state="succeeded",
        approved_at=now,
    )
    shares = {
        "cooperative_fen": 7_500,
        "pool_fen": 2_000,
        "village_fen": 300,
        "fund_fen": 200,
        "base_fen": 10_000,
    }
    planted.row(
        Settlement, id=1, organisation_id=book, order_id=1, freight_fen=500, entry_id=settled, **shares
    )
    planted.row(
        SettlementLine,
        id=1,
        organisation_id=book,
        settlement_id=1,
        linkage_group_id=GROUP,
        village_id=VILLAGE,
        distribution_id=1,
        **shares,
    )
    planted.row(TakenBack, id=1, organisation_id=book, settlement_line_id=1, refund_id=1, cooperative_fen=750, pool_fen=200, village_fen=30, fund_fen=20)
    planted.row(
        Distribution,
        id=1,
        organisation_id=book,
        state="POSTED",
        total_fen=2_000,
        drafted_by_id=1,
        approved_by_id=2,
        posted_at=now,
    )
    planted.row(
        DistributionGroup, id=1, organisation_id=book, distribution_id=1, linkage_group_id=GROUP, pool_fen=2_000,
        patronage_fen=1_200, equity_fen=800, basis="BATCHES", entry_id=entry,
    )  # fmt: skip
    for number, (household, patronage, equity, state) in enumerate(
        [(LI, 1_000, 200, "paid"), (WANG, 200, 300, "returned"), (ZHANG, 0, 300, "sent")], start=1
    ):
        planted.row(
            DistributionShare, id=number, organisation_id=book, distribution_id=1, linkage_group_id=GROUP, household_id=household,
            patronage_fen=patronage, equity_fen=equity, fen=patronage + equity,
        )  # fmt: skip
        planted.row(
            PayoutItem, id=number, organisation_id=book, batch_id=1, sequence=number, household_id=household,
            fen=patronage + equity, state=state,
        )  # fmt: skip
    return book


def broken(rule: Any) -> str:
    """What the rule says, found among all rules by its name."""
    finding = next(each for each in books.check() if each.rule == rule.__name__)
    assert not finding.ok
    return finding.detail


def test_an_honest_month_breaks_no_rule(book: int) -> None:
    assert [finding for finding in books.check() if not finding.ok] == []


def test_a_settlement_that_loses_a_fen(book: int) -> None:
    planted.change("UPDATE settlement SET cooperative_fen = 7499")
    detail = broken(books_shares.settlements_divide_exactly)
    assert detail == "settlement 1: its shares are not its base; settlement 1: its lines do not add up to it"


def test_a_settlement_posted_with_another_amount(book: int) -> None:
    planted.change("UPDATE settlement SET freight_fen = 400")
    assert broken(books_shares.settlements_divide_exactly) == "settlement 1: its entry is not what it says"


def test_a_settlement_without_its_entry(book: int) -> None:
    planted.change("UPDATE settlement SET entry_id = NULL")
    assert broken(books_shares.settlements_divide_exactly) == "settlement 1: its entry is not what it says"


def test_an_order_that_does_not_know_it_is_settled(book: int) -> None:
    planted.change('UPDATE "order" SET settled_at = NULL')
    assert (
        broken(books_shares.settlements_divide_exactly)
        == "order 1: settled in one record and not in the other"
    )


def test_a_pool_that_holds_what_nobody_sold(book: int) -> None:
    planted.change("UPDATE settlement_line SET pool_fen = 1999")
    assert broken(books_shares.pools_add_up) == f"pool {book} linkage_group:12: ledger -200 fen, records -201"


def test_a_refund_that_no_line_bore(book: int) -> None:
    planted.change("UPDATE taken_back SET cooperative_fen = 751, pool_fen = 201, village_fen = 31, fund_fen = 21")
    assert broken(books_shares.refunds_are_counted_to_lines) == (
        f"refunds of pool {book} linkage_group:12: ledger -200 fen, records -201; refunds of collective {book} village:7: ledger -30 fen, records -31; "
        f"refunds of fund of book {book}: ledger -20 fen, records -21; refunds of revenue of book {book}: ledger -750 fen, records -751"
    )


def test_a_payout_that_left_the_households_share(book: int) -> None:
    planted.change("UPDATE payout_item SET fen = 1100 WHERE id = 1")
    assert "ledger 1700 fen, records 1800" in broken(books_shares.households_share_is_accounted_for)
    assert f"owed to {book} household:101: ledger 0 fen, records 100" in broken(
        books_shares.households_are_owed_what_was_not_paid
    )


def test_an_answer_of_the_bank_that_was_not_posted(book: int) -> None:
    planted.change("UPDATE payout_item SET state = 'paid' WHERE id = 3")
    assert "in transit of book" in broken(books_shares.households_are_owed_what_was_not_paid)


def test_a_collective_that_got_too_little(book: int) -> None:
    planted.change("UPDATE settlement_line SET village_fen = 301")
    assert (
        broken(books_shares.collectives_add_up) == f"collective {book} village:7: ledger 70 fen, records 71"
    )


def test_a_fund_that_got_too_much(book: int) -> None:
    planted.change("UPDATE settlement SET fund_fen = 199")
    assert broken(books_shares.fund_adds_up) == f"fund of book {book}: ledger 30 fen, records 29"


def test_a_remittance_that_only_one_book_knows(book: int) -> None:
    with transaction():
        movement.between("fund_remitted", book, Source("remittance", 2), 30, "relief_fund", "bank", None)
    assert broken(books_shares.fund_adds_up) == "the fund: 180 fen remitted, 150 received"


def test_a_distribution_whose_groups_are_not_its_total(book: int) -> None:
    planted.change("UPDATE distribution SET total_fen = 2001")
    assert broken(books_shares.distributions_are_exact) == "distribution 1: its groups are not its total"


def test_a_share_that_changed_after_the_draft(book: int) -> None:
    planted.change("UPDATE distribution_share SET patronage_fen = 1001, fen = 1201 WHERE id = 1")
    assert broken(books_shares.distributions_are_exact) == "distribution group 1: its shares are not its sum"


def test_a_distribution_posted_with_another_amount(book: int) -> None:
    planted.change("UPDATE distribution_group SET entry_id = 1")
    assert (
        broken(books_shares.distributions_are_exact) == "distribution group 1: its entry is not what it says"
    )


def test_a_draft_owes_nobody_anything(book: int) -> None:
    planted.row(
        Distribution,
        id=2,
        organisation_id=book,
        period="2020-12",
        state="DRAFTED",
        total_fen=10,
        drafted_by_id=1,
    )
    planted.row(
        DistributionGroup, id=2, organisation_id=book, distribution_id=2, linkage_group_id=GROUP, pool_fen=10,
        patronage_fen=10, equity_fen=0, basis="BATCHES",
    )  # fmt: skip
    planted.row(
        DistributionShare, id=9, organisation_id=book, distribution_id=2, linkage_group_id=GROUP, household_id=LI,
        patronage_fen=10, equity_fen=0, fen=10,
    )  # fmt: skip
    assert [finding for finding in books.check() if not finding.ok] == []
