"""What each cell of the seed's files must look like, and which other file it refers to.

A cell that is wrong is a ``Fault`` with file, line, column and reason; all are collected, none stops the reading.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from stdnum import luhn
from stdnum.cn import ric, uscc
from stdnum.iso7064 import mod_11_10

from catalog_seed import csv_rows
from marketplace.catalogue.category import CATEGORIES
from marketplace.households.linkage_share import APPRAISED_MOST, ASSETS

Check = Callable[[str], str]  # the reason why a value is wrong, or ""
Row = dict[str, str]


@dataclass(frozen=True, order=True)
class Fault:
    """One thing that is wrong. ``line`` as an editor counts; 0 for the file as a whole."""

    file: str
    line: int
    column: str
    reason: str


class SeedFiles:
    """The rows of all files with their line numbers, and the faults found so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults: list[Fault] = []
        self.rows: dict[str, list[tuple[int, Row]]] = {}
        self._bad: set[tuple[str, int]] = set()

    def fault(self, file: str, line: int, column: str, reason: str) -> None:
        self._bad.add((file, line))
        self.faults.append(Fault(file, line, column, reason))

    def sound(self, file: str) -> list[tuple[int, Row]]:
        """The rows whose own cells are right: rules over several rows look only at these."""
        return [(line, row) for line, row in self.rows[file] if (file, line) not in self._bad]

    def by(self, file: str, key: str) -> dict[str, Row]:
        """The sound rows of a file by a key column."""
        return {row[key]: row for _, row in self.sound(file)}


def something(value: str) -> str:
    return "" if value else "empty"


def anything(value: str) -> str:
    return ""


def among(*values: str) -> Check:
    return lambda value: "" if value in values else f"{value!r} is none of {', '.join(values)}"


def shaped(pattern: str, about: str) -> Check:
    return lambda value: "" if re.fullmatch(pattern, value) else f"{value!r} is not {about}"


def whole(low: int = 0, high: int = 10**12) -> Check:
    def check(value: str) -> str:
        if not re.fullmatch(r"\d{1,15}", value, re.ASCII):
            return f"{value!r} is not a whole number"
        return "" if low <= int(value) <= high else f"{value} is not between {low} and {high}"

    return check


def day(value: str) -> str:
    try:
        date.fromisoformat(value)
    except ValueError:
        return f"{value!r} is not a day like 2026-03-18"
    return ""


def optional(check: Check) -> Check:
    return lambda value: check(value) if value else ""


def bank_account(value: str) -> str:
    if not re.fullmatch(r"\d{19}", value, re.ASCII):
        return "an account has 19 digits"
    return "" if luhn.is_valid(value) else "the account's check digit (Luhn) is wrong"


def credit_code(value: str) -> str:
    return "" if uscc.is_valid(value) else f"{value!r}: length or check digit of the credit code is wrong"


def id_number(value: str) -> str:
    # The number itself stays out of the report: it could be somebody's if the wrong file was put here.
    return "" if ric.is_valid(value) else "length, birth date or check digit of the identity number is wrong"


def food_licence(value: str) -> str:
    if not re.fullmatch(r"SC\d{14}", value, re.ASCII):
        return f"{value!r} is not SC and 14 digits"
    return "" if mod_11_10.is_valid(value[2:]) else f"{value!r}: the licence's check digit is wrong"


def listed(check: Check) -> Check:
    """A list within the cell, joined by ``;``."""
    return lambda value: next((reason for part in value.split(";") if (reason := check(part))), "")


YES_NO = among("yes", "no")
REGION = shaped(r"360925\d{6}", "a code of 12 digits that begins with 360925")
CATEGORY = among(*CATEGORIES)
BP = whole(0, 10_000)

