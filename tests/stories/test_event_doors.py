"""The event table through the domain's own doors: what a person or a job does, and the entry that it must write, line by line.

``test_event_table`` says which test stands for each row. Here: whatever no other story reads in the account book.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.ledger import balance, event
from marketplace.ledger.entry import JournalEntry
from marketplace.ledger.posting import Source
from marketplace.orders import cancellation, order_payment
from marketplace.orders.order import Order
from marketplace.organisations.organisation import Cooperative
from marketplace.payments import bank_match, bank_refund, bill_import, match_undo, withdrawal
from marketplace.payments import payment as payments
from marketplace.payments import refund as refunds
from marketplace.payments.alipay_outcome import Bill, BillRow
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund
from marketplace.procurement import late_interest, price_cut
from marketplace.settlement import fund_return, settlement, unclaimed_return
from tests import builders
from tests.ledger.account_book import read
from tests.orders import trade
from tests.payments import statement
from tests.payments.test_receipt_return import agreed, decided
from tests.payments.test_stripe import takes_cards
from tests.procurement.test_late_interest import accepted, claim
from tests.procurement.unit_market import accept, confirmed, match, order_of, receipt, ship, unit_market
from tests.settlement.test_distribution import after_notice, post, published
from tests.settlement.test_recovery import refunded, settled
from tests.settlement.test_remittance import approve, earning, paid, propose
from tests.settlement.test_unclaimed import LATER, moved, waiting

pytestmark = pytest.mark.both


class Written:
    """What came into the books within a block: the kind of each entry and its lines, in order."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, list[str]]] = []

    def __eq__(self, other: object) -> bool:
        return [(kind, sorted(lines)) for kind, lines in self.entries] == [(kind, sorted(lines)) for kind, *lines in other]  # type: ignore[attr-defined]

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr([(kind, *lines) for kind, lines in self.entries])


@contextmanager
def written() -> Iterator[Written]:
    known, found = db.session.scalar(select(func.coalesce(func.max(JournalEntry.id), 0))), Written()
    db.session.rollback()
    yield found
    db.session.rollback()
    rows = db.session.scalars(select(JournalEntry).where(JournalEntry.id > known).order_by(JournalEntry.id)).all()
    found.entries = [(row.kind, read(row.id).splitlines()) for row in rows]


def test_a_public_order_is_paid_twice_and_cancelled(app: Flask) -> None:
    market, buyer = builders.market(), builders.customer()
    (order_id,) = trade.placed(buyer, (market.pack, 2))
    (first,), (second,) = trade.opened([order_id]), trade.opened([order_id])
    with written() as once:
        transaction(lambda: payments.apply(trade.succeeded(first)))
    assert once == [("alipay_paid", "debit  alipay 176.00", "credit buyer_funds 176.00")]
    with written() as twice:
        transaction(lambda: payments.apply(trade.succeeded(second)))
    assert twice == [("alipay_unapplied", "debit  alipay 176.00", "credit unapplied 176.00"), ("unapplied_refund_approved", "debit  unapplied 176.00", "credit refunds_payable 176.00")]
    with written() as gone:
        transaction(lambda: cancellation.cancel(order_id, actor=buyer))
    assert gone == [("refund_approved", "debit  buyer_funds 176.00", "credit refunds_payable 176.00")]
    numbers = list(db.session.scalars(select(Refund.id).order_by(Refund.id)))
    with written() as sent:
        for number in numbers:
            transaction(lambda number=number: refunds.succeed(number))  # type: ignore[misc]
    assert sent == [("refund_succeeded", "debit  refunds_payable 176.00", "credit alipay 176.00")] * 2
    with written() as again:
        assert [transaction(lambda number=number: refunds.succeed(number)) for number in numbers] == [False, False]  # type: ignore[misc]
    assert again == []


def test_a_card_pays_twice(app: Flask) -> None:
    market = builders.market()
    takes_cards(market)
    (order_id,) = trade.placed(builders.customer(), (market.pack, 1))
    first, second = (transaction(lambda key=key: order_payment.open_for_orders([order_id], key=key, channel="stripe")[0].id) for key in "ab")  # type: ignore[misc]
    with written() as once:
        transaction(lambda: payments.apply(trade.succeeded(first)))
    assert once == [("stripe_paid", "debit  stripe 96.00", "credit buyer_funds 96.00")]
    with written() as twice:
        transaction(lambda: payments.apply(trade.succeeded(second)))
    paid_back = ("unapplied_refund_approved", "debit  unapplied 96.00", "credit refunds_payable 96.00")
    assert twice == [("stripe_unapplied", "debit  stripe 96.00", "credit unapplied 96.00"), paid_back]


