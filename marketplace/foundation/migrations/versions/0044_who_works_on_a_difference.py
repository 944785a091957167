"""who works on a difference between the books and Alipay's trade bill"""

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("bill_difference") as batch:
        batch.add_column(sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))
        batch.create_foreign_key(op.f("fk_bill_difference_owner_id"), "person", ["owner_id"], ["id"])


def downgrade() -> None:
    with op.batch_alter_table("bill_difference") as batch:
        batch.drop_constraint(op.f("fk_bill_difference_owner_id"), type_="foreignkey")
        batch.drop_column("owner_id")
