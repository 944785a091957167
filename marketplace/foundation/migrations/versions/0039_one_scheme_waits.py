"""Of a cooperative's kind of goods one proposal of a split scheme waits, not two: of those that waited together the newest does."""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

WAITING = sa.text("state = 'SUBMITTED'")


def upgrade() -> None:
    op.execute(
        "UPDATE scheme_proposal SET state = 'WITHDRAWN' WHERE state = 'SUBMITTED' AND EXISTS (SELECT 1 FROM scheme_proposal newer "
        "WHERE newer.state = 'SUBMITTED' AND newer.organisation_id = scheme_proposal.organisation_id "
        "AND newer.category = scheme_proposal.category AND newer.id > scheme_proposal.id)"
    )
    op.create_index(
        "uq_scheme_proposal_waiting", "scheme_proposal", ["organisation_id", "category"], unique=True, sqlite_where=WAITING, postgresql_where=WAITING
    )


def downgrade() -> None:
    op.drop_index("uq_scheme_proposal_waiting", table_name="scheme_proposal")
