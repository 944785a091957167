"""The event table, a story a row, in the order of the table: what each event writes into the account book.

Amounts are yuan in the book and fen in the call. A debit is what the account receives, a credit what it gives. That the domain posts
the right event with the right amount is told through its own doors, by the test that ``DOORS`` names for each kind of entry.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import literal, select

from marketplace.foundation.database import db, transaction
from marketplace.ledger import balance, event, posting, share_event
from marketplace.ledger.entry import JournalEntry
from marketplace.ledger.posting import Source
from tests.ledger import account_book
from tests.ledger.account_book import read

pytestmark = pytest.mark.both

GROUP, VILLAGE, OTHER_VILLAGE = 12, 7, 8
LI, WANG, ZHANG = 101, 102, 103  # households

FOUND = {"test_what_was_recorded_as_not_paid_and_was_is_corrected_by_two_people": ("payout_found",), "test_what_was_paid_twice_and_came_back_is_not_paid_a_third_time": ("payout_found_back",)}
LOST = {"test_what_went_twice_and_no_order_holds_is_borne_by_two_peoples_word": ("refund_lost",)}
# Where what a person or a job does is followed to the entry's lines, for each kind of entry there is.
DOORS = {
    "stories/test_event_doors.py": {
        "test_a_public_order_is_paid_twice_and_cancelled": ("alipay_paid", "alipay_unapplied", "unapplied_refund_approved", "refund_approved", "refund_succeeded"),
        "test_a_card_pays_twice": ("stripe_paid", "stripe_unapplied"),
        "test_a_unit_accepts_first_and_pays_then_and_the_match_is_undone": ("accepted_on_credit", "receivable_cut", "bank_received", "matched_receivable", "reversed"),
        "test_a_unit_pays_first_and_is_sent_too_little": ("matched_prepaid",),
        "test_a_payment_turns_out_to_be_none_after_the_split_and_is_made_again": ("divided_unpaid", "matched_divided"),
        "test_late_interest_is_due_and_paid": ("interest_due", "interest_paid", "interest_waived"),
        "test_money_of_nobody_goes_back_or_stands_outside": ("unrelated_row",),
        "test_money_is_withdrawn_and_the_bill_tells_of_fees": ("withdrawn", "fee", "fee_reversed"),
        "test_what_is_the_villages_the_funds_and_the_cooperatives_own_leaves_the_bank": ("collective_paid", "fund_remitted", "fund_received", "revenue_taken_out"),
        "test_what_village_and_fund_had_of_a_refunded_order_is_taken_from_what_they_get_next": (
            "collective_recovered", "collective_recovery_undone", "fund_recovered", "fund_recovery_undone",
        ),
        "test_the_fund_gives_back_what_the_bank_shows": ("fund_given_back", "fund_sent_back"),
        "test_what_nobody_claimed_goes_to_the_fund_and_comes_back_when_the_fund_holds_it": ("unclaimed_to_fund", "unclaimed_back"),
        "test_a_pool_that_paid_out_gets_back_what_was_refunded_from_what_is_sold_later": (
            "distributed", "refund_after_settlement", "settled", "recovered", "recovery_undone",
        ),
    },
    "settlement/test_payout_many.py": {"test_a_results_file_is_one_entry_for_each_thing_that_it_says": ("payout_sent", "payout_debited", "payout_refused", "payout_returned")},
    "settlement/test_payout_unknown.py": {"test_what_was_never_made_is_reversed_by_two_people": ("payout_unmade",)}, "settlement/test_payout_found.py": FOUND, "payments/test_refund_loss.py": LOST,
    "settlement/test_household_change.py": {
        "test_a_household_divides_with_its_people_shares_and_old_credit": ("credit_divided",),
        "test_a_household_of_the_register_inherits_the_credit_of_one_that_died": ("credit_inherited",),
    },
}  # fmt: skip


def test_every_kind_of_entry_is_told_through_the_domains_own_door() -> None:
    tests = Path(__file__).parents[1]
    named = [kind for file in DOORS.values() for kinds in file.values() for kind in kinds]
    posted = set[str]()
    for module in (event, share_event, posting):
        posted |= set(re.findall(r'(?:between|moved|_each|Movement|Draft)\(\s*(?:kind=)?"(\w+)"|\bkind="(\w+)"', Path(module.__file__).read_text()))
    kinds = {kind for pair in posted for kind in pair if kind} | {"credit_divided", "reversed"}  # these two are chosen there
    assert sorted(named) == sorted(kinds)
    for path, its in DOORS.items():
        source = (tests / path).read_text()
        for name, kinds_there in its.items():
            body = source.split(f"def {name}(")[1].split("\ndef ")[0]
            assert [kind for kind in kinds_there if f'"{kind}"' not in body] == [], f"{path}::{name}"


@pytest.fixture
def book(app: Flask) -> Iterator[int]:
    """A cooperative's empty book, open for writing."""
    books = account_book.opened()
    with transaction():
        yield books.cooperative


