"""One entry between one account and very many: the lines are made where they are kept, from a query, and never pass through us.

A period's pool goes to a million households this way, and from them to the bank. The entry is the same as ``posting.post`` would write.
"""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import BigInteger, Select, String, Table, func, insert, literal, select, union_all
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.exc import IntegrityError

from marketplace.foundation.database import broke_unique, db
from marketplace.ledger import posting
from marketplace.ledger.account import OWNERS, Account, code_of
from marketplace.ledger.entry import JournalLine
from marketplace.ledger.posting import Draft, Line, Source
from marketplace.ledger.posting_write import Header


def post_each(
    *,
    kind: str,
    source: Source,
    book: int,
    owner_kind: str,
    shares: Select[int, int],
    debit: int | None = None,
    credit: int | None = None,
    period: str | None = None,
    event_at: datetime | None = None,
) -> int:
    """Debit account ``debit`` with the sum of ``shares``, a query of (owner's id, fen), and credit each owner's ``owner_kind`` account;
    or credit account ``credit``, and debit each owner's. One of the two is named.

    Accounts that do not exist are opened. Returns the entry's id. AlreadyPosted as ``posting.post``; ValueError unless every share
    is positive, and each owner has one.
    """
    one = debit if debit is not None else credit
    if one is None or (debit is not None and credit is not None):
        raise ValueError(f"{kind} of {source}: one account on one side")
    side = 1 if debit is not None else -1
    each = shares.subquery("each")
    owner_id, fen = each.c[0].label("owner_id"), each.c[1].label("fen")
    # The code of an owner's account, as ``account`` makes it, around the owner's id.
    before = code_of(owner_kind, book, f"{OWNERS[owner_kind]}:0")[:-1]
    code = (literal(before, String) + sql_cast(owner_id, String)).label("code")
    coded = select(owner_id, fen, code).subquery("coded")
    count, total, least = db.session.execute(
        select(func.count(), sql_cast(func.coalesce(func.sum(fen), 0), BigInteger), func.min(fen)).select_from(each)
    ).one()
    if not count or least <= 0:
        raise ValueError(f"{kind} of {source}: {count} shares of owners, the least {least} fen")
    # Two lines stand for all: what the header says of them is put right before it is written.
    header = posting.header(Draft(kind, source, book, [Line(one, 1), Line(one, -1)], event_at, period))
    header = header._replace(n_lines=count + 1, gross=total)
    number = posting.write_header(header)
    if not _written(header, number, one, side, coded):
        _open(coded, owner_kind, book)
        if not _written(header, number, one, side, coded):
            raise RuntimeError(f"{kind} of {source}: an account that was opened is not there")
    return number


def _written(header: Header, number: int, one: int, side: int, coded: Any) -> bool:
    """Write the lines, or nothing if an owner has no account. Mostly all have one: that is found out by writing. ValueError if one is named twice."""
    try:
        with db.session.begin_nested():
            _write(header, number, one, side, coded)
    except IntegrityError as error:
        if broke_unique(error):
            raise ValueError(f"{header.kind} of {header.source_type}:{header.source_id}: {header.n_lines - 1} shares of owners, of one more than one") from None
        if getattr(error.orig, "sqlstate", None) == "23502" or "NOT NULL" in str(error.orig):
            return False
        raise
    return True


def _write(header: Header, number: int, one: int, side: int, coded: Any) -> None:
    """Write the entry's lines (``side`` 1 if the one account is debited, −1 if it is credited). The database refuses an owner that is
    named twice, who would have the same line number, and one without an account; and all of them, if one line is too few or too many."""
    period, entry_id = literal(header.period, String), literal(number, BigInteger)
    first = select(period, entry_id, literal(1, BigInteger), literal(one, BigInteger), literal(header.gross * side, BigInteger))
    place = func.dense_rank().over(order_by=coded.c.owner_id) + 1
    each = select(period, entry_id, place, Account.id, coded.c.fen * -side).select_from(coded.outerjoin(Account, Account.code == coded.c.code))
    lines = insert(cast("Table", JournalLine.__table__))
    if db.session.get_bind().dialect.name == "postgresql":
        db.session.execute(lines.from_select(_COLUMNS, union_all(first, each)))
        return
    db.session.execute(lines.from_select(_COLUMNS, first))
    # An entry is looked at when its last line comes. The window is in this order anyway.
    db.session.execute(lines.from_select(_COLUMNS, each.order_by(coded.c.owner_id)))


_COLUMNS = ["period", "entry_id", "line_no", "account_id", "fen"]


def _open(coded: Any, owner_kind: str, book: int) -> None:
    owner_ref = literal(f"{OWNERS[owner_kind]}:", String) + sql_cast(coded.c.owner_id, String)
    missing = (
        select(coded.c.code, literal(owner_kind, String), literal(book), owner_ref, literal("CNY", String))
        .select_from(coded.outerjoin(Account, Account.code == coded.c.code))
        .where(Account.id.is_(None))
        .distinct()
        .order_by(coded.c.code)  # so that two who open the same accounts wait for each other in one order
    )
    columns = ["code", "kind", "book", "owner_ref", "currency"]
    table = cast("Table", Account.__table__)
    if db.session.get_bind().dialect.name == "postgresql":
        opened = postgresql_insert(table).from_select(columns, missing)
        db.session.execute(opened.on_conflict_do_nothing(index_elements=["code"]))
    else:
        db.session.execute(insert(table).from_select(columns, missing))
