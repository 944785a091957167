"""From harvest to shelf: a batch is recorded once, packed no further than it reaches, and counted by hand with a reason."""

from datetime import date, timedelta

import pytest
from sqlalchemy import func, select

from marketplace.catalogue.product import Pack
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.households.linkage_group import LinkageGroup
from marketplace.organisations.region import Region
from marketplace.supply import batch_figures, harvest, packing, stock, stock_count
from marketplace.supply.batch import Batch
from marketplace.supply.harvest import Harvest
from marketplace.supply.packing import Packing
from marketplace.supply.stock import Stock, StockMove
from tests import builders

pytestmark = pytest.mark.usefixtures("app")


def brought(market: builders.Market, **changed: object) -> Harvest:
    group = db.session.get_one(LinkageGroup, market.group).public_id
    given = {"group": group, "village": "360925201001", "harvested_on": clock.business_date(), "grams": 50_000, **changed}
    return Harvest(**given)  # type: ignore[arg-type]


def recorded(market: builders.Market, key: str = "k", **changed: object) -> int:
    wanted = brought(market, **changed)
    return transaction(lambda: harvest.record(wanted, actor=market.clerk, key=key))


def pack_name(market: builders.Market) -> str:
    return db.session.get_one(Pack, market.pack).public_id


def packed(market: builders.Market, batch_id: int, packs: int, key: str = "p", note: str = "") -> int:
    name = pack_name(market)
    return transaction(lambda: packing.pack(batch_id, name, packs, actor=market.clerk, key=key, note=note))


def on_hand(market: builders.Market) -> int:
    db.session.rollback()
    return db.session.get_one(Stock, market.pack).on_hand


@pytest.mark.both
def test_a_harvest_is_recorded_once_and_packed_into_stock() -> None:
    market = builders.market()
    batch_id = recorded(market)
    assert recorded(market) == batch_id
    batch = db.session.get_one(Batch, batch_id)
    assert (batch.grams_harvested, batch.grams_packed, batch.altitude_m, batch.category) == (50_000, 0, 620, "white_tea")
    assert packed(market, batch_id, 100) == packed(market, batch_id, 100)
    db.session.rollback()
    assert db.session.get_one(Batch, batch_id).grams_packed == 5000
    assert on_hand(market) == 110
    moves = select(func.sum(StockMove.on_hand)).where(StockMove.pack_id == market.pack)
    assert db.session.scalar(moves) == 110
    move = db.session.scalars(select(StockMove).order_by(StockMove.id.desc())).first()
    assert move is not None
    assert (move.reason, move.source_type, move.person_id) == ("PACKED", "packing", market.clerk.person_id)


def test_no_more_is_packed_than_was_harvested_nor_opened_than_is_free() -> None:
    market = builders.market()
    batch_id = recorded(market)
    with pytest.raises(Conflict, match=r"packing\.short"):
        packed(market, batch_id, 1001)
    packed(market, batch_id, 1000)
    with pytest.raises(InvalidInput, match=r"packing\.note"):
        packed(market, batch_id, -10, key="back")
    packed(market, batch_id, -10, key="back", note="称错了")
    assert on_hand(market) == 1000
    transaction(lambda: stock.reserve({market.pack: 1000}, source_type="test", source_id=1))
    with pytest.raises(Conflict, match=r"stock\.reserved"):
        packed(market, batch_id, -1, key="more", note="再拆")
    with transaction():
        db.session.get_one(Batch, market.batch).grams_sold = 100_000
    with pytest.raises(Conflict, match=r"packing\.sold"):
        packed(market, market.batch, -1, key="sold", note="卖掉的")
    assert db.session.scalar(select(func.sum(Packing.packs))) == 990