def test_alipay_pays(book: int) -> None:
    entry = event.alipay_paid(book=book, source=Source("payment", 1), fen=12_800)
    assert read(entry) == "debit  alipay 128.00\ncredit buyer_funds 128.00"


def test_stripe_pays(book: int) -> None:
    entry = event.stripe_paid(book=book, source=Source("payment", 1), fen=12_800)
    assert read(entry) == "debit  stripe 128.00\ncredit buyer_funds 128.00"


def test_stripe_pays_late_or_twice(book: int) -> None:
    entry = event.stripe_unapplied(book=book, source=Source("payment", 1), fen=12_800)
    assert read(entry) == "debit  stripe 128.00\ncredit unapplied 128.00"


def test_alipay_pays_late_or_twice(book: int) -> None:
    entry = event.alipay_unapplied(book=book, source=Source("payment", 1), fen=12_800)
    assert read(entry) == "debit  alipay 128.00\ncredit unapplied 128.00"


def test_a_bank_receipt_is_imported(book: int) -> None:
    entry = event.bank_received(book=book, source=Source("bank_receipt", 1), fen=500_000)
    assert read(entry) == "debit  bank 5000.00\ncredit unapplied 5000.00"


def test_a_receipt_is_matched_to_what_is_paid_first(book: int) -> None:
    entry = event.matched_prepaid(book=book, source=Source("bank_match", 1), fen=500_000)
    assert read(entry) == "debit  unapplied 5000.00\ncredit buyer_funds 5000.00"


def test_goods_are_accepted_before_they_are_paid(book: int) -> None:
    entry = event.accepted_on_credit(book=book, source=Source("acceptance", 1), fen=480_000)
    assert read(entry) == "debit  receivable 4800.00\ncredit accepted_unpaid 4800.00"


def test_a_receipt_is_matched_to_a_receivable(book: int) -> None:
    """The receivable is paid and what was accepted becomes the buyer's money, in one entry."""
    entry = event.matched_receivable(book=book, source=Source("bank_match", 1), fen=480_000)
    assert read(entry) == "debit  unapplied 4800.00\ndebit  accepted_unpaid 4800.00\ncredit receivable 4800.00\ncredit buyer_funds 4800.00"


def test_what_an_order_was_divided_on_did_not_pay_it_and_then_it_is_paid(book: int) -> None:
    """Its shares were divided once; only the cooperative waited for its money."""
    entry = event.divided_unpaid(book=book, source=Source("match_undo", 1), fen=480_000)
    assert read(entry) == "debit  receivable 4800.00\ncredit unapplied 4800.00"
    entry = event.matched_divided(book=book, source=Source("bank_match", 1), fen=480_000)
    assert read(entry) == "debit  unapplied 4800.00\ncredit receivable 4800.00"


def test_the_price_is_cut_or_goods_come_back_while_unpaid(book: int) -> None:
    entry = event.receivable_cut(book=book, source=Source("return_request", 1), fen=20_000)
    assert read(entry) == "debit  accepted_unpaid 200.00\ncredit receivable 200.00"


def test_an_order_settles(book: int) -> None:
    """128.00 of goods at 78 / 15 / 4 / 3 percent, and 10.00 of freight, which nobody shares."""
    entry = event.settled(
        book=book, source=Source("order", 1), scheme_version_id=3, period="2020-11",
        revenue_fen=9_984, freight_fen=1_000, pools={GROUP: 1_920}, collectives={VILLAGE: 300, OTHER_VILLAGE: 212}, fund_fen=384,
    )  # fmt: skip
    assert read(entry) == (
        "debit  buyer_funds 138.00\n"
        "credit revenue 99.84\n"
        "credit freight 10.00\n"
        "credit household_pool linkage_group:12 19.20\n"
        "credit village_collective village:7 3.00\n"
        "credit village_collective village:8 2.12\n"
        "credit relief_fund 3.84"
    )
    kept = db.session.get_one(JournalEntry, entry)
    assert (kept.scheme_version_id, kept.period, kept.n_lines, kept.gross) == (3, "2020-11", 7, 13_800)


def test_a_refund_is_approved_before_settlement(book: int) -> None:
    entry = event.refund_approved(book=book, source=Source("refund", 1), fen=12_800)
    assert read(entry) == "debit  buyer_funds 128.00\ncredit refunds_payable 128.00"


