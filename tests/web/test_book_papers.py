"""The papers behind the books: an auditor reads every kind of every cooperative, with who said it and who agreed; a cooperative its own; nobody changes any."""

import re
from datetime import date, timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.households.account_proposal import AccountProposal
from marketplace.households.household_change import HouseholdChange
from marketplace.orders.invoice import Invoice
from marketplace.organisations.proposal import Proposal
from marketplace.payments import match_undo, receipt_return, row_decision, row_undo
from marketplace.payments.bank_refund import BankRefund
from marketplace.payments.bank_statement import BankMatch, BankReceipt
from marketplace.payments.bill_closure import BillClosure
from marketplace.payments.bill_difference import BillDifference
from marketplace.payments.channel_key import ChannelKey
from marketplace.payments.refund import Refund
from marketplace.payments.refund_loss import RefundLoss
from marketplace.payments.refund_recall import RefundRecall
from marketplace.payments.refund_waiver import RefundWaiver
from marketplace.payments.statement_row import StatementLink, StatementRow
from marketplace.payments.transfer import Transfer
from marketplace.payments.transfer_ending import TransferEnding
from marketplace.payments.withdrawal import Withdrawal
from marketplace.procurement.approval_rule_change import ApprovalRuleChange
from marketplace.procurement.late_interest import LateInterest
from marketplace.procurement.price_cut import PriceCut
from marketplace.settlement.payout_found import PayoutFound
from marketplace.settlement.payout_item import PayoutItem
from marketplace.settlement.payout_reversal import PayoutReversal
from marketplace.settlement.settlement import Settlement
from marketplace.settlement.unclaimed_return import UnclaimedReturn
from marketplace.web import book_papers
from marketplace.web.book_paper_kinds import PAPERS
from tests import builders
from tests.builders_people import operator, person
from tests.payments.statement import take
from tests.procurement.unit_market import UnitMarket, confirmed, match, order_of, receipt, unit_market
from tests.settlement.test_payout_batch import posted_of, sent
from tests.statements import counted, repeated
from tests.web.work_desk import browser, rows_of

PAYEE = "6228480402564890018"


