"""The seed in the tables: the county's figures, a second run, and files with faults."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import func, select

from catalog_seed.csv_rows import FOLDER
from marketplace import search
from marketplace.catalogue.product import Product
from marketplace.cli import county, seed
from marketplace.foundation.database import db
from marketplace.households.household import Household
from marketplace.households.linkage_group import LinkageShare
from marketplace.organisations.person import by_login, password_fits
from marketplace.organisations.region import Region
from marketplace.supply.stock import Stock, StockMove

COUNTY = {
    "households": 2185,
    "people": 5636,
    "lifted_households": 2053,
    "lifted_people": 5403,
    "not_lifted_households": 132,
    "not_lifted_people": 233,
    "ill_or_disabled_households": 101,
    "ill_or_disabled_people": 193,
    "unable_to_work_people": 148,
    "townships": 11,
    "villages": 75,
    "service_stations": 17,
}


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(seed.group, list(arguments))


def last_line(result: Result) -> Any:
    return json.loads(result.stdout.strip().splitlines()[-1])


def rows() -> dict[str, int]:
    return {table.name: db.session.scalar(select(func.count()).select_from(table)) or 0 for table in db.metadata.sorted_tables}


@pytest.mark.both
def test_the_tables_hold_the_countys_figures_and_a_second_run_changes_nothing(app: Flask) -> None:
    first = run(app, "--json")
    assert first.exit_code == 0, first.output
    assert last_line(first)["changed"] > 9000
    figures = json.loads(app.test_cli_runner().invoke(county.group, ["figures", "--json"]).stdout)
    assert {name: figures[name] for name in COUNTY} == COUNTY
    assert figures["products"] == 36 and figures["packs"] == 93 and figures["units"] >= 40

    said = [line for line in first.stderr.splitlines() if line]
    assert all(re.fullmatch(r" *\d+\.\d s  .+", line) for line in said), "each step with the seconds since the start"
    assert "reading and checking" in said[0] and re.search(r"[\d,]+ rows are sound; writing", said[1])
    steps: Counter[str] = Counter()
    for name, new in re.findall(r"s  (\w+): ([\d,]+) new of [\d,]+", first.stderr):
        steps[name] += int(new.replace(",", ""))  # a table that is filled in several steps is named at each
    assert steps == last_line(first)["added"] and steps["household"] == 2185

    before = rows()
    db.session.rollback()
    second = run(app, "--json")
    assert second.exit_code == 0 and last_line(second)["changed"] == 0
    assert "nothing changed" in run(app).output
    db.session.rollback()
    assert rows() == before

    person = by_login("customer")
    assert person is not None and password_fits(person, last_line(second)["password"])
    assert {each["role"] for each in last_line(second)["sign_ins"]} >= {"reviewer", "director", "buyer", "approver", "customer", "station_clerk"}
    equity = select(func.sum(LinkageShare.shares), func.sum(LinkageShare.appraised_fen)).where(LinkageShare.asset_kind.is_not(None))
    shares, fen = db.session.execute(equity).one()
    assert fen == shares * 100_000 and shares == db.session.scalar(select(func.sum(LinkageShare.shares))), "a thousand yuan a share"
    moved = select(func.sum(StockMove.on_hand)).scalar_subquery()
    assert db.session.scalar(select(func.sum(Stock.on_hand) - moved)) == 0
    on_sale = set(db.session.scalars(select(Product.id).where(Product.state == "ON_SALE")))
    assert set(search.query("白茶")) and set(search.query("白茶")) <= on_sale


def test_what_could_harm_a_household_is_sealed(app: Flask) -> None:
    assert run(app, "--json").exit_code == 0
    home = db.session.scalars(select(Household).where(Household.code == "JA-SX-0001")).one()
    assert home.name == "帅小满" and home.id_number == "360925209101013237"
    assert "帅" not in home.name_sealed and "3237" not in home.id_number_sealed and "6200" not in home.bank_account_sealed


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "改过的表"
    folder.mkdir()
    for path in FOLDER.glob("*.csv"):
        shutil.copy(path, folder)
    return folder


def spoil(folder: Path, file: str, old: str, new: str) -> int:
    """Replace ``old`` once; the line it stood in."""
    path = folder / file
    text = path.read_bytes().decode("utf-8-sig")
    assert old in text, (file, old)
    path.write_bytes(text.replace(old, new, 1).encode("utf-8-sig"))
    return text[: text.index(old)].count("\n") + 1


@pytest.mark.both
def test_every_fault_is_named_with_its_place_and_nothing_is_written(app: Flask, copy: Path) -> None:
    spoilt = {
        ("households.csv", "id_number", spoil(copy, "households.csv", "360925 20910101 3237", "360925 20910101 3238")),
        ("households.csv", "bank_account", spoil(copy, "households.csv", "6200 0000 0000 0000 026", "6200 0000 0000 0000 027")),
        ("packs.csv", "price_fen", spoil(copy, "packs.csv", "50,,,13600,", "50,,,136000,")),
        ("organisations.csv", "credit_code", spoil(copy, "organisations.csv", "93360925EMU000023W", "93360925EMU000023X")),
        ("cooperatives.csv", "food_licence", spoil(copy, "cooperatives.csv", "SC11436092590014", "SC11436092590015")),
        ("split_schemes.csv", "cooperative_bp", spoil(copy, "split_schemes.csv", "2,3000,6000,500,500", "2,3000,6000,500,501")),
        ("deliveries.csv", "household_code", spoil(copy, "deliveries.csv", "JA-ZD-0091,B2603", "JA-ZD-9999,B2603")),
        ("linkage_groups.csv", "households", spoil(copy, "linkage_groups.csv", "6500,41,", "6500,42,")),
        ("linkage_shares.csv", "asset_kind", spoil(copy, "linkage_shares.csv", "JA-ZD-0004,EQUITY,8,LAND,", "JA-ZD-0004,EQUITY,8,,")),
        ("linkage_shares.csv", "appraised_fen", spoil(copy, "linkage_shares.csv", "JA-ZD-0004,SUPPLY,0,,,", "JA-ZD-0004,SUPPLY,0,,100,")),
        ("linkage_shares.csv", "asset_kind", spoil(copy, "linkage_shares.csv", "JA-ZD-0007,EQUITY,6,FUNDS,", "JA-ZD-0007,EQUITY,6,LABOUR,")),
        ("targets.csv", "percent_bp", spoil(copy, "targets.csv", "OWN,18000000,3000", "OWN,18000000,30000")),
    }
    before = rows()
    result = run(app, "--folder", str(copy), "--json")
    assert result.exit_code == 1
    found = {(fault["file"], fault["column"], fault["line"]) for fault in last_line(result)["faults"]}
    assert spoilt <= found
    assert all(fault["reason"] for fault in last_line(result)["faults"])
    db.session.rollback()
    assert rows() == before
    plain = run(app, "--folder", str(copy))
    assert plain.exit_code == 1
    for file, column, line in spoilt:
        assert f"{file}:{line} {column}: " in plain.output


def test_the_indication_is_refused_where_it_may_not_be_used(app: Flask, copy: Path) -> None:
    # The tea garden of Yunjiao, moved below 400 m.
    spoil(copy, "regions.csv", "Yunjiao Village,528", "Yunjiao Village,328")
    result = run(app, "--folder", str(copy), "--json")
    assert {(fault["file"], fault["column"]) for fault in last_line(result)["faults"]} == {("products.csv", "gi_mark")}


def test_a_missing_file_or_column_is_a_fault_and_not_a_crash(app: Flask, copy: Path) -> None:
    (copy / "targets.csv").unlink()
    spoil(copy, "packs.csv", "price_fen", "price")
    result = run(app, "--folder", str(copy), "--json")
    faults = {(fault["file"], fault["line"]) for fault in last_line(result)["faults"]}
    assert result.exit_code == 1 and {("targets.csv", 0), ("packs.csv", 1)} <= faults


def test_a_row_added_later_is_loaded_beside_what_stands(app: Flask, copy: Path) -> None:
    assert run(app, "--json").exit_code == 0
    path = copy / "regions.csv"
    path.write_bytes(path.read_bytes() + "360925 104 299,VILLAGE,360925 104 000,新田村,,410,yes,yes\r\n".encode())
    result = run(app, "--folder", str(copy), "--json")
    assert result.exit_code == 0 and last_line(result)["changed"] == 1
    db.session.rollback()
    assert db.session.scalars(select(Region.name_zh).where(Region.code == "360925104299")).one() == "新田村"


def test_a_failure_half_way_leaves_nothing(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rows()
    monkeypatch.setattr(seed.SeedLoad, "_targets", lambda self: 1 / 0)
    assert isinstance(run(app).exception, ZeroDivisionError)
    db.session.rollback()
    assert rows() == before
