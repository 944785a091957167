"""what two people found to be paid may come back, and be found again"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0072"
down_revision = "0071"
branch_labels = None
depends_on = None

MOMENT = UtcDateTime(timezone=True)
LIVES, STANDS = sa.text("state <> 'RETURNED'"), sa.text("state <> 'RETURNED' AND undone_at IS NULL")
COLUMNS: list[sa.ColumnClause[object]] = [sa.column(name) for name in ("id", "item_id", "state")]
WAITS, ONCE = sa.text("state = 'PROPOSED'"), sa.text("state = 'DONE' AND kind = 'UNMADE'")


def upgrade() -> None:
    with op.batch_alter_table("payout_found") as table:
        table.drop_index("uq_payout_found_item")
        table.add_column(sa.Column("undone_at", MOMENT, nullable=True))
    # A find whose payment does not stand as paid any more was reversed, or came back.
    op.execute(
        "UPDATE payout_found SET undone_at = coalesce(ended_at, decided_at) WHERE state = 'DONE'"
        " AND item_id IN (SELECT id FROM payout_item WHERE state <> 'paid')"
    )
    op.create_index("uq_payout_found_item", "payout_found", ["item_id"], unique=True, sqlite_where=STANDS, postgresql_where=STANDS)
    with op.batch_alter_table("payout_reversal") as table:
        table.drop_index("uq_payout_reversal_item")
        table.add_column(sa.Column("kind", sa.String(length=6), nullable=False, server_default="UNMADE"))
        table.create_check_constraint(op.f("ck_payout_reversal_kind"), "kind IN ('UNMADE','BACK')")
    op.create_index("uq_payout_reversal_item", "payout_reversal", ["item_id"], unique=True, sqlite_where=WAITS, postgresql_where=WAITS)
    op.create_index("uq_payout_reversal_once", "payout_reversal", ["item_id"], unique=True, sqlite_where=ONCE, postgresql_where=ONCE)


def downgrade() -> None:
    # Of a payment that was found or reversed more than once, the books still tell all of it: the last paper stays.
    for papers in (sa.table("payout_found", *COLUMNS), sa.table("payout_reversal", *COLUMNS)):
        last = sa.select(sa.func.max(papers.c.id)).where(papers.c.state != "RETURNED").group_by(papers.c.item_id)
        op.execute(sa.delete(papers).where(papers.c.state != "RETURNED", papers.c.id.not_in(last)))
    op.drop_index("uq_payout_reversal_once", "payout_reversal")
    with op.batch_alter_table("payout_reversal") as table:
        table.drop_index("uq_payout_reversal_item")
        table.drop_constraint(op.f("ck_payout_reversal_kind"), type_="check")
        table.drop_column("kind")
    op.create_index("uq_payout_reversal_item", "payout_reversal", ["item_id"], unique=True, sqlite_where=LIVES, postgresql_where=LIVES)
    with op.batch_alter_table("payout_found") as table:
        table.drop_index("uq_payout_found_item")
        table.drop_column("undone_at")
    op.create_index("uq_payout_found_item", "payout_found", ["item_id"], unique=True, sqlite_where=LIVES, postgresql_where=LIVES)
