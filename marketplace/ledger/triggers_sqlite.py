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
        """CREATE TRIGGER journal_entry_open BEFORE INSERT ON journal_entry
           WHEN NEW.period <= (SELECT max(c.period) FROM closed_period c)
           BEGIN SELECT RAISE(ABORT, 'ledger: this month is closed'); END""",
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