# In the order in which the files refer to each other.
COLUMNS: dict[str, dict[str, Check]] = {
    "regions.csv": {
        "code": REGION, "kind": among("COUNTY", "TOWNSHIP", "VILLAGE"), "parent_code": optional(REGION), "name_zh": something,
        "name_en": anything, "altitude_m": optional(whole(1, 3000)), "gi_area": YES_NO, "is_invented": YES_NO,
    },
    "organisations.csv": {
        "code": something, "kind": among("OPERATOR", "COOPERATIVE", "UNIT", "VILLAGE"), "name_zh": something, "name_en": anything,
        "parent_code": anything, "region_code": REGION, "credit_code": credit_code, "address": something, "phone": something,
    },
    "service_stations.csv": {
        "code": something, "name_zh": something, "name_en": anything, "region_code": REGION, "address": something,
        "phone": something, "keeper_name": something,
    },
    "cooperatives.csv": {
        "organisation_code": something, "food_licence": food_licence, "licence_expires_on": day, "licence_scope": listed(CATEGORY),
        "bank_name": something, "bank_account": bank_account, "alipay_seller_id": shaped(r"2088\d{12}", "2088 and 12 digits"),
        "alipay_app_id": shaped(r"2021EMU\d{9}", "2021EMU and 9 digits"), "story_zh": something, "story_en": anything,
    },
    "people.csv": {
        "login": shaped(r"[a-z0-9][a-z0-9.-]{0,58}", "a name in lower case"), "name_zh": something, "organisation_code": anything,
        "role": something, "demo": YES_NO, "phone": optional(shaped(r"1\d{10}", "a mobile number of 11 digits")),
    },
    "linkage_groups.csv": {
        "code": something, "cooperative_code": something, "category": CATEGORY, "region_code": REGION, "name_zh": something,
        "name_en": anything, "patronage_bp": whole(6000, 10_000), "households": whole(5, 140), "starts_on": day, "ends_on": optional(day),
    },
    "split_schemes.csv": {
        "cooperative_code": something, "category": CATEGORY, "version_no": whole(1, 999), "cooperative_bp": BP,
        "household_pool_bp": whole(1, 10_000), "village_collective_bp": BP, "relief_fund_bp": BP, "effective_from": day,
    },
    "products.csv": {
        "code": something, "cooperative_code": something, "category": CATEGORY, "slug": shaped(r"[a-z0-9]+(-[a-z0-9]+)*", "lower case with hyphens"),
        "name_zh": something, "name_en": anything, "summary_zh": something, "summary_en": anything, "story_zh": something, "story_en": anything,
        "origin_village_code": REGION, "linkage_group_code": something, "gi_mark": YES_NO,
        "standard_code": among("GB/T 14456.1", "GH/T 1091", "GB/T 11765", "GB 14963"), "shelf_life_months": whole(12, 24),
        "storage_zh": something, "storage_en": anything, "picture": something, "harvest_months": listed(whole(1, 12)),
        "state": among("ON_SALE", "SUBMITTED", "DRAFT"),
    },
    "packs.csv": {
        "product_code": something, "sku": something, "name_zh": something, "name_en": anything, "net_grams": whole(1),
        "net_ml": optional(whole(1)), "pieces": optional(whole(1)), "price_fen": whole(1, 99_999_999), "on_hand": whole(), "position": whole(1),
    },
    "price_tiers.csv": {"sku": something, "min_quantity": whole(2), "price_fen": whole(1, 99_999_999)},
    "households.csv": {
        "code": something, "village_code": REGION, "name_zh": something, "id_number": id_number, "bank_name": something,
        "bank_account": bank_account, "registry_status": among("LIFTED", "NOT_LIFTED"),
        "monitoring_kind": among("NONE", "UNSTABLE", "SUDDEN_HARDSHIP"), "people": whole(1, 30), "people_unable_to_work": whole(0, 30),
        "ill_or_disabled": YES_NO, "entered_on": day,
    },
    "linkage_shares.csv": {
        "group_code": something, "household_code": something, "kind": among("EQUITY", "SUPPLY", "WAGE", "LEASE", "RELIEF"),
        "shares": whole(), "asset_kind": optional(among(*ASSETS)), "appraised_fen": optional(whole(1, APPRAISED_MOST)),
        "starts_on": day, "ends_on": optional(day), "basis_zh": anything,
    },
    "batches.csv": {
        "code": something, "cooperative_code": something, "category": CATEGORY, "linkage_group_code": something, "village_code": REGION,
        "harvested_on": day, "altitude_m": optional(whole(1, 3000)), "area_mu": optional(whole(1)), "grams_harvested": whole(1), "grams_packed": whole(1),
    },
    "deliveries.csv": {
        "household_code": something, "batch_code": something, "grams": whole(1), "delivered_on": day, "floor_price_fen_per_kg": whole(),
    },
    "officer_assignments.csv": {"login": something, "village_code": something},
    "targets.csv": {
        "unit_code": something, "year": whole(2020, 2100), "canteen": among("OWN", "SHARED", "OUTSOURCED", "NONE"), "base_fen": whole(0, 10**13),
        "percent_bp": BP, "state": among("FILED", "LOCKED"),
    },
}  # fmt: skip

