"""A refund that was counted before the split and undone after it: its money lies undivided, is the buyer's, and pays for what is made instead
before any share of the households does."""

from datetime import timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.ledger import balance, share_event
from marketplace.ledger.posting import Source
from marketplace.orders import order_refund, received, refund_reissue
from marketplace.orders.order import lines_of, locked_order
from marketplace.payments import bank_refund, refund_news
from marketplace.payments import refund as refunds
from marketplace.payments.refund import LEFT, Refund
from marketplace.reporting import books
from marketplace.settlement import settlement
from marketplace.settlement.settlement import NotDue
from tests import builders
from tests.builders import Market
from tests.orders import trade

pytestmark = pytest.mark.both

PAYEE = ("王小明", "6217 0000 1111 2222", "靖安农商银行")
SHARES = ("revenue", "freight", "household_pool", "village_collective", "relief_fund")


class Sale:
    """Two tins at ¥88.00 and, of another group, a bag at ¥30.00, bought and received; freight as the market takes it."""

    def __init__(self) -> None:
        self.market: Market = builders.market(on_hand=50)
        bag = builders.pack(self.market.product, price_fen=3000, net_grams=20, name="20 克袋")
        self.buyer = builders.customer()
        self.order_id = trade.bought(self.buyer, (self.market.pack, 2), (bag, 1))
        trade.shipped(self.market, self.order_id)
        with transaction():
            lines_of(self.order_id)[1].linkage_group_id = builders.linkage_group(self.market.cooperative)
        transaction(lambda: received.confirm(self.order_id, actor=self.buyer))
        self.paid_fen = trade.order(self.order_id).paid_fen

    def refund(self, fen: int, *lines_fen: int) -> int:
        """Of the order, or of so much of each of its lines; the refund's id."""
        goods = {line.id: part for line, part in zip(lines_of(self.order_id), lines_fen, strict=False) if part} or None
        db.session.rollback()
        return transaction(lambda: order_refund.pay_back(locked_order(self.order_id), fen, "少了", person_id=None, lines=goods)[0])

    def settle(self) -> None:
        with clock.travel(clock.now() + timedelta(days=8)):
            transaction(lambda: settlement.settle(self.order_id))

    def comes_back(self, refund_id: int) -> None:
        """The buyer's bank returned it, days after it had left."""
        refund = db.session.get_one(Refund, refund_id)
        told = (refund.organisation_id, refund.out_request_no, refund.fen, "failed", "expired_or_canceled_card")
        db.session.rollback()
        assert transaction(lambda: refund_news.told(*told)) == "applied"

    def resend(self, refund_id: int) -> int:
        return transaction(lambda: refund_reissue.resend(refund_id, actor=self.market.accountant).id)

    def over_the_bank(self, refund_id: int) -> int:
        proposed = transaction(lambda: refund_reissue.propose(refund_id, *PAYEE, actor=self.market.accountant).id)
        return transaction(lambda: refund_reissue.decide(proposed, approved=True, actor=self.market.director).refund_id or 0)

    def held(self) -> list[int]:
        """What is the shares' together, what lies in buyer_funds, and what is promised back; every rule of the books holds."""
        db.session.rollback()
        held = balance.by_kind(self.market.cooperative)
        assert [f"{each.rule}: {each.detail}" for each in books.check() if not each.ok] == []
        db.session.rollback()
        return [sum(held.get(kind, 0) for kind in SHARES), held.get("buyer_funds", 0), held.get("refunds_payable", 0)]


@pytest.mark.parametrize("way", ["alipay", "bank"])
def test_what_came_back_after_the_split_pays_for_the_refund_that_is_made_instead(app: Flask, way: str) -> None:
    sale = Sale()
    first = sale.refund(3_000)
    transaction(lambda: refunds.succeed(first))
    sale.settle()
    kept = sale.paid_fen - 3_000
    assert sale.held() == [kept, 0, 0]
    sale.comes_back(first)
    assert sale.held() == [kept, 3_000, 0]
    again = sale.resend(first) if way == "alipay" else sale.over_the_bank(first)
    assert sale.held() == [kept, 0, 3_000], "no share paid for it"
    if way == "alipay":
        transaction(lambda: refunds.succeed(again))
        sale.comes_back(again)
        assert sale.held() == [kept, 3_000, 0]
        again = sale.over_the_bank(again)
    transaction(lambda: bank_refund.record(again, "BOC2026112500017", clock.business_date(), actor=sale.market.accountant))
    assert sale.held() == [kept, 0, 0]


def test_an_order_that_went_back_whole_and_settled_at_nothing_can_be_paid_back(app: Flask) -> None:
    sale = Sale()
    first = sale.refund(sale.paid_fen)
    transaction(lambda: refunds.succeed(first))
    sale.settle()
    assert sale.held() == [0, 0, 0]
    sale.comes_back(first)
    assert sale.held() == [0, sale.paid_fen, 0]
    sale.resend(first)
    assert sale.held() == [0, 0, sale.paid_fen]


