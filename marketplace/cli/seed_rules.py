"""The rules of the domain over the seed's files as a whole: sums, prices, the indication, linkage, mass balance. Nothing is written."""

from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path

from marketplace.cli.seed_columns import Row, SeedFiles, read
from marketplace.organisations.person import ROLES
from marketplace.supply.mass_balance import YIELD_GRAMS_PER_MU

GI_MONTHS = ((3, 15), (4, 15))  # picked from 15 March to 15 April
GI_ALTITUDE_M = 400


def check(folder: Path) -> SeedFiles:
    """All files, read and checked; ``faults`` holds everything that is wrong."""
    files = read(folder)
    for rule in (_regions, _organisations, _people, _groups, _schemes, _products, _packs, _tiers, _households, _shares, _batches, _deliveries, _targets, _officers):
        rule(files)
    return files


def _regions(files: SeedFiles) -> None:
    regions = files.by("regions.csv", "code")
    above = {"COUNTY": None, "TOWNSHIP": "COUNTY", "VILLAGE": "TOWNSHIP"}
    for line, row in files.sound("regions.csv"):
        parent = regions.get(row["parent_code"])
        if (parent["kind"] if parent else None) != above[row["kind"]]:
            files.fault("regions.csv", line, "parent_code", f"a {row['kind']} stands below {above[row['kind']] or 'nothing'}")


def _organisations(files: SeedFiles) -> None:
    kinds = [row["kind"] for _, row in files.rows["organisations.csv"]]
    if kinds.count("OPERATOR") != 1:
        files.fault("organisations.csv", 0, "kind", f"there must be exactly one OPERATOR, not {kinds.count('OPERATOR')}")
    organisations = files.by("organisations.csv", "code")
    stations = {row["code"] for _, row in files.rows["service_stations.csv"]}
    selling = {row["organisation_code"] for _, row in files.rows["cooperatives.csv"]}
    for line, row in files.sound("organisations.csv"):
        if row["code"] in stations:
            files.fault("organisations.csv", line, "code", "a service station has the same code")
        if row["parent_code"] and (row["kind"] != "UNIT" or organisations.get(row["parent_code"], row)["kind"] != "UNIT"):
            files.fault("organisations.csv", line, "parent_code", "only a unit has a supervising unit, which is a unit")
        if row["kind"] == "COOPERATIVE" and row["code"] not in selling:
            files.fault("organisations.csv", line, "code", "a cooperative without a row in cooperatives.csv")
    for line, row in files.sound("cooperatives.csv"):
        if organisations.get(row["organisation_code"], {"kind": "COOPERATIVE"})["kind"] != "COOPERATIVE":
            files.fault("cooperatives.csv", line, "organisation_code", "is not of kind COOPERATIVE")


def _people(files: SeedFiles) -> None:
    kinds = {code: row["kind"] for code, row in files.by("organisations.csv", "code").items()}
    kinds |= dict.fromkeys(files.by("service_stations.csv", "code"), "STATION")
    names: dict[str, str] = {}
    phones: dict[str, str] = {}
    for line, row in files.sound("people.csv"):
        kind = kinds.get(row["organisation_code"]) if row["organisation_code"] else "PERSON"
        if kind and row["role"] not in ROLES[kind]:
            files.fault("people.csv", line, "role", f"an organisation of kind {kind} has no {row['role']!r}")
        if names.setdefault(row["login"], row["name_zh"]) != row["name_zh"]:
            files.fault("people.csv", line, "name_zh", f"{row['login']} is called {names[row['login']]} above")
        if row["phone"] and phones.setdefault(row["phone"], row["login"]) != row["login"]:
            files.fault("people.csv", line, "phone", f"belongs to {phones[row['phone']]} above")


def _scope(files: SeedFiles, file: str, line: int, row: Row) -> None:
    seller = files.by("cooperatives.csv", "organisation_code").get(row["cooperative_code"])
    if seller and row["category"] not in seller["licence_scope"].split(";"):
        files.fault(file, line, "category", f"{row['category']} is outside the licence of {row['cooperative_code']}")


def _groups(files: SeedFiles) -> None:
    members: dict[str, set[str]] = defaultdict(set)
    equity: dict[str, int] = defaultdict(int)
    for _, share in files.sound("linkage_shares.csv"):
        if not share["ends_on"]:
            members[share["group_code"]].add(share["household_code"])
            equity[share["group_code"]] += int(share["shares"])
    for line, row in files.sound("linkage_groups.csv"):
        _scope(files, "linkage_groups.csv", line, row)
        if len(members[row["code"]]) != int(row["households"]):
            files.fault("linkage_groups.csv", line, "households", f"says {row['households']}, linkage_shares.csv has {len(members[row['code']])}")
        if equity[row["code"]] == 0:
            files.fault("linkage_groups.csv", line, "code", "nobody holds an EQUITY share")


