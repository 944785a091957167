"""how many approvals a unit's order needs is kept with it from the day it is submitted"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("directed_order", sa.Column("approvals_needed", BIGINT, nullable=True))


def downgrade() -> None:
    op.drop_column("directed_order", "approvals_needed")