def test_what_left_after_its_bank_transfer_was_agreed_takes_no_share(app: Flask) -> None:
    """The channel refused it, two people agreed to a transfer; then the channel tells that it had left. Until somebody says that the transfer was
    not made, the order waits with its split."""
    sale = Sale()
    first = sale.refund(3_000)
    transaction(lambda: refunds.fail(first, "ACQ.TRADE_HAS_FINISHED"))
    second = sale.over_the_bank(first)
    kept = sale.paid_fen - 3_000
    for told in (False, True):
        if told:
            transaction(lambda: refund_news.left(first))
        with pytest.raises(NotDue, match=r"settlement\.refund_going"):
            sale.settle()
        assert sale.held() == [0, kept, 3_000]
    transaction(lambda: refund_news.not_transferred(second, actor=sale.market.accountant))
    sale.settle()
    assert sale.held() == [kept, 0, 0]


def test_what_went_twice_takes_no_share_and_is_paid_for_by_what_comes_back(app: Flask) -> None:
    """Refused, sent again, divided; then the first one had left too: no share pays for it. When the second comes back its money does."""
    sale = Sale()
    first = sale.refund(3_000, 3_000)
    transaction(lambda: refunds.fail(first, "ACQ.REFUSED"))
    second = sale.resend(first)
    transaction(lambda: refunds.succeed(second))
    sale.settle()
    kept = sale.paid_fen - 3_000
    assert not transaction(lambda: refund_news.left(first))
    assert (sale.held(), db.session.get_one(Refund, first).sub_code) == ([kept, 0, 0], LEFT)
    sale.comes_back(second)
    assert (sale.held(), db.session.get_one(Refund, first).state) == ([kept, 0, 0], "succeeded")
    db.session.rollback()
    assert transaction(lambda: refunds.fail(first, "expired_or_canceled_card", came_back=True))
    assert sale.held() == [kept, 3_000, 0]


def test_goods_that_are_named_take_of_their_own_line_and_others_of_what_lies_undivided(app: Flask) -> None:
    sale = Sale()
    tins = sale.refund(5_000, 5_000)
    transaction(lambda: refunds.succeed(tins))
    sale.settle()
    kept = sale.paid_fen - 5_000
    sale.comes_back(tins)
    bag = sale.refund(1_000, 0, 1_000)
    assert sale.held() == [kept - 1_000, 5_000, 1_000], "what came back is the tins'"
    unnamed = sale.refund(2_000)
    assert sale.held() == [kept - 1_000, 3_000, 3_000]
    for each in (bag, unnamed):
        transaction(lambda number=each: refunds.fail(number, "ACQ.REFUSED"))  # type: ignore[misc]
    assert sale.held() == [kept, 5_000, 0]
    more = sale.refund(6_000, 6_000)
    assert sale.held() == [kept - 1_000, 0, 6_000], "what lies undivided first, and the rest of the shares"
    transaction(lambda: refunds.fail(more, "ACQ.REFUSED"))
    assert sale.held() == [kept, 5_000, 0]


def test_a_refund_that_ended_twice_after_its_shares_were_recovered_is_put_back_twice(app: Flask) -> None:
    """The pool had been paid out, later revenue made the refund good, it failed; it left after all, was made good again, and came back."""
    sale = Sale()
    sale.settle()
    book, group = sale.market.cooperative, sale.market.group
    owner = f"linkage_group:{group}"

    def paid_out() -> None:
        fen = balance.held("household_pool", book, owner)
        share_event.distributed(book=book, source=Source("distribution_group", 900 + fen), group_id=group, households=[(sale.market.households[0], fen)])

    def made_good(times: int) -> None:
        fen = balance.held("pool_recoverable", book, owner)
        assert fen > 0
        more = Sale.__new__(Sale)
        more.__dict__.update(sale.__dict__)
        more.order_id = trade.bought(sale.buyer, (sale.market.pack, 9))
        trade.shipped(sale.market, more.order_id)
        transaction(lambda: received.confirm(more.order_id, actor=sale.buyer))
        more.settle()
        transaction(lambda: share_event.recovered(book=book, source=Source("distribution_group", times), group_id=group, fen=fen))

    transaction(paid_out)
    first = sale.refund(8_800, 8_800)
    made_good(1)
    transaction(lambda: refunds.fail(first, "STOPPED"))
    assert balance.held("pool_recoverable", book, owner) == 0
    transaction(paid_out)
    assert transaction(lambda: refund_news.left(first))
    made_good(2)
    sale.comes_back(first)
    assert balance.held("pool_recoverable", book, owner) == 0
