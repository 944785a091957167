"""Money that reached nobody: to the relief fund after its time, a notice and two people; and back to who turns up."""

from datetime import timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.households.household import Household
from marketplace.ledger import balance, share_event
from marketplace.ledger.posting import Source
from marketplace.notices.public_notice import PublicNotice
from marketplace.organisations.approval import OwnWork
from marketplace.payments import transfer
from marketplace.payments.channel import EXTENSION
from marketplace.payments.transfer import Transfer
from marketplace.reporting import books_shares, cooperative_money, open_books
from marketplace.settlement import payout_batch, payout_reversal, unclaimed, unclaimed_return
from marketplace.settlement.payout_batch import PayoutItem
from marketplace.settlement.unclaimed import Unclaimed
from marketplace.settlement.unclaimed_return import UnclaimedReturn
from tests import builders
from tests.builders import Market
from tests.settlement.alipay_desk import approved, with_accounts
from tests.settlement.any_payout import MayTransfer
from tests.settlement.test_payout_batch import bring, posted, sent
from tests.settlement.test_payout_unknown import items, unanswered
from tests.web.work_desk import browser

LATER = timedelta(days=800)


def waiting() -> tuple[Market, int]:
    """The second household's ¥20.00 came back from the bank, the third's ¥30.00 never left for want of an account."""
    market, distribution_id = posted()
    with transaction():
        db.session.get_one(Household, market.households[2]).bank_account = ""
    row = sent(market, distribution_id)
    bring(row, market, f"{row.number},1,10.00,paid,", f"{row.number},2,20.00,returned,户名不符")
    return market, distribution_id


def listed(market: Market) -> Unclaimed:
    return transaction(lambda: unclaimed.draft(actor=market.accountant))


def published(market: Market) -> Unclaimed:
    row = listed(market)
    transaction(lambda: unclaimed.approve(row.id, actor=market.director, version=1))
    transaction(lambda: unclaimed.publish(row.id, actor=market.accountant, version=2))
    return db.session.get_one(Unclaimed, row.id)


def ended(row: Unclaimed) -> clock.datetime:
    return clock.beijing_midnight(db.session.get_one(PublicNotice, row.notice_id).ends_on + timedelta(days=1))


def moved(market: Market) -> Unclaimed:
    row = published(market)
    with clock.travel(ended(row)):
        return transaction(lambda: unclaimed.post(row.id, actor=market.accountant, version=3))


def owed(market: Market) -> list[int]:
    held = balance.by_owner("household", market.cooperative)
    return [held[f"household:{each}"] for each in market.households]


def rules_hold() -> bool:
    return not any(rule() for rule in (books_shares.households_share_is_accounted_for, books_shares.households_are_owed_what_was_not_paid, books_shares.fund_adds_up))


@pytest.mark.both
def test_to_the_fund_and_back_to_who_turns_up(app: Flask) -> None:
    market, distribution_id = waiting()
    fund = balance.held("relief_fund", market.cooperative)
    assert unclaimed.counted(market.cooperative) == (0, 0)
    with clock.travel(clock.now() + LATER):
        assert unclaimed.counted(market.cooperative) == (2, 5_000)
        row = moved(market)
        assert (row.state, row.moved_fen, unclaimed.counted(market.cooperative)) == ("POSTED", 5_000, (0, 0))
        assert (owed(market), balance.held("relief_fund", market.cooperative)) == ([0, 0, 0], fund + 5_000)
        assert (cooperative_money.households(market.cooperative).to_send_fen, open_books.year(clock.business_date().year).waiting_fen) == (0, 0)
        assert rules_hold()
        with pytest.raises(Conflict, match=r"payout\.empty"):
            transaction(lambda: payout_batch.make(distribution_id, actor=market.accountant))
        second = market.households[1]
        asked = transaction(lambda: unclaimed_return.propose(row.id, second, "本人持户口簿到场", actor=market.accountant))
        with pytest.raises(Conflict, match=r"unclaimed\.asked"):
            transaction(lambda: unclaimed_return.propose(row.id, second, "再来一次", actor=market.accountant))
        transaction(lambda: unclaimed_return.decide(asked.id, actor=market.director, version=1, approved=True))
        assert (owed(market), balance.held("relief_fund", market.cooperative)) == ([0, 2_000, 0], fund + 3_000)
        assert rules_hold()
        again = transaction(lambda: payout_batch.make(distribution_id, actor=market.accountant))
        assert [(item.household_id, item.fen) for item in payout_batch.items_of(again.id)] == [(second, 2_000)]


