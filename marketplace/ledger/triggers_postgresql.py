"""What PostgreSQL refuses, and the months of the ledger: its functions and triggers there.

``journal_line`` is partitioned by month; the months are tables of the schema ``journal``, which the application's role cannot
even name. A statement trigger fires for the table that a statement names, so every month carries those of the parent.
Every function looks tables up in ``public`` before anything temporary: a table of the caller's own cannot pose as ours.
"""

MONTHS = "journal"  # the schema of the partitions: out of reach, and out of the way of whoever compares tables

_PATH = "SET search_path = pg_catalog, public, pg_temp"
# Made with each table that uses it, in whatever order the tables come.
_REFUSE = f"""CREATE OR REPLACE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql {_PATH} AS $body$
           BEGIN
             RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: ' || lower(TG_OP) || ' of ' || TG_TABLE_NAME || ' is refused';
           END $body$"""


def _refuse(table: str, name: str, when: str) -> str:
    return (
        f"CREATE TRIGGER {name} BEFORE {when} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse()"
    )


# An entry's lines come whole in one statement or not at all: what comes in a second statement is incomplete by itself, or collides
# with the key. Mostly a statement brings one entry, of fewer than a hundred lines, each of an account of its own: then one look
# says that all is right. Of other statements it says nothing, right or wrong.
_ONE = """SELECT s.n, s.n = e.n_lines AND s.entry_id = s.last_entry AND s.period = s.last_period AND s.first = 1 AND s.last = s.n
                    AND s.total = 0 AND s.debits = e.gross
                    AND s.n = (SELECT count(*) FROM account a WHERE a.id = ANY (s.accounts) AND a.book = e.book AND a.currency = e.currency)
             INTO lines, right_one FROM (
               SELECT count(*) AS n, min(f.period) AS period, max(f.period) AS last_period, min(f.entry_id) AS entry_id,
                      max(f.entry_id) AS last_entry, min(f.line_no) AS first, max(f.line_no) AS last, sum(f.fen) AS total,
                      sum(f.fen) FILTER (WHERE f.fen > 0) AS debits, array_agg(f.account_id) AS accounts
               FROM (SELECT * FROM fresh LIMIT 100) f
             ) s LEFT JOIN journal_entry e ON e.id = s.entry_id AND e.period = s.period"""
# All entries of the statement.
_LOOK = """SELECT bool_or(e.id IS NULL OR s.n <> e.n_lines OR s.first <> 1 OR s.last <> e.n_lines OR s.total <> 0 OR s.debits <> e.gross),
                    bool_or(s.known <> s.n OR s.book <> e.book OR s.last_book <> e.book OR s.currency <> e.currency OR s.last_currency <> e.currency)
             {into}FROM (
               SELECT f.period, f.entry_id, count(*) AS n, min(f.line_no) AS first, max(f.line_no) AS last, sum(f.fen) AS total,
                      sum(greatest(f.fen, 0)) AS debits, count(a.id) AS known, min(a.book) AS book, max(a.book) AS last_book,
                      min(a.currency) AS currency, max(a.currency) AS last_currency
               FROM fresh f LEFT JOIN account a ON a.id = f.account_id
               GROUP BY f.period, f.entry_id
             ) s LEFT JOIN journal_entry e ON e.id = s.entry_id AND e.period = s.period"""
# A plan is kept as long as a connection. One that was made when the tables were small must not read them whole when they are large.
_WHOLE = f"""CREATE OR REPLACE FUNCTION ledger_whole() RETURNS trigger LANGUAGE plpgsql {_PATH} SET enable_seqscan = off AS $body$
           DECLARE
             lines bigint;
             right_one boolean;
             broken boolean;
             misplaced boolean;
           BEGIN
             {_ONE};
             IF lines < 100 AND right_one THEN
               RETURN NULL;
             END IF;
             IF lines < 100 OR (SELECT count(*) FROM fresh) < 1000 THEN
               {_LOOK.format(into="INTO broken, misplaced ")};
             ELSE
               -- Planned for their number: the plan that is kept for orders would look a million accounts up one by one.
               PERFORM set_config('enable_seqscan', 'on', true);
               EXECUTE $look${_LOOK.format(into="")}$look$ INTO broken, misplaced;
             END IF;
             IF broken THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: the entry does not balance, has gaps, or is not whole';
             END IF;
             IF misplaced THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: an account of another book or currency';
             END IF;
             RETURN NULL;
           END $body$"""  # noqa: S608 - put together from constants
