"""Transfers of which Alipay says now this and now that: they end by what two people show, and nobody is paid twice."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock, outbox
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, MarketError, NotAllowed, NotFound
from marketplace.payments import transfer_ending
from marketplace.payments.account_bill import KeptAccountBill
from marketplace.payments.alipay_transfer import Payee
from marketplace.payments.statement_row import StatementRow
from marketplace.payments.transfer import Transfer
from marketplace.payments.transfer_ending import TransferEnding
from marketplace.reporting import money_health
from marketplace.settlement import payout_batch
from marketplace.settlement.payout_batch import PayoutBatch
from tests import builders
from tests.builders import Market
from tests.settlement.alipay_desk import QUERY, TRANSFER, AlipayDesk, item, rounds, started, states, transfers
from tests.settlement.test_payout_transfer import open_desk, owed, sound

pytestmark = pytest.mark.both

ORDER = "20261123110070000006380000250621"
LATER = timedelta(hours=1)
SEEN = "商家平台账单，客服工单 0031"


def used_already(app: Flask, *, fen: int = 1_000, account: str = "13900000000") -> tuple[Market, PayoutBatch, AlipayDesk, Transfer]:
    """The first household's number was used at Alipay for somebody else, or for another amount, before we sent it."""
    market, distribution_id, desk = open_desk(app)
    row = started(market, distribution_id)
    first = transfers(row)[0]
    desk.client.transfer(first.out_biz_no, fen, Payee(account, "别人"), "别的")
    desk.asked.clear()
    rounds(3)
    return market, row, desk, transfers(row)[0]


def lost(app: Flask) -> tuple[Market, PayoutBatch, AlipayDesk, Transfer]:
    """The first household's request never arrived, and nobody knows."""
    market, distribution_id, desk = open_desk(app)
    row = started(market, distribution_id)
    desk.loses(TRANSFER, "before")
    rounds()
    return market, row, desk, transfers(row)[0]


def proposed(its: Transfer, market: Market, outcome: str = "PAID", **named: object) -> TransferEnding:
    given = {"order_id": ORDER, "paid_on": clock.business_date()} | named
    with clock.travel(clock.now() + LATER):
        return transaction(lambda: transfer_ending.propose(its.id, outcome, SEEN, actor=market.accountant, **given))  # type: ignore[arg-type]


def decided(row: TransferEnding, market: Market, *, approved: bool = True, answer: str = "", later: timedelta = LATER) -> str:
    number, version = row.id, row.version
    db.session.rollback()
    with clock.travel(clock.now() + later):
        return transfer_ending.decide(number, actor=market.director, version=version, approved=approved, answer=answer)


def refused(code: str, work: Callable[[], object]) -> None:
    with pytest.raises(MarketError) as caught:
        work()
    assert caught.value.code == code
    db.session.rollback()


def on_the_bill(its: Transfer, *fens: int) -> None:
    with transaction():
        for at, fen in enumerate(fens):
            db.session.add(
                StatementRow(
                    organisation_id=its.organisation_id, side="alipay", serial=f"B{its.id}-{at}", day=clock.business_date(), fen=fen,
                    kind="transfer", number=its.out_biz_no, remark="转账",
                )
            )  # fmt: skip


@pytest.mark.parametrize("fen", [1_000, 1_200])
def test_a_number_used_for_another_never_ends_by_itself(app: Flask, fen: int) -> None:
    """Even where the amounts are the same: the query tells no payee, and its success is somebody else's."""
    market, row, desk, its = used_already(app, fen=fen)
    assert (states(row), its.state) == (["unknown", "paid", "paid"], "unknown")
    assert its.sub_code in ("inconsistent", "other_amount")
    assert (desk.asked.count(QUERY) > 2, owed(market)) == (True, [0, 0, 0])
    sound()


def test_paid_by_its_order_number_and_two_people(app: Flask) -> None:
    market, row, _desk, its = used_already(app)
    asked = proposed(its, market)
    assert proposed(its, market).id == asked.id
    assert {each.name: (each.count, each.fen) for each in money_health.standing()}["transfer_endings"] == (1, 1_000)
    assert decided(asked, market) == "DONE"
    assert (states(row), transfers(row)[0].order_id) == (["paid", "paid", "paid"], ORDER)
    assert db.session.get_one(PayoutBatch, row.id).state == "DONE"
    assert {each.name: each.count for each in money_health.standing()}["transfer_endings"] == 0
    sound()
    refused("ending.state", lambda: decided(asked, market))


