"""what refunds after settlement took of each line, and what a distribution found of it"""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime
from marketplace.foundation.money import split

revision = "0063"
down_revision = "0062"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "taken_back",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("settlement_line_id", BIGINT, nullable=False),
        sa.Column("refund_id", BIGINT, nullable=False),
        sa.Column("taken_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("cooperative_fen", BIGINT, nullable=False),
        sa.Column("pool_fen", BIGINT, nullable=False),
        sa.Column("village_fen", BIGINT, nullable=False),
        sa.Column("fund_fen", BIGINT, nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_taken_back_organisation_id")),
        sa.ForeignKeyConstraint(["settlement_line_id"], ["settlement_line.id"], name=op.f("fk_taken_back_settlement_line_id")),
        sa.ForeignKeyConstraint(["refund_id"], ["refund.id"], name=op.f("fk_taken_back_refund_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_taken_back")),
        sa.UniqueConstraint("settlement_line_id", "refund_id", name=op.f("uq_taken_back_settlement_line_id_refund_id")),
    )
    op.create_index("ix_taken_back_organisation_id", "taken_back", ["organisation_id"])
    op.create_index("ix_taken_back_refund_id", "taken_back", ["refund_id"])
    op.add_column("settlement_line", sa.Column("divided_fen", BIGINT, nullable=True))
    _count_to_lines(op.get_bind())


# A share, and the accounts of which a refund's entry took it.
SHARES = {
    "cooperative_fen": ("revenue",), "pool_fen": ("household_pool", "pool_recoverable"), "village_fen": ("village_collective", "village_recoverable"),
    "fund_fen": ("relief_fund", "fund_recoverable"),
}  # fmt: skip
OWNER = {"pool_fen": "linkage_group:{0.linkage_group_id}", "village_fen": "village:{0.village_id}"}


def _count_to_lines(connection: sa.Connection) -> None:
    """What refunds took until now: their entries say how much of each share, and they of which order lines. Where several lines have part in
    a share, each bore it in proportion to what it gave of its goods."""
    entries = connection.execute(
        sa.text(
            "SELECT e.id, e.period, e.book, e.posted_at, r.id AS refund_id, r.goods, s.id AS settlement_id FROM journal_entry e "
            "JOIN settlement s ON s.entry_id = e.reverses_id JOIN refund r ON r.id = e.source_id "
            "WHERE e.kind = 'refund_after_settlement' AND e.source_type = 'refund' "
            "AND NOT EXISTS (SELECT 1 FROM journal_entry u WHERE u.reverses_id = e.id AND u.kind = 'reversed') ORDER BY e.id"
        )
    ).all()
    for entry in entries:
        lines = connection.execute(sa.text("SELECT * FROM settlement_line WHERE settlement_id = :id ORDER BY id"), {"id": entry.settlement_id}).all()
        taken = connection.execute(
            sa.text(
                "SELECT a.kind, a.owner_ref, l.fen FROM journal_line l JOIN account a ON a.id = l.account_id "
                "WHERE l.period = :period AND l.entry_id = :id AND l.fen > 0"
            ),
            {"period": entry.period, "id": entry.id},
        ).all()
        goods = dict(json.loads(entry.goods) if isinstance(entry.goods, str) else entry.goods or [])
        for line, shares in zip(lines, _by_line(lines, taken, goods), strict=True):
            if any(shares.values()):
                connection.execute(
                    sa.text(
                        "INSERT INTO taken_back (organisation_id, settlement_line_id, refund_id, taken_at, cooperative_fen, pool_fen, village_fen, fund_fen) "
                        "VALUES (:book, :line, :refund, :at, :cooperative_fen, :pool_fen, :village_fen, :fund_fen)"
                    ),
                    {"book": entry.book, "line": line.id, "refund": entry.refund_id, "at": entry.posted_at, **shares},
                )


def _by_line(lines: Any, taken: Any, goods: dict[int, int]) -> list[dict[str, int]]:
    found = [dict.fromkeys(SHARES, 0) for _ in lines]
    for share, kinds in SHARES.items():
        owners = [OWNER.get(share, "").format(line) for line in lines]
        for owner in sorted(set(owners)):
            fen = sum(row.fen for row in taken if row.kind in kinds and row.owner_ref == owner)
            its = [place for place, each in enumerate(owners) if each == owner]
            settled = [getattr(lines[place], share) for place in its]
            # Millionths of a fen: the goods of a line times the share of its base.
            asked = [
                goods.get(lines[place].order_line_id, 0) * part * 10**6 // max(1, lines[place].base_fen) for place, part in zip(its, settled, strict=True)
            ]
            weights = next(each for each in (asked, settled, [1] * len(its)) if any(each))
            for place, part in zip(its, split(fen, weights, [str(lines[place].id) for place in its], "taken_back"), strict=True):
                found[place][share] = part
    return found


def downgrade() -> None:
    op.drop_column("settlement_line", "divided_fen")
    op.drop_table("taken_back")
