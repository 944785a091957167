"""Three banks' ways of writing a statement, CSV and Excel alike; what does not add up or is another account's is refused whole."""

import tracemalloc
from datetime import UTC, date, datetime
from io import BytesIO

import pytest
from flask import Flask
from xlsxwriter import Workbook

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import InvalidInput, NotAllowed, NotFound
from marketplace.foundation.language import said
from marketplace.ledger import balance
from marketplace.organisations.organisation import Cooperative
from marketplace.payments import bank_file, bank_layout, bank_reading, bank_statement
from marketplace.payments.bank_rows import Reading
from marketplace.payments.bank_statement import BankReceipt, BankStatement, Imported, Look
from marketplace.payments.statement_row import StatementLink, StatementRow
from tests import builders
from tests.web.work_desk import workbook

NOW = datetime(2026, 3, 20, 3, 0, tzinfo=UTC)
# The same three movements as three banks write them: 1,000.00 in, 20.50 out, 3.00 in, from 500.00 to 1,482.50.
COLUMNS = """交易日期,收入金额,支出金额,账户余额,对方户名,对方账号,摘要,流水号
2026-03-11,"1,000.00",,"1,500.00",靖安县第一中学,3605001,货款,A1
2026-03-11,,20.50,"1,479.50",王五,6228001,退款,A2
2026-03-12,3.00,,"1,482.50",靖安县第一中学,3605001,补差,A3
"""
DIRECTION = """客户账户明细查询
账号：6217 {account},户名：合作社
起始日期：20260311,终止日期：20260312,期初余额：500.00

序号\t记账日期\t借贷标志\t交易金额(元)\t余额(元)\t对方名称\t对方帐号\t用途\t核心流水号
3\t20260312\t贷\t3.00\t1,482.50\t靖安县第一中学\t3605001\t补差\tA3
2\t20260311\t借\t20.50\t1,479.50\t王五\t6228001\t退款\tA2
1\t20260311\t贷\t1,000.00\t1,500.00\t靖安县第一中学\t3605001\t货款\tA1
合计\t\t\t\t\t\t\t\t
贷方笔数：2\t贷方金额：1,003.00
期末余额：1,482.50\t打印时间：2026-03-13
"""
SIGN = """交易时间,金额,余额,对方账户名称,附言,交易流水号
2026年03月11日,+1000.00,1500.00,靖安县第一中学,货款,A1
2026年03月11日,-20.50,1479.50,王五,退款,A2
2026年03月12日,3,1482.50,靖安县第一中学,补差,A3
"""
WANTED = [(date(2026, 3, 11), 100_000, "A1", 150_000), (date(2026, 3, 11), -2_050, "A2", 147_950), (date(2026, 3, 12), 300, "A3", 148_250)]


def read(content: str | bytes, organisation_id: int | None = None) -> Reading:
    with clock.travel(NOW):
        return bank_reading.read(content.encode() if isinstance(content, str) else content, organisation_id)


def seen(reading: Reading) -> list[tuple[date, int, str, int | None]]:
    return [(row.day, row.fen, row.serial, row.balance_fen) for row in reading.rows]


def take(content: str | bytes, market: builders.Market) -> Imported:
    with clock.travel(NOW), transaction():
        return bank_statement.import_csv(content.encode() if isinstance(content, str) else content, actor=market.accountant)


def look(content: str, market: builders.Market) -> Look:
    with clock.travel(NOW):
        with transaction():
            row_id = bank_statement.receive(content.encode(), actor=market.accountant).id
        return bank_statement.look(db.session.get_one(BankStatement, row_id))


