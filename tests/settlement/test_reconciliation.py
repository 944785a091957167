"""Books against statement and bill: every kind of difference is found, listed to the fen, and gone or explained by a person."""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask

from marketplace.emulator import bill as emulated
from marketplace.emulator.emulator import Emulator
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.jobs import payments as jobs
from marketplace.ledger import event
from marketplace.ledger.posting import Source
from marketplace.organisations.organisation import Cooperative
from marketplace.payments import account_bill, row_decision, withdrawal
from marketplace.payments.alipay_account_bill import AccountBill, AccountRow, read_account_bill
from marketplace.payments.alipay_bill import BadBill
from marketplace.payments.payment import Payment
from marketplace.payments.statement_row import StatementRow
from marketplace.reporting import books, money_health
from marketplace.settlement import difference, reconciliation, remittance
from marketplace.settlement.difference import Difference, ReconciledDay
from tests import builders
from tests.builders import Market
from tests.orders import trade
from tests.payments.statement import row, take
from tests.settlement.test_payout_batch import bring, posted, sent
from tests.web.test_buying_emulator import emulator, settings

__all__ = ["emulator", "settings"]

DAY = "2026-03-10"
NOON = datetime(2026, 3, 10, 4, tzinfo=UTC)
LATER = datetime(2026, 3, 14, 4, tzinfo=UTC)


@pytest.fixture
def market(app: Flask) -> Iterator[Market]:
    """¥1,000.00 came on the tenth; today is the fourteenth, and statements are here until the thirteenth."""
    with clock.travel(NOON):
        market = builders.market(on_hand=100)
        take(market.accountant, [(DAY, 100_000, "靖安县第一中学", "货款", "B1")])
    with clock.travel(LATER):
        yield market


def covered(market: Market, *rows: tuple[str, int, str, str, str], opening_fen: int = 100_000, lost_fen: int = 0) -> None:
    """The statement goes on with these rows, and reaches the thirteenth."""
    take(market.accountant, [*rows, ("2026-03-13", 1, "银行", "利息", f"END{opening_fen}{lost_fen}")], opening_fen=opening_fen, lost_fen=lost_fen)


def paid_out(market: Market, fen: int, serial: str) -> str:
    """A remittance of the cooperative's own money, recorded on the tenth under the bank's number; our number."""
    with clock.travel(NOON), transaction():
        made = remittance.Remittance(
            organisation_id=market.cooperative, kind="REVENUE", number=f"HK20260310-{serial}", fen=fen, state="APPROVED", proposed_at=clock.now(),
            proposed_by_id=market.accountant.person_id, approved_at=clock.now(), approved_by_id=market.director.person_id, version=1,
        )  # fmt: skip
        db.session.add(made)
        db.session.flush()
        remittance.record_paid(made.id, paid_on=clock.business_date(), bank_serial=serial, actor=market.accountant, version=1)
        return made.number


def it_stands(market: Market, serial: str, ours: Difference) -> None:
    """What went out is the entry of this difference: the accountant says so, and the director."""
    entry_id = ours.entry_id
    said = transaction(lambda: row_decision.propose(row(serial).id, "STANDS", "网银回单", entry_id=entry_id, actor=market.accountant))
    transaction(lambda: row_decision.decide(said.id, version=1, approved=True, actor=market.director))
    transaction(lambda: difference.reconcile(market.cooperative))


def reconciled(market: Market) -> list[tuple[str, str, int]]:
    with transaction():
        difference.reconcile(market.cooperative)
    query = db.session.query(Difference).filter_by(organisation_id=market.cooperative, state="OPEN").order_by(Difference.id)
    return [(each.side, each.kind, each.fen) for each in query]


def task(kind: str) -> Difference:
    return db.session.query(Difference).filter_by(kind=kind, state="OPEN").one()


def broken() -> list[str]:
    return [finding.rule for finding in books.check() if not finding.ok]


def total_fits(market: Market, side: str = "bank") -> bool:
    where = reconciliation.position(market.cooperative, side)
    return where.theirs_fen is not None and where.explained_fen == where.ours_fen


