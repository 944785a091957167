"""What must hold of the money after each step of ``any_money``, counted from rows and lines; and the whole check of the books."""

from collections import Counter
from typing import Any

from hypothesis.stateful import invariant
from sqlalchemy import func, select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.households.household import Household
from marketplace.ledger import account, balance, entry
from marketplace.ledger import period as ledger_period
from marketplace.ledger.account import Account
from marketplace.ledger.entry import JournalEntry, JournalLine
from marketplace.ledger.period import ClosedPeriod
from marketplace.orders.order import Order, lines_of
from marketplace.payments.bank_statement import BankReceipt
from marketplace.payments.bill_import import ImportedRow
from marketplace.payments.payment import Payment
from marketplace.payments.refund import GOING, NOT_AGAIN, Refund
from marketplace.payments.withdrawal import Withdrawal
from marketplace.reporting import books
from marketplace.settlement import recovery, remittance, taken_back
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.distribution_share import DistributionShare
from marketplace.settlement.household_credit import CreditMove
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from marketplace.settlement.payout_reversal import PayoutReversal
from marketplace.settlement.remittance import Remittance
from marketplace.settlement.settlement import Settlement, SettlementLine
from tests.orders.any_way import AnyWay

# Whose later share makes good what a refund took beyond it.
SHARE_OF = {"pool_recoverable": "household_pool", "village_recoverable": "village_collective", "fund_recoverable": "relief_fund"}
# Whose money lies in the cooperative's accounts beside its own.
OTHERS = ("unapplied", "buyer_funds", "refunds_payable", "household_pool", "household", "in_transit", "village_collective", "relief_fund")
# Where the divided money of an order is, from the split until a household has it.
GOODS = ("revenue", "freight", "village_collective", "relief_fund", "household_pool", "household", "in_transit")
ON_THE_WAY = ("sent", "unknown")
ITS_ENTRY = (JournalEntry.period == JournalLine.period) & (JournalEntry.id == JournalLine.entry_id)


