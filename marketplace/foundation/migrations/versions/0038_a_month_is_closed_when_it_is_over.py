"""No month is closed before it is over, by the database's own clock: one closed ahead of its time could never be opened again."""

from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

FOLLOWS = """CREATE OR REPLACE FUNCTION ledger_follows() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $body$
           BEGIN
             IF NEW.period <= (SELECT max(c.period) FROM closed_period c) THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: this month is closed';
             END IF;{over}
             RETURN NEW;
           END $body$"""
# As it was at this revision.
OVER = """
             IF NEW.period !~ '^(19|20|21)[0-9][0-9]-(0[1-9]|1[0-2])$' OR NEW.period >= to_char(now() AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM') THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: ' || NEW.period || ' is not over';
             END IF;"""
SQLITE = """CREATE TRIGGER closed_period_over BEFORE INSERT ON closed_period
           WHEN NEW.period NOT GLOB '[12][0-9][0-9][0-9]-[01][0-9]' OR substr(NEW.period, 6) NOT BETWEEN '01' AND '12'
             OR NEW.period >= strftime('%Y-%m', 'now', '+8 hours')
           BEGIN SELECT RAISE(ABORT, 'ledger: this month is not over'); END"""


def upgrade() -> None:
    # Without parameters: a per cent sign is one.
    statement = SQLITE if op.get_bind().dialect.name == "sqlite" else FOLLOWS.format(over=OVER)
    op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER closed_period_over")
    else:
        op.get_bind().exec_driver_sql(FOLLOWS.format(over=""), execution_options={"no_parameters": True})
