"""Two books to write in, and an entry read back the way an account book shows it."""

from dataclasses import dataclass

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.ledger import balance, entry
from marketplace.organisations.organisation import Organisation


@dataclass(frozen=True)
class Books:
    """The ids of a cooperative and of the relief fund's holder: each has its book."""

    cooperative: int
    holder: int


def opened() -> Books:
    with transaction():
        cooperative = Organisation(
            kind="COOPERATIVE", name_zh="中源白茶合作社", created_at=clock.now(), version=1
        )
        holder = Organisation(kind="OPERATOR", name_zh="县防贫基金", created_at=clock.now(), version=1)
        db.session.add_all([cooperative, holder])
        db.session.flush()
        return Books(cooperative.id, holder.id)


def read(entry_id: int) -> str:
    """One line an account: "debit buyer_funds 100.00". Credits follow debits, as they were posted."""
    rows = []
    for line in entry.book_lines(entry_id):
        name = f"{line.kind} {line.owner_ref}".strip()
        rows.append(
            f"{'debit ' if line.fen > 0 else 'credit'} {name} {abs(line.fen) // 100}.{abs(line.fen) % 100:02d}"
        )
    return "\n".join(rows)


def held(book: int, kind: str, owner_ref: str = "") -> int:
    return balance.held(kind, book, owner_ref)
