"""Holds the seed's files to the county's report, to valid forms of numbers, and to the rules of the domain. No database."""

import re
from collections import Counter, defaultdict
from datetime import date
from pathlib import Path

import pytest
from stdnum import luhn
from stdnum.cn import ric, uscc
from stdnum.iso7064 import mod_11_10

from catalog_seed import csv_rows, generate_deliveries, generate_households
from catalog_seed.csv_rows import FOLDER, table
from marketplace.catalogue.category import CATEGORIES
from marketplace.organisations.person import ROLES

REGIONS = {row["code"]: row for row in table("regions.csv")}
ORGANISATIONS = {row["code"]: row for row in table("organisations.csv")}
STATIONS = {row["code"]: row for row in table("service_stations.csv")}
COOPERATIVES = {row["organisation_code"]: row for row in table("cooperatives.csv")}
HOUSEHOLDS = {row["code"]: row for row in table("households.csv")}
GROUPS = {row["code"]: row for row in table("linkage_groups.csv")}
SHARES = table("linkage_shares.csv")
PRODUCTS = {row["code"]: row for row in table("products.csv")}
PACKS = {row["sku"]: row for row in table("packs.csv")}
BATCHES = {row["code"]: row for row in table("batches.csv")}
DELIVERIES = table("deliveries.csv")
FILES = sorted(path.name for path in FOLDER.glob("*.csv"))


def counted(rows: list[dict[str, str]]) -> tuple[int, int]:
    """Households and people."""
    return len(rows), sum(int(row["people"]) for row in rows)


def test_households_add_up_to_the_county_report() -> None:
    everyone = list(HOUSEHOLDS.values())
    lifted = [row for row in everyone if row["registry_status"] == "LIFTED"]
    poor = [row for row in everyone if row["registry_status"] == "NOT_LIFTED"]
    assert counted(everyone) == (2185, 5636)
    assert counted(lifted) == (2053, 5403)
    assert counted(poor) == (132, 233)
    assert counted([row for row in poor if row["ill_or_disabled"] == "yes"]) == (101, 193)
    assert sum(int(row["people_unable_to_work"]) for row in poor) == 148
    assert sum(int(row["people_unable_to_work"]) for row in lifted) == 0
    assert all(int(row["people_unable_to_work"]) <= int(row["people"]) for row in everyone)


def test_monitoring_kinds_fit_the_register() -> None:
    assert {row["monitoring_kind"] for row in HOUSEHOLDS.values()} == {"NONE", "UNSTABLE", "SUDDEN_HARDSHIP"}
    assert all(
        row["registry_status"] == "LIFTED"
        for row in HOUSEHOLDS.values()
        if row["monitoring_kind"] == "UNSTABLE"
    )


def test_the_county_has_its_townships_villages_and_stations() -> None:
    assert Counter(row["kind"] for row in REGIONS.values()) == {"COUNTY": 1, "TOWNSHIP": 11, "VILLAGE": 75}
    assert len(STATIONS) == 17
    townships = {row["name_zh"]: row for row in REGIONS.values() if row["kind"] == "TOWNSHIP"}
    assert set(townships) == {
        "双溪镇", "仁首镇", "宝峰镇", "高湖镇", "璪都镇", "香田乡", "水口乡", "中源乡", "罗湾乡", "雷公尖乡", "三爪仑乡",
    }  # fmt: skip
    real = "石上石下大团茂埠金田象湖周郎华坊宝田周坊西头永丰山口中港棠棣大桥河北曹山"
    real_names = {f"{real[at : at + 2]}村" for at in range(0, len(real), 2)}
    villages = [row for row in REGIONS.values() if row["kind"] == "VILLAGE"]
    assert {row["name_zh"] for row in villages if row["is_invented"] == "no"} == real_names
    indicated = {name for name, row in townships.items() if row["gi_area"] == "yes"}
    assert indicated == {"中源乡", "罗湾乡", "璪都镇", "三爪仑乡", "宝峰镇"}
    for row in villages:
        above = REGIONS[row["parent_code"]]
        assert (
            above["kind"] == "TOWNSHIP" and above["gi_area"] == row["gi_area"] and int(row["altitude_m"]) > 0
        )


