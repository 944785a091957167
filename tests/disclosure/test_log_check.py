"""Whoever edits history, with the database's refusals taken away, is betrayed: the verification names what was altered."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Table, select, text, update

from marketplace.disclosure import (
    hash_tree,
    household_key,
    log_check,
    log_content,
    log_key,
    log_leaf,
    tree_head,
)
from marketplace.disclosure.log_check import Finding
from marketplace.disclosure.log_leaf import LogLeaf
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed
from marketplace.ledger import month
from marketplace.ledger.account import Account
from marketplace.ledger.entry import JournalEntry, JournalLine
from marketplace.notices.public_notice import PublicNotice
from marketplace.organisations.actor import Actor
from marketplace.reporting import books
from tests import builders
from tests.builders_people import operator, person
from tests.disclosure.sealed import break_in, burglary, head, seal, traded


def findings(*given: str) -> set[tuple[str, str, str]]:
    db.session.remove()
    return {(each.what, each.which, each.wrong) for each in log_check.check(given).findings}


ELSEWHEN = "2030-01"


def other(value: Any, column: Any) -> Any:
    """Another value of the column's type, one step away."""
    if value is None:
        return 1 if column.type.python_type is int else "x" if column.type.python_type is str else clock.now()
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1000  # beyond the keys of other rows
    if isinstance(value, datetime):
        return value + timedelta(microseconds=1)
    if isinstance(value, date):
        return value + timedelta(days=1)
    if isinstance(value, dict):
        return value | {"total_fen": value.get("total_fen", 0) + 1}
    if column.name == "period":
        return ELSEWHEN
    if value == "household_pool":
        return "village_collective"  # a check of PostgreSQL holds even a burglar to the kinds there are
    return value[:-1] + chr(ord(value[-1]) ^ 1)


def spoil(table: Table, column: Any, key: dict[str, Any]) -> None:
    """Change one column of one row, and put it back after what was found was looked at."""
    where = [table.c[name] == value for name, value in key.items()]
    with db.engine.connect() as connection:
        before = connection.execute(select(column).where(*where)).scalar_one()
    break_in_typed(update(table).where(*where).values({column.name: other(before, column)}))
    moved = {name: other(value, table.c[name]) if name == column.name else value for name, value in key.items()}
    try:
        assert_betrayed(table, column)
    finally:
        back = [table.c[name] == value for name, value in moved.items()]
        break_in_typed(update(table).where(*back).values({column.name: before}))


def break_in_typed(statement: Any) -> None:
    db.session.remove()
    with db.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            for pragma in ("foreign_keys = OFF", "ignore_check_constraints = ON"):
                connection.connection.cursor().execute(f"PRAGMA {pragma}")
        else:
            connection.execute(text("SET session_replication_role = replica"))  # foreign keys look away
        assert connection.execute(statement).rowcount == 1
        connection.commit()
    db.engine.dispose()


def assert_betrayed(table: Table, column: Any) -> None:
    kind, which = BETRAYED[table.name]
    found = findings()
    assert any(each[:2] == (kind, which) for each in found), (table.name, column.name, found)


BETRAYED: dict[str, tuple[str, str]] = {}


@pytest.mark.both
def test_each_column_of_entry_line_account_and_notice(app: Flask) -> None:
    traded()
    seal()
    head()
    assert findings() == set()
    settled = db.session.scalars(select(JournalEntry.id).where(JournalEntry.kind == "settled")).first()
    distributed = db.session.scalars(select(JournalEntry.id).where(JournalEntry.kind == "distributed")).first()
    assert settled and distributed
    periods = {each: db.session.get_one(JournalEntry, each).period for each in (settled, distributed)}
    notice = db.session.scalars(select(PublicNotice.id)).one()
    pool = db.session.scalars(select(Account.id).where(Account.kind == "household_pool")).one()
    BETRAYED.update(journal_entry=("entry", f"{settled}"), public_notice=("notice", f"{notice}"), account=("entry", f"{settled}"))
    transaction(lambda: month.must_exist([ELSEWHEN]))  # PostgreSQL lets lines be moved only where a month is
    with burglary():
        entries, lines, notices, accounts = (each.__table__ for each in (JournalEntry, JournalLine, PublicNotice, Account))
        for column in entries.columns:
            spoil(entries, column, {"id": settled})
        for entry_id in (settled, distributed):  # an open line, and a household's
            BETRAYED["journal_line"] = ("entry", f"{entry_id}")
            for column in lines.columns:
                spoil(lines, column, {"period": periods[entry_id], "entry_id": entry_id, "line_no": 3})
        for column in notices.columns:
            if column.name != "withdrawn_at":
                spoil(notices, column, {"id": notice})
        for name in ("kind", "owner_ref"):
            spoil(accounts, accounts.c[name], {"id": pool})
    assert findings() == set(), "everything was put back"


