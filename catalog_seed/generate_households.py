"""Makes ``households.csv`` and ``linkage_shares.csv``: synthetic households that add up exactly to the county's report.

Run ``python -m catalog_seed.generate_households [--seed N]``; the same seed and the same regions and groups give the same files.
Nobody in them exists: names are built from solar terms and herbs, and every ID number has a birth date after 2090.
"""

import argparse
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from stdnum import luhn
from stdnum.cn import ric

from catalog_seed.csv_rows import FOLDER, table, write

SEED = 360925
# Households of each township; together 2,185. NOT_LIFTED ones are spread in proportion.
TOWNSHIPS = {
    "360925100000": ("SX", 210), "360925101000": ("RS", 330), "360925102000": ("BF", 235), "360925103000": ("GH", 215),
    "360925104000": ("ZD", 180), "360925200000": ("XT", 190), "360925201000": ("SK", 205), "360925202000": ("ZY", 240),
    "360925203000": ("LW", 140), "360925204000": ("SZL", 110), "360925205000": ("LGJ", 130),
}  # fmt: skip
LIFTED, LIFTED_PEOPLE = 2053, 5403
ILL, ILL_PEOPLE = 101, 193  # of the households not lifted, those ill or disabled
OTHER, OTHER_PEOPLE = 31, 40  # the rest of those not lifted
UNABLE_PEOPLE = 148

SURNAMES = "余舒邓涂项漆钟赖龚熊戴况帅甘晏钱黎刘陈胡李黄罗徐彭万傅喻严卢聂骆邱温谌简游魏施张王周吴郑冯蒋沈韩杨朱秦许何吕孔曹华金陶姜"
_PAIRS = (
    "立春雨水惊蛰春分清明谷雨立夏小满芒种夏至小暑大暑立秋处暑白露秋分寒露霜降立冬小雪大雪冬至小寒大寒"
    "当归半夏茯苓石斛白芷重楼南星杜仲紫苏佩兰陈皮辛夷连翘木香苍术天麻景天青黛甘草黄连忍冬远志百部泽泻"
)
GIVEN = [_PAIRS[start : start + 2] for start in range(0, len(_PAIRS), 2)]
HOUSEHOLD_COLUMNS = (
    "code", "village_code", "name_zh", "id_number", "bank_name", "bank_account", "registry_status", "monitoring_kind",
    "people", "people_unable_to_work", "ill_or_disabled", "entered_on",
)  # fmt: skip
SHARE_COLUMNS = ("group_code", "household_code", "kind", "shares", "asset_kind", "appraised_fen", "starts_on", "ends_on", "basis_zh")


@dataclass
class Household:
    village: str
    lifted: bool
    people: int
    unable: int = 0
    ill: bool = False
    monitoring: str = "NONE"
    code: str = ""
    groups: set[str] = field(default_factory=set)


def with_sum(
    chance: random.Random, count: int, total: int, sizes: list[int], weights: list[int]
) -> list[int]:
    """``count`` sizes drawn with these weights, then moved by ones until they sum to ``total``."""
    drawn = chance.choices(sizes, weights, k=count)
    while (off := total - sum(drawn)) != 0:
        place = chance.randrange(count)
        moved = drawn[place] + (1 if off > 0 else -1)
        if sizes[0] <= moved <= sizes[-1]:
            drawn[place] = moved
    return drawn


def spread(chance: random.Random, limits: list[int], total: int) -> list[int]:
    """Whole numbers, each at most its limit, that sum to ``total``."""
    given = [0] * len(limits)
    while total:
        place = chance.randrange(len(limits))
        if given[place] < limits[place]:
            given[place] += 1
            total -= 1
    return given