def _schemes(files: SeedFiles) -> None:
    for line, row in files.sound("split_schemes.csv"):
        parts = [int(row[f"{part}_bp"]) for part in ("cooperative", "household_pool", "village_collective", "relief_fund")]
        if sum(parts) != 10_000:
            files.fault("split_schemes.csv", line, "cooperative_bp", f"the four shares sum to {sum(parts)}, not 10000")


def _products(files: SeedFiles) -> None:
    regions = files.by("regions.csv", "code")
    groups = files.by("linkage_groups.csv", "code")
    schemes = {(row["cooperative_code"], row["category"]) for _, row in files.rows["split_schemes.csv"]}
    harvests: dict[tuple[str, str], list[date]] = defaultdict(list)
    for _, batch in files.sound("batches.csv"):
        harvests[batch["village_code"], batch["category"]].append(date.fromisoformat(batch["harvested_on"]))
    for line, row in files.sound("products.csv"):
        _scope(files, "products.csv", line, row)
        if (row["cooperative_code"], row["category"]) not in schemes:
            files.fault("products.csv", line, "category", f"{row['cooperative_code']} has no split scheme for {row['category']}")
        group, origin = groups.get(row["linkage_group_code"]), regions.get(row["origin_village_code"])
        if group and (group["cooperative_code"], group["category"]) != (row["cooperative_code"], row["category"]):
            files.fault("products.csv", line, "linkage_group_code", "the group is of another cooperative or of other goods")
        if origin and origin["kind"] != "VILLAGE":
            files.fault("products.csv", line, "origin_village_code", "is not a village")
        elif origin and group and origin["code"][:9] != group["region_code"][:9]:
            files.fault("products.csv", line, "origin_village_code", "lies in another township than the linkage group")
        if row["gi_mark"] == "yes" and origin:
            reason = _why_no_indication(row, origin, harvests[origin["code"], row["category"]])
            if reason:
                files.fault("products.csv", line, "gi_mark", reason)


def _why_no_indication(product: Row, origin: Row, harvests: list[date]) -> str:
    if product["category"] != "white_tea":
        return "the indication is for white tea only"
    if origin["gi_area"] != "yes" or int(origin["altitude_m"] or 0) < GI_ALTITUDE_M:
        return f"the indication may not be used here (area, {GI_ALTITUDE_M} m or more)"
    if not harvests or not all(GI_MONTHS[0] <= (day.month, day.day) <= GI_MONTHS[1] for day in harvests):
        return "the indication needs batches picked from 15 March to 15 April"
    return ""


def price_range(category: str, pack: Row) -> tuple[int, int]:
    """The least and the most a pack may cost, in fen, by the county's guide prices."""
    grams, pieces, ml = int(pack["net_grams"]), int(pack["pieces"] or 0), int(pack["net_ml"] or 0)
    if category == "white_tea":
        return 60 * grams, 300 * grams
    if category == "honey":
        return 10 * grams, 24 * grams
    if category == "chrysanthemum":
        return (100 * pieces, 400 * pieces) if pieces else (70 * grams, 176 * grams)
    return (38_000, 70_000) if ml == 5000 else (9 * ml, 16 * ml)


def _packs(files: SeedFiles) -> None:
    products = files.by("products.csv", "code")
    for line, row in files.sound("packs.csv"):
        category = products.get(row["product_code"], {"category": ""})["category"]
        if not category:
            continue
        if bool(row["net_ml"]) != (category == "camellia_oil"):
            files.fault("packs.csv", line, "net_ml", "oil, and only oil, has a volume")
            continue
        if row["pieces"] and category != "chrysanthemum":
            files.fault("packs.csv", line, "pieces", "only flowers are counted")
        low, high = price_range(category, row)
        if not low <= int(row["price_fen"]) <= high:
            files.fault("packs.csv", line, "price_fen", f"{row['price_fen']} fen is outside {low}–{high} for this pack")


def _tiers(files: SeedFiles) -> None:
    products, packs = files.by("products.csv", "code"), files.by("packs.csv", "sku")
    before: dict[str, tuple[int, int]] = {}
    for line, row in files.sound("price_tiers.csv"):
        pack = packs.get(row["sku"])
        if pack is None or pack["product_code"] not in products:
            continue
        least, price = before.get(row["sku"], (1, int(pack["price_fen"])))
        if int(row["min_quantity"]) <= least or int(row["price_fen"]) >= price:
            files.fault("price_tiers.csv", line, "price_fen", "quantities must rise and prices fall, below the public price")
        elif int(row["price_fen"]) < price_range(products[pack["product_code"]]["category"], pack)[0]:
            files.fault("price_tiers.csv", line, "price_fen", "is below the range for this pack")
        before[row["sku"]] = int(row["min_quantity"]), int(row["price_fen"])


