"""Writes the seed's checked rows into the tables. What stands already under its code is left as it is: loading again adds only what is new."""

import secrets
from collections.abc import Callable
from datetime import date
from typing import Any

from sqlalchemy import insert, select

from marketplace.catalogue.category import CATEGORIES, Category
from marketplace.catalogue.product import Pack, PriceTier, Product
from marketplace.catalogue.split_scheme import SplitScheme
from marketplace.cli.seed_columns import Row, SeedFiles
from marketplace.foundation import clock
from marketplace.foundation.config import settings
from marketplace.foundation.crypto import keyring
from marketplace.foundation.database import db
from marketplace.households.household import Household
from marketplace.households.linkage_group import LinkageGroup, LinkageShare
from marketplace.households.visit import OfficerAssignment
from marketplace.organisations.organisation import Cooperative, Organisation, ServiceStation
from marketplace.organisations.person import Person, Role, hash_password
from marketplace.organisations.region import Region
from marketplace.procurement.target import Target
from marketplace.search import product_index
from marketplace.supply.batch import Batch, Delivery
from marketplace.supply.stock import Stock, StockMove

DEMO_PASSWORD = "jingan2026"  # noqa: S105  printed on purpose; production gets random ones
CATEGORY_NAMES_EN = {
    "white_tea": "Jing'an white tea",
    "chrysanthemum": "Imperial chrysanthemum",
    "camellia_oil": "Camellia oil",
    "honey": "Wild-flower honey",
}

Progress = Callable[[str, int, int], None]  # table, rows added, rows in the files