# What may stand only once in a file.
UNIQUE: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("regions.csv", ("code",)), ("organisations.csv", ("code",)), ("organisations.csv", ("credit_code",)), ("service_stations.csv", ("code",)),
    ("cooperatives.csv", ("organisation_code",)), ("cooperatives.csv", ("alipay_seller_id",)), ("cooperatives.csv", ("alipay_app_id",)),
    ("people.csv", ("login", "organisation_code", "role")), ("linkage_groups.csv", ("code",)),
    ("split_schemes.csv", ("cooperative_code", "category", "version_no")), ("products.csv", ("code",)), ("products.csv", ("slug",)),
    ("packs.csv", ("sku",)), ("price_tiers.csv", ("sku", "min_quantity")), ("households.csv", ("code",)), ("households.csv", ("id_number",)),
    ("households.csv", ("bank_account",)), ("linkage_shares.csv", ("group_code", "household_code", "kind", "starts_on")),
    ("batches.csv", ("code",)), ("deliveries.csv", ("batch_code", "household_code", "delivered_on")), ("targets.csv", ("unit_code", "year")),
    ("officer_assignments.csv", ("login", "village_code")),
)  # fmt: skip

# Column → where its value must stand.
REFERS: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    ("regions.csv", "parent_code", (("regions.csv", "code"),)),
    ("organisations.csv", "parent_code", (("organisations.csv", "code"),)),
    ("organisations.csv", "region_code", (("regions.csv", "code"),)),
    ("service_stations.csv", "region_code", (("regions.csv", "code"),)),
    ("cooperatives.csv", "organisation_code", (("organisations.csv", "code"),)),
    ("people.csv", "organisation_code", (("organisations.csv", "code"), ("service_stations.csv", "code"))),
    ("linkage_groups.csv", "cooperative_code", (("cooperatives.csv", "organisation_code"),)),
    ("linkage_groups.csv", "region_code", (("regions.csv", "code"),)),
    ("split_schemes.csv", "cooperative_code", (("cooperatives.csv", "organisation_code"),)),
    ("products.csv", "cooperative_code", (("cooperatives.csv", "organisation_code"),)),
    ("products.csv", "origin_village_code", (("regions.csv", "code"),)),
    ("products.csv", "linkage_group_code", (("linkage_groups.csv", "code"),)),
    ("packs.csv", "product_code", (("products.csv", "code"),)),
    ("price_tiers.csv", "sku", (("packs.csv", "sku"),)),
    ("households.csv", "village_code", (("regions.csv", "code"),)),
    ("linkage_shares.csv", "group_code", (("linkage_groups.csv", "code"),)),
    ("linkage_shares.csv", "household_code", (("households.csv", "code"),)),
    ("batches.csv", "cooperative_code", (("cooperatives.csv", "organisation_code"),)),
    ("batches.csv", "linkage_group_code", (("linkage_groups.csv", "code"),)),
    ("batches.csv", "village_code", (("regions.csv", "code"),)),
    ("deliveries.csv", "household_code", (("households.csv", "code"),)),
    ("deliveries.csv", "batch_code", (("batches.csv", "code"),)),
    ("targets.csv", "unit_code", (("organisations.csv", "code"),)),
    ("officer_assignments.csv", "login", (("people.csv", "login"),)),
    ("officer_assignments.csv", "village_code", (("regions.csv", "code"),)),
)


def read(folder: Path) -> SeedFiles:
    """Read all files and check each cell, each key and each reference."""
    files = SeedFiles(folder)
    for name, checks in COLUMNS.items():
        _read_one(files, name, checks)
    for name, key in UNIQUE:
        seen: dict[tuple[str, ...], int] = {}
        for line, row in files.rows[name]:
            value = tuple(row[column] for column in key)
            if value in seen:
                files.fault(name, line, key[0], f"the same as in line {seen[value]}")
            seen.setdefault(value, line)
    for name, column, targets in REFERS:
        known = {row[key] for target, key in targets for _, row in files.rows[target]}
        for line, row in files.rows[name]:
            if row[column] and row[column] not in known:
                files.fault(name, line, column, f"{row[column]!r} does not stand in {' or '.join(target for target, _ in targets)}")
    return files


def _read_one(files: SeedFiles, name: str, checks: dict[str, Check]) -> None:
    files.rows[name] = []
    try:
        found = list(csv_rows.rows(name, files.folder))
    except FileNotFoundError:
        files.fault(name, 0, "", "the file is missing")
        return
    except (UnicodeDecodeError, ValueError) as error:
        files.fault(name, 0, "", f"the file cannot be read: {error}")
        return
    for line, row in found:
        missing = [column for column in checks if column not in row]
        if missing:
            files.fault(name, 1, missing[0], f"the header lacks {', '.join(missing)}")
            return
        files.rows[name].append((line, row))
        for column, check in checks.items():
            if reason := check(row[column]):
                files.fault(name, line, column, reason)
