"""on SQLite a line is looked at once, among the few entries that are open, in place of five times; what reverses nothing stands in no index"""

import re
from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

REVERSES = sa.text("reverses_id IS NOT NULL")

# As they were at this revision, and at the one before.
REFUSALS = [
    """CREATE TRIGGER journal_line_belongs AFTER INSERT ON journal_line
           WHEN (SELECT o.period = NEW.period AND NEW.line_no BETWEEN 1 AND o.n_lines - 1 FROM _open_entry o WHERE o.id = NEW.entry_id) IS NOT 1
           BEGIN
             SELECT RAISE(ABORT, 'ledger: a line of no entry, of one that exists whole, or beyond its number of lines') WHERE NOT EXISTS
               (SELECT 1 FROM _open_entry o WHERE o.id = NEW.entry_id AND o.period = NEW.period AND o.n_lines = NEW.line_no);
             SELECT CASE
                 WHEN part THEN RAISE(ABORT, 'ledger: fen and numbers are whole')
                 WHEN broken THEN RAISE(ABORT, 'ledger: the entry does not balance, or has gaps')
                 WHEN misplaced THEN RAISE(ABORT, 'ledger: an account of another book or currency') END
               FROM (SELECT typeof(sum(l.fen)) <> 'integer' OR typeof(sum(l.line_no)) <> 'integer' AS part,
                   count(*) <> e.n_lines OR sum(l.fen) <> 0 OR sum(max(l.fen, 0)) <> e.gross AS broken,
                   sum(a.book = e.book AND a.currency = e.currency) IS NOT e.n_lines AS misplaced
                 FROM journal_entry e JOIN journal_line l ON l.period = e.period AND l.entry_id = e.id LEFT JOIN account a ON a.id = l.account_id
                 WHERE e.id = NEW.entry_id);
             DELETE FROM _open_entry WHERE id = NEW.entry_id;
           END""",
    """CREATE TRIGGER journal_line_kept BEFORE DELETE ON journal_line
           BEGIN SELECT RAISE(ABORT, 'ledger: a line that exists is never deleted'); END""",
    """CREATE TABLE _nothing (id INTEGER PRIMARY KEY CHECK (0))""",
    """CREATE TABLE _open_entry (id INTEGER PRIMARY KEY, period VARCHAR(7) NOT NULL, n_lines INTEGER NOT NULL,
           until INTEGER NOT NULL DEFAULT 0 REFERENCES _nothing (id) DEFERRABLE INITIALLY DEFERRED)""",
    """CREATE TRIGGER journal_entry_begins AFTER INSERT ON journal_entry
           BEGIN INSERT INTO _open_entry (id, period, n_lines) VALUES (NEW.id, NEW.period, NEW.n_lines); END""",
    """CREATE TRIGGER open_entry_begins BEFORE INSERT ON _open_entry
           WHEN NOT EXISTS (SELECT 1 FROM journal_entry e WHERE e.id = NEW.id AND e.period = NEW.period AND e.n_lines = NEW.n_lines)
             OR EXISTS (SELECT 1 FROM journal_line l WHERE l.period = NEW.period AND l.entry_id = NEW.id)
           BEGIN SELECT RAISE(ABORT, 'ledger: only an entry without lines is open'); END""",
    """CREATE TRIGGER open_entry_stays BEFORE UPDATE ON _open_entry
           BEGIN SELECT RAISE(ABORT, 'ledger: an open entry is never changed'); END""",
    """CREATE TRIGGER open_entry_ends BEFORE DELETE ON _open_entry
           WHEN NOT EXISTS (SELECT 1 FROM journal_line l WHERE l.period = OLD.period AND l.entry_id = OLD.id AND l.line_no = OLD.n_lines)
           BEGIN SELECT RAISE(ABORT, 'ledger: an entry is open until its last line'); END""",
]
BEFORE = [
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
    """CREATE TRIGGER journal_line_kept BEFORE DELETE ON journal_line
           BEGIN SELECT RAISE(ABORT, 'ledger: lines are never deleted'); END""",
]


# What an open entry is kept by now. It was looked for at every line.
LAST_LINE = """, \n\tCONSTRAINT fk_journal_entry_last_line FOREIGN KEY(period, id, n_lines) \
REFERENCES journal_line (period, entry_id, line_no) DEFERRABLE INITIALLY DEFERRED"""
NEXT = ", \n\tCONSTRAINT fk_journal_entry_reverses_id"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _change(BEFORE, REFUSALS, lambda told: re.sub(r"\s+".join(map(re.escape, LAST_LINE.split())), "", told, count=1))
    op.drop_index("ix_journal_entry_reverses_id", "journal_entry")
    op.create_index("ix_journal_entry_reverses_id", "journal_entry", ["reverses_id"], sqlite_where=REVERSES, postgresql_where=REVERSES)


def downgrade() -> None:
    op.drop_index("ix_journal_entry_reverses_id", "journal_entry")
    op.create_index("ix_journal_entry_reverses_id", "journal_entry", ["reverses_id"])
    if op.get_bind().dialect.name == "sqlite":
        _change(REFUSALS, BEFORE, lambda told: told.replace(NEXT, LAST_LINE + NEXT, 1))
        op.execute("DROP TABLE _open_entry")
        op.execute("DROP TABLE _nothing")


def _change(were: list[str], become: list[str], tell: Callable[[str], str]) -> None:
    """Change what ``journal_entry`` is said to be without touching its rows, which nothing may copy or delete: SQLite's own advice for what
    leaves every row as it is."""
    connection = op.get_bind()
    for made in filter(None, (re.match(r"CREATE TRIGGER (\w+)", each) for each in were)):
        op.execute(f"DROP TRIGGER {made[1]}")
    told = connection.exec_driver_sql("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = 'journal_entry'").scalar_one()
    assert tell(told) != told
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    connection.exec_driver_sql("UPDATE sqlite_schema SET sql = ? WHERE type = 'table' AND name = 'journal_entry'", (tell(told),))
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql(f"PRAGMA schema_version = {int(version) + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = RESET")
    for statement in become:
        connection.exec_driver_sql(statement)