@pytest.mark.both
def test_what_both_sides_have_is_no_difference(market: Market) -> None:
    number = paid_out(market, 30_000, "HD001")
    covered(market, (DAY, -30_000, "合作社", f"划款 {number}", "B2"))
    assert (reconciled(market), total_fits(market), broken()) == ([], True, [])
    where = reconciliation.position(market.cooperative, "bank")
    assert (where.ours_fen, where.theirs_fen, where.matched, where.items) == (70_001, 70_001, 3, [])


@pytest.mark.parametrize("how", ["number in the remark", "number of the bank"])
def test_a_transfer_is_known_by_our_number_or_the_banks(market: Market, how: str) -> None:
    number = paid_out(market, 30_000, "HD001")
    covered(market, (DAY, -30_000, "合作社", f"划款 {number}" if how == "number in the remark" else "转账", "B2" if how == "number in the remark" else "HD001"))
    assert reconciled(market) == []


@pytest.mark.parametrize(("name", "known"), [("中源白茶合作社", True), ("中源白茶*", True), ("", True), ("会计本人", False)])
def test_a_remittance_in_the_remark_is_not_one_that_went_to_somebody_else(market: Market, name: str, known: bool) -> None:
    """The attack: of an approved remittance the accountant transfers to themself, and writes our number into the remark."""
    number = paid_out(market, 30_000, "HD001")
    covered(market, (DAY, -30_000, name, f"划款 {number}", "B2", "62170099"))
    assert reconciled(market) == ([] if known else [("bank", "ONLY_OURS", -30_000), ("bank", "ONLY_THEIRS", 30_000)])


@pytest.mark.both
def test_only_ours_only_theirs_and_another_amount_are_each_found_and_add_up(market: Market) -> None:
    paid_out(market, 30_000, "HD001")  # the bank never did it
    number = paid_out(market, 5_000, "HD002")  # the bank took fifty fen more
    covered(market, (DAY, -5_050, "合作社", f"划款 {number}", "B2"), ("2026-03-11", -800, "银行", "账户管理费", "B3"))
    assert sorted(reconciled(market)) == [("bank", "AMOUNT", 50), ("bank", "ONLY_OURS", -30_000), ("bank", "ONLY_THEIRS", 800)]
    where = reconciliation.position(market.cooperative, "bank")
    assert (where.ours_fen, where.theirs_fen) == (65_001, 94_151)
    assert where.explained_fen == 65_001
    assert broken() == ["bank_and_alipay_are_statement_and_bill"]
    standing = next(each for each in money_health.standing() if each.name == "reconciliation")
    assert (standing.count, standing.fen) == (3, 30_850)
    assert reconciled(market) == reconciled(market), "the same again changes nothing"
    day = db.session.query(ReconciledDay).one()
    assert (day.ours_fen, day.theirs_fen, day.differences) == (65_001, 94_151, 3)


def test_a_missing_statement_and_an_account_that_held_money_before_are_found(app: Flask) -> None:
    with clock.travel(LATER):
        market = builders.market()
        take(market.accountant, [(DAY, 100, "甲", "款", "B1")], opening_fen=5_000)
        covered(market, opening_fen=5_100, lost_fen=-700)
        assert sorted(reconciled(market)) == [("bank", "BEFORE", -5_000), ("bank", "MISSING_ROWS", 700)]
        assert total_fits(market)
        take(market.accountant, [("2026-03-12", -700, "银行", "费", "B9")], opening_fen=5_100)
        assert [kind for _side, kind, _fen in reconciled(market)] == ["BEFORE", "ONLY_THEIRS"], "found, it is a row to explain"


@pytest.mark.parametrize(("hour", "until", "young"), [(0, "2026-03-10", True), (0, "2026-03-11", False)])
def test_the_cut_off_gives_the_other_side_a_day(market: Market, hour: int, until: str, young: bool) -> None:
    paid_out(market, 30_000, "HD001")
    if until != DAY:
        take(market.accountant, [(until, 1, "银行", "利息", "END")], opening_fen=100_000)
    found = [item for item in reconciliation.position(market.cooperative, "bank").items if item.kind == "ONLY_OURS"]
    assert [item.young for item in found] == [young]


