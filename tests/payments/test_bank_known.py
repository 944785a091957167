"""A row is known again whatever the bank, or the file before, calls it: numbers that start again every day, that two rows share, or that are not read."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.ledger import balance
from marketplace.payments import bank_statement
from marketplace.payments.bank_rows import Name, name_of, number_of
from marketplace.payments.bank_statement import Altered, Imported
from marketplace.payments.statement_row import StatementRow
from tests import builders
from tests.builders import Market
from tests.web.work_desk import browser

NOW = datetime(2026, 3, 20, 3, 0, tzinfo=UTC)
WITH, WITHOUT = "交易日期,收入金额,支出金额,对方户名,摘要,流水号\n", "交易日期,收入金额,支出金额,对方户名,摘要\n"
Told = tuple[int, str, str, str]  # day of March, yuan, name, number


def written(*rows: Told, numbers: bool = True) -> bytes:
    lines = [f"2026-03-{day:02d},{'' if yuan.startswith('-') else yuan},{yuan.lstrip('-') if yuan.startswith('-') else ''},{name},货款{f',{number}' if numbers else ''}" for day, yuan, name, number in rows]
    return ((WITH if numbers else WITHOUT) + "\n".join(lines)).encode()


def take(market: Market, *rows: Told, numbers: bool = True) -> Imported:
    with clock.travel(NOW), transaction():
        return bank_statement.import_csv(written(*rows, numbers=numbers), actor=market.accountant)


def kept() -> list[tuple[str, str, int]]:
    return [(row.serial, f"{row.day:%d}", row.fen) for row in db.session.query(StatementRow).order_by(StatementRow.id)]


@pytest.fixture
def market(app: Flask) -> Market:
    return builders.market()


FIRST, SECOND, SECOND_TOO, THIRD = (1, "10.00", "甲单位", "1"), (2, "20.00", "乙单位", "1"), (2, "21.00", "丙单位", "2"), (3, "30.00", "丁单位", "1")


@pytest.mark.both
def test_numbers_that_start_again_every_day_are_known_by_their_day(market: Market) -> None:
    assert take(market, FIRST, SECOND).new == 2
    assert kept() == [("1", "01", 1_000), ("1@20260302", "02", 2_000)]
    # The next file begins with what the first one ended with, and calls it otherwise.
    took = take(market, SECOND, SECOND_TOO, THIRD)
    assert (took.known, took.new, took.bad) == (1, 2, [])
    assert kept()[2:] == [("2", "02", 2_100), ("1@20260303", "03", 3_000)]
    for again in ((SECOND,), (THIRD,), (FIRST, SECOND, SECOND_TOO, THIRD), (SECOND_TOO, THIRD)):
        assert take(market, *again).new == 0
    assert balance.held("unapplied", market.cooperative) == 8_100


def test_so_are_files_of_one_day_each(market: Market) -> None:
    for day in (FIRST, SECOND, THIRD):
        assert take(market, day).new == 1
    assert [take(market, day).known for day in (THIRD, FIRST, SECOND)] == [1, 1, 1]
    assert [serial for serial, *_ in kept()] == ["1", "1@20260302", "1@20260303"]


def test_rows_that_were_kept_under_the_older_names_are_known(market: Market) -> None:
    take(market, FIRST, SECOND)
    with transaction():
        db.session.query(StatementRow).filter_by(serial="1@20260302").update({"serial": "1#2"})
    assert (take(market, SECOND, THIRD).known, take(market, SECOND, THIRD).known) == (1, 2)
    assert [serial for serial, *_ in kept()] == ["1", "1#2", "1@20260303"]


def test_a_transfer_and_its_charge_share_a_number_in_whatever_file(market: Market) -> None:
    transfer, charge = (2, "-100.00", "甲单位", "L1"), (2, "-0.50", "银行", "L1")
    assert take(market, charge).debits == 1
    took = take(market, transfer, charge)
    assert (took.debits, took.known) == (1, 1)
    assert take(market, transfer).known == take(market, charge).known == 1
    assert kept() == [("L1", "02", -50), ("L1@20260302", "02", -10_000)]


@pytest.mark.parametrize("changed", [(1, "10.01", "甲单位", "1"), (2, "10.00", "甲单位", "1")])
def test_a_known_number_that_says_something_else_is_altered(market: Market, changed: Told) -> None:
    take(market, FIRST)
    with pytest.raises(Altered) as refused:
        take(market, changed)
    assert "可以不读流水号这一列" in str(refused.value)
    assert balance.held("unapplied", market.cooperative) == 1_000


def test_the_same_words_under_the_same_number_on_another_day_are_another_booking_where_numbers_come_again(market: Market) -> None:
    interest, again = (1, "0.01", "银行", "1"), (2, "0.01", "银行", "1")
    take(market, interest, (1, "5.00", "甲单位", "2"))
    assert take(market, again, (2, "6.00", "乙单位", "2")).new == 2
    assert balance.held("unapplied", market.cooperative) == 1_102


@pytest.mark.both
def test_a_file_read_without_its_numbers_brings_nothing_twice_nor_does_one_read_with_them_later(market: Market) -> None:
    take(market, FIRST, SECOND)
    took = take(market, SECOND, SECOND_TOO, SECOND_TOO, numbers=False)
    assert (took.known, took.new) == (1, 2)
    took = take(market, SECOND, SECOND_TOO, (2, "21.00", "丙单位", "3"), THIRD)
    assert (took.known, took.new) == (3, 1)
    assert balance.held("unapplied", market.cooperative) == 10_200


def test_the_page_offers_to_leave_the_column_out(app: Flask, market: Market) -> None:
    take(market, FIRST)
    with clock.travel(NOW + timedelta(days=1)):
        sent = transaction(lambda: bank_statement.receive(written((2, "10.00", "甲单位", "1")), actor=market.accountant))
        accountant, page = browser(app, market.accountant), f"/cooperative/bank/statements/{sent.public_id}"
        assert f"{page}/layout?without=serial" in accountant.get(page).text
        columns = accountant.get(f"{page}/layout?without=serial").text
        assert 'value="serial" selected' not in columns and 'value="day" selected' in columns
        chosen = {"header": "1", "column-0": "day", "column-1": "income", "column-2": "expense", "column-3": "payer_name", "column-4": "remark"}
        assert accountant.post(f"{page}/layout", data=chosen).status_code == 303
        assert "导入 1 行" in accountant.get(page).text


@pytest.mark.parametrize(
    ("serial", "name"),
    [("L1", Name("L1")), ("L1#2", Name("L1", count=2)), ("L1#back", Name("L1", reverses=True)), ("L1@20260302#3#back", Name("L1", NOW.date().replace(day=2), 3, True)),
     ("A@B", Name("A@B"))],
)  # fmt: skip
def test_a_name_is_read_as_it_is_written(serial: str, name: Name) -> None:
    assert (name_of(serial), str(name)) == (name, serial)


def test_what_was_written_before_is_read_too_and_a_hash_is_no_number() -> None:
    assert name_of("L1#back#2") == Name("L1", count=2, reverses=True)
    assert (number_of("row:0a1b#back"), number_of("L1@20260302#back")) == ("", "L1")


@pytest.mark.parametrize("number", ["X@99999999", "X@20261340#2", "@00000000#back"])
def test_a_number_that_ends_like_a_name_of_ours_is_read(market: Market, number: str) -> None:
    assert take(market, (1, "10.00", "甲单位", number)).new == 1
    assert take(market, (1, "10.00", "甲单位", number)).known == 1