_WHOLE_ON = (
    "CREATE TRIGGER journal_line_whole AFTER INSERT ON {table} REFERENCING NEW TABLE AS fresh "
    "FOR EACH STATEMENT EXECUTE FUNCTION ledger_whole()"
)
_STAYS = "UPDATE OR DELETE OR TRUNCATE"

# Opening a month needs the owner's rights, which whoever posts does not have. It says whether the month is new.
_OPEN_MONTH = f"""CREATE OR REPLACE FUNCTION ledger_open_month(month text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER {_PATH} AS $body$
           DECLARE
             name text := 'line_' || replace(month, '-', '_');
           BEGIN
             IF month !~ '^(19|20|21)[0-9][0-9]-(0[1-9]|1[0-2])$' THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: ' || month || ' is not a month';
             END IF;
             IF to_regclass('{MONTHS}.' || name) IS NOT NULL THEN
               RETURN false;
             END IF;
             -- One at a time; posting goes on. An advisory lock would not bring news of the table that was made meanwhile.
             LOCK TABLE public.journal_line IN SHARE UPDATE EXCLUSIVE MODE;
             IF to_regclass('{MONTHS}.' || name) IS NOT NULL THEN
               RETURN false;
             END IF;
             IF month <= (SELECT max(c.period) FROM closed_period c) THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: this month is closed';
             END IF;
             -- Made first and attached then: attaching lets whoever posts to other months go on.
             EXECUTE format('CREATE TABLE {MONTHS}.%I (LIKE public.journal_line INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
             EXECUTE format('ALTER TABLE public.journal_line ATTACH PARTITION {MONTHS}.%I FOR VALUES FROM (%L) TO (%L)',
                            name, month, to_char((month || '-01')::date + interval '1 month', 'YYYY-MM'));
             EXECUTE format('{_WHOLE_ON.format(table=f"{MONTHS}.%I")}', name);
             EXECUTE format('{_refuse(f"{MONTHS}.%I", "journal_line_stays", _STAYS)}', name);
             RETURN true;
           END $body$"""  # noqa: S608 - put together from constants

# The months up to one, by the names of their tables, that are not closed yet.
_OPEN_UP_TO = """SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
               WHERE i.inhparent = 'public.journal_line'::regclass AND c.relname <= 'line_' || replace(month, '-', '_')
                 AND NOT EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'journal_line_closed')
               ORDER BY c.relname"""
# Who posts to a month holds its table until the end; this lock waits for all of them, and no new one gets by.
_LOCK_MONTH = f"""CREATE OR REPLACE FUNCTION ledger_lock_month(month text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER {_PATH} AS $body$
           DECLARE
             name text;
           BEGIN
             LOCK TABLE public.journal_line IN SHARE UPDATE EXCLUSIVE MODE;
             FOR name IN {_OPEN_UP_TO} LOOP
               EXECUTE format('LOCK TABLE {MONTHS}.%I IN SHARE ROW EXCLUSIVE MODE', name);
             END LOOP;
           END $body$"""
# A row trigger fires however a row comes to its month, and whatever moment its writer believes in: no poster pays for it before.
_CLOSE_MONTH = f"""CREATE OR REPLACE FUNCTION ledger_close_month(month text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER {_PATH} AS $body$
           DECLARE
             name text;
           BEGIN
             IF month IS DISTINCT FROM (SELECT max(c.period) FROM closed_period c) THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: ' || month || ' is not recorded as closed';
             END IF;
             PERFORM ledger_lock_month(month);
             FOR name IN {_OPEN_UP_TO} LOOP
               EXECUTE format('CREATE INDEX %I ON {MONTHS}.%I (account_id, entry_id)', name || '_account', name);
               EXECUTE format('CREATE TRIGGER journal_line_closed BEFORE INSERT ON {MONTHS}.%I '
                              'FOR EACH ROW EXECUTE FUNCTION ledger_refuse_closed()', name);
               EXECUTE format('ANALYZE {MONTHS}.%I', name);
             END LOOP;
           END $body$"""  # noqa: S608 - put together from constants
