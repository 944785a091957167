"""What must hold of the money after each step of ``any_money``, counted from rows; and the whole check of the books."""

from collections import Counter

from hypothesis.stateful import invariant
from sqlalchemy import func, select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.ledger import account, balance, entry
from marketplace.ledger import period as ledger_period
from marketplace.ledger.entry import JournalEntry
from marketplace.ledger.period import ClosedPeriod
from marketplace.payments.bank_statement import BankReceipt
from marketplace.payments.payment import Payment
from marketplace.payments.refund import GOING, Refund
from marketplace.reporting import books
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.distribution_share import DistributionShare
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from marketplace.settlement.settlement import Settlement
from tests.orders.any_way import AnyWay

# Where the divided money of an order is, from the split until a household has it.
GOODS = ("revenue", "freight", "village_collective", "relief_fund", "household_pool", "household", "in_transit")


# Whose later share makes good what a refund took beyond it.
SHARE_OF = {"pool_recoverable": "household_pool", "village_recoverable": "village_collective", "fund_recoverable": "relief_fund"}


class MoneyHolds(AnyWay):
    """The invariants."""

    @invariant()
    def the_money_is_where_it_should_be(self) -> None:
        held = Counter(balance.by_kind(self.market.cooperative))
        came = list(db.session.scalars(select(Payment).where(self._own(Payment), Payment.state.in_(("succeeded", "late_paid")))))
        back = list(db.session.scalars(select(Refund).where(self._own(Refund))))
        gone = Counter[str]()
        for each in back:
            gone[each.way] += each.fen if each.state == "succeeded" else 0
        receipts = list(db.session.scalars(select(BankReceipt).where(self._own(BankReceipt))))
        items = list(db.session.scalars(select(PayoutItem).where(self._own(PayoutItem))))
        over = dict(db.session.execute(select(PayoutBatch.id, PayoutBatch.channel)).all())
        paid = Counter[str]()
        for item in items:
            paid[over[item.batch_id]] += item.fen if item.state == "paid" else 0
        paid_on = sum(paid.values())
        assert held["alipay"] == sum(each.amount_fen for each in came if each.channel == "alipay") - gone["alipay"] - paid["alipay"]
        assert held["bank"] == sum(each.fen for each in receipts) - gone["bank"] - paid["bank"]
        assert held["unapplied"] == sum(each.fen - each.matched_fen for each in receipts) + sum(
            each.amount_fen - each.refunded_fen for each in came if each.state == "late_paid"
        )
        assert held["refunds_payable"] == sum(each.fen for each in back if each.state in GOING)
        orders = self._orders()
        assert held["receivable"] == sum(order.owed_fen for order in orders) >= 0
        assert held["accepted_unpaid"] == sum(order.owed_fen for order in orders if order.settled_at is None)
        assert held["buyer_funds"] == sum(order.paid_fen - order.refunded_fen for order in orders if order.settled_at is None)
        # What was divided is somewhere on its way to whom it was promised, and what was given back since is off.
        divided = sum(order.paid_fen + order.owed_fen - order.refunded_fen for order in orders if order.settled_at is not None)
        assert sum(held[kind] for kind in GOODS) - held["pool_recoverable"] + paid_on == divided
        assert held["in_transit"] == sum(item.fen for item in items if item.state in ("sent", "unknown"))

    @invariant()
    def no_household_and_no_pool_owes(self) -> None:
        credited = (
            select(DistributionShare.household_id, func.sum(DistributionShare.fen))
            .join(Distribution, Distribution.id == DistributionShare.distribution_id)
            .where(self._own(Distribution), Distribution.state == "POSTED")
            .group_by(DistributionShare.household_id)
        )
        left = Counter({household: int(fen) for household, fen in db.session.execute(credited)})
        for item in db.session.scalars(select(PayoutItem).where(self._own(PayoutItem))):
            left[item.household_id] -= item.fen if item.state in ("sent", "unknown", "paid") else 0
        for household in self.market.households:
            assert balance.held("household", self.market.cooperative, f"household:{household}") == left[household] >= 0
        assert self._held("household_pool") >= 0
        assert self._held("pool_recoverable") >= 0

    @invariant()
    def what_is_wholly_refunded_has_left_nothing_divided(self) -> None:
        """By settled order and place: never less than nothing, and exactly nothing once all of it went back."""
        for order in self._orders():
            row = db.session.scalars(select(Settlement).where(Settlement.order_id == order.id)).one_or_none()
            if row is None or row.entry_id is None:
                continue
            left = self._left_of(row.entry_id)
            assert all(fen >= 0 for fen in left.values()), left
            if order.refunded_fen == order.paid_fen and not order.owed_fen:
                assert not any(left.values()), left

    @invariant()
    def closed_months_are_what_they_were(self) -> None:
        for row in db.session.scalars(select(ClosedPeriod)):
            assert ledger_period.written(row.period).sha256 == row.sha256

    @invariant()
    def all_rules_of_the_books_hold(self) -> None:
        with clock.travel(self.now):
            assert [f"{each.rule}: {each.detail}" for each in books.check() if not each.ok] == []

    def _left_of(self, entry_id: int) -> Counter[str]:
        reversals = list(db.session.scalars(select(JournalEntry.id).where(JournalEntry.reverses_id == entry_id)))
        undone = list(db.session.scalars(select(JournalEntry.id).where(JournalEntry.reverses_id.in_(reversals))))
        left = Counter[str]()
        for number in (entry_id, *reversals, *undone):
            for line in entry.book_lines(number):
                left[SHARE_OF.get(line.kind, line.kind)] -= line.fen
        return Counter({kind: fen for kind, fen in left.items() if kind in GOODS})

    def _held(self, kind: str) -> int:
        return balance.held(kind, self.market.cooperative, account.owner_of(kind, self.market.group))