class MoneyHolds(AnyWay):
    """The invariants."""

    @invariant()
    def the_money_is_where_it_should_be(self) -> None:
        orders, held = self._orders(), Counter(balance.by_kind(self.market.cooperative))
        came = self._rows(Payment, Payment.state.in_(("succeeded", "late_paid")))
        back, receipts, items = self._rows(Refund), self._rows(BankReceipt), self._rows(PayoutItem)
        gone, paid = Counter[str](), Counter[str]()
        for each in back:
            gone[each.way] += each.fen if each.state == "succeeded" else 0
        over = {batch.id: batch.channel for batch in self._rows(PayoutBatch)}
        for item in items:
            paid[over[item.batch_id]] += item.fen if item.state == "paid" else 0
        withdrawn = sum(each.fen for each in self._rows(Withdrawal, Withdrawal.state != "FAILED"))
        remitted = self._remitted()
        fees = -sum(each.fee_fen for each in self._rows(ImportedRow))
        assert held["fees"] == fees
        assert held["alipay"] == sum(each.amount_fen for each in came if each.channel == "alipay") - gone["alipay"] - paid["alipay"] - withdrawn - fees
        assert held["bank"] == sum(each.fen for each in receipts) - gone["bank"] - paid["bank"] + withdrawn - remitted.total()
        assert held["unapplied"] == sum(each.fen - each.matched_fen for each in receipts) + sum(
            each.amount_fen - each.refunded_fen for each in came if each.state == "late_paid"
        )
        assert held["refunds_payable"] == sum(each.fen for each in back if each.state in GOING)
        assert held["receivable"] == sum(order.owed_fen for order in orders) >= 0
        assert held["accepted_unpaid"] == sum(order.owed_fen for order in orders if order.settled_at is None)
        lies = sum(self._undivided(order) for order in orders if order.settled_at is not None)
        assert held["buyer_funds"] == lies + sum(order.paid_fen - order.refunded_fen for order in orders if order.settled_at is None)
        # What was divided is somewhere on its way to whom it was promised, and what was given back since is off.
        divided = sum(order.paid_fen + order.owed_fen - order.refunded_fen for order in orders if order.settled_at is not None) - lies
        ours = sum(held[kind] for kind in GOODS) - sum(held[kind] for kind in SHARE_OF)
        assert ours + paid.total() + remitted.total() - remitted["REVENUE", None] == divided
        assert held["in_transit"] == sum(item.fen for item in items if item.state in ON_THE_WAY)

    @invariant()
    def each_book_sums_to_nothing_and_each_order_has_what_was_paid_for_it(self) -> None:
        sums = select(JournalEntry.book, func.sum(JournalLine.fen)).join(JournalEntry, ITS_ENTRY).group_by(JournalEntry.book)
        assert [book for book, fen in db.session.execute(sums) if fen] == []
        paid, back = Counter[int](), Counter[int | None]()
        for payment in self._rows(Payment, Payment.state == "succeeded"):
            paid[payment.payable_id] += payment.amount_fen
        for refund in self._rows(Refund, Refund.state.not_in(("requested", "failed"))):
            back[refund.order_id] += refund.fen
        orders = self._orders()
        assert [(order.paid_fen, order.refunded_fen) for order in orders] == [(paid[order.id], back[order.id]) for order in orders]

    @invariant()
    def what_was_credited_was_paid_moved_or_is_open(self) -> None:
        """Household by household, also those that divided off; no account of theirs is ever below nothing."""
        credited, left = self._credited(), self._credited()
        items, moves = self._rows(PayoutItem), self._rows(CreditMove)
        for item in items:
            left[item.household_id] -= item.fen if item.state in (*ON_THE_WAY, "paid") else 0
        for move in moves:
            left[move.household_id] += move.fen
        held = balance.by_owner("household", self.market.cooperative)
        for home in self._homes():
            assert held.get(f"household:{home.id}", 0) == left[home.id] >= 0
        kept = sum(item.fen for item in items if item.state in (*ON_THE_WAY, "paid"))
        to_fund = -sum(move.fen for move in moves if move.kind in ("FUND", "BACK"))
        assert credited.total() == kept + to_fund + sum(held.values())
        divided = Counter[int]()
        for move in moves:
            divided[move.distribution_id] += move.fen if move.kind in ("SPLIT", "HEIR") else 0
        assert not any(divided.values()), "what one household gave, another one got"

    @invariant()
    def each_payout_stands_as_the_journal_says(self) -> None:
        """By batch, what the entries of its files, its transfers and its reversals took from each household, left in transit and took
        from bank or Alipay is what its items say."""
        batches = {batch.id: batch for batch in self._rows(PayoutBatch)}
        items = {item.id: item for item in self._rows(PayoutItem)}
        reversed_of = {row.id: items[row.item_id].batch_id for row in self._rows(PayoutReversal)}
        said, posted = Counter[tuple[int, str]](), Counter[tuple[int, str]]()
        for item in items.values():
            batch = batches[item.batch_id]
            assert item.state == {"DRAFT": "draft", "APPROVED": "approved"}.get(batch.state, item.state), "as its batch, until that is sent"
            assert batch.state in ("SENT", "DONE") or item.state not in (*ON_THE_WAY, "paid"), "nothing leaves before its batch"
            assert batch.state != "DONE" or item.state not in ON_THE_WAY
            if item.state in (*ON_THE_WAY, "paid"):
                said[batch.id, f"household:{item.household_id}"] += item.fen
                said[batch.id, "in_transit" if item.state in ON_THE_WAY else batch.channel] -= item.fen
        query = (
            select(JournalEntry.source_type, JournalEntry.source_id, Account.kind, Account.owner_ref, func.sum(JournalLine.fen))
            .join(JournalEntry, ITS_ENTRY)
            .join(Account, Account.id == JournalLine.account_id)
            .where(JournalEntry.book == self.market.cooperative, JournalEntry.kind.startswith("payout_"))
            .group_by(JournalEntry.source_type, JournalEntry.source_id, Account.kind, Account.owner_ref)
        )
        for source, number, kind, owner, fen in db.session.execute(query):
            batch_id = number if source == "payout_batch" else items[number].batch_id if source == "payout_item" else reversed_of[number]
            posted[batch_id, owner or kind] += int(fen)
        assert {key: fen for key, fen in posted.items() if fen} == dict(said)

    @invariant()
    def nobody_but_the_cooperative_is_ever_short(self) -> None:
        """No account of what others are owed is below nothing, nor what is recoverable of it; and what the cooperative may take out
        leaves each of them whole, whoever else's account may be low."""
        accounts = db.session.execute(balance.each().where(Account.book == self.market.cooperative)).all()
        owed = [(row.code, account.natural(row.kind, int(fen))) for row, fen in accounts if account.class_of(row.kind) == account.LIABILITY]
        owed += [(row.code, int(fen)) for row, fen in accounts if row.kind in SHARE_OF]
        assert [each for each in owed if each[1] < 0] == []
        money = sum(int(fen) for row, fen in accounts if row.kind in ("bank", "alipay"))
        others = sum(-int(fen) for row, fen in accounts if row.kind in OTHERS)
        assert remittance.available(self.market.cooperative).own_fen <= money - others

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
    def what_came_back_after_the_split_waits_for_its_buyer(self) -> None:
        """It is no more than what was refused or returned and nobody has made again; and each line holds what it has left, and no other's."""
        for order in self._orders():
            if order.settled_at is None:
                continue
            waiting = self._rows(Refund, Refund.order_id == order.id, Refund.state == "failed", Refund.sub_code.not_in(NOT_AGAIN))
            waits = sum(each.fen for each in waiting if db.session.scalar(select(Refund.id).where(Refund.reissues_id == each.id)) is None)
            assert 0 <= self._undivided(order) <= waits
            lies = recovery.undivided(order)
            assert lies.total() == self._undivided(order)
            sold = {line.id: line for line in lines_of(order.id)}
            parts = list(db.session.scalars(select(SettlementLine).where(SettlementLine.order_line_id.in_(sold))))
            left = taken_back.left_of(parts)
            for part in parts:
                assert sum(left[part.id]) + lies[part.order_line_id] == sold[part.order_line_id].left_fen

    @invariant()
    def closed_months_are_what_they_were(self) -> None:
        for row in db.session.scalars(select(ClosedPeriod)):
            assert ledger_period.written(row.period).sha256 == row.sha256

    @invariant()
    def all_rules_of_the_books_hold(self) -> None:
        with clock.travel(self.now):
            assert [f"{each.rule}: {each.detail}" for each in books.check() if not each.ok] == []

    def holds(self) -> None:
        """All of it, asked by a test that plays the machine by hand."""
        for each in self.invariants:
            each.function(self)

    def _undivided(self, order: Order) -> int:
        """What of a settled order is neither divided nor gone back."""
        row = db.session.scalars(select(Settlement).where(Settlement.order_id == order.id)).one()
        return order.paid_fen + order.owed_fen - order.refunded_fen - (self._left_of(row.entry_id).total() if row.entry_id else 0)

    def _left_of(self, entry_id: int) -> Counter[tuple[str, str]]:
        reversals = list(db.session.scalars(select(JournalEntry.id).where(JournalEntry.reverses_id == entry_id)))
        undone = list(db.session.scalars(select(JournalEntry.id).where(JournalEntry.reverses_id.in_(reversals))))
        left = Counter[tuple[str, str]]()
        for number in (entry_id, *reversals, *undone):
            for line in entry.book_lines(number):
                left[SHARE_OF.get(line.kind, line.kind), line.owner_ref] -= line.fen
        return Counter({place: fen for place, fen in left.items() if place[0] in GOODS})

    def _credited(self) -> Counter[int]:
        """What distributions gave, by household."""
        shares = (
            select(DistributionShare.household_id, func.sum(DistributionShare.fen))
            .join(Distribution, Distribution.id == DistributionShare.distribution_id)
            .where(self._own(Distribution), Distribution.state == "POSTED")
            .group_by(DistributionShare.household_id)
        )
        return Counter({household: int(fen) for household, fen in db.session.execute(shares)})

    def _remitted(self) -> Counter[tuple[str, int | None]]:
        """What the bank carried out, by kind and village."""
        paid = Counter[tuple[str, int | None]]()
        for paper in self._rows(Remittance, Remittance.state == "PAID"):
            paid[paper.kind, paper.village_id] += paper.fen
        return paid

    def _held(self, kind: str, owner_id: int | None = None) -> int:
        return balance.held(kind, self.market.cooperative, account.owner_of(kind, owner_id))

    def _homes(self) -> list[Household]:
        db.session.expire_all()
        return list(db.session.scalars(select(Household).order_by(Household.id)))

    def _rows(self, model: Any, *where: Any) -> list[Any]:
        db.session.expire_all()
        return list(db.session.scalars(select(model).where(self._own(model), *where).order_by(model.id)))

    def _oldest(self, model: Any, *states: str) -> Any:
        db.session.expire_all()
        return db.session.scalars(select(model).where(self._own(model), model.state.in_(states)).order_by(model.id)).first()

    def _has(self, model: Any, *states: str) -> bool:
        return self._oldest(model, *states) is not None