def test_there_is_enough_of_everything() -> None:
    kinds = Counter(row["kind"] for row in ORGANISATIONS.values())
    assert kinds["OPERATOR"] == 1 and kinds["COOPERATIVE"] >= 12 and kinds["UNIT"] >= 44
    assert len(PRODUCTS) >= 32 and len(PACKS) >= 84
    assert {row["category"] for row in PRODUCTS.values()} == set(CATEGORIES)
    linked = {row["household_code"] for row in SHARES if not row["ends_on"]}
    assert 1300 <= len(linked) <= 1900


def test_check_digits_are_right() -> None:
    codes = [row["credit_code"] for row in ORGANISATIONS.values()]
    assert all(uscc.is_valid(code) for code in codes) and len(set(codes)) == len(codes)
    numbers = [row["id_number"] for row in HOUSEHOLDS.values()]
    assert (
        all(ric.is_valid(number) and number[6:10] > "2090" for number in numbers)
        and len(set(numbers)) == 2185
    )
    accounts = [row["bank_account"] for row in (*HOUSEHOLDS.values(), *COOPERATIVES.values())]
    assert all(len(number) == 19 and luhn.is_valid(number) for number in accounts) and len(
        set(accounts)
    ) == len(accounts)
    for row in COOPERATIVES.values():
        licence = row["food_licence"]
        assert re.fullmatch(r"SC\d{3}360925\d{5}", licence) and mod_11_10.is_valid(licence[2:])
        scope = row["licence_scope"].split(";")
        assert licence[2:5] == CATEGORIES[scope[0]][1] and set(scope) <= set(CATEGORIES)
        assert re.fullmatch(r"2088\d{12}", row["alipay_seller_id"]) and row["alipay_app_id"].startswith(
            "2021EMU"
        )


@pytest.mark.parametrize(
    ("name", "column", "among"),
    [
        ("regions.csv", "parent_code", REGIONS),
        ("organisations.csv", "parent_code", ORGANISATIONS),
        ("organisations.csv", "region_code", REGIONS),
        ("service_stations.csv", "region_code", REGIONS),
        ("cooperatives.csv", "organisation_code", ORGANISATIONS),
        ("people.csv", "organisation_code", ORGANISATIONS | STATIONS),
        ("linkage_groups.csv", "cooperative_code", COOPERATIVES),
        ("linkage_groups.csv", "region_code", REGIONS),
        ("split_schemes.csv", "cooperative_code", COOPERATIVES),
        ("products.csv", "cooperative_code", COOPERATIVES),
        ("products.csv", "origin_village_code", REGIONS),
        ("products.csv", "linkage_group_code", GROUPS),
        ("packs.csv", "product_code", PRODUCTS),
        ("price_tiers.csv", "sku", PACKS),
        ("households.csv", "village_code", REGIONS),
        ("linkage_shares.csv", "group_code", GROUPS),
        ("linkage_shares.csv", "household_code", HOUSEHOLDS),
        ("batches.csv", "linkage_group_code", GROUPS),
        ("batches.csv", "village_code", REGIONS),
        ("deliveries.csv", "household_code", HOUSEHOLDS),
        ("deliveries.csv", "batch_code", BATCHES),
        ("targets.csv", "unit_code", ORGANISATIONS),
    ],
)
def test_codes_refer_to_rows_that_exist(name: str, column: str, among: dict[str, object]) -> None:
    # A customer has no organisation yet, the county no region above, and an organisation need not have a parent.
    missing = [
        (line, row[column]) for line, row in csv_rows.rows(name) if row[column] and row[column] not in among
    ]
    assert missing == []
    assert any(row[column] for row in table(name))


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("regions.csv", "code"), ("organisations.csv", "code"), ("linkage_groups.csv", "code"), ("products.csv", "code"),
        ("products.csv", "slug"), ("packs.csv", "sku"), ("households.csv", "code"), ("households.csv", "name_zh"), ("batches.csv", "code"),
    ],
)  # fmt: skip
def test_keys_are_unique(name: str, key: str) -> None:
    found = Counter(row[key] for row in table(name))
    assert [value for value, times in found.items() if times > 1] == []


