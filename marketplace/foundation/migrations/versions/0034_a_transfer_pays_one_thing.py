"""the bank's number of a transfer stands for one thing, whether a refund, money given back or money paid on"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MADE = """
    INSERT INTO bank_transfer (organisation_id, number, source_type, source_id, paid_on, recorded_at, recorded_by_id)
    SELECT organisation_id, {number}, '{source}', {row}, paid_on, {at}, {person} FROM {source_table} made
    WHERE state = 'PAID' AND coalesce({number}, '') <> '' AND paid_on IS NOT NULL AND {person} IS NOT NULL AND {at} IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM bank_transfer b WHERE b.organisation_id = made.organisation_id AND b.number = made.{number})
    AND NOT EXISTS (SELECT 1 FROM {source_table} o WHERE o.organisation_id = made.organisation_id AND o.{number} = made.{number}
                    AND o.state = 'PAID' AND o.id < made.id)
"""


def upgrade() -> None:
    op.create_table(
        "bank_transfer",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("number", sa.String(length=40), nullable=False),
        sa.Column("source_type", sa.String(length=20), nullable=False),
        sa.Column("source_id", BIGINT, nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=False),
        sa.Column("recorded_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("recorded_by_id", BIGINT, nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_bank_transfer_organisation_id")),
        sa.ForeignKeyConstraint(["recorded_by_id"], ["person.id"], name=op.f("fk_bank_transfer_recorded_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_transfer")),
        sa.UniqueConstraint("organisation_id", "number", name=op.f("uq_bank_transfer_organisation_id_number")),
        sa.UniqueConstraint("source_type", "source_id", name=op.f("uq_bank_transfer_source_type_source_id")),
    )
    for source, row, number, at, person in (
        ("bank_refund", "refund_id", "reference", "recorded_at", "recorded_by_id"),
        ("receipt_return", "id", "reference", "coalesce(decided_at, proposed_at)", "recorded_by_id"),
        ("remittance", "id", "bank_serial", "recorded_at", "approved_by_id"),
    ):
        made = MADE.format(source=source, source_table=source, row=row, number=number, at=at, person=person)
        op.execute(made.replace("'bank_refund', ", "'refund', "))


def downgrade() -> None:
    op.drop_table("bank_transfer")