def test_not_paid_is_not_believed_while_alipay_has_it(app: Flask) -> None:
    market, row, _desk, its = used_already(app)
    asked = proposed(its, market, "UNPAID")
    refused("ending.not_plain", lambda: decided(asked, market))
    assert (states(row)[0], owed(market), db.session.get_one(TransferEnding, asked.id).state) == ("unknown", [0, 0, 0], "PROPOSED")
    sound()


def test_not_paid_once_alipay_plainly_knows_of_none_and_paid_again_once(app: Flask) -> None:
    market, row, desk, its = lost(app)
    assert decided(proposed(its, market, "UNPAID"), market) == "DONE"
    assert (states(row)[0], item(row, 0).reason, owed(market)) == ("returned", "问过支付宝，没有付出", [1_000, 0, 0])
    assert transfers(row)[0].state == "failed"
    rounds(2, after=timedelta(hours=2))
    assert (desk.went, desk.asked.count(TRANSFER)) == ([2_000, 3_000], 2), "the job lets it be"
    again = transaction(lambda: payout_batch.reissue(row.id, actor=market.accountant, channel="alipay"))
    transaction(lambda: payout_batch.approve(again.id, actor=market.director, version=1))
    transaction(lambda: payout_batch.start(again.id, actor=market.accountant, version=2))
    rounds()
    assert (desk.went, owed(market)) == ([1_000, 2_000, 3_000], [0, 0, 0])
    sound()


def test_an_end_of_another_amount_that_moved_nothing_is_a_plain_no(app: Flask) -> None:
    market, distribution_id, desk = open_desk(app)
    row = started(market, distribution_id)
    number = transfers(row)[0].out_biz_no
    desk.fault("transfer_fail", number)
    desk.client.transfer(number, 1_200, Payee("13900000000", "别人"), "别的")
    rounds(2)
    assert states(row)[0] == "unknown"
    assert decided(proposed(transfers(row)[0], market, "UNPAID"), market) == "DONE"
    assert (states(row)[0], owed(market), desk.went) == ("returned", [1_000, 0, 0], [2_000, 3_000])


def test_what_was_just_sent_may_still_arrive(app: Flask) -> None:
    market, _row, _desk, its = lost(app)
    refused("transfer.sent_lately", lambda: transaction(lambda: transfer_ending.propose(its.id, "UNPAID", SEEN, actor=market.accountant)))
    asked = proposed(its, market, "UNPAID")
    refused("transfer.sent_lately", lambda: decided(asked, market, later=timedelta(minutes=5)))


def test_the_job_that_sends_it_meanwhile_is_seen(app: Flask) -> None:
    """Between the director's word and Alipay's answer the job finds that nothing is known, and sends: it is paid, once."""
    market, row, desk, its = lost(app)
    asked, number, once = proposed(its, market, "UNPAID"), its.id, [True]

    def job(method: str, when: str) -> bool:
        if (method, when) == (QUERY, "before") and once:
            once.clear()
            outbox.handlers["transfer"]({"transfer_id": number})
        return False

    desk.lose = job
    assert decided(asked, market) == "RETURNED"
    assert (states(row), desk.went, owed(market)) == (["paid", "paid", "paid"], [1_000, 2_000, 3_000], [0, 0, 0])
    told = db.session.get_one(TransferEnding, asked.id)
    assert (told.decided_by_id, told.decided_at is not None) == (None, True), "Alipay's answer decided"
    sound()


def test_a_send_after_alipays_no_is_seen_too(app: Flask) -> None:
    """The answer says that there is none; before it is recorded the job has sent again, and that got lost."""
    market, row, desk, its = lost(app)
    asked, number, once = proposed(its, market, "UNPAID"), its.id, [True]

    def job(method: str, when: str) -> bool:
        if (method, when) == (QUERY, "after") and once:
            once.clear()
            with pytest.raises(MarketError):
                outbox.handlers["transfer"]({"transfer_id": number})
        return method == TRANSFER and when == "after"

    desk.lose = job
    refused("transfer.sent_lately", lambda: decided(asked, market))
    assert owed(market) == [0, 0, 0], "it may have arrived, and it has"
    desk.lose = lambda _method, _when: False
    rounds(2, after=timedelta(hours=2))
    assert (states(row), desk.went) == (["paid", "paid", "paid"], [1_000, 2_000, 3_000])
    sound()


def test_the_bill_decides_where_it_has_the_row(app: Flask) -> None:
    market, row, _desk, its = lost(app)
    on_the_bill(its, -1_000)
    unpaid = proposed(its, market, "UNPAID")
    refused("ending.bill", lambda: decided(unpaid, market))  # although Alipay's query knows of none
    assert decided(unpaid, market, approved=False, answer="账单上有") == "RETURNED"
    with transaction():
        db.session.get_one(Transfer, its.id).state = "unknown"  # as the job leaves it once it has asked again
    paid = proposed(its, market)
    assert decided(paid, market) == "DONE"
    bill = db.session.query(StatementRow).one()
    assert (states(row)[0], db.session.get_one(TransferEnding, paid.id).row_id) == ("paid", bill.id)
    sound()