@pytest.mark.both
def test_who_is_paid_while_the_notice_stands_keeps_it(app: Flask) -> None:
    market, distribution_id = waiting()
    with clock.travel(clock.now() + LATER):
        row = published(market)
        with transaction():
            db.session.get_one(Household, market.households[2]).bank_account = "6228000011112222"
        transaction(lambda: payout_batch.make(distribution_id, actor=market.accountant))
        with clock.travel(ended(row)):
            posted_row = transaction(lambda: unclaimed.post(row.id, actor=market.accountant, version=3))
        assert (posted_row.moved_fen, owed(market)) == (2_000, [0, 0, 3_000])
        assert rules_hold()


@pytest.mark.both
@pytest.mark.parametrize("how", ["returned", "refused"])
def test_the_time_runs_from_when_the_money_came_back_last(app: Flask, how: str) -> None:
    """Credited two years ago and sent now: what the bank brings back today is not two years old."""
    market, distribution_id = posted()
    with clock.travel(clock.now() + LATER):
        row = sent(market, distribution_id)
        bring(row, market, f"{row.number},1,10.00,paid,", f"{row.number},2,20.00,{how},户名不符", f"{row.number},3,30.00,paid,")
        assert unclaimed.counted(market.cooperative) == (0, 0)
        with pytest.raises(Conflict, match=r"unclaimed\.none"):
            listed(market)
    with clock.travel(clock.now() + LATER + LATER):
        assert unclaimed.counted(market.cooperative) == (1, 2_000)


@pytest.mark.both
def test_the_time_runs_from_the_day_on_which_a_payment_turned_out_never_to_have_been_made(app: Flask) -> None:
    """Believed to be paid for years, and reversed today: the household has its whole time from today on."""
    market, batch = unanswered("3,30.00,paid,")
    third = items(batch)[2].id
    with clock.travel(clock.now() + LATER):
        asked = transaction(lambda: payout_reversal.propose(third, "流水上没有这一笔", actor=market.accountant))
        transaction(lambda: payout_reversal.decide(asked.id, version=1, approved=True, actor=market.director))
        assert unclaimed.counted(market.cooperative) == (0, 0)
    with clock.travel(clock.now() + LATER + LATER):
        assert unclaimed.counted(market.cooperative) == (1, 3_000)


def test_what_alipay_refused_today_is_not_old_either(app: Flask) -> None:
    app.extensions[EXTENSION] = lambda _organisation_id: MayTransfer()
    market, distribution_id = posted()
    second = market.households[1]
    with_accounts(second)
    with clock.travel(clock.now() + LATER):
        batch = approved(market, distribution_id)
        transaction(lambda: payout_batch.start(batch.id, actor=market.accountant, version=batch.version))
        number = db.session.query(Transfer).one().id
        transaction(lambda: transfer.fail(number, "PAYEE_NOT_EXIST"))
        assert db.session.query(PayoutItem).one().state == "returned"
        assert unclaimed.counted(market.cooperative) == (0, 0)
    with clock.travel(clock.now() + LATER + LATER):
        assert unclaimed.counted(market.cooperative) == (1, 2_000)


@pytest.mark.both
def test_what_the_fund_gave_back_is_not_listed_again_the_same_day(app: Flask) -> None:
    market, _ = waiting()
    with clock.travel(clock.now() + LATER):
        row = moved(market)
        third = market.households[2]  # it has no account still
        asked = transaction(lambda: unclaimed_return.propose(row.id, third, "本人持户口簿到场", actor=market.accountant))
        transaction(lambda: unclaimed_return.decide(asked.id, actor=market.director, version=1, approved=True))
        assert (owed(market), unclaimed.counted(market.cooperative)) == ([0, 0, 3_000], (0, 0))
    with clock.travel(clock.now() + LATER + LATER):
        assert unclaimed.counted(market.cooperative) == (1, 3_000)


def test_what_only_waits_for_a_batch_is_not_unclaimed(app: Flask) -> None:
    market, _ = posted()
    with clock.travel(clock.now() + LATER):
        assert unclaimed.counted(market.cooperative) == (0, 0)
        with pytest.raises(Conflict, match=r"unclaimed\.none"):
            listed(market)