def test_what_arrives_a_day_later_is_timing_and_no_difference(market: Market) -> None:
    number = paid_out(market, 30_000, "HD001")
    covered(market, ("2026-03-11", -30_000, "合作社", f"划款 {number}", "B2"))
    assert reconciled(market) == []
    then = reconciliation.position(market.cooperative, "bank", date(2026, 3, 10))
    assert [(item.kind, item.timing, item.effect_fen) for item in then.items] == [("ONLY_OURS", True, -30_000)]
    assert (then.explained_fen, then.ours_fen, then.theirs_fen) == (70_000, 70_000, 100_000)


@pytest.mark.both
def test_a_person_explains_pairs_or_waits_and_each_ends(market: Market) -> None:
    paid_out(market, 30_000, "HD001")
    covered(market, (DAY, -30_000, "合作社", "转账", "B2"), ("2026-03-11", -800, "银行", "账户管理费", "B3"))
    assert len(reconciled(market)) == 3
    fee = db.session.query(Difference).filter_by(row_id=row("B3").id).one()
    with transaction():
        difference.own(fee.id, actor=market.director)
        difference.explain(fee.id, "银行的账户管理费，下月补记", version=1, actor=market.director)
    ours, theirs = task("ONLY_OURS"), db.session.query(Difference).filter_by(row_id=row("B2").id).one()
    assert [each.id for each in difference.partners(ours)] == [theirs.id]
    with pytest.raises(Conflict, match=r"pair\.debit"), transaction():
        difference.pair(ours.id, theirs.id, version=1, actor=market.accountant)
    it_stands(market, "B2", ours)
    assert [db.session.get_one(Difference, each).state for each in (fee.id, ours.id, theirs.id)] == ["EXPLAINED", "GONE", "GONE"]
    assert (reconciled(market), broken(), total_fits(market)) == ([], [], True)
    assert fee.owner_id == fee.explained_by_id == market.director.person_id


def test_what_was_explained_is_asked_again_when_the_amount_is_another(market: Market) -> None:
    covered(market, ("2026-03-11", -800, "银行", "账户管理费", "B3"))
    reconciled(market)
    asked = task("ONLY_THEIRS")
    with transaction():
        difference.explain(asked.id, "银行的账户管理费", version=1, actor=market.director)
    asked.fen = 900
    db.session.commit()
    assert reconciled(market) == [("bank", "ONLY_THEIRS", 800)]


def test_who_may_and_what_cannot_be(market: Market) -> None:
    paid_out(market, 30_000, "HD001")
    covered(market, ("2026-03-11", -800, "银行", "账户管理费", "B3"))
    reconciled(market)
    ours = task("ONLY_OURS")
    other = builders.market(name="乙社")
    for actor, wanted in ((market.clerk, NotAllowed), (other.accountant, NotFound), (replace(market.accountant, kind="OPERATOR"), NotAllowed)):
        with pytest.raises(wanted), transaction():
            difference.explain(ours.id, "没有理由", version=1, actor=actor)
    with pytest.raises(InvalidInput), transaction():
        difference.explain(ours.id, "短", version=1, actor=market.accountant)
    with pytest.raises(Conflict), transaction():
        difference.explain(ours.id, "别人刚改过", version=9, actor=market.accountant)
    with pytest.raises(Conflict), transaction():
        difference.pair(ours.id, ours.id, version=1, actor=market.accountant)
    it_stands(market, "B3", ours)
    assert [(kind, fen) for _side, kind, fen in reconciled(market)] == [("AMOUNT", -29_200)], "what is left over stays a difference"


# Alipay: its account bill is the statement.


@pytest.fixture
def selling(app: Flask, emulator: Emulator) -> Iterator[Market]:
    with clock.travel(NOON):
        market = builders.market(on_hand=100)
        seller = db.session.query(Cooperative).one()
        emulator.register_demo_app(seller.alipay_app_id, seller.alipay_seller_id)
        yield market


