"""Targets' lock and adjustments, approval by amount, price cuts, undone matches, visits, parcels, invitations"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)


def upgrade() -> None:
    # Changed before anything refers to them: SQLite writes a changed table anew.
    with op.batch_alter_table("bank_match", schema=None) as batch_op:
        batch_op.add_column(sa.Column("undone_at", MOMENT, nullable=True))

    with op.batch_alter_table("order", schema=None) as batch_op:
        batch_op.add_column(sa.Column("cut_fen", BIGINT, nullable=False, server_default="0"))

    with op.batch_alter_table("target", schema=None) as batch_op:
        batch_op.add_column(sa.Column("shared_with_id", BIGINT, nullable=True))
        batch_op.add_column(sa.Column("contractor", sa.String(length=120), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("filed_at", MOMENT, nullable=True))
        batch_op.add_column(sa.Column("filed_by_id", BIGINT, nullable=True))
        batch_op.add_column(sa.Column("locked_at", MOMENT, nullable=True))
        batch_op.add_column(sa.Column("adjusted_fen", BIGINT, nullable=False, server_default="0"))
        batch_op.create_foreign_key(batch_op.f("fk_target_shared_with_id"), "organisation", ["shared_with_id"], ["id"])
        batch_op.create_foreign_key(batch_op.f("fk_target_filed_by_id"), "person", ["filed_by_id"], ["id"])

    op.create_table("approval_rule",
    sa.Column("organisation_id", BIGINT, nullable=False),
    sa.Column("second_from_fen", BIGINT, nullable=True),
    sa.Column("set_at", MOMENT, nullable=False),
    sa.Column("set_by_id", BIGINT, nullable=False),
    sa.Column("id", BIGINT, nullable=False),
    sa.Column("version", BIGINT, nullable=False),
    sa.CheckConstraint("second_from_fen IS NULL OR second_from_fen > 0", name=op.f("ck_approval_rule_second_from")),
    sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_approval_rule_organisation_id")),
    sa.ForeignKeyConstraint(["set_by_id"], ["person.id"], name=op.f("fk_approval_rule_set_by_id")),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_rule")),
    sa.UniqueConstraint("organisation_id", name=op.f("uq_approval_rule_organisation_id"))
    )
    op.create_table("invitation",
    sa.Column("person_id", BIGINT, nullable=False),
    sa.Column("organisation_id", BIGINT, nullable=False),
    sa.Column("token_hash", sa.String(length=64), nullable=False),
    sa.Column("made_at", MOMENT, nullable=False),
    sa.Column("made_by_id", BIGINT, nullable=False),
    sa.Column("expires_at", MOMENT, nullable=False),
    sa.Column("used_at", MOMENT, nullable=True),
    sa.Column("id", BIGINT, nullable=False),
    sa.ForeignKeyConstraint(["made_by_id"], ["person.id"], name=op.f("fk_invitation_made_by_id")),
    sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_invitation_organisation_id")),
    sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_invitation_person_id")),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_invitation")),
    sa.UniqueConstraint("token_hash", name=op.f("uq_invitation_token_hash"))
    )
    with op.batch_alter_table("invitation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_invitation_person_id"), ["person_id"], unique=False)

    op.create_table("officer_assignment",
    sa.Column("organisation_id", BIGINT, nullable=False),
    sa.Column("person_id", BIGINT, nullable=False),
    sa.Column("village_id", BIGINT, nullable=False),
    sa.Column("starts_on", sa.Date(), nullable=False),
    sa.Column("ends_on", sa.Date(), nullable=True),
    sa.Column("id", BIGINT, nullable=False),
    sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_officer_assignment_organisation_id")),
    sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_officer_assignment_person_id")),
    sa.ForeignKeyConstraint(["village_id"], ["region.id"], name=op.f("fk_officer_assignment_village_id")),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_officer_assignment"))
    )
    with op.batch_alter_table("officer_assignment", schema=None) as batch_op:
        batch_op.create_index("ix_officer_assignment_person", ["person_id", "village_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_officer_assignment_village_id"), ["village_id"], unique=False)

    op.create_table("target_year",
    sa.Column("organisation_id", BIGINT, nullable=False),
    sa.Column("year", BIGINT, nullable=False),
    sa.Column("locked_at", MOMENT, nullable=False),
    sa.Column("locked_by_id", BIGINT, nullable=False),
    sa.Column("id", BIGINT, nullable=False),
    sa.ForeignKeyConstraint(["locked_by_id"], ["person.id"], name=op.f("fk_target_year_locked_by_id")),
    sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_target_year_organisation_id")),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_target_year")),
    sa.UniqueConstraint("year", name=op.f("uq_target_year_year"))
    )
    op.create_table("target_adjustment",
    sa.Column("organisation_id", BIGINT, nullable=False),
    sa.Column("target_id", BIGINT, nullable=False),
    sa.Column("canteen", sa.String(length=12), nullable=False),
    sa.Column("base_fen", BIGINT, nullable=False),
    sa.Column("percent_bp", BIGINT, nullable=False),
    sa.Column("delta_fen", BIGINT, nullable=False),
    sa.Column("reason", sa.String(length=300), nullable=False),
    sa.Column("state", sa.String(length=10), nullable=False),
    sa.Column("asked_at", MOMENT, nullable=False),
    sa.Column("asked_by_id", BIGINT, nullable=False),
    sa.Column("decided_at", MOMENT, nullable=True),
    sa.Column("decided_by_id", BIGINT, nullable=True),
    sa.Column("answer", sa.String(length=300), nullable=False),
    sa.Column("public_id", sa.String(length=16), nullable=False),
    sa.Column("id", BIGINT, nullable=False),
    sa.Column("version", BIGINT, nullable=False),
    sa.CheckConstraint("state IN ('OPEN','APPROVED','RETURNED')", name=op.f("ck_target_adjustment_state")),
    sa.ForeignKeyConstraint(["asked_by_id"], ["person.id"], name=op.f("fk_target_adjustment_asked_by_id")),
    sa.ForeignKeyConstraint(["decided_by_id"], ["person.id"], name=op.f("fk_target_adjustment_decided_by_id")),
    sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_target_adjustment_organisation_id")),
    sa.ForeignKeyConstraint(["target_id"], ["target.id"], name=op.f("fk_target_adjustment_target_id")),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_target_adjustment")),
    sa.UniqueConstraint("public_id", name=op.f("uq_target_adjustment_public_id"))
    )
    with op.batch_alter_table("target_adjustment", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_target_adjustment_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_target_adjustment_target_id"), ["target_id"], unique=False)

    op.create_table("visit",
    sa.Column("organisation_id", BIGINT, nullable=False),
    sa.Column("household_id", BIGINT, nullable=False),
    sa.Column("officer_id", BIGINT, nullable=False),
    sa.Column("visited_on", sa.Date(), nullable=False),
    sa.Column("finding", sa.String(length=10), nullable=False),
    sa.Column("note_sealed", sa.String(length=4000), nullable=False),
    sa.Column("written_at", MOMENT, nullable=False),
    sa.Column("public_id", sa.String(length=16), nullable=False),
    sa.Column("id", BIGINT, nullable=False),
    sa.CheckConstraint("finding IN ('STEADY','INCOME','ILLNESS','DISASTER','OTHER')", name=op.f("ck_visit_finding")),
    sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_visit_household_id")),
    sa.ForeignKeyConstraint(["officer_id"], ["person.id"], name=op.f("fk_visit_officer_id")),
    sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_visit_organisation_id")),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_visit")),
    sa.UniqueConstraint("public_id", name=op.f("uq_visit_public_id"))
    )
    with op.batch_alter_table("visit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_visit_household_id"), ["household_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_visit_officer_id"), ["officer_id"], unique=False)

    op.create_table("price_cut",
    sa.Column("organisation_id", BIGINT, nullable=False),
    sa.Column("unit_id", BIGINT, nullable=False),
    sa.Column("order_id", BIGINT, nullable=False),
    sa.Column("fen", BIGINT, nullable=False),
    sa.Column("reason", sa.String(length=300), nullable=False),
    sa.Column("state", sa.String(length=10), nullable=False),
    sa.Column("asked_at", MOMENT, nullable=False),
    sa.Column("asked_by_id", BIGINT, nullable=False),
    sa.Column("decided_at", MOMENT, nullable=True),
    sa.Column("decided_by_id", BIGINT, nullable=True),
    sa.Column("answer", sa.String(length=300), nullable=False),
    sa.Column("public_id", sa.String(length=16), nullable=False),
    sa.Column("id", BIGINT, nullable=False),
    sa.Column("version", BIGINT, nullable=False),
    sa.CheckConstraint("state IN ('OPEN','APPROVED','RETURNED')", name=op.f("ck_price_cut_state")),
    sa.CheckConstraint("fen > 0", name=op.f("ck_price_cut_fen")),
    sa.ForeignKeyConstraint(["asked_by_id"], ["person.id"], name=op.f("fk_price_cut_asked_by_id")),
    sa.ForeignKeyConstraint(["decided_by_id"], ["person.id"], name=op.f("fk_price_cut_decided_by_id")),
    sa.ForeignKeyConstraint(["order_id"], ["order.id"], name=op.f("fk_price_cut_order_id")),
    sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_price_cut_organisation_id")),
    sa.ForeignKeyConstraint(["unit_id"], ["organisation.id"], name=op.f("fk_price_cut_unit_id")),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_price_cut")),
    sa.UniqueConstraint("public_id", name=op.f("uq_price_cut_public_id"))
    )
    with op.batch_alter_table("price_cut", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_price_cut_order_id"), ["order_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_price_cut_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_price_cut_unit_id"), ["unit_id"], unique=False)

    op.create_table("match_undo",
    sa.Column("organisation_id", BIGINT, nullable=False),
    sa.Column("match_id", BIGINT, nullable=False),
    sa.Column("reason", sa.String(length=300), nullable=False),
    sa.Column("state", sa.String(length=10), nullable=False),
    sa.Column("asked_at", MOMENT, nullable=False),
    sa.Column("asked_by_id", BIGINT, nullable=False),
    sa.Column("decided_at", MOMENT, nullable=True),
    sa.Column("decided_by_id", BIGINT, nullable=True),
    sa.Column("answer", sa.String(length=300), nullable=False),
    sa.Column("public_id", sa.String(length=16), nullable=False),
    sa.Column("id", BIGINT, nullable=False),
    sa.Column("version", BIGINT, nullable=False),
    sa.CheckConstraint("state IN ('OPEN','APPROVED','RETURNED')", name=op.f("ck_match_undo_state")),
    sa.CheckConstraint("decided_by_id IS NULL OR decided_by_id <> asked_by_id", name=op.f("ck_match_undo_two_people")),
    sa.ForeignKeyConstraint(["asked_by_id"], ["person.id"], name=op.f("fk_match_undo_asked_by_id")),
    sa.ForeignKeyConstraint(["decided_by_id"], ["person.id"], name=op.f("fk_match_undo_decided_by_id")),
    sa.ForeignKeyConstraint(["match_id"], ["bank_match.id"], name=op.f("fk_match_undo_match_id")),
    sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_match_undo_organisation_id")),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_match_undo")),
    sa.UniqueConstraint("public_id", name=op.f("uq_match_undo_public_id"))
    )
    with op.batch_alter_table("match_undo", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_match_undo_match_id"), ["match_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_match_undo_organisation_id"), ["organisation_id"], unique=False)

    op.create_table("parcel",
    sa.Column("organisation_id", BIGINT, nullable=False),
    sa.Column("shipment_id", BIGINT, nullable=False),
    sa.Column("arrived_at", MOMENT, nullable=False),
    sa.Column("arrived_by_id", BIGINT, nullable=False),
    sa.Column("handed_at", MOMENT, nullable=True),
    sa.Column("handed_by_id", BIGINT, nullable=True),
    sa.Column("id", BIGINT, nullable=False),
    sa.ForeignKeyConstraint(["arrived_by_id"], ["person.id"], name=op.f("fk_parcel_arrived_by_id")),
    sa.ForeignKeyConstraint(["handed_by_id"], ["person.id"], name=op.f("fk_parcel_handed_by_id")),
    sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_parcel_organisation_id")),
    sa.ForeignKeyConstraint(["shipment_id"], ["shipment.id"], name=op.f("fk_parcel_shipment_id")),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_parcel")),
    sa.UniqueConstraint("shipment_id", name=op.f("uq_parcel_shipment_id"))
    )
    with op.batch_alter_table("parcel", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_parcel_organisation_id"), ["organisation_id"], unique=False)


def downgrade() -> None:
    for name in ("parcel", "match_undo", "price_cut", "visit", "target_adjustment", "target_year", "officer_assignment", "invitation", "approval_rule"):
        op.drop_table(name)
    with op.batch_alter_table("target", schema=None) as batch_op:
        for column in ("adjusted_fen", "locked_at", "filed_by_id", "filed_at", "contractor", "shared_with_id"):
            batch_op.drop_column(column)
    with op.batch_alter_table("order", schema=None) as batch_op:
        batch_op.drop_column("cut_fen")
    with op.batch_alter_table("bank_match", schema=None) as batch_op:
        batch_op.drop_column("undone_at")