def test_a_refund_is_approved_after_settlement(book: int) -> None:
    """Each share is taken back. The pool holds 15.00 of its 19.20: it pays down to zero, the rest waits; no household owes."""
    entry = event.refund_after_settlement(
        book=book, source=Source("refund", 1), revenue_fen=9_984, freight_fen=1_000,
        collectives={VILLAGE: 512}, fund_fen=384, pools={GROUP: (1_500, 420)},
    )  # fmt: skip
    assert read(entry) == (
        "debit  revenue 99.84\n"
        "debit  freight 10.00\n"
        "debit  household_pool linkage_group:12 15.00\n"
        "debit  village_collective village:7 5.12\n"
        "debit  relief_fund 3.84\n"
        "debit  pool_recoverable linkage_group:12 4.20\n"
        "credit refunds_payable 138.00"
    )


def test_a_refund_takes_what_collective_and_fund_were_paid_already(book: int) -> None:
    """The collective holds 1.12 of its 5.12 and the fund nothing: what is missing waits for what they get later."""
    entry = event.refund_after_settlement(
        book=book, source=Source("refund", 1), revenue_fen=9_984, freight_fen=0, collectives={VILLAGE: 112}, fund_fen=0, pools={},
        villages_beyond={VILLAGE: 400}, fund_beyond_fen=384,
    )  # fmt: skip
    taken = ("revenue 99.84", "village_collective village:7 1.12", "village_recoverable village:7 4.00", "fund_recoverable 3.84")
    assert read(entry).splitlines() == [*(f"debit  {each}" for each in taken), "credit refunds_payable 108.80"]


def test_a_collectives_and_the_funds_later_share_make_good_a_refund(book: int) -> None:
    entry = share_event.collective_recovered(book=book, source=Source("remittance", 1), village_id=VILLAGE, fen=400)
    assert read(entry) == "debit  village_collective village:7 4.00\ncredit village_recoverable village:7 4.00"
    entry = share_event.fund_recovered(book=book, source=Source("remittance", 2), fen=384)
    assert read(entry) == "debit  relief_fund 3.84\ncredit fund_recoverable 3.84"


def test_what_they_had_made_good_for_a_refund_that_failed_goes_back(book: int) -> None:
    entry = share_event.collective_recovery_undone(book=book, source=Source("refund", 1, VILLAGE), village_id=VILLAGE, fen=400)
    assert read(entry) == "debit  village_recoverable village:7 4.00\ncredit village_collective village:7 4.00"
    entry = share_event.fund_recovery_undone(book=book, source=Source("refund", 1), fen=384)
    assert read(entry) == "debit  fund_recoverable 3.84\ncredit relief_fund 3.84"


def test_an_over_or_late_payment_goes_back(book: int) -> None:
    entry = event.unapplied_refund_approved(book=book, source=Source("refund", 1), fen=12_800)
    assert read(entry) == "debit  unapplied 128.00\ncredit refunds_payable 128.00"


@pytest.mark.parametrize("channel", ["alipay", "stripe", "bank"])
def test_a_refund_succeeds(book: int, channel: str) -> None:
    entry = event.refund_succeeded(book=book, source=Source("refund", 1), fen=12_800, channel=channel)
    assert read(entry) == f"debit  refunds_payable 128.00\ncredit {channel} 128.00"


def test_a_refund_is_recovered_in_a_later_period(book: int) -> None:
    entry = share_event.recovered(
        book=book, source=Source("recovery", 1), group_id=GROUP, fen=420, period="2020-12"
    )
    assert read(entry) == (
        "debit  household_pool linkage_group:12 4.20\n"
        "credit pool_recoverable linkage_group:12 4.20"
    )  # fmt: skip
    assert db.session.get_one(JournalEntry, entry).period == "2020-12"


def test_what_was_recovered_for_a_refund_that_failed_goes_back(book: int) -> None:
    entry = share_event.recovery_undone(book=book, source=Source("refund", 1, GROUP), group_id=GROUP, fen=420)
    assert read(entry) == (
        "debit  pool_recoverable linkage_group:12 4.20\n"
        "credit household_pool linkage_group:12 4.20"
    )  # fmt: skip


def test_the_provider_takes_its_fee(book: int) -> None:
    entry = event.fee(book=book, source=Source("bill_row", 1), fen=77)
    assert read(entry) == "debit  fees 0.77\ncredit alipay 0.77"
    entry = event.fee(book=book, source=Source("payment", 1), fen=77, channel="stripe")
    assert read(entry) == "debit  fees 0.77\ncredit stripe 0.77"