def _households(files: SeedFiles) -> None:
    regions = files.by("regions.csv", "code")
    for line, row in files.sound("households.csv"):
        if regions.get(row["village_code"], {"kind": "VILLAGE"})["kind"] != "VILLAGE":
            files.fault("households.csv", line, "village_code", "is not a village")
        if int(row["people_unable_to_work"]) > int(row["people"]):
            files.fault("households.csv", line, "people_unable_to_work", "more than there are people")
        if row["monitoring_kind"] == "UNSTABLE" and row["registry_status"] != "LIFTED":
            files.fault("households.csv", line, "monitoring_kind", "UNSTABLE only for a household that is LIFTED")


def _shares(files: SeedFiles) -> None:
    groups, homes = files.by("linkage_groups.csv", "code"), files.by("households.csv", "code")
    for line, row in files.sound("linkage_shares.csv"):
        group, home = groups.get(row["group_code"]), homes.get(row["household_code"])
        if (row["kind"] == "EQUITY") != (int(row["shares"]) > 0):
            files.fault("linkage_shares.csv", line, "shares", "above 0 for EQUITY, 0 for all other kinds")
        for column in ("asset_kind", "appraised_fen"):
            if (row["kind"] == "EQUITY") != bool(row[column]):
                files.fault("linkage_shares.csv", line, column, "needed for EQUITY, empty for all other kinds")
        if row["ends_on"] and row["ends_on"] < row["starts_on"]:
            files.fault("linkage_shares.csv", line, "ends_on", "before it starts")
        if group and row["starts_on"] < group["starts_on"]:
            files.fault("linkage_shares.csv", line, "starts_on", "before the group starts")
        if group and home and home["village_code"][:9] != group["region_code"][:9]:
            files.fault("linkage_shares.csv", line, "household_code", "lives in another township than the group")


def _batches(files: SeedFiles) -> None:
    groups = files.by("linkage_groups.csv", "code")
    delivered: dict[str, int] = defaultdict(int)
    for _, delivery in files.sound("deliveries.csv"):
        delivered[delivery["batch_code"]] += int(delivery["grams"])
    for line, row in files.sound("batches.csv"):
        group, harvested = groups.get(row["linkage_group_code"]), int(row["grams_harvested"])
        if group and (group["cooperative_code"], group["category"]) != (row["cooperative_code"], row["category"]):
            files.fault("batches.csv", line, "linkage_group_code", "the group is of another cooperative or of other goods")
        if int(row["grams_packed"]) > harvested:
            files.fault("batches.csv", line, "grams_packed", "more packed than harvested")
        if row["area_mu"] and harvested > int(row["area_mu"]) * YIELD_GRAMS_PER_MU.get(row["category"], 10**9):
            files.fault("batches.csv", line, "grams_harvested", "more than the area yields")
        if delivered[row["code"]] != harvested:
            files.fault("batches.csv", line, "grams_harvested", f"deliveries sum to {delivered[row['code']]}, not {harvested}")


def _deliveries(files: SeedFiles) -> None:
    batches = files.by("batches.csv", "code")
    terms: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for _, share in files.sound("linkage_shares.csv"):
        if share["kind"] == "SUPPLY":
            terms[share["group_code"], share["household_code"]].append((share["starts_on"], share["ends_on"] or "9999"))
    for line, row in files.sound("deliveries.csv"):
        batch = batches.get(row["batch_code"])
        if batch is None:
            continue
        first = date.fromisoformat(batch["harvested_on"])
        if not first <= date.fromisoformat(row["delivered_on"]) <= first + timedelta(days=3):
            files.fault("deliveries.csv", line, "delivered_on", "not on the harvest day or up to three days later")
        if not any(start <= row["delivered_on"] <= end for start, end in terms[batch["linkage_group_code"], row["household_code"]]):
            files.fault("deliveries.csv", line, "household_code", "has no SUPPLY share of the batch's group in force that day")


def _targets(files: SeedFiles) -> None:
    organisations = files.by("organisations.csv", "code")
    for line, row in files.sound("targets.csv"):
        if organisations.get(row["unit_code"], {"kind": "UNIT"})["kind"] != "UNIT":
            files.fault("targets.csv", line, "unit_code", "is not a unit")
        if (int(row["base_fen"]) > 0) != (row["canteen"] in ("OWN", "OUTSOURCED")):
            files.fault("targets.csv", line, "base_fen", "above 0 for OWN and OUTSOURCED, 0 for SHARED and NONE")


def _officers(files: SeedFiles) -> None:
    officers = {row["login"] for _, row in files.sound("people.csv") if row["role"] == "village_officer"}
    regions = files.by("regions.csv", "code")
    for line, row in files.sound("officer_assignments.csv"):
        if row["login"] not in officers:
            files.fault("officer_assignments.csv", line, "login", "is no village officer")
        if regions.get(row["village_code"], {"kind": "VILLAGE"})["kind"] != "VILLAGE":
            files.fault("officer_assignments.csv", line, "village_code", "is no village")
