"""What the fund gives back: asked for by the cooperative, agreed to by the county, posted in both books when the bank has it, and not twice."""

import re
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, MarketError, NotAllowed, NotFound
from marketplace.ledger import balance, event
from marketplace.ledger.entry import of_source
from marketplace.ledger.posting import Source
from marketplace.organisations.actor import Actor, acting
from marketplace.organisations.approval import OwnWork
from marketplace.organisations.person import grant
from marketplace.payments.statement_row import StatementLink
from marketplace.reporting import books_ledger, books_shares
from marketplace.settlement import fund_return, reconciliation, remittance, unclaimed_return
from marketplace.settlement.fund_return import FundReturn
from marketplace.settlement.remittance import Remittance
from tests import builders
from tests.builders import Market
from tests.payments import statement
from tests.settlement.test_remittance import earning, remitted
from tests.settlement.test_unclaimed import LATER, moved, waiting
from tests.web.work_desk import browser

pytestmark = pytest.mark.both


def opened() -> tuple[Market, int, Actor]:
    """A cooperative that remitted ¥12.00 to the fund; the operator, who holds it; and its treasurer."""
    market, holder = earning(), builders.operator()
    remitted(market, "FUND", 1_200)
    return market, holder, builders.person(holder, "treasurer")


def asked(market: Market, fen: int = 500, key: str = "k") -> FundReturn:
    return transaction(lambda: fund_return.propose(fen, "无人领取的一户到场", actor=market.accountant, key=key))


def agreed(row: FundReturn, treasurer: Actor) -> FundReturn:
    return transaction(lambda: fund_return.decide(row.id, actor=treasurer, version=1))


def recorded(row: FundReturn, market: Market, serial: str = "0041") -> FundReturn:
    today = clock.business_date()
    return transaction(lambda: fund_return.record(row.id, received_on=today, bank_serial=serial, actor=market.accountant, version=2))


def arrives(market: Market, fen: int, remark: str, serial: str = "0041") -> None:
    statement.take(market.accountant, [(f"{clock.business_date()}", fen, "县防贫基金", remark, serial)])


def held(market: Market, holder: int) -> tuple[int, int, int]:
    """The fund's share in the cooperative's book and in the holder's, and what is unapplied."""
    db.session.rollback()
    return balance.held("relief_fund", market.cooperative), balance.held("relief_fund", holder), balance.held("unapplied", market.cooperative)


def explained(market: Market) -> bool:
    """Whether the statement's credits are entries of the books, to the fen."""
    db.session.rollback()
    return [item for item in reconciliation.position(market.cooperative, "bank").items if item.effect_fen == 500] == []


def sound() -> bool:
    return books_shares.fund_adds_up() == []


def test_the_statement_posts_it_once(app: Flask) -> None:
    market, holder, treasurer = opened()
    row = agreed(asked(market), treasurer)
    assert held(market, holder) == (0, 1_200, 0)
    arrives(market, 500, f"退回{row.number}")
    arrives(market, 500, f"退回{row.number}")
    assert held(market, holder) == (500, 700, 0)
    db.session.refresh(row)
    assert (row.state, row.bank_serial, row.recorded_by_id, row.row_id) == ("RECEIVED", "0041", None, statement.row("0041").id)
    assert explained(market) and sound()
    # The number once more on another credit: that is somebody's money, and not the fund's.
    arrives(market, 500, f"退回{row.number}", "0042")
    assert held(market, holder) == (500, 700, 500)


def test_a_remittance_that_the_bank_sends_back_after_a_part_was_given_back_leaves_the_holder_at_nothing(app: Flask) -> None:
    """What was given back was other money of the holder's: the next remittance makes good for it, and no book is below nothing meanwhile."""
    market, holder, treasurer = opened()
    row, first = agreed(asked(market), treasurer), db.session.query(Remittance).one().number
    arrives(market, 500, f"退回{row.number}")
    arrives(market, 1_200, f"退汇 {first} 账号不符", "0042")
    assert (held(market, holder), balance.held("fund_recoverable", holder)) == ((1_700, 0, 0), 500)
    assert (books_ledger.nobody_owes_what_cannot_be_owed(), sound()) == ([], True)
    again = transaction(lambda: remittance.propose("FUND", 1_700, actor=market.accountant, key="again"))
    transaction(lambda: remittance.approve(again.id, actor=market.director, version=1))
    transaction(lambda: remittance.record_paid(again.id, paid_on=clock.business_date(), bank_serial="WY900001", actor=market.accountant, version=2))
    assert (held(market, holder), balance.held("fund_recoverable", holder)) == ((0, 1_200, 0), 0)
    # Sent back once more, it is as before.
    arrives(market, 1_700, f"退汇 {again.number} 账号不符", "0043")
    assert (held(market, holder), balance.held("fund_recoverable", holder)) == ((1_700, 0, 0), 500)
    assert (books_ledger.nobody_owes_what_cannot_be_owed(), sound()) == ([], True)


