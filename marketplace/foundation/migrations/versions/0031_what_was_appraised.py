"""an equity share says what was appraised into it, and at how much"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
APPRAISED = (
    "asset_kind IS NULL AND appraised_fen IS NULL OR kind = 'EQUITY' AND asset_kind IS NOT NULL AND appraised_fen IS NOT NULL "
    "AND asset_kind IN ('LAND','FOREST','FUNDS','CASH','EQUIPMENT','OTHER') AND appraised_fen > 0"
)


def upgrade() -> None:
    op.add_column("linkage_share", sa.Column("asset_kind", sa.String(length=10), nullable=True))
    if op.get_bind().dialect.name == "sqlite":
        # With its check in one statement: the table is not made anew, and keeps the checks it has.
        op.execute(f"ALTER TABLE linkage_share ADD COLUMN appraised_fen INTEGER CONSTRAINT ck_linkage_share_appraised CHECK ({APPRAISED})")
    else:
        op.add_column("linkage_share", sa.Column("appraised_fen", BIGINT, nullable=True))
        op.create_check_constraint(op.f("ck_linkage_share_appraised"), "linkage_share", APPRAISED)


def downgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        op.drop_constraint(op.f("ck_linkage_share_appraised"), "linkage_share", type_="check")
    op.drop_column("linkage_share", "appraised_fen")
    op.drop_column("linkage_share", "asset_kind")
