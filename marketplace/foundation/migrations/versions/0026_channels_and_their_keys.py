"""a second channel with its account of the ledger, and keys of channels that change without a pause"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)
IN_USE = sa.text("state = 'CURRENT'")
# Two closed lists grow by one word each: table, constraint, how it was written, and how it is.
LISTS = (
    ("account", "ck_account_kind", "'alipay', 'bank'", "'alipay', 'stripe', 'bank'"),
    ("refund", "ck_refund_way", "'alipay','bank'", "'alipay','stripe','bank'"),
)
KINDS = (
    "'bank', 'receivable', 'pool_recoverable', 'unapplied', 'buyer_funds', 'accepted_unpaid', 'refunds_payable', 'household_pool', 'household', "
    "'in_transit', 'village_collective', 'relief_fund', 'revenue', 'freight', 'interest', 'fees', 'outside'"
)


def upgrade() -> None:
    _replace({"account": f"kind IN ('alipay', 'stripe', {KINDS})", "refund": "way IN ('alipay','stripe','bank')"}, forward=True)
    with op.batch_alter_table("alipay_notice") as batch:
        batch.add_column(sa.Column("channel", sa.String(length=16), server_default="alipay", nullable=False))
    op.create_table(
        "channel_key",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("fingerprint", sa.String(length=80), nullable=False),
        sa.Column("material_sealed", sa.String(length=60_000), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("added_at", MOMENT, nullable=False),
        sa.Column("added_by_id", BIGINT, nullable=False),
        sa.Column("switched_at", MOMENT, nullable=True),
        sa.Column("switched_by_id", BIGINT, nullable=True),
        sa.Column("retired_at", MOMENT, nullable=True),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("state IN ('ADDED','CURRENT','OLD','RETIRED')", name=op.f("ck_channel_key_state")),
        sa.CheckConstraint("channel IN ('alipay','stripe')", name=op.f("ck_channel_key_channel")),
        sa.CheckConstraint("switched_by_id IS NULL OR switched_by_id <> added_by_id", name=op.f("ck_channel_key_two_people")),
        sa.CheckConstraint("(state = 'RETIRED') = (material_sealed = '')", name=op.f("ck_channel_key_destroyed")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_channel_key_organisation_id")),
        sa.ForeignKeyConstraint(["added_by_id"], ["person.id"], name=op.f("fk_channel_key_added_by_id")),
        sa.ForeignKeyConstraint(["switched_by_id"], ["person.id"], name=op.f("fk_channel_key_switched_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channel_key")),
        sa.UniqueConstraint("public_id", name=op.f("uq_channel_key_public_id")),
    )
    op.create_index("ix_channel_key_owner", "channel_key", ["organisation_id", "channel", "state"])
    op.create_index(
        "uq_channel_key_current", "channel_key", ["organisation_id", "channel"], unique=True, sqlite_where=IN_USE, postgresql_where=IN_USE
    )


def downgrade() -> None:
    op.drop_table("channel_key")
    with op.batch_alter_table("alipay_notice") as batch:
        batch.drop_column("channel")
    _replace({"account": f"kind IN ('alipay', {KINDS})", "refund": "way IN ('alipay','bank')"}, forward=False)


def _replace(checks: dict[str, str], *, forward: bool) -> None:
    """Let a CHECK say something else without touching the table: its rows are history, which nothing may copy or delete."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        for table, name, _was, _is in LISTS:
            op.drop_constraint(op.f(name), table, type_="check")
            op.create_check_constraint(op.f(name), table, checks[table])
        return
    # SQLite's own advice for a change that leaves every row as it is.
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    for table, _name, was, become in LISTS:
        before, after = (was, become) if forward else (become, was)
        told = connection.exec_driver_sql("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?", (table,)).scalar_one()
        if after not in told:
            assert told.count(before) == 1, table
            connection.exec_driver_sql(
                "UPDATE sqlite_schema SET sql = ? WHERE type = 'table' AND name = ?", (told.replace(before, after), table)
            )
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql(f"PRAGMA schema_version = {int(version) + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = OFF")
