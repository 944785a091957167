"""an officer's villages wait for a second administrator, as roles do"""

import sqlalchemy as sa
from alembic import op

revision = "0071"
down_revision = "0070"
branch_labels = None
depends_on = None

KINDS = "kind IN ('ROLES','LINK'{})"


def upgrade() -> None:
    with op.batch_alter_table("sign_in_proposal") as table:
        table.add_column(sa.Column("villages_before", sa.Text(), nullable=False, server_default=""))
        table.add_column(sa.Column("villages", sa.Text(), nullable=False, server_default=""))
        table.drop_constraint(op.f("ck_sign_in_proposal_kind"), type_="check")
        table.create_check_constraint(op.f("ck_sign_in_proposal_kind"), KINDS.format(",'VILLAGES'"))


def downgrade() -> None:
    op.execute("UPDATE invitation SET proposal_id = NULL WHERE proposal_id IN (SELECT id FROM sign_in_proposal WHERE kind = 'VILLAGES')")
    op.execute("DELETE FROM sign_in_proposal WHERE kind = 'VILLAGES'")
    with op.batch_alter_table("sign_in_proposal") as table:
        table.drop_constraint(op.f("ck_sign_in_proposal_kind"), type_="check")
        table.create_check_constraint(op.f("ck_sign_in_proposal_kind"), KINDS.format(""))
        table.drop_column("villages")
        table.drop_column("villages_before")
