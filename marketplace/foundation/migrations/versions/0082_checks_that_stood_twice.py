"""checks that stood twice on SQLite: a table was copied with its old check beside the new one, and both had to hold"""

import sqlalchemy as sa
from alembic import op

revision = "0082"
down_revision = "0081"
branch_labels = None
depends_on = None

# Migrations 0021 and 0054 named the checks of copied tables anew, and the copy had kept the old ones too: no household could be given a relief
# share or what is guaranteed for a share, and a refund that left twice could not be told as one.
CHECKS = {
    "distribution_group": {
        "ck_distribution_group_basis": "basis IN ('BATCHES','TWELVE_MONTHS','EQUITY_ONLY')",
        "ck_distribution_group_whole": "relief_fen + guaranteed_fen + patronage_fen + equity_fen = pool_fen - recovered_fen",
    },
    "distribution_share": {"ck_distribution_share_fen": "fen = relief_fen + guaranteed_fen + patronage_fen + equity_fen AND fen >= 0"},
    "bill_difference": {"ck_bill_difference_kind": "kind IN ('ONLY_THEIRS','ONLY_OURS','AMOUNT','TWICE')"},
}


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for table, checks in CHECKS.items():
            _named_once(table, checks)


def downgrade() -> None:
    """What a check refused wrongly is not refused again."""


def _named_once(name: str, checks: dict[str, str]) -> None:
    """Copy the table with each of these checks as it should be, and all else as it is. Nothing refers to it."""
    table = sa.Table(name, sa.MetaData(), autoload_with=op.get_bind())
    for each in [each for each in table.constraints if isinstance(each, sa.CheckConstraint) and each.name in checks]:
        table.constraints.remove(each)
    for called, text in checks.items():
        table.append_constraint(sa.CheckConstraint(text, name=op.f(called)))
    with op.batch_alter_table(name, copy_from=table, recreate="always"):
        pass
