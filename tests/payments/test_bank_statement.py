"""A bank's statement: read in its encodings, every bad row reported, and nothing taken twice."""

import threading
from datetime import UTC, date, datetime

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import InvalidInput, NotAllowed
from marketplace.ledger import balance
from marketplace.payments import bank_reading, bank_statement, row_decision
from marketplace.payments.bank_rows import Reading
from marketplace.payments.bank_statement import BankReceipt, BankStatement, Imported
from marketplace.payments.statement_row import StatementRow
from marketplace.reporting import books_trade
from marketplace.settlement import difference
from marketplace.settlement.difference import Difference
from tests import builders
from tests.web.work_desk import browser

NOW = datetime(2026, 3, 20, 3, 0, tzinfo=UTC)
HEADER = "交易日期,收入金额,支出金额,对方户名,对方账号,摘要/附言,流水号\n"
ROW = "2026-03-11,\"1,200.50\",0.00,靖安县第一中学,3605,油款 JA23456789,L1\n"


def read(text: str, encoding: str = "utf-8") -> Reading:
    with clock.travel(NOW):
        return bank_reading.read(text.encode(encoding))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_one_statement_reads_the_same_in_every_encoding(encoding: str) -> None:
    (credit,) = read(HEADER + ROW, encoding).credits
    assert (credit.day, credit.fen, credit.name) == (date(2026, 3, 11), 120_050, "靖安县第一中学")
    assert (credit.account, credit.remark, credit.serial) == ("3605", "油款 JA23456789", "L1")


@pytest.mark.parametrize("day", ["2026-03-11", "20260311", "2026/3/11", "2026年03月11日", "2026-03-11 10:05:01", "20260311100501"])
def test_days_are_written_in_many_ways(day: str) -> None:
    assert read(HEADER + f"{day},1,,甲,1,a,L1\n").credits[0].day == date(2026, 3, 11)


def test_lines_above_the_header_and_other_names_of_columns() -> None:
    text = "账户明细\n户名：合作社\n\n记账日期\t借方发生额\t贷方发生额(元)\t对方名称\t附言\n20260311\t\t88.00\t甲单位\tJA2\n"
    (credit,) = read(text).credits
    assert (credit.line, credit.fen, credit.name, credit.remark) == (5, 8800, "甲单位", "JA2")


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("2026-03-11,abc,,甲,1,a,L1", "amount.bad"),
        ("2026-03-11,1.005,,甲,1,a,L1", "amount.bad"),
        ("2026-03-11,,,甲,1,a,L1", "amount.none"),
        ("2026-03-11,5.00,6.00,甲,1,a,L1", "amount.both"),
        ("2026-02-30,5.00,,甲,1,a,L1", "day.bad"),
        (",5.00,,甲,1,a,L1", "day.bad"),
        ("2026-03-21,5.00,,甲,1,a,L1", "day.bad"),
    ],
)
def test_what_cannot_be_read_is_reported_with_its_line(row: str, code: str) -> None:
    reading = read(HEADER + "2026-03-10,3.00,,乙,2,b,L0\n" + row + "\n")
    assert [(bad.line, bad.code) for bad in reading.bad] == [(3, code)]
    assert [credit.serial for credit in reading.credits] == ["L0"]


@pytest.mark.parametrize(
    ("row", "fen"),
    [("2026-03-11,-500.00,,甲,1,货款,L0", -50_000), ("2026-03-11,,-500.00,甲,1,退款,L0", 50_000), ("2026-03-11,−500.00,0.00,甲,1,货款,L0", -50_000),
     ("2026-03-11,0.00,500.00,甲,1,冲正,L0", -50_000)],
)  # fmt: skip
def test_red_ink_takes_back_what_stood_in_the_other_direction(row: str, fen: int) -> None:
    """Under the number of what it takes back, and told from it."""
    reading = read(HEADER + "2026-03-10,500.00,,甲,1,货款,L0\n" + row + "\n")
    assert [(each.fen, each.serial, each.reverses) for each in reading.rows] == [(50_000, "L0", False), (fen, "L0#back", True)]
    assert reading.bad == []


def test_debits_are_counted_and_left_out() -> None:
    reading = read(HEADER + "2026-03-11,0.00,300.00,工资,1,a,L1\n" + ROW.replace("L1", "L2"))
    assert (reading.count, len(reading.debits), len(reading.credits)) == (2, 1, 1)


def test_two_alike_transfers_without_a_serial_are_two() -> None:
    row = "2026-03-11,5.00,,甲,1,a,\n"
    first, second = read(HEADER + row + row).credits
    assert first.serial != second.serial
    assert [first.serial, second.serial] == [credit.serial for credit in read(HEADER + row + row).credits]


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\x00\x00", "姓名,电话\n甲,1\n".encode(), b"  \n"])
def test_what_is_no_statement_is_refused(app: Flask, content: bytes) -> None:
    market = builders.market()
    with pytest.raises(InvalidInput), transaction():
        bank_statement.import_csv(content, actor=market.accountant)
    assert db.session.query(BankStatement).count() == 0


