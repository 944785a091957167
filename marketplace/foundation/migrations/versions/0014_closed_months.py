"""months that are closed: what they held, and that nothing is posted to them any more"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# As it was at this revision.
REFUSALS = {
    "sqlite": [
        """CREATE TRIGGER journal_entry_open BEFORE INSERT ON journal_entry
           WHEN NEW.period <= (SELECT max(c.period) FROM closed_period c)
           BEGIN SELECT RAISE(ABORT, 'ledger: this month is closed'); END""",
        """CREATE TRIGGER closed_period_follows BEFORE INSERT ON closed_period
           WHEN NEW.period <= (SELECT max(c.period) FROM closed_period c)
           BEGIN SELECT RAISE(ABORT, 'ledger: this month is closed'); END""",
        """CREATE TRIGGER closed_period_stays BEFORE UPDATE ON closed_period
           BEGIN SELECT RAISE(ABORT, 'ledger: a closed month stays closed'); END""",
        """CREATE TRIGGER closed_period_kept BEFORE DELETE ON closed_period
           BEGIN SELECT RAISE(ABORT, 'ledger: a closed month stays closed'); END""",
        """CREATE TRIGGER period_balance_new BEFORE INSERT ON period_balance
           WHEN EXISTS (SELECT 1 FROM period_balance b WHERE b.period = NEW.period AND b.account_id = NEW.account_id)
           BEGIN SELECT RAISE(ABORT, 'UNIQUE constraint failed: ledger: this balance exists'); END""",
        """CREATE TRIGGER period_balance_stays BEFORE UPDATE ON period_balance
           BEGIN SELECT RAISE(ABORT, 'ledger: balances of a closed month are never changed'); END""",
        """CREATE TRIGGER period_balance_kept BEFORE DELETE ON period_balance
           BEGIN SELECT RAISE(ABORT, 'ledger: balances of a closed month are never deleted'); END""",
    ],
    "postgresql": [
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
             IF month <= (SELECT max(c.period) FROM closed_period c) THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: this month is closed';
             END IF;
             -- Made first and attached then: attaching lets whoever posts to other months go on.
             EXECUTE format('CREATE TABLE journal.%I (LIKE public.journal_line INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
             EXECUTE format('ALTER TABLE public.journal_line ATTACH PARTITION journal.%I FOR VALUES FROM (%L) TO (%L)',
                            name, month, to_char((month || '-01')::date + interval '1 month', 'YYYY-MM'));
             EXECUTE format('CREATE TRIGGER journal_line_whole AFTER INSERT ON journal.%I REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION ledger_whole()', name);
             EXECUTE format('CREATE TRIGGER journal_line_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON journal.%I FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse()', name);
             RETURN true;
           END $body$""",
        """CREATE OR REPLACE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $body$
           BEGIN
             RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: ' || lower(TG_OP) || ' of ' || TG_TABLE_NAME || ' is refused';
           END $body$""",
        """CREATE OR REPLACE FUNCTION ledger_refuse_closed() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $body$
           BEGIN
             RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: this month is closed';
           END $body$""",
        """CREATE OR REPLACE FUNCTION ledger_lock_month(month text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $body$
           DECLARE
             name text;
           BEGIN
             LOCK TABLE public.journal_line IN SHARE UPDATE EXCLUSIVE MODE;
             FOR name IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
               WHERE i.inhparent = 'public.journal_line'::regclass AND c.relname <= 'line_' || replace(month, '-', '_')
                 AND NOT EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'journal_line_closed')
               ORDER BY c.relname LOOP
               EXECUTE format('LOCK TABLE journal.%I IN SHARE ROW EXCLUSIVE MODE', name);
             END LOOP;
           END $body$""",
        """CREATE OR REPLACE FUNCTION ledger_close_month(month text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $body$
           DECLARE
             name text;
           BEGIN
             IF month IS DISTINCT FROM (SELECT max(c.period) FROM closed_period c) THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: ' || month || ' is not recorded as closed';
             END IF;
             PERFORM ledger_lock_month(month);
             FOR name IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
               WHERE i.inhparent = 'public.journal_line'::regclass AND c.relname <= 'line_' || replace(month, '-', '_')
                 AND NOT EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'journal_line_closed')
               ORDER BY c.relname LOOP
               EXECUTE format('CREATE INDEX %I ON journal.%I (account_id, entry_id)', name || '_account', name);
               EXECUTE format('CREATE TRIGGER journal_line_closed BEFORE INSERT ON journal.%I '
                              'FOR EACH ROW EXECUTE FUNCTION ledger_refuse_closed()', name);
               EXECUTE format('ANALYZE journal.%I', name);
             END LOOP;
           END $body$""",
        """REVOKE EXECUTE ON FUNCTION ledger_lock_month(text) FROM PUBLIC""",
        """REVOKE EXECUTE ON FUNCTION ledger_close_month(text) FROM PUBLIC""",
        """CREATE OR REPLACE FUNCTION ledger_follows() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $body$
           BEGIN
             IF NEW.period <= (SELECT max(c.period) FROM closed_period c) THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: this month is closed';
             END IF;
             RETURN NEW;
           END $body$""",
        """CREATE TRIGGER closed_period_follows BEFORE INSERT ON closed_period FOR EACH ROW EXECUTE FUNCTION ledger_follows()""",
        """CREATE TRIGGER closed_period_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON closed_period FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse()""",
        """CREATE TRIGGER period_balance_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON period_balance FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse()""",
    ],
}


def upgrade() -> None:
    op.create_table(
        "closed_period",
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("closed_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("closed_by_id", BIGINT, nullable=False),
        sa.Column("entries", BIGINT, nullable=False),
        sa.Column("lines", BIGINT, nullable=False),
        sa.Column("gross", BIGINT, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["closed_by_id"], ["person.id"], name=op.f("fk_closed_period_closed_by_id")),
        sa.PrimaryKeyConstraint("period", name=op.f("pk_closed_period")),
    )
    op.create_table(
        "period_balance",
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("account_id", BIGINT, autoincrement=False, nullable=False),
        sa.Column("debit_fen", BIGINT, nullable=False),
        sa.Column("credit_fen", BIGINT, nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.PrimaryKeyConstraint("period", "account_id", name=op.f("pk_period_balance")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_period_balance_account", "period_balance", ["account_id", "period"], unique=False)
    for statement in REFUSALS[op.get_bind().dialect.name]:
        # Without parameters: a per cent sign is one.
        op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})


def downgrade() -> None:
    raise NotImplementedError("the ledger does not go back: restore the backup that was made before")
