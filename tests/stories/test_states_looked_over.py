"""Pages in states that days of trade seldom leave behind, each made with builders and looked over in a browser: at both widths, in both
languages, nothing that axe finds fault with, nothing wider than the screen, no word left in the other language."""

import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Page

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.households import account_proposal
from marketplace.households.household import Household
from marketplace.payments import bank_match, channel_key, key_material
from marketplace.payments.bill_day import MissingBill
from marketplace.payments.notice_inbox import AlipayNotice
from marketplace.payments.row_undo import RowUndo
from marketplace.payments.statement_row import StatementLink
from marketplace.procurement import late_interest
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.settlement import payout_batch, unclaimed_return
from tests import builders
from tests.builders import Market
from tests.chromium import axe_faults
from tests.payments import statement
from tests.payments.test_channel_key import confirmed
from tests.payments.test_receipt_return import decided as said_to_be
from tests.procurement.test_late_interest import accepted, claim
from tests.procurement.unit_market import match, receipt, unit_market
from tests.settlement.alipay_desk import item, with_accounts
from tests.settlement.test_fund_return import agreed, asked, opened, recorded
from tests.settlement.test_payout_batch import bring, posted, sent
from tests.settlement.test_transfer_ending import decided, lost, proposed, used_already
from tests.settlement.test_unclaimed import LATER as YEARS_LATER
from tests.settlement.test_unclaimed import moved, waiting
from tests.stories.test_money_looked_over import served_by
from tests.stories.visitor import DESK, PHONE, TOO_WIDE
from tests.web.work_desk import browser

pytestmark = pytest.mark.browser
HAN = re.compile(r"[\u4e00-\u9fff]")


class Then:
    """A client at the moment of its making: a browser asks from a context of its own, in which nobody has travelled."""

    def __init__(self, client: FlaskClient) -> None:
        self.client, self.application, self.at = client, client.application, clock.now()

    def get(self, *asked: Any, **named: Any) -> Any:
        with clock.travel(self.at):
            return self.client.get(*asked, **named)


def look(page: Page, client: FlaskClient, name: str, *paths: str, opened: bool = False) -> list[str]:
    """What is wrong with these pages at either width, in either language; ``opened``: with everything that is folded away laid open."""
    wrong = []
    for language in ("zh", "en"):
        page.unroute_all()
        page.route("**/*", served_by(Then(client), language))  # type: ignore[arg-type]
        for number, path in enumerate(paths):
            answer = page.goto(f"http://market.test{path}")
            if answer is None or answer.status != 200:
                wrong.append(f"{path}: {answer and answer.status}")
                continue
            if opened:
                page.evaluate("() => document.querySelectorAll('main details').forEach(each => { each.open = true })")
            for width in (PHONE, DESK):
                page.set_viewport_size({"width": width, "height": 900})
                seen(page, f"{name}{number or ''}-{language}-{width}")
                wrong += [f"{name} {path} at {width}: {each}" for each in axe_faults(page)]
                wrong += [f"{name} {path} at {width}: too wide {each}" for each in page.evaluate(TOO_WIDE)]
            if language == "en":
                labels = page.locator("main h1, main h2, main button, main label, main thead th, main summary, main .tag, main .btn").all_inner_texts()
                wrong += [f"{name} {path}: not in English: {each}" for each in labels if HAN.search(each)]
    return wrong


def seen(_page: Page, _name: str) -> None:
    """For whoever wants the pictures."""


def test_interest_that_is_claimed_reckoned_again_withdrawn_and_waived(app: Flask, page: Page) -> None:
    at = unit_market()
    made, start = accepted(at), clock.now()
    where = f"/cooperative/overdue/{db.session.get_one(DirectedOrder, made).public_id}"
    on_order = f"/unit/orders/{db.session.get_one(DirectedOrder, made).public_id}"
    accountant, director, buyer = browser(app, at.market.accountant), browser(app, at.market.director), browser(app, at.buyer)
    auditor = browser(app, builders.person(builders.operator(), "auditor"))
    with clock.travel(start + timedelta(days=41)):
        claim(at, made)
        match(at, receipt(at, 40_000, day=f"{clock.business_date(start) + timedelta(days=33)}"), made, 40_000)
        wrong = look(page, accountant, "interest-accountant", where, opened=True) + look(page, director, "interest-director", where, opened=True)
    with clock.travel(start + timedelta(days=45)):
        db.session.rollback()
        first = late_interest.claims_of(db.session.get_one(DirectedOrder, made).order_id)[0].id
        transaction(lambda: late_interest.withdraw(first, "到账晚了，按现在的到账重算", version=1, actor=at.market.accountant))
        again = claim(at, made, "again").id
        transaction(lambda: late_interest.waive(again, "第一次逾期", version=1, actor=at.market.director))
    with clock.travel(start + timedelta(days=50)):
        claim(at, made, "third")
        wrong += look(page, accountant, "interest-after", where, "/cooperative/overdue", f"{where}/letter") + look(page, buyer, "interest-unit", on_order)
        wrong += look(page, auditor, "interest-county", "/operator/overdue")
        third = late_interest.claims_of(db.session.get_one(DirectedOrder, made).order_id)[-1]
        number, part = third.id, third.fen - 1
        came = receipt(at, part, day=f"{clock.business_date()}", serial="I1")
        transaction(lambda: bank_match.match(came, "late_interest", number, part, actor=at.market.accountant, key="i"))
        wrong += look(page, director, "interest-part", where, opened=True)
        transaction(lambda: late_interest.waive(number, "只差一分，不再收了", version=2, actor=at.market.director))
        wrong += look(page, director, "interest-part-waived", where) + look(page, buyer, "interest-part-unit", on_order)
    assert wrong == []


