"""Ways of the money that few random examples get to, played by hand with the machine's own rules, on both databases."""

from datetime import timedelta

from hypothesis.stateful import MultipleResults
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.households.household import Household
from marketplace.ledger import period as ledger_period
from marketplace.ledger.entry import JournalEntry
from marketplace.payments.bill_difference import BillDifference
from marketplace.payments.refund import Refund
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.household_credit import CreditMove
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from tests.settlement.any_money import AnyMoney
from tests.settlement.money_holds import SHARE_OF
from tests.settlement.money_market import machine, on_postgresql, on_sqlite
from tests.settlement.nobody_claims import UNCLAIMED_DAYS

__all__ = ["machine", "on_postgresql", "on_sqlite"]


def one(made: int | MultipleResults[int]) -> int:
    assert isinstance(made, int)
    return made


def bought(machine: AnyMoney, tins: int = 2, boxes: int = 1) -> int:
    """A buyer's order of both kinds of goods, on its whole way until it is settled."""
    order = one(machine.place(tins, boxes))
    machine.goes_on(order, 5)
    return order


def kinds() -> set[str]:
    return set(db.session.scalars(select(JournalEntry.kind)))


def items(machine: AnyMoney) -> list[str]:
    return [item.state for item in machine._rows(PayoutItem)]


def at_the_bank(machine: AnyMoney) -> None:
    """What settled is distributed and lies with the bank, one batch for all five households."""
    machine.month_end_goes_on(3)
    machine.now += timedelta(days=12)
    machine.post()
    machine.make_batch(-1, "bank")
    machine.director_checks_batch(True)
    machine.the_batch_goes()


def test_given_back_after_the_households_were_paid_and_recovered_from_the_next_month(machine: AnyMoney) -> None:
    machine.one_is_paid()
    machine.a_unit_has_bought(9)
    machine.holds()
    assert kinds() >= {"settled", "distributed", "payout_debited", "payout_returned", "refund_after_settlement", "recovered"}
    assert ledger_period.last_closed() == "2025-03"


def test_money_that_left_before_it_was_asked_back(machine: AnyMoney) -> None:
    """Two villages, the fund and the cooperative are paid, then the order goes back whole: nobody is short, and later shares make it good."""
    order = bought(machine)
    machine.accountant_withdraws(1)
    machine.remittances_go_on(12)
    machine.holds()
    machine.cooperative_gives_back(order, 1)
    machine.holds()
    machine.the_oldest_refund_ends(True)
    machine.count_tins_in(3)
    bought(machine, 3, 2)
    machine.accountant_withdraws(1)
    machine.holds()
    machine.remittances_go_on(12)
    machine.holds()
    assert kinds() >= {
        "collective_paid", "fund_remitted", "revenue_taken_out", "withdrawn", "refund_after_settlement", "collective_recovered", "fund_recovered",
    }


def test_what_the_bank_does_not_know_and_what_it_never_paid(machine: AnyMoney) -> None:
    bought(machine)
    at_the_bank(machine)
    machine.bank_answers(0, ("处理中", "处理中", "paid", "paid", ""))
    machine.holds()
    assert items(machine) == ["unknown", "unknown", "paid", "paid", "sent"]
    machine.bank_answers(0, ("paid", "", "处理中"))  # the third contradicts: nothing of it is taken
    machine.bank_answers(0, ("paid", "returned", "paid", "paid", ""))
    machine.somebody_asks_the_bank(3, "refused")
    machine.holds()
    assert items(machine) == ["paid", "returned", "paid", "paid", "returned"]
    machine.a_payment_was_never_made(0, True)
    machine.a_payment_was_never_made(0, False)
    machine.bank_answers(0, ("", "", "returned"))  # before the director's word, which comes too late
    machine.director_decides_on_a_reversal(True)
    machine.director_decides_on_a_reversal(False)
    machine.holds()
    assert items(machine) == ["returned", "returned", "returned", "paid", "returned"]
    machine.issue_again(0, "alipay")
    machine.issue_again(0, "bank")
    machine.director_checks_batch(False)
    machine.director_checks_batch(True)
    machine.the_batch_goes()
    machine.holds()
    assert kinds() >= {"payout_unmade", "payout_refused", "payout_returned"}
    assert items(machine) == ["returned", "returned", "reissued", "paid", "reissued", "draft", "draft", "sent", "sent"]