def test_the_provider_gives_its_fee_back(book: int) -> None:
    entry = event.fee_reversed(book=book, source=Source("bill_row", 2), fen=77)
    assert read(entry) == "debit  alipay 0.77\ncredit fees 0.77"


def test_money_is_withdrawn_from_alipay_to_the_bank(book: int) -> None:
    entry = event.withdrawn(book=book, source=Source("withdrawal", 1), fen=1_000_000)
    assert read(entry) == "debit  bank 10000.00\ncredit alipay 10000.00"


def test_late_interest_is_due(book: int) -> None:
    entry = event.interest_due(book=book, source=Source("late_interest", 1), fen=2_400)
    assert read(entry) == "debit  receivable 24.00\ncredit interest 24.00"


def test_late_interest_is_paid_and_what_is_left_of_it_waived(book: int) -> None:
    due = event.interest_due(book=book, source=Source("late_interest", 1), fen=2_400)
    assert read(event.interest_paid(book=book, source=Source("bank_match", 1), fen=2_300)) == "debit  unapplied 23.00\ncredit receivable 23.00"
    assert read(event.interest_waived(book=book, source=Source("late_interest", 1), fen=100, reverses_id=due)) == "debit  interest 1.00\ncredit receivable 1.00"


def test_a_period_is_distributed(book: int) -> None:
    entry = share_event.distributed(
        book=book,
        source=Source("distribution", 1),
        group_id=GROUP,
        period="2020-11",
        households=[(LI, 1_000), (WANG, 620), (ZHANG, 300)],
    )
    assert read(entry) == (
        "debit  household_pool linkage_group:12 19.20\n"
        "credit household household:101 10.00\n"
        "credit household household:102 6.20\n"
        "credit household household:103 3.00"
    )


def test_a_payout_is_sent(book: int) -> None:
    entry = share_event.payout_sent(
        book=book, source=Source("payout_batch", 1), households=[(LI, 1_000), (WANG, 620)]
    )
    assert read(entry) == (
        "debit  household household:101 10.00\n"
        "debit  household household:102 6.20\n"
        "credit in_transit 16.20"
    )  # fmt: skip


def test_what_nobody_claimed_goes_to_the_fund_and_back_to_who_turns_up(book: int) -> None:
    households = select(literal(WANG).label("household"), literal(620).label("fen"))
    entry = share_event.credited_to_fund(book=book, source=Source("unclaimed", 1), households=households)
    assert read(entry) == "credit relief_fund 6.20\ndebit  household household:102 6.20"
    entry = share_event.unclaimed_back(book=book, source=Source("unclaimed_return", 1), household_id=WANG, fen=620)
    assert read(entry) == "debit  relief_fund 6.20\ncredit household household:102 6.20"


def test_a_household_divides_with_its_credit(book: int) -> None:
    entry = share_event.credit_divided(book=book, source=Source("household_change", 1), household_id=WANG, other_id=LI, fen=155)
    assert read(entry) == "debit  household household:102 1.55\ncredit household household:101 1.55"


@pytest.mark.parametrize("channel", ["bank", "alipay"])
def test_a_payout_is_debited(book: int, channel: str) -> None:
    entry = share_event.payout_debited(book=book, source=Source("payout_batch", 1), fen=1_620, channel=channel)
    assert read(entry) == f"debit  in_transit 16.20\ncredit {channel} 16.20"


def test_a_payout_is_refused_before_anything_was_debited(book: int) -> None:
    entry = share_event.payout_refused(book=book, source=Source("payout_item", 2), households=[(WANG, 620)])
    assert read(entry) == "debit  in_transit 6.20\ncredit household household:102 6.20"


@pytest.mark.parametrize("channel", ["bank", "alipay"])
def test_a_payout_is_credited_back_after(book: int, channel: str) -> None:
    entry = share_event.payout_returned(book=book, source=Source("payout_item", 2), households=[(WANG, 620)], channel=channel)
    assert read(entry) == f"debit  {channel} 6.20\ncredit household household:102 6.20"


def test_a_payout_that_was_never_made_is_taken_back(book: int) -> None:
    debit = share_event.payout_debited(book=book, source=Source("payout_batch", 1), fen=1_620)
    entry = share_event.payout_unmade(book=book, source=Source("payout_reversal", 1), household_id=WANG, fen=620, reverses_id=debit)
    assert read(entry) == "debit  bank 6.20\ncredit household household:102 6.20"


