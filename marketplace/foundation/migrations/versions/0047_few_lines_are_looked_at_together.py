"""on PostgreSQL an entry of few lines is looked at once, without asking first how many there are, and its commit sets no search path"""

from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None

# As they were at this revision, and at the one before.
NOW = [
    """CREATE OR REPLACE FUNCTION ledger_whole() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp SET enable_seqscan = off AS $body$
           DECLARE
             lines bigint;
             right_one boolean;
             broken boolean;
             misplaced boolean;
           BEGIN
             SELECT s.n, s.n = e.n_lines AND s.entry_id = s.last_entry AND s.period = s.last_period AND s.first = 1 AND s.last = s.n
                    AND s.total = 0 AND s.debits = e.gross
                    AND s.n = (SELECT count(*) FROM account a WHERE a.id = ANY (s.accounts) AND a.book = e.book AND a.currency = e.currency)
             INTO lines, right_one FROM (
               SELECT count(*) AS n, min(f.period) AS period, max(f.period) AS last_period, min(f.entry_id) AS entry_id,
                      max(f.entry_id) AS last_entry, min(f.line_no) AS first, max(f.line_no) AS last, sum(f.fen) AS total,
                      sum(f.fen) FILTER (WHERE f.fen > 0) AS debits, array_agg(f.account_id) AS accounts
               FROM (SELECT * FROM fresh LIMIT 100) f
             ) s LEFT JOIN journal_entry e ON e.id = s.entry_id AND e.period = s.period;
             IF lines < 100 AND right_one THEN
               RETURN NULL;
             END IF;
             IF lines < 100 OR (SELECT count(*) FROM fresh) < 1000 THEN
               SELECT bool_or(e.id IS NULL OR s.n <> e.n_lines OR s.first <> 1 OR s.last <> e.n_lines OR s.total <> 0 OR s.debits <> e.gross),
                    bool_or(s.known <> s.n OR s.book <> e.book OR s.last_book <> e.book OR s.currency <> e.currency OR s.last_currency <> e.currency)
             INTO broken, misplaced FROM (
               SELECT f.period, f.entry_id, count(*) AS n, min(f.line_no) AS first, max(f.line_no) AS last, sum(f.fen) AS total,
                      sum(greatest(f.fen, 0)) AS debits, count(a.id) AS known, min(a.book) AS book, max(a.book) AS last_book,
                      min(a.currency) AS currency, max(a.currency) AS last_currency
               FROM fresh f LEFT JOIN account a ON a.id = f.account_id
               GROUP BY f.period, f.entry_id
             ) s LEFT JOIN journal_entry e ON e.id = s.entry_id AND e.period = s.period;
             ELSE
               -- Planned for their number: the plan that is kept for orders would look a million accounts up one by one.
               PERFORM set_config('enable_seqscan', 'on', true);
               EXECUTE $look$SELECT bool_or(e.id IS NULL OR s.n <> e.n_lines OR s.first <> 1 OR s.last <> e.n_lines OR s.total <> 0 OR s.debits <> e.gross),
                    bool_or(s.known <> s.n OR s.book <> e.book OR s.last_book <> e.book OR s.currency <> e.currency OR s.last_currency <> e.currency)
             FROM (
               SELECT f.period, f.entry_id, count(*) AS n, min(f.line_no) AS first, max(f.line_no) AS last, sum(f.fen) AS total,
                      sum(greatest(f.fen, 0)) AS debits, count(a.id) AS known, min(a.book) AS book, max(a.book) AS last_book,
                      min(a.currency) AS currency, max(a.currency) AS last_currency
               FROM fresh f LEFT JOIN account a ON a.id = f.account_id
               GROUP BY f.period, f.entry_id
             ) s LEFT JOIN journal_entry e ON e.id = s.entry_id AND e.period = s.period$look$ INTO broken, misplaced;
             END IF;
             IF broken THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: the entry does not balance, has gaps, or is not whole';
             END IF;
             IF misplaced THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: an account of another book or currency';
             END IF;
             RETURN NULL;
           END $body$""",
    """CREATE OR REPLACE FUNCTION ledger_has_lines() RETURNS trigger LANGUAGE plpgsql AS $body$
           BEGIN
             PERFORM 1 FROM public.journal_line l WHERE l.period OPERATOR(pg_catalog.=) NEW.period
               AND l.entry_id OPERATOR(pg_catalog.=) NEW.id AND l.line_no OPERATOR(pg_catalog.=) NEW.n_lines;
             IF NOT FOUND THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: an entry without its lines';
             END IF;
             RETURN NULL;
           END $body$""",
]
BEFORE = [
    """CREATE OR REPLACE FUNCTION ledger_whole() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $body$
           DECLARE
             broken boolean;
             misplaced boolean;
           BEGIN
             IF (SELECT count(*) FROM fresh) < 1000 THEN
               SELECT bool_or(e.id IS NULL OR s.n <> e.n_lines OR s.first <> 1 OR s.last <> e.n_lines OR s.total <> 0 OR s.debits <> e.gross),
                    bool_or(s.known <> s.n OR s.book <> e.book OR s.last_book <> e.book OR s.currency <> e.currency OR s.last_currency <> e.currency)
             INTO broken, misplaced FROM (
               SELECT f.period, f.entry_id, count(*) AS n, min(f.line_no) AS first, max(f.line_no) AS last, sum(f.fen) AS total,
                      sum(greatest(f.fen, 0)) AS debits, count(a.id) AS known, min(a.book) AS book, max(a.book) AS last_book,
                      min(a.currency) AS currency, max(a.currency) AS last_currency
               FROM fresh f LEFT JOIN account a ON a.id = f.account_id
               GROUP BY f.period, f.entry_id
             ) s LEFT JOIN journal_entry e ON e.id = s.entry_id AND e.period = s.period;
             ELSE
               -- Planned for their number: the plan that is kept for orders would look a million accounts up one by one.
               EXECUTE $look$SELECT bool_or(e.id IS NULL OR s.n <> e.n_lines OR s.first <> 1 OR s.last <> e.n_lines OR s.total <> 0 OR s.debits <> e.gross),
                    bool_or(s.known <> s.n OR s.book <> e.book OR s.last_book <> e.book OR s.currency <> e.currency OR s.last_currency <> e.currency)
             FROM (
               SELECT f.period, f.entry_id, count(*) AS n, min(f.line_no) AS first, max(f.line_no) AS last, sum(f.fen) AS total,
                      sum(greatest(f.fen, 0)) AS debits, count(a.id) AS known, min(a.book) AS book, max(a.book) AS last_book,
                      min(a.currency) AS currency, max(a.currency) AS last_currency
               FROM fresh f LEFT JOIN account a ON a.id = f.account_id
               GROUP BY f.period, f.entry_id
             ) s LEFT JOIN journal_entry e ON e.id = s.entry_id AND e.period = s.period$look$ INTO broken, misplaced;
             END IF;
             IF broken THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: the entry does not balance, has gaps, or is not whole';
             END IF;
             IF misplaced THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: an account of another book or currency';
             END IF;
             RETURN NULL;
           END $body$""",
    """CREATE OR REPLACE FUNCTION ledger_has_lines() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $body$
           BEGIN
             PERFORM 1 FROM journal_line l WHERE l.period = NEW.period AND l.entry_id = NEW.id AND l.line_no = NEW.n_lines;
             IF NOT FOUND THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: an entry without its lines';
             END IF;
             RETURN NULL;
           END $body$""",
]


def upgrade() -> None:
    say(NOW)


def downgrade() -> None:
    say(BEFORE)


def say(functions: list[str]) -> None:
    """Without parameters: a per cent sign is one."""
    if op.get_bind().dialect.name == "postgresql":
        for each in functions:
            op.get_bind().exec_driver_sql(each, execution_options={"no_parameters": True})
