"""on PostgreSQL an entry no longer locks the row of its book's organisation, and shows its transaction without a query"""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    # The check of an entry's lines holds that its book is an organisation's: the accounts are of that book.
    op.execute("ALTER TABLE journal_entry DROP CONSTRAINT fk_journal_entry_book")
    op.execute(
        """CREATE OR REPLACE FUNCTION ledger_show_running() RETURNS trigger LANGUAGE plpgsql AS $body$
           DECLARE own pg_catalog.xid8; BEGIN own := pg_catalog.pg_current_xact_id(); RETURN NULL; END $body$"""
    )


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute("ALTER TABLE journal_entry ADD CONSTRAINT fk_journal_entry_book FOREIGN KEY (book) REFERENCES organisation (id)")
    op.execute(
        """CREATE OR REPLACE FUNCTION ledger_show_running() RETURNS trigger LANGUAGE plpgsql
           SET search_path = pg_catalog, public, pg_temp AS $body$
           BEGIN PERFORM pg_current_xact_id(); RETURN NULL; END $body$"""
    )
