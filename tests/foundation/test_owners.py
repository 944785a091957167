"""Every row has an owner: a table without a NOT NULL ``organisation_id`` stands here by name, with the reason."""

from flask import Flask
from sqlalchemy import inspect

from marketplace.foundation.database import Base, db

COUNTY = "the county's, the same for everybody"
MARKET = "the market's own: no organisation may claim it"
WHO_OWNS_NOTHING = {
    "organisation": "an owner itself",
    "person": "works for several organisations, by their roles",
    **dict.fromkeys(("region", "category", "workday_override", "search_term"), COUNTY),
    **dict.fromkeys(("log_leaf", "log_key", "log_horizon", "tree_head"), "the log covers everybody's entries, and anybody may check it"),
    **dict.fromkeys(("shelf_version", "balance_horizon", "idempotency_key", "outbox_message", "closed_period"), MARKET),
    "alipay_notice": "kept as it came, before anybody knows whose payment it is of",
}
# The owner stands one step away, under another name or in the row that it is a part of: table → how one comes to it.
BY_ANOTHER_NAME = {
    "account": "book", "journal_entry": "book", "journal_line": "account_id", "balance": "account_id", "period_balance": "account_id",
    "household_key": "household_id", "search_document": "product_id", "cart_line": "cart_id",
}  # fmt: skip
MAY_BE_NOBODYS = {
    "audit_event": "an act of nobody in particular: a job's, or a sign-in that failed",
    "cart": "a stranger's, until they sign in",
    "alarm": "what is wrong with the whole market: a rule of the books, the log, its seal, a letter, task or notice of no one cooperative",
}


def test_every_table_has_an_owner_or_a_reason(app: Flask) -> None:
    for engine in (db.metadata.tables, dict.fromkeys(inspect(db.engine).get_table_names())):
        # What a refusal keeps for itself is empty whenever nobody is writing.
        known = {name for name in engine if not name.startswith("_")} - {"alembic_version"}
        columns = {name: {each["name"]: each for each in inspect(db.engine).get_columns(name)} for name in known}
        owned = {name for name in known if "organisation_id" in columns[name] and not columns[name]["organisation_id"]["nullable"]}
        nullable = {name for name in known if "organisation_id" in columns[name]} - owned
        assert nullable == set(MAY_BE_NOBODYS)
        assert known - owned - nullable == {*WHO_OWNS_NOTHING, *BY_ANOTHER_NAME}
        for name, column in BY_ANOTHER_NAME.items():
            assert not columns[name][column]["nullable"], f"{name}.{column}"
        assert len(owned) > 60


def test_an_owner_is_an_organisation(app: Flask) -> None:
    """The database itself refuses a row of an organisation that is not there; save in the audit, which outlives whatever it tells of,
    and of files, which lie in foundation, below the organisations."""
    free = set()
    for table in Base.metadata.sorted_tables:
        column = table.columns.get("organisation_id")
        if column is not None and not any(each.column.table.name == "organisation" for each in column.foreign_keys):
            free.add(table.name)
    assert free == {"audit_event", "stored_file"}
