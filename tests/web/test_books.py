"""The books on screen: the auditor sees all of the money and changes nothing; a cooperative sees its own book; the treasurer closes."""

import hashlib
import re
from datetime import date, timedelta
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.ledger import account, event, month, period, share_event
from marketplace.ledger.entry import JournalEntry
from marketplace.ledger.posting import Source
from marketplace.organisations.organisation import Organisation
from marketplace.payments.bank_statement import BankMatch, BankReceipt
from marketplace.payments.bill_import import ImportedRow
from marketplace.payments.match_undo import MatchUndo
from marketplace.payments.receipt_return import ReceiptReturn
from marketplace.payments.row_decision import RowDecision
from marketplace.payments.row_undo import RowUndo
from marketplace.payments.statement_row import StatementRow
from marketplace.payments.withdrawal import Withdrawal
from marketplace.procurement.directed_order import Acceptance
from marketplace.procurement.late_interest import LateInterest
from marketplace.procurement.price_cut import PriceCut
from marketplace.reporting import books_reading
from marketplace.web import spreadsheet
from tests import builders
from tests.builders import Market
from tests.builders_people import operator, person
from tests.reporting import planted
from tests.settlement.builders import order
from tests.settlement.test_payout_batch import bring, posted, sent
from tests.settlement.test_recovery import refunded, settled
from tests.settlement.test_remittance import approve, propose
from tests.settlement.test_remittance import paid as remitted
from tests.web.work_desk import browser, rows_of


@pytest.fixture
def market(app: Flask) -> Market:
    """A cooperative's book with two receipts of which one was reversed, and one of the county office's."""
    market = builders.market()
    with transaction():
        event.unrelated_row(book=market.cooperative, source=Source("bank_receipt", 1), fen=12_300)
        event.unrelated_row(book=market.cooperative, source=Source("bank_receipt", 1, seq=1), fen=-2_300)
        event.unrelated_row(book=operator(), source=Source("bank_receipt", 2), fen=777)
    return market


def numbers() -> list[int]:
    return list(db.session.scalars(select(JournalEntry.id).order_by(JournalEntry.id)))


def test_the_auditor_reads_all_and_changes_nothing(app: Flask, market: Market) -> None:
    auditor = browser(app, person(operator(), "auditor"))
    page = auditor.get("/books").text
    assert "130.77" in page and "107.77" in page  # both books together: what came in, and what the bank holds
    own = db.session.get_one(Organisation, market.cooperative).public_id
    assert "100.00" in auditor.get(f"/books?book={own}").text
    assert auditor.get("/books/accounts").text.count('href="/books/entries?account=') == 4
    assert auditor.get(f"/books/entries/{numbers()[2]}").status_code == 200
    assert auditor.get("/books/months").status_code == 200
    this = month.ahead(1)[0]
    assert "btn-primary" not in auditor.get(f"/books/months/{this}/close").text
    assert auditor.post(f"/books/months/{this}/close").status_code == 403


def test_a_cooperative_reads_its_own_book_only(app: Flask, market: Market) -> None:
    own = browser(app, market.accountant)
    assert "7.77" not in own.get("/books").text
    others = db.session.get_one(Organisation, operator()).public_id
    assert "7.77" not in own.get(f"/books?book={others}").text
    assert own.get(f"/books/entries/{numbers()[0]}").status_code == 200
    assert own.get(f"/books/entries/{numbers()[2]}").status_code == 404
    assert own.get("/books/entries/99999999999999999999").status_code == 404
    assert browser(app, market.clerk).get("/books").status_code == 403


def test_entries_are_filtered_and_paged(app: Flask, market: Market) -> None:
    with transaction():
        for number in range(60):
            event.bank_received(book=market.cooperative, source=Source("bank_receipt", 100 + number), fen=100 + number)
    auditor = browser(app, person(operator(), "auditor"))
    first = auditor.get("/books/entries").text
    assert first.count('href="/books/entries/') == 50
    after = numbers()[-50]
    assert auditor.get(f"/books/entries?after={after}").text.count('href="/books/entries/') == 13
    unapplied = account.existing("unapplied", market.cooperative)
    assert auditor.get(f"/books/entries?account={unapplied}&after={numbers()[4]}").text.count('href="/books/entries/') == 1
    assert "没有这样的凭证" in auditor.get("/books/entries?until=2001-01-01").text
    assert "还没有账" in browser(app, builders.market(name="新社").director).get("/books/entries").text
    for bad in ("account=x", "since=2026-13-01", "account_kind=purse"):
        assert auditor.get(f"/books/entries?{bad}").status_code == 400
    exported = rows_of(auditor.get("/books/entries?account_kind=unapplied&export=1").data)
    assert (len(exported), exported[1][-1]) == (61, 1.59)


