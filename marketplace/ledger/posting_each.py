"""One entry between one account and very many: the lines are made where they are kept, from a query, and never pass through us.

A period's pool goes to a million households this way, and from them to the bank. The entry is the same as ``posting.post`` would write.
"""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import Select, String, Table, bindparam, func, insert, literal, null, select, union_all
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from marketplace.foundation.database import db
from marketplace.ledger import posting
from marketplace.ledger.account import OWNERS, Account, code_of
from marketplace.ledger.entry import JournalLine
from marketplace.ledger.posting import Draft, Line, Source


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
    each = shares.subquery("each")
    owner_id, fen = each.c[0], each.c[1]
    count, total, least, owners = db.session.execute(
        select(func.count(), func.coalesce(func.sum(fen), 0), func.min(fen), func.count(owner_id.distinct()))
        .select_from(each)
    ).one()
    if not count or least <= 0 or owners != count:
        raise ValueError(f"{kind} of {source}: {count} shares of {owners} owners, the least {least} fen")
    # The code of an owner's account, as ``account`` makes it, around the owner's id.
    before = code_of(owner_kind, book, f"{OWNERS[owner_kind]}:0")[:-1]
    code = literal(before, String) + sql_cast(owner_id, String)
    _open(each, owner_id, code, owner_kind, book)
    # Two lines stand for all: what the header says of them is put right before it is written.
    draft = Draft(kind, source, book, [Line(one, int(total)), Line(one, -int(total))], event_at, period)
    header = posting.header(draft)._replace(n_lines=int(count) + 1)
    number = posting.write_header(header)
    parts = select(owner_id, code.label("code"), fen.label("fen"))
    lines = _lines(header.period, number, one, int(total), parts, 1 if debit is not None else -1)
    table = cast("Table", JournalLine.__table__)
    columns = ["period", "entry_id", "line_no", "account_id", "fen"]
    db.session.execute(insert(table).from_select(columns, lines))  # one line too few or too many, and the database refuses all
    return number


def _open(each: Any, owner_id: Any, code: Any, owner_kind: str, book: int) -> None:
    owner_ref = literal(f"{OWNERS[owner_kind]}:", String) + sql_cast(owner_id, String)
    missing = (
        select(code, literal(owner_kind, String), literal(book), owner_ref, literal("CNY", String), null())
        .select_from(each.outerjoin(Account, Account.code == code))
        .where(Account.id.is_(None))
        .order_by(owner_id)  # so that two who open the same accounts wait for each other in one order
    )
    columns = ["code", "kind", "book", "owner_ref", "currency", "closed_at"]
    table = cast("Table", Account.__table__)
    if db.session.get_bind().dialect.name == "postgresql":
        opened = postgresql_insert(table).from_select(columns, missing)
        db.session.execute(opened.on_conflict_do_nothing(index_elements=["code"]))
    else:
        db.session.execute(insert(table).from_select(columns, missing))


def _lines(period: str, number: int, one: int, total: int, shares: Select[Any, Any, Any], side: int) -> Any:
    """The one account's line and each owner's; ``side`` is 1 if the one is debited, −1 if it is credited."""
    each = shares.subquery("coded")
    first = select(
        bindparam("p", period, String).label("period"), literal(number).label("entry_id"), literal(1).label("line_no"),
        literal(one).label("account_id"), literal(side * total).label("fen"),
    )  # fmt: skip
    others = (
        select(
            bindparam("p", period, String), literal(number), func.row_number().over(order_by=each.c[0]) + 1, Account.id, each.c.fen * -side,
        )
        .join(Account, Account.code == each.c.code)
    )  # fmt: skip
    both = union_all(first, others).subquery("both")
    query = select(both)
    # SQLite looks at an entry when its last line comes.
    return query.order_by(both.c.line_no) if db.session.get_bind().dialect.name == "sqlite" else query
