"""packing, counts by hand, certificates, deliveries that count no more, and what does not add up"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "conformity_certificate",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("batch_id", BIGINT, nullable=False),
        sa.Column("number", sa.String(length=50), nullable=False),
        sa.Column("goods_zh", sa.String(length=80), nullable=False),
        sa.Column("grams", BIGINT, nullable=False),
        sa.Column("origin_zh", sa.String(length=160), nullable=False),
        sa.Column("producer_zh", sa.String(length=120), nullable=False),
        sa.Column("contact", sa.String(length=60), nullable=False),
        sa.Column("basis", sa.String(length=14), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("issued_at", MOMENT, nullable=False),
        sa.Column("issued_by_id", BIGINT, nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("grams > 0", name=op.f("ck_conformity_certificate_grams")),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_conformity_certificate_batch_id")),
        sa.ForeignKeyConstraint(
            ["issued_by_id"], ["person.id"], name=op.f("fk_conformity_certificate_issued_by_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_conformity_certificate_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conformity_certificate")),
        sa.UniqueConstraint("number", name=op.f("uq_conformity_certificate_number")),
        sa.UniqueConstraint("public_id", name=op.f("uq_conformity_certificate_public_id")),
    )
    with op.batch_alter_table("conformity_certificate", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_conformity_certificate_batch_id"), ["batch_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_conformity_certificate_organisation_id"), ["organisation_id"], unique=False
        )

    op.create_table(
        "mass_anomaly",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("linkage_group_id", BIGINT, nullable=False),
        sa.Column("batch_id", BIGINT, nullable=True),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("grams_over", BIGINT, nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("found_at", MOMENT, nullable=False),
        sa.Column("explanation", sa.String(length=500), nullable=False),
        sa.Column("closed_at", MOMENT, nullable=True),
        sa.Column("closed_by_id", BIGINT, nullable=True),
        sa.Column("close_reason", sa.String(length=500), nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint(
            "kind IN ('YIELD','DELIVERED','UNDELIVERED','STOCK')", name=op.f("ck_mass_anomaly_kind")
        ),
        sa.CheckConstraint("state IN ('OPEN','CLOSED','GONE')", name=op.f("ck_mass_anomaly_state")),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_mass_anomaly_batch_id")),
        sa.ForeignKeyConstraint(["closed_by_id"], ["person.id"], name=op.f("fk_mass_anomaly_closed_by_id")),
        sa.ForeignKeyConstraint(
            ["linkage_group_id"], ["linkage_group.id"], name=op.f("fk_mass_anomaly_linkage_group_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_mass_anomaly_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mass_anomaly")),
        sa.UniqueConstraint("public_id", name=op.f("uq_mass_anomaly_public_id")),
    )
    with op.batch_alter_table("mass_anomaly", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_mass_anomaly_batch_id"), ["batch_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_mass_anomaly_organisation_id"), ["organisation_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_mass_anomaly_state"), ["state"], unique=False)

    op.create_table(
        "packing",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("batch_id", BIGINT, nullable=False),
        sa.Column("pack_id", BIGINT, nullable=False),
        sa.Column("packs", BIGINT, nullable=False),
        sa.Column("grams", BIGINT, nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("packed_at", MOMENT, nullable=False),
        sa.Column("packed_by_id", BIGINT, nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("(packs > 0) = (grams > 0)", name=op.f("ck_packing_grams")),
        sa.CheckConstraint("packs <> 0", name=op.f("ck_packing_packs")),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_packing_batch_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_packing_organisation_id")
        ),
        sa.ForeignKeyConstraint(["pack_id"], ["pack.id"], name=op.f("fk_packing_pack_id")),
        sa.ForeignKeyConstraint(["packed_by_id"], ["person.id"], name=op.f("fk_packing_packed_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_packing")),
    )
    with op.batch_alter_table("packing", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_packing_batch_id"), ["batch_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_packing_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_packing_pack_id"), ["pack_id"], unique=False)

    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.add_column(sa.Column("voided_at", MOMENT, nullable=True))
        batch_op.add_column(sa.Column("voided_by_id", BIGINT, nullable=True))
        batch_op.add_column(
            sa.Column("void_reason", sa.String(length=200), server_default="", nullable=False)
        )

    with op.batch_alter_table("stock_move", schema=None) as batch_op:
        batch_op.add_column(sa.Column("note", sa.String(length=200), server_default="", nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("stock_move", schema=None) as batch_op:
        batch_op.drop_column("note")

    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_column("void_reason")
        batch_op.drop_column("voided_by_id")
        batch_op.drop_column("voided_at")

    with op.batch_alter_table("packing", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_packing_pack_id"))
        batch_op.drop_index(batch_op.f("ix_packing_organisation_id"))
        batch_op.drop_index(batch_op.f("ix_packing_batch_id"))

    op.drop_table("packing")
    with op.batch_alter_table("mass_anomaly", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_mass_anomaly_state"))
        batch_op.drop_index(batch_op.f("ix_mass_anomaly_organisation_id"))
        batch_op.drop_index(batch_op.f("ix_mass_anomaly_batch_id"))

    op.drop_table("mass_anomaly")
    with op.batch_alter_table("conformity_certificate", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_conformity_certificate_organisation_id"))
        batch_op.drop_index(batch_op.f("ix_conformity_certificate_batch_id"))

    op.drop_table("conformity_certificate")