def take(text: str, market: builders.Market) -> Imported:
    with clock.travel(NOW), transaction():
        return bank_statement.import_csv(text.encode(), actor=market.accountant)


def test_each_credit_is_posted_at_once_and_its_account_is_sealed(app: Flask) -> None:
    market = builders.market()
    took = take(HEADER + ROW, market)
    assert (took.rows, took.new, took.new_fen, took.known, took.bad) == (1, 1, 120_050, 0, [])
    assert balance.held("bank", market.cooperative) == balance.held("unapplied", market.cooperative) == 120_050
    receipt = db.session.query(BankReceipt).one()
    assert receipt.payer_account == "3605"
    assert "3605" not in receipt.payer_account_sealed
    assert [breach for rule in books_trade.RULES for breach in rule()] == []


def test_the_same_file_or_row_again_changes_nothing(app: Flask) -> None:
    market = builders.market()
    take(HEADER + ROW, market)
    again = take(HEADER + ROW, market)
    longer = take(HEADER + ROW + "2026-03-12,7.00,,乙,2,b,L2\n", market)
    assert (again.new, again.known) == (0, 1)
    assert (longer.new, longer.new_fen, longer.known) == (1, 700, 1)
    assert db.session.query(BankStatement).count() == 2
    assert balance.held("unapplied", market.cooperative) == 120_750


@pytest.mark.parametrize("changed", [("1,200.50", "1,200.51"), ("2026-03-11", "2026-03-12")])
def test_a_known_serial_with_another_amount_or_day_refuses_the_whole_file(app: Flask, changed: tuple[str, str]) -> None:
    market = builders.market()
    take(HEADER + ROW, market)
    with pytest.raises(bank_statement.Altered) as refused:
        take(HEADER + "2026-03-12,7.00,,乙,2,b,L2\n" + ROW.replace(*changed), market)
    assert (refused.value.code, refused.value.data["line"]) == ("statement.altered", 3)
    assert balance.held("unapplied", market.cooperative) == 120_050


@pytest.mark.both
def test_a_credit_is_taken_back_weeks_later_under_its_own_number(app: Flask) -> None:
    """The second file is no forgery of the first; the receipt is marked, and the reversal proposes it."""
    market = builders.market()
    take(HEADER + ROW + "2026-03-11,\"1,200.50\",,城东学校,3606,茶,L7\n", market)
    took = take(HEADER + "2026-03-17,\"-1,200.50\",,靖安县第一中学,3605,货款,L1\n2026-03-19,,3.00,农商银行,,手续费,L9\n", market)
    assert (took.new, took.debits, took.bad, balance.held("unapplied", market.cooperative)) == (0, 2, [], 240_100)
    first = db.session.query(BankReceipt).filter_by(serial="L1").one()
    back = db.session.query(StatementRow).filter_by(serial="L1#back").one()
    assert (row_decision.originals(back)[0].serial, row_decision.suggested(market.cooperative, back)) == ("L1", "TAKES_BACK")
    assert first.id in row_decision.taken_back([first])
    with clock.travel(NOW):
        assert "可能冲的就是它" in browser(app, market.accountant).get("/cooperative/bank").text
        task = transaction(lambda: (difference.reconcile(market.cooperative), db.session.query(Difference).filter_by(row_id=back.id).one().public_id)[1])
        page = browser(app, market.accountant).get(f"/reconciliation/differences/{task}").text
        assert f'<option value="{first.public_id}" selected>' in page
        made = transaction(lambda: row_decision.propose(back.id, "TAKES_BACK", "银行冲正", receipt_id=first.id, actor=market.accountant)).id
        transaction(lambda: row_decision.decide(made, version=1, approved=True, actor=market.director))
    assert (balance.held("bank", market.cooperative), balance.held("unapplied", market.cooperative), first.state) == (120_050, 120_050, "returned")
    assert row_decision.taken_back([first]) == set()


@pytest.mark.both
def test_the_same_file_sent_twice_at_once_is_one(app: Flask) -> None:
    market = builders.market()
    ready, came = threading.Barrier(3), []

    def send() -> None:
        with app.app_context():
            ready.wait()
            try:
                came.append(transaction(lambda: bank_statement.receive((HEADER + ROW).encode(), actor=market.accountant).public_id))
            finally:
                db.session.remove()

    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(came), len(set(came)), db.session.query(BankStatement).count()) == (3, 1, 1)


def test_two_cooperatives_may_have_the_same_serial(app: Flask) -> None:
    first, second = builders.market(name="甲社"), builders.market(name="乙社")
    take(HEADER + ROW, first)
    assert take(HEADER + ROW, second).new == 1


def test_only_the_accountant_imports(app: Flask) -> None:
    market = builders.market()
    with pytest.raises(NotAllowed), transaction():
        bank_statement.import_csv((HEADER + ROW).encode(), actor=market.clerk)
