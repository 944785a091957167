"""a purchase names the station at which it was placed for somebody; of older ones the audit tells"""

import sqlalchemy as sa
from alembic import op

revision = "0059"
down_revision = "0058"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        # One statement, and the table keeps its rows where they are: nothing is copied, nothing that points at it is touched.
        op.execute("ALTER TABLE purchase ADD COLUMN station_id INTEGER CONSTRAINT fk_purchase_station_id REFERENCES organisation (id)")
    else:
        op.add_column("purchase", sa.Column("station_id", BIGINT, nullable=True))
        op.create_foreign_key(op.f("fk_purchase_station_id"), "purchase", "organisation", ["station_id"], ["id"])
    op.create_index("ix_purchase_station_id", "purchase", ["station_id"])
    placed = (
        "SELECT max(audit_event.organisation_id) FROM audit_event JOIN organisation ON organisation.id = audit_event.organisation_id"
        " WHERE audit_event.action = 'purchase.placed' AND audit_event.subject_type = 'purchase' AND audit_event.subject_id = purchase.id"
        " AND organisation.kind = 'STATION' AND organisation.id <> purchase.organisation_id"
    )
    op.execute(
        f"UPDATE purchase SET station_id = ({placed}) WHERE purchase.placed_by_id IN (SELECT person_id FROM role WHERE name = 'station_clerk')"  # noqa: S608 -- our own words
    )


def downgrade() -> None:
    op.drop_index("ix_purchase_station_id", "purchase")
    with op.batch_alter_table("purchase") as table:
        table.drop_constraint(op.f("fk_purchase_station_id"), type_="foreignkey")
        table.drop_column("station_id")
