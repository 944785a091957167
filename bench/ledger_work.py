"""What a worker of ``books`` can be asked to do: our postings, the bare statements beside them, and a peer's way of doing it."""

import gc
import os
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

PERIOD_OF_PEERS = "2020-01"
LINES = 11  # of an order: one debit, ten shares
GROUP = 500  # orders a commit
PEERS = Path(__file__).with_name("peers")
Task = Callable[..., Any]


def serve(pipe: Connection, address: str, folder: str) -> None:
    """Answer tasks until told to end. An error is answered as text."""
    from marketplace import create_app
    from marketplace.foundation.config import read_settings
    from marketplace.foundation.database import db

    settings = read_settings({}, environment="test", data_dir=Path(folder), database_url=address, secret_key="b" * 40)
    app = create_app(settings)
    gc.freeze()  # as the processes of production do
    with app.app_context():
        while (asked := pipe.recv()) is not None:
            task, given = asked
            try:
                pipe.send(globals()[f"do_{task}"](**given))
            except Exception:  # noqa: BLE001 -- told to whoever asked
                pipe.send(traceback.format_exc())
            db.session.remove()
        db.engine.dispose()


def do_make(number: int) -> int:
    """Tables, eight cooperatives (ids 1 to 8), and bare tables beside ours."""
    from marketplace.foundation import clock
    from marketplace.foundation.database import db, transaction
    from marketplace.ledger import month
    from marketplace.organisations.organisation import Organisation

    db.create_all()
    transaction(lambda: month.must_exist(month.ahead(2)))

    def cooperatives() -> None:
        db.session.add_all(
            Organisation(kind="COOPERATIVE", name_zh=f"社{n}", created_at=clock.now(), version=1) for n in range(8)
        )

    transaction(cooperatives)
    without_rowid = "" if _postgresql() else " WITHOUT ROWID"
    for name in ("bare", "bare_indexed"):
        _run(
            f"CREATE TABLE {name} (period varchar(7) NOT NULL, entry_id bigint NOT NULL, line_no bigint NOT NULL, account_id bigint NOT NULL, "
            f"fen bigint NOT NULL, PRIMARY KEY (period, entry_id, line_no)){without_rowid}"
        )
    _run("CREATE INDEX bare_account ON bare_indexed (account_id, entry_id)")
    _run("CREATE TABLE share (household_id bigint, fen bigint)")
    return 1


def do_ready(number: int) -> int:
    for book in range(1, 9):
        _post_orders(book, 0, 1 + number)
    return 1


def do_orders(number: int, seconds: float, one_book: bool = False, together: int = 1) -> int:
    """Settle orders, ``together`` a commit, as ``settle`` posts them."""
    until, count = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        _post_orders(1 if one_book else number + 1, count, together)
        count += together
    return count


def do_bare_orders(number: int, seconds: float) -> int:
    """The lines alone: one statement into a table with the same key, a commit each."""
    until, count, first = time.monotonic() + seconds, 0, _fresh()
    with _raw() as connection:
        while time.monotonic() < until:
            rows = [(PERIOD_OF_PEERS, first + count, line, 1 + line, 100) for line in range(LINES)]
            _bare(connection, "bare", rows)
            connection.commit()
            count += 1
    return count


def do_groups(number: int, groups: int) -> int:
    """Settle orders in groups, a commit a group; lines written."""
    for _ in range(groups):
        _post_orders(number + 1, 0, GROUP)
    return groups * GROUP * LINES


def do_copy(number: int, groups: int) -> int:
    """The same lines by COPY (SQLite: one prepared statement) into a table with key and account index, nothing else."""
    import random

    chance, first = random.Random(number), _fresh()
    with _raw() as connection:
        for group in range(groups):
            rows = [
                (PERIOD_OF_PEERS, first + group * GROUP + entry, line, chance.randrange(1, 200), 100)
                for entry in range(GROUP)
                for line in range(LINES)
            ]
            if _postgresql():
                with connection.cursor() as cursor, cursor.copy("COPY bare_indexed FROM STDIN") as copy:
                    copy.write("".join(f"{a}\t{b}\t{c}\t{d}\t{e}\n" for a, b, c, d, e in rows))
            else:
                connection.executemany("INSERT INTO bare_indexed VALUES (?, ?, ?, ?, ?)", rows)
            connection.commit()
    return groups * GROUP * LINES


