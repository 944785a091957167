"""A payout batch: two people, one frozen file, results checked line by line."""

from datetime import timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock, files
from marketplace.foundation.config import settings
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound, OutsideFailure
from marketplace.households.household import Household
from marketplace.ledger import balance
from marketplace.notices.public_notice import PublicNotice
from marketplace.organisations.actor import acting
from marketplace.organisations.approval import OwnWork
from marketplace.organisations.person import Role
from marketplace.settlement import distribution, payout_batch, payout_file, settlement
from marketplace.settlement.payout_batch import PayoutBatch
from tests import builders
from tests.builders import Market
from tests.settlement.builders import order

pytestmark = pytest.mark.both

HEADER = "number,sequence,amount,result,reason"


def posted() -> tuple[Market, int]:
    """A posted distribution of 10.00, 20.00 and 30.00 yuan."""
    market = builders.market()
    return market, posted_of(market)


def posted_of(market: Market) -> int:
    """One more of the same of a market there is."""
    order_id = order(market, 30_000)
    period = transaction(lambda: settlement.settle(order_id)).period
    row = transaction(lambda: distribution.draft(market.cooperative, period, actor=market.accountant))
    transaction(lambda: distribution.approve(row.id, actor=market.director, version=1))
    notice: PublicNotice = transaction(lambda: distribution.publish(row.id, actor=market.director))
    with clock.travel(clock.beijing_midnight(notice.ends_on + timedelta(days=1))):
        transaction(lambda: distribution.post(row.id, actor=market.accountant))
    return row.id


def made(market: Market, distribution_id: int) -> PayoutBatch:
    return transaction(lambda: payout_batch.make(distribution_id, actor=market.accountant))


def approved(market: Market, distribution_id: int) -> PayoutBatch:
    row = made(market, distribution_id)
    return transaction(lambda: payout_batch.approve(row.id, actor=market.director, version=1))


def sent(market: Market, distribution_id: int) -> PayoutBatch:
    row = approved(market, distribution_id)
    return transaction(lambda: payout_batch.mark_sent(row.id, actor=market.accountant))


def bring(row: PayoutBatch, market: Market, *lines: str) -> list[payout_batch.PayoutItem]:
    content = "\n".join([HEADER, *lines]).encode()
    return transaction(lambda: payout_batch.import_results(row.id, content, actor=market.accountant))


def test_the_file_has_everything_the_bank_asks_for(app: Flask) -> None:
    market, distribution_id = posted()
    row = approved(market, distribution_id)
    _, content = transaction(lambda: payout_batch.bank_file(row.id, actor=market.director))
    heading, first, *_ = content.decode("gb18030").split("\r\n")
    assert heading == "序号,姓名,身份证号,开户行,账号,金额（元）,用途,乡镇,村"
    household = db.session.get_one(Household, market.households[0])
    period = db.session.get_one(distribution.Distribution, distribution_id).period
    assert first == (
        f"1,{household.name},{household.id_number},靖安农商银行,{household.bank_account},10.00,{period} 联农收益,中源乡,三坪村"
    )


def test_a_cancelled_batch_gives_its_file_no_more(app: Flask) -> None:
    """Its households are in another batch by now: both files at the bank would pay them twice."""
    market, distribution_id = posted()
    row = approved(market, distribution_id)
    version = row.version
    transaction(lambda: payout_batch.approve(row.id, actor=market.director, version=version, approved=False, reason="账户不对"))
    with pytest.raises(Conflict, match=r"payout\.state"), transaction():
        payout_batch.bank_file(row.id, actor=market.accountant)
    assert approved(market, distribution_id).items == row.items


def test_a_batch_whose_file_was_taken_is_cancelled_by_two_people_only(app: Flask) -> None:
    """Who took the file may have brought it to the bank: cancelled and made again, its households would be paid twice."""
    market, distribution_id = posted()
    row = approved(market, distribution_id)
    with pytest.raises(Conflict, match=r"recall\.nobody"), transaction():
        payout_batch.recall(row.id, "网银上查过，没有这一批", actor=market.accountant, version=2)
    transaction(lambda: payout_batch.bank_file(row.id, actor=market.accountant))

    def returned(version: int) -> PayoutBatch:
        return transaction(lambda: payout_batch.approve(row.id, actor=market.director, version=version, approved=False, reason="账户不对"))

    with pytest.raises(Conflict, match=r"payout\.handed_out"):
        returned(2)
    with pytest.raises(InvalidInput, match=r"reason\.missing"), transaction():
        payout_batch.recall(row.id, "没", actor=market.accountant, version=2)
    for actor, error in ((market.clerk, NotAllowed), (builders.market(name="另一家").accountant, NotFound)):
        with pytest.raises(error), transaction():
            payout_batch.recall(row.id, "网银上查过，没有这一批", actor=actor, version=2)
    said = transaction(lambda: payout_batch.recall(row.id, "网银上查过，没有这一批", actor=market.accountant, version=2))
    assert transaction(lambda: payout_batch.recall(row.id, "再说一次也一样", actor=market.accountant, version=3)).id == said.id
    assert returned(4).state == "CANCELLED"
    assert made(market, distribution_id).total_fen == 6_000