def test_what_is_recorded_by_hand_is_known_when_its_row_comes(app: Flask) -> None:
    market, holder, treasurer = opened()
    row = recorded(agreed(asked(market), treasurer), market)
    assert held(market, holder) == (500, 700, 0)
    arrives(market, 500, "往来款")
    assert held(market, holder) == (500, 700, 0)
    db.session.refresh(row)
    assert row.row_id == statement.row("0041").id
    assert explained(market) and sound()


def test_a_row_that_was_taken_for_a_buyers_is_freed(app: Flask) -> None:
    market, holder, treasurer = opened()
    row = agreed(asked(market), treasurer)
    arrives(market, 500, "往来款")
    assert held(market, holder) == (0, 1_200, 500)
    recorded(row, market)
    assert held(market, holder) == (500, 700, 0)
    assert statement.receipt("0041").state == "unrelated"
    link = db.session.query(StatementLink).filter_by(row_id=statement.row("0041").id).one()
    assert [link.entry_id] == [each.id for each in of_source("fund_return", row.id) if each.book == market.cooperative]
    assert explained(market) and sound()


def test_a_row_of_another_amount_is_not_it(app: Flask) -> None:
    market, holder, treasurer = opened()
    row = agreed(asked(market), treasurer)
    arrives(market, 501, f"退回{row.number}")
    with pytest.raises(Conflict, match=r"fund_return\.row"):
        recorded(row, market)
    assert held(market, holder) == (0, 1_200, 501)


def test_no_more_comes_back_than_was_remitted_and_the_holder_has(app: Flask) -> None:
    market, _holder, treasurer = opened()
    assert fund_return.returnable(market.cooperative) == 1_200
    with pytest.raises(Conflict, match=r"fund_return\.most"):
        asked(market, 1_201)
    row = asked(market, 1_000)
    assert asked(market, 1_000).id == row.id, "the same key"
    with pytest.raises(Conflict, match=r"fund_return\.most"):
        asked(market, 201, key="again")
    transaction(lambda: fund_return.withdraw(row.id, actor=market.director, version=1, reason="不用了"))
    recorded(agreed(asked(market, 1_200, key="all"), treasurer), market)
    assert fund_return.returnable(market.cooperative) == 0
    again = transaction(lambda: remittance.propose("FUND", 1_200, actor=market.accountant, key="more"))
    assert again.fen == 1_200, "it is the fund's share still, and may be remitted again"
    assert fund_return.returnable(builders.market(name="另一家").cooperative) == 0, "what another remitted is not theirs"


@pytest.mark.parametrize(("fen", "reason", "code"), [(0, "无人领取", "fund_return.fen"), (-1, "无人领取", "fund_return.fen"), (1, "退", "reason.missing")])
def test_what_is_no_request(app: Flask, fen: int, reason: str, code: str) -> None:
    market, _holder, _treasurer = opened()
    with pytest.raises(InvalidInput) as caught, transaction():
        fund_return.propose(fen, reason, actor=market.accountant, key="k")
    assert caught.value.code == code


def test_who_may_what(app: Flask) -> None:
    market, holder, treasurer = opened()
    stranger = builders.market(name="另一家")
    for actor in (market.director, market.clerk, treasurer):
        with pytest.raises(NotAllowed), transaction():
            fund_return.propose(500, "无人领取的一户到场", actor=actor, key="x")
    row = asked(market)
    for actor, error in ((market.director, NotAllowed), (builders.person(holder, "auditor"), NotAllowed)):
        with pytest.raises(error), transaction():
            fund_return.decide(row.id, actor=actor, version=1)
    with pytest.raises(InvalidInput, match=r"reason\.missing"), transaction():
        fund_return.decide(row.id, actor=treasurer, version=1, approved=False)
    with transaction():
        grant(market.accountant.person_id, holder, "treasurer")
    both = acting(market.accountant.person_id, holder)
    assert both is not None
    with pytest.raises(OwnWork), transaction():
        fund_return.decide(row.id, actor=both, version=1)
    with pytest.raises(Conflict, match=r"fund_return\.state"):
        recorded(row, market)
    agreed(row, treasurer)
    for actor, refusal in ((market.director, NotAllowed), (treasurer, NotAllowed), (stranger.accountant, NotFound)):
        with pytest.raises(refusal), transaction():
            fund_return.record(row.id, received_on=clock.business_date(), bank_serial="0041", actor=actor, version=2)
    for day, serial, code in ((timedelta(days=1), "0041", "transfer.day"), (timedelta(days=-1), "0041", "transfer.day"), (timedelta(0), "1", "transfer.reference")):
        with pytest.raises(MarketError) as caught, transaction():
            fund_return.record(row.id, received_on=clock.business_date() + day, bank_serial=serial, actor=market.accountant, version=2)
        assert caught.value.code == code
    with pytest.raises(NotFound), transaction():
        fund_return.withdraw(row.id, actor=stranger.director, version=2, reason="不是我的")
    number = row.id
    for wrong in ("approved_by_id = proposed_by_id", "state = 'RECEIVED'", "fen = 0", "holder_id = organisation_id"):
        with pytest.raises(IntegrityError), transaction():
            db.session.execute(text(f"UPDATE fund_return SET {wrong} WHERE id = {number}"))
        db.session.rollback()
    recorded(row, market)
    with pytest.raises(Conflict, match=r"fund_return\.state"), transaction():
        fund_return.withdraw(row.id, actor=market.director, version=2, reason="来不及了")