def test_every_column_is_said_in_the_leaf() -> None:
    assert set(log_content.ENTRY) == set(JournalEntry.__table__.columns.keys())
    assert set(log_content.LINE) == set(JournalLine.__table__.columns.keys())
    assert {*log_content.NOTICE, "withdrawn_at"} == set(PublicNotice.__table__.columns.keys())


def test_what_is_gone_or_slipped_in_is_named(app: Flask) -> None:
    traded()
    seal()
    head()
    with burglary():
        break_in("DELETE FROM journal_line WHERE entry_id = 1")
        break_in("DELETE FROM journal_entry WHERE id = 1")
        assert ("entry", "1", "gone") in findings()
        break_in("UPDATE log_leaf SET ref = 999 WHERE kind = 'entry' AND ref = 2")
        assert {("entry", "2", "unlogged"), ("entry", "999", "gone")} <= findings()
        break_in("UPDATE public_notice SET withdrawn_at = '2020-01-01 00:00:00'")
        assert ("notice_withdrawn", "1", "altered") not in findings(), "a withdrawal gets a leaf of its own"


def test_a_distributions_reasons_are_part_of_the_chain(app: Flask) -> None:
    _, _, distribution_id = traded()
    seal()
    with burglary():
        for statement in (
            "UPDATE settlement_line SET divided_fen = divided_fen + 1 WHERE id = 1",
            "UPDATE settlement_line SET distribution_id = NULL WHERE id = 1",
            "UPDATE distribution_group SET recovered_fen = recovered_fen + 1",
            "UPDATE distribution SET period = '2020-01'",
        ):
            with db.engine.connect() as connection:
                table = statement.split()[1]
                kept = connection.execute(text(f"SELECT * FROM {table} WHERE id = 1")).one()._mapping
            break_in(statement)
            assert ("distribution", f"{distribution_id}", "altered") in findings(), statement
            column = statement.split()[3]
            break_in(f"UPDATE {table} SET {column} = :before WHERE id = 1", before=kept[column])
        break_in("UPDATE payout_batch SET sha256 = 'other'")
        assert {each[2] for each in findings()} == {"altered"}


def test_what_a_line_settled_is_told_by_its_entry(app: Flask) -> None:
    """A distribution's leaf holds what it found of a line, refunds off; what the line settled at stands in the books, which find it out."""
    traded()
    with burglary():
        break_in("UPDATE settlement_line SET pool_fen = pool_fen + 1 WHERE id = 1")
        assert [each.rule for each in books.check() if not each.ok]


def test_a_leaf_made_to_fit_is_betrayed_by_the_head(app: Flask) -> None:
    """The burglar alters an entry and its leaf, and all inner hashes so that they fit: the published root does not."""
    traded()
    seal()
    head()
    with burglary():
        break_in("UPDATE journal_entry SET gross = gross + 1 WHERE id = 1")
        leaf = log_leaf.of("entry", 1)
        assert leaf is not None
        rows = log_content.entry_rows(0, 1, 1)
        forged = log_content.of_entries(rows, {1: leaf.sealing})[0].hash()
        hashes = [forged if each.ref == 1 and each.kind == "entry" else each.hash for each in db.session.scalars(select(LogLeaf).order_by(LogLeaf.seq))]
        for seq, subtrees in enumerate(hash_tree.append(0, {}, hashes)):
            break_in_typed(update(LogLeaf.__table__).where(LogLeaf.seq == seq).values(hash=hashes[seq], subtrees=subtrees))  # type: ignore[arg-type]
        assert findings() == {("head", "1", "root")}