def test_a_collective_is_paid(book: int) -> None:
    entry = share_event.collective_paid(
        book=book, source=Source("collective_payment", 1), village_id=VILLAGE, fen=512
    )
    assert read(entry) == "debit  village_collective village:7 5.12\ncredit bank 5.12"
    # A refund took 2.00 of it after the bank was told to pay: that is recoverable.
    entry = share_event.collective_paid(book=book, source=Source("collective_payment", 2), village_id=VILLAGE, fen=512, beyond_fen=200)
    assert read(entry) == "debit  village_collective village:7 3.12\ndebit  village_recoverable village:7 2.00\ncredit bank 5.12"


def test_the_fund_is_remitted_to_its_holder_and_gives_back(app: Flask) -> None:
    """One entry in each book, under one number: the cooperative owes no longer, the holder keeps it for whom it is meant."""
    books = account_book.opened()
    with transaction():
        ours, theirs = share_event.fund_remitted(book=books.cooperative, holder_book=books.holder, source=Source("fund_remittance", 1), fen=384)
    assert [read(ours), read(theirs)] == ["debit  relief_fund 3.84\ncredit bank 3.84", "debit  bank 3.84\ncredit relief_fund 3.84"]
    in_each = [db.session.get_one(JournalEntry, number) for number in (ours, theirs)]
    assert [(row.book, row.source_type, row.source_id) for row in in_each] == [(book, "fund_remittance", 1) for book in (books.cooperative, books.holder)]
    with transaction():
        back, given = share_event.fund_given_back(book=books.cooperative, holder_book=books.holder, source=Source("fund_return", 1), fen=120)
    assert [read(back), read(given)] == ["debit  bank 1.20\ncredit relief_fund 1.20", "debit  relief_fund 1.20\ncredit bank 1.20"]


def test_the_cooperative_takes_its_revenue_out(book: int) -> None:
    entry = event.revenue_taken_out(book=book, source=Source("bank_row", 1), fen=900_000)
    assert read(entry) == "debit  outside 9000.00\ncredit bank 9000.00"


def test_an_unrelated_payment_stands_on_the_statement(book: int) -> None:
    entry = event.unrelated_row(book=book, source=Source("bank_row", 2), fen=-45_000)
    assert read(entry) == "debit  outside 450.00\ncredit bank 450.00"


def test_an_unrelated_receipt_stands_on_the_statement(book: int) -> None:
    entry = event.unrelated_row(book=book, source=Source("bank_row", 3), fen=45_000)
    assert read(entry) == "debit  bank 450.00\ncredit outside 450.00"


def test_from_the_cashier_to_the_household_and_back(book: int) -> None:
    """The rows one after another: after every step the book says who is owed what."""
    event.alipay_paid(book=book, source=Source("payment", 1), fen=10_000)
    event.settled(
        book=book, source=Source("order", 1), scheme_version_id=1,
        revenue_fen=7_500, freight_fen=0, pools={GROUP: 2_000}, collectives={VILLAGE: 300}, fund_fen=200,
    )  # fmt: skip
    event.fee(book=book, source=Source("bill_row", 1), fen=60)
    event.withdrawn(book=book, source=Source("withdrawal", 1), fen=9_940)
    share_event.distributed(
        book=book, source=Source("distribution", 1), group_id=GROUP, households=[(LI, 1_200), (WANG, 800)]
    )
    share_event.payout_sent(book=book, source=Source("payout_batch", 1), households=[(LI, 1_200), (WANG, 800)])
    share_event.payout_refused(book=book, source=Source("payout_item", 2), households=[(WANG, 800)])
    share_event.payout_debited(book=book, source=Source("payout_batch", 1), fen=1_200)
    share_event.collective_paid(book=book, source=Source("collective_payment", 1), village_id=VILLAGE, fen=300)
    event.refund_after_settlement(
        book=book,
        source=Source("refund", 1),
        revenue_fen=750,
        freight_fen=0,
        collectives={},
        fund_fen=20,
        pools={GROUP: (0, 200)},
    )
    event.refund_succeeded(book=book, source=Source("refund", 1), fen=970, channel="bank")
    assert balance.by_kind(book) == {
        "alipay": 0,
        "bank": 7_470,  # 99.40 withdrawn − 12.00 to Li − 3.00 to the village − 9.70 refunded
        "buyer_funds": 0,
        "fees": 60,
        "household": 800,  # Wang's, which the bank refused
        "household_pool": 0,
        "in_transit": 0,
        "pool_recoverable": 200,
        "refunds_payable": 0,
        "relief_fund": 180,
        "revenue": 6_750,
        "village_collective": 0,
    }
    assert balance.by_owner("household", book) == {"household:101": 0, "household:102": 800}
