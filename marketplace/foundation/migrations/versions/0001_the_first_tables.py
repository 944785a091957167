"""the first tables"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from marketplace.foundation.database import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
MOMENT = UtcDateTime(timezone=True)


# What the database itself refuses of the ledger, as it was at this revision.
REFUSALS = {
    "sqlite": [
        """CREATE TRIGGER account_stays BEFORE UPDATE ON account
           WHEN NEW.id IS NOT OLD.id OR NEW.code IS NOT OLD.code OR NEW.kind IS NOT OLD.kind OR NEW.book IS NOT OLD.book
             OR NEW.owner_ref IS NOT OLD.owner_ref OR NEW.currency IS NOT OLD.currency
           BEGIN SELECT RAISE(ABORT, 'ledger: an account is never changed, only closed'); END""",
        """CREATE TRIGGER account_kept BEFORE DELETE ON account
           BEGIN SELECT RAISE(ABORT, 'ledger: an account is never deleted'); END""",
        """CREATE TRIGGER account_new BEFORE INSERT ON account
           WHEN EXISTS (SELECT 1 FROM account a WHERE a.id = NEW.id) OR EXISTS (SELECT 1 FROM account a WHERE a.code = NEW.code)
           BEGIN SELECT RAISE(ABORT, 'UNIQUE constraint failed: ledger: this account exists'); END""",
        """CREATE TRIGGER journal_line_belongs BEFORE INSERT ON journal_line
           BEGIN
             SELECT RAISE(ABORT, 'ledger: fen are whole') WHERE typeof(NEW.fen) <> 'integer';
             SELECT RAISE(ABORT, 'ledger: a line without its entry, or beyond its number of lines') WHERE NOT EXISTS
               (SELECT 1 FROM journal_entry e
                WHERE e.id = NEW.entry_id AND e.period = NEW.period AND NEW.line_no BETWEEN 1 AND e.n_lines);
             SELECT RAISE(ABORT, 'UNIQUE constraint failed: ledger: this line exists, lines are never changed') WHERE EXISTS
               (SELECT 1 FROM journal_line l WHERE l.period = NEW.period AND l.entry_id = NEW.entry_id AND l.line_no = NEW.line_no);
           END""",
        """CREATE TRIGGER journal_line_whole AFTER INSERT ON journal_line
           WHEN NEW.line_no = (SELECT e.n_lines FROM journal_entry e WHERE e.id = NEW.entry_id)
           BEGIN
             SELECT RAISE(ABORT, 'ledger: the entry does not balance, or has gaps') FROM journal_entry e WHERE e.id = NEW.entry_id AND
               (SELECT count(*) <> e.n_lines OR min(l.line_no) <> 1 OR sum(l.fen) <> 0 OR sum(max(l.fen, 0)) <> e.gross
                FROM journal_line l WHERE l.period = e.period AND l.entry_id = e.id);
             SELECT RAISE(ABORT, 'ledger: an account of another book or currency') FROM journal_entry e
               JOIN journal_line l ON l.period = e.period AND l.entry_id = e.id LEFT JOIN account a ON a.id = l.account_id
               WHERE e.id = NEW.entry_id AND (a.id IS NULL OR a.book <> e.book OR a.currency <> e.currency);
           END""",
        """CREATE TRIGGER journal_line_stays BEFORE UPDATE ON journal_line
           BEGIN SELECT RAISE(ABORT, 'ledger: lines are never changed'); END""",
        """CREATE TRIGGER journal_line_kept BEFORE DELETE ON journal_line
           BEGIN SELECT RAISE(ABORT, 'ledger: lines are never deleted'); END""",
        """CREATE TRIGGER journal_entry_new BEFORE INSERT ON journal_entry
           BEGIN
             SELECT RAISE(ABORT, 'UNIQUE constraint failed: ledger: this entry exists') WHERE EXISTS
               (SELECT 1 FROM journal_entry e WHERE e.id = NEW.id);
             SELECT RAISE(ABORT, 'UNIQUE constraint failed: ledger: this source has its entry') WHERE EXISTS
               (SELECT 1 FROM journal_entry e WHERE e.kind = NEW.kind AND e.source_type = NEW.source_type
                AND e.source_id = NEW.source_id AND e.source_seq = NEW.source_seq);
           END""",
        """CREATE TRIGGER journal_entry_stays BEFORE UPDATE ON journal_entry
           BEGIN SELECT RAISE(ABORT, 'ledger: entries are never changed'); END""",
        """CREATE TRIGGER journal_entry_kept BEFORE DELETE ON journal_entry
           BEGIN SELECT RAISE(ABORT, 'ledger: entries are never deleted'); END""",
    ],
    "postgresql": [
        """CREATE OR REPLACE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS $body$
           BEGIN
             RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: ' || lower(TG_OP) || ' of ' || TG_TABLE_NAME || ' is refused';
           END $body$""",
        """CREATE OR REPLACE FUNCTION ledger_account_stays() RETURNS trigger LANGUAGE plpgsql AS $body$
           BEGIN
             IF (NEW.id, NEW.code, NEW.kind, NEW.book, NEW.owner_ref, NEW.currency)
                IS DISTINCT FROM (OLD.id, OLD.code, OLD.kind, OLD.book, OLD.owner_ref, OLD.currency) THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: an account is never changed, only closed';
             END IF;
             RETURN NEW;
           END $body$""",
        """CREATE TRIGGER account_stays BEFORE UPDATE ON account FOR EACH ROW EXECUTE FUNCTION ledger_account_stays()""",
        """CREATE TRIGGER account_kept BEFORE DELETE OR TRUNCATE ON account FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse()""",
        """CREATE OR REPLACE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS $body$
           BEGIN
             RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: ' || lower(TG_OP) || ' of ' || TG_TABLE_NAME || ' is refused';
           END $body$""",
        """CREATE OR REPLACE FUNCTION ledger_whole() RETURNS trigger LANGUAGE plpgsql AS $body$
           BEGIN
             IF EXISTS (
               SELECT 1 FROM
                 (SELECT f.period, f.entry_id, count(*) AS n, min(f.line_no) AS first, max(f.line_no) AS last,
                         sum(f.fen) AS total, sum(greatest(f.fen, 0)) AS debits
                  FROM fresh f GROUP BY f.period, f.entry_id) s
                 LEFT JOIN journal_entry e ON e.id = s.entry_id AND e.period = s.period
               WHERE e.id IS NULL OR s.n <> e.n_lines OR s.first <> 1 OR s.last <> e.n_lines OR s.total <> 0 OR s.debits <> e.gross
             ) THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: the entry does not balance, has gaps, or is not whole';
             END IF;
             IF EXISTS (
               SELECT 1 FROM fresh f JOIN journal_entry e ON e.id = f.entry_id LEFT JOIN account a ON a.id = f.account_id
               WHERE a.id IS NULL OR a.book <> e.book OR a.currency <> e.currency
             ) THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: an account of another book or currency';
             END IF;
             RETURN NULL;
           END $body$""",
        """CREATE TRIGGER journal_line_whole AFTER INSERT ON journal_line REFERENCING NEW TABLE AS fresh
           FOR EACH STATEMENT EXECUTE FUNCTION ledger_whole()""",
        """CREATE TRIGGER journal_line_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON journal_line FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse()""",
        """CREATE OR REPLACE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS $body$
           BEGIN
             RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'ledger: ' || lower(TG_OP) || ' of ' || TG_TABLE_NAME || ' is refused';
           END $body$""",
        """CREATE OR REPLACE FUNCTION ledger_show_running() RETURNS trigger LANGUAGE plpgsql AS $body$
           BEGIN PERFORM pg_current_xact_id(); RETURN NULL; END $body$""",
        """CREATE TRIGGER journal_entry_running BEFORE INSERT ON journal_entry
           FOR EACH STATEMENT EXECUTE FUNCTION ledger_show_running()""",
        """CREATE TRIGGER journal_entry_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON journal_entry FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse()""",
    ],
}


def upgrade() -> None:
    op.create_table(
        "alipay_notice",
        sa.Column("notify_id", sa.String(length=128), nullable=False),
        sa.Column("out_trade_no", sa.String(length=64), nullable=False),
        sa.Column("trade_status", sa.String(length=32), nullable=False),
        sa.Column("total_fen", BIGINT, nullable=True),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("outcome", sa.String(length=40), nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alipay_notice")),
        sa.UniqueConstraint("public_id", name=op.f("uq_alipay_notice_public_id")),
    )
    with op.batch_alter_table("alipay_notice", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_alipay_notice_notify_id"), ["notify_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_alipay_notice_out_trade_no"), ["out_trade_no"], unique=False)

    op.create_table(
        "audit_event",
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("person_id", BIGINT, nullable=True),
        sa.Column("organisation_id", BIGINT, nullable=True),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("subject_type", sa.String(length=40), nullable=False),
        sa.Column("subject_id", BIGINT, nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_event")),
    )
    with op.batch_alter_table("audit_event", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_event_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_event_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index("ix_audit_event_subject", ["subject_type", "subject_id"], unique=False)

    op.create_table(
        "balance_horizon",
        sa.Column("id", BIGINT, autoincrement=False, nullable=False),
        sa.Column("rolled", BIGINT, nullable=False),
        sa.Column("candidate", BIGINT, nullable=True),
        sa.Column("candidate_xact", BIGINT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_balance_horizon")),
    )
    op.create_table(
        "category",
        sa.Column("code", sa.String(length=30), nullable=False),
        sa.Column("name_zh", sa.String(length=40), nullable=False),
        sa.Column("name_en", sa.String(length=60), nullable=True),
        sa.Column("licence_category", sa.String(length=3), nullable=False),
        sa.Column("position", BIGINT, nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_category")),
    )
    op.create_table(
        "idempotency_key",
        sa.Column("scope", sa.String(length=80), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("answer", JSON, nullable=True),
        sa.Column("claimed_at", MOMENT, nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotency_key")),
        sa.UniqueConstraint("scope", "key", name=op.f("uq_idempotency_key_scope_key")),
    )
    with op.batch_alter_table("idempotency_key", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_idempotency_key_claimed_at"), ["claimed_at"], unique=False)

    op.create_table(
        "journal_line",
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("entry_id", BIGINT, autoincrement=False, nullable=False),
        sa.Column("line_no", BIGINT, autoincrement=False, nullable=False),
        sa.Column("account_id", BIGINT, nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.CheckConstraint("fen <> 0", name=op.f("ck_journal_line_fen")),
        sa.PrimaryKeyConstraint("period", "entry_id", "line_no", name=op.f("pk_journal_line")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("journal_line", schema=None) as batch_op:
        batch_op.create_index("ix_journal_line_account", ["account_id", "entry_id"], unique=False)

    op.create_table(
        "outbox_message",
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("attempts", BIGINT, nullable=False),
        sa.Column("done_at", MOMENT, nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("id", BIGINT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_message")),
    )
    with op.batch_alter_table("outbox_message", schema=None) as batch_op:
        batch_op.create_index("ix_outbox_message_due", ["done_at", "due_at"], unique=False)
        batch_op.create_index("uq_outbox_message_kind_key", ["kind", "key"], unique=True)

    op.create_table(
        "person",
        sa.Column("login", sa.String(length=60), nullable=False),
        sa.Column("name_zh", sa.String(length=60), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("phone_sealed", sa.String(length=600), nullable=False),
        sa.Column("phone_index", sa.String(length=64), nullable=True),
        sa.Column("is_demo", sa.Boolean(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("deactivated_at", MOMENT, nullable=True),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person")),
        sa.UniqueConstraint("login", name=op.f("uq_person_login")),
        sa.UniqueConstraint("phone_index", name=op.f("uq_person_phone_index")),
        sa.UniqueConstraint("public_id", name=op.f("uq_person_public_id")),
    )
    op.create_table(
        "region",
        sa.Column("code", sa.String(length=12), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("parent_id", BIGINT, nullable=True),
        sa.Column("name_zh", sa.String(length=60), nullable=False),
        sa.Column("name_en", sa.String(length=80), nullable=True),
        sa.Column("altitude_m", BIGINT, nullable=True),
        sa.Column("gi_area", sa.Boolean(), nullable=False),
        sa.Column("is_invented", sa.Boolean(), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("kind IN ('COUNTY','TOWNSHIP','VILLAGE')", name=op.f("ck_region_kind")),
        sa.ForeignKeyConstraint(["parent_id"], ["region.id"], name=op.f("fk_region_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_region")),
        sa.UniqueConstraint("code", name=op.f("uq_region_code")),
    )
    with op.batch_alter_table("region", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_region_kind"), ["kind"], unique=False)
        batch_op.create_index(batch_op.f("ix_region_parent_id"), ["parent_id"], unique=False)

    op.create_table(
        "stored_file",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", BIGINT, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("sensitivity", sa.String(length=10), nullable=False),
        sa.Column("stored_at", MOMENT, nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stored_file")),
        sa.UniqueConstraint("public_id", name=op.f("uq_stored_file_public_id")),
    )
    with op.batch_alter_table("stored_file", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_stored_file_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_stored_file_sha256"), ["sha256"], unique=False)

    op.create_table(
        "workday_override",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("is_workday", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_workday_override")),
    )
    op.create_table(
        "organisation",
        sa.Column("code", sa.String(length=40), nullable=True),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("name_zh", sa.String(length=120), nullable=False),
        sa.Column("name_en", sa.String(length=160), nullable=True),
        sa.Column("parent_id", BIGINT, nullable=True),
        sa.Column("region_id", BIGINT, nullable=True),
        sa.Column("credit_code", sa.String(length=18), nullable=True),
        sa.Column("address", sa.String(length=200), nullable=False),
        sa.Column("phone", sa.String(length=30), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("suspended_at", MOMENT, nullable=True),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint(
            "kind IN ('OPERATOR','COOPERATIVE','UNIT','STATION','VILLAGE','PERSON')",
            name=op.f("ck_organisation_kind"),
        ),
        sa.ForeignKeyConstraint(["parent_id"], ["organisation.id"], name=op.f("fk_organisation_parent_id")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_organisation_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisation")),
        sa.UniqueConstraint("code", name=op.f("uq_organisation_code")),
        sa.UniqueConstraint("credit_code", name=op.f("uq_organisation_credit_code")),
        sa.UniqueConstraint("public_id", name=op.f("uq_organisation_public_id")),
    )
    with op.batch_alter_table("organisation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_organisation_kind"), ["kind"], unique=False)
        batch_op.create_index(batch_op.f("ix_organisation_parent_id"), ["parent_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_organisation_region_id"), ["region_id"], unique=False)

    op.create_table(
        "account",
        sa.Column("code", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("book", BIGINT, nullable=False),
        sa.Column("owner_ref", sa.String(length=40), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("closed_at", MOMENT, nullable=True),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint(
            "kind IN ('alipay', 'bank', 'receivable', 'pool_recoverable', 'unapplied', 'buyer_funds', 'accepted_unpaid', 'refunds_payable', 'household_pool', 'household', 'in_transit', 'village_collective', 'relief_fund', 'revenue', 'freight', 'interest', 'fees', 'outside')",
            name=op.f("ck_account_kind"),
        ),
        sa.ForeignKeyConstraint(["book"], ["organisation.id"], name=op.f("fk_account_book")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("code", name=op.f("uq_account_code")),
    )
    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.create_index("ix_account_book_kind", ["book", "kind"], unique=False)

    op.create_table(
        "address",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("region_id", BIGINT, nullable=True),
        sa.Column("province", sa.String(length=40), nullable=False),
        sa.Column("city", sa.String(length=60), nullable=False),
        sa.Column("street_sealed", sa.String(length=900), nullable=False),
        sa.Column("recipient_sealed", sa.String(length=600), nullable=False),
        sa.Column("phone_sealed", sa.String(length=600), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("retired_at", MOMENT, nullable=True),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_address_organisation_id")
        ),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_address_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_address")),
        sa.UniqueConstraint("public_id", name=op.f("uq_address_public_id")),
    )
    with op.batch_alter_table("address", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_address_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "approval",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("subject_type", sa.String(length=40), nullable=False),
        sa.Column("subject_id", BIGINT, nullable=False),
        sa.Column("subject_version", BIGINT, nullable=False),
        sa.Column("maker_id", BIGINT, nullable=False),
        sa.Column("checker_id", BIGINT, nullable=False),
        sa.Column("decision", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("decision IN ('APPROVED','RETURNED')", name=op.f("ck_approval_decision")),
        sa.CheckConstraint("checker_id <> maker_id", name=op.f("ck_approval_two_people")),
        sa.ForeignKeyConstraint(["checker_id"], ["person.id"], name=op.f("fk_approval_checker_id")),
        sa.ForeignKeyConstraint(["maker_id"], ["person.id"], name=op.f("fk_approval_maker_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_approval_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval")),
    )
    with op.batch_alter_table("approval", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_approval_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index("ix_approval_subject", ["subject_type", "subject_id"], unique=False)

    op.create_table(
        "bank_statement",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("file_id", BIGINT, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("imported_at", MOMENT, nullable=False),
        sa.Column("imported_by_id", BIGINT, nullable=False),
        sa.Column("rows", BIGINT, nullable=False),
        sa.Column("new_rows", BIGINT, nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_bank_statement_file_id")),
        sa.ForeignKeyConstraint(
            ["imported_by_id"], ["person.id"], name=op.f("fk_bank_statement_imported_by_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_bank_statement_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_statement")),
        sa.UniqueConstraint(
            "organisation_id", "sha256", name=op.f("uq_bank_statement_organisation_id_sha256")
        ),
        sa.UniqueConstraint("public_id", name=op.f("uq_bank_statement_public_id")),
    )
    with op.batch_alter_table("bank_statement", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_bank_statement_organisation_id"), ["organisation_id"], unique=False
        )

    op.create_table(
        "cart",
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("organisation_id", BIGINT, nullable=True),
        sa.Column("touched_at", MOMENT, nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_cart_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cart")),
        sa.UniqueConstraint("token", name=op.f("uq_cart_token")),
    )
    with op.batch_alter_table("cart", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_cart_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_cart_touched_at"), ["touched_at"], unique=False)

    op.create_table(
        "commitment",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("cooperative_id", BIGINT, nullable=True),
        sa.Column("category", sa.String(length=30), nullable=True),
        sa.Column("year", BIGINT, nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("made_by_id", BIGINT, nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint("state IN ('OPEN','FULFILLED','WITHDRAWN')", name=op.f("ck_commitment_state")),
        sa.CheckConstraint("fen > 0", name=op.f("ck_commitment_fen")),
        sa.ForeignKeyConstraint(["category"], ["category.code"], name=op.f("fk_commitment_category")),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["organisation.id"], name=op.f("fk_commitment_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["made_by_id"], ["person.id"], name=op.f("fk_commitment_made_by_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_commitment_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commitment")),
        sa.UniqueConstraint("public_id", name=op.f("uq_commitment_public_id")),
    )
    with op.batch_alter_table("commitment", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_commitment_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "cooperative",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("food_licence", sa.String(length=16), nullable=False),
        sa.Column("licence_expires_on", sa.Date(), nullable=False),
        sa.Column("licence_scope", sa.String(length=120), nullable=False),
        sa.Column("bank_name", sa.String(length=80), nullable=False),
        sa.Column("bank_account_sealed", sa.String(length=600), nullable=False),
        sa.Column("alipay_app_id", sa.String(length=32), nullable=False),
        sa.Column("alipay_seller_id", sa.String(length=32), nullable=False),
        sa.Column("story_zh", sa.Text(), nullable=False),
        sa.Column("story_en", sa.Text(), nullable=True),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_cooperative_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cooperative")),
        sa.UniqueConstraint("organisation_id", name=op.f("uq_cooperative_organisation_id")),
        sa.UniqueConstraint("public_id", name=op.f("uq_cooperative_public_id")),
    )
    op.create_table(
        "household",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("code", sa.String(length=30), nullable=False),
        sa.Column("village_id", BIGINT, nullable=False),
        sa.Column("registry_status", sa.String(length=16), nullable=False),
        sa.Column("monitoring_kind", sa.String(length=16), nullable=False),
        sa.Column("people", BIGINT, nullable=False),
        sa.Column("name_sealed", sa.String(length=600), nullable=False),
        sa.Column("id_number_sealed", sa.String(length=600), nullable=False),
        sa.Column("bank_name", sa.String(length=80), nullable=False),
        sa.Column("bank_account_sealed", sa.String(length=600), nullable=False),
        sa.Column("hardship_sealed", sa.String(length=600), nullable=False),
        sa.Column("entered_on", sa.Date(), nullable=False),
        sa.Column("exited_on", sa.Date(), nullable=True),
        sa.Column("consent_at", MOMENT, nullable=True),
        sa.Column("statement_token", sa.String(length=32), nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint(
            "monitoring_kind <> 'MARGINAL' OR registry_status = 'NOT_REGISTERED'",
            name=op.f("ck_household_marginal_only_if_not_registered"),
        ),
        sa.CheckConstraint(
            "monitoring_kind <> 'UNSTABLE' OR registry_status = 'LIFTED'",
            name=op.f("ck_household_unstable_only_if_lifted"),
        ),
        sa.CheckConstraint(
            "monitoring_kind IN ('NONE','UNSTABLE','MARGINAL','SUDDEN_HARDSHIP')",
            name=op.f("ck_household_monitoring_kind"),
        ),
        sa.CheckConstraint(
            "registry_status IN ('NOT_LIFTED','LIFTED','NOT_REGISTERED')",
            name=op.f("ck_household_registry_status"),
        ),
        sa.CheckConstraint("people > 0", name=op.f("ck_household_people")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_household_organisation_id")
        ),
        sa.ForeignKeyConstraint(["village_id"], ["region.id"], name=op.f("fk_household_village_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_household")),
        sa.UniqueConstraint("code", name=op.f("uq_household_code")),
        sa.UniqueConstraint("public_id", name=op.f("uq_household_public_id")),
        sa.UniqueConstraint("statement_token", name=op.f("uq_household_statement_token")),
    )
    with op.batch_alter_table("household", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_household_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_household_registry_status"), ["registry_status"], unique=False)
        batch_op.create_index(batch_op.f("ix_household_village_id"), ["village_id"], unique=False)

    op.create_table(
        "journal_entry",
        sa.Column("id", BIGINT, autoincrement=True, nullable=False),
        sa.Column("book", BIGINT, nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("source_type", sa.String(length=40), nullable=False),
        sa.Column("source_id", BIGINT, nullable=False),
        sa.Column("source_seq", BIGINT, nullable=False),
        sa.Column("reverses_id", BIGINT, nullable=True),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("n_lines", BIGINT, nullable=False),
        sa.Column("gross", BIGINT, nullable=False),
        sa.Column("scheme_version_id", BIGINT, nullable=True),
        sa.Column("event_at", MOMENT, nullable=False),
        sa.Column("posted_at", MOMENT, nullable=False),
        sa.CheckConstraint("period LIKE '____-__'", name=op.f("ck_journal_entry_period")),
        sa.CheckConstraint("gross > 0", name=op.f("ck_journal_entry_gross")),
        sa.CheckConstraint("n_lines >= 2", name=op.f("ck_journal_entry_n_lines")),
        sa.ForeignKeyConstraint(["book"], ["organisation.id"], name=op.f("fk_journal_entry_book")),
        sa.ForeignKeyConstraint(
            ["period", "id", "n_lines"],
            ["journal_line.period", "journal_line.entry_id", "journal_line.line_no"],
            name="fk_journal_entry_last_line",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["reverses_id"], ["journal_entry.id"], name=op.f("fk_journal_entry_reverses_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal_entry")),
        sa.UniqueConstraint(
            "kind",
            "source_type",
            "source_id",
            "source_seq",
            name=op.f("uq_journal_entry_kind_source_type_source_id_source_seq"),
        ),
    )
    with op.batch_alter_table("journal_entry", schema=None) as batch_op:
        batch_op.create_index("ix_journal_entry_book_period", ["book", "period", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_journal_entry_reverses_id"), ["reverses_id"], unique=False)
        batch_op.create_index("ix_journal_entry_source", ["source_type", "source_id"], unique=False)

    op.create_table(
        "linkage_group",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("category", sa.String(length=30), nullable=False),
        sa.Column("region_id", BIGINT, nullable=False),
        sa.Column("name_zh", sa.String(length=120), nullable=False),
        sa.Column("name_en", sa.String(length=160), nullable=True),
        sa.Column("patronage_bp", BIGINT, nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint("patronage_bp BETWEEN 6000 AND 10000", name=op.f("ck_linkage_group_patronage_bp")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_linkage_group_organisation_id")
        ),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_linkage_group_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_linkage_group")),
        sa.UniqueConstraint("code", name=op.f("uq_linkage_group_code")),
        sa.UniqueConstraint("public_id", name=op.f("uq_linkage_group_public_id")),
    )
    with op.batch_alter_table("linkage_group", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_linkage_group_organisation_id"), ["organisation_id"], unique=False
        )

    op.create_table(
        "payment",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("payable_kind", sa.String(length=20), nullable=False),
        sa.Column("payable_id", BIGINT, nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("out_trade_no", sa.String(length=64), nullable=False),
        sa.Column("merge_no", sa.String(length=64), nullable=True),
        sa.Column("amount_fen", BIGINT, nullable=False),
        sa.Column("refunded_fen", BIGINT, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("trade_no", sa.String(length=64), nullable=True),
        sa.Column("app_id", sa.String(length=32), nullable=False),
        sa.Column("seller_id", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("succeeded_at", MOMENT, nullable=True),
        sa.Column("canceled_at", MOMENT, nullable=True),
        sa.Column("ask_at", MOMENT, nullable=True),
        sa.Column("asked", BIGINT, nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint(
            "state IN ('created','requires_action','processing','succeeded','canceled','late_paid')",
            name=op.f("ck_payment_state"),
        ),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_payment_amount")),
        sa.CheckConstraint(
            "refunded_fen >= 0 AND refunded_fen <= amount_fen", name=op.f("ck_payment_refunded")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_payment_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment")),
        sa.UniqueConstraint("out_trade_no", name=op.f("uq_payment_out_trade_no")),
        sa.UniqueConstraint("public_id", name=op.f("uq_payment_public_id")),
        sa.UniqueConstraint("trade_no", name=op.f("uq_payment_trade_no")),
    )
    with op.batch_alter_table("payment", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_payment_merge_no"), ["merge_no"], unique=False)
        batch_op.create_index("ix_payment_open", ["state", "ask_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_payment_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index("ix_payment_payable", ["payable_kind", "payable_id"], unique=False)

    op.create_table(
        "payment_call",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject_id", BIGINT, nullable=False),
        sa.Column("request_no", sa.String(length=64), nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("answered_at", MOMENT, nullable=True),
        sa.Column("outcome", sa.String(length=12), nullable=True),
        sa.Column("answer", JSON, nullable=True),
        sa.Column("id", BIGINT, nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_payment_call_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_call")),
    )
    with op.batch_alter_table("payment_call", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_payment_call_organisation_id"), ["organisation_id"], unique=False
        )
        batch_op.create_index("ix_payment_call_subject", ["kind", "subject_id"], unique=False)

    op.create_table(
        "public_notice",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("subject_type", sa.String(length=40), nullable=False),
        sa.Column("subject_id", BIGINT, nullable=False),
        sa.Column("title_zh", sa.String(length=200), nullable=False),
        sa.Column("title_en", sa.String(length=200), nullable=True),
        sa.Column("body", JSON, nullable=False),
        sa.Column("published_at", MOMENT, nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("is_provisional", sa.Boolean(), nullable=False),
        sa.Column("withdrawn_at", MOMENT, nullable=True),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_public_notice_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_public_notice")),
        sa.UniqueConstraint("public_id", name=op.f("uq_public_notice_public_id")),
    )
    with op.batch_alter_table("public_notice", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_public_notice_organisation_id"), ["organisation_id"], unique=False
        )
        batch_op.create_index("ix_public_notice_subject", ["subject_type", "subject_id"], unique=False)

    op.create_table(
        "purchase",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("placed_by_id", BIGINT, nullable=False),
        sa.Column("placed_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.Column("region_id", BIGINT, nullable=True),
        sa.Column("place", sa.String(length=200), nullable=False),
        sa.Column("street_sealed", sa.String(length=900), nullable=False),
        sa.Column("recipient_sealed", sa.String(length=600), nullable=False),
        sa.Column("phone_sealed", sa.String(length=600), nullable=False),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_purchase_organisation_id")
        ),
        sa.ForeignKeyConstraint(["placed_by_id"], ["person.id"], name=op.f("fk_purchase_placed_by_id")),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_purchase_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_purchase")),
        sa.UniqueConstraint("public_id", name=op.f("uq_purchase_public_id")),
    )
    with op.batch_alter_table("purchase", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_purchase_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "role",
        sa.Column("person_id", BIGINT, nullable=False),
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("name", sa.String(length=30), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("name <> ''", name=op.f("ck_role_name")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_role_organisation_id")
        ),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_role_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role")),
        sa.UniqueConstraint(
            "person_id", "organisation_id", "name", name=op.f("uq_role_person_id_organisation_id_name")
        ),
    )
    with op.batch_alter_table("role", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_role_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_role_person_id"), ["person_id"], unique=False)

    op.create_table(
        "service_station",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("region_id", BIGINT, nullable=False),
        sa.Column("keeper_name", sa.String(length=40), nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_service_station_organisation_id")
        ),
        sa.ForeignKeyConstraint(["region_id"], ["region.id"], name=op.f("fk_service_station_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_station")),
        sa.UniqueConstraint("organisation_id", name=op.f("uq_service_station_organisation_id")),
        sa.UniqueConstraint("public_id", name=op.f("uq_service_station_public_id")),
    )
    op.create_table(
        "split_scheme",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("category", sa.String(length=30), nullable=False),
        sa.Column("version_no", BIGINT, nullable=False),
        sa.Column("cooperative_bp", BIGINT, nullable=False),
        sa.Column("household_pool_bp", BIGINT, nullable=False),
        sa.Column("village_collective_bp", BIGINT, nullable=False),
        sa.Column("relief_fund_bp", BIGINT, nullable=False),
        sa.Column("effective_from", sa.Date(), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint(
            "cooperative_bp + household_pool_bp + village_collective_bp + relief_fund_bp = 10000",
            name=op.f("ck_split_scheme_whole"),
        ),
        sa.CheckConstraint(
            "cooperative_bp >= 0 AND household_pool_bp > 0 AND village_collective_bp >= 0 AND relief_fund_bp >= 0",
            name=op.f("ck_split_scheme_positive"),
        ),
        sa.ForeignKeyConstraint(["category"], ["category.code"], name=op.f("fk_split_scheme_category")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_split_scheme_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_split_scheme")),
        sa.UniqueConstraint(
            "organisation_id",
            "category",
            "version_no",
            name=op.f("uq_split_scheme_organisation_id_category_version_no"),
        ),
    )
    with op.batch_alter_table("split_scheme", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_split_scheme_organisation_id"), ["organisation_id"], unique=False
        )

    op.create_table(
        "target",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("year", BIGINT, nullable=False),
        sa.Column("canteen", sa.String(length=12), nullable=False),
        sa.Column("base_fen", BIGINT, nullable=False),
        sa.Column("percent_bp", BIGINT, nullable=False),
        sa.Column("reserved_fen", BIGINT, nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint("canteen IN ('OWN','SHARED','OUTSOURCED','NONE')", name=op.f("ck_target_canteen")),
        sa.CheckConstraint("state IN ('DRAFT','FILED','REVIEWED','LOCKED')", name=op.f("ck_target_state")),
        sa.CheckConstraint("base_fen >= 0 AND reserved_fen >= 0", name=op.f("ck_target_positive")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_target_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_target")),
        sa.UniqueConstraint("organisation_id", "year", name=op.f("uq_target_organisation_id_year")),
        sa.UniqueConstraint("public_id", name=op.f("uq_target_public_id")),
    )
    with op.batch_alter_table("target", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_target_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "balance",
        sa.Column("account_id", BIGINT, autoincrement=False, nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("upto", BIGINT, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_balance_account_id")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_balance")),
    )
    op.create_table(
        "bank_receipt",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("statement_id", BIGINT, nullable=False),
        sa.Column("serial", sa.String(length=80), nullable=False),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("matched_fen", BIGINT, nullable=False),
        sa.Column("payer_name", sa.String(length=120), nullable=False),
        sa.Column("payer_account_sealed", sa.String(length=600), nullable=False),
        sa.Column("remark", sa.String(length=300), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint(
            "state IN ('imported','partial','matched','over','unmatched','returned','unrelated')",
            name=op.f("ck_bank_receipt_state"),
        ),
        sa.CheckConstraint(
            "fen > 0 AND matched_fen >= 0 AND matched_fen <= fen", name=op.f("ck_bank_receipt_fen")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_bank_receipt_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            ["statement_id"], ["bank_statement.id"], name=op.f("fk_bank_receipt_statement_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_receipt")),
        sa.UniqueConstraint("organisation_id", "serial", name=op.f("uq_bank_receipt_organisation_id_serial")),
        sa.UniqueConstraint("public_id", name=op.f("uq_bank_receipt_public_id")),
    )
    with op.batch_alter_table("bank_receipt", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_bank_receipt_organisation_id"), ["organisation_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_bank_receipt_statement_id"), ["statement_id"], unique=False)

    op.create_table(
        "batch",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("category", sa.String(length=30), nullable=False),
        sa.Column("linkage_group_id", BIGINT, nullable=False),
        sa.Column("village_id", BIGINT, nullable=False),
        sa.Column("harvested_on", sa.Date(), nullable=False),
        sa.Column("altitude_m", BIGINT, nullable=True),
        sa.Column("area_mu", BIGINT, nullable=True),
        sa.Column("grams_harvested", BIGINT, nullable=False),
        sa.Column("grams_packed", BIGINT, nullable=False),
        sa.Column("grams_sold", BIGINT, nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint("grams_packed <= grams_harvested", name=op.f("ck_batch_packed")),
        sa.CheckConstraint(
            "grams_sold >= 0 AND grams_sold <= grams_packed", name=op.f("ck_batch_mass_balance")
        ),
        sa.ForeignKeyConstraint(["category"], ["category.code"], name=op.f("fk_batch_category")),
        sa.ForeignKeyConstraint(
            ["linkage_group_id"], ["linkage_group.id"], name=op.f("fk_batch_linkage_group_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_batch_organisation_id")
        ),
        sa.ForeignKeyConstraint(["village_id"], ["region.id"], name=op.f("fk_batch_village_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch")),
        sa.UniqueConstraint("code", name=op.f("uq_batch_code")),
        sa.UniqueConstraint("public_id", name=op.f("uq_batch_public_id")),
    )
    with op.batch_alter_table("batch", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_batch_linkage_group_id"), ["linkage_group_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_batch_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "distribution",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("number", BIGINT, nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("total_fen", BIGINT, nullable=False),
        sa.Column("drafted_at", MOMENT, nullable=False),
        sa.Column("drafted_by_id", BIGINT, nullable=False),
        sa.Column("approved_at", MOMENT, nullable=True),
        sa.Column("approved_by_id", BIGINT, nullable=True),
        sa.Column("published_at", MOMENT, nullable=True),
        sa.Column("notice_id", BIGINT, nullable=True),
        sa.Column("posted_at", MOMENT, nullable=True),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint(
            "state IN ('DRAFTED','APPROVED','PUBLISHED','POSTED','WITHDRAWN')",
            name=op.f("ck_distribution_state"),
        ),
        sa.ForeignKeyConstraint(
            ["approved_by_id"], ["person.id"], name=op.f("fk_distribution_approved_by_id")
        ),
        sa.ForeignKeyConstraint(["drafted_by_id"], ["person.id"], name=op.f("fk_distribution_drafted_by_id")),
        sa.ForeignKeyConstraint(["notice_id"], ["public_notice.id"], name=op.f("fk_distribution_notice_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_distribution_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_distribution")),
        sa.UniqueConstraint(
            "organisation_id", "period", "number", name=op.f("uq_distribution_organisation_id_period_number")
        ),
        sa.UniqueConstraint("public_id", name=op.f("uq_distribution_public_id")),
    )
    with op.batch_alter_table("distribution", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_distribution_organisation_id"), ["organisation_id"], unique=False
        )

    op.create_table(
        "linkage_share",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("group_id", BIGINT, nullable=False),
        sa.Column("household_id", BIGINT, nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("shares", BIGINT, nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("basis_zh", sa.String(length=200), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint(
            "kind IN ('EQUITY','SUPPLY','WAGE','LEASE','RELIEF')", name=op.f("ck_linkage_share_kind")
        ),
        sa.CheckConstraint("ends_on IS NULL OR ends_on >= starts_on", name=op.f("ck_linkage_share_dates")),
        sa.CheckConstraint("shares >= 0", name=op.f("ck_linkage_share_shares")),
        sa.ForeignKeyConstraint(["group_id"], ["linkage_group.id"], name=op.f("fk_linkage_share_group_id")),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_linkage_share_household_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_linkage_share_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_linkage_share")),
    )
    with op.batch_alter_table("linkage_share", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_linkage_share_group_id"), ["group_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_linkage_share_household_id"), ["household_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_linkage_share_organisation_id"), ["organisation_id"], unique=False
        )

    op.create_table(
        "objection",
        sa.Column("notice_id", BIGINT, nullable=False),
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("name_sealed", sa.String(length=600), nullable=False),
        sa.Column("contact_sealed", sa.String(length=600), nullable=False),
        sa.Column("raised_at", MOMENT, nullable=False),
        sa.Column("raised_by_id", BIGINT, nullable=True),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("answered_at", MOMENT, nullable=True),
        sa.Column("answered_by_id", BIGINT, nullable=True),
        sa.Column("outcome", sa.String(length=10), nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("(answered_at IS NULL) = (answer = '')", name=op.f("ck_objection_answered")),
        sa.CheckConstraint("outcome IN ('OPEN','UPHELD','REJECTED')", name=op.f("ck_objection_outcome")),
        sa.ForeignKeyConstraint(["answered_by_id"], ["person.id"], name=op.f("fk_objection_answered_by_id")),
        sa.ForeignKeyConstraint(["notice_id"], ["public_notice.id"], name=op.f("fk_objection_notice_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_objection_organisation_id")
        ),
        sa.ForeignKeyConstraint(["raised_by_id"], ["person.id"], name=op.f("fk_objection_raised_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_objection")),
        sa.UniqueConstraint("public_id", name=op.f("uq_objection_public_id")),
    )
    with op.batch_alter_table("objection", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_objection_notice_id"), ["notice_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_objection_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "order",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("purchase_id", BIGINT, nullable=False),
        sa.Column("buyer_id", BIGINT, nullable=False),
        sa.Column("placed_by_id", BIGINT, nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("fulfilment", sa.String(length=16), nullable=False),
        sa.Column("payment", sa.String(length=12), nullable=False),
        sa.Column("goods_fen", BIGINT, nullable=False),
        sa.Column("freight_fen", BIGINT, nullable=False),
        sa.Column("total_fen", BIGINT, nullable=False),
        sa.Column("paid_fen", BIGINT, nullable=False),
        sa.Column("refunded_fen", BIGINT, nullable=False),
        sa.Column("accepted_fen", BIGINT, nullable=False),
        sa.Column("placed_at", MOMENT, nullable=False),
        sa.Column("placed_on", sa.Date(), nullable=False),
        sa.Column("paid_at", MOMENT, nullable=True),
        sa.Column("shipped_at", MOMENT, nullable=True),
        sa.Column("received_at", MOMENT, nullable=True),
        sa.Column("return_until", MOMENT, nullable=True),
        sa.Column("settled_at", MOMENT, nullable=True),
        sa.Column("cancelled_at", MOMENT, nullable=True),
        sa.Column("cancel_reason", sa.String(length=40), nullable=False),
        sa.Column("receipt_token", sa.String(length=32), nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint(
            "fulfilment IN ('WAITING','READY','PARTLY_SHIPPED','SHIPPED','RECEIVED','CANCELLED')",
            name=op.f("ck_order_fulfilment"),
        ),
        sa.CheckConstraint("kind IN ('PUBLIC','DIRECTED')", name=op.f("ck_order_kind")),
        sa.CheckConstraint(
            "payment IN ('UNPAID','PARTLY_PAID','PAID','REFUNDED')", name=op.f("ck_order_payment")
        ),
        sa.CheckConstraint("refunded_fen >= 0 AND refunded_fen <= paid_fen", name=op.f("ck_order_refunded")),
        sa.CheckConstraint(
            "total_fen = goods_fen + freight_fen AND goods_fen >= 0 AND freight_fen >= 0",
            name=op.f("ck_order_total"),
        ),
        sa.ForeignKeyConstraint(["buyer_id"], ["organisation.id"], name=op.f("fk_order_buyer_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_order_organisation_id")
        ),
        sa.ForeignKeyConstraint(["placed_by_id"], ["person.id"], name=op.f("fk_order_placed_by_id")),
        sa.ForeignKeyConstraint(["purchase_id"], ["purchase.id"], name=op.f("fk_order_purchase_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order")),
        sa.UniqueConstraint("public_id", name=op.f("uq_order_public_id")),
        sa.UniqueConstraint("receipt_token", name=op.f("uq_order_receipt_token")),
    )
    with op.batch_alter_table("order", schema=None) as batch_op:
        batch_op.create_index("ix_order_buyer", ["buyer_id", "id"], unique=False)
        batch_op.create_index("ix_order_due", ["settled_at", "return_until"], unique=False)
        batch_op.create_index(batch_op.f("ix_order_purchase_id"), ["purchase_id"], unique=False)
        batch_op.create_index("ix_order_seller", ["organisation_id", "fulfilment", "id"], unique=False)

    op.create_table(
        "product",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("slug", sa.String(length=80), nullable=False),
        sa.Column("category", sa.String(length=30), nullable=False),
        sa.Column("linkage_group_id", BIGINT, nullable=False),
        sa.Column("origin_id", BIGINT, nullable=False),
        sa.Column("township_id", BIGINT, nullable=False),
        sa.Column("name_zh", sa.String(length=120), nullable=False),
        sa.Column("name_en", sa.String(length=160), nullable=True),
        sa.Column("summary_zh", sa.String(length=300), nullable=False),
        sa.Column("summary_en", sa.String(length=400), nullable=True),
        sa.Column("story_zh", sa.Text(), nullable=False),
        sa.Column("story_en", sa.Text(), nullable=True),
        sa.Column("storage_zh", sa.String(length=200), nullable=False),
        sa.Column("storage_en", sa.String(length=300), nullable=True),
        sa.Column("gi_mark", sa.Boolean(), nullable=False),
        sa.Column("standard_code", sa.String(length=60), nullable=False),
        sa.Column("shelf_life_months", BIGINT, nullable=False),
        sa.Column("picture", sa.String(length=80), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("submitted_by_id", BIGINT, nullable=True),
        sa.Column("submitted_at", MOMENT, nullable=True),
        sa.Column("listed_at", MOMENT, nullable=True),
        sa.Column("from_price_fen", BIGINT, nullable=True),
        sa.Column("sold_count", BIGINT, nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint(
            "state IN ('DRAFT','SUBMITTED','RETURNED','ON_SALE','SUSPENDED','WITHDRAWN')",
            name=op.f("ck_product_state"),
        ),
        sa.ForeignKeyConstraint(["category"], ["category.code"], name=op.f("fk_product_category")),
        sa.ForeignKeyConstraint(
            ["linkage_group_id"], ["linkage_group.id"], name=op.f("fk_product_linkage_group_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_product_organisation_id")
        ),
        sa.ForeignKeyConstraint(["origin_id"], ["region.id"], name=op.f("fk_product_origin_id")),
        sa.ForeignKeyConstraint(["submitted_by_id"], ["person.id"], name=op.f("fk_product_submitted_by_id")),
        sa.ForeignKeyConstraint(["township_id"], ["region.id"], name=op.f("fk_product_township_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product")),
        sa.UniqueConstraint("code", name=op.f("uq_product_code")),
        sa.UniqueConstraint("public_id", name=op.f("uq_product_public_id")),
        sa.UniqueConstraint("slug", name=op.f("uq_product_slug")),
    )
    with op.batch_alter_table("product", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_product_category"), ["category"], unique=False)
        batch_op.create_index(batch_op.f("ix_product_linkage_group_id"), ["linkage_group_id"], unique=False)
        batch_op.create_index("ix_product_listed", ["state", "category", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_product_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_product_origin_id"), ["origin_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_product_township_id"), ["township_id"], unique=False)

    op.create_table(
        "acceptance",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("order_id", BIGINT, nullable=False),
        sa.Column("accepted_fen", BIGINT, nullable=False),
        sa.Column("short_fen", BIGINT, nullable=False),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.Column("accepted_at", MOMENT, nullable=False),
        sa.Column("accepted_by_id", BIGINT, nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.ForeignKeyConstraint(["accepted_by_id"], ["person.id"], name=op.f("fk_acceptance_accepted_by_id")),
        sa.ForeignKeyConstraint(["order_id"], ["order.id"], name=op.f("fk_acceptance_order_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_acceptance_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acceptance")),
        sa.UniqueConstraint("order_id", name=op.f("uq_acceptance_order_id")),
        sa.UniqueConstraint("public_id", name=op.f("uq_acceptance_public_id")),
    )
    with op.batch_alter_table("acceptance", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_acceptance_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "bank_match",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("receipt_id", BIGINT, nullable=False),
        sa.Column("payable_kind", sa.String(length=20), nullable=False),
        sa.Column("payable_id", BIGINT, nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("confirmed_at", MOMENT, nullable=False),
        sa.Column("confirmed_by_id", BIGINT, nullable=False),
        sa.Column("proposal", sa.String(length=200), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("fen > 0", name=op.f("ck_bank_match_fen")),
        sa.ForeignKeyConstraint(
            ["confirmed_by_id"], ["person.id"], name=op.f("fk_bank_match_confirmed_by_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_bank_match_organisation_id")
        ),
        sa.ForeignKeyConstraint(["receipt_id"], ["bank_receipt.id"], name=op.f("fk_bank_match_receipt_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_match")),
    )
    with op.batch_alter_table("bank_match", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_bank_match_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_bank_match_payable_id"), ["payable_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_bank_match_receipt_id"), ["receipt_id"], unique=False)

    op.create_table(
        "delivery",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("batch_id", BIGINT, nullable=False),
        sa.Column("household_id", BIGINT, nullable=False),
        sa.Column("grams", BIGINT, nullable=False),
        sa.Column("delivered_on", sa.Date(), nullable=False),
        sa.Column("floor_price_fen_per_kg", BIGINT, nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("grams > 0", name=op.f("ck_delivery_grams")),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_delivery_batch_id")),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_delivery_household_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_delivery_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
    )
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_delivery_batch_id"), ["batch_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_delivery_household_id"), ["household_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_delivery_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "directed_order",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("cooperative_id", BIGINT, nullable=False),
        sa.Column("order_id", BIGINT, nullable=False),
        sa.Column("commitment_id", BIGINT, nullable=True),
        sa.Column("approval", sa.String(length=12), nullable=False),
        sa.Column("terms", sa.String(length=8), nullable=False),
        sa.Column("programme", sa.String(length=8), nullable=False),
        sa.Column("is_trade_union", sa.Boolean(), nullable=False),
        sa.Column("reference", sa.String(length=20), nullable=False),
        sa.Column("return_days", BIGINT, nullable=False),
        sa.Column("submitted_at", MOMENT, nullable=False),
        sa.Column("approved_at", MOMENT, nullable=True),
        sa.Column("approved_by_id", BIGINT, nullable=True),
        sa.Column("decided_reason", sa.String(length=300), nullable=False),
        sa.Column("confirmed_at", MOMENT, nullable=True),
        sa.Column("confirmed_by_id", BIGINT, nullable=True),
        sa.Column("ship_by", sa.Date(), nullable=True),
        sa.Column("pay_by", sa.Date(), nullable=True),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint(
            "approval IN ('SUBMITTED','APPROVED','RETURNED','CONFIRMED','DECLINED','CANCELLED')",
            name=op.f("ck_directed_order_approval"),
        ),
        sa.CheckConstraint("terms IN ('PREPAY','POSTPAY')", name=op.f("ck_directed_order_terms")),
        sa.ForeignKeyConstraint(
            ["approved_by_id"], ["person.id"], name=op.f("fk_directed_order_approved_by_id")
        ),
        sa.ForeignKeyConstraint(
            ["commitment_id"], ["commitment.id"], name=op.f("fk_directed_order_commitment_id")
        ),
        sa.ForeignKeyConstraint(
            ["confirmed_by_id"], ["person.id"], name=op.f("fk_directed_order_confirmed_by_id")
        ),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["organisation.id"], name=op.f("fk_directed_order_cooperative_id")
        ),
        sa.ForeignKeyConstraint(["order_id"], ["order.id"], name=op.f("fk_directed_order_order_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_directed_order_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_directed_order")),
        sa.UniqueConstraint("order_id", name=op.f("uq_directed_order_order_id")),
        sa.UniqueConstraint("public_id", name=op.f("uq_directed_order_public_id")),
        sa.UniqueConstraint("reference", name=op.f("uq_directed_order_reference")),
    )
    with op.batch_alter_table("directed_order", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_directed_order_commitment_id"), ["commitment_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_directed_order_cooperative_id"), ["cooperative_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_directed_order_organisation_id"), ["organisation_id"], unique=False
        )

    op.create_table(
        "distribution_group",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("distribution_id", BIGINT, nullable=False),
        sa.Column("linkage_group_id", BIGINT, nullable=False),
        sa.Column("pool_fen", BIGINT, nullable=False),
        sa.Column("recovered_fen", BIGINT, nullable=False),
        sa.Column("patronage_fen", BIGINT, nullable=False),
        sa.Column("equity_fen", BIGINT, nullable=False),
        sa.Column("basis", sa.String(length=16), nullable=False),
        sa.Column("households", BIGINT, nullable=False),
        sa.Column("entry_id", BIGINT, nullable=True),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint(
            "basis IN ('BATCHES','TWELVE_MONTHS','EQUITY_ONLY')", name=op.f("ck_distribution_group_basis")
        ),
        sa.CheckConstraint(
            "patronage_fen + equity_fen = pool_fen - recovered_fen", name=op.f("ck_distribution_group_whole")
        ),
        sa.ForeignKeyConstraint(
            ["distribution_id"], ["distribution.id"], name=op.f("fk_distribution_group_distribution_id")
        ),
        sa.ForeignKeyConstraint(
            ["linkage_group_id"], ["linkage_group.id"], name=op.f("fk_distribution_group_linkage_group_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_distribution_group_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_distribution_group")),
        sa.UniqueConstraint(
            "distribution_id",
            "linkage_group_id",
            name=op.f("uq_distribution_group_distribution_id_linkage_group_id"),
        ),
    )
    with op.batch_alter_table("distribution_group", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_distribution_group_distribution_id"), ["distribution_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_distribution_group_linkage_group_id"), ["linkage_group_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_distribution_group_organisation_id"), ["organisation_id"], unique=False
        )

    op.create_table(
        "distribution_share",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("distribution_id", BIGINT, nullable=False),
        sa.Column("linkage_group_id", BIGINT, nullable=False),
        sa.Column("household_id", BIGINT, nullable=False),
        sa.Column("grams", BIGINT, nullable=False),
        sa.Column("total_grams", BIGINT, nullable=False),
        sa.Column("patronage_fen", BIGINT, nullable=False),
        sa.Column("share_days", BIGINT, nullable=False),
        sa.Column("total_share_days", BIGINT, nullable=False),
        sa.Column("equity_fen", BIGINT, nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint(
            "fen = patronage_fen + equity_fen AND fen >= 0", name=op.f("ck_distribution_share_fen")
        ),
        sa.ForeignKeyConstraint(
            ["distribution_id"], ["distribution.id"], name=op.f("fk_distribution_share_distribution_id")
        ),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_distribution_share_household_id")
        ),
        sa.ForeignKeyConstraint(
            ["linkage_group_id"], ["linkage_group.id"], name=op.f("fk_distribution_share_linkage_group_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_distribution_share_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_distribution_share")),
        sa.UniqueConstraint(
            "distribution_id",
            "linkage_group_id",
            "household_id",
            name=op.f("uq_distribution_share_distribution_id_linkage_group_id_household_id"),
        ),
    )
    with op.batch_alter_table("distribution_share", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_distribution_share_distribution_id"), ["distribution_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_distribution_share_household_id"), ["household_id"], unique=False
        )

    op.create_table(
        "pack",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("product_id", BIGINT, nullable=False),
        sa.Column("sku", sa.String(length=40), nullable=False),
        sa.Column("name_zh", sa.String(length=80), nullable=False),
        sa.Column("name_en", sa.String(length=120), nullable=True),
        sa.Column("net_grams", BIGINT, nullable=False),
        sa.Column("net_ml", BIGINT, nullable=True),
        sa.Column("pieces", BIGINT, nullable=True),
        sa.Column("price_fen", BIGINT, nullable=False),
        sa.Column("position", BIGINT, nullable=False),
        sa.Column("withdrawn_at", MOMENT, nullable=True),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint("net_grams > 0", name=op.f("ck_pack_net_grams")),
        sa.CheckConstraint("price_fen > 0 AND price_fen < 100000000", name=op.f("ck_pack_price")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_pack_organisation_id")
        ),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_pack_product_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pack")),
        sa.UniqueConstraint("public_id", name=op.f("uq_pack_public_id")),
        sa.UniqueConstraint("sku", name=op.f("uq_pack_sku")),
    )
    with op.batch_alter_table("pack", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_pack_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_pack_product_id"), ["product_id"], unique=False)

    op.create_table(
        "payout_batch",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("distribution_id", BIGINT, nullable=False),
        sa.Column("number", sa.String(length=30), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("total_fen", BIGINT, nullable=False),
        sa.Column("items", BIGINT, nullable=False),
        sa.Column("file_id", BIGINT, nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("made_by_id", BIGINT, nullable=False),
        sa.Column("approved_at", MOMENT, nullable=True),
        sa.Column("approved_by_id", BIGINT, nullable=True),
        sa.Column("sent_at", MOMENT, nullable=True),
        sa.Column("done_at", MOMENT, nullable=True),
        sa.Column("reissue_of_id", BIGINT, nullable=True),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint(
            "state IN ('DRAFT','APPROVED','SENT','DONE','CANCELLED')", name=op.f("ck_payout_batch_state")
        ),
        sa.CheckConstraint(
            "approved_by_id IS NULL OR approved_by_id <> made_by_id", name=op.f("ck_payout_batch_two_people")
        ),
        sa.ForeignKeyConstraint(
            ["approved_by_id"], ["person.id"], name=op.f("fk_payout_batch_approved_by_id")
        ),
        sa.ForeignKeyConstraint(
            ["distribution_id"], ["distribution.id"], name=op.f("fk_payout_batch_distribution_id")
        ),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_payout_batch_file_id")),
        sa.ForeignKeyConstraint(["made_by_id"], ["person.id"], name=op.f("fk_payout_batch_made_by_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_payout_batch_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            ["reissue_of_id"], ["payout_batch.id"], name=op.f("fk_payout_batch_reissue_of_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payout_batch")),
        sa.UniqueConstraint("number", name=op.f("uq_payout_batch_number")),
        sa.UniqueConstraint("public_id", name=op.f("uq_payout_batch_public_id")),
    )
    with op.batch_alter_table("payout_batch", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_payout_batch_distribution_id"), ["distribution_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_payout_batch_organisation_id"), ["organisation_id"], unique=False
        )

    op.create_table(
        "refund",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("payment_id", BIGINT, nullable=False),
        sa.Column("order_id", BIGINT, nullable=True),
        sa.Column("out_request_no", sa.String(length=64), nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("reason", sa.String(length=120), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("approved_at", MOMENT, nullable=False),
        sa.Column("approved_by_id", BIGINT, nullable=True),
        sa.Column("succeeded_at", MOMENT, nullable=True),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint(
            "state IN ('requested','approved','submitting','unknown','succeeded','failed')",
            name=op.f("ck_refund_state"),
        ),
        sa.CheckConstraint("fen > 0", name=op.f("ck_refund_fen")),
        sa.ForeignKeyConstraint(["approved_by_id"], ["person.id"], name=op.f("fk_refund_approved_by_id")),
        sa.ForeignKeyConstraint(["order_id"], ["order.id"], name=op.f("fk_refund_order_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_refund_organisation_id")
        ),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_refund_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund")),
        sa.UniqueConstraint("out_request_no", name=op.f("uq_refund_out_request_no")),
        sa.UniqueConstraint("public_id", name=op.f("uq_refund_public_id")),
    )
    with op.batch_alter_table("refund", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_refund_order_id"), ["order_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_refund_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_refund_payment_id"), ["payment_id"], unique=False)

    op.create_table(
        "return_request",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("buyer_id", BIGINT, nullable=False),
        sa.Column("order_id", BIGINT, nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("raised_at", MOMENT, nullable=False),
        sa.Column("raised_by_id", BIGINT, nullable=False),
        sa.Column("answered_at", MOMENT, nullable=True),
        sa.Column("answered_by_id", BIGINT, nullable=True),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("refund_id", BIGINT, nullable=True),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint(
            "state IN ('OPEN','APPROVED','REFUSED','WITHDRAWN')", name=op.f("ck_return_request_state")
        ),
        sa.CheckConstraint("fen > 0", name=op.f("ck_return_request_fen")),
        sa.ForeignKeyConstraint(
            ["answered_by_id"], ["person.id"], name=op.f("fk_return_request_answered_by_id")
        ),
        sa.ForeignKeyConstraint(["buyer_id"], ["organisation.id"], name=op.f("fk_return_request_buyer_id")),
        sa.ForeignKeyConstraint(["order_id"], ["order.id"], name=op.f("fk_return_request_order_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_return_request_organisation_id")
        ),
        sa.ForeignKeyConstraint(["raised_by_id"], ["person.id"], name=op.f("fk_return_request_raised_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_return_request")),
        sa.UniqueConstraint("public_id", name=op.f("uq_return_request_public_id")),
    )
    with op.batch_alter_table("return_request", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_return_request_buyer_id"), ["buyer_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_return_request_order_id"), ["order_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_return_request_organisation_id"), ["organisation_id"], unique=False
        )

    op.create_table(
        "settlement",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("order_id", BIGINT, nullable=False),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("base_fen", BIGINT, nullable=False),
        sa.Column("freight_fen", BIGINT, nullable=False),
        sa.Column("cooperative_fen", BIGINT, nullable=False),
        sa.Column("pool_fen", BIGINT, nullable=False),
        sa.Column("village_fen", BIGINT, nullable=False),
        sa.Column("fund_fen", BIGINT, nullable=False),
        sa.Column("entry_id", BIGINT, nullable=True),
        sa.Column("settled_at", MOMENT, nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["order.id"], name=op.f("fk_settlement_order_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_settlement_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_settlement")),
        sa.UniqueConstraint("order_id", name=op.f("uq_settlement_order_id")),
        sa.UniqueConstraint("public_id", name=op.f("uq_settlement_public_id")),
    )
    with op.batch_alter_table("settlement", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_settlement_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_settlement_period"), ["period"], unique=False)

    op.create_table(
        "shipment",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("order_id", BIGINT, nullable=False),
        sa.Column("carrier", sa.String(length=40), nullable=False),
        sa.Column("tracking_number", sa.String(length=60), nullable=False),
        sa.Column("shipped_at", MOMENT, nullable=False),
        sa.Column("shipped_by_id", BIGINT, nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["order.id"], name=op.f("fk_shipment_order_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_shipment_organisation_id")
        ),
        sa.ForeignKeyConstraint(["shipped_by_id"], ["person.id"], name=op.f("fk_shipment_shipped_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shipment")),
        sa.UniqueConstraint("public_id", name=op.f("uq_shipment_public_id")),
    )
    with op.batch_alter_table("shipment", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_shipment_order_id"), ["order_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_shipment_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "cart_line",
        sa.Column("cart_id", BIGINT, nullable=False),
        sa.Column("pack_id", BIGINT, nullable=False),
        sa.Column("quantity", BIGINT, nullable=False),
        sa.Column("added_at", MOMENT, nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("quantity BETWEEN 1 AND 9999", name=op.f("ck_cart_line_quantity")),
        sa.ForeignKeyConstraint(
            ["cart_id"], ["cart.id"], name=op.f("fk_cart_line_cart_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["pack_id"], ["pack.id"], name=op.f("fk_cart_line_pack_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cart_line")),
        sa.UniqueConstraint("cart_id", "pack_id", name=op.f("uq_cart_line_cart_id_pack_id")),
    )
    with op.batch_alter_table("cart_line", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_cart_line_cart_id"), ["cart_id"], unique=False)

    op.create_table(
        "order_line",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("order_id", BIGINT, nullable=False),
        sa.Column("product_id", BIGINT, nullable=False),
        sa.Column("pack_id", BIGINT, nullable=False),
        sa.Column("linkage_group_id", BIGINT, nullable=False),
        sa.Column("scheme_id", BIGINT, nullable=False),
        sa.Column("village_id", BIGINT, nullable=False),
        sa.Column("households_shown", BIGINT, nullable=False),
        sa.Column("name_zh", sa.String(length=240), nullable=False),
        sa.Column("name_en", sa.String(length=300), nullable=True),
        sa.Column("quantity", BIGINT, nullable=False),
        sa.Column("price_fen", BIGINT, nullable=False),
        sa.Column("list_price_fen", BIGINT, nullable=False),
        sa.Column("discount_fen", BIGINT, nullable=False),
        sa.Column("goods_fen", BIGINT, nullable=False),
        sa.Column("net_grams", BIGINT, nullable=False),
        sa.Column("shipped", BIGINT, nullable=False),
        sa.Column("accepted", BIGINT, nullable=True),
        sa.Column("refunded_fen", BIGINT, nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint(
            "goods_fen = quantity * price_fen - discount_fen AND goods_fen >= 0",
            name=op.f("ck_order_line_goods"),
        ),
        sa.CheckConstraint(
            "quantity > 0 AND shipped >= 0 AND shipped <= quantity", name=op.f("ck_order_line_quantity")
        ),
        sa.CheckConstraint(
            "refunded_fen >= 0 AND refunded_fen <= goods_fen", name=op.f("ck_order_line_refunded")
        ),
        sa.ForeignKeyConstraint(
            ["linkage_group_id"], ["linkage_group.id"], name=op.f("fk_order_line_linkage_group_id")
        ),
        sa.ForeignKeyConstraint(["order_id"], ["order.id"], name=op.f("fk_order_line_order_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_order_line_organisation_id")
        ),
        sa.ForeignKeyConstraint(["pack_id"], ["pack.id"], name=op.f("fk_order_line_pack_id")),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_order_line_product_id")),
        sa.ForeignKeyConstraint(["scheme_id"], ["split_scheme.id"], name=op.f("fk_order_line_scheme_id")),
        sa.ForeignKeyConstraint(["village_id"], ["region.id"], name=op.f("fk_order_line_village_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_line")),
    )
    with op.batch_alter_table("order_line", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_order_line_order_id"), ["order_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_order_line_pack_id"), ["pack_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_order_line_product_id"), ["product_id"], unique=False)

    op.create_table(
        "payout_item",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("batch_id", BIGINT, nullable=False),
        sa.Column("sequence", BIGINT, nullable=False),
        sa.Column("household_id", BIGINT, nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("bank_name", sa.String(length=80), nullable=False),
        sa.Column("bank_account_sealed", sa.String(length=600), nullable=False),
        sa.Column("account_last4", sa.String(length=4), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(length=120), nullable=False),
        sa.Column("paid_at", MOMENT, nullable=True),
        sa.Column("reissue_of_id", BIGINT, nullable=True),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint(
            "state IN ('draft','approved','sent','unknown','paid','returned','reissued')",
            name=op.f("ck_payout_item_state"),
        ),
        sa.CheckConstraint("fen > 0", name=op.f("ck_payout_item_fen")),
        sa.ForeignKeyConstraint(["batch_id"], ["payout_batch.id"], name=op.f("fk_payout_item_batch_id")),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_payout_item_household_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_payout_item_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            ["reissue_of_id"], ["payout_item.id"], name=op.f("fk_payout_item_reissue_of_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payout_item")),
        sa.UniqueConstraint("batch_id", "sequence", name=op.f("uq_payout_item_batch_id_sequence")),
        sa.UniqueConstraint("public_id", name=op.f("uq_payout_item_public_id")),
    )
    with op.batch_alter_table("payout_item", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_payout_item_batch_id"), ["batch_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_payout_item_household_id"), ["household_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_payout_item_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "price_tier",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("pack_id", BIGINT, nullable=False),
        sa.Column("min_quantity", BIGINT, nullable=False),
        sa.Column("price_fen", BIGINT, nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("min_quantity > 1 AND price_fen > 0", name=op.f("ck_price_tier_positive")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_price_tier_organisation_id")
        ),
        sa.ForeignKeyConstraint(["pack_id"], ["pack.id"], name=op.f("fk_price_tier_pack_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_tier")),
        sa.UniqueConstraint("pack_id", "min_quantity", name=op.f("uq_price_tier_pack_id_min_quantity")),
    )
    with op.batch_alter_table("price_tier", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_price_tier_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_price_tier_pack_id"), ["pack_id"], unique=False)

    op.create_table(
        "stock",
        sa.Column("pack_id", BIGINT, nullable=False),
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("on_hand", BIGINT, nullable=False),
        sa.Column("reserved", BIGINT, nullable=False),
        sa.CheckConstraint("reserved >= 0 AND on_hand >= reserved", name=op.f("ck_stock_no_oversell")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_stock_organisation_id")
        ),
        sa.ForeignKeyConstraint(["pack_id"], ["pack.id"], name=op.f("fk_stock_pack_id")),
        sa.PrimaryKeyConstraint("pack_id", name=op.f("pk_stock")),
    )
    with op.batch_alter_table("stock", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_stock_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "stock_move",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("pack_id", BIGINT, nullable=False),
        sa.Column("on_hand", BIGINT, nullable=False),
        sa.Column("reserved", BIGINT, nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("source_type", sa.String(length=40), nullable=False),
        sa.Column("source_id", BIGINT, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("person_id", BIGINT, nullable=True),
        sa.Column("id", BIGINT, nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_stock_move_organisation_id")
        ),
        sa.ForeignKeyConstraint(["pack_id"], ["pack.id"], name=op.f("fk_stock_move_pack_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_move")),
    )
    with op.batch_alter_table("stock_move", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_stock_move_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_stock_move_pack_id"), ["pack_id"], unique=False)

    op.create_table(
        "acceptance_line",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("acceptance_id", BIGINT, nullable=False),
        sa.Column("order_line_id", BIGINT, nullable=False),
        sa.Column("accepted", BIGINT, nullable=False),
        sa.Column("short", BIGINT, nullable=False),
        sa.Column("reason", sa.String(length=120), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("accepted >= 0 AND short >= 0", name=op.f("ck_acceptance_line_positive")),
        sa.ForeignKeyConstraint(
            ["acceptance_id"], ["acceptance.id"], name=op.f("fk_acceptance_line_acceptance_id")
        ),
        sa.ForeignKeyConstraint(
            ["order_line_id"], ["order_line.id"], name=op.f("fk_acceptance_line_order_line_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_acceptance_line_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acceptance_line")),
        sa.UniqueConstraint("order_line_id", name=op.f("uq_acceptance_line_order_line_id")),
    )
    with op.batch_alter_table("acceptance_line", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_acceptance_line_acceptance_id"), ["acceptance_id"], unique=False)

    op.create_table(
        "household_answer",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("household_id", BIGINT, nullable=False),
        sa.Column("payout_item_id", BIGINT, nullable=False),
        sa.Column("answer", sa.String(length=14), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("answered_at", MOMENT, nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint(
            "answer IN ('RECEIVED','NOT_RECEIVED','OBJECTION')", name=op.f("ck_household_answer_answer")
        ),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_household_answer_household_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_household_answer_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            ["payout_item_id"], ["payout_item.id"], name=op.f("fk_household_answer_payout_item_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_household_answer")),
    )
    with op.batch_alter_table("household_answer", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_household_answer_household_id"), ["household_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_household_answer_organisation_id"), ["organisation_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_household_answer_payout_item_id"), ["payout_item_id"], unique=False
        )

    op.create_table(
        "settlement_line",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("settlement_id", BIGINT, nullable=False),
        sa.Column("order_line_id", BIGINT, nullable=False),
        sa.Column("linkage_group_id", BIGINT, nullable=False),
        sa.Column("village_id", BIGINT, nullable=False),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("base_fen", BIGINT, nullable=False),
        sa.Column("cooperative_fen", BIGINT, nullable=False),
        sa.Column("pool_fen", BIGINT, nullable=False),
        sa.Column("village_fen", BIGINT, nullable=False),
        sa.Column("fund_fen", BIGINT, nullable=False),
        sa.Column("distribution_id", BIGINT, nullable=True),
        sa.Column("id", BIGINT, nullable=False),
        sa.ForeignKeyConstraint(
            ["distribution_id"], ["distribution.id"], name=op.f("fk_settlement_line_distribution_id")
        ),
        sa.ForeignKeyConstraint(
            ["linkage_group_id"], ["linkage_group.id"], name=op.f("fk_settlement_line_linkage_group_id")
        ),
        sa.ForeignKeyConstraint(
            ["order_line_id"], ["order_line.id"], name=op.f("fk_settlement_line_order_line_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_settlement_line_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            ["settlement_id"], ["settlement.id"], name=op.f("fk_settlement_line_settlement_id")
        ),
        sa.ForeignKeyConstraint(["village_id"], ["region.id"], name=op.f("fk_settlement_line_village_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_settlement_line")),
        sa.UniqueConstraint("order_line_id", name=op.f("uq_settlement_line_order_line_id")),
    )
    with op.batch_alter_table("settlement_line", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_settlement_line_distribution_id"), ["distribution_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_settlement_line_linkage_group_id"), ["linkage_group_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_settlement_line_organisation_id"), ["organisation_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_settlement_line_period"), ["period"], unique=False)
        batch_op.create_index(batch_op.f("ix_settlement_line_settlement_id"), ["settlement_id"], unique=False)

    op.create_table(
        "shipment_line",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("shipment_id", BIGINT, nullable=False),
        sa.Column("order_line_id", BIGINT, nullable=False),
        sa.Column("batch_id", BIGINT, nullable=False),
        sa.Column("quantity", BIGINT, nullable=False),
        sa.Column("grams", BIGINT, nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_shipment_line_quantity")),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_shipment_line_batch_id")),
        sa.ForeignKeyConstraint(
            ["order_line_id"], ["order_line.id"], name=op.f("fk_shipment_line_order_line_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_shipment_line_organisation_id")
        ),
        sa.ForeignKeyConstraint(["shipment_id"], ["shipment.id"], name=op.f("fk_shipment_line_shipment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shipment_line")),
    )
    with op.batch_alter_table("shipment_line", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_shipment_line_batch_id"), ["batch_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_shipment_line_order_line_id"), ["order_line_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_shipment_line_shipment_id"), ["shipment_id"], unique=False)

    for statement in REFUSALS[op.get_bind().dialect.name]:
        op.execute(sa.text(statement.replace(":", "\\:")))


def downgrade() -> None:
    raise NotImplementedError("before the first tables there is nothing: restore a backup instead")