def papers() -> UnitMarket:
    """One cooperative with a paper of every kind."""
    at, today, now = unit_market(), clock.business_date(), clock.now()
    accountant, director = at.market.accountant, at.market.director
    order_id = order_of(made := confirmed(at, 10)).id
    db.session.rollback()
    number = match(at, receipt(at, 80_000, payer="靖安县第一中学"), made, 80_000)
    transaction(lambda: match_undo.ask(number, "核到别的单位去了", actor=accountant))
    came = receipt(at, 5_000, serial="S2", payer="多付的人")
    transaction(lambda: receipt_return.propose(came, 5_000, "多付了", payee_name="多付的人", payee_account=PAYEE, actor=accountant))
    receipt(at, 700, serial="S3", payer="银行")
    row_id = db.session.query(StatementRow.id).filter_by(serial="S3").scalar()
    said = transaction(lambda: row_decision.propose(row_id, "UNRELATED", "结息", actor=accountant).id)
    transaction(lambda: row_decision.decide(said, version=1, approved=True, reason="", actor=director))
    entry_id = db.session.query(StatementLink.entry_id).filter_by(row_id=row_id).scalar()
    transaction(lambda: row_undo.ask(row_id, entry_id, "其实是货款", actor=accountant))
    payment_id = db.session.get_one(BankMatch, number).payable_id
    own, by = at.market.cooperative, accountant.person_id
    batch = sent(at.market, posted_of(at.market))
    item = db.session.query(PayoutItem).filter_by(batch_id=batch.id, sequence=2).one().id
    db.session.rollback()
    with transaction():
        refund = Refund(organisation_id=own, payment_id=payment_id, order_id=order_id, out_request_no="R1", fen=300, reason="late or double payment", way="bank", approved_at=now, approved_by_id=by)
        transfer = Transfer(
            organisation_id=own, payable_kind="payout", payable_id=item, bundle_id=batch.id, account="2021", seller_id="2088", out_biz_no="ZZ1", fen=100, payee_account=PAYEE,
            payee_name="王小明", title="收益", made_at=now,
        )  # fmt: skip
        db.session.add_all([refund, transfer])
        db.session.flush()
        db.session.add_all([
            BankRefund(organisation_id=own, refund_id=refund.id, state="PROPOSED", payee_name="王小明", payee_account=PAYEE, proposed_at=now, proposed_by_id=by),
            RefundWaiver(organisation_id=own, refund_id=refund.id, reason="找不到人", proposed_at=now, proposed_by_id=by, version=1),
            RefundRecall(organisation_id=own, refund_id=refund.id, reason="账号错了", proposed_at=now, proposed_by_id=by, version=1),
            PayoutReversal(organisation_id=own, item_id=item, fen=2_000, reason="银行没有付出", proposed_at=now, proposed_by_id=by, version=1),
            PayoutFound(organisation_id=own, item_id=item, fen=2_000, reason="银行其实付了", proposed_at=now, proposed_by_id=by, version=1),
            TransferEnding(organisation_id=own, transfer_id=transfer.id, outcome="UNPAID", reason="问过支付宝", proposed_at=now, proposed_by_id=by, version=1),
            RefundLoss(organisation_id=own, refund_id=refund.id, fen=300, reason="多退了一次", proposed_at=now, proposed_by_id=by, state="PROPOSED", version=1),
            ChannelKey(
                organisation_id=own, channel="alipay", account="2021000000000000", kind="key", fingerprint="aa:bb", material="{}", state="ADDED", added_at=now,
                added_by_id=by, confirmed_at=now, confirmed_by_id=director.person_id, version=1,
            ),
            BillClosure(organisation_id=own, first_day=today, last_day=today, reason="密钥已经销毁", proposed_at=now, proposed_by_id=by, version=1),
            Withdrawal(organisation_id=own, number="TX1", fen=100, serial="2026A", ordered_on=today, recorded_at=now, recorded_by_id=by, version=1),
            BillDifference(organisation_id=own, kind="ONLY_THEIRS", out_trade_no="P404", ours_fen=0, theirs_fen=100, found_at=now),
            PriceCut(organisation_id=own, unit_id=at.unit, order_id=order_id, fen=100, reason="受潮", asked_at=now, asked_by_id=at.buyer.person_id, version=1),
            Settlement(organisation_id=own, order_id=order_id, period="2026-03", base_fen=100, freight_fen=0, cooperative_fen=40, pool_fen=50, village_fen=5, fund_fen=5, settled_at=now),
            Invoice(organisation_id=own, buyer_id=at.unit, kind="VAT_GENERAL", name="第一中学", tax_number="1", address="", phone="", bank_name="", bank_account="", fen=100, requested_at=now, requested_by_id=by, version=1),
            AccountProposal(
                organisation_id=own, household_id=at.market.households[0], bank_before="", account_before="", bank_name="邮储银行", account=PAYEE, last4=PAYEE[-4:],
                reason="换卡", returned_reason="", proposed_at=now, proposed_by_id=by, state="PROPOSED", version=1,
            ),
            LateInterest(organisation_id=own, unit_id=at.unit, order_id=order_id, from_on=today, through_on=today, rate=500, fen=40, claimed_at=now, claimed_by_id=by, version=1),
        ])  # fmt: skip
    return at