def test_an_entry_tells_what_belongs_to_it(app: Flask, market: Market) -> None:
    page = browser(app, market.director).get(f"/books/entries/{numbers()[0]}").text
    assert "同一件事的凭证" in page and f"/books/entries/{numbers()[1]}" in page
    assert "123.00" in page


def test_the_trial_balance_of_any_day_is_the_sum_of_its_lines(months_ago: None, market: Market) -> None:
    today = clock.business_date()
    with clock.travel(clock.now() + timedelta(days=40)), transaction():
        event.unrelated_row(book=market.cooperative, source=Source("bank_receipt", 9), fen=50)

    def held(days: int) -> dict[str, int]:
        return {row.kind: row.fen for row in books_reading.trial_balance(today + timedelta(days=days), market.cooperative)}

    open_books = [held(days) for days in (-1, 0, 39, 40, 400)]
    assert open_books == [{}, {"bank": 10_000, "outside": -10_000}, {"bank": 10_000, "outside": -10_000}, {"bank": 10_050, "outside": -10_050}, {"bank": 10_050, "outside": -10_050}]
    with clock.travel(clock.now() + timedelta(days=80)):
        closer = person(operator(), "treasurer")
        now = period.written(clock.period_of(today))
        transaction(
            lambda: period.write_closed(
                period.ClosedPeriod(
                    period=clock.period_of(today), closed_at=clock.now(), closed_by_id=closer.person_id,
                    entries=now.entries, lines=now.lines, gross=now.gross, sha256=now.sha256,
                )
            )
        )  # fmt: skip
    assert [held(days) for days in (-1, 0, 39, 40, 400)] == open_books


def test_the_treasurer_closes_a_month_that_is_over(months_ago: None, app: Flask, market: Market) -> None:
    treasurer, this = browser(app, person(operator(), "treasurer")), month.ahead(1)[0]
    assert "还没有过完" in treasurer.get(f"/books/months/{this}/close").text
    with clock.travel(clock.now() + timedelta(days=40)):
        page = treasurer.get(f"/books/months/{this}/close").text
        assert "账目检查全部通过" in page and "btn-primary" in page
        assert treasurer.post(f"/books/months/{this}/close").status_code == 302
        assert "已结账" in treasurer.get("/books/months").text
        assert treasurer.post(f"/books/months/{this}/close").status_code == 409
    assert period.last_closed() == this
    assert rows_of(treasurer.get("/books/months?export=1").data)[1][0] == this


