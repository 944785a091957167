"""One entry between one account and very many: the lines are made where they are kept, from a query, and never pass through us.

A period's pool goes to a million households this way, and from them to the bank. The entry is the same as ``posting.post`` would write.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy import BigInteger, Select, String, Table, func, insert, literal, null, select, true, union_all
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from marketplace.foundation.database import db
from marketplace.ledger import posting
from marketplace.ledger.account import OWNERS, Account, code_of
from marketplace.ledger.entry import JournalEntry, JournalLine
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
    # Two lines stand for all: what the header says of them is put right before it is written.
    header = posting.header(Draft(kind, source, book, [Line(one, 1), Line(one, -1)], event_at, period))
    write = _at_once if db.session.get_bind().dialect.name == "postgresql" else _one_by_one
    found = write(header, one, side, coded)
    if not found.count or found.least <= 0 or found.repeated:
        raise ValueError(f"{kind} of {source}: {found.count} shares of owners, {found.repeated} of one named before, the least {found.least} fen")
    if found.known < found.count:
        _open(coded, owner_kind, book)
        found = write(header, one, side, coded)
    if found.number is None:
        raise posting.already(header)
    return found.number


@dataclass(frozen=True)
class _Found:
    """What the shares are, how many of their accounts there are, and the number of the entry, if it was written."""

    count: int
    total: int
    least: int
    known: int
    repeated: int
    number: int | None


def _at_once(header: Header, one: int, side: int, coded: Any) -> _Found:
    """PostgreSQL (``side`` 1 if the one account is debited, −1 if it is credited): every account is looked up once, and the entry written by the same statement, if all is as it should be."""
    in_order = {"order_by": coded.c.owner_id}
    named = (
        select(
            (func.row_number().over(**in_order) + 1).label("line_no"), Account.id.label("account_id"), coded.c.fen,
            (func.lag(coded.c.owner_id).over(**in_order) == coded.c.owner_id).label("again"),
        )
        .select_from(coded.outerjoin(Account, Account.code == coded.c.code))
        .cte("named")
    )  # fmt: skip
    total = _totals(named.c.fen, named.c.account_id, func.count().filter(named.c.again)).select_from(named).cte("total")
    right = (total.c.count > 0) & (total.c.least > 0) & (total.c.known == total.c.count) & (total.c.repeated == 0)
    entry = cast("Table", JournalEntry.__table__)
    given = header._asdict() | {"n_lines": total.c.count + 1, "gross": total.c.total}
    columns = [value if name in ("n_lines", "gross") else literal(value, entry.c[name].type) for name, value in given.items()]
    written = (
        postgresql_insert(entry)
        .from_select(list(given), select(*columns).where(right))
        .on_conflict_do_nothing(index_elements=["kind", "source_type", "source_id", "source_seq"])
        .returning(entry.c.id)
        .cte("written")
    )
    period = literal(header.period, String)
    first = select(period, written.c.id, literal(1, BigInteger), literal(one, BigInteger), total.c.total * side).select_from(written.join(total, true()))
    others = select(period, written.c.id, named.c.line_no, named.c.account_id, named.c.fen * -side).select_from(named.join(written, true()))
    lines = insert(cast("Table", JournalLine.__table__)).from_select(_COLUMNS, union_all(first, others)).cte("lines")
    row = db.session.execute(select(total, select(written.c.id).scalar_subquery()).add_cte(lines)).one()
    return _Found(*row)


def _totals(fen: Any, account_id: Any, repeated: Any) -> Select[Any, Any, Any, Any, Any]:
    return select(
        func.count().label("count"), sql_cast(func.coalesce(func.sum(fen), 0), BigInteger).label("total"), func.min(fen).label("least"),
        func.count(account_id).label("known"), repeated.label("repeated"),
    )  # fmt: skip


def _one_by_one(header: Header, one: int, side: int, coded: Any) -> _Found:
    """SQLite: the shares are looked at, then the entry is written, then its lines."""
    repeated = func.count() - func.count(coded.c.owner_id.distinct())
    joined = coded.outerjoin(Account, Account.code == coded.c.code)
    found = _Found(*db.session.execute(_totals(coded.c.fen, Account.id, repeated).select_from(joined)).one(), None)
    if not found.count or found.least <= 0 or found.repeated or found.known < found.count:
        return found
    number = posting.write_header(header._replace(n_lines=found.count + 1, gross=found.total))
    first = select(literal(header.period), literal(number), literal(1), literal(one), literal(found.total * side))
    place = func.row_number().over(order_by=coded.c.owner_id) + 1
    each = select(literal(header.period), literal(number), place.label("line_no"), Account.id, coded.c.fen * -side).join(Account, Account.code == coded.c.code)
    # An entry is looked at when its last line comes.
    lines = each.order_by("line_no")
    table = cast("Table", JournalLine.__table__)
    db.session.execute(insert(table).from_select(_COLUMNS, first))
    db.session.execute(insert(table).from_select(_COLUMNS, lines))  # one line too few or too many, and the database refuses all
    return replace(found, number=number)


_COLUMNS = ["period", "entry_id", "line_no", "account_id", "fen"]


def _open(coded: Any, owner_kind: str, book: int) -> None:
    owner_ref = literal(f"{OWNERS[owner_kind]}:", String) + sql_cast(coded.c.owner_id, String)
    missing = (
        select(coded.c.code, literal(owner_kind, String), literal(book), owner_ref, literal("CNY", String), null())
        .select_from(coded.outerjoin(Account, Account.code == coded.c.code))
        .where(Account.id.is_(None))
        .order_by(coded.c.owner_id)  # so that two who open the same accounts wait for each other in one order
    )
    columns = ["code", "kind", "book", "owner_ref", "currency", "closed_at"]
    table = cast("Table", Account.__table__)
    if db.session.get_bind().dialect.name == "postgresql":
        opened = postgresql_insert(table).from_select(columns, missing)
        db.session.execute(opened.on_conflict_do_nothing(index_elements=["code"]))
    else:
        db.session.execute(insert(table).from_select(columns, missing))