def test_an_auditor_reads_every_kind_of_every_cooperative_and_a_cooperative_its_own(app: Flask) -> None:
    at = papers()
    auditor, own = browser(app, person(operator(), "auditor")), browser(app, at.market.director)
    other = browser(app, builders.market(name="另一家").director)
    for kind in PAPERS:
        path = f"/books/papers?kind={kind}"
        page, sheet = auditor.get(path), rows_of(auditor.get(f"{path}&export=1").data)
        assert page.status_code == 200 and "中源白茶合作社" in page.text, kind
        assert len(sheet) > 1 and {each[1] for each in sheet[1:]} == {"中源白茶合作社"}, kind
        assert rows_of(own.get(f"{path}&export=1").data) == sheet, kind
        assert len(rows_of(other.get(f"{path}&export=1").data)) == 1, kind
        assert "还没有这样的单据" in other.get(path).text, kind
        assert PAYEE not in page.text and PAYEE not in str(sheet), kind
    assert 'value="receipts" selected' in auditor.get("/books/papers").text
    for stranger in (at.market.clerk, person(operator(), "reviewer"), at.buyer):
        assert browser(app, stranger).get("/books/papers?kind=receipts").status_code == 403
    assert auditor.get("/books/papers?kind=purses").status_code == 404


def test_who_said_it_and_who_agreed_stand_beside_it(app: Flask) -> None:
    at = papers()
    auditor = browser(app, person(operator(), "auditor"))
    (said,) = rows_of(auditor.get("/books/papers?kind=decisions&export=1").data)[1:]
    assert said[3:] == ["银行", 7.0, "和市场无关", "结息", at.market.accountant.person_name, "已同意", at.market.director.person_name, ""]
    (asked,) = rows_of(auditor.get("/books/papers?kind=match-undos&export=1").data)[1:]
    assert asked[2:6] == [800.0, "核到别的单位去了", at.market.accountant.person_name, "等同意"]
    (refund,) = rows_of(auditor.get("/books/papers?kind=refunds&export=1").data)[1:]
    assert refund[2:3] + refund[4:8] == ["R1", 3.0, "银行转账退回", "等退出去", "付晚或付重"], "a code of ours is told in words"
    assert "付晚或付重" in browser(app, at.market.accountant).get("/cooperative/bank/refunds").text
    (back,) = rows_of(auditor.get("/books/papers?kind=returns&export=1").data)[1:]
    assert (back[3], str(back[4]), back[5], back[8]) == ("多付的人", PAYEE[-4:], 50.0, "等同意")


def test_every_word_of_two_people_about_money_is_among_them(app: Flask) -> None:
    """A new kind of it is found by itself: it becomes a paper, or the auditor has another page for it, which is named here."""
    elsewhere = {
        HouseholdChange,  # a list of its own
        UnclaimedReturn,  # on the page of the list that it is of
        ApprovalRuleChange,  # how a unit approves its orders: no money moves
    }
    assert {*Proposal.__subclasses__()} - {each.model for each in PAPERS.values()} == elsewhere
    at = papers()
    (said,) = rows_of(browser(app, person(operator(), "auditor")).get("/books/papers?kind=payout-reversals&export=1").data)[1:]
    assert said[2].endswith(" · 2") and said[3:8] == ["其实没有付出", 20.0, "银行没有付出", at.market.accountant.person_name, "等同意"]


def test_each_state_holds_its_own_and_together_they_are_all(app: Flask) -> None:
    papers()
    auditor = browser(app, person(operator(), "auditor"))
    for kind, paper in PAPERS.items():
        whole = len(rows_of(auditor.get(f"/books/papers?kind={kind}&export=1").data))
        parts = [len(rows_of(auditor.get(f"/books/papers?kind={kind}&state={state}&export=1").data)) - 1 for state in paper.states() if (kind, state) != ("receipts", "open")]
        assert not parts or sum(parts) == whole - 1, kind
        assert auditor.get(f"/books/papers?kind={kind}&state=nothing").status_code == 400
    assert auditor.get("/books/papers?kind=rows&state=matched").status_code == 200, "a state that another kind has stays behind"
    assert [row[2] for row in rows_of(auditor.get("/books/papers?state=open&export=1").data)[1:]] == ["多付的人"]
    assert "没有这样的单据" in auditor.get("/books/papers?state=returned").text


