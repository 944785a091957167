"""What the application's own database role may do, where PostgreSQL has a second one that owns the tables.

A table says it in ``info["granted"]``; what says nothing may be read and written. History is read and added to, no more.
"""

from sqlalchemy import MetaData

EVERYTHING = "SELECT, INSERT, UPDATE, DELETE"


def statements(role: str, metadata: MetaData) -> list[str]:
    """What the owner tells PostgreSQL after each migration, so that ``role`` has these rights and no others. Safe to repeat."""
    name = '"' + role.replace('"', '""') + '"'
    said = [
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",  # as it is from PostgreSQL 15 on; before, every role could make functions there
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {name}",
        f"GRANT USAGE ON SCHEMA public TO {name}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {name}",
        f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO {name}",
        f"GRANT SELECT ON alembic_version TO {name}",
    ]
    return said + [
        f'GRANT {table.info.get("granted", EVERYTHING)} ON "{table.name}" TO {name}'
        for table in metadata.sorted_tables
    ]