def test_rows_of_the_bank_that_were_said_to_be_something_else(app: Flask, page: Page) -> None:
    market, day = builders.market(), f"{clock.business_date()}"
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    statement.take(market.accountant, [(day, 10_000, "靖安县第一中学", "货款", "B1"), (day, -1_500, "银行", "账户管理费", "B2"), (day, 700, "银行", "结息", "B3")])
    where = {serial: f"/cooperative/bank/rows/{statement.row(serial).public_id}" for serial in ("B1", "B2", "B3")}
    for serial in ("B1", "B3"):
        said_to_be(market, serial, "UNRELATED")
    wrong = look(page, accountant, "row-accountant", *where.values(), opened=True)
    for serial in ("B1", "B3"):
        entry = db.session.query(StatementLink).filter_by(row_id=statement.row(serial).id).one().entry_id
        assert accountant.post(f"{where[serial]}/undo", data={"entry": f"{entry}", "reason": ""}).status_code == 422
        assert accountant.post(f"{where[serial]}/undo", data={"entry": f"{entry}", "reason": "查了回单，是学校付的货款"}).status_code == 303
        assert accountant.post(f"{where[serial]}/undo", data={"entry": "1", "reason": "查了回单"}).status_code == 404
    wrong += look(page, director, "row-director", where["B1"], "/cooperative/bank/decisions")
    for serial, answer in (("B1", "approve"), ("B3", "return")):
        made = db.session.query(RowUndo).filter_by(row_id=statement.row(serial).id).one()
        path, form = f"/cooperative/bank/rows/undos/{made.public_id}", {"version": "1", "decision": answer, "reason": ""}
        assert accountant.post(path, data=form).status_code == 403
        if answer == "return":
            assert director.post(path, data=form).status_code == 422
        assert director.post(path, data=form | {"reason": "看过了" if answer == "return" else ""}).status_code == 303
    db.session.expire_all()
    assert (statement.receipt("B1").left_fen, statement.receipt("B3").state) == (10_000, "unrelated")
    wrong += look(page, accountant, "row-after", where["B1"], where["B3"], "/cooperative/bank/decisions", opened=True)
    assert wrong == []


def test_notices_that_fit_no_payment_and_bills_that_did_not_come(app: Flask, page: Page) -> None:
    market = builders.market()
    with transaction():
        for number, outcome in enumerate(("refused:amount_fen", "refused:seller_id", "refused:out_trade_no")):
            db.session.add(
                AlipayNotice(
                    notify_id=f"2026112300222{number:020}", out_trade_no=f"P20261123{number:022}", trade_status="TRADE_SUCCESS", total_fen=13_600 + number,
                    received_at=clock.now() - timedelta(hours=30 * number), outcome=outcome,
                )
            )  # fmt: skip
        for ago, kind, reason in ((3, "trade", "channel.unknown"), (3, "account", "channel.unknown"), (9, "trade", "bill.absent")):
            day = clock.business_date() - timedelta(days=ago)
            db.session.add(MissingBill(organisation_id=market.cooperative, kind=kind, day=day, asked=40, ask_at=clock.now(), reason=reason))
    holder = builders.operator()
    treasurer, auditor = browser(app, builders.person(holder, "treasurer")), browser(app, builders.person(holder, "auditor"))
    wrong = look(page, treasurer, "notices", "/operator/money/notices", opened=True) + look(page, treasurer, "bills", "/operator/money/bills")
    assert wrong + look(page, auditor, "notices-auditor", "/operator/money/notices", "/operator/money/bills") == []


def test_a_key_that_waits_for_its_second_person(app: Flask, page: Page) -> None:
    market = builders.market()
    public = key_material.public_half(key_material.new_private_key())
    key_id = transaction(lambda: key_material.add_alipay(market.cooperative, private="", public=public, actor=market.accountant).id)
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    where = f"/keys/{db.session.get_one(channel_key.ChannelKey, key_id).public_id}"
    wrong = look(page, accountant, "keys-adder", "/keys", opened=True) + look(page, director, "keys-second", "/keys", f"{where}/confirm", f"{where}/retire")
    confirmed(market, key_id)
    assert wrong + look(page, director, "keys-confirmed", "/keys", f"{where}/switch") == []


