"""the verifiable log: leaves, heads, keys"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from marketplace.foundation.database import UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
MOMENT = UtcDateTime(timezone=True)

# What the database itself refuses of the log, as it was at this revision.
REFUSALS = {
    "sqlite": [
        """CREATE TRIGGER log_leaf_new BEFORE INSERT ON log_leaf
           BEGIN
             SELECT RAISE(ABORT, 'UNIQUE constraint failed: log: this log_leaf exists') WHERE EXISTS
               (SELECT 1 FROM log_leaf o WHERE o.seq = NEW.seq OR (o.kind = NEW.kind AND o.ref = NEW.ref));
             SELECT RAISE(ABORT, 'log: log_leaf has no gaps') WHERE NEW.seq IS NOT
               (SELECT coalesce(max(o.seq) + 1, 0) FROM log_leaf o);
           END""",
        """CREATE TRIGGER log_leaf_stays BEFORE UPDATE ON log_leaf
           BEGIN SELECT RAISE(ABORT, 'log: log_leaf is never changed'); END""",
        """CREATE TRIGGER log_leaf_kept BEFORE DELETE ON log_leaf
           BEGIN SELECT RAISE(ABORT, 'log: log_leaf is never deleted'); END""",
        """CREATE TRIGGER log_key_new BEFORE INSERT ON log_key
           BEGIN
             SELECT RAISE(ABORT, 'UNIQUE constraint failed: log: this log_key exists') WHERE EXISTS
               (SELECT 1 FROM log_key o WHERE o.id = NEW.id OR o.public_key = NEW.public_key);
             SELECT RAISE(ABORT, 'log: log_key has no gaps') WHERE NEW.id IS NOT
               (SELECT coalesce(max(o.id) + 1, 1) FROM log_key o);
           END""",
        """CREATE TRIGGER log_key_stays BEFORE UPDATE ON log_key
           BEGIN SELECT RAISE(ABORT, 'log: log_key is never changed'); END""",
        """CREATE TRIGGER log_key_kept BEFORE DELETE ON log_key
           BEGIN SELECT RAISE(ABORT, 'log: log_key is never deleted'); END""",
        """CREATE TRIGGER tree_head_new BEFORE INSERT ON tree_head
           BEGIN
             SELECT RAISE(ABORT, 'UNIQUE constraint failed: log: this tree_head exists') WHERE EXISTS
               (SELECT 1 FROM tree_head o WHERE o.number = NEW.number OR o.fingerprint = NEW.fingerprint);
             SELECT RAISE(ABORT, 'log: tree_head has no gaps') WHERE NEW.number IS NOT
               (SELECT coalesce(max(o.number) + 1, 1) FROM tree_head o);
           END""",
        """CREATE TRIGGER tree_head_stays BEFORE UPDATE ON tree_head
           BEGIN SELECT RAISE(ABORT, 'log: tree_head is never changed'); END""",
        """CREATE TRIGGER tree_head_kept BEFORE DELETE ON tree_head
           BEGIN SELECT RAISE(ABORT, 'log: tree_head is never deleted'); END""",
    ],
    "postgresql": [
        """CREATE OR REPLACE FUNCTION log_refuse() RETURNS trigger LANGUAGE plpgsql AS $body$
           BEGIN
             RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'log: ' || lower(TG_OP) || ' of ' || TG_TABLE_NAME || ' is refused';
           END $body$""",
        """CREATE OR REPLACE FUNCTION log_leaf_follows() RETURNS trigger LANGUAGE plpgsql AS $body$
           BEGIN
             IF EXISTS (SELECT 1 FROM fresh) AND (SELECT max(f.seq) - min(f.seq) + 1 <> count(*) OR min(f.seq) <>
                 (SELECT coalesce(max(o.seq) + 1, 0) FROM log_leaf o WHERE o.seq < (SELECT min(f.seq) FROM fresh f))
                 FROM fresh f) THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'log: log_leaf has no gaps';
             END IF;
             RETURN NULL;
           END $body$""",
        """CREATE TRIGGER log_leaf_new AFTER INSERT ON log_leaf REFERENCING NEW TABLE AS fresh
           FOR EACH STATEMENT EXECUTE FUNCTION log_leaf_follows()""",
        """CREATE TRIGGER log_leaf_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON log_leaf
           FOR EACH STATEMENT EXECUTE FUNCTION log_refuse()""",
        """CREATE OR REPLACE FUNCTION log_refuse() RETURNS trigger LANGUAGE plpgsql AS $body$
           BEGIN
             RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'log: ' || lower(TG_OP) || ' of ' || TG_TABLE_NAME || ' is refused';
           END $body$""",
        """CREATE OR REPLACE FUNCTION log_key_follows() RETURNS trigger LANGUAGE plpgsql AS $body$
           BEGIN
             IF EXISTS (SELECT 1 FROM fresh) AND (SELECT max(f.id) - min(f.id) + 1 <> count(*) OR min(f.id) <>
                 (SELECT coalesce(max(o.id) + 1, 1) FROM log_key o WHERE o.id < (SELECT min(f.id) FROM fresh f))
                 FROM fresh f) THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'log: log_key has no gaps';
             END IF;
             RETURN NULL;
           END $body$""",
        """CREATE TRIGGER log_key_new AFTER INSERT ON log_key REFERENCING NEW TABLE AS fresh
           FOR EACH STATEMENT EXECUTE FUNCTION log_key_follows()""",
        """CREATE TRIGGER log_key_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON log_key
           FOR EACH STATEMENT EXECUTE FUNCTION log_refuse()""",
        """CREATE OR REPLACE FUNCTION log_refuse() RETURNS trigger LANGUAGE plpgsql AS $body$
           BEGIN
             RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'log: ' || lower(TG_OP) || ' of ' || TG_TABLE_NAME || ' is refused';
           END $body$""",
        """CREATE OR REPLACE FUNCTION tree_head_follows() RETURNS trigger LANGUAGE plpgsql AS $body$
           BEGIN
             IF EXISTS (SELECT 1 FROM fresh) AND (SELECT max(f.number) - min(f.number) + 1 <> count(*) OR min(f.number) <>
                 (SELECT coalesce(max(o.number) + 1, 1) FROM tree_head o WHERE o.number < (SELECT min(f.number) FROM fresh f))
                 FROM fresh f) THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'log: tree_head has no gaps';
             END IF;
             RETURN NULL;
           END $body$""",
        """CREATE TRIGGER tree_head_new AFTER INSERT ON tree_head REFERENCING NEW TABLE AS fresh
           FOR EACH STATEMENT EXECUTE FUNCTION tree_head_follows()""",
        """CREATE TRIGGER tree_head_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON tree_head
           FOR EACH STATEMENT EXECUTE FUNCTION log_refuse()""",
    ],
}


def upgrade() -> None:
    op.create_table(
        "household_key",
        sa.Column("household_id", BIGINT, nullable=False),
        sa.Column("key_sealed", sa.String(length=200), nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("destroyed_at", MOMENT, nullable=True),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("(destroyed_at IS NULL) = (key_sealed <> '')", name=op.f("ck_household_key_destroyed")),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_household_key_household_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_household_key")),
    )
    with op.batch_alter_table("household_key", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_household_key_household_id"), ["household_id"], unique=False)
    op.create_table(
        "log_leaf",
        sa.Column("seq", BIGINT, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("ref", BIGINT, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("subtrees", sa.LargeBinary(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("commitments", sa.LargeBinary(), nullable=False),
        sa.Column("logged_at", MOMENT, nullable=False),
        sa.CheckConstraint(
            "kind IN ('entry', 'notice', 'notice_withdrawn', 'distribution', 'payout')", name=op.f("ck_log_leaf_kind")
        ),
        sa.CheckConstraint("length(hash) = 32", name=op.f("ck_log_leaf_hash")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_log_leaf")),
        sa.UniqueConstraint("kind", "ref", name=op.f("uq_log_leaf_kind_ref")),
    )
    op.create_table(
        "log_horizon",
        sa.Column("id", BIGINT, autoincrement=False, nullable=False),
        sa.Column("rolled", BIGINT, nullable=False),
        sa.Column("candidate", BIGINT, nullable=True),
        sa.Column("candidate_xact", BIGINT, nullable=True),
        sa.Column("logged", BIGINT, server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_horizon")),
    )
    op.create_table(
        "log_key",
        sa.Column("public_key", sa.String(length=64), nullable=False),
        sa.Column("seed_sealed", sa.String(length=200), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("introduced_at", MOMENT, nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_key")),
        sa.UniqueConstraint("public_key", name=op.f("uq_log_key_public_key")),
    )
    op.create_table(
        "tree_head",
        sa.Column("number", BIGINT, autoincrement=False, nullable=False),
        sa.Column("size", BIGINT, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("key_id", BIGINT, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("consistency", JSON, nullable=False),
        sa.CheckConstraint("size > 0", name=op.f("ck_tree_head_size")),
        sa.ForeignKeyConstraint(["key_id"], ["log_key.id"], name=op.f("fk_tree_head_key_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_tree_head")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_tree_head_fingerprint")),
    )
    for statement in REFUSALS[op.get_bind().dialect.name]:
        op.execute(sa.text(statement.replace(":", "\\:")))


def downgrade() -> None:
    raise NotImplementedError("a log that can be taken back is none: restore a backup instead")