class SeedLoad:
    """One loading of checked files into the open transaction. Ids by code are kept for the rows that refer to them."""

    def __init__(self, files: SeedFiles, progress: Progress) -> None:
        self.files = files
        self.progress = progress
        self.added: dict[str, int] = {}
        self.id: dict[str, dict[Any, int]] = {}

    def run(self) -> dict[str, int]:
        """Load all files in the order in which they refer to each other. Returns rows added per table."""
        steps = (
            self._categories, self._regions, self._organisations, self._stations, self._cooperatives, self._people, self._groups,
            self._schemes, self._products, self._packs, self._tiers, self._households, self._shares, self._batches, self._deliveries, self._targets, self._officers,
        )  # fmt: skip
        for step in steps:
            step()
        return self.added

    def _rows(self, name: str) -> list[Row]:
        return [row for _, row in self.files.rows[name]]

    def _add(self, model: Any, rows: list[Any], given: int) -> None:
        if rows and isinstance(rows[0], dict):
            db.session.execute(insert(model), rows)
        else:
            db.session.add_all(rows)
            db.session.flush()
        self.added[model.__tablename__] = self.added.get(model.__tablename__, 0) + len(rows)
        self.progress(model.__tablename__, len(rows), given)

    def _known(self, model: Any, *columns: Any) -> dict[Any, int]:
        """Ids of the rows that stand, by one column or by several."""
        first = [model.id] if hasattr(model, "id") else [columns[0]]
        found = db.session.execute(select(*first, *columns))
        return {(row[1] if len(columns) == 1 else tuple(row[1:])): row[0] for row in found}

    def _by_code(self, model: Any, file: str, make: Callable[[Row], Any], column: str = "code") -> None:
        """Add the rows of ``file`` whose code does not stand yet, and keep all ids."""
        known = self._known(model, getattr(model, column))
        rows = self._rows(file)
        self._add(model, [make(row) for row in rows if row[column] not in known], len(rows))
        self.id[model.__tablename__] = self._known(model, getattr(model, column))

    def _categories(self) -> None:
        known = set(db.session.scalars(select(Category.code)))
        rows = [
            Category(code=code, name_zh=name, name_en=CATEGORY_NAMES_EN.get(code), licence_category=licence, position=position)
            for position, (code, (name, licence)) in enumerate(CATEGORIES.items(), 1)
            if code not in known
        ]
        self._add(Category, rows, len(CATEGORIES))

    def _regions(self) -> None:
        # County, townships, villages one after the other: a region needs the id of the one above.
        known = self._known(Region, Region.code)
        rows = self._rows("regions.csv")
        for kind in ("COUNTY", "TOWNSHIP", "VILLAGE"):
            ofkind = [row for row in rows if row["kind"] == kind]
            new = [
                Region(
                    code=row["code"], kind=kind, parent_id=known.get(row["parent_code"]), name_zh=row["name_zh"], name_en=row["name_en"] or None,
                    altitude_m=_number(row["altitude_m"]), gi_area=row["gi_area"] == "yes", is_invented=row["is_invented"] == "yes",
                )
                for row in ofkind if row["code"] not in known
            ]  # fmt: skip
            self._add(Region, new, len(ofkind))
            known = self._known(Region, Region.code)
        self.id["region"] = known
        self.township = {row["code"]: known[row["parent_code"]] for row in rows if row["kind"] == "VILLAGE"}

    def _organisations(self) -> None:
        known = self._known(Organisation, Organisation.code)
        rows = self._rows("organisations.csv")
        new = {
            row["code"]: Organisation(
                code=row["code"], kind=row["kind"], name_zh=row["name_zh"], name_en=row["name_en"] or None, region_id=self.id["region"][row["region_code"]],
                credit_code=row["credit_code"], address=row["address"], phone=row["phone"], created_at=clock.now(),
            )
            for row in rows if row["code"] not in known
        }  # fmt: skip
        self._add(Organisation, list(new.values()), len(rows))
        self.id["organisation"] = known = self._known(Organisation, Organisation.code)
        for row in rows:
            if row["parent_code"] and row["code"] in new:
                new[row["code"]].parent_id = known[row["parent_code"]]
        db.session.flush()
        self.operator_id = next(known[row["code"]] for row in rows if row["kind"] == "OPERATOR")

    def _stations(self) -> None:
        rows = self._rows("service_stations.csv")
        known = self.id["organisation"]
        new = [row for row in rows if row["code"] not in known]
        made = [
            Organisation(
                code=row["code"], kind="STATION", name_zh=row["name_zh"], name_en=row["name_en"] or None, region_id=self.id["region"][row["region_code"]],
                address=row["address"], phone=row["phone"], created_at=clock.now(),
            )
            for row in new
        ]  # fmt: skip
        self._add(Organisation, made, len(rows))
        known.update({str(each.code): each.id for each in made})
        stations = [
            ServiceStation(organisation_id=known[row["code"]], region_id=self.id["region"][row["region_code"]], keeper_name=row["keeper_name"])
            for row in new
        ]
        self._add(ServiceStation, stations, len(rows))

    def _cooperatives(self) -> None:
        known = set(db.session.scalars(select(Cooperative.organisation_id)))
        rows = self._rows("cooperatives.csv")
        new = []
        for row in rows:
            organisation_id = self.id["organisation"][row["organisation_code"]]
            if organisation_id in known:
                continue
            seller = Cooperative(
                organisation_id=organisation_id, food_licence=row["food_licence"], licence_expires_on=date.fromisoformat(row["licence_expires_on"]),
                licence_scope=row["licence_scope"], bank_name=row["bank_name"], alipay_app_id=row["alipay_app_id"],
                alipay_seller_id=row["alipay_seller_id"], story_zh=row["story_zh"], story_en=row["story_en"] or None,
            )  # fmt: skip
            seller.bank_account = row["bank_account"]
            new.append(seller)
        self._add(Cooperative, new, len(rows))

    def _people(self) -> None:
        rows = self._rows("people.csv")
        known = self._known(Person, Person.login)
        # One hash for all: the password is printed anyway, and 250 hashes would take half a minute. In production nobody knows it.
        password = secrets.token_urlsafe(32) if settings().is_production else DEMO_PASSWORD
        hashed = hash_password(password)
        new: dict[str, Person] = {}
        for row in rows:
            if row["login"] in known or row["login"] in new:
                continue
            person = Person(
                login=row["login"], name_zh=row["name_zh"], password_hash=hashed, is_demo=row["demo"] == "yes", created_at=clock.now()
            )
            if row["phone"]:
                person.phone = row["phone"]
                person.phone_index = keyring().blind_index(row["phone"], "person.phone")
            new[row["login"]] = person
        self._add(Person, list(new.values()), len({row["login"] for row in rows}))
        homes = {row["login"]: Organisation(kind="PERSON", name_zh=row["name_zh"], created_at=clock.now()) for row in rows if not row["organisation_code"] and row["login"] in new}
        self._add(Organisation, list(homes.values()), len(homes))
        known = self._known(Person, Person.login)
        held = self._known(Role, Role.person_id, Role.organisation_id, Role.name)
        roles = []
        for row in rows:
            if row["organisation_code"]:
                where = self.id["organisation"][row["organisation_code"]]
            elif row["login"] in homes:
                where = homes[row["login"]].id
            else:
                continue  # a customer that stands has an organisation of their own already
            if (known[row["login"]], where, row["role"]) not in held:
                roles.append(Role(person_id=known[row["login"]], organisation_id=where, name=row["role"]))
        self._add(Role, roles, len(rows))
        self.person = known

    def _groups(self) -> None:
        self._by_code(LinkageGroup, "linkage_groups.csv", lambda row: LinkageGroup(
            organisation_id=self.id["organisation"][row["cooperative_code"]], code=row["code"], category=row["category"],
            region_id=self.id["region"][row["region_code"]], name_zh=row["name_zh"], name_en=row["name_en"] or None,
            patronage_bp=int(row["patronage_bp"]), starts_on=date.fromisoformat(row["starts_on"]), ends_on=_day(row["ends_on"]),
        ))  # fmt: skip

    def _schemes(self) -> None:
        known = self._known(SplitScheme, SplitScheme.organisation_id, SplitScheme.category, SplitScheme.version_no)
        rows = self._rows("split_schemes.csv")
        new = []
        for row in rows:
            seller = self.id["organisation"][row["cooperative_code"]]
            if (seller, row["category"], int(row["version_no"])) not in known:
                shares = {f"{part}_bp": int(row[f"{part}_bp"]) for part in ("cooperative", "household_pool", "village_collective", "relief_fund")}
                new.append(SplitScheme(
                    organisation_id=seller, category=row["category"], version_no=int(row["version_no"]),
                    effective_from=date.fromisoformat(row["effective_from"]), **shares,
                ))  # fmt: skip
        self._add(SplitScheme, new, len(rows))

    def _products(self) -> None:
        cheapest: dict[str, int] = {}
        for pack in self._rows("packs.csv"):
            cheapest[pack["product_code"]] = min(int(pack["price_fen"]), cheapest.get(pack["product_code"], 10**9))
        clerks = {row["organisation_code"]: self.person[row["login"]] for row in self._rows("people.csv") if row["role"] == "clerk"}
        made: list[Product] = []

        def make(row: Row) -> Product:
            names = ("code", "category", "slug", "name_zh", "summary_zh", "story_zh", "storage_zh", "standard_code", "picture", "state")
            english = ("name_en", "summary_en", "story_en", "storage_en")
            sent = row["state"] != "DRAFT"
            product = Product(
                organisation_id=self.id["organisation"][row["cooperative_code"]], linkage_group_id=self.id["linkage_group"][row["linkage_group_code"]],
                origin_id=self.id["region"][row["origin_village_code"]], township_id=self.township[row["origin_village_code"]],
                gi_mark=row["gi_mark"] == "yes", shelf_life_months=int(row["shelf_life_months"]), from_price_fen=cheapest.get(row["code"]),
                submitted_by_id=clerks.get(row["cooperative_code"]) if sent else None, submitted_at=clock.now() if sent else None,
                listed_at=clock.now() if row["state"] == "ON_SALE" else None,
                **{name: row[name] for name in names}, **{name: row[name] or None for name in english},
            )  # fmt: skip
            made.append(product)
            return product

        self._by_code(Product, "products.csv", make)
        if made:
            product_index.index_everything()

    def _packs(self) -> None:
        known = self._known(Pack, Pack.sku)
        rows = self._rows("packs.csv")
        seller = {row["code"]: self.id["organisation"][row["cooperative_code"]] for row in self._rows("products.csv")}
        new = [row for row in rows if row["sku"] not in known]
        made = [
            Pack(
                organisation_id=seller[row["product_code"]], product_id=self.id["product"][row["product_code"]], sku=row["sku"], name_zh=row["name_zh"],
                name_en=row["name_en"] or None, net_grams=int(row["net_grams"]), net_ml=_number(row["net_ml"]), pieces=_number(row["pieces"]),
                price_fen=int(row["price_fen"]), position=int(row["position"]),
            )
            for row in new
        ]  # fmt: skip
        self._add(Pack, made, len(rows))
        self.id["pack"] = self._known(Pack, Pack.sku)
        self.seller_of_sku = {row["sku"]: seller[row["product_code"]] for row in rows}
        stocks = [
            {"pack_id": self.id["pack"][row["sku"]], "organisation_id": seller[row["product_code"]], "on_hand": int(row["on_hand"]), "reserved": 0}
            for row in new
        ]
        self._add(Stock, stocks, len(rows))
        # The sum of a pack's moves is its stock: the first count is a move like any other.
        counted = [
            {**stock, "reason": "COUNTED", "source_type": "pack", "source_id": stock["pack_id"], "at": clock.now(), "person_id": None}
            for stock in stocks if stock["on_hand"]
        ]  # fmt: skip
        self._add(StockMove, counted, len(rows))

    def _tiers(self) -> None:
        known = self._known(PriceTier, PriceTier.pack_id, PriceTier.min_quantity)
        rows = self._rows("price_tiers.csv")
        new = [
            {"organisation_id": self.seller_of_sku[row["sku"]], "pack_id": pack_id, "min_quantity": int(row["min_quantity"]), "price_fen": int(row["price_fen"])}
            for row in rows
            if ((pack_id := self.id["pack"][row["sku"]]), int(row["min_quantity"])) not in known
        ]
        self._add(PriceTier, new, len(rows))

    def _households(self) -> None:
        def make(row: Row) -> Household:
            home = Household(
                organisation_id=self.operator_id, code=row["code"], village_id=self.id["region"][row["village_code"]], registry_status=row["registry_status"],
                monitoring_kind=row["monitoring_kind"], people=int(row["people"]), bank_name=row["bank_name"],
                entered_on=date.fromisoformat(row["entered_on"]), statement_token=secrets.token_urlsafe(24),
            )  # fmt: skip
            home.name = row["name_zh"]
            home.id_number = row["id_number"]
            home.bank_account = row["bank_account"]
            home.set_hardship(ill_or_disabled=row["ill_or_disabled"] == "yes", unable_to_work=int(row["people_unable_to_work"]))
            return home

        self._by_code(Household, "households.csv", make)

    def _shares(self) -> None:
        known = self._known(LinkageShare, LinkageShare.group_id, LinkageShare.household_id, LinkageShare.kind, LinkageShare.starts_on)
        owner = {row["code"]: self.id["organisation"][row["cooperative_code"]] for row in self._rows("linkage_groups.csv")}
        rows = self._rows("linkage_shares.csv")
        new = []
        for row in rows:
            group, home = self.id["linkage_group"][row["group_code"]], self.id["household"][row["household_code"]]
            if (group, home, row["kind"], date.fromisoformat(row["starts_on"])) not in known:
                new.append({
                    "organisation_id": owner[row["group_code"]], "group_id": group, "household_id": home, "kind": row["kind"], "shares": int(row["shares"]),
                    "starts_on": date.fromisoformat(row["starts_on"]), "ends_on": _day(row["ends_on"]), "basis_zh": row["basis_zh"],
                    "asset_kind": row["asset_kind"] or None, "appraised_fen": _number(row["appraised_fen"]),
                })  # fmt: skip
        self._add(LinkageShare, new, len(rows))

    def _batches(self) -> None:
        self._by_code(Batch, "batches.csv", lambda row: Batch(
            organisation_id=self.id["organisation"][row["cooperative_code"]], code=row["code"], category=row["category"],
            linkage_group_id=self.id["linkage_group"][row["linkage_group_code"]], village_id=self.id["region"][row["village_code"]],
            harvested_on=date.fromisoformat(row["harvested_on"]), altitude_m=_number(row["altitude_m"]), area_mu=_number(row["area_mu"]),
            grams_harvested=int(row["grams_harvested"]), grams_packed=int(row["grams_packed"]), grams_sold=0,
        ))  # fmt: skip

    def _deliveries(self) -> None:
        known = self._known(Delivery, Delivery.batch_id, Delivery.household_id, Delivery.delivered_on)
        owner = {row["code"]: self.id["organisation"][row["cooperative_code"]] for row in self._rows("batches.csv")}
        rows = self._rows("deliveries.csv")
        new = []
        for row in rows:
            batch, home, day = self.id["batch"][row["batch_code"]], self.id["household"][row["household_code"]], date.fromisoformat(row["delivered_on"])
            if (batch, home, day) not in known:
                new.append({
                    "organisation_id": owner[row["batch_code"]], "batch_id": batch, "household_id": home, "grams": int(row["grams"]),
                    "delivered_on": day, "floor_price_fen_per_kg": int(row["floor_price_fen_per_kg"]),
                })  # fmt: skip
        self._add(Delivery, new, len(rows))

    def _targets(self) -> None:
        known = self._known(Target, Target.organisation_id, Target.year)
        rows = self._rows("targets.csv")
        new = [
            Target(
                organisation_id=unit, year=int(row["year"]), canteen=row["canteen"], base_fen=int(row["base_fen"]), percent_bp=int(row["percent_bp"]),
                reserved_fen=int(row["base_fen"]) * int(row["percent_bp"]) // 10_000, state=row["state"],
            )
            for row in rows
            if ((unit := self.id["organisation"][row["unit_code"]]), int(row["year"])) not in known
        ]  # fmt: skip
        self._add(Target, new, len(rows))

    def _officers(self) -> None:
        known = self._known(OfficerAssignment, OfficerAssignment.person_id, OfficerAssignment.village_id)
        rows = self._rows("officer_assignments.csv")
        new = [
            OfficerAssignment(organisation_id=self.operator_id, person_id=person, village_id=village, starts_on=clock.business_date())
            for row in rows
            if ((person := self.person[row["login"]]), (village := self.id["region"][row["village_code"]])) not in known
        ]
        self._add(OfficerAssignment, new, len(rows))


def _number(value: str) -> int | None:
    return int(value) if value else None


def _day(value: str) -> date | None:
    return date.fromisoformat(value) if value else None
