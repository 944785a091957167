"""No day's bill is forgotten: out of season, after weeks without the gateway, or where Alipay has none; what is missing is shown and can be fetched."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.emulator.emulator import Emulator
from marketplace.foundation import clock, outbox
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.jobs import payments as jobs
from marketplace.ledger import event, posting
from marketplace.ledger.posting import Source
from marketplace.organisations.organisation import Cooperative, Organisation
from marketplace.organisations.person import Person
from marketplace.payments import account_bill, bill_day, bill_import, statement_row
from marketplace.payments.account_bill import KeptAccountBill
from marketplace.payments.alipay_account_bill import AccountBill, AccountRow
from marketplace.payments.alipay_outcome import Bill, BillAbsent, BillRow
from marketplace.payments.bill_day import MissingBill
from marketplace.payments.bill_import import ImportedBill
from marketplace.payments.channel import EXTENSION
from marketplace.payments.statement_row import StatementRow
from marketplace.reporting import money_alarm, money_health
from tests import builders
from tests.builders import Market
from tests.orders import trade
from tests.payments.gateway import WrittenChannel
from tests.payments.test_bill_import import NEXT, NOON, market, opened, paid_at_the_gateway
from tests.web.test_buying_emulator import emulator, settings
from tests.web.work_desk import browser

__all__ = ["emulator", "market", "settings"]


def mornings(days: int, begin: datetime = NEXT) -> None:
    """The jobs, each morning after ten."""
    for day in range(days):
        with clock.travel(begin + timedelta(days=day)):
            jobs.fetch_bills()
            jobs.fetch_account_bills()


def missing() -> dict[str, int]:
    """Rows that wait for their bill, and those that money's health shows."""
    db.session.rollback()
    shown = next(each.count for each in money_health.standing() if each.name == "bills")
    return {"rows": len(db.session.scalars(select(MissingBill.id)).all()), "shown": shown}


def gaps(market: Market) -> list[int]:
    """How many days lie between the bills that are here."""
    db.session.rollback()
    days = [db.session.scalars(select(each.day).order_by(each.day)).all() for each in (ImportedBill, KeptAccountBill)]
    assert days[0] == days[1]
    return [(later - day).days for day, later in zip(days[0], days[0][1:], strict=False)]


class Silent(WrittenChannel):
    """A gateway that does not answer when asked for bills."""

    def bill(self, day: date) -> object:
        return None

    def account_bill(self, day: date) -> object:
        return None


class Without(WrittenChannel):
    """Alipay that has no bill of a day on which nothing moved."""

    def bill(self, day: date) -> object:
        return BillAbsent(day)

    def account_bill(self, day: date) -> object:
        return BillAbsent(day)


def test_out_of_season_each_days_bill_comes_and_the_balance_is_known(emulator: Emulator, market: Market) -> None:
    _, payment_id = opened(market)
    paid_at_the_gateway(emulator, payment_id)
    mornings(40)
    assert gaps(market) == [1] * 39
    with clock.travel(NEXT + timedelta(days=39)):
        assert account_bill.covered_until(market.cooperative) == bill_day.newest()
        assert missing() == {"rows": 0, "shown": 0}


def test_after_weeks_without_the_gateway_every_day_is_caught_up_with(app: Flask, emulator: Emulator, market: Market) -> None:
    _, payment_id = opened(market)
    paid_at_the_gateway(emulator, payment_id)
    mornings(2)
    genuine = app.extensions[EXTENSION]
    Silent(app)
    mornings(21, NEXT + timedelta(days=2))
    with clock.travel(NEXT + timedelta(days=22)):
        assert missing()["shown"] >= 20
        assert "bills" in {each.name for each in money_alarm.frequent()}
    app.extensions[EXTENSION] = genuine
    mornings(3, NEXT + timedelta(days=23))
    assert gaps(market) == [1] * 25
    with clock.travel(NEXT + timedelta(days=25)):
        assert account_bill.covered_until(market.cooperative) == bill_day.newest()
        assert missing() == {"rows": 0, "shown": 0}


def test_a_gateway_that_does_not_answer_is_asked_less_and_less(app: Flask, market: Market) -> None:
    opened(market)
    asked: list[date] = []

    class Counting(Silent):
        def bill(self, day: date) -> object:
            asked.append(day)
            return None

    Counting(app)
    for minutes in range(0, 600, 15):
        with clock.travel(NEXT + timedelta(minutes=minutes)):
            jobs.fetch_bills()
    assert len(asked) == 4  # at once, after 10 minutes, an hour, six hours


