"""A bank's statement for tests: rows of (day, fen, name, remark, serial, and the other's account if it matters), with balances that follow from one to the next."""

from marketplace.foundation.database import db, transaction
from marketplace.foundation.money import format_yuan
from marketplace.organisations.actor import Actor
from marketplace.payments import bank_statement
from marketplace.payments.bank_rows import BACK
from marketplace.payments.bank_statement import BankReceipt, Imported
from marketplace.payments.statement_row import StatementRow

Told = tuple[str, int, str, str, str] | tuple[str, int, str, str, str, str]


def written(rows: list[Told], *, opening_fen: int = 0, lost_fen: int = 0) -> bytes:
    """CSV with balances; ``lost_fen`` is what the bank moved before the first row and tells of in its balances only."""
    left, lines = opening_fen + lost_fen, ["交易日期,收入金额,支出金额,账户余额,对方户名,对方账号,摘要,流水号"]
    for day, fen, name, remark, serial, *other in rows:
        left += fen
        account = other[0] if other else "36050001" if name else ""
        income, expense = (format_yuan(fen), "") if fen > 0 else ("", format_yuan(-fen))
        lines.append(f'{day},"{income}","{expense}","{format_yuan(left)}",{name},{account},{remark},{serial}')
    return "\n".join(lines).encode()


def take(actor: Actor, rows: list[Told], *, opening_fen: int = 0, lost_fen: int = 0) -> Imported:
    """Import it."""
    with transaction():
        return bank_statement.import_csv(written(rows, opening_fen=opening_fen, lost_fen=lost_fen), actor=actor)


def row(serial: str) -> StatementRow:
    """The row with this number of the bank, also if it takes another one back."""
    return db.session.query(StatementRow).filter(StatementRow.serial.in_((serial, serial + BACK))).one()


def receipt(serial: str) -> BankReceipt:
    """The receipt that it made."""
    return db.session.query(BankReceipt).filter_by(serial=serial).one()
