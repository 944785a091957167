"""On SQLite a closed month cannot be replaced by the number of its row either, of which REPLACE would delete it without a word."""

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            """CREATE TRIGGER closed_period_new BEFORE INSERT ON closed_period
           WHEN EXISTS (SELECT 1 FROM closed_period c WHERE c.rowid = NEW.rowid)
           BEGIN SELECT RAISE(ABORT, 'ledger: this month is closed'); END"""
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER closed_period_new")
