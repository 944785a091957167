"""What the database itself refuses, as statements for each dialect: whoever writes, in whatever language, meets the same rules.

Refused: an entry that does not sum to zero, has no lines, gaps in them, or lines written later; an account of another book
or currency; a second entry for one source; and every UPDATE, DELETE, TRUNCATE and REPLACE of entries and lines.
``create_all`` makes all this with the tables; a migration executes ``statements(dialect)`` after making them.
"""

import re
from typing import Any

from sqlalchemy import Connection, Table, event

from marketplace.ledger.account import Account
from marketplace.ledger.entry import JournalEntry, JournalLine

_SQLITE: dict[str, list[str]] = {
    "account": [
        """CREATE TRIGGER account_stays BEFORE UPDATE ON account
           WHEN NEW.id IS NOT OLD.id OR NEW.code IS NOT OLD.code OR NEW.kind IS NOT OLD.kind OR NEW.book IS NOT OLD.book
             OR NEW.owner_ref IS NOT OLD.owner_ref OR NEW.currency IS NOT OLD.currency
           BEGIN SELECT RAISE(ABORT, 'ledger: an account is never changed, only closed'); END""",
        """CREATE TRIGGER account_kept BEFORE DELETE ON account
           BEGIN SELECT RAISE(ABORT, 'ledger: an account is never deleted'); END""",
        """CREATE TRIGGER account_new BEFORE INSERT ON account
           WHEN EXISTS (SELECT 1 FROM account a WHERE a.id = NEW.id) OR EXISTS (SELECT 1 FROM account a WHERE a.code = NEW.code)
           BEGIN SELECT RAISE(ABORT, 'UNIQUE constraint failed: ledger: this account exists'); END""",
    ],
    "journal_line": [
        """CREATE TRIGGER journal_line_belongs BEFORE INSERT ON journal_line
           BEGIN
             SELECT RAISE(ABORT, 'ledger: fen are whole') WHERE typeof(NEW.fen) <> 'integer';
             SELECT RAISE(ABORT, 'ledger: a line without its entry, or beyond its number of lines') WHERE NOT EXISTS
               (SELECT 1 FROM journal_entry e
                WHERE e.id = NEW.entry_id AND e.period = NEW.period AND NEW.line_no BETWEEN 1 AND e.n_lines);
             SELECT RAISE(ABORT, 'UNIQUE constraint failed: ledger: this line exists, lines are never changed') WHERE EXISTS
               (SELECT 1 FROM journal_line l WHERE l.period = NEW.period AND l.entry_id = NEW.entry_id AND l.line_no = NEW.line_no);
           END""",
        """CREATE TRIGGER journal_line_whole AFTER INSERT ON journal_line
           WHEN NEW.line_no = (SELECT e.n_lines FROM journal_entry e WHERE e.id = NEW.entry_id)
           BEGIN
             SELECT RAISE(ABORT, 'ledger: the entry does not balance, or has gaps') FROM journal_entry e WHERE e.id = NEW.entry_id AND
               (SELECT count(*) <> e.n_lines OR min(l.line_no) <> 1 OR sum(l.fen) <> 0 OR sum(max(l.fen, 0)) <> e.gross
                FROM journal_line l WHERE l.period = e.period AND l.entry_id = e.id);
             SELECT RAISE(ABORT, 'ledger: an account of another book or currency') FROM journal_entry e
               JOIN journal_line l ON l.period = e.period AND l.entry_id = e.id LEFT JOIN account a ON a.id = l.account_id
               WHERE e.id = NEW.entry_id AND (a.id IS NULL OR a.book <> e.book OR a.currency <> e.currency);
           END""",
        """CREATE TRIGGER journal_line_stays BEFORE UPDATE ON journal_line
           BEGIN SELECT RAISE(ABORT, 'ledger: lines are never changed'); END""",
        """CREATE TRIGGER journal_line_kept BEFORE DELETE ON journal_line
           BEGIN SELECT RAISE(ABORT, 'ledger: lines are never deleted'); END""",
    ],
    "journal_entry": [
        # INSERT OR REPLACE would delete the old row without a word; it is stopped before it begins.
        """CREATE TRIGGER journal_entry_new BEFORE INSERT ON journal_entry
           BEGIN
             SELECT RAISE(ABORT, 'UNIQUE constraint failed: ledger: this entry exists') WHERE EXISTS
               (SELECT 1 FROM journal_entry e WHERE e.id = NEW.id);
             SELECT RAISE(ABORT, 'UNIQUE constraint failed: ledger: this source has its entry') WHERE EXISTS
               (SELECT 1 FROM journal_entry e WHERE e.kind = NEW.kind AND e.source_type = NEW.source_type
                AND e.source_id = NEW.source_id AND e.source_seq = NEW.source_seq);
           END""",
        """CREATE TRIGGER journal_entry_stays BEFORE UPDATE ON journal_entry
           BEGIN SELECT RAISE(ABORT, 'ledger: entries are never changed'); END""",
        """CREATE TRIGGER journal_entry_kept BEFORE DELETE ON journal_entry
           BEGIN SELECT RAISE(ABORT, 'ledger: entries are never deleted'); END""",
    ],
}