def do_roll_up(number: int) -> int:
    from marketplace.foundation.database import transaction
    from marketplace.ledger import balance

    return transaction(balance.roll_up)


def do_index(number: int) -> int:
    """What closing does to the month's table, and it is undone for the next measuring."""
    began = time.monotonic()
    table = _month()
    _run(f"CREATE INDEX at_close ON {table} (account_id, entry_id)")
    took = time.monotonic() - began
    _run(f"DROP INDEX {'journal.' if _postgresql() else ''}at_close")
    return int(took * 1_000_000)


def do_count(number: int) -> int:
    return int(_run(f"SELECT count(*) FROM {_month()}"))


def do_guards(number: int, on: bool) -> int:
    """Take the triggers away, or put them back. Of PostgreSQL only: SQLite has no switch."""
    for table in ("journal_entry", "journal_line", "account"):
        _run(f"ALTER TABLE {table} {'ENABLE' if on else 'DISABLE'} TRIGGER USER")
    return 1


def do_shares(number: int, households: int) -> int:
    """So many shares to distribute."""
    _run("DELETE FROM share")
    source = (
        f"generate_series(1, {households}) AS n"
        if _postgresql()
        else f"(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {households}) SELECT n FROM c)"
    )
    _run(f"INSERT INTO share SELECT n, 1 + n % 977 FROM {source}")
    if _postgresql():
        _run("ANALYZE share")
    return households


def do_distribute(number: int) -> float:
    """Credit every household in one entry, accounts open already but the first time. Seconds."""
    from sqlalchemy import column, select, table

    from marketplace.foundation.database import transaction
    from marketplace.ledger import share_event
    from marketplace.ledger.posting import Source

    share = table("share", column("household_id"), column("fen"))
    query: Any = select(share.c.household_id, share.c.fen)
    began = time.monotonic()
    transaction(lambda: share_event.distributed_by(book=1, source=Source("bench", _fresh()), group_id=1, shares=query))
    return time.monotonic() - began


def do_bare_distribute(number: int) -> float:
    """The bare statement: the same rows from the same table into one with the same key."""
    first = _fresh()
    began = time.monotonic()
    _run(f"INSERT INTO bare SELECT '{PERIOD_OF_PEERS}', {first}, row_number() OVER (ORDER BY household_id), household_id, -fen FROM share")
    return time.monotonic() - began


def do_peer_make(number: int) -> int:
    """Balances in rows that every posting locks: with the balance before and after on each line and no more (``locked_rows``), and as
    pgledger publishes it (``as_pgledger``): text numbers, foreign keys, every index; its ids are made in a cheaper way here."""
    for name in ("locked_rows", "as_pgledger"):
        for statement in (PEERS / f"{name}.sql").read_text().split("\n\n"):
            _run(statement)
    return 1


def do_peer_orders(number: int, seconds: float, peer: str, together: int = 1) -> int:
    """Orders of ten transfers from one payer, ``together`` a commit, as one statement of the peer's own functions."""
    many = together * (LINES - 1)
    if peer == "locked_rows":
        sent, given = f"SELECT count(peer_transfer(1, 2 + n % 10, 100)) FROM generate_series(0, {many - 1}) n", list[str]()
    else:
        sent = "SELECT count(*) FROM text_transfers(%s::text[], %s::text[], %s::numeric[])"
        payees = [f"a_{2 + n % 10:030}" for n in range(many)]
        given = [f"{{{','.join(each)}}}" for each in ([f"a_{1:030}"] * many, payees, ["100"] * many)]
    until, count = time.monotonic() + seconds, 0
    with _raw() as connection:
        while time.monotonic() < until:
            connection.execute(sent, given or None)
            connection.commit()
            count += together
    return count