def test_a_pool_that_paid_out_gets_back_what_was_refunded_from_what_is_sold_later(app: Flask) -> None:
    market = builders.market()
    order_id = settled(market, 30_000)
    pool, collective = f"household_pool linkage_group:{market.group}", f"village_collective village:{market.village}"
    recoverable, (first, second, third) = f"pool_recoverable linkage_group:{market.group}", market.households
    row = published(market)
    with written() as credited, clock.travel(after_notice(row)):
        post(row, market)
    assert credited == [("distributed", f"debit  {pool} 60.00", *(f"credit household household:{each} {n}0.00" for n, each in ((1, first), (2, second), (3, third))))]
    with written() as taken_back:
        refund_id = refunded(order_id, 3_000)
    lines = ("debit  revenue 21.00", f"debit  {recoverable} 6.00", f"debit  {collective} 1.80", "debit  relief_fund 1.20", "credit refunds_payable 30.00")
    assert taken_back == [("refund_after_settlement", *lines)]
    with written() as sold_on:
        settled(market, 6_000)
    lines = ("credit revenue 42.00", f"credit {pool} 12.00", f"credit {collective} 3.60", "credit relief_fund 2.40")
    assert sold_on == [("alipay_paid", "debit  alipay 60.00", "credit buyer_funds 60.00"), ("settled", "debit  buyer_funds 60.00", *lines)]
    row = published(market)
    with written() as recovered, clock.travel(after_notice(row)):
        post(row, market)
    # A fifth of the ¥12.00 at most.
    assert recovered.entries[0] == ("recovered", [f"debit  {pool} 2.40", f"credit {recoverable} 2.40"])
    assert [kind for kind, _lines in recovered.entries] == ["recovered", "distributed"]
    with transaction():  # as the order's own door would have written beside the refund
        refund = db.session.get_one(Refund, refund_id)
        db.session.get_one(Payment, refund.payment_id).refunded_fen = db.session.get_one(Order, order_id).refunded_fen = refund.fen
    with written() as undone:
        transaction(lambda: refunds.fail(refund_id, "ACQ.SELLER_BALANCE_NOT_ENOUGH"))
    # The refund's entry, negated; and what was recovered for it is the pool's again.
    assert [kind for kind, _lines in undone.entries] == ["reversed", "recovery_undone"]
    assert undone.entries[1][1] == [f"debit  {recoverable} 2.40", f"credit {pool} 2.40"]


def test_a_unit_accepts_first_and_pays_then_and_the_match_is_undone(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at)
    ship(at, made, 10)
    with written() as arrived:
        accept(at, made, 10)
    assert arrived == [("accepted_on_credit", "debit  receivable 800.00", "credit accepted_unpaid 800.00")]
    with written() as cut:
        number = transaction(lambda: price_cut.ask(order_of(made).id, 5_000, "一罐瘪了", actor=at.buyer, key="c"))
        transaction(lambda: price_cut.decide(number, version=1, approved=True, actor=at.market.director))
    assert cut == [("receivable_cut", "debit  accepted_unpaid 50.00", "credit receivable 50.00")]
    with written() as came:
        row = receipt(at, 75_000)
    assert came == [("bank_received", "debit  bank 750.00", "credit unapplied 750.00")]
    with written() as matched:
        match_id = match(at, row, made, 75_000)
    lines = ("debit  unapplied 750.00", "debit  accepted_unpaid 750.00", "credit receivable 750.00", "credit buyer_funds 750.00")
    assert matched == [("matched_receivable", *lines)]
    with written() as undone:
        asked = transaction(lambda: match_undo.ask(match_id, "对错了单", actor=at.market.accountant))
        transaction(lambda: match_undo.decide(asked.id, version=1, approved=True, actor=at.market.director))
    # The entry of the match, negated.
    back = ("credit unapplied 750.00", "credit accepted_unpaid 750.00", "debit  receivable 750.00", "debit  buyer_funds 750.00")
    assert undone == [("reversed", *back)]


def test_a_unit_pays_first_and_is_sent_too_little(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, terms="PREPAY")
    row = receipt(at, 80_000)
    with written() as matched:
        match(at, row, made, 80_000)
    assert matched == [("matched_prepaid", "debit  unapplied 800.00", "credit buyer_funds 800.00")]
    ship(at, made, 8)
    with written() as short:
        accept(at, made, 8, 2)
    assert short == [("refund_approved", "debit  buyer_funds 160.00", "credit refunds_payable 160.00")]
    refund_id = db.session.query(Refund).one().id
    with written() as back:
        transaction(lambda: bank_refund.record(refund_id, "WY2601", clock.business_date(), actor=at.market.accountant))
    assert back == [("refund_succeeded", "debit  refunds_payable 160.00", "credit bank 160.00")]


