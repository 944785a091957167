"""What ``flask demo`` says when the market is open: the address, and who can sign in to do what."""

from pathlib import Path
from unicodedata import east_asian_width

from sqlalchemy import select

from marketplace.cli.seed_load import DEMO_PASSWORD
from marketplace.foundation.database import db
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import Person, Role

# What is worth trying, by kind of organisation and role.
TO_DO = {
    ("PERSON", "customer"): "buy tea and honey, pay, read the benefit receipt",
    ("UNIT", "buyer"): "see the year's target, place a bulk order",
    ("UNIT", "approver"): "approve it: nobody approves their own",
    ("UNIT", "accountant"): "follow what was accepted, paid and counted",
    ("COOPERATIVE", "clerk"): "ship orders, edit goods, add batches",
    ("COOPERATIVE", "accountant"): "match bank receipts, draft the month's distribution",
    ("COOPERATIVE", "director"): "approve distributions and payouts",
    ("OPERATOR", "reviewer"): "review listings",
    ("OPERATOR", "administrator"): "see the county, admit and publish",
    ("OPERATOR", "treasurer"): "see the money's health",
    ("OPERATOR", "auditor"): "check the books, change nothing",
    ("OPERATOR", "village_officer"): "visit households",
    ("STATION", "station_clerk"): "order for somebody at the counter",
    ("VILLAGE", "village_accountant"): "see what the village receives",
}


def welcome(address: str, data: Path) -> str:
    """The text, for a terminal."""
    found = _people()
    text = ["", f"  The market is open    {address}"]
    if found:
        text += [f"  Password for all      {DEMO_PASSWORD}", ""]
        widths = [max(_width(row[column]) for row in found) for column in range(3)]
        for row in found:
            cells = [cell + " " * (width - _width(cell)) for cell, width in zip(row[:3], widths, strict=True)]
            text.append("  " + "  ".join([*cells, row[3]]))
    else:
        text.append("  Nobody to sign in as yet: no county data was loaded.")
    text += ["", f"  Data and logs         {data}", "  Ctrl-C closes it.", ""]
    return "\n".join(text)


def _people() -> list[tuple[str, str, str, str]]:
    """Login, role, organisation and what to try, those first whom a newcomer would choose first."""
    query = (
        select(Person.login, Role.name, Organisation.name_zh, Organisation.kind)
        .join(Role, Role.person_id == Person.id)
        .join(Organisation, Organisation.id == Role.organisation_id)
        .where(Person.is_demo)
        .order_by(Role.id)
    )
    order = list(TO_DO)
    rows = sorted(db.session.execute(query), key=lambda row: order.index((row.kind, row.name)) if (row.kind, row.name) in TO_DO else 99)
    return [
        (row.login, row.name.replace("_", " "), row.name_zh if row.kind != "PERSON" else "", TO_DO.get((row.kind, row.name), ""))
        for row in rows
    ]


def _width(text: str) -> int:
    """Columns on a terminal: a Chinese character takes two."""
    return sum(2 if east_asian_width(each) in "WF" else 1 for each in text)