def test_every_organisation_has_its_people() -> None:
    roles = defaultdict(set)
    names = defaultdict(set)
    for row in table("people.csv"):
        kind = (
            ORGANISATIONS[row["organisation_code"]]["kind"]
            if row["organisation_code"] in ORGANISATIONS
            else "STATION"
        )
        if not row["organisation_code"]:
            kind = "PERSON"
        assert row["role"] in ROLES[kind], row
        roles[row["organisation_code"]].add(row["role"])
        names[row["login"]].add(row["name_zh"])
    assert all(len(called) == 1 for called in names.values())
    for code, organisation in ORGANISATIONS.items():
        if organisation["kind"] in ("COOPERATIVE", "UNIT", "OPERATOR"):
            assert roles[code] == set(ROLES[organisation["kind"]]), code
    assert all(roles[code] == {"station_clerk"} for code in STATIONS)
    shown = {row["role"] for row in table("people.csv") if row["demo"] == "yes"}
    # Money roles take two administrators: with one, whoever tries it in a demonstration would wait for nobody.
    assert sum(row["role"] == "administrator" and row["demo"] == "yes" for row in table("people.csv")) >= 2
    assert shown == {role for kind in ROLES.values() for role in kind}


def price_bounds(category: str, pack: dict[str, str]) -> tuple[float, float]:
    """The range of domain.md for this pack, in fen."""
    grams = int(pack["net_grams"])
    if category == "white_tea":
        return 30_000 * grams / 500, 150_000 * grams / 500
    if category == "honey":
        return 5_000 * grams / 500, 12_000 * grams / 500
    if category == "chrysanthemum":
        if pack["pieces"]:
            return 100 * int(pack["pieces"]), 400 * int(pack["pieces"])
        return 3_500 * grams / 50, 8_800 * grams / 50
    millilitres = int(pack["net_ml"])
    if millilitres == 5000:
        return 38_000, 70_000
    return 4_500 * millilitres / 500, 8_000 * millilitres / 500


def test_prices_stay_inside_their_ranges() -> None:
    tiers = defaultdict(list)
    for row in table("price_tiers.csv"):
        tiers[row["sku"]].append((int(row["min_quantity"]), int(row["price_fen"])))
    for sku, pack in PACKS.items():
        low, high = price_bounds(PRODUCTS[pack["product_code"]]["category"], pack)
        price = int(pack["price_fen"])
        assert low <= price <= high, sku
        before = (1, price)
        for tier in tiers[sku]:
            assert tier[0] > before[0] and low <= tier[1] < before[1], (sku, tier)
            before = tier
    assert sum(bool(tiers[sku]) for sku in PACKS) > len(PACKS) * 0.9


def test_oil_is_weighed_from_its_volume_and_flowers_are_counted() -> None:
    for pack in PACKS.values():
        category = PRODUCTS[pack["product_code"]]["category"]
        assert bool(pack["net_ml"]) == (category == "camellia_oil")
        if pack["net_ml"]:
            assert int(pack["net_grams"]) == round(int(pack["net_ml"]) * 0.916)
        if pack["pieces"]:
            assert category == "chrysanthemum" and int(pack["net_grams"]) == round(int(pack["pieces"]) * 0.8)


def test_split_schemes_are_whole_and_cover_what_is_sold() -> None:
    have = set()
    for row in table("split_schemes.csv"):
        shares = [
            int(row[f"{part}_bp"])
            for part in ("cooperative", "household_pool", "village_collective", "relief_fund")
        ]
        assert sum(shares) == 10_000 and min(shares) >= 0 and shares[1] > 0
        if row["effective_from"] <= "2026-01-01":
            have.add((row["cooperative_code"], row["category"]))
    assert {(row["cooperative_code"], row["category"]) for row in PRODUCTS.values()} <= have


