"""how a group's pool is divided is a versioned rule: a relief share, what is guaranteed for a share, then grams and shares"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)
WAITING = sa.text("state = 'SUBMITTED'")
SOUND = (
    "patronage_bp BETWEEN 6000 AND 10000 AND guaranteed_fen BETWEEN 0 AND 10000000 AND relief_bp BETWEEN 0 AND 5000 "
    "AND relief_most_fen >= 0 AND relief_by IN ('PERSON','HOUSEHOLD')"
)
NEW = ("relief_units", "relief_fen", "guaranteed_due_fen", "guaranteed_fen")
# What each table's checks are called: as it was, as it is, and those that stay.
CHECKS = {
    "distribution_group": (
        {"whole": "patronage_fen + equity_fen = pool_fen - recovered_fen"},
        {
            "whole": "relief_fen + guaranteed_fen + patronage_fen + equity_fen = pool_fen - recovered_fen",
            "options": "guaranteed_fen BETWEEN 0 AND guaranteed_due_fen AND relief_fen >= 0",
        },
        {"basis": "basis IN ('BATCHES','TWELVE_MONTHS','EQUITY_ONLY')"},
    ),
    "distribution_share": (
        {"fen": "fen = patronage_fen + equity_fen AND fen >= 0"},
        {"fen": "fen = relief_fen + guaranteed_fen + patronage_fen + equity_fen AND fen >= 0"},
        {},
    ),
}


def _figures() -> list[sa.Column[Any]]:
    return [
        sa.Column("patronage_bp", BIGINT, nullable=False),
        sa.Column("guaranteed_fen", BIGINT, nullable=False),
        sa.Column("relief_bp", BIGINT, nullable=False),
        sa.Column("relief_by", sa.String(length=10), nullable=False),
        sa.Column("relief_most_fen", BIGINT, nullable=False),
    ]


def upgrade() -> None:
    op.create_table(
        "distribution_rule",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("linkage_group_id", BIGINT, nullable=False),
        sa.Column("version_no", BIGINT, nullable=False),
        sa.Column("from_period", sa.String(length=7), nullable=False),
        *_figures(),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint(SOUND, name=op.f("ck_distribution_rule_sound")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_distribution_rule_organisation_id")),
        sa.ForeignKeyConstraint(["linkage_group_id"], ["linkage_group.id"], name=op.f("fk_distribution_rule_linkage_group_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_distribution_rule")),
        sa.UniqueConstraint("linkage_group_id", "version_no", name=op.f("uq_distribution_rule_linkage_group_id_version_no")),
    )
    op.create_index("ix_distribution_rule_organisation_id", "distribution_rule", ["organisation_id"])
    op.create_table(
        "rule_proposal",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("linkage_group_id", BIGINT, nullable=False),
        sa.Column("from_period", sa.String(length=7), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("made_by_id", BIGINT, nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("rule_id", BIGINT, nullable=True),
        *_figures(),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint("state IN ('SUBMITTED','APPROVED','RETURNED','WITHDRAWN')", name=op.f("ck_rule_proposal_state")),
        sa.CheckConstraint(SOUND, name=op.f("ck_rule_proposal_sound")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_rule_proposal_organisation_id")),
        sa.ForeignKeyConstraint(["linkage_group_id"], ["linkage_group.id"], name=op.f("fk_rule_proposal_linkage_group_id")),
        sa.ForeignKeyConstraint(["made_by_id"], ["person.id"], name=op.f("fk_rule_proposal_made_by_id")),
        sa.ForeignKeyConstraint(["rule_id"], ["distribution_rule.id"], name=op.f("fk_rule_proposal_rule_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rule_proposal")),
        sa.UniqueConstraint("public_id", name=op.f("uq_rule_proposal_public_id")),
    )
    for column in ("organisation_id", "linkage_group_id", "state"):
        op.create_index(f"ix_rule_proposal_{column}", "rule_proposal", [column])
    op.create_index(
        "uq_rule_proposal_waiting", "rule_proposal", ["linkage_group_id"], unique=True, sqlite_where=WAITING, postgresql_where=WAITING
    )
    for table in CHECKS:
        for name in NEW:
            op.add_column(table, sa.Column(name, BIGINT, server_default="0", nullable=False))
    with _kept("distribution_group", 1) as batch:
        batch.add_column(sa.Column("rule_id", BIGINT, nullable=True))
        batch.create_foreign_key(op.f("fk_distribution_group_rule_id"), "distribution_rule", ["rule_id"], ["id"])
        _checks(batch, "distribution_group", 0, 1)
    with _kept("distribution_share", 1) as batch:
        _checks(batch, "distribution_share", 0, 1)


def downgrade() -> None:
    with _kept("distribution_group", 0) as batch:
        _checks(batch, "distribution_group", 1, 0)
        batch.drop_constraint(op.f("fk_distribution_group_rule_id"), type_="foreignkey")
        batch.drop_column("rule_id")
        for name in NEW:
            batch.drop_column(name)
    with _kept("distribution_share", 0) as batch:
        _checks(batch, "distribution_share", 1, 0)
        for name in NEW:
            batch.drop_column(name)
    op.drop_table("rule_proposal")
    op.drop_table("distribution_rule")


def _kept(table: str, to: int) -> Any:
    """On SQLite the table is copied, which forgets its checks: they are named anew. Nothing refers to either table."""
    checks = {**CHECKS[table][to], **CHECKS[table][2]}
    if op.get_bind().dialect.name != "sqlite":
        return op.batch_alter_table(table)
    named = [sa.CheckConstraint(text, name=op.f(f"ck_{table}_{name}")) for name, text in checks.items()]
    return op.batch_alter_table(table, recreate="always", table_args=tuple(named))


def _checks(batch: Any, table: str, before: int, after: int) -> None:
    if op.get_bind().dialect.name == "sqlite":
        return
    for name in CHECKS[table][before]:
        batch.drop_constraint(op.f(f"ck_{table}_{name}"), type_="check")
    for name, text in CHECKS[table][after].items():
        batch.create_check_constraint(op.f(f"ck_{table}_{name}"), text)