def households(chance: random.Random, folder: Path) -> list[Household]:
    """All 2,185, in order of township and village, with codes."""
    villages = defaultdict(list)
    for region in table("regions.csv", folder):
        if region["kind"] == "VILLAGE":
            villages[region["parent_code"]].append(region["code"])
    places = []
    for township, (_, count) in TOWNSHIPS.items():
        names = villages[township]
        weights = [chance.randint(6, 14) for _ in names]
        places += sorted(names + chance.choices(names, weights, k=count - len(names)))
    ill = with_sum(chance, ILL, ILL_PEOPLE, [1, 2, 3, 4, 5], [45, 30, 15, 7, 3])
    other = with_sum(chance, OTHER, OTHER_PEOPLE, [1, 2, 3], [75, 20, 5])
    unable = spread(chance, ill + other, UNABLE_PEOPLE)
    poor = [
        Household(
            "", False, people, unable[i], i < ILL, "SUDDEN_HARDSHIP" if chance.random() < 0.06 else "NONE"
        )
        for i, people in enumerate(ill + other)
    ]
    lifted = [
        Household(
            "",
            True,
            people,
            0,
            False,
            chance.choices(["NONE", "UNSTABLE", "SUDDEN_HARDSHIP"], [970, 24, 6])[0],
        )
        for people in with_sum(
            chance, LIFTED, LIFTED_PEOPLE, [1, 2, 3, 4, 5, 6, 7], [22, 28, 22, 16, 8, 3, 1]
        )
    ]
    everyone = poor + lifted
    chance.shuffle(everyone)
    serials: dict[str, int] = defaultdict(int)
    for household, village in zip(everyone, places, strict=True):
        short = TOWNSHIPS[village[:9] + "000"][0]
        serials[short] += 1
        household.village, household.code = village, f"JA-{short}-{serials[short]:04d}"
    return everyone


def household_rows(
    chance: random.Random, everyone: list[Household], folder: Path
) -> Iterator[tuple[object, ...]]:
    townships = {row["code"]: row["name_zh"] for row in table("regions.csv", folder)}
    names = [surname + given for surname in SURNAMES for given in GIVEN]
    chance.shuffle(names)
    for serial, (household, name) in enumerate(zip(everyone, names, strict=False)):
        born = date(2091, 1, 1) + timedelta(days=serial)
        number = f"360925{born:%Y%m%d}{chance.randint(1, 999):03d}"
        account = f"6200000{serial + 1:011d}"
        entered = date(2014, 1, 1) + timedelta(days=chance.randrange(365 * 4))
        yield (
            household.code, household.village, name, number + ric.calc_check_digit(number + "0"),
            f"江西靖安农村商业银行{townships[household.village[:9] + '000'][:-1]}支行", account + luhn.calc_check_digit(account),
            "LIFTED" if household.lifted else "NOT_LIFTED", household.monitoring, household.people, household.unable,
            "yes" if household.ill else "no", entered.isoformat(),
        )  # fmt: skip


def assign(
    chance: random.Random, everyone: list[Household], groups: list[dict[str, str]]
) -> dict[str, list[Household]]:
    """Members of each group, all of its township. Those not lifted come first; about one in fifteen is in two groups."""
    members: dict[str, list[Household]] = {group["code"]: [] for group in groups}
    for township in TOWNSHIPS:
        ours = [group for group in groups if group["region_code"][:9] == township[:9]]
        people = [household for household in everyone if household.village[:9] == township[:9]]
        chance.shuffle(people)
        people.sort(key=lambda household: household.lifted)
        roomy = [group for group in ours if int(group["households"]) >= 20]
        for household in [one for one in people if not one.lifted]:
            group = chance.choices(roomy, [int(one["households"]) for one in roomy])[0]
            members[group["code"]].append(household)
            household.groups.add(group["code"])
        for group in ours:
            code, wanted = group["code"], int(group["households"])
            near = [one for one in people if one.lifted and not one.groups]
            near.sort(key=lambda one: one.village != group["region_code"])
            shared = wanted // 15 if len(ours) > 1 else 0
            joined = near[: max(0, wanted - shared - len(members[code]))]
            members[code] += joined
            for household in joined:
                household.groups.add(code)
        for group in ours:
            code, wanted = group["code"], int(group["households"])
            second = [one for one in people if one.lifted and len(one.groups) == 1 and code not in one.groups]
            for household in chance.sample(second, wanted - len(members[code])):
                members[code].append(household)
                household.groups.add(code)
    return members


