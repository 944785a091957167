"""What other people's programs make of the exported books: their checks, and every balance in fen, debit positive.

Balances of nothing are left out: an account that nothing was ever posted to stands in no report of theirs.
"""

import json
import subprocess
from collections import Counter
from pathlib import Path

from beancount import loader
from beancount.core.data import Transaction
from flask import Flask
from sqlalchemy import select

from marketplace.foundation.database import db
from marketplace.ledger import balance
from marketplace.ledger.account import Account
from marketplace.reporting.books_export import name_of
from tests.missing import missing


def ours() -> dict[str, int]:
    """Balances of every account as the market tells them, under the account's name in the export."""
    accounts = list(db.session.scalars(select(Account)))
    fen = balance.of_many([each.id for each in accounts])
    return {name_of(each.kind, each.book, each.owner_ref): fen[each.id] for each in accounts if fen[each.id]}


def exported(app: Flask, form: str, out: Path) -> Path:
    """The books in a form, written by the command."""
    result = app.test_cli_runner().invoke(args=["books", "export", "--format", form, "--out", str(out)])
    assert result.exit_code == 0, result.output
    return out


def hledger(out: Path) -> dict[str, int]:
    """What hledger adds up, after its strict check accepted the file."""
    try:
        checked = subprocess.run(["hledger", "-f", out, "check", "--strict", "ordereddates"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        missing("hledger: apt-get install hledger")
    assert checked.returncode == 0, checked.stderr
    asked = ["hledger", "-f", out, "balance", "--flat", "--empty", "-O", "json"]
    rows, _ = json.loads(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)
    theirs = {row[0]: sum(_fen(each["aquantity"]) for each in row[3]) for row in rows}
    return {name: fen for name, fen in theirs.items() if fen}


def beancount(out: Path) -> dict[str, int]:
    """What beancount adds up, after it loaded the file without an error."""
    entries, errors, _ = loader.load_file(str(out))
    assert errors == []
    theirs: Counter[str] = Counter()
    for entry in entries:
        if isinstance(entry, Transaction):
            for posting in entry.postings:
                assert posting.units is not None
                assert posting.units.currency == "CNY"
                theirs[posting.account] += int(posting.units.number * 100)
    return {name: fen for name, fen in theirs.items() if fen}


def _fen(quantity: dict[str, int]) -> int:
    assert quantity["decimalPlaces"] <= 2
    return quantity["decimalMantissa"] * 10 ** (2 - quantity["decimalPlaces"])