# Made with each table that uses it, in whatever order the tables come.
_REFUSE = """CREATE OR REPLACE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS $body$
           BEGIN
             RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: ' || lower(TG_OP) || ' of ' || TG_TABLE_NAME || ' is refused';
           END $body$"""


def _refuse(table: str, name: str, when: str) -> str:
    return (
        f"CREATE TRIGGER {name} BEFORE {when} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse()"
    )


_POSTGRESQL: dict[str, list[str]] = {
    "account": [
        _REFUSE,
        """CREATE OR REPLACE FUNCTION ledger_account_stays() RETURNS trigger LANGUAGE plpgsql AS $body$
           BEGIN
             IF (NEW.id, NEW.code, NEW.kind, NEW.book, NEW.owner_ref, NEW.currency)
                IS DISTINCT FROM (OLD.id, OLD.code, OLD.kind, OLD.book, OLD.owner_ref, OLD.currency) THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: an account is never changed, only closed';
             END IF;
             RETURN NEW;
           END $body$""",
        "CREATE TRIGGER account_stays BEFORE UPDATE ON account FOR EACH ROW EXECUTE FUNCTION ledger_account_stays()",
        _refuse("account", "account_kept", "DELETE OR TRUNCATE"),
    ],
    "journal_line": [
        _REFUSE,
        # One look at all lines of the statement: an entry's lines come whole in one statement or not at all. What comes in a
        # second statement is incomplete by itself, or collides with the key.
        """CREATE OR REPLACE FUNCTION ledger_whole() RETURNS trigger LANGUAGE plpgsql AS $body$
           BEGIN
             IF EXISTS (
               SELECT 1 FROM
                 (SELECT f.period, f.entry_id, count(*) AS n, min(f.line_no) AS first, max(f.line_no) AS last,
                         sum(f.fen) AS total, sum(greatest(f.fen, 0)) AS debits
                  FROM fresh f GROUP BY f.period, f.entry_id) s
                 LEFT JOIN journal_entry e ON e.id = s.entry_id AND e.period = s.period
               WHERE e.id IS NULL OR s.n <> e.n_lines OR s.first <> 1 OR s.last <> e.n_lines OR s.total <> 0 OR s.debits <> e.gross
             ) THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: the entry does not balance, has gaps, or is not whole';
             END IF;
             IF EXISTS (
               SELECT 1 FROM fresh f JOIN journal_entry e ON e.id = f.entry_id LEFT JOIN account a ON a.id = f.account_id
               WHERE a.id IS NULL OR a.book <> e.book OR a.currency <> e.currency
             ) THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: an account of another book or currency';
             END IF;
             RETURN NULL;
           END $body$""",
        """CREATE TRIGGER journal_line_whole AFTER INSERT ON journal_line REFERENCING NEW TABLE AS fresh
           FOR EACH STATEMENT EXECUTE FUNCTION ledger_whole()""",
        _refuse("journal_line", "journal_line_stays", "UPDATE OR DELETE OR TRUNCATE"),
    ],
    "journal_entry": [
        _REFUSE,
        # The balance's horizon trusts that whoever holds an entry number already shows as a running transaction.
        """CREATE OR REPLACE FUNCTION ledger_show_running() RETURNS trigger LANGUAGE plpgsql AS $body$
           BEGIN PERFORM pg_current_xact_id(); RETURN NULL; END $body$""",
        """CREATE TRIGGER journal_entry_running BEFORE INSERT ON journal_entry
           FOR EACH STATEMENT EXECUTE FUNCTION ledger_show_running()""",
        _refuse("journal_entry", "journal_entry_stays", "UPDATE OR DELETE OR TRUNCATE"),
    ],
}
_BY_DIALECT = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}


def statements(dialect_name: str) -> list[str]:
    """Every statement, in order, for "sqlite" or "postgresql"; to be executed once, after the ledger's tables exist."""
    return [statement for of_table in _BY_DIALECT[dialect_name].values() for statement in of_table]


def names(dialect_name: str) -> list[str]:
    """The names of all triggers that ``statements`` makes."""
    found = (re.match(r"CREATE TRIGGER (\w+)", statement) for statement in statements(dialect_name))
    return [match[1] for match in found if match]


def _after_create(table: Table, connection: Connection, **rest: Any) -> None:
    for statement in _BY_DIALECT[connection.dialect.name][table.name]:
        connection.exec_driver_sql(statement)


for _model in (Account, JournalLine, JournalEntry):
    event.listen(_model.__table__, "after_create", _after_create)