EQUITY_BASIS = {
    "white_tea": "茶园 {mu} 亩折股", "chrysanthemum": "菊花地 {mu} 亩折股", "camellia_oil": "油茶林 {mu} 亩折股", "honey": "林地 {mu} 亩折股",
}  # fmt: skip
EQUITY_ASSET = {"white_tea": "LAND", "chrysanthemum": "LAND", "camellia_oil": "FOREST", "honey": "FOREST"}
SHARE_FEN = 100_000  # every share is a thousand yuan; a mu is two
SUPPLY_BASIS = {
    "white_tea": "鲜叶保底收购协议", "chrysanthemum": "鲜花保底收购协议", "camellia_oil": "茶籽保底收购协议", "honey": "原蜜保底收购协议",
}  # fmt: skip


def share_rows(
    chance: random.Random,
    members: dict[str, list[Household]],
    everyone: list[Household],
    groups: list[dict[str, str]],
) -> Iterator[tuple[object, ...]]:
    for group in groups:
        code, category, opened = group["code"], group["category"], date.fromisoformat(group["starts_on"])
        for household in sorted(members[code], key=lambda one: one.code):
            late = chance.random() < 0.04
            since = date(2026, 1, 1) if late else opened + timedelta(days=30 * chance.randrange(6))
            yield from _shares(chance, code, category, household, since.isoformat(), "")
        if int(group["households"]) >= 60:  # somebody has left each large group: a row with its last day
            near = [
                one
                for one in everyone
                if one.lifted and not one.groups and one.village[:9] == group["region_code"][:9]
            ]
            if near:
                left = chance.choice(near)
                left.groups.add(code)
                yield from _shares(
                    chance,
                    code,
                    category,
                    left,
                    opened.isoformat(),
                    chance.choice(["2026-03-31", "2026-06-30"]),
                )


def _shares(
    chance: random.Random, code: str, category: str, household: Household, since: str, until: str
) -> Iterator[tuple[object, ...]]:
    cannot_work = household.unable == household.people
    supplies = not cannot_work and chance.random() < 0.88
    if cannot_work or not supplies or chance.random() < 0.7:
        if (
            cannot_work or chance.random() < 0.25
        ):  # grants of the county appraised into shares, a thousand yuan each
            shares = chance.randint(3, 8)
            asset, basis = "FUNDS", f"产业奖补资金 {shares * 1000} 元折股"
        else:
            shares = chance.randint(1, 12)
            asset, basis = EQUITY_ASSET[category], EQUITY_BASIS[category].format(mu=f"{shares / 2:g}")
        yield code, household.code, "EQUITY", shares, asset, shares * SHARE_FEN, since, until, basis
    if supplies:
        yield code, household.code, "SUPPLY", 0, "", "", since, until, SUPPLY_BASIS[category]
    elif cannot_work:
        yield code, household.code, "RELIEF", 0, "", "", since, until, "全家无劳动力，列入防贫基金帮扶"
    else:
        kind, basis = chance.choice([("WAGE", "采收季务工协议"), ("LEASE", "土地流转协议")])
        yield code, household.code, kind, 0, "", "", since, until, basis


def main(seed: int = SEED, folder: Path = FOLDER) -> None:
    chance = random.Random(seed)
    everyone = households(chance, folder)
    count = write("households.csv", HOUSEHOLD_COLUMNS, household_rows(chance, everyone, folder), folder)
    groups = table("linkage_groups.csv", folder)
    members = assign(chance, everyone, groups)
    shares = write("linkage_shares.csv", SHARE_COLUMNS, share_rows(chance, members, everyone, groups), folder)
    print(f"households.csv {count} rows, linkage_shares.csv {shares} rows")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--seed",
        type=int,
        default=SEED,
        help="whole number; the files in the tree were made with %(default)s",
    )
    main(parser.parse_args().seed)