def test_transfers_over_alipay_beside_a_batch_of_the_bank(machine: AnyMoney) -> None:
    bought(machine)
    machine.month_end_goes_on(3)
    machine.now += timedelta(days=12)
    machine.post()
    for channel in ("alipay", "bank"):
        machine.make_batch(0, channel)
        machine.director_checks_batch(True)
        machine.the_batch_goes()
    machine.alipay_is_short()
    machine.a_batch_goes_on()
    machine.alipay_answers(0, "unknown")
    machine.alipay_answers(1, "FAIL")
    machine.holds()
    assert items(machine) == ["unknown", "returned", "sent", "sent", "sent"]
    machine.alipay_answers(0, "SUCCESS", 40)
    machine.alipay_answers(0, "REFUND")
    machine.alipay_answers(1, "SUCCESS")  # what failed is over
    machine.bank_answers(0, ("paid",))
    machine.holds()
    assert items(machine) == ["returned", "returned", "paid", "paid", "paid"]
    machine.issue_again(0, "bank")
    machine.month_end_goes_on(3)
    machine.holds()
    assert [batch.channel for batch in machine._rows(PayoutBatch)] == ["alipay", "bank", "bank", "bank"]


def test_money_that_nobody_claimed(machine: AnyMoney) -> None:
    bought(machine)
    at_the_bank(machine)
    machine.bank_answers(0, ("paid", "returned", "refused", "paid", "paid"))
    machine.accountant_lists_what_nobody_claims()  # too early
    machine.now += timedelta(days=UNCLAIMED_DAYS + 1)
    machine.unclaimed_money_goes_on(4)
    machine.holds()
    assert [move.kind for move in machine._rows(CreditMove)] == ["FUND", "FUND"]
    machine.somebody_turns_up(0)
    machine.director_lets_the_fund_give_back(True)
    machine.holds()
    machine.make_batch(0, "bank")
    machine.month_end_goes_on(3)
    machine.holds()
    assert kinds() >= {"payout_returned", "payout_refused", "unclaimed_to_fund", "unclaimed_back"}


def test_the_time_of_what_was_never_paid_runs_from_when_that_was_known(machine: AnyMoney) -> None:
    """The household could not claim what the books called paid."""
    bought(machine)
    at_the_bank(machine)
    machine.bank_answers(0, ("paid",))
    machine.now += timedelta(days=UNCLAIMED_DAYS + 1)
    machine.a_payment_was_never_made(0, True)
    machine.accountant_lists_what_nobody_claims()
    machine.now += timedelta(days=UNCLAIMED_DAYS + 1)
    machine.accountant_lists_what_nobody_claims()
    machine.holds()


def test_an_heir_that_is_a_household_and_one_that_divides(machine: AnyMoney) -> None:
    bought(machine)
    at_the_bank(machine)
    machine.bank_answers(0, ("returned", "paid", "", "returned", "paid"))
    first = machine.market.households[0]
    machine.a_household_leaves_or_dies(0, 1, True)  # what came back to it is the second one's
    assert db.session.get_one(Household, first).exited_on is not None
    machine.holds()
    machine.a_household_divides(3, 5_000, 3_333, True)  # of the other village
    machine.bank_answers(0, ("", "", "returned"))  # what was on its way
    machine.a_household_divides(2, 10_000, 10_000, False)
    machine.a_household_leaves_or_dies(2, None, True)  # another change waits
    machine.second_administrator_decides(True)
    machine.holds()
    assert [move.kind for move in machine._rows(CreditMove)] == ["HEIR", "HEIR", "SPLIT", "SPLIT", "SPLIT", "SPLIT"]
    machine.make_batch(0, "bank")
    machine.a_new_household_opens_an_account(0)
    machine.a_new_household_opens_an_account(0)
    machine.month_end_goes_on(2)
    machine.make_batch(0, "bank")
    machine.holds()
    machine.another_month()
    machine.holds()