def test_a_payment_turns_out_to_be_none_after_the_split_and_is_made_again(app: Flask) -> None:
    with clock.travel(clock.now() - timedelta(days=20)):
        at = unit_market()
        made = accepted(at)
    row = receipt(at, 80_000)
    match_id = match(at, row, made, 80_000)
    transaction(lambda: settlement.settle(order_of(made).id))
    with written() as undone:
        asked = transaction(lambda: match_undo.ask(match_id, "银行冲正", actor=at.market.accountant))
        transaction(lambda: match_undo.decide(asked.id, version=1, approved=True, actor=at.market.director))
    assert undone == [("divided_unpaid", "debit  receivable 800.00", "credit unapplied 800.00")]
    with written() as matched:
        match(at, row, made, 80_000, key="again")
    assert matched == [("matched_divided", "debit  unapplied 800.00", "credit receivable 800.00")]


def test_late_interest_is_due_and_paid(app: Flask) -> None:
    at = unit_market()
    with clock.travel(clock.now() - timedelta(days=100)):
        made = accepted(at)
    with written() as due:
        row = claim(at, made)
    yuan = f"{row.fen // 100}.{row.fen % 100:02d}"
    assert row.fen > 0 and due == [("interest_due", f"debit  receivable {yuan}", f"credit interest {yuan}")]
    came = receipt(at, row.fen)
    with written() as paid_now:
        transaction(lambda: bank_match.match(came, "late_interest", row.id, row.fen - 1, actor=at.market.accountant, key="i"))
    yuan = f"{(row.fen - 1) // 100}.{(row.fen - 1) % 100:02d}"
    assert paid_now == [("interest_paid", f"debit  unapplied {yuan}", f"credit receivable {yuan}")]
    with written() as let_go:
        transaction(lambda: late_interest.waive(row.id, "差一分", version=row.version, actor=at.market.director))
    assert let_go == [("interest_waived", "debit  interest 0.01", "credit receivable 0.01")]


def test_money_of_nobody_goes_back_or_stands_outside(app: Flask) -> None:
    market, day = builders.market(), f"{clock.business_date()}"
    statement.take(market.accountant, [(day, 10_000, "靖安县第一中学", "货款", "B1")])
    with written() as back:
        agreed(market)
    assert back == [("unapplied_refund_approved", "debit  unapplied 40.00", "credit refunds_payable 40.00")]
    with written() as outside:
        statement.take(market.accountant, [(day, 700, "银行", "结息", "B2"), (day, -1_500, "银行", "账户管理费", "B3")], opening_fen=10_000)
        decided(market, "B2", "UNRELATED")
        decided(market, "B3", "UNRELATED")
    assert outside == [
        ("bank_received", "debit  bank 7.00", "credit unapplied 7.00"),
        ("reversed", "debit  unapplied 7.00", "credit bank 7.00"),
        ("unrelated_row", "debit  bank 7.00", "credit outside 7.00"),
        ("unrelated_row", "debit  outside 15.00", "credit bank 15.00"),
    ]


def test_money_is_withdrawn_and_the_bill_tells_of_fees(app: Flask) -> None:
    market = builders.market()
    trade.bought(builders.customer(), (market.pack, 2))
    with written() as gone:
        transaction(lambda: withdrawal.record(10_000, "2026031200001", ordered_on=None, actor=market.accountant, key="k"))
    assert gone == [("withdrawn", "debit  bank 100.00", "credit alipay 100.00")]
    seller, at = db.session.scalars(select(Cooperative.alipay_seller_id)).one(), clock.now()
    rows = (BillRow("trade", "2026", "NOBODY", "", 100, -77, at), BillRow("refund", "2026", "NOBODY", "R1", -100, 77, at))
    with written() as told:
        transaction(lambda: bill_import.take(market.cooperative, Bill(clock.business_date(), seller, rows, "0" * 64)))
    assert told == [("fee", "debit  fees 0.77", "credit alipay 0.77"), ("fee_reversed", "debit  alipay 0.77", "credit fees 0.77")]


def test_what_is_the_villages_the_funds_and_the_cooperatives_own_leaves_the_bank(app: Flask) -> None:
    market, holder = earning(), builders.operator()
    for kind, fen, entries in (
        ("COLLECTIVE", 1_800, [("collective_paid", f"debit  village_collective village:{market.village} 18.00", "credit bank 18.00")]),
        ("FUND", 1_200, [("fund_remitted", "debit  relief_fund 12.00", "credit bank 12.00"), ("fund_received", "debit  bank 12.00", "credit relief_fund 12.00")]),
        ("REVENUE", 900, [("revenue_taken_out", "debit  outside 9.00", "credit bank 9.00")]),
    ):
        row = approve(propose(market, kind, fen, key=kind), market)
        with written() as gone:
            paid(row, market)
        assert gone == entries
    assert balance.held("relief_fund", holder) == 1_200