def test_leaves_taken_off_the_end_are_missed(app: Flask) -> None:
    traded()
    seal()
    head()
    with burglary():
        break_in("DELETE FROM log_leaf WHERE seq >= 5")
        found = findings()
        assert ("head", "1", "missing") in found
        assert {each[2] for each in found} == {"missing", "unlogged", "horizon"}


def test_rewriting_the_heads_too_is_betrayed_by_those_that_others_keep(app: Flask) -> None:
    traded()
    seal()
    kept = head()
    note, fingerprint, short = kept.note, kept.fingerprint, kept.short
    assert findings(note, fingerprint, short) == set()
    assert findings("0" * 64) == {("head", "0" * 64, "elsewhere")}
    assert findings("") == {("head", "?", "elsewhere")}
    with burglary():
        break_in("DELETE FROM tree_head")
        break_in("DELETE FROM log_leaf")
        break_in("DELETE FROM log_horizon")
        break_in("UPDATE public_notice SET title_zh = '另一份公示'")
        seal()
        head()
        assert findings() == set(), "the operator holds the key: by themselves the books look whole"
        assert findings(note) == {("head", fingerprint, "elsewhere")}


def test_heads_follow_each_other_and_forged_ones_do_not(app: Flask) -> None:
    traded()
    seal()
    for day in range(3):
        with clock.travel(clock.now() + timedelta(days=day)):
            head()
    assert findings() == set()
    with burglary():
        for column, value, wrong in (("size", 2, "columns"), ("fingerprint", "x", "columns")):
            before = db.session.execute(text(f"SELECT {column} FROM tree_head WHERE number = 2")).scalar_one()
            break_in(f"UPDATE tree_head SET {column} = :value WHERE number = 2", value=value)
            assert ("head", "2", wrong) in findings()
            break_in(f"UPDATE tree_head SET {column} = :value WHERE number = 2", value=before)
        break_in("UPDATE tree_head SET note = replace(note, 'number 2', 'number 9') WHERE number = 2")
        assert {("head", "2", "signature"), ("head", "3", "previous")} <= findings()


@pytest.fixture
def administrator(app: Flask) -> Actor:
    return person(operator(), "administrator")


def test_a_new_key_is_introduced_by_the_old_one(app: Flask, administrator: Actor) -> None:
    traded()
    seal()
    head()
    transaction(lambda: log_key.rotate("localhost/log", actor=administrator))
    with clock.travel(clock.now() + timedelta(days=1)):
        after = head()
    assert [each.id for each in log_key.all_keys()] == [1, 2]
    assert after.key_id == 2
    assert findings() == set()
    with pytest.raises(NotAllowed):
        transaction(lambda: log_key.rotate("localhost/log", actor=builders.customer()))
    with burglary():
        break_in("UPDATE log_key SET statement = replace(statement, 'at 2', 'at 3') WHERE id = 2")
        assert ("key", "2", "statement") in findings()


def test_destroying_a_households_key_severs_the_link_and_nothing_else(app: Flask, administrator: Actor) -> None:
    market, _, _ = traded()
    seal()
    head()
    household = market.households[0]
    with pytest.raises(InvalidInput):
        transaction(lambda: household_key.destroy(household, actor=administrator, reason=" "))
    with pytest.raises(NotAllowed):
        transaction(lambda: household_key.destroy(household, actor=market.director, reason="x"))
    assert transaction(lambda: household_key.destroy(household, actor=administrator, reason="本人申请删除")) == 1
    assert household_key.of([household])[household].living == []
    with pytest.raises(Conflict):
        transaction(lambda: household_key.destroy(household, actor=administrator, reason="again"))
    report = log_check.check()
    assert (report.findings, report.sealed_away) == ([], 3), "its share, what was sent, and what came back"
    assert tree_head.newest() is not None


def test_a_household_without_a_key_gets_a_new_one_for_new_lines(app: Flask, administrator: Actor) -> None:
    market = traded()[0]
    first = market.households[0]
    seal()
    transaction(lambda: household_key.destroy(first, actor=administrator, reason="x"))
    keys = transaction(lambda: household_key.current([first]))
    assert household_key.of([first])[first].living == [keys[first]]
    assert Finding("entry", "1", "altered") not in log_check.check().findings