def do_history(number: int, lines: int) -> int:
    """So many lines in the month, of a few accounts, past the triggers; they are rolled up."""
    from marketplace.foundation.database import db
    from marketplace.ledger.account import Account

    first = _fresh()
    accounts = [row for (row,) in db.session.query(Account.id).filter(Account.book == 1).order_by(Account.id).limit(8)]
    db.session.remove()
    period = _run("SELECT max(period) FROM journal_entry")
    entries = lines // 8
    triggers = []
    if _postgresql():
        do_guards(number, False)
    else:
        with _raw() as connection:
            triggers = [row[0] for row in connection.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'")]
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f"DROP TRIGGER {name}")
            connection.commit()
    numbers = (
        f"generate_series({first}, {first + entries - 1}) AS n"
        if _postgresql()
        else f"(WITH RECURSIVE c(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM c WHERE n < {first + entries - 1}) SELECT n FROM c)"
    )
    now = "now()" if _postgresql() else "'2026-01-01 00:00:00'"
    ids = ", ".join(f"({place + 1}, {account}, {100 if place % 2 else -100})" for place, account in enumerate(accounts))
    _run(
        "INSERT INTO journal_entry (id, book, kind, source_type, source_id, source_seq, period, currency, n_lines, gross, event_at, posted_at) "
        f"SELECT n, 1, 'history', 'bench', n, 0, '{period}', 'CNY', 8, 400, {now}, {now} FROM {numbers}"
    )
    _run(
        f"WITH a(line_no, account_id, fen) AS (VALUES {ids}) INSERT INTO journal_line (period, entry_id, line_no, account_id, fen) "
        f"SELECT '{period}', n, a.line_no, a.account_id, a.fen FROM {numbers} CROSS JOIN a"
    )
    if _postgresql():
        do_guards(number, True)
        _run("SELECT setval(pg_get_serial_sequence('journal_entry', 'id'), (SELECT max(id) FROM journal_entry))")
        _run("ANALYZE journal_entry")
        _run("ANALYZE journal_line")
    else:
        for statement in triggers:
            _run(statement)
    do_roll_up(number)
    _post_orders(1, 0, 50)  # a tail
    return accounts[0]


def do_balance(number: int, account_id: int, times: int) -> tuple[float, int]:
    """Seconds a balance, and what it says."""
    from marketplace.foundation.database import db
    from marketplace.ledger import balance

    balance.of(account_id)
    began = time.monotonic()
    for _ in range(times):
        fen = balance.of(account_id)
    db.session.remove()
    return (time.monotonic() - began) / times, fen


def do_sum(number: int, account_id: int) -> tuple[float, int]:
    """The bare way: add up its lines."""
    with _raw() as connection:
        began = time.monotonic()
        fen = connection.execute(f"SELECT sum(fen) FROM journal_line WHERE account_id = {account_id}").fetchone()[0]
        return time.monotonic() - began, int(fen)


def _post_orders(book: int, seq: int, count: int) -> None:
    from marketplace.foundation.database import transaction
    from marketplace.ledger import event
    from marketplace.ledger.event import Settled
    from marketplace.ledger.posting import Source

    first = _fresh()
    pools, villages = dict.fromkeys(range(1, 6), 31), {1: 7, 2: 7}
    orders = [Settled(book, Source("bench", first + n), 1, 800, 10, pools, villages, 9) for n in range(count)]
    transaction(lambda: event.settled_many(orders))


_counted = [0]


def _fresh() -> int:
    """A number that no other worker draws."""
    _counted[0] += 1_000
    return (os.getpid() % 100_000) * 10_000_000_000 + _counted[0] * 100


def _postgresql() -> bool:
    from marketplace.foundation.database import db

    return db.engine.dialect.name == "postgresql"


def _month() -> str:
    if not _postgresql():
        return "journal_line"
    period = _run("SELECT max(period) FROM journal_entry WHERE source_type = 'bench'")
    return f"journal.line_{str(period).replace('-', '_')}"


def _raw() -> Any:
    """The driver's own connection, with the database's own durability."""
    from marketplace.foundation.database import db

    if _postgresql():
        import psycopg

        return psycopg.connect(db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False))
    import sqlite3

    connection = sqlite3.connect(str(db.engine.url.database), timeout=60)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _bare(connection: Any, table: str, rows: list[tuple[Any, ...]]) -> None:
    if not _postgresql():
        connection.executemany(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?)", rows)
        return
    columns = [list(column) for column in zip(*rows, strict=True)]
    connection.execute(
        f"INSERT INTO {table} SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])", columns
    )


def _run(statement: str) -> Any:
    with _raw() as connection:
        cursor = connection.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        connection.commit()
        return row[0] if row else None