@pytest.mark.parametrize("fens", [(-1_200,), (-1_000, 1_000)])
def test_a_bill_that_says_otherwise_is_told(app: Flask, fens: tuple[int, ...]) -> None:
    market, row, _desk, its = used_already(app)
    on_the_bill(its, *fens)
    asked = proposed(its, market)
    refused("ending.bill", lambda: decided(asked, market))
    assert states(row)[0] == "unknown"


def test_a_day_whose_bill_is_here_without_it_is_no_evidence(app: Flask) -> None:
    market, row, _desk, its = used_already(app)
    asked = proposed(its, market)
    today = clock.business_date()
    with transaction():
        for day in (today, today + timedelta(days=1)):
            db.session.add(KeptAccountBill(organisation_id=market.cooperative, day=day, sha256="0" * 64, rows=1, opening_fen=0, closing_fen=0, imported_at=clock.now()))
    refused("ending.not_billed", lambda: decided(asked, market))
    assert states(row)[0] == "unknown"


def test_paid_against_alipays_plain_no_waits_for_the_bill(app: Flask) -> None:
    market, row, _desk, its = lost(app)
    asked = proposed(its, market)
    refused("ending.not_known", lambda: decided(asked, market))
    on_the_bill(its, -1_000)
    assert decided(asked, market) == "DONE"
    assert states(row)[0] == "paid"


def test_the_order_number_of_another_transfer_proves_nothing(app: Flask) -> None:
    market, row, _desk, its = used_already(app)
    other = transfers(row)[1].order_id
    refused("ending.taken", lambda: proposed(its, market, order_id=other))
    asked = proposed(its, market)
    with transaction():
        transfers(row)[1].order_id = ORDER
    refused("ending.taken", lambda: decided(asked, market))


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"outcome": "MAYBE"}, "ending.outcome"), ({"order_id": ""}, "ending.order"), ({"order_id": "20261123<b>0000000000"}, "ending.order"),
        ({"paid_on": None}, "ending.day"), ({"paid_on": clock.business_date() + timedelta(days=3)}, "ending.day"),
        ({"paid_on": clock.business_date() - timedelta(days=3)}, "ending.day"),
    ],
)  # fmt: skip
def test_evidence_that_is_none(app: Flask, given: dict[str, object], code: str) -> None:
    market, _row, _desk, its = used_already(app)
    refused(code, lambda: proposed(its, market, **given))
    with pytest.raises(InvalidInput, match=r"reason\.missing"), transaction():
        transfer_ending.propose(its.id, "UNPAID", "查", actor=market.accountant)


def test_who_may_say_and_who_decides(app: Flask) -> None:
    market, _row, _desk, its = used_already(app)
    stranger = builders.market(name="另一家")
    for actor, error in ((market.clerk, NotAllowed), (stranger.accountant, NotFound)):
        with pytest.raises(error), transaction():
            transfer_ending.propose(its.id, "UNPAID", SEEN, actor=actor)
    with clock.travel(clock.now() + LATER):
        asked = transaction(lambda: transfer_ending.propose(its.id, "UNPAID", SEEN, actor=market.director))
        with pytest.raises(Conflict, match=r"ending\.waiting"), transaction():
            transfer_ending.propose(its.id, "PAID", SEEN, order_id=ORDER, paid_on=clock.business_date(), actor=market.accountant)
        for actor, error in ((market.director, NotAllowed), (market.accountant, NotAllowed), (stranger.director, NotFound)):
            db.session.rollback()
            with pytest.raises(error):
                transfer_ending.decide(asked.id, actor=actor, version=1, approved=True)
        other = builders.person(market.cooperative, "director")
        for version, approved, code in ((2, True, "version.stale"), (1, False, "reason.missing")):
            db.session.rollback()
            with pytest.raises(MarketError) as caught:
                transfer_ending.decide(asked.id, actor=other, version=version, approved=approved)
            assert caught.value.code == code
        db.session.rollback()
        assert transfer_ending.decide(asked.id, actor=other, version=1, approved=False, answer="再查") == "RETURNED"
    assert proposed(its, market).id != asked.id, "it may be said again"


def test_what_was_paid_has_no_end_to_say(app: Flask) -> None:
    market, row, _desk, _its = used_already(app)
    refused("transfer.state", lambda: proposed(transfers(row)[1], market))