def test_the_fund_gives_back_what_the_bank_shows(app: Flask) -> None:
    market, holder = earning(), builders.operator()
    treasurer = builders.person(holder, "treasurer")
    paid(approve(propose(market, "FUND", 1_200), market), market)
    asked = transaction(lambda: fund_return.propose(500, "无人领取的一户到场", actor=market.accountant, key="k"))
    transaction(lambda: fund_return.decide(asked.id, actor=treasurer, version=1))
    with written() as back:
        statement.take(market.accountant, [(f"{clock.business_date()}", 500, "县防贫基金", f"退回 {asked.number}", "0041")])
    assert back == [
        ("fund_given_back", "debit  bank 5.00", "credit relief_fund 5.00"),
        ("fund_sent_back", "debit  relief_fund 5.00", "credit bank 5.00"),
    ]
    assert (balance.held("relief_fund", market.cooperative), balance.held("relief_fund", holder)) == (500, 700)


def test_what_village_and_fund_had_of_a_refunded_order_is_taken_from_what_they_get_next(app: Flask) -> None:
    market = earning()
    builders.operator()
    order_id = db.session.scalars(select(Order.id)).one()
    village, village_recoverable = (f"{kind} village:{market.village}" for kind in ("village_collective", "village_recoverable"))
    for kind, fen in (("COLLECTIVE", 1_800), ("FUND", 1_200)):
        paid(approve(propose(market, kind, fen, key=f"first {kind}"), market), market)
    with written() as taken_back:
        refund_id = refunded(order_id, 3_000)
    beyond = (f"debit  {village_recoverable} 1.80", "debit  fund_recoverable 1.20")
    pool = f"debit  household_pool linkage_group:{market.group} 6.00"
    assert taken_back == [("refund_after_settlement", "debit  revenue 21.00", pool, *beyond, "credit refunds_payable 30.00")]
    settled(market, 30_000)
    transaction(lambda: event.withdrawn(book=market.cooperative, source=Source("withdrawal", 2), fen=30_000))
    for kind, fen, entries in (
        ("COLLECTIVE", 1_620, [("collective_paid", f"debit  {village} 16.20", "credit bank 16.20"), ("collective_recovered", f"debit  {village} 1.80", f"credit {village_recoverable} 1.80")]),
        ("FUND", 1_080, [("fund_remitted", "debit  relief_fund 10.80", "credit bank 10.80"), ("fund_received", "debit  bank 10.80", "credit relief_fund 10.80"), ("fund_recovered", "debit  relief_fund 1.20", "credit fund_recoverable 1.20")]),
    ):
        row = approve(propose(market, kind, fen, key=f"second {kind}"), market)
        with written() as gone:
            paid(row, market)
        assert gone == entries
    with transaction():  # as the order's own door would have written beside the refund
        refund = db.session.get_one(Refund, refund_id)
        db.session.get_one(Payment, refund.payment_id).refunded_fen = db.session.get_one(Order, order_id).refunded_fen = refund.fen
    with written() as undone:
        transaction(lambda: refunds.fail(refund_id, "ACQ.SELLER_BALANCE_NOT_ENOUGH"))
    told = {kind: lines for kind, lines in undone.entries if kind != "reversed"}
    assert told == {
        "collective_recovery_undone": [f"debit  {village_recoverable} 1.80", f"credit {village} 1.80"],
        "fund_recovery_undone": ["debit  fund_recoverable 1.20", "credit relief_fund 1.20"],
    }


def test_what_nobody_claimed_goes_to_the_fund_and_comes_back_when_the_fund_holds_it(app: Flask) -> None:
    market, _ = waiting()
    second, third = market.households[1:]
    with clock.travel(clock.now() + LATER):
        with written() as gone:
            row = moved(market)
        assert gone == [("unclaimed_to_fund", "credit relief_fund 50.00", f"debit  household household:{second} 20.00", f"debit  household household:{third} 30.00")]
        row_id, fund = row.id, balance.held("relief_fund", market.cooperative)
        asked = transaction(lambda: unclaimed_return.propose(row_id, second, "本人持户口簿到场", actor=market.accountant))
        transaction(lambda: event.withdrawn(book=market.cooperative, source=Source("withdrawal", 99), fen=20_000))
        paid(approve(propose(market, "FUND", fund - 1_999, key="all"), market), market)
        with written() as short, pytest.raises(Conflict, match=r"unclaimed\.fund_short"):
            transaction(lambda: unclaimed_return.decide(asked.id, actor=market.director, version=1, approved=True))
        assert short == []
        settled(market, 1_000)  # the fund's share of it: ¥0.40
        with written() as back:
            transaction(lambda: unclaimed_return.decide(asked.id, actor=market.director, version=1, approved=True))
        assert back == [("unclaimed_back", "debit  relief_fund 20.00", f"credit household household:{second} 20.00")]
        assert balance.held("relief_fund", market.cooperative) == 39
