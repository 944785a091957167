"""a link that two people agreed on works only with a code that the other one hands over; links of that kind that were made before stop working"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0070"
down_revision = "0069"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    with op.batch_alter_table("invitation") as table:  # which has no checks to be lost
        table.add_column(sa.Column("proposal_id", BIGINT, nullable=True))
        table.add_column(sa.Column("code_hash", sa.String(length=64), nullable=False, server_default=""))
        table.add_column(sa.Column("tries", BIGINT, nullable=False, server_default="0"))
        table.create_foreign_key(op.f("fk_invitation_proposal_id"), "sign_in_proposal", ["proposal_id"], ["id"])
        table.create_index("ix_invitation_proposal_id", ["proposal_id"])
    op.execute(
        "UPDATE invitation SET expires_at = made_at WHERE used_at IS NULL AND person_id IN (SELECT person_id FROM sign_in_proposal WHERE state = 'APPROVED')"
    )


def downgrade() -> None:
    with op.batch_alter_table("invitation") as table:
        table.drop_index("ix_invitation_proposal_id")
        table.drop_constraint(op.f("fk_invitation_proposal_id"), type_="foreignkey")
        for name in ("tries", "code_hash", "proposal_id"):
            table.drop_column(name)
