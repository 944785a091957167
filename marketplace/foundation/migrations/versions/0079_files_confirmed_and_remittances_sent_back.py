"""a second person confirms a file without balances; a remittance that the payee's bank sent back"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0079"
down_revision = "0078"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
STATES = "state IN ('PROPOSED','APPROVED','PAID',{}'WITHDRAWN')"


def upgrade() -> None:
    op.add_column("bank_statement", sa.Column("confirmed_at", UtcDateTime(timezone=True), nullable=True))
    op.add_column("bank_statement", sa.Column("confirmed_by_id", BIGINT, nullable=True))
    with op.batch_alter_table("remittance") as table:
        table.add_column(sa.Column("returned_on", sa.Date(), nullable=True))
        table.add_column(sa.Column("returned_row_id", BIGINT, nullable=True))
        table.drop_constraint(op.f("ck_remittance_state"), type_="check")
        table.create_check_constraint(op.f("ck_remittance_state"), STATES.format("'RETURNED',"))


def downgrade() -> None:
    with op.batch_alter_table("remittance") as table:
        table.drop_constraint(op.f("ck_remittance_state"), type_="check")
        table.create_check_constraint(op.f("ck_remittance_state"), STATES.format(""))
        table.drop_column("returned_row_id")
        table.drop_column("returned_on")
    op.drop_column("bank_statement", "confirmed_by_id")
    op.drop_column("bank_statement", "confirmed_at")
