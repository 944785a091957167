"""How far the journal is decided: the newest entry such that no entry with a smaller number can still be committed.

Entry numbers are drawn before commit, so a smaller one may appear later. Whoever reads the journal in its order (balances, the
log) keeps a row here of how far it has come, and takes nothing beyond what is decided.
"""

from typing import TypeVar

from sqlalchemy import func, select, text
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Model, db
from marketplace.ledger.entry import JournalEntry


class Horizon(Model):
    """One row: the entry up to which the reader has come, and the one that is next once its neighbours are decided."""

    __abstract__ = True

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    rolled: Mapped[int] = mapped_column(default=0)
    candidate: Mapped[int | None]
    # PostgreSQL's transaction number below which everything must have ended before ``candidate`` may be taken.
    candidate_xact: Mapped[int | None]


H = TypeVar("H", bound=Horizon)


def decided(model: type[H]) -> tuple[H, int]:
    """The reader's row, locked, and the newest decided entry; at least ``rolled``.

    Runs in a transaction of its own, before anything else in it: RuntimeError otherwise. Twice at once is harmless.
    """
    on_postgresql = db.session.get_bind().dialect.name == "postgresql"
    if on_postgresql and db.session.scalar(text("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")):
        raise RuntimeError(
            "what is decided needs a transaction of its own: what it sees must be older than its number"
        )
    newest = db.session.scalar(select(func.max(JournalEntry.id))) or 0
    row = locked(model)
    return row, max(row.rolled, _decided(row, newest) if on_postgresql else newest)


def locked(model: type[H]) -> H:
    """The reader's row, made if it did not exist, locked until the transaction ends."""
    # The table's name is ours: nothing from outside is in it.
    db.session.execute(
        text(f"INSERT INTO {model.__tablename__} (id, rolled) VALUES (1, 0) ON CONFLICT (id) DO NOTHING")  # noqa: S608
    )
    return db.session.scalars(
        select(model).with_for_update().execution_options(populate_existing=True)
    ).one()


def _decided(horizon: Horizon, newest: int) -> int:
    """The newest entry such that no entry with a smaller number can still be committed.

    Numbers are drawn before commit, so a smaller one may appear later. But whoever drew one had a transaction number before
    (a trigger sees to it). ``newest`` was read before this transaction got its own number: once every transaction older
    than that has ended, all entries up to ``newest`` are there or never will be.
    """
    row = db.session.execute(
        text(
            "SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint), "
            "CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)"
        )
    ).one()
    own, oldest_running = int(row[0]), int(row[1])
    if oldest_running >= own:
        horizon.candidate = horizon.candidate_xact = None
        return newest
    if (
        horizon.candidate is not None
        and horizon.candidate_xact is not None
        and oldest_running >= horizon.candidate_xact
    ):
        taken = horizon.candidate
        horizon.candidate, horizon.candidate_xact = newest, own
        return taken
    if horizon.candidate is None:
        horizon.candidate, horizon.candidate_xact = newest, own
    return horizon.rolled