_REFUSE_CLOSED = f"""CREATE OR REPLACE FUNCTION ledger_refuse_closed() RETURNS trigger LANGUAGE plpgsql {_PATH} AS $body$
           BEGIN
             RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: this month is closed';
           END $body$"""
# Months are closed one after the other, and none before it is over in Beijing: by the database's own clock, since a month that was
# closed ahead of its time could never be opened again.
_FOLLOWS = f"""CREATE OR REPLACE FUNCTION ledger_follows() RETURNS trigger LANGUAGE plpgsql {_PATH} AS $body$
           BEGIN
             IF NEW.period <= (SELECT max(c.period) FROM closed_period c) THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: this month is closed';
             END IF;
             IF NEW.period !~ '^(19|20|21)[0-9][0-9]-(0[1-9]|1[0-2])$' OR NEW.period >= to_char(now() AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM') THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: ' || NEW.period || ' is not over';
             END IF;
             RETURN NEW;
           END $body$"""  # noqa: S608 - put together from constants

# It runs for every entry of a group: a search path of its own would take as long as the look, so everything is named in full.
_HAS_LINES = """CREATE OR REPLACE FUNCTION ledger_has_lines() RETURNS trigger LANGUAGE plpgsql AS $body$
           BEGIN
             PERFORM 1 FROM public.journal_line l WHERE l.period OPERATOR(pg_catalog.=) NEW.period
               AND l.entry_id OPERATOR(pg_catalog.=) NEW.id AND l.line_no OPERATOR(pg_catalog.=) NEW.n_lines;
             IF NOT FOUND THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: an entry without its lines';
             END IF;
             RETURN NULL;
           END $body$"""

TRIGGERS: dict[str, list[str]] = {
    "account": [
        _REFUSE,
        f"""CREATE OR REPLACE FUNCTION ledger_account_stays() RETURNS trigger LANGUAGE plpgsql {_PATH} AS $body$
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
        _WHOLE,
        f"CREATE SCHEMA IF NOT EXISTS {MONTHS}",
        _OPEN_MONTH,
        "REVOKE EXECUTE ON FUNCTION ledger_open_month(text) FROM PUBLIC",
        _WHOLE_ON.format(table="journal_line"),
        _refuse("journal_line", "journal_line_stays", _STAYS),
    ],
    "journal_entry": [
        _REFUSE,
        # The balance's horizon trusts that whoever holds an entry number already shows as a running transaction.
        # It runs at every entry: no query and no search path of its own, as it names no table.
        """CREATE OR REPLACE FUNCTION ledger_show_running() RETURNS trigger LANGUAGE plpgsql AS $body$
           DECLARE own pg_catalog.xid8; BEGIN own := pg_catalog.pg_current_xact_id(); RETURN NULL; END $body$""",
        """CREATE TRIGGER journal_entry_running BEFORE INSERT ON journal_entry
           FOR EACH STATEMENT EXECUTE FUNCTION ledger_show_running()""",
        # A foreign key to the last line would do the same, and lock and rewrite that line.
        _HAS_LINES,
        """CREATE CONSTRAINT TRIGGER journal_entry_whole AFTER INSERT ON journal_entry DEFERRABLE INITIALLY DEFERRED
           FOR EACH ROW EXECUTE FUNCTION ledger_has_lines()""",
        _refuse("journal_entry", "journal_entry_stays", _STAYS),
    ],
    "closed_period": [
        _REFUSE,
        _REFUSE_CLOSED,
        _LOCK_MONTH,
        _CLOSE_MONTH,
        "REVOKE EXECUTE ON FUNCTION ledger_lock_month(text) FROM PUBLIC",
        "REVOKE EXECUTE ON FUNCTION ledger_close_month(text) FROM PUBLIC",
        _FOLLOWS,
        "CREATE TRIGGER closed_period_follows BEFORE INSERT ON closed_period FOR EACH ROW EXECUTE FUNCTION ledger_follows()",
        _refuse("closed_period", "closed_period_stays", _STAYS),
    ],
    "period_balance": [
        _REFUSE,
        _refuse("period_balance", "period_balance_stays", _STAYS),
    ],
}
