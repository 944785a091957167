"""The check of the books finds what no trigger stopped. Each rule is broken once and must be named."""

import json

import pytest
from flask import Flask
from sqlalchemy import text

from marketplace.foundation.database import db, transaction
from marketplace.ledger import balance, event, month, share_event
from marketplace.ledger.posting import Source
from marketplace.reporting import books
from tests.ledger import account_book
from tests.ledger.account_book import Books
from tests.reporting import disarmed


@pytest.fixture
def written(app: Flask) -> Books:
    """Two books with a few entries, and snapshots of them."""
    opened = account_book.opened()
    with transaction():
        event.bank_received(book=opened.cooperative, source=Source("elsewhere", 1), fen=50_000)
        event.unapplied_refund_approved(book=opened.cooperative, source=Source("elsewhere", 1), fen=20_000)
    with transaction():
        event.unrelated_row(book=opened.holder, source=Source("elsewhere", 1), fen=7)
    with transaction():
        balance.roll_up()
    return opened


def broken() -> set[str]:
    """The ledger's own rules that are broken, triggers aside: these books have no orders to agree with."""
    return {finding.rule for finding in books.check() if not finding.ok} & set(LEDGER_RULES) - {
        "guards_stand"
    }


@pytest.mark.both
def test_clean_books_break_no_rule_of_the_ledger(written: Books) -> None:
    found = {finding.rule: finding.detail for finding in books.check()}
    assert {found[name] for name in LEDGER_RULES} == {""}


LEDGER_RULES = (
    "guards_stand",
    "entries_balance",
    "entries_whole",
    "lines_in_their_book",
    "books_balance",
    "balances_are_their_lines",
    "nobody_owes_what_cannot_be_owed",
    "closed_months_stay_as_closed",
)


@pytest.mark.both
def test_guards_stand(written: Books) -> None:
    disarmed.run()
    finding = next(each for each in books.check() if each.rule == "guards_stand")
    assert not finding.ok
    assert "trigger account_stays is missing" in finding.detail


@pytest.mark.both
def test_guards_stand_on_every_month(app: Flask, written: Books) -> None:
    if db.engine.dialect.name == "sqlite":
        pytest.skip("SQLite keeps all months in one table")
    this = f"journal.line_{month.ahead(1)[0].replace('-', '_')}"
    with db.engine.begin() as connection:
        connection.execute(text(f"ALTER TABLE {this} DISABLE TRIGGER journal_line_stays"))
    finding = next(each for each in books.check() if each.rule == "guards_stand")
    assert finding.detail == f"trigger journal_line_stays is missing on {this}"


@pytest.mark.both
def test_entries_balance(written: Books) -> None:
    disarmed.run("UPDATE journal_line SET fen = fen + 1 WHERE entry_id = 3 AND line_no = 1")
    assert broken() >= {"entries_balance", "books_balance", "balances_are_their_lines"}


@pytest.mark.both
def test_entries_balance_with_an_amount_changed_on_both_sides(written: Books) -> None:
    disarmed.run("UPDATE journal_line SET fen = fen * 2 WHERE entry_id = 3")
    assert "entries_balance" in broken()
    assert "books_balance" not in broken()


@pytest.mark.both
def test_entries_whole(written: Books) -> None:
    disarmed.run("DELETE FROM journal_line WHERE entry_id = 1 AND line_no = 1")
    assert "entries_whole" in broken()


@pytest.mark.both
def test_entries_whole_finds_lines_without_an_entry(written: Books) -> None:
    disarmed.run(
        "INSERT INTO journal_line (period, entry_id, line_no, account_id, fen) VALUES ('2020-01', 77, 1, 1, 5)"
    )
    finding = next(each for each in books.check() if each.rule == "entries_whole")
    assert finding.detail == "lines of entry 77, which does not exist"


@pytest.mark.both
def test_lines_in_their_book(written: Books) -> None:
    disarmed.run(f"UPDATE account SET book = {written.holder} WHERE code = '{written.cooperative}:unapplied'")
    assert broken() >= {"lines_in_their_book", "books_balance"}


@pytest.mark.both
def test_balances_are_their_lines(written: Books) -> None:
    disarmed.run("UPDATE balance SET fen = fen + 1 WHERE account_id = 1")
    assert broken() == {"balances_are_their_lines"}


@pytest.mark.both
def test_nobody_owes_what_cannot_be_owed(written: Books) -> None:
    with transaction():
        event.unapplied_refund_approved(book=written.cooperative, source=Source("elsewhere", 2), fen=30_001)
    finding = next(each for each in books.check() if each.rule == "nobody_owes_what_cannot_be_owed")
    assert finding.detail == f"account {written.cooperative}:unapplied: -1 fen"


def test_a_finding_counts_what_it_does_not_show(written: Books) -> None:
    with transaction():
        for number in range(8):
            share_event.recovered(
                book=written.cooperative, source=Source("elsewhere", number), group_id=number, fen=1
            )
    finding = next(each for each in books.check() if each.rule == "nobody_owes_what_cannot_be_owed")
    assert finding.detail.count("account") == books.SHOWN
    assert finding.detail.endswith("and 11 more")


def test_the_terminal_says_ok_and_exits_0(app: Flask) -> None:
    account_book.opened()
    result = app.test_cli_runner().invoke(args=["books", "check"])
    assert result.exit_code == 0, result.output
    assert "ok     entries_balance" in result.output


def test_the_terminal_names_the_broken_rule_and_exits_1(app: Flask, written: Books) -> None:
    disarmed.run("UPDATE balance SET fen = fen + 1 WHERE account_id = 1")
    plain = app.test_cli_runner().invoke(args=["books", "check"])
    assert plain.exit_code == 1
    assert "BROKEN balances_are_their_lines: account 1" in plain.output
    as_json = app.test_cli_runner().invoke(args=["books", "check", "--json"])
    assert as_json.exit_code == 1
    outcome = json.loads(as_json.output)
    assert outcome["ok"] is False
    assert {each["rule"] for each in outcome["rules"] if not each["ok"]} >= {
        "guards_stand",
        "balances_are_their_lines",
    }


def test_checking_changes_nothing(app: Flask, written: Books) -> None:
    before = balance.by_kind()
    app.test_cli_runner().invoke(args=["books", "check"])
    db.session.remove()
    assert balance.by_kind() == before


@pytest.mark.both
def test_the_check_sees_one_state_though_trade_goes_on(
    app: Flask, written: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule looks at one side, somebody trades, the rule looks at the other side: it must not see the trade."""
    seen: list[int] = []

    def before_and_after() -> list[str]:
        seen.append(balance.held("bank", written.cooperative))
        with app.app_context(), transaction():
            event.bank_received(book=written.cooperative, source=Source("elsewhere", 3), fen=1)
        seen.append(balance.held("bank", written.cooperative))
        return []

    monkeypatch.setattr(books, "RULES", (before_and_after,))
    books.check()
    assert seen == [50_000, 50_000]
    assert balance.held("bank", written.cooperative) == 50_001
