"""What SQLite refuses: the ledger's triggers there. ``triggers`` says what is refused, and why two dialects."""

TRIGGERS: dict[str, list[str]] = {
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
        # One look a line, at the few entries that are being written; the whole entry is looked at once, at its last line. It comes after the
        # line: a REPLACE has deleted another by then, and is undone.
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
        """CREATE TRIGGER journal_line_stays BEFORE UPDATE ON journal_line
           BEGIN SELECT RAISE(ABORT, 'ledger: lines are never changed'); END""",
        """CREATE TRIGGER journal_line_kept BEFORE DELETE ON journal_line
           BEGIN SELECT RAISE(ABORT, 'ledger: a line that exists is never deleted'); END""",
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
        """CREATE TRIGGER journal_entry_open BEFORE INSERT ON journal_entry
           WHEN NEW.period <= (SELECT max(c.period) FROM closed_period c)
           BEGIN SELECT RAISE(ABORT, 'ledger: this month is closed'); END""",
        # An entry is open from its header to its last line. One that is open still when its transaction commits refers to what cannot exist.
        "CREATE TABLE _nothing (id INTEGER PRIMARY KEY CHECK (0))",
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
        """CREATE TRIGGER journal_entry_stays BEFORE UPDATE ON journal_entry
           BEGIN SELECT RAISE(ABORT, 'ledger: entries are never changed'); END""",
        """CREATE TRIGGER journal_entry_kept BEFORE DELETE ON journal_entry
           BEGIN SELECT RAISE(ABORT, 'ledger: entries are never deleted'); END""",
    ],
    "closed_period": [
        # REPLACE by the row's hidden number would delete the month that has it.
        """CREATE TRIGGER closed_period_new BEFORE INSERT ON closed_period
           WHEN EXISTS (SELECT 1 FROM closed_period c WHERE c.rowid = NEW.rowid)
           BEGIN SELECT RAISE(ABORT, 'ledger: this month is closed'); END""",
        """CREATE TRIGGER closed_period_follows BEFORE INSERT ON closed_period
           WHEN NEW.period <= (SELECT max(c.period) FROM closed_period c)
           BEGIN SELECT RAISE(ABORT, 'ledger: this month is closed'); END""",
        """CREATE TRIGGER closed_period_over BEFORE INSERT ON closed_period
           WHEN NEW.period NOT GLOB '[12][0-9][0-9][0-9]-[01][0-9]' OR substr(NEW.period, 6) NOT BETWEEN '01' AND '12'
             OR NEW.period >= strftime('%Y-%m', 'now', '+8 hours')
           BEGIN SELECT RAISE(ABORT, 'ledger: this month is not over'); END""",
        """CREATE TRIGGER closed_period_stays BEFORE UPDATE ON closed_period
           BEGIN SELECT RAISE(ABORT, 'ledger: a closed month stays closed'); END""",
        """CREATE TRIGGER closed_period_kept BEFORE DELETE ON closed_period
           BEGIN SELECT RAISE(ABORT, 'ledger: a closed month stays closed'); END""",
    ],
    "period_balance": [
        """CREATE TRIGGER period_balance_new BEFORE INSERT ON period_balance
           WHEN EXISTS (SELECT 1 FROM period_balance b WHERE b.period = NEW.period AND b.account_id = NEW.account_id)
           BEGIN SELECT RAISE(ABORT, 'UNIQUE constraint failed: ledger: this balance exists'); END""",
        """CREATE TRIGGER period_balance_stays BEFORE UPDATE ON period_balance
           BEGIN SELECT RAISE(ABORT, 'ledger: balances of a closed month are never changed'); END""",
        """CREATE TRIGGER period_balance_kept BEFORE DELETE ON period_balance
           BEGIN SELECT RAISE(ABORT, 'ledger: balances of a closed month are never deleted'); END""",
    ],
}