def test_a_day_of_which_alipay_has_no_bill_is_an_empty_one_if_nothing_moved(app: Flask, emulator: Emulator, market: Market) -> None:
    _, payment_id = opened(market)
    paid_at_the_gateway(emulator, payment_id)
    mornings(1)
    Without(app)
    mornings(3, NEXT + timedelta(days=1))
    assert gaps(market) == [1]  # two days later it may still come; three days later it is known
    with transaction():
        event.alipay_unapplied(book=market.cooperative, source=Source("payment", payment_id), fen=5, at=NOON + timedelta(days=5))
    mornings(8, NEXT + timedelta(days=4))
    # On the fifth our books moved something: that a bill is missing there is for a person to see.
    assert gaps(market) == [1, 1, 1, 1, 2, 1, 1, 1]
    with clock.travel(NEXT + timedelta(days=11)):
        assert missing()["shown"] == 1  # the younger ones may be empty days yet, and are nobody's trouble
        late = [each.day for each in db.session.scalars(select(MissingBill).where(MissingBill.kind == "trade").order_by(MissingBill.day))]
        assert late[0] == clock.business_date(NOON) + timedelta(days=5)
        assert {each.reason for each in db.session.scalars(select(MissingBill))} == {"bill.absent"}


@pytest.mark.both
def test_what_another_days_bill_has_or_was_taken_back_is_no_movement_of_a_day(app: Flask) -> None:
    """A refund that left before midnight and was known after it: at a small cooperative nothing else may have moved on the day after."""
    market, day = builders.market(), clock.business_date(NOON)

    def moved(number: int) -> int:
        return transaction(lambda: event.alipay_unapplied(book=market.cooperative, source=Source("payment", number), fen=5, at=NOON))

    def billed(entry_id: int) -> None:
        row = StatementRow(organisation_id=market.cooperative, side="alipay", serial="S1", day=day - timedelta(days=1), fen=5, kind="trade", number="N1")
        db.session.add(row)
        db.session.flush()
        statement_row.link(row, entry_id, 5)

    with clock.travel(NEXT + timedelta(days=5)):
        first = moved(1)
        assert not bill_day.was_silent(market.cooperative, day)
        transaction(lambda: billed(first))
        assert bill_day.was_silent(market.cooperative, day)
        second = moved(2)
        assert not bill_day.was_silent(market.cooperative, day)
        transaction(lambda: posting.reverse(second, source=Source("payment", 2)))
        assert bill_day.was_silent(market.cooperative, day)
        assert transaction(lambda: bill_import.take_absent(market.cooperative, day))


def own(market: Market) -> Cooperative:
    return db.session.scalars(select(Cooperative).where(Cooperative.organisation_id == market.cooperative)).one()


@pytest.mark.parametrize("field", ["fen", "fee_fen", "trade_no", "finished_at"])
def test_a_bill_of_other_content_is_not_the_same_bill(market: Market, field: str) -> None:
    row = BillRow("trade", "2026", "NOBODY", "", 100, -1, NOON)
    bill = Bill(date(2026, 3, 10), own(market).alipay_seller_id, (row,), "a" * 64)
    db.session.rollback()
    first = transaction(lambda: bill_import.take(market.cooperative, bill).id)
    again = replace(bill, sha256="b" * 64)  # packed anew
    assert transaction(lambda: bill_import.take(market.cooperative, again).id) == first
    other = {"fen": 101, "fee_fen": -2, "trade_no": "2027", "finished_at": NOON + timedelta(seconds=1)}[field]
    with pytest.raises(Conflict, match=r"bill\.changed"):
        transaction(lambda: bill_import.take(market.cooperative, replace(bill, rows=(replace(row, **{field: other}),))))


@pytest.mark.parametrize("change", [{"fen": 200, "balance_fen": 200}, {"serial": "S2"}])
def test_an_account_bill_of_other_content_is_not_the_same_bill(market: Market, change: dict[str, object]) -> None:
    row = AccountRow("S1", "payment", "2026", "NOBODY", 100, 100, NOON, "收款")
    bill = AccountBill(date(2026, 3, 10), own(market).alipay_seller_id, (row,), "a" * 64)
    db.session.rollback()
    first = transaction(lambda: account_bill.take(market.cooperative, bill).id)
    assert transaction(lambda: account_bill.take(market.cooperative, replace(bill, sha256="b" * 64)).id) == first
    with pytest.raises(Conflict, match=r"bill\.changed"):
        transaction(lambda: account_bill.take(market.cooperative, replace(bill, rows=(replace(row, **change),))))


def test_a_bill_that_comes_after_alipay_had_none_takes_the_empty_ones_place(market: Market) -> None:
    day = date(2026, 3, 10)
    with clock.travel(NEXT + timedelta(days=5)):
        assert transaction(lambda: bill_import.take_absent(market.cooperative, day))
        bill = Bill(day, own(market).alipay_seller_id, (BillRow("trade", "2026", "NOBODY", "", 100, -1, NOON),), "a" * 64)
        db.session.rollback()
        assert transaction(lambda: bill_import.take(market.cooperative, bill).rows) == 1