def test_who_says_that_the_bank_never_got_it_does_not_cancel_it(app: Flask) -> None:
    market, distribution_id = posted()
    row = approved(market, distribution_id)
    transaction(lambda: payout_batch.bank_file(row.id, actor=market.director))
    transaction(lambda: payout_batch.recall(row.id, "网银上查过，没有这一批", actor=market.director, version=2))
    with pytest.raises(OwnWork), transaction():
        payout_batch.approve(row.id, actor=market.director, version=3, approved=False, reason="重做")


def test_results_of_a_file_that_nobody_recorded_as_handed_over_find_their_batch(app: Flask) -> None:
    market, distribution_id = posted()
    row = approved(market, distribution_id)
    with pytest.raises(Conflict, match=r"payout\.state"):
        bring(row, market, f"{row.number},1,10.00,paid,")
    transaction(lambda: payout_batch.bank_file(row.id, actor=market.accountant))
    assert len(bring(row, market, f"{row.number},1,10.00,paid,", f"{row.number},2,20.00,returned,户名不符")) == 2
    db.session.rollback()
    assert db.session.get_one(PayoutBatch, row.id).state == "SENT"
    assert (balance.held("in_transit", market.cooperative), balance.held("household", market.cooperative, f"household:{market.households[1]}")) == (3_000, 2_000)


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "＝1"])
def test_no_cell_is_a_formula(name: str) -> None:
    row = payout_file.Row(1, name, "", "", "", 100, "", "", "")
    cell = payout_file.write([row]).decode("gb18030").split("\r\n")[1].split(",")[1]
    assert cell == f"'{name}"


def test_a_distribution_is_batched_once(app: Flask) -> None:
    market, distribution_id = posted()
    made(market, distribution_id)
    with pytest.raises(Conflict) as refused:
        made(market, distribution_id)
    assert refused.value.code == "payout.empty"


def test_a_household_without_an_account_waits_for_a_later_batch(app: Flask) -> None:
    market, distribution_id = posted()
    last = market.households[2]
    with transaction():
        household = db.session.get_one(Household, last)
        household.bank_account = ""
    assert (made(market, distribution_id).items, balance.held("household", market.cooperative, f"household:{last}")) == (2, 3_000)
    with transaction():
        db.session.get_one(Household, last).bank_account = "6228000011112222"
    assert made(market, distribution_id).total_fen == 3_000


def test_what_is_returned_by_the_director_can_be_batched_anew(app: Flask) -> None:
    market, distribution_id = posted()
    row = made(market, distribution_id)
    transaction(lambda: payout_batch.approve(row.id, actor=market.director, version=1, approved=False, reason="账号待核"))
    assert made(market, distribution_id).total_fen == 6_000


def test_nobody_approves_their_own_batch(app: Flask) -> None:
    market, distribution_id = posted()
    row = made(market, distribution_id)
    with transaction():
        db.session.add(Role(person_id=market.accountant.person_id, organisation_id=market.cooperative, name="director"))
    both = acting(market.accountant.person_id, market.cooperative)
    assert both is not None
    with pytest.raises(OwnWork):
        transaction(lambda: payout_batch.approve(row.id, actor=both, version=1))
    with pytest.raises(NotAllowed):
        transaction(lambda: payout_batch.approve(row.id, actor=market.accountant, version=1))
    with pytest.raises(NotFound):
        transaction(lambda: payout_batch.approve(row.id, actor=builders.market(name="另一家").director, version=1))


def test_an_altered_file_is_not_sent(app: Flask) -> None:
    market, distribution_id = posted()
    row = approved(market, distribution_id)
    assert row.sha256 is not None
    path = settings().data_dir / "files" / row.sha256[:2] / row.sha256
    path.write_bytes(path.read_bytes().replace(b"30.00", b"90.00"))
    with pytest.raises(OutsideFailure):
        transaction(lambda: payout_batch.mark_sent(row.id, actor=market.accountant))
    assert balance.held("in_transit", market.cooperative) == 0