def test_products_agree_with_their_cooperative_and_group() -> None:
    shelf = {"white_tea": (12, 18), "chrysanthemum": (18, 24), "camellia_oil": (18, 18), "honey": (18, 24)}
    for row in PRODUCTS.values():
        group, origin = GROUPS[row["linkage_group_code"]], REGIONS[row["origin_village_code"]]
        assert (group["cooperative_code"], group["category"]) == (row["cooperative_code"], row["category"])
        assert row["category"] in COOPERATIVES[row["cooperative_code"]]["licence_scope"].split(";")
        assert origin["kind"] == "VILLAGE" and origin["code"][:9] == group["region_code"][:9]
        low, high = shelf[row["category"]]
        assert low <= int(row["shelf_life_months"]) <= high
    for column in ("summary_zh", "summary_en", "story_zh", "story_en"):
        texts = [row[column] for row in PRODUCTS.values()]
        assert all(texts) and len(set(texts)) == len(texts)


def test_the_indication_is_used_only_where_it_may_be() -> None:
    marked = [row for row in PRODUCTS.values() if row["gi_mark"] == "yes"]
    assert len(marked) >= 5
    for product in marked:
        origin = REGIONS[product["origin_village_code"]]
        assert (
            product["category"] == "white_tea"
            and origin["gi_area"] == "yes"
            and int(origin["altitude_m"]) >= 400
        )
        theirs = [
            row
            for row in BATCHES.values()
            if row["village_code"] == origin["code"] and row["category"] == "white_tea"
        ]
        assert theirs and all(
            date(2026, 3, 15) <= date.fromisoformat(row["harvested_on"]) <= date(2026, 4, 15)
            for row in theirs
        )


def test_groups_have_the_members_they_say_all_of_their_township() -> None:
    members = defaultdict(set)
    equity: Counter[str] = Counter()
    for share in SHARES:
        group = GROUPS[share["group_code"]]
        assert share["starts_on"] >= group["starts_on"] and (share["kind"] == "EQUITY") == (
            int(share["shares"]) > 0
        )
        assert HOUSEHOLDS[share["household_code"]]["village_code"][:9] == group["region_code"][:9]
        if share["ends_on"]:
            assert share["ends_on"] >= share["starts_on"]
        else:
            members[group["code"]].add(share["household_code"])
            equity[group["code"]] += int(share["shares"])
    for code, group in GROUPS.items():
        assert len(members[code]) == int(group["households"]) and 5 <= len(members[code]) <= 140
        assert equity[code] > 0 and 6000 <= int(group["patronage_bp"]) <= 10_000
        assert group["category"] in COOPERATIVES[group["cooperative_code"]]["licence_scope"].split(";")
    assert set(COOPERATIVES) == {group["cooperative_code"] for group in GROUPS.values()}


def test_households_where_nobody_can_work_hold_shares_that_need_no_work() -> None:
    kinds = defaultdict(set)
    for share in SHARES:
        kinds[share["household_code"]].add(share["kind"])
    unable = [row for row in HOUSEHOLDS.values() if row["people_unable_to_work"] == row["people"]]
    assert len(unable) > 50
    assert all(kinds[row["code"]] == {"EQUITY", "RELIEF"} for row in unable)


def test_deliveries_make_up_their_batches() -> None:
    grams: Counter[str] = Counter()
    supply = defaultdict(list)
    for share in SHARES:
        if share["kind"] == "SUPPLY":
            supply[share["group_code"], share["household_code"]].append(
                (share["starts_on"], share["ends_on"] or "9999")
            )
    givers = defaultdict(set)
    for row in DELIVERIES:
        batch = BATCHES[row["batch_code"]]
        assert int(row["grams"]) > 0
        late = (date.fromisoformat(row["delivered_on"]) - date.fromisoformat(batch["harvested_on"])).days
        assert 0 <= late <= 3
        terms = supply[batch["linkage_group_code"], row["household_code"]]
        assert any(start <= row["delivered_on"] <= end for start, end in terms), row
        grams[batch["code"]] += int(row["grams"])
        givers[batch["code"]].add(row["household_code"])
    for code, batch in BATCHES.items():
        assert grams[code] == int(batch["grams_harvested"]) and len(givers[code]) >= 5, code