def test_days_are_of_beijing_and_both_ends_count(app: Flask) -> None:
    at = papers()
    auditor, today = browser(app, person(operator(), "auditor")), clock.business_date()
    receipt(at, 900, serial="S4", day="2026-03-05")

    def days(kind: str, asked: str) -> list[date]:
        return [row[0] for row in rows_of(auditor.get(f"/books/papers?kind={kind}&{asked}&export=1").data)[1:]]

    assert days("receipts", "since=2026-03-05") == [date(2026, 3, 5)]
    assert days("receipts", "until=2026-03-04") == [date(2026, 3, 1)] * 3
    assert len(days("withdrawals", f"since={today}&until={today}")) == 1
    assert len(days("matches", f"since={today}&until={today}")) == 1
    assert days("matches", f"until={today - timedelta(days=1)}") == days("matches", f"since={today + timedelta(days=1)}") == []
    assert auditor.get("/books/papers?kind=matches&since=2026-13-01").status_code == 400


def test_a_list_goes_on_behind_its_last_row_and_keeps_its_filter(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    papers()
    monkeypatch.setattr(book_papers, "PAGE", 2)
    auditor = browser(app, person(operator(), "auditor"))
    path, seen = "/books/papers?kind=receipts&until=2026-12-31", []
    while path:
        page = auditor.get(path).text
        seen.append(page.count('scope="row"'))
        following = re.search(r'rel="next" href="([^"]+)"', page)
        path = following[1].replace("&amp;", "&") if following else ""
        assert not path or "until=2026-12-31" in path
    assert seen == [2, 1]


def test_each_row_leads_to_the_entry_that_it_became_in_few_statements(app: Flask) -> None:
    at = papers()
    auditor = browser(app, person(operator(), "auditor"))
    for kind in ("receipts", "matches", "decisions"):
        found = re.findall(r'href="(/books/entries/\d+)"', auditor.get(f"/books/papers?kind={kind}").text)
        assert found and all(auditor.get(each).status_code == 200 for each in found), kind
    for kind in PAPERS:
        for actor in (person(operator(), "auditor"), at.market.accountant):
            client = browser(app, actor)
            with counted() as said:
                client.get(f"/books/papers?kind={kind}")
            assert len(said) <= 6 and not repeated(said), (kind, said)


def test_a_receipt_that_was_none_has_nothing_left(app: Flask) -> None:
    at = papers()
    (row,) = rows_of(browser(app, at.market.accountant).get("/books/papers?kind=receipts&state=unrelated&export=1").data)[1:]
    assert (row[4], row[7], row[8]) == (7.0, 0.0, "不是货款")
    assert db.session.query(BankReceipt).filter_by(serial="S3").one().fen == 700


def test_the_largest_first_whichever_way_it_moved_and_page_by_page(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    at = papers()
    take(at.market.accountant, [("2026-03-02", -80_001, "供应商", "采购", "B9"), ("2026-03-03", 5_000, "另一个多付的", "", "B10")], opening_fen=100_000)
    auditor = browser(app, person(operator(), "auditor"))

    def amounts(kind: str, sort: str) -> list[float]:
        at = 6 if kind == "rows" else 4
        return [row[at] for row in rows_of(auditor.get(f"/books/papers?kind={kind}&sort={sort}&export=1").data)[1:]]

    assert amounts("rows", "amount") == [-800.01, 800.0, 50.0, 50.0, 7.0]
    assert amounts("receipts", "old") == amounts("receipts", "new")[::-1] == [800.0, 50.0, 7.0, 50.0]
    monkeypatch.setattr(book_papers, "PAGE", 1)
    path, seen = "/books/papers?kind=receipts&sort=amount", []
    while path:
        page = auditor.get(path).text
        seen += [name for name in ("靖安县第一中学", "另一个多付的", "银行</td>", "多付的人") if name in page.partition("<tbody>")[2].partition("</tbody>")[0]]
        following = re.search(r'rel="next" href="([^"]+)"', page)
        path = following[1].replace("&amp;", "&") if following else ""
    assert seen == ["靖安县第一中学", "另一个多付的", "多付的人", "银行</td>"]
    assert auditor.get("/books/papers?kind=statements&sort=amount").status_code == 200
    assert auditor.get("/books/papers?kind=receipts&sort=nothing").status_code == 400