def house(market: Market, place: int) -> str:
    return f"/households/{db.session.get_one(Household, market.households[place]).public_id}/account"


def test_a_household_whose_accounts_change(app: Flask, page: Page) -> None:
    market, _distribution_id = posted()
    first, second, third = market.households
    with_accounts(first, third)

    def ask(number: int, kind: str, account: str, **named: str) -> account_proposal.AccountProposal:
        version = db.session.get_one(Household, number).version
        given = {"bank_name": "邮储银行"} if kind == "bank" else {"payee_name": "王秀英"}
        return transaction(
            lambda: account_proposal.propose(number, kind=kind, account=account, again=account, reason="本人要求", actor=market.accountant, version=version, **given | named)
        )

    def decide(row: account_proposal.AccountProposal, *, approved: bool = True) -> None:
        transaction(lambda: account_proposal.decide(row.id, actor=market.director, version=1, approved=approved, reason="" if approved else "姓名要对身份证"))

    ask(first, "alipay", "wang.xiuying.1962@example.org")
    for kind, account in (("bank", "6228480012345678"), ("alipay", "13907951234"), ("bank", "6228480087654321")):
        decide(ask(second, kind, account))
    decide(ask(second, "alipay", "wang@example.org"), approved=False)
    version = db.session.get_one(Household, third).version
    removal = transaction(lambda: account_proposal.propose_removal(third, "手机号不用了，以后发到银行", actor=market.accountant, version=version))
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    wrong = look(page, director, "household-alipay", house(market, 0)) + look(page, accountant, "household-alipay-mine", house(market, 0))
    wrong += look(page, accountant, "household-corrections", f"{house(market, 1)}?kind=alipay", opened=True)
    wrong += look(page, director, "household-removal", house(market, 2))
    decide(removal)
    assert wrong + look(page, accountant, "household-removed", f"{house(market, 2)}?kind=alipay") == []


def test_a_transfer_that_alipay_contradicts(app: Flask, page: Page) -> None:
    market, row, _desk, its = used_already(app)
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    where = f"/payouts/items/{item(row, 0).public_id}"
    wrong = look(page, accountant, "transfer-contradicted", where)
    ending = proposed(its, market)
    wrong += look(page, director, "transfer-second", where, f"/payouts/{row.public_id}") + look(page, accountant, "transfer-own", where)
    decided(ending, market)
    assert wrong + look(page, director, "transfer-ended", where) == []


def test_a_transfer_that_was_not_paid(app: Flask, page: Page) -> None:
    market, row, _desk, its = lost(app)
    where = f"/payouts/items/{item(row, 0).public_id}"
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    wrong = look(page, accountant, "transfer-lost", where, opened=True)
    ending = proposed(its, market, "UNPAID")
    wrong += look(page, director, "transfer-unpaid-second", where)
    decided(ending, market)
    assert wrong + look(page, accountant, "transfer-unpaid", where) == []


def test_a_payment_over_the_bank_in_each_state(app: Flask, page: Page) -> None:
    market, distribution_id = posted()
    row = sent(market, distribution_id)
    bring(row, market, f"{row.number},1,10.00,paid,", f"{row.number},2,20.00,unknown,处理中", f"{row.number},3,30.00,returned,户名不符")
    accountant = browser(app, market.accountant)
    items = [f"/payouts/items/{each.public_id}" for each in payout_batch.items_of(row.id)]
    assert look(page, accountant, "bank-item", *items, opened=True) == []


def test_what_the_fund_gives_back(app: Flask, page: Page) -> None:
    market, _holder, its_treasurer = opened()
    accountant, treasurer = browser(app, market.accountant), browser(app, its_treasurer)
    wrong = look(page, accountant, "fund-none", "/fund-returns", "/fund-returns/new")
    first, second = asked(market), asked(market, 200, key="second")
    pages = [f"/fund-returns/{row.public_id}" for row in (first, second)]
    wrong += look(page, treasurer, "fund-asked", pages[0], f"{pages[0]}/step/approve", f"{pages[0]}/step/return", "/operator/queues/fund_returns")
    wrong += look(page, accountant, "fund-waits", pages[0], f"{pages[0]}/step/withdraw")
    agreed(first, its_treasurer)
    wrong += look(page, accountant, "fund-agreed", pages[0], opened=True)
    recorded(first, market)
    assert wrong + look(page, accountant, "fund-received", pages[0], "/fund-returns", "/remittances") == []


def test_money_of_households_that_nobody_claimed_and_one_turns_up(app: Flask, page: Page) -> None:
    market, _distribution_id = waiting()
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    with clock.travel(clock.now() + YEARS_LATER):
        row = moved(market)
        transaction(lambda: unclaimed_return.propose(row.id, market.households[1], "本人持户口簿到场", actor=market.accountant))
        where = f"/unclaimed/{row.public_id}"
        assert look(page, director, "unclaimed-back", where) + look(page, accountant, "unclaimed-turned-up", where, opened=True) == []
