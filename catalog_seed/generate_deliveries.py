"""Makes ``batches.csv`` and ``deliveries.csv``: harvests big enough for the stock on the shelves, delivered by members of the group.

Run ``python -m catalog_seed.generate_deliveries [--seed N]`` after generate_households. The deliveries of a batch sum exactly to
its harvest, only households with a SUPPLY share in force deliver, and no batch is larger than its area can yield.
"""

import argparse
import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from catalog_seed.csv_rows import FOLDER, table, write
from catalog_seed.generate_households import SEED

# Grams of finished goods that one mu may yield in a year; the README tells them, a mass-balance check may use them.
YIELD_GRAMS_PER_MU = {"white_tea": 15_000, "chrysanthemum": 80_000, "camellia_oil": 30_000}
FLOOR_FEN_PER_KG = {"white_tea": 36_000, "chrysanthemum": 24_000, "camellia_oil": 7_200, "honey": 6_000}
# (harvest month, part of the shelf's need it covers, days): older seasons first, the newest on top of them.
SEASONS = {
    ("white_tea", "3"): [("2026-03", 1.25, (18, 31))],
    ("white_tea", "3;4"): [("2026-03", 0.7, (20, 31)), ("2026-04", 0.55, (1, 9))],
    ("white_tea", "4"): [("2026-04", 0.7, (2, 7)), ("2026-04", 0.55, (8, 14))],
    ("white_tea", "4;5"): [("2026-04", 0.75, (20, 29)), ("2026-05", 0.5, (2, 10))],
    ("chrysanthemum", "10"): [("2025-10", 1.2, (12, 20)), ("2026-10", 0.6, (12, 20))],
    ("chrysanthemum", "10;11"): [
        ("2025-10", 0.6, (22, 30)), ("2025-11", 0.65, (3, 18)), ("2026-10", 0.4, (22, 30)), ("2026-11", 0.4, (2, 14)),
    ],
    ("chrysanthemum", "11"): [("2025-11", 1.2, (8, 22)), ("2026-11", 0.6, (5, 15))],
    ("camellia_oil", "9;10"): [("2025-10", 1.2, (1, 8)), ("2026-09", 0.7, (20, 29))],
    ("camellia_oil", "10"): [("2025-10", 1.2, (9, 24)), ("2026-10", 0.8, (9, 24))],
    ("camellia_oil", "10;11"): [("2025-10", 0.6, (16, 28)), ("2025-11", 0.65, (1, 8)), ("2026-10", 0.7, (16, 28))],
    ("honey", "7"): [("2026-07", 1.25, (2, 12))],
    ("honey", "7;11"): [("2025-11", 0.6, (7, 18)), ("2026-07", 0.65, (4, 14)), ("2026-11", 0.3, (7, 12))],
    ("honey", "9;10"): [("2025-10", 1.2, (2, 15)), ("2026-09", 0.6, (18, 29))],
    ("honey", "10;11"): [("2025-11", 1.2, (2, 15)), ("2026-10", 0.6, (20, 30))],
    ("honey", "11"): [("2025-11", 1.2, (7, 20)), ("2026-11", 0.5, (7, 14))],
    ("honey", "12;1"): [("2025-12", 0.7, (15, 28)), ("2026-01", 0.55, (8, 20))],
}  # fmt: skip
BATCH_COLUMNS = (
    "code", "cooperative_code", "category", "linkage_group_code", "village_code", "harvested_on", "altitude_m", "area_mu",
    "grams_harvested", "grams_packed",
)  # fmt: skip
DELIVERY_COLUMNS = ("household_code", "batch_code", "grams", "delivered_on", "floor_price_fen_per_kg")


def needs(folder: Path) -> Iterator[tuple[dict[str, str], int]]:
    """Each product and the grams that its packs on the shelf hold."""
    grams: dict[str, int] = defaultdict(int)
    for pack in table("packs.csv", folder):
        grams[pack["product_code"]] += int(pack["net_grams"]) * int(pack["on_hand"])
    for product in table("products.csv", folder):
        yield product, grams[product["code"]]


def suppliers(folder: Path) -> dict[str, list[dict[str, str]]]:
    """SUPPLY shares by group."""
    found = defaultdict(list)
    for share in table("linkage_shares.csv", folder):
        if share["kind"] == "SUPPLY":
            found[share["group_code"]].append(share)
    return found


def divided(chance: random.Random, total: int, parts: int) -> list[int]:
    """``total`` grams in uneven lots of ten grams and more, exact."""
    weights = [chance.lognormvariate(0, 0.55) for _ in range(parts)]
    lots = [max(10, int(total * weight / sum(weights)) // 10 * 10) for weight in weights]
    lots[lots.index(max(lots))] += total - sum(lots)
    return lots


def main(seed: int = SEED, folder: Path = FOLDER) -> None:
    chance = random.Random(seed + 1)
    altitude = {region["code"]: region["altitude_m"] for region in table("regions.csv", folder)}
    sharers = suppliers(folder)
    batches: list[tuple[object, ...]] = []
    deliveries: list[tuple[object, ...]] = []
    for product, need in needs(folder):
        category, group, village = (
            product["category"],
            product["linkage_group_code"],
            product["origin_village_code"],
        )
        for number, (month, part, days) in enumerate(SEASONS[category, product["harvest_months"]], 1):
            harvested = date.fromisoformat(f"{month}-{chance.randint(*days):02d}")
            grams = round(need * part / 0.95 / 1000) * 1000
            packed = grams * chance.randint(960, 985) // 10_000 * 10
            code = f"B{harvested:%y%m}-{product['code']}-{number}"
            area: object = ""
            if category in YIELD_GRAMS_PER_MU:
                area = -(-grams * chance.randint(115, 160) // (100 * YIELD_GRAMS_PER_MU[category]))
            batches.append(
                (
                    code,
                    product["cooperative_code"],
                    category,
                    group,
                    village,
                    harvested,
                    altitude[village],
                    area,
                    grams,
                    packed,
                )
            )
            day = harvested.isoformat()
            able = [
                one
                for one in sharers[group]
                if one["starts_on"] <= day and (not one["ends_on"] or one["ends_on"] >= day)
            ]
            came = (
                able if len(able) <= 8 else chance.sample(able, round(len(able) * chance.uniform(0.6, 0.85)))
            )
            floor = FLOOR_FEN_PER_KG[category] * chance.randint(95, 110) // 100
            for share, lot in zip(came, divided(chance, grams, len(came)), strict=True):
                latest = (
                    date.fromisoformat(share["ends_on"])
                    if share["ends_on"]
                    else harvested + timedelta(days=3)
                )
                on = min(harvested + timedelta(days=chance.randint(0, 3)), latest)
                deliveries.append((share["household_code"], code, lot, on, floor))
    print(f"batches.csv {write('batches.csv', BATCH_COLUMNS, batches, folder)} rows")
    print(f"deliveries.csv {write('deliveries.csv', DELIVERY_COLUMNS, deliveries, folder)} rows")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--seed",
        type=int,
        default=SEED,
        help="whole number; the files in the tree were made with %(default)s",
    )
    main(parser.parse_args().seed)
