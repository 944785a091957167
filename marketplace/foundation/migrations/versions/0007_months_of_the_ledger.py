"""the ledger's lines stand in a partition a month, and its functions trust no table of their caller's own"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# As it was at this revision.
POSTGRESQL = [
    """CREATE OR REPLACE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $body$
           BEGIN
             RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: ' || lower(TG_OP) || ' of ' || TG_TABLE_NAME || ' is refused';
           END $body$""",
    """CREATE OR REPLACE FUNCTION ledger_account_stays() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $body$
           BEGIN
             IF (NEW.id, NEW.code, NEW.kind, NEW.book, NEW.owner_ref, NEW.currency)
                IS DISTINCT FROM (OLD.id, OLD.code, OLD.kind, OLD.book, OLD.owner_ref, OLD.currency) THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: an account is never changed, only closed';
             END IF;
             RETURN NEW;
           END $body$""",
    """CREATE OR REPLACE FUNCTION ledger_whole() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $body$
           DECLARE
             broken boolean;
             misplaced boolean;
           BEGIN
             SELECT bool_or(s.n IS DISTINCT FROM s.n_lines OR s.first <> 1 OR s.last <> s.n_lines OR s.total <> 0 OR s.debits <> s.gross),
                    bool_or(s.misplaced)
             INTO broken, misplaced
             FROM (
               SELECT e.n_lines, e.gross, count(*) AS n, min(f.line_no) AS first, max(f.line_no) AS last, sum(f.fen) AS total,
                      sum(greatest(f.fen, 0)) AS debits,
                      bool_or(a.id IS NULL OR a.book <> e.book OR a.currency <> e.currency) AS misplaced
               FROM fresh f
                 LEFT JOIN journal_entry e ON e.id = f.entry_id AND e.period = f.period
                 LEFT JOIN account a ON a.id = f.account_id
               GROUP BY f.period, f.entry_id, e.n_lines, e.gross
             ) s;
             IF broken THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: the entry does not balance, has gaps, or is not whole';
             END IF;
             IF misplaced THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: an account of another book or currency';
             END IF;
             RETURN NULL;
           END $body$""",
    """CREATE SCHEMA IF NOT EXISTS journal""",
    """CREATE OR REPLACE FUNCTION ledger_open_month(month text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $body$
           DECLARE
             name text := 'line_' || replace(month, '-', '_');
           BEGIN
             IF month !~ '^(19|20|21)[0-9][0-9]-(0[1-9]|1[0-2])$' THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: ' || month || ' is not a month';
             END IF;
             IF to_regclass('journal.' || name) IS NOT NULL THEN
               RETURN false;
             END IF;
             -- One at a time; posting goes on. An advisory lock would not bring news of the table that was made meanwhile.
             LOCK TABLE public.journal_line IN SHARE UPDATE EXCLUSIVE MODE;
             IF to_regclass('journal.' || name) IS NOT NULL THEN
               RETURN false;
             END IF;
             -- Made first and attached then: attaching lets whoever posts to other months go on.
             EXECUTE format('CREATE TABLE journal.%I (LIKE public.journal_line INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
             EXECUTE format('ALTER TABLE public.journal_line ATTACH PARTITION journal.%I FOR VALUES FROM (%L) TO (%L)',
                            name, month, to_char((month || '-01')::date + interval '1 month', 'YYYY-MM'));
             EXECUTE format('CREATE TRIGGER journal_line_whole AFTER INSERT ON journal.%I REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION ledger_whole()', name);
             EXECUTE format('CREATE TRIGGER journal_line_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON journal.%I FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse()', name);
             RETURN true;
           END $body$""",
    """REVOKE EXECUTE ON FUNCTION ledger_open_month(text) FROM PUBLIC""",
    """CREATE TRIGGER journal_line_whole AFTER INSERT ON journal_line REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION ledger_whole()""",
    """CREATE TRIGGER journal_line_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON journal_line FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse()""",
    """CREATE OR REPLACE FUNCTION ledger_show_running() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $body$
           BEGIN PERFORM pg_current_xact_id(); RETURN NULL; END $body$""",
    """CREATE OR REPLACE FUNCTION ledger_has_lines() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $body$
           BEGIN
             PERFORM 1 FROM journal_line l WHERE l.period = NEW.period AND l.entry_id = NEW.id AND l.line_no = NEW.n_lines;
             IF NOT FOUND THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: an entry without its lines';
             END IF;
             RETURN NULL;
           END $body$""",
    """CREATE CONSTRAINT TRIGGER journal_entry_whole AFTER INSERT ON journal_entry DEFERRABLE INITIALLY DEFERRED
           FOR EACH ROW EXECUTE FUNCTION ledger_has_lines()""",
]
COUNT = "SELECT count(*), coalesce(sum(fen), 0), coalesce(sum(abs(fen)), 0), coalesce(sum(entry_id * line_no), 0) FROM "


def upgrade() -> None:
    bind = op.get_bind()
    if bind.dialect.name != "postgresql":
        return  # SQLite has no partitions
    say(
        "ALTER TABLE journal_entry DROP CONSTRAINT fk_journal_entry_last_line",
        "DROP TRIGGER journal_line_whole ON journal_line",
        "DROP TRIGGER journal_line_stays ON journal_line",
        "ALTER TABLE journal_line RENAME TO journal_line_undivided",
        "ALTER TABLE journal_line_undivided RENAME CONSTRAINT pk_journal_line TO pk_journal_line_undivided",
        """CREATE TABLE journal_line (
             period varchar(7) NOT NULL, entry_id bigint NOT NULL, line_no bigint NOT NULL, account_id bigint NOT NULL, fen bigint NOT NULL,
             CONSTRAINT ck_journal_line_fen CHECK (fen <> 0),
             CONSTRAINT pk_journal_line PRIMARY KEY (period, entry_id, line_no)
           ) PARTITION BY RANGE (period)""",
        *POSTGRESQL,
    )
    for (period,) in bind.execute(sa.text("SELECT DISTINCT period FROM journal_line_undivided ORDER BY period")).all():
        bind.execute(sa.text("SELECT ledger_open_month(:period)"), {"period": period})
        bind.execute(
            sa.text("INSERT INTO journal_line SELECT period, entry_id, line_no, account_id, fen FROM journal_line_undivided WHERE period = :period"),
            {"period": period},
        )
    before = bind.execute(sa.text(COUNT + "journal_line_undivided")).one()
    after = bind.execute(sa.text(COUNT + "journal_line")).one()
    if tuple(before) != tuple(after):
        raise RuntimeError(f"the ledger's lines before and after differ: {before}, {after}; nothing was changed")
    say("DROP TABLE journal_line_undivided")


def say(*statements: str) -> None:
    """Without parameters: a per cent sign is one."""
    for statement in statements:
        op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})


def downgrade() -> None:
    raise NotImplementedError("the ledger does not go back: restore the backup that was made before")