def test_goods_of_two_groups_go_back_by_name_to_exactly_nothing(machine: AnyMoney) -> None:
    """Orders before and after the scheme changed; what was distributed stays with the households and is recoverable to the fen."""
    machine.one_is_paid()
    before = bought(machine, 1, 2)
    at_the_bank(machine)
    machine.scheme_changes((3_334, 3_333, 3_332, 1))
    after = bought(machine, 2, 1)
    for order, first, second in ((before, 0, 1), (after, 1, 0), (before, 1, 1), (after, 1, 1), (after, 1, 0)):
        request = machine.goods_are_named(order, first, second, by_buyer=False)
        if isinstance(request, int):
            machine.answer(request, True)
            machine.the_oldest_refund_ends(order == before)
        machine.holds()
    machine.a_refused_refund_is_sent_again(0)
    machine.everything_goes_back()
    machine.holds()
    assert machine._held("pool_recoverable", machine.other_group) > 0


def test_all_orders_refunded_and_all_that_is_recoverable_recovered_leave_nothing(machine: AnyMoney) -> None:
    """Households, villages and the fund had their shares; later orders make them good within the cap, until nothing is left anywhere."""
    bought(machine)
    machine.month_end_goes_on(8)
    machine.accountant_withdraws(1)
    machine.remittances_go_on(12)
    machine.everything_goes_back()
    machine.holds()
    assert all(machine._held(*each) > 0 for each in machine._recoverables())
    for _ in range(9):
        machine.count_tins_in(3)
        machine.count_boxes_in(3)
        bought(machine, 3, 3)
        machine.month_end_goes_on(9)
        machine.accountant_withdraws(1)
        machine.remittances_go_on(12)
        if not any(machine._held(*each) for each in machine._recoverables()):
            break
    machine.month_end_goes_on(20)
    machine.holds()
    assert [machine._held(*each) for each in machine._recoverables()] == [0] * 5
    assert [machine._held(SHARE_OF[kind], owner) for kind, owner in machine._recoverables()] == [0] * 5


def test_what_comes_late_stands_in_the_open_month(machine: AnyMoney) -> None:
    attempt, units = one(machine.open_cashier(one(machine.place(2, 1)))), one(machine.unit_orders_on_terms(1, 0, "POSTPAY"))
    bought(machine, 1, 1)
    at_the_bank(machine)
    machine.accountant_proposes_a_remittance("FUND", False, 1)
    machine.director_answers_the_remittance(True)
    machine.now += timedelta(days=20)
    machine.close_the_oldest_month(0)
    machine.holds()
    closed = ledger_period.last_closed()
    machine.alipay_says_paid(attempt, 40)
    machine.unit_pays(units, 1, 0, 40)
    machine.bank_carries_the_remittance_out(True)
    machine.bank_answers(0, ("paid",))
    machine.holds()
    since = db.session.scalars(select(JournalEntry).where(JournalEntry.period > closed))
    assert {entry.kind for entry in since if clock.period_of(clock.business_date(entry.event_at)) <= closed} >= {"alipay_paid", "bank_received", "fund_remitted"}


def test_fees_are_what_the_bill_says_and_go_back_with_a_refund(machine: AnyMoney) -> None:
    order = bought(machine)
    unheard = one(machine.place(1, 0))
    machine.open_cashier(unheard)
    machine.alipays_bill_comes(60, True)
    machine.now += timedelta(days=1)
    for _ in range(3):
        machine.alipays_bill_comes(60, True)
    machine.cooperative_gives_back(order, 2)
    machine.the_oldest_refund_ends(True)
    machine.now += timedelta(days=1)
    for _ in range(3):
        machine.alipays_bill_comes(60, False)
    machine.holds()
    assert kinds() >= {"fee", "fee_reversed"}
    assert machine._held("fees") > 0
    assert db.session.scalars(select(BillDifference)).all() == []
    assert machine._rows(Refund) and machine._rows(Distribution) == []