def test_a_household_that_turned_up_gets_its_money_once_the_fund_gave_it_back(app: Flask) -> None:
    """What the refusal of ``unclaimed.fund_short`` sends people to do, done."""
    market, _distribution_id = waiting()
    holder = builders.operator()
    treasurer = builders.person(holder, "treasurer")
    with clock.travel(clock.now() + LATER):
        row = moved(market)
        in_alipay = balance.held("alipay", market.cooperative)
        with transaction():
            event.withdrawn(book=market.cooperative, source=Source("withdrawal", 9), fen=in_alipay)
        remitted(market, "FUND", balance.held("relief_fund", market.cooperative))
        back = transaction(lambda: unclaimed_return.propose(row.id, market.households[1], "持身份证到场", actor=market.accountant))
        with pytest.raises(Conflict, match=r"unclaimed\.fund_short"), transaction():
            unclaimed_return.decide(back.id, actor=market.director, version=1, approved=True)
        its = agreed(asked(market, 2_000), treasurer)
        arrives(market, 2_000, f"退回 {its.number}")
        transaction(lambda: unclaimed_return.decide(back.id, actor=market.director, version=1, approved=True))
        assert (balance.held("relief_fund", market.cooperative), balance.by_owner("household", market.cooperative)[f"household:{market.households[1]}"]) == (0, 2_000)
        assert sound()


def test_the_whole_way_through_its_pages(app: Flask) -> None:
    market, holder, treasurer_ = opened()
    accountant, director, treasurer = (browser(app, each) for each in (market.accountant, market.director, treasurer_))
    assert "基金没有退回过钱" in accountant.get("/fund-returns").text and 'href="/fund-returns"' in accountant.get("/remittances").text
    form = accountant.get("/fund-returns/new").text
    assert "最多 ¥12.00" in form
    key = re.search(r'name="idempotency_key" value="(\w+)"', form)
    assert key
    data = {"amount": "5.00", "reason": "无人领取的一户到场", "idempotency_key": key[1]}
    assert accountant.post("/fund-returns/new", data=data | {"amount": "五元"}).status_code == 422
    over = accountant.post("/fund-returns/new", data=data | {"amount": "12.01", "idempotency_key": "other"})
    assert (over.status_code, "最多能请基金退回 ¥12.00" in over.text) == (409, True)
    where = accountant.post("/fund-returns/new", data=data).location
    assert accountant.post("/fund-returns/new", data=data).location == where
    assert "等县里的管理员或财务同意" in director.get(where).text and "等您同意" in treasurer.get(where).text
    assert where in treasurer.get("/operator/queues/fund_returns").text
    assert director.post(f"{where}/step/approve", data={"version": "1"}).status_code == 403
    assert "同意退回 ¥5.00" in treasurer.get(f"{where}/step/approve").text
    assert treasurer.post(f"{where}/step/return", data={"version": "1", "reason": ""}).status_code == 422
    assert treasurer.post(f"{where}/step/approve", data={"version": "1"}).status_code == 303
    assert "附言写" in accountant.get(where).text and "记为到账" not in director.get(where).text
    received = {"version": "2", "paid_on": f"{clock.business_date()}", "reference": "0041"}
    assert accountant.post(f"{where}/received", data=received | {"reference": ""}).status_code == 422
    assert accountant.post(f"{where}/received", data=received | {"paid_on": "今天"}).status_code == 422
    stranger = browser(app, builders.market(name="另一家").accountant)
    assert {stranger.get(where).status_code, stranger.post(f"{where}/received", data=received).status_code} == {404}
    assert accountant.post(f"{where}/received", data=received).status_code == 303
    assert held(market, holder) == (500, 700, 0)
    page = treasurer.get(where).text
    assert "已到账" in page and "0041" in page and "同一编号也记在持有人" in page
    assert "已到账" in accountant.get("/fund-returns").text
    sheet = accountant.get("/fund-returns/export.xlsx")
    assert (sheet.status_code, sheet.data[:2]) == (200, b"PK")


def test_at_a_bank_that_gives_no_numbers_a_buyers_money_of_the_same_amount_is_a_buyers(app: Flask) -> None:
    market, holder, treasurer = opened()
    row = agreed(asked(market), treasurer)
    statement.take(market.accountant, [(f"{clock.business_date()}", 500, "靖安县第一中学", "货款", "")])
    assert held(market, holder) == (0, 1_200, 500)
    assert (db.session.get_one(FundReturn, row.id).state, sound()) == ("APPROVED", True)
    statement.take(market.accountant, [(f"{clock.business_date()}", 500, "县防贫基金", f"退回{row.number}", "")], opening_fen=500)
    assert held(market, holder) == (500, 700, 500)