def test_another_file_in_its_place_is_not_sent(app: Flask) -> None:
    market, distribution_id = posted()
    row = approved(market, distribution_id)
    with transaction():
        other = files.store(b"1", name="x.csv", media_type="text/csv", organisation_id=market.cooperative)
        db.session.get_one(PayoutBatch, row.id).file_id = other.id
    with pytest.raises(Conflict) as refused:
        transaction(lambda: payout_batch.mark_sent(row.id, actor=market.accountant))
    assert refused.value.code == "payout.altered"


def test_every_bad_line_is_named_and_nothing_is_imported(app: Flask) -> None:
    market, distribution_id = posted()
    row = sent(market, distribution_id)
    n = row.number
    with pytest.raises(InvalidInput) as refused:
        bring(
            row, market,
            f"{n},1,10.00,paid,", f"{n},1,10.00,paid,", f"{n},2,20.01,paid,", f"{n},9,1.00,paid,", "DF-other,3,30.00,paid,",
            f"{n},3,30.00,maybe,", f"{n},3,30.00,returned,", f"{n},3,-30.00,paid,", f"{n},3",
        )  # fmt: skip
    errors = refused.value.data["errors"]
    assert [error.split(":")[0] for error in errors] == ["3", "4", "5", "6", "7", "8", "9", "10"]
    assert balance.held("in_transit", market.cooperative) == 6_000


@pytest.mark.parametrize("content", [b"", b"\xff\xff\xff", b"a,b\n1,2", HEADER.encode()])
def test_what_is_no_results_file_is_refused(app: Flask, content: bytes) -> None:
    market, distribution_id = posted()
    row = sent(market, distribution_id)
    with pytest.raises(InvalidInput):
        transaction(lambda: payout_batch.import_results(row.id, content, actor=market.accountant))


def test_results_may_come_in_parts_and_in_gb18030(app: Flask) -> None:
    market, distribution_id = posted()
    row = sent(market, distribution_id)
    bring(row, market, f"{row.number},1,10.00,paid,")
    assert db.session.get_one(PayoutBatch, row.id).state == "SENT"
    rest = f"{HEADER}\n{row.number},2,20.00,退票,户名不符\n{row.number},3,30.00,拒付,余额不足\n".encode("gb18030")
    transaction(lambda: payout_batch.import_results(row.id, rest, actor=market.accountant))
    assert db.session.get_one(PayoutBatch, row.id).state == "DONE"
    owed = balance.by_owner("household", market.cooperative)
    assert [owed[f"household:{each}"] for each in market.households] == [0, 2_000, 3_000]
    assert balance.held("in_transit", market.cooperative) == 0
    assert balance.held("bank", market.cooperative) == -1_000


def test_a_return_may_follow_days_after_paid_but_never_the_other_way(app: Flask) -> None:
    market, distribution_id = posted()
    row = sent(market, distribution_id)
    bring(row, market, f"{row.number},1,10.00,paid,")
    bring(row, market, f"{row.number},1,10.00,returned,账户已销")
    assert balance.held("household", market.cooperative, f"household:{market.households[0]}") == 1_000
    changed = bring(row, market, f"{row.number},1,10.00,paid,")
    assert (changed.asked, changed.paid, payout_batch.items_of(row.id)[0].state) == (1, 0, "returned"), "a second person is asked"
    assert balance.held("household", market.cooperative, f"household:{market.households[0]}") == 1_000
    bring(row, market, f"{row.number},2,20.00,paid,")
    with pytest.raises(Conflict) as refused:
        bring(row, market, f"{row.number},2,20.00,refused,余额不足", f"{row.number},3,30.00,paid,")
    assert (refused.value.code, payout_batch.items_of(row.id)[2].state) == ("payout.contradiction", "sent")


def test_a_returned_reissue_can_be_sent_once_more_and_a_cancelled_one_waits(app: Flask) -> None:
    market, distribution_id = posted()
    row = sent(market, distribution_id)
    bring(row, market, f"{row.number},1,10.00,returned,户名不符")
    second = transaction(lambda: payout_batch.reissue(row.id, actor=market.accountant))
    transaction(lambda: payout_batch.approve(second.id, actor=market.director, version=1, approved=False, reason="先核对"))
    third = transaction(lambda: payout_batch.reissue(row.id, actor=market.accountant))
    transaction(lambda: payout_batch.approve(third.id, actor=market.director, version=1))
    transaction(lambda: payout_batch.mark_sent(third.id, actor=market.accountant))
    bring(third, market, f"{third.number},1,10.00,returned,账户冻结")
    fourth = transaction(lambda: payout_batch.reissue(third.id, actor=market.accountant))
    assert (fourth.total_fen, fourth.reissue_of_id) == (1_000, third.id)
    assert balance.held("household", market.cooperative, f"household:{market.households[0]}") == 1_000