def sold(market: Market, emulator: Emulator) -> Payment:
    """Two tins, paid at the gateway, ¥176.00."""
    (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
    payment = db.session.get_one(Payment, trade.opened([order_id])[0])
    emulator.pay_order(app_id=payment.app_id, out_trade_no=payment.out_trade_no, total_fen=17_600, subject="茶")
    return payment


def billed() -> None:
    """The morning after: both bills are fetched."""
    jobs.fetch_bills()
    assert jobs.fetch_account_bills() == 1
    jobs.reconcile()


NEXT = datetime(2026, 3, 11, 2, 1, tzinfo=UTC)


@pytest.mark.both
def test_alipays_balance_is_the_books_after_sale_fee_and_withdrawal(selling: Market, emulator: Emulator) -> None:
    sold(selling, emulator)
    with clock.travel(NOON + timedelta(minutes=5)):
        jobs.ask_due()
        number = emulator.withdraw(db.session.query(Cooperative).one().alipay_seller_id, 10_000)
        with transaction():
            withdrawal.record(10_000, number, actor=selling.accountant, key="w")
    with clock.travel(NEXT):
        billed()
        where = reconciliation.position(selling.cooperative, "alipay")
        assert (where.ours_fen, where.theirs_fen, where.matched, where.items) == (17_600 - 106 - 10_000, 17_600 - 106 - 10_000, 3, [])
        assert [row.kind for row in db.session.query(StatementRow).order_by(StatementRow.id)] == ["trade", "fee", "withdrawal"]
        assert broken() == []


def test_a_withdrawal_that_nobody_recorded_and_one_that_never_was_are_differences(selling: Market, emulator: Emulator) -> None:
    sold(selling, emulator)
    with clock.travel(NOON + timedelta(minutes=5)):
        jobs.ask_due()
        emulator.withdraw(db.session.query(Cooperative).one().alipay_seller_id, 5_000)
        with transaction():
            withdrawal.record(3_000, "2026031099999", actor=selling.accountant, key="w")
    with clock.travel(NEXT):
        billed()
        assert reconciled(selling) == [], "the other side may still come"
    with clock.travel(NEXT + timedelta(days=1)):
        jobs.fetch_bills()
        jobs.fetch_account_bills()
        assert sorted(reconciled(selling)) == [("alipay", "ONLY_OURS", -3_000), ("alipay", "ONLY_THEIRS", 5_000)]
        assert (total_fits(selling, "alipay"), broken()) == (True, ["bank_and_alipay_are_statement_and_bill"])


def bill(market: Market, *rows: AccountRow, day: date = date(2026, 3, 10), seller: str = "") -> AccountBill:
    return AccountBill(day, seller or db.session.query(Cooperative).filter_by(organisation_id=market.cooperative).one().alipay_seller_id, rows, "0" * 64)


@pytest.mark.both
@pytest.mark.parametrize("known", ["before the bill", "after the bill"])
def test_a_withdrawal_that_the_bank_refused_went_and_came_back(selling: Market, emulator: Emulator, known: str) -> None:
    sold(selling, emulator)
    seller = db.session.query(Cooperative).one().alipay_seller_id
    with clock.travel(NOON + timedelta(minutes=5)):
        jobs.ask_due()
        number = emulator.withdraw(seller, 10_000)
        with transaction():
            sent = withdrawal.record(10_000, number, actor=selling.accountant, key="w")
    if known == "after the bill":
        with clock.travel(NEXT):
            billed()
    with clock.travel(NEXT + timedelta(minutes=5)):
        emulator.refuse_withdrawal(number)
        with transaction():
            withdrawal.failed(sent.id, "银行退回", version=1, actor=selling.accountant)
    with clock.travel(NEXT + timedelta(days=1)):
        jobs.fetch_bills()
        jobs.fetch_account_bills()
        jobs.fetch_bills()
        jobs.fetch_account_bills()
        assert reconciled(selling) == []
        where = reconciliation.position(selling.cooperative, "alipay")
        assert (where.ours_fen, where.theirs_fen, where.explained_fen, where.items) == (17_600 - 106, 17_600 - 106, 17_600 - 106, [])
        shown = [(row.kind, row.fen) for row in db.session.query(StatementRow).order_by(StatementRow.id)]
        assert shown == [("trade", 17_600), ("fee", -106), ("withdrawal", -10_000), ("other", 10_000)]
        assert broken() == []
        # The evening before, the bill showed the money gone and not yet back.
        then = reconciliation.position(selling.cooperative, "alipay", date(2026, 3, 10))
        assert (then.explained_fen, then.ours_fen, then.theirs_fen) == (7_494, 7_494, 7_494)


def test_an_account_bill_is_kept_once_and_only_its_sellers(app: Flask) -> None:
    market = builders.market()
    moved = AccountRow("S1", "other", "T1", "", 500, 1_500, NOON, "其他")
    with transaction():
        account_bill.take(market.cooperative, bill(market, moved))
        account_bill.take(market.cooperative, bill(market, moved))
    assert db.session.query(StatementRow).count() == 1
    with pytest.raises(Conflict), transaction():
        account_bill.take(market.cooperative, bill(market, replace(moved, balance_fen=1_400)))
    with pytest.raises(InvalidInput), transaction():
        account_bill.take(market.cooperative, bill(market, moved, seller="2088000000000000"))


def test_an_account_bill_that_does_not_lead_from_balance_to_balance_is_not_believed(selling: Market, emulator: Emulator) -> None:
    payment = sold(selling, emulator)
    packed = emulated.archive(emulator.state, payment.seller_id, date(2026, 3, 10), "signcustomer")
    assert [each.kind for each in read_account_bill(packed, day=date(2026, 3, 10), seller_id=payment.seller_id).rows] == ["trade", "fee"]
    with zipfile.ZipFile(io.BytesIO(packed), metadata_encoding="gbk") as bundle:
        text = bundle.read(bundle.infolist()[0]).decode("gbk")
    for old, new, reason in (("174.94", "174.95", "balances"), ("176.00\t,0.00", "177.00\t,0.00", "totals"), (payment.seller_id, "2088999999999999", "other_bill")):
        changed = io.BytesIO()
        with zipfile.ZipFile(changed, "w") as bundle:
            bundle.writestr(emulated._GbkName("x_账务明细.csv"), text.replace(old, new).encode("gbk"))
        with pytest.raises(BadBill) as bad:
            read_account_bill(changed.getvalue(), day=date(2026, 3, 10), seller_id=payment.seller_id)
        assert bad.value.data["reason"] == reason


def test_books_below_zero_are_a_warning(app: Flask) -> None:
    market = builders.market()
    assert money_health.below_zero() == []
    with transaction():
        event.revenue_taken_out(book=market.cooperative, source=Source("planted", 1), fen=500)
    assert money_health.below_zero() == [(market.cooperative, "bank", -500)] == money_health.below_zero(market.cooperative)


def test_a_payout_is_one_row_of_the_bank_and_known_by_its_batchs_number(app: Flask) -> None:
    """However many households it pays, and in however many answers the bank says so."""
    market, distribution_id = posted()
    batch = sent(market, distribution_id)
    number, today = batch.number, f"{clock.business_date()}"
    bring(batch, market, f"{number},1,10.00,paid,")
    bring(batch, market, f"{number},2,20.00,paid,", f"{number},3,30.00,paid,")
    take(market.accountant, [(today, 100_000, "靖安县第一中学", "货款", "B1"), (today, -6_000, "代发", f"代发 {number}", "B2")])
    assert reconciled(market) == []
    assert [(each.side, each.matched) for each in [reconciliation.position(market.cooperative, "bank")]] == [("bank", 3)]


@pytest.mark.both
def test_statements_that_stopped_and_those_that_never_came_are_a_task_with_an_age(market: Market) -> None:
    def standing(of: int | None = None) -> tuple[int, datetime | None]:
        return next((each.count, each.oldest) for each in money_health.standing(of) if each.name == "statements")

    other = builders.market(name="乙社")
    paid_out(market, 30_000, "HD001")
    covered(market, (DAY, -30_000, "合作社", "HD001", "B2"))
    assert standing() == (0, None), "taken today; the other one's bank never moved"
    with clock.travel(LATER + timedelta(days=1)), transaction():
        for book, number in ((market.cooperative, 11), (other.cooperative, 12)):
            event.revenue_taken_out(book=book, source=Source("planted", number), fen=500)
    with clock.travel(LATER + timedelta(days=7)):
        assert standing() == (0, None)
    with clock.travel(LATER + timedelta(days=9)):
        assert standing() == (2, LATER + timedelta(days=1))
        assert (standing(market.cooperative)[0], [number for _row, number, _fen, _since in money_health.rows("statements")]) == (1, ["靖安农商银行"] * 2)
        take(market.accountant, [("2026-03-22", 1, "银行", "利息", "END2")], opening_fen=70_001)
        assert standing()[0] == 1