def test_two_people_a_notice_and_only_one_list_at_a_time(app: Flask) -> None:
    market, _ = waiting()
    other = builders.market(name="另一家合作社")
    with clock.travel(clock.now() + LATER):
        for wrong in (market.director, market.clerk):
            with pytest.raises(NotAllowed):
                transaction(lambda who=wrong: unclaimed.draft(actor=who))  # type: ignore[misc]
        row = listed(market)
        with pytest.raises(Conflict, match=r"unclaimed\.open"):
            listed(market)
        with pytest.raises(NotFound):
            transaction(lambda: unclaimed.approve(row.id, actor=other.director, version=1))
        with pytest.raises(NotAllowed):
            transaction(lambda: unclaimed.approve(row.id, actor=market.accountant, version=1))
        transaction(lambda: unclaimed.approve(row.id, actor=market.director, version=1))
        transaction(lambda: unclaimed.publish(row.id, actor=market.accountant, version=2))
        with pytest.raises(Conflict, match=r"notice\.running"):
            transaction(lambda: unclaimed.post(row.id, actor=market.accountant, version=3))
        notice = db.session.get_one(PublicNotice, row.notice_id)
        assert "total_fen" not in notice.body, "of two households no sum is told"
        reviewer = builders.person(builders.operator(), "reviewer")
        with pytest.raises(InvalidInput):
            transaction(lambda: unclaimed.withdraw(row.id, actor=reviewer, version=3, reason=" "))
        transaction(lambda: unclaimed.withdraw(row.id, actor=reviewer, version=3, reason="先再找一遍"))
        assert listed(market).total_fen == 5_000


def test_a_fund_that_was_remitted_says_so_instead_of_going_below_nothing(app: Flask) -> None:
    market, _ = waiting()
    with clock.travel(clock.now() + LATER):
        row = moved(market)
        held = balance.held("relief_fund", market.cooperative)
        with transaction():
            share_event.fund_remitted(book=market.cooperative, holder_book=builders.operator(), source=Source("remittance", 1), fen=held - 1_999)
        asked = transaction(lambda: unclaimed_return.propose(row.id, market.households[1], "持身份证到场", actor=market.accountant))
        with pytest.raises(Conflict, match=r"unclaimed\.fund_short"):
            transaction(lambda: unclaimed_return.decide(asked.id, actor=market.director, version=1, approved=True))
        with pytest.raises(NotAllowed):
            transaction(lambda: unclaimed_return.decide(asked.id, actor=market.accountant, version=1, approved=True))
        transaction(lambda: unclaimed_return.decide(asked.id, actor=market.director, version=1, approved=False, reason="不是本人"))
        assert transaction(lambda: unclaimed_return.propose(row.id, market.households[1], "本人到场", actor=market.accountant)).fen == 2_000


def test_the_whole_way_through_its_pages(app: Flask) -> None:
    market, _ = waiting()
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    assert "没有无人领取的钱" in accountant.get("/unclaimed").text
    with clock.travel(clock.now() + LATER):
        assert "2 户的 ¥50.00" in director.get("/unclaimed").text
        answer = accountant.post("/unclaimed")
        assert answer.status_code == 303
        address = answer.location
        for client, step, version in ((director, "approve", 1), (accountant, "publish", 2)):
            assert f"{address}/step/{step}" in client.get(address).text
            assert client.get(f"{address}/step/{step}").status_code == 200
            assert client.post(f"{address}/step/{step}", data={"version": str(version)}).status_code == 303
        db.session.rollback()
        row = db.session.query(Unclaimed).one()
        notice = db.session.get_one(PublicNotice, row.notice_id).public_id
        assert "2 户" not in app.test_client().get(f"/notices/{notice}").text
        with clock.travel(ended(row)):
            assert accountant.post(f"{address}/step/post", data={"version": "3"}).status_code == 303
            page = accountant.get(address).text
            assert ("已转入防贫基金" in page, "测" in page) == (True, True)
            home = db.session.get_one(Household, market.households[1]).public_id
            assert accountant.post(f"{address}/households/{home}", data={"reason": ""}).status_code == 422
            assert accountant.post(f"{address}/households/{home}", data={"reason": "本人到场"}).status_code == 303
            db.session.rollback()
            back = f"{address}/returns/{db.session.query(UnclaimedReturn).one().public_id}"
            assert "同意退还 ¥20.00" in director.get(address).text
            assert accountant.post(back, data={"decision": "approve", "version": "1"}).status_code == 403
            assert director.post(back, data={"decision": "return", "version": "1", "reason": ""}).status_code == 422
            assert director.post(back, data={"decision": "approve", "version": "1"}).status_code == 303
            assert "已退还" in accountant.get(address).text
            treasurer = browser(app, builders.person(builders.operator(), "treasurer"))
            assert row.number in treasurer.get("/unclaimed").text
            assert treasurer.get(address).status_code == 200


def test_nobody_decides_on_their_own_list(app: Flask) -> None:
    from marketplace.organisations.actor import acting
    from marketplace.organisations.person import Role

    market, _ = waiting()
    with transaction():
        db.session.add(Role(person_id=market.accountant.person_id, organisation_id=market.cooperative, name="director"))
    both = acting(market.accountant.person_id, market.cooperative)
    assert both is not None
    with clock.travel(clock.now() + LATER):
        row = listed(market)
        with pytest.raises(OwnWork):
            transaction(lambda: unclaimed.approve(row.id, actor=both, version=1))