def test_goods_of_another_group_or_cooperative_are_not_packed() -> None:
    market, other = builders.market(), builders.market(name="另一家合作社")
    batch_id, foreign, strange = recorded(market), pack_name(other), builders.linkage_group(market.cooperative)
    stranger = builders.product(market.cooperative, strange)
    name = db.session.get_one(Pack, builders.pack_of(stranger)).public_id
    with pytest.raises(InvalidInput, match=r"packing\.group"), transaction():
        packing.pack(batch_id, name, 1, actor=market.clerk, key="a")
    with pytest.raises(NotFound), transaction():
        packing.pack(batch_id, foreign, 1, actor=market.clerk, key="b")
    with pytest.raises(NotFound), transaction():
        packing.pack(batch_id, foreign, 1, actor=other.clerk, key="c")
    with pytest.raises(NotAllowed), transaction():
        packing.pack(batch_id, name, 1, actor=market.accountant, key="d")


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"harvested_on": date(2099, 1, 1)}, "harvested_on"), ({"harvested_on": date(2010, 1, 1)}, "harvested_on"), ({"village": "999"}, "village"),
        ({"grams": 0}, "grams"), ({"altitude_m": 9000}, "altitude_m"), ({"area_mu": 0}, "area_mu"),
    ],
)  # fmt: skip
def test_a_bad_harvest_is_refused_at_its_field(changed: dict[str, object], field: str) -> None:
    market = builders.market()
    with pytest.raises(InvalidInput) as refused:
        recorded(market, **changed)
    assert refused.value.data["field"] == field
    assert db.session.query(Batch).count() == 1


def test_a_weight_is_corrected_with_a_reason_and_not_below_what_is_packed() -> None:
    market = builders.market()
    batch_id = recorded(market)
    packed(market, batch_id, 100)
    with pytest.raises(InvalidInput, match=r"harvest\.reason"), transaction():
        harvest.correct(batch_id, 60_000, " ", version=1, actor=market.clerk)
    with pytest.raises(Conflict, match=r"harvest\.packed"), transaction():
        harvest.correct(batch_id, 4999, "称错了", version=1, actor=market.clerk)
    transaction(lambda: harvest.correct(batch_id, 5000, "称错了", version=1, actor=market.clerk))
    with pytest.raises(Conflict, match=r"version\.stale"), transaction():
        harvest.correct(batch_id, 6000, "又称错了", version=1, actor=market.clerk)


@pytest.mark.parametrize(
    ("day", "altitude", "gi", "faults"),
    [
        (date(2026, 3, 15), 400, True, []), (date(2026, 4, 15), 620, True, []), (date(2026, 4, 16), 620, True, ["season"]),
        (date(2026, 3, 14), 399, False, ["area", "altitude", "season"]), (date(2026, 4, 1), None, True, ["altitude"]),
    ],
)  # fmt: skip
def test_the_indication_asks_for_place_height_and_season(day: date, altitude: int | None, gi: bool, faults: list[str]) -> None:
    batch = Batch(category="white_tea", harvested_on=day, altitude_m=altitude)
    assert batch.gi_faults(Region(gi_area=gi)) == faults
    assert "category" in Batch(category="honey", harvested_on=day, altitude_m=altitude).gi_faults(Region(gi_area=gi))


def test_promises_lie_on_the_oldest_batches_first() -> None:
    market = builders.market(on_hand=5000)
    with transaction():
        db.session.get_one(Batch, market.batch).harvested_on = clock.business_date() - timedelta(days=30)
    newer = builders.batch(market.cooperative, market.group, grams=20_000)
    transaction(lambda: stock.reserve({market.pack: 2100}, source_type="test", source_id=1))  # 105 kg
    assert batch_figures.promised(market.cooperative) == {market.batch: 100_000, newer: 5000}
    transaction(lambda: stock.reserve({market.pack: 400}, source_type="test", source_id=2))
    assert batch_figures.promised(market.cooperative) == {market.batch: 100_000, newer: 20_000, 0: 5000}


def test_a_count_by_hand_keeps_its_reason_and_notices_what_moved_meanwhile() -> None:
    market = builders.market()
    name = pack_name(market)

    def count(counted: int, seen: int, key: str = "c", reason: str = "SPOILED", note: str = "压坏了两罐") -> int:
        return transaction(lambda: stock_count.count(name, counted, seen=seen, reason=reason, note=note, actor=market.clerk, key=key))

    assert count(8, 10) == count(8, 10) == -2
    with pytest.raises(Conflict, match=r"stock\.moved"):
        count(9, 10, key="other")
    for wrong in ({"reason": "WHIM"}, {"note": " "}):
        with pytest.raises(InvalidInput):
            count(7, 8, key="wrong", **wrong)
    with pytest.raises(InvalidInput, match=r"count\.same"):
        count(8, 8, key="same")
    transaction(lambda: stock.reserve({market.pack: 8}, source_type="test", source_id=1))
    with pytest.raises(Conflict, match=r"stock\.reserved"):
        count(7, 8, key="less")
    move = db.session.scalars(select(StockMove).where(StockMove.reason == "SPOILED")).one()
    assert (move.on_hand, move.note) == (-2, "压坏了两罐")