@pytest.mark.both
def test_what_a_sheet_cannot_hold_is_said(app: Flask, market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists fill a sheet to its last line; one row more, and the sheet and its name say how many of how many it has."""
    with transaction():
        for number in range(7):
            event.bank_received(book=market.cooperative, source=Source("bank_receipt", 100 + number), fen=100 + number)
    auditor = browser(app, person(operator(), "auditor"))

    monkeypatch.setattr(spreadsheet, "MOST_ROWS", 10)
    full = auditor.get("/books/entries?export=1")
    assert [row[0] for row in rows_of(full.data)[1:]] == numbers()[::-1]
    assert len(numbers()) == 10 and "%E5%89%8D" not in full.headers["Content-Disposition"]

    monkeypatch.setattr(spreadsheet, "MOST_ROWS", 9)
    part = auditor.get("/books/entries?export=1")
    rows = rows_of(part.data)
    assert [row[0] for row in rows[1:-1]] == numbers()[:1:-1]
    assert rows[-1][0].startswith("没有列全：一张表放不下，这里是 10 行中的前 8 行。")
    assert "前 8 行，共 10 行" in unquote(part.headers["Content-Disposition"])
    assert len(rows_of(auditor.get("/books/accounts?export=1").data)) == 1 + 5


def test_no_download_is_cut_before_the_sheet_is_full() -> None:
    """Excel's own limit is the only one: nothing in the pages shortens what is taken away."""
    assert spreadsheet.MOST_ROWS == 1_048_575
    cut = re.compile(r"LONGEST_EXPORT|limit\((MOST|MOST_ROWS)\)")
    assert not [path.name for path in Path(spreadsheet.__file__).parent.glob("*.py") if cut.search(path.read_text())]


def test_rows_are_streamed_and_never_held(app: Flask, market: Market) -> None:
    """60,000 rows, more than any limit of old, arrive; a query is read a thousand at a time."""
    with app.test_request_context():
        made = spreadsheet.download("x", [("数", "whole"), ("字", "text")], ((n, f"第 {n} 行") for n in range(60_000)))
        rows = rows_of(b"".join(made.iter_encoded()))
    assert (len(rows), rows[-1]) == (60_001, [59_999.0, "第 59999 行"])
    with app.test_request_context():
        assert [row.id for (row,) in spreadsheet.streamed(select(JournalEntry).order_by(JournalEntry.id))] == numbers()


@pytest.mark.both
def test_an_entrys_lines_are_exported_all(app: Flask, market: Market) -> None:
    """The page shows the first 200; the sheet has every one."""
    with transaction():
        number = share_event.distributed(book=market.cooperative, source=Source("distribution_group", 1), group_id=1, households=[(each, each) for each in range(1, 301)])
    reader = browser(app, market.accountant)
    page = reader.get(f"/books/entries/{number}").text
    assert "共 301 行，这里是前 200 行" in page and f'href="/books/entries/{number}?export=1"' in page
    rows = rows_of(reader.get(f"/books/entries/{number}?export=1").data)
    assert [row[0] for row in rows[1:]] == list(range(1, 302))
    assert sum(row[3] or 0 for row in rows[1:]) == sum(row[4] or 0 for row in rows[1:]) == 300 * 301 / 200
    assert browser(app, person(operator(), "auditor")).get(f"/books/entries/{numbers()[2]}?export=1").status_code == 200
    assert reader.get(f"/books/entries/{numbers()[2]}?export=1").status_code == 404


def followed(app: Flask, market: Market, number: int) -> set[str]:
    """The pages that an entry's story leads to, for the county's auditor and the cooperative's accountant, who both can open them all."""
    found: list[set[str]] = []
    for reader in (browser(app, person(operator(), "auditor")), browser(app, market.accountant)):
        page = reader.get(f"/books/entries/{number}").text
        story = page[page.index("来龙去脉") :]
        links = re.findall(r'href="(/(?!books/|static)[^"]+)">看', story)
        for link in links:
            assert reader.get(unescape(link)).status_code == 200, link
        found.append({re.sub(r"^/(?:operator|cooperative)(?=/payments)", "", link).split("/")[1] for link in links})
    assert found[0] == found[1]
    return found[0]


def posted_by(kind: str) -> int:
    return db.session.scalars(select(JournalEntry.id).where(JournalEntry.source_type == kind).order_by(JournalEntry.id.desc())).first() or 0


def test_an_entry_leads_to_what_caused_it(app: Flask) -> None:
    """Settlement to receipt, distribution and payout to their pages, a remittance to its own, a refund to payment and receipt."""
    market, distribution_id = posted()
    batch = sent(market, distribution_id)
    bring(batch, market, f"{batch.number},1,10.00,paid,", f"{batch.number},2,20.00,paid,", f"{batch.number},3,30.00,paid,")
    with transaction():
        event.withdrawn(book=market.cooperative, source=Source("withdrawal", 1), fen=30_000)
    remitted(approve(propose(market, "REVENUE", 100), market), market)
    refunded(settled(market, 5_000), 500)
    leads = {kind: followed(app, market, posted_by(kind)) for kind in ("settlement", "distribution_group", "payout_batch", "remittance", "refund")}
    assert leads == {
        "settlement": {"r"}, "distribution_group": {"distributions"}, "payout_batch": {"payouts"}, "remittance": {"remittances"},
        "refund": {"r", "payments"},
    }  # fmt: skip


DAY = date(2026, 11, 20)


def test_what_the_bank_and_alipay_moved_leads_to_that_days_reconciliation(app: Flask) -> None:
    market = builders.market()
    own = market.cooperative
    paid_for = order(market, 700)
    planted.row(BankReceipt, id=5, organisation_id=own, received_on=DAY, fen=100, state="imported", serial="S5", payer_name="甲")
    planted.row(BankMatch, id=6, organisation_id=own, receipt_id=5, payable_kind="order", payable_id=paid_for, fen=100)
    planted.row(MatchUndo, id=7, organisation_id=own, match_id=6)
    planted.row(ReceiptReturn, id=8, organisation_id=own, receipt_id=5)
    planted.row(StatementRow, id=9, organisation_id=own, side="alipay", day=DAY, fen=100, serial="S9")
    planted.row(RowDecision, id=10, organisation_id=own, row_id=9)
    planted.row(RowUndo, id=13, organisation_id=own, row_id=9)
    planted.row(Withdrawal, id=11, organisation_id=own, ordered_on=DAY, number="W11", serial="W11", fen=100)
    planted.row(ImportedRow, id=12, organisation_id=own, finished_at=clock.beijing_midnight(DAY), out_trade_no="T12")
    sources = {
        "bank_receipt": 5, "bank_match": 6, "match_undo": 7, "receipt_return": 8, "row_decision": 10, "row_undo": 13, "alipay_withdrawal": 11, "alipay_bill_row": 12,
    }  # fmt: skip
    for kind, number in sources.items():
        with transaction():
            entry = event.unrelated_row(book=own, source=Source(kind, number), fen=100)
        side = "bank" if kind in ("bank_receipt", "bank_match", "match_undo", "receipt_return") else "alipay"
        page = browser(app, market.accountant).get(f"/books/entries/{entry}").text
        assert f"/{side}?day=2026-11-20" in page, kind
        assert followed(app, market, entry) == {"reconciliation"} | ({"r"} if kind in ("bank_match", "match_undo") else set()), kind


def test_a_units_papers_lead_to_the_receipt_of_their_order(app: Flask) -> None:
    market = builders.market()
    for number, (model, kind) in enumerate(((Acceptance, "acceptance"), (PriceCut, "price_cut"), (LateInterest, "late_interest")), 5):
        planted.row(model, id=number, organisation_id=market.cooperative, order_id=order(market, 700))
        with transaction():
            entry = event.unrelated_row(book=market.cooperative, source=Source(kind, number), fen=100)
        assert followed(app, market, entry) == {"r"}, kind


def test_an_auditor_without_a_terminal_gets_the_bytes_whose_hash_was_kept(months_ago: None, app: Flask, market: Market) -> None:
    treasurer, auditor = (browser(app, person(operator(), role)) for role in ("treasurer", "auditor"))
    this = month.ahead(1)[0]
    assert auditor.get(f"/books/months/{this}").status_code == 404, "there is nothing to hold an open month against"
    with clock.travel(clock.now() + timedelta(days=40)):
        assert treasurer.post(f"/books/months/{this}/close").status_code == 302
        kept = db.session.get_one(period.ClosedPeriod, this).sha256
        assert f"/books/months/{this}" in auditor.get("/books/months").text
        page = auditor.get(f"/books/months/{this}").text
        assert kept in page and f"sha256sum journal-{this}.csv" in page and "certutil" in page
        answer = auditor.get(f"/books/months/{this}/journal.csv")
        assert hashlib.sha256(answer.data).hexdigest() == kept
        assert (answer.headers["Content-Disposition"], answer.content_length) == (f"attachment; filename=journal-{this}.csv", len(answer.data))
        assert answer.text.splitlines()[0].startswith("entry,book,kind") and len(answer.text.splitlines()) == 1 + 6
        director = browser(app, market.director)
        assert kept in director.get(f"/books/months/{this}").text
        assert director.get(f"/books/months/{this}/journal.csv").status_code == 403, "it is of all books"