def test_a_person_has_a_days_bills_fetched_now(app: Flask, emulator: Emulator, market: Market) -> None:
    _, payment_id = opened(market)
    paid_at_the_gateway(emulator, payment_id)
    day = clock.business_date()
    treasurer = builders.person(builders.operator(), "treasurer")
    genuine = app.extensions[EXTENSION]
    Silent(app)
    mornings(1)
    app.extensions[EXTENSION] = genuine
    with clock.travel(NEXT + timedelta(minutes=1)):
        assert (jobs.fetch_bills(), missing()["rows"]) == (0, 1)  # not its turn yet
        for who, why in ((market.clerk, NotAllowed), (builders.market(name="别家").director, NotFound), (builders.person(builders.operator(), "auditor"), NotAllowed)):
            with pytest.raises(why):
                transaction(lambda who=who: bill_day.ask_for(market.cooperative, [day], actor=who))  # type: ignore[misc]
        for wrong in (day - timedelta(days=1), day + timedelta(days=1)):
            with pytest.raises(InvalidInput, match=r"bill\.day"):
                transaction(lambda wrong=wrong: bill_day.ask_for(market.cooperative, [wrong], actor=treasurer))  # type: ignore[misc]
        for actor in (treasurer, market.accountant, market.director):
            assert transaction(lambda actor=actor: bill_day.ask_for(market.cooperative, [day], actor=actor)) == 1  # type: ignore[misc]
        assert outbox.drain(kinds={"bill.fetch"}) == (1, 0)
        assert gaps(market) == [] and missing() == {"rows": 0, "shown": 0}
        assert db.session.scalars(select(KeptAccountBill.day)).all() == [day]
    assert trade.held(market, "buyer_funds") == 17600


def test_a_bill_that_is_here_is_not_missed_for_being_asked_for_again(app: Flask, emulator: Emulator, market: Market) -> None:
    """While the gateway is away somebody has it fetched once more: nothing would ever ask for it again, and it was a trouble for ever."""
    _, payment_id = opened(market)
    paid_at_the_gateway(emulator, payment_id)
    day = clock.business_date()
    mornings(2)
    Silent(app)
    with clock.travel(NEXT + timedelta(days=1, minutes=1)):
        transaction(lambda: bill_day.ask_for(market.cooperative, [day], actor=market.accountant))
        assert outbox.drain(kinds={"bill.fetch"}) == (1, 0)
        assert missing() == {"rows": 0, "shown": 0}

    class Another(Silent):
        def bill(self, day: date) -> object:
            return Bill(day, own(market).alipay_seller_id, (BillRow("trade", "2026", "NOBODY", "", 100, -1, NOON),), "b" * 64)

    Another(app)
    with clock.travel(NEXT + timedelta(days=1, minutes=2)):
        db.session.rollback()
        transaction(lambda: bill_day.ask_for(market.cooperative, [day], actor=market.accountant))
        assert outbox.drain(kinds={"bill.fetch"}) == (1, 0)
        assert missing()["rows"] == 1
        assert db.session.scalars(select(MissingBill.reason)).one() == "bill.changed"


def test_the_page_and_the_command_ask_for_a_missing_day(app: Flask, emulator: Emulator, market: Market) -> None:
    opened(market)
    Silent(app)
    with transaction():
        db.session.get_one(Organisation, market.cooperative).code = "coop-tea"
    treasurer = builders.person(builders.operator(), "treasurer")
    login = db.session.get_one(Person, treasurer.person_id).login
    db.session.rollback()
    mornings(1)
    with clock.travel(NEXT + timedelta(days=1)):
        client = browser(app, treasurer)
        page = client.get("/operator/money/bills").text
        assert "2026-03-10" in page and "马上取" in page
        db.session.rollback()
        public_id = db.session.scalars(select(MissingBill.public_id)).one()
        assert client.post(f"/operator/money/bills/{public_id}/fetch").status_code == 303
        assert client.post("/operator/money/bills/nothing/fetch").status_code == 404
        assert browser(app, builders.person(builders.operator(), "auditor")).post(f"/operator/money/bills/{public_id}/fetch").status_code == 403
        assert outbox.drain(kinds={"bill.fetch"}) == (1, 0)
        command = ["reconcile", "fetch", "--cooperative", "coop-tea", "--day", "2026-03-10", "--actor", login]
        assert app.test_cli_runner().invoke(args=command).output == "1 days asked for\n"
        assert outbox.drain(kinds={"bill.fetch"}) == (1, 0)
        for wrong in (["--until", "2027-01-01"], ["--cooperative", "nobody"], ["--actor", "nobody"]):
            assert app.test_cli_runner().invoke(args=[*command, *wrong]).exit_code != 0