@pytest.mark.parametrize(("text", "amounts"), [(COLUMNS, "columns"), (DIRECTION, "direction"), (SIGN, "sign")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_three_banks_write_the_same_movements(text: str, amounts: str, encoding: str) -> None:
    reading = read(text.encode(encoding))
    assert (seen(reading), reading.bad, reading.layout.amounts) == (WANTED, [], amounts)
    assert (reading.opening_fen, reading.closing_fen) == (50_000, 148_250)
    assert {row.name for row in reading.credits} == {"靖安县第一中学"}


def test_a_workbook_reads_as_its_text_does() -> None:
    """Days as text, as numbers and as Excel's own days with a time."""
    rows = [
        ["账户交易明细"], [], ["交易日期", "收入金额", "支出金额", "账户余额", "对方户名", "流水号"],
        [datetime(2026, 3, 11, 9, 5), 1000, "", 1500.0, "靖安县第一中学", "A1"],  # noqa: DTZ001 -- a spreadsheet's time has no zone
        [20260311, "", 20.5, 1479.5, "王五", "A2"],
        ["2026-03-12", "3.00", 0, "1,482.50", "靖安县第一中学", "A3"],
        ["合计", 1003, 20.5],
    ]  # fmt: skip
    reading = read(workbook(*rows).getvalue())
    assert (seen(reading), reading.bad) == (WANTED, [])
    assert [row.line for row in reading.rows] == [4, 5, 6], "the line is the one that Excel shows"


def test_a_formula_counts_by_what_it_shows_and_a_rounded_number_is_none(app: Flask) -> None:
    """Serial numbers of twenty digits that a spreadsheet holds as numbers are alike in the fifteen that it keeps: they tell nothing."""
    out = BytesIO()
    book = Workbook(out, {"default_date_format": "yyyy-mm-dd"})
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, ["交易日期", "收入金额", "账户余额", "对方户名", "对方账号", "流水号"])
    for place, serial in enumerate((20260311000000000001, 20260311000000000002), 1):
        sheet.write_row(place, 0, [date(2026, 3, 11), None, None, "中学", 6217000011112222333, serial])
        sheet.write_formula(place, 1, "=1000/4", None, 250)
        sheet.write_formula(place, 2, "=C1+B2", None, 250 * place)
    book.close()
    market = builders.market()
    took = take(out.getvalue(), market)
    assert (took.new, took.new_fen, took.bad) == (2, 50_000, [])
    assert {row.account for row in db.session.query(StatementRow)} == {""}
    assert all(row.serial.startswith("row:") for row in db.session.query(StatementRow))
    assert take(out.getvalue(), market).known == 2


@pytest.mark.parametrize(
    ("direction", "amount", "fen"),
    [("贷", "5.00", 500), ("收入", "5.00", 500), ("C", "5.00", 500), ("借", "5.00", -500), ("支", "-5.00", -500), ("往账", "5.00", -500),
     ("贷", "-5.00", -500), ("冲", "5.00", None), ("", "5.00", None)],
)  # fmt: skip
def test_a_direction_is_known_or_the_row_is_bad(direction: str, amount: str, fen: int | None) -> None:
    reading = read(f"交易日期,借贷标志,交易金额,流水号\n2026-03-11,{direction},{amount},L1\n")
    assert [row.fen for row in reading.rows] == ([fen] if fen else [])
    assert [bad.code for bad in reading.bad] == ([] if fen else ["direction.bad"])


@pytest.mark.parametrize(
    "changed",
    [("1,479.50", "1,479.51"), (",3.00,,", ",4.00,,"), ("2026-03-11,,20.50,\"1,479.50\",王五,6228001,退款,A2\n", "")],
)  # fmt: skip
def test_a_row_that_was_taken_out_or_changed_breaks_the_chain(changed: tuple[str, str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(COLUMNS.replace(*changed))
    assert refused.value.code == "statement.chain"


def test_what_does_not_lead_is_named_with_what_would() -> None:
    with pytest.raises(InvalidInput) as refused:
        read(COLUMNS.replace("1,479.50", "1,479.51"))
    assert refused.value.data["line"] == 3
    assert said(refused.value) == "第 3 行的余额是 1,479.51，和上下行接不上，应该是 1,479.50。文件不完整或被改过，没有导入。请从网银重新下载。"


@pytest.mark.parametrize(
    ("changed", "code"),
    [((",20.50,", ",坏,"), "amount.bad"), ((",20.50,", ",,"), "amount.none"), (("2026-03-11,,20.50", "2026-13-11,,20.50"), "day.bad"),
     (('"1,479.50"', "看不清"), "balance.bad"), (("退款,A2", "退款," + "9" * 71), "serial.long")],
)  # fmt: skip
@pytest.mark.parametrize("upside_down", [False, True])
def test_a_row_that_is_merely_reported_keeps_the_others(changed: tuple[str, str], code: str, upside_down: bool) -> None:
    header, *rows = COLUMNS.replace(*changed).splitlines()
    reading = read("\n".join([header, *(rows[::-1] if upside_down else rows)]) + "\n")
    assert [bad.code for bad in reading.bad] == [code]
    assert seen(reading) == [WANTED[0], WANTED[2]]
    assert (reading.opening_fen, reading.closing_fen) == (50_000, 148_250)


def test_what_is_merely_reported_still_moves_the_balance() -> None:
    """Its amount can be read: where it does not lead, the file was changed."""
    with pytest.raises(InvalidInput) as refused:
        read(COLUMNS.replace("2026-03-11,,20.50", "2026-13-11,,21.50"))
    assert (refused.value.code, refused.value.data["line"]) == ("statement.chain", 3)


RED = """记账日期,借贷标志,交易金额,余额,对方名称,用途,流水号
2026-03-11,贷,500.00,"1,500.00",中学,货款,A1
2026-03-11,贷,-500.00,"1,000.00",中学,货款,A1
2026-03-12,借,{minus}20.00,980.00,王五,退款,A2
2026-03-12,借,{red}20.00,"{left}",王五,退款,A3
"""


def test_red_ink_beside_a_direction_is_told_from_a_bank_that_writes_every_debit_with_a_minus() -> None:
    """Either a debit without a minus tells that, or the balances do."""
    assert [row.fen for row in read(RED.format(minus="", red="-", left="1,000.00")).rows] == [50_000, -50_000, -2_000, 2_000]
    assert [row.fen for row in read(RED.format(minus="-", red="-", left="960.00")).rows] == [50_000, -50_000, -2_000, -2_000]
    lone = "记账日期,借贷标志,交易金额,余额,用途,流水号\n2026-03-11,贷,5.00,105.00,款,A1\n2026-03-11,借,-2.00,{left},退款,A2\n"
    assert [row.fen for row in read(lone.format(left="107.00")).rows] == [500, 200]
    assert [row.fen for row in read(lone.format(left="103.00")).rows] == [500, -200]
    assert [bad.code for bad in read("记账日期,借贷标志,交易金额,用途,流水号\n2026-03-11,借,-2.00,冲正,A2\n").bad] == ["direction.bad"]


@pytest.mark.parametrize("changed", [("期初余额：500.00", "期初余额：400.00"), ("期末余额：1,482.50", "期末余额：1,500.00")])
def test_what_stands_above_and_below_must_fit(changed: tuple[str, str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(DIRECTION.replace(*changed))
    assert refused.value.code == "statement.chain"
    without = "期初余额：500.00\n交易日期,收入金额,流水号\n2026-03-11,5.00,L1\n期末余额：{end}\n"
    assert read(without.format(end="505.00")).closing_fen == 50_500
    with pytest.raises(InvalidInput):
        read(without.format(end="506.00"))


@pytest.mark.parametrize("newest_first", [True, False])
def test_what_goes_and_comes_back_on_one_day_stands_in_the_order_that_fits_its_ends(newest_first: bool) -> None:
    """A payout that the bank credits back at once leads upwards as well as downwards: only the balance before it tells."""
    rows = ["2026-03-11,借,5.00,95.00,代发,A1", "2026-03-11,贷,5.00,100.00,退票,A2"]
    if newest_first:
        rows = ["2026-03-11,借,5.00,95.00,代发,A2", "2026-03-11,贷,5.00,100.00,退票,A1"]
    opening = "95.00" if newest_first else "100.00"
    sheet = read("\n".join([f"期初余额：{opening}", "记账日期,借贷标志,交易金额,余额,用途,流水号", *rows, f"期末余额：{opening}", ""]))
    assert [row.serial for row in sheet.rows] == ["A1", "A2"]
    assert sheet.opening_fen == sheet.closing_fen == (9_500 if newest_first else 10_000)
    with pytest.raises(InvalidInput):
        read("\n".join(["期初余额：90.00", "记账日期,借贷标志,交易金额,余额,用途,流水号", *rows, ""]))


def test_another_accounts_statement_is_refused_whether_or_not_it_has_stars(app: Flask) -> None:
    market = builders.market()
    own = db.session.query(Cooperative).filter_by(organisation_id=market.cooperative).one().bank_account
    for told in (own[:3] + " 9999 9999 99", own[:4] + "******" + "7777", "*****7777"):
        with pytest.raises(InvalidInput) as refused:
            take(DIRECTION.replace("6217 {account}", told), market)
        assert refused.value.code == "statement.account"
    assert db.session.query(StatementRow).count() == 0
    for told in (own, f"{own[:4]} {own[4:]}", f"{own[:4]}****{own[-4:]}"):
        take(DIRECTION.replace("6217 {account}", told), market)
    assert db.session.query(StatementRow).count() == 3


def test_a_file_of_two_accounts_is_refused_whichever_comes_first(app: Flask) -> None:
    """Banks hand out all accounts of a customer in one file, each row with its own; where they write no balances, only that tells them apart."""
    market = builders.market()
    own = db.session.query(Cooperative).filter_by(organisation_id=market.cooperative).one().bank_account
    stars, other = f"{own[:4]}****{own[-4:]}", "6217000000007777"

    def sheet(*accounts: str) -> str:
        rows = [f"2026-03-11,{account},{100 + place}.00,,甲,货款,S{place}" for place, account in enumerate(accounts)]
        return "\n".join(["交易日期,本方账号,收入金额,支出金额,对方户名,摘要,流水号", *rows, ""])

    for accounts in ((own, other), (stars, own, other), (other, own)):
        with pytest.raises(InvalidInput) as refused:
            take(sheet(*accounts), market)
        assert refused.value.code == "statement.account"
    assert db.session.query(StatementRow).count() == 0
    assert take(sheet(own, stars, "", own), market).new == 4


@pytest.mark.both
def test_every_row_is_kept_and_only_what_came_in_is_posted(app: Flask) -> None:
    market = builders.market()
    took = take(COLUMNS, market)
    assert (took.rows, took.new, took.new_fen, took.debits, took.known) == (3, 2, 100_300, 1, 0)
    assert [(row.fen, row.balance_fen) for row in db.session.query(StatementRow).order_by(StatementRow.id)] == [(100_000, 150_000), (-2_050, 147_950), (300, 148_250)]
    assert db.session.query(StatementRow).filter_by(serial="A1").one().account == "3605001"
    assert [link.fen for link in db.session.query(StatementLink)] == [100_000, 300]
    assert balance.held("bank", market.cooperative) == 100_300
    statement = db.session.query(BankStatement).one()
    assert (statement.first_day, statement.last_day, statement.opening_fen, statement.closing_fen) == (date(2026, 3, 11), date(2026, 3, 12), 50_000, 148_250)


@pytest.mark.both
def test_statements_that_overlap_lose_nothing_and_take_nothing_twice(app: Flask) -> None:
    """Without the bank's numbers: two rows alike in every column on one day are two, told apart by the balance after them."""
    market = builders.market()
    lines = ["2026-03-11,5.00,105.00,甲,款", "2026-03-11,5.00,110.00,甲,款", "2026-03-11,5.00,115.00,甲,款"]
    header = "交易日期,收入金额,余额,对方户名,摘要\n"
    assert take(header + "\n".join(lines[:2]), market).new == 2
    overlapping = take(header + "\n".join(lines[1:]), market)
    assert (overlapping.new, overlapping.known) == (1, 1)
    assert take(header + "\n".join(lines), market).known == 3
    assert (db.session.query(BankReceipt).count(), balance.held("unapplied", market.cooperative)) == (3, 1_500)


def test_one_number_for_a_transfer_and_its_charge_are_two_rows_and_a_line_twice_is_one() -> None:
    reading = read("交易日期,收入金额,支出金额,流水号\n2026-03-11,,100.00,L1\n2026-03-11,,0.50,L1\n2026-03-11,,100.00,L1\n")
    assert [(row.fen, row.serial) for row in reading.rows] == [(-10_000, "L1"), (-50, "L1#2")]
    assert [bad.code for bad in reading.bad] == ["serial.twice"]


def test_a_look_says_what_would_become_of_each_row_and_changes_nothing(app: Flask) -> None:
    market = builders.market()
    take(COLUMNS.splitlines()[0] + "\n" + COLUMNS.splitlines()[1], market)
    before = balance.held("bank", market.cooperative)
    shown = look(COLUMNS, market)
    assert [what for _row, what in shown.outcomes] == ["known", "debit", "receipt"]
    assert (balance.held("bank", market.cooperative), db.session.query(StatementRow).count()) == (before, 1)
    later = "交易日期,收入金额,账户余额,流水号\n2026-03-15,1.00,\"1,600.00\",B1\n"
    assert look(later, market).gap_fen == 159_900 - 150_000, "a statement between the two is missing"


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "statement.empty"), (b"\xd0\xcf\x11\xe0 old workbook", "statement.encoding"), (b"PK\x03\x04 broken", "file.unreadable"),
     ("姓名,电话\n甲,1\n".encode(), "statement.header"), (b"x" * (bank_file.LARGEST + 1), "statement.large")],
)  # fmt: skip
def test_what_is_no_statement_says_why(app: Flask, content: bytes, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        take(content, builders.market())
    assert refused.value.code == code


def test_a_file_of_ends_of_lines_is_refused_before_it_is_made_into_lists() -> None:
    """Five million of them took more than a gigabyte."""
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInput, match=r"statement\.large"):
            bank_file.lines(b"x" + b"\n" * (bank_file.LARGEST - 1))
        assert tracemalloc.get_traced_memory()[1] < 100 * 1024 * 1024
    finally:
        tracemalloc.stop()


STRANGE = "村镇银行\n发生日,进,出,结余,谁,说明\n2026-03-11,5.00,,5.00,甲,款\n2026-03-12,,2.00,3.00,乙,费\n"


def test_a_layout_that_nobody_knows_is_chosen_once_and_kept(app: Flask) -> None:
    market, other = builders.market(name="甲社"), builders.market(name="乙社")
    with pytest.raises(bank_reading.UnknownLayout):
        take(STRANGE, market)
    lines = bank_file.lines(STRANGE.encode())
    assert bank_layout.likely_header(lines) == 2
    columns = {"day": 0, "income": 1, "expense": 2, "balance": 3, "payer_name": 4, "remark": 5}
    with clock.travel(NOW), transaction():
        bank_layout.keep(lines, 2, columns, actor=market.accountant)
    took = take(STRANGE, market)
    assert (took.new, took.debits, took.bad) == (1, 1, [])
    assert take(STRANGE.replace("03-11", "03-13").replace("03-12", "03-14").replace(",5.00,甲", ",8.00,甲").replace(",3.00,乙", ",6.00,乙"), market).new == 1
    with pytest.raises(bank_reading.UnknownLayout):
        take(STRANGE, other)


@pytest.mark.parametrize(
    ("header", "columns", "code"),
    [(2, {"day": 0}, "layout.columns"), (2, {"income": 1}, "layout.columns"), (2, {"day": 0, "income": 0}, "layout.twice"),
     (2, {"day": 0, "income": 99}, "layout.columns"), (99, {"day": 0, "income": 1}, "layout.header"), (2, {"day": 0, "income": 1, "colour": 2}, "layout.columns")],
)  # fmt: skip
def test_a_choice_that_cannot_be_read_by_is_refused(app: Flask, header: int, columns: dict[str, int], code: str) -> None:
    market = builders.market()
    with pytest.raises(InvalidInput) as refused, transaction():
        bank_layout.keep(bank_file.lines(STRANGE.encode()), header, columns, actor=market.accountant)
    assert refused.value.code == code
    with pytest.raises(NotAllowed), transaction():
        bank_layout.keep(bank_file.lines(STRANGE.encode()), 2, {"day": 0, "income": 1}, actor=market.clerk)


def test_nobody_takes_anothers_file(app: Flask) -> None:
    market, other = builders.market(name="甲社"), builders.market(name="乙社")
    with clock.travel(NOW), transaction():
        row_id = bank_statement.receive(COLUMNS.encode(), actor=market.accountant).id
    with pytest.raises(NotFound), transaction():
        bank_statement.take(row_id, actor=other.accountant)
    with pytest.raises(NotAllowed), transaction():
        bank_statement.take(row_id, actor=market.clerk)
