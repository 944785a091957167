"""Payouts of any size: nothing row by row, a cap of the month, and files that are written and read in pieces."""

import pytest
from flask import Flask

from marketplace.foundation import clock, files
from marketplace.foundation.config import settings
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.ledger import balance
from marketplace.ledger.entry import JournalEntry, of_source
from marketplace.settlement import household_credit, payout_batch
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.payout_item import PayoutBatch, PayoutItem
from tests.ledger.account_book import read
from tests.settlement.test_payout_batch import approved, bring, made, posted, sent


def capped(app: Flask, fen: int) -> None:
    object.__setattr__(app.extensions["settings"], "payout_cap_fen", fen)


def fens(row: PayoutBatch) -> list[int]:
    return [item.fen for item in payout_batch.items_of(row.id)]


@pytest.mark.both
def test_above_the_cap_of_a_month_stays_the_households_credit_until_the_next(app: Flask) -> None:
    market, distribution_id = posted()  # ¥10.00, ¥20.00 and ¥30.00
    capped(app, 1_500)
    row = made(market, distribution_id)
    assert (fens(row), row.cap_fen, row.held_back_households, row.held_back_fen) == ([1_000, 1_500, 1_500], 1_500, 2, 2_000)
    with pytest.raises(Conflict, match=r"payout\.empty"):
        made(market, distribution_id)  # this month they had what there is
    distribution = db.session.get_one(Distribution, distribution_id)
    assert household_credit.counted(distribution) == household_credit.Payable(0, 0, 0, 0, 2, 2_000)
    transaction(lambda: payout_batch.approve(row.id, actor=market.director, version=1))
    transaction(lambda: payout_batch.mark_sent(row.id, actor=market.accountant))
    held = balance.by_owner("household", market.cooperative)
    assert [held[f"household:{each}"] for each in market.households] == [0, 500, 1_500]
    first = clock.business_date().replace(day=28)
    with clock.travel(clock.beijing_midnight(first.replace(year=first.year + 1))):
        assert fens(made(market, distribution_id)) == [500, 1_500]


def test_what_came_back_does_not_count_as_paid_in_the_month(app: Flask) -> None:
    market, distribution_id = posted()
    capped(app, 1_500)
    row = sent(market, distribution_id)
    bring(row, market, f"{row.number},2,15.00,returned,户名不符")
    again = transaction(lambda: payout_batch.reissue(row.id, actor=market.accountant))
    assert (fens(again), again.reissue_of_id) == ([1_500], row.id)
    with pytest.raises(Conflict, match=r"payout\.empty"):
        made(market, distribution_id)


@pytest.mark.both
def test_a_results_file_is_one_entry_for_each_thing_that_it_says(app: Flask) -> None:
    market, distribution_id = posted()
    row = sent(market, distribution_id)
    (entry,) = of_source("payout_batch", row.id, "payout_sent")
    first, second, third = sorted(market.households)
    assert sorted(read(entry.id).splitlines()) == sorted([
        f"debit  household household:{first} 10.00", f"debit  household household:{second} 20.00",
        f"debit  household household:{third} 30.00", "credit in_transit 60.00",
    ])  # fmt: skip
    changed = bring(row, market, f"{row.number},1,10.00,paid,", f"{row.number},2,20.00,returned,户名不符", f"{row.number},3,30.00,refused,余额不足")
    assert (changed.paid, changed.returned, len(changed)) == (1, 2, 3)
    kinds = {entry.kind: read(entry.id).splitlines() for entry in of_source("payout_batch", row.id) if entry.kind != "payout_sent"}
    assert kinds == {
        "payout_debited": ["debit  in_transit 30.00", "credit bank 30.00"],
        "payout_refused": ["debit  in_transit 30.00", f"credit household household:{third} 30.00"],
        "payout_returned": ["debit  bank 20.00", f"credit household household:{second} 20.00"],
    }
    before = db.session.query(JournalEntry).count()
    assert len(bring(row, market, f"{row.number},1,10.00,paid,", f"{row.number},2,20.00,returned,户名不符")) == 0
    assert db.session.query(JournalEntry).count() == before
    # "Paid" and days later "returned" is the bank's second word, and a file of its own.
    assert bring(row, market, f"{row.number},1,10.00,returned,账户已销").returned == 1
    states = [(item.state, item.reason, item.paid_at) for item in payout_batch.items_of(row.id)]
    assert states == [("returned", "账户已销", None), ("returned", "户名不符", None), ("returned", "余额不足", None)]
    assert balance.held("in_transit", market.cooperative) == 0


def test_the_file_is_the_same_in_pieces_and_is_checked_in_pieces(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    market, distribution_id = posted()
    monkeypatch.setattr("marketplace.settlement.payout_item.PAGE", 1)
    row = approved(market, distribution_id)
    _, content = transaction(lambda: payout_batch.bank_file(row.id, actor=market.director))
    lines = content.decode("gb18030").split("\r\n")
    assert [line.split(",")[0] for line in lines] == ["序号", "1", "2", "3", ""]
    name, path = transaction(lambda: payout_batch.bank_file_path(row.id, actor=market.director))
    assert (name, path.read_bytes()) == (f"{row.number}.csv", content)
    assert path.is_relative_to(settings().data_dir)
    assert list((settings().data_dir / "files").rglob("*.new")) == [], "nothing half written is left behind"
    assert db.session.get_one(files.StoredFile, row.file_id).size == len(content)


def test_an_item_opens_where_it_lies_and_nowhere_else(app: Flask) -> None:
    market, distribution_id = posted()
    row = made(market, distribution_id)
    first, second, _ = payout_batch.items_of(row.id)
    assert first.bank_account[-4:] == first.account_last4
    stolen = first.bank_account_sealed
    with transaction():
        db.session.get_one(PayoutItem, second.id).bank_account_sealed = stolen
    with pytest.raises(ValueError, match="does not open"):
        _ = db.session.get_one(PayoutItem, second.id).bank_account
