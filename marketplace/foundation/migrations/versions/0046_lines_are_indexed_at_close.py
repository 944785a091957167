"""on SQLite too a month's lines get their index by account when the month is closed"""

from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None

CLOSED = "SELECT DISTINCT period FROM journal_entry WHERE period <= (SELECT max(period) FROM closed_period) ORDER BY period"


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    op.execute("DROP INDEX ix_journal_line_account")
    for (period,) in op.get_bind().exec_driver_sql(CLOSED).all():
        its = f"_line_{period.replace('-', '_')}_account ON journal_line (account_id, entry_id) WHERE period = '{period}'"
        op.execute(f"CREATE INDEX {its}")


def downgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    for (period,) in op.get_bind().exec_driver_sql(CLOSED).all():
        op.execute(f"DROP INDEX _line_{period.replace('-', '_')}_account")
    op.create_index("ix_journal_line_account", "journal_line", ["account_id", "entry_id"])