def test_batches_balance_and_cover_the_shelf() -> None:
    packed: Counter[tuple[str, str]] = Counter()
    for batch in BATCHES.values():
        group = GROUPS[batch["linkage_group_code"]]
        assert (group["cooperative_code"], group["category"]) == (
            batch["cooperative_code"],
            batch["category"],
        )
        assert "2025-10-01" <= batch["harvested_on"] <= "2026-11-15"
        assert 0 < int(batch["grams_packed"]) <= int(batch["grams_harvested"])
        if batch["area_mu"]:
            most = int(batch["area_mu"]) * generate_deliveries.YIELD_GRAMS_PER_MU[batch["category"]]
            assert int(batch["grams_harvested"]) <= most
        packed[batch["linkage_group_code"], batch["village_code"]] += int(batch["grams_packed"])
    shelf: Counter[tuple[str, str]] = Counter()
    for pack in PACKS.values():
        product = PRODUCTS[pack["product_code"]]
        place = product["linkage_group_code"], product["origin_village_code"]
        shelf[place] += int(pack["net_grams"]) * int(pack["on_hand"])
    assert all(grams <= packed[place] for place, grams in shelf.items())


def test_targets_follow_the_canteen() -> None:
    filed: Counter[tuple[str, str]] = Counter()
    for row in table("targets.csv"):
        assert ORGANISATIONS[row["unit_code"]]["kind"] == "UNIT" and row["percent_bp"] == "3000"
        assert (int(row["base_fen"]) > 0) == (row["canteen"] in ("OWN", "OUTSOURCED"))
        assert row["state"] in ("FILED", "LOCKED")
        filed[row["unit_code"], row["year"]] += 1
    assert set(filed.values()) == {1}
    this_year = {unit for unit, year in filed if year == "2026"}
    assert len(this_year) >= 40
    assert sum(bool(ORGANISATIONS[unit]["parent_code"]) for unit in this_year) >= 20


def test_excel_can_open_and_save_the_files(tmp_path: Path) -> None:
    for name in FILES:
        raw = (FOLDER / name).read_bytes()
        assert raw.startswith(b"\xef\xbb\xbf") and b"\r\n" in raw, name
        # Fifteen digits are what Excel keeps, eleven what it shows in full.
        assert not re.search(rb"(?:^|,)\d{12,}(?:,|\r)", raw), name
    saved = csv_rows.text("batches.csv").replace("2026-03-20", "2026/3/20").replace("B2603", "批2603")
    (tmp_path / "batches.csv").write_bytes(saved.encode("gb18030"))
    again = table("batches.csv", tmp_path)
    assert again[0]["harvested_on"] == "2026-03-20" and again[0]["code"].startswith("批2603")


def test_generators_make_the_same_files_again(tmp_path: Path) -> None:
    for name in ("regions.csv", "linkage_groups.csv", "products.csv", "packs.csv"):
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    generate_households.main(folder=tmp_path)
    generate_deliveries.main(folder=tmp_path)
    for name in ("households.csv", "linkage_shares.csv", "batches.csv", "deliveries.csv"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes(), name


def test_readme_tells_every_column() -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name in FILES:
        section = readme.split(f"### {name}", 1)[1].split("\n### ", 1)[0]
        for column in table(name)[0]:
            stem = column.removesuffix("_en").removesuffix("_zh")
            assert column in section or f"{stem}_zh/_en" in section, (name, column)


def test_pictures_exist_in_both_sizes_and_are_light() -> None:
    rendered = FOLDER.parent / "static" / "pictures"
    for product in PRODUCTS.values():
        assert (FOLDER / "pictures" / f"{product['picture']}.svg").exists(), product["picture"]
        for size in (320, 800):
            for ending in ("avif", "webp"):
                path = rendered / f"{product['picture']}-{size}.{ending}"
                assert path.exists() and 200 < path.stat().st_size <= 25_000, path.name
