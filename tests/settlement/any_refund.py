"""Money back in any way, as ``any_money`` plays it: what the buyer asks for or the cooperative proposes, of all or of some of the goods,
before and after the split; refused by the channel, and sent again; and all of it at once."""

from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, multiple, precondition, rule
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.orders import refund_call_off, refund_reissue, return_request
from marketplace.orders.order import OrderLine, lines_of
from marketplace.orders.return_request import ReturnRequest
from marketplace.organisations.actor import Actor
from marketplace.payments import bank_refund, refund_news
from marketplace.payments import refund as refunds
from marketplace.payments.payment import ONLINE, Payment
from marketplace.payments.refund import DOUBTED, GOING, NOT_AGAIN, Refund
from marketplace.settlement import recovery
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.distribution_share import DistributionShare
from marketplace.settlement.household_credit import CreditMove
from tests.orders import trade
from tests.orders.any_way import LIVE, AnyWay, left_to_send
from tests.settlement.money_holds import SHARE_OF, MoneyHolds

_PACKS = st.sampled_from((0, 1, 1, 2, 3))  # of each line; more than it has is refused


class AnyRefund(MoneyHolds):
    """Orders of the public, and of units."""

    unit_orders = Bundle("unit_orders")

    @rule(target=AnyWay.asked, order_id=st.one_of(AnyWay.orders, unit_orders), part=st.sampled_from((1, 3, 10)))
    def cooperative_proposes(self, order_id: int, part: int) -> int | MultipleResults[int]:
        """At any time, also after the split and after the households were paid."""
        order = trade.order(order_id)
        left = order.paid_fen - order.refunded_fen
        fen, may = max(1, left // part), left > 0 and not self._open_return(order_id)
        may = may and (fen == left or not self._waits_for_the_rest(order_id))
        made = self.tried(may, lambda: return_request.propose(order_id, fen, "抽检不合格", actor=self.market.clerk))
        if made and fen == left:
            self.all_of_it_is_asked_off(order_id)
        return made.id if made else multiple()

    def _waits_for_the_rest(self, order_id: int) -> bool:
        """A unit's that was paid in part before anything was sent: a part of that part would be owed again, and is not given back like this."""
        order = trade.order(order_id)
        return (order.kind, order.payment) == ("DIRECTED", "PARTLY_PAID") and order.fulfilment in ("WAITING", "READY")

    @rule(target=AnyWay.asked, order_id=st.one_of(AnyWay.orders, unit_orders), first=_PACKS, second=_PACKS, by_buyer=st.booleans())
    def goods_are_named(self, order_id: int, first: int, second: int, by_buyer: bool) -> int | MultipleResults[int]:
        """Some packs of the one line and of the other come back, for what they cost: first those that were not sent."""
        order, lines = trade.order(order_id), lines_of(order_id)
        packs = {line.id: count for line, count in zip(lines, (first, second), strict=False) if count}
        if not packs or (by_buyer and order.kind != "PUBLIC"):
            return multiple()
        waits = {line.id: left_to_send(line) if order.fulfilment in LIVE else 0 for line in lines}
        unsent = {line_id: min(count, waits[line_id]) for line_id, count in packs.items()}
        left = order.paid_fen - order.refunded_fen
        # Nothing was sent and nothing is to be: all that was paid goes back.
        ends = order.fulfilment in ("WAITING", "READY") and sum(unsent.values()) == sum(waits.values())
        cost = left if ends else sum(self._cost(line, packs.get(line.id, 0)) for line in lines)
        may = all(packs.get(line.id, 0) <= line.quantity - line.taken_off for line in lines) and 0 < cost <= left
        may = may and not self._open_return(order_id)
        if by_buyer:
            in_time = order.return_until is None or self.now <= order.return_until
            made = self.tried(may and in_time, lambda: return_request.raise_request(order_id, 0, "有一样不好", actor=self.buyer, packs=packs, unsent=unsent))
        else:
            made = self.tried(may, lambda: return_request.propose(order_id, 0, "有一样抽检不合格", actor=self.market.clerk, packs=packs, unsent=unsent))
        if made:
            self.asked_off.update(unsent)
        return made.id if made else multiple()

    @rule(order_id=st.one_of(AnyWay.orders, unit_orders), part=st.sampled_from((1, 1, 2)))
    def cooperative_gives_back(self, order_id: int, part: int) -> None:
        """Proposed and agreed to at once."""
        made = self.cooperative_proposes(order_id, part)
        if isinstance(made, int):
            self.answer(made, True)

    @rule(request_id=AnyWay.asked, agrees=st.booleans())
    def answer(self, request_id: int, agrees: bool) -> None:
        """Agreed to, if it is still open and no other refund has taken the money, or that of the goods, meanwhile."""
        request = db.session.get_one(ReturnRequest, request_id)
        order, named = trade.order(request.order_id), {line: fen for line, _packs, fen in request.lines or []}
        left = order.paid_fen - order.refunded_fen
        whole = order.fulfilment == "READY" and request.fen == left  # then it is called off
        off = dict(request.unsent or [])
        whole = whole or (order.fulfilment in ("WAITING", "READY") and all(left_to_send(line) == off.get(line.id, 0) for line in lines_of(order.id)))
        fits = whole or (request.fen <= left and all(self._left(line) >= named.get(line.id, 0) for line in lines_of(order.id)))
        fits = fits and (whole or bool(named) or not self._waits_for_the_rest(order.id))
        may, who = request.state == "OPEN" and (not agrees or fits), self.who_answers(request)
        if agrees:
            self.tried(may, lambda: return_request.approve(request_id, actor=who))
        else:
            self.tried(may, lambda: return_request.refuse(request_id, "包装完好", actor=who))

    def who_answers(self, request: ReturnRequest) -> Actor:
        return self.market.director if request.by_seller else self.market.accountant

    @rule(succeeds=st.booleans())
    def the_oldest_refund_ends(self, succeeds: bool) -> None:
        refund = self._oldest(Refund, *GOING)
        if refund is None:
            return
        number = refund.id
        if refund.way == "bank":
            self.tried(True, lambda: bank_refund.record(number, f"WY{number:06}", clock.business_date(), actor=self.market.accountant))
        else:
            self.tried(True, lambda: refunds.succeed(number) if succeeds else refunds.fail(number, "ACQ.REFUSED"))

    @precondition(lambda self: self._has(Refund, "failed"))
    @rule(which=st.integers(0, 3))
    def a_refused_refund_is_sent_again(self, which: int) -> None:
        """Once, if what it was for is still there to be given back."""
        failed = self._rows(Refund, Refund.state == "failed")
        if failed:
            refund = failed[which % len(failed)]
            number = refund.id
            self.tried(self._may_go_again(refund) and self._agreed_or_undivided(refund), lambda: refund_reissue.resend(number, actor=self.market.director))

    @precondition(lambda self: self._has(Refund, "failed"))
    @rule(which=st.integers(0, 3))
    def a_refused_refund_goes_over_the_bank(self, which: int) -> None:
        """Two people agree to whom; the transfer is made when its turn comes."""
        failed = self._rows(Refund, Refund.state == "failed")
        refund = failed[which % len(failed)]
        number = refund.id

        def agree() -> None:
            asked = refund_reissue.propose(number, "王小明", "6217000011112222", "农商银行", actor=self.market.accountant)
            refund_reissue.decide(asked.id, approved=True, actor=self.market.director)

        self.tried(self._may_go_again(refund, over=("alipay", "bank_transfer")), agree)

    @precondition(lambda self: self._has(Refund, "approved"))
    @rule(which=st.integers(0, 3))
    def an_agreed_transfer_is_called_off(self, which: int) -> None:
        """By two people, before anybody has made it."""
        waiting = self._rows(Refund, Refund.state == "approved", Refund.way == "bank")
        if not waiting:
            return
        refund = waiting[which % len(waiting)]
        number = refund.id

        def call_off() -> None:
            asked = refund_call_off.ask(number, "买家要换一张卡", actor=self.market.accountant)
            refund_call_off.decide(asked.id, version=asked.version, approved=True, actor=self.market.director)

        order = trade.order(refund.order_id) if refund.order_id else None
        signs_yet = order is not None and order.kind == "DIRECTED" and order.received_at is None and order.cancelled_at is None
        unsent = any(each.unsent for each in self._rows(ReturnRequest, ReturnRequest.id == refund.return_id))
        self.tried(refund.sub_code != DOUBTED and not (signs_yet and unsent), call_off)

    @precondition(lambda self: self._has(Refund, "failed"))
    @rule(which=st.integers(0, 3), agrees=st.booleans())
    def two_people_give_a_refused_refund_up(self, which: int, agrees: bool) -> None:
        """Only where its money has somewhere to go, and the goods that it was for were the buyer's."""
        failed = self._rows(Refund, Refund.state == "failed")
        refund = failed[which % len(failed)]
        number, order = refund.id, trade.order(refund.order_id) if refund.order_id else None
        again = db.session.scalar(select(Refund.id).where(Refund.reissues_id == number))
        may = order is not None and again is None and refund.sub_code not in NOT_AGAIN and order.cancelled_at is None
        may = may and (order is None or order.settled_at is None or not self._undivided(order)) and not self._for_goods_that_never_left(refund)

        def give_up() -> None:
            asked = refund_reissue.waive(number, "买家留下了货", actor=self.market.accountant)
            refund_reissue.decide_waiver(asked.id, version=asked.version, approved=agrees, reason="" if agrees else "买家要退", actor=self.market.director)

        self.tried(may, give_up)

    def _for_goods_that_never_left(self, refund: Refund) -> bool:
        while refund.reissues_id is not None:
            refund = db.session.get_one(Refund, refund.reissues_id)
        return any(each.unsent for each in self._rows(ReturnRequest, ReturnRequest.id == refund.return_id))

    @precondition(lambda self: self._has(Refund, "succeeded"))
    @rule(which=st.integers(0, 3))
    def the_buyers_bank_returns_a_refund(self, which: int) -> None:
        """Days after it had left, at any time, also after the split."""
        went = self._rows(Refund, Refund.state == "succeeded", Refund.way != "bank")
        if went:
            refund = went[which % len(went)]
            told = (refund.organisation_id, refund.out_request_no, refund.fen, "failed", "expired_or_canceled_card")
            self.tried(True, lambda: refund_news.told(*told))

    @precondition(lambda self: self._has(Refund, "failed"))
    @rule(which=st.integers(0, 3))
    def a_refused_refund_left_after_all(self, which: int) -> None:
        """A notice or the bill says so, whatever was made instead of it meanwhile."""
        failed = self._rows(Refund, Refund.state == "failed", Refund.way != "bank")
        if failed:
            number = failed[which % len(failed)].id
            self.tried(True, lambda: refund_news.left(number))

    @rule()
    def everything_goes_back(self) -> None:
        """Whatever buyers and units have paid: then nothing of it is left anywhere, but for what had been handed on before."""
        self._all_refunds_end()
        for request in self._rows(ReturnRequest, ReturnRequest.state == "OPEN"):
            self.answer(request.id, False)
        for order in self._orders():
            if order.paid_fen > order.refunded_fen:
                self.cooperative_gives_back(order.id, 1)
        self._all_refunds_end()
        if not any(order.owed_fen for order in self._orders() if order.settled_at is not None):
            self.nothing_is_left()

    def nothing_is_left(self) -> None:
        """Of orders that are all wholly refunded, by account."""
        assert all(order.paid_fen == order.refunded_fen for order in self._orders())
        assert [self._held(kind) for kind in ("buyer_funds", "refunds_payable", "revenue", "freight")] == [0, 0, 0, 0]
        given = (
            select(DistributionShare.linkage_group_id, DistributionShare.fen)
            .join(Distribution, Distribution.id == DistributionShare.distribution_id)
            .where(self._own(Distribution), Distribution.state == "POSTED")
        )
        handed_on = Counter[tuple[str, int | None]]()
        for group, fen in db.session.execute(given):
            handed_on["pool_recoverable", group] += fen
        for (kind, village), fen in self._remitted().items():
            handed_on["village_recoverable" if kind == "COLLECTIVE" else "fund_recoverable", village] += fen if kind != "REVENUE" else 0
        handed_on["fund_recoverable", None] += sum(move.fen for move in self._rows(CreditMove) if move.kind in ("FUND", "BACK"))
        for recoverable, owner in self._recoverables():
            assert self._held(recoverable, owner) - self._held(SHARE_OF[recoverable], owner) == handed_on[recoverable, owner]

    def _recoverables(self) -> list[tuple[str, int | None]]:
        """Accounts of what is recoverable, with their owners."""
        return [("pool_recoverable", self.market.group), ("village_recoverable", self.market.village), ("fund_recoverable", None)]

    def _all_refunds_end(self) -> None:
        while self._has(Refund, *GOING):
            self.the_oldest_refund_ends(True)

    def _cost(self, line: OrderLine, packs: int) -> int:
        """All that came bring what is left; of fewer each its price, less its part of what was cut."""
        came = line.quantity - line.taken_off if line.accepted is None else line.accepted
        if packs >= came:
            return self._left(line)
        return min(self._left(line), line.goods_fen * packs // line.quantity - (line.cut_fen * packs + came - 1) // came)

    def _left(self, line: OrderLine) -> int:
        return line.goods_fen - line.unpaid_fen - line.cut_fen - line.refunded_fen

    def _may_go_again(self, refund: Refund, over: tuple[str, ...] = ONLINE) -> bool:
        payment = db.session.get_one(Payment, refund.payment_id)
        again = db.session.scalar(select(Refund.id).where(Refund.reissues_id == refund.id))
        if payment.channel not in over or again is not None or refund.sub_code in NOT_AGAIN or payment.amount_fen == payment.refunded_fen:
            return False
        return refund.order_id is None or sum(self._still_asked(refund).values()) > 0

    def _still_asked(self, refund: Refund) -> Counter[int]:
        """What of its goods, and under 0 of the freight, is still there to go back, if its order holds anything."""
        assert refund.order_id is not None
        order, lines, goods = trade.order(refund.order_id), lines_of(refund.order_id), Counter(dict(refund.goods or []))
        freight_left = order.freight_fen - (order.refunded_fen - sum(line.refunded_fen for line in lines))
        there = Counter({line.id: min(goods[line.id], self._left(line)) for line in lines})
        there[0] = min(refund.fen - goods.total(), freight_left)
        return +there if order.paid_fen > order.refunded_fen else Counter()

    def _agreed_or_undivided(self, refund: Refund) -> bool:
        """Of a divided order one person sends again only what two agreed to, since the split, or what was never divided."""
        first = refund
        while first.reissues_id is not None:
            first = db.session.get_one(Refund, first.reissues_id)
        order = trade.order(refund.order_id) if refund.order_id else None
        if order is None or order.settled_at is None or (first.approved_at >= order.settled_at and not first.elsewhere):
            return True
        return not self._still_asked(refund) - recovery.undivided(order)
