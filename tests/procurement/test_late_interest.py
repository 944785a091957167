"""Late interest: 0.05 % a day of what was open at each day's end, each day claimed once, paid like an order, shared with nobody."""

from dataclasses import asdict
from datetime import date, timedelta

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.ledger import balance
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Organisation
from marketplace.payments import bank_match, match_undo
from marketplace.procurement import late_interest
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.procurement.late_interest import LateInterest, interest
from marketplace.reporting import books, overdue
from tests import builders
from tests.procurement.unit_market import (
    DESTINATION,
    UnitMarket,
    accept,
    confirmed,
    match,
    order_of,
    receipt,
    ship,
    submit,
    unit_market,
)
from tests.web.work_desk import browser

DAY = date(2026, 5, 1)


def accepted(at: UnitMarket, key: str = "k") -> int:
    """An order of ten tins at ¥80.00, accepted now and to be paid within 30 days."""
    made = confirmed(at, 10, key=key)
    ship(at, made, 10)
    accept(at, made, 10)
    return made


def claim(at: UnitMarket, made: int, key: str = "c", *, actor: Actor | None = None) -> LateInterest:
    order_id = order_of(made).id
    with transaction():
        number = late_interest.claim(order_id, actor=actor or at.market.accountant, key=key)
    return db.session.get_one(LateInterest, number)


def held(at: UnitMarket, kind: str) -> int:
    return balance.held(kind, at.market.cooperative)


def broken() -> list[str]:
    return [finding.detail for finding in books.check() if not finding.ok]


@given(
    principal=st.integers(0, 10**9), days=st.integers(1, 400), rate=st.integers(0, 2000),
    paid=st.lists(st.tuples(st.integers(-30, 430), st.integers(1, 10**8)), max_size=5),
)  # fmt: skip
def test_interest_is_what_day_by_day_counting_gives(principal: int, days: int, rate: int, paid: list[tuple[int, int]]) -> None:
    dated = [(DAY + timedelta(days=after), fen) for after, fen in paid]
    weighed = 0
    for after in range(days):
        day = DAY + timedelta(days=after)
        weighed += max(0, principal - sum(fen for on, fen in dated if on <= day))
    assert interest(principal, dated, DAY, DAY + timedelta(days=days - 1), rate) == (weighed * rate * 2 + 10**6) // (2 * 10**6)


@pytest.mark.both
def test_what_was_paid_late_stays_on_a_list_until_its_interest_is_claimed(app: Flask) -> None:
    at, start = unit_market(), clock.now()
    late, next_day, in_time = (accepted(at, key=key) for key in ("late", "next", "in time"))
    row = db.session.get_one(DirectedOrder, late)
    for made, after, serial in ((in_time, 30, "A"), (next_day, 31, "B"), (late, 50, "C")):
        with clock.travel(start + timedelta(days=after)):
            match(at, receipt(at, 80_000, day=f"{clock.business_date()}", serial=serial), made, 80_000, key=serial)
    with clock.travel(start + timedelta(days=60)):
        accountant = browser(app, at.market.accountant)
        assert overdue.of_cooperative(at.market.cooperative) == []
        (each,) = overdue.paid_late(at.market.cooperative)
        # ¥800.00 at the end of each of the nineteen days before the money came.
        assert (each.directed.id, each.days, each.accrued.fen if each.accrued else 0) == (late, 20, 760)
        page = accountant.get("/cooperative/overdue?view=paid").text
        assert f"/cooperative/overdue/{row.public_id}" in page and "付晚了 20 天" in page and "¥7.60" in page
        assert "view=paid" in accountant.get("/cooperative/overdue").text
        assert accountant.get("/cooperative/overdue/export?view=paid").status_code == 200
        claim(at, late)
        assert overdue.paid_late(at.market.cooperative) == []
        assert "没有付晚而利息没计收的单" in accountant.get("/cooperative/overdue?view=paid").text


@pytest.mark.both
def test_claimed_paid_claimed_again_waived_and_the_books_agree(app: Flask) -> None:
    at = unit_market()
    made = accepted(at)
    start = clock.now()
    with clock.travel(start + timedelta(days=31)):
        with pytest.raises(Conflict, match=r"interest\.none"):  # the first late day has not ended
            claim(at, made)
        assert overdue.of_unit(at.unit) == (1, 80_000)
    with clock.travel(start + timedelta(days=41)):
        first = claim(at, made)  # ten days of 800.00
        assert (first.fen, held(at, "interest"), held(at, "receivable")) == (400, 400, 80_400)
        assert claim(at, made).id == first.id  # clicked twice
        with pytest.raises(Conflict, match=r"interest\.none"):
            claim(at, made, "another")
        # Half is paid on this day; from now on half accrues.
        day = f"{clock.business_date()}"
        match(at, receipt(at, 40_000, day=day), made, 40_000)
    with clock.travel(start + timedelta(days=46)):
        (row,) = overdue.of_cooperative(at.market.cooperative)
        assert (row.open_fen, row.days, row.claimed_fen, row.accrued and row.accrued.fen) == (40_000, 16, 400, 100)
        second = claim(at, made, "second")
        with transaction():
            late_interest.waive(second.id, "已协商", version=1, actor=at.market.director)
        assert (held(at, "interest"), held(at, "receivable")) == (400, 40_400)
        with pytest.raises(Conflict, match=r"interest\.none"):  # waived days are not claimed again
            claim(at, made, "third")
        # The unit pays interest and the rest in one transfer; the accountant matches it in two parts.
        receipt_id = receipt(at, 40_400, day=f"{clock.business_date()}", serial="S2")
        assert {each.payable.kind for each in bank_match.propose(receipt_id, actor=at.market.accountant)} <= {"order", "late_interest"}
        with transaction():
            bank_match.match(receipt_id, "late_interest", first.id, 400, actor=at.market.accountant, key="i")
        match(at, receipt_id, made, 40_000, key="rest")
        db.session.expire_all()
        assert db.session.get_one(LateInterest, first.id).state == "PAID"
        assert (held(at, "receivable"), held(at, "unapplied"), held(at, "bank")) == (0, 0, 80_400)
        assert broken() == []
        assert [(row.late, row.longest, row.late_fen, row.open_fen) for row in overdue.of_year(clock.business_date().year) if row.late] in (
            [(1, 16, 80_000, 0)], [],
        )  # fmt: skip  the day may fall into another year than the due day


def test_the_books_notice_a_receivable_that_nobody_owes(app: Flask) -> None:
    at = unit_market()
    accepted(at)
    assert broken() == []
    order_id = order_of(1).id
    with transaction():
        db.session.execute(db.text('UPDATE "order" SET cut_fen = cut_fen + 1 WHERE id = :id'), {"id": order_id})
    assert any("receivable" in each for each in broken())


def test_who_may_claim_and_who_may_waive(app: Flask) -> None:
    at = unit_market()
    made = accepted(at)
    with clock.travel(clock.now() + timedelta(days=40)):
        with pytest.raises(NotAllowed):
            claim(at, made, actor=at.market.clerk)
        with pytest.raises(NotFound):
            claim(at, made, actor=builders.person(builders.cooperative("别的合作社"), "accountant"))
        made_id = claim(at, made).id
        for error, reason, version, actor in (
            (NotAllowed, "好", 1, at.market.accountant), (InvalidInput, " ", 1, at.market.director),
            (Conflict, "协商", 9, at.market.director), (NotFound, "协商", 1, builders.person(builders.cooperative("又一家"), "director")),
        ):  # fmt: skip
            with pytest.raises(error), transaction():
                late_interest.waive(made_id, reason, version=version, actor=actor)
        assert db.session.get_one(LateInterest, made_id).state == "CLAIMED"


def test_an_agreed_rate_goes_before_the_markets_and_no_less_than_the_lpr_may_be_agreed(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10, late_rate=300)  # three ten-thousandths a day of 800.00
    ship(at, made, 10)
    accept(at, made, 10)
    with clock.travel(clock.now() + timedelta(days=41)):
        public_id = db.session.get_one(DirectedOrder, made).public_id
        assert "万分之 3.0 " in browser(app, at.market.accountant).get(f"/cooperative/overdue/{public_id}").text
        assert "万分之 3.0" in browser(app, at.buyer).get(f"/unit/orders/{public_id}").text
        assert "万分之 3.0" in browser(app, at.market.director).get("/cooperative/unit-orders").text
        row = claim(at, made)
        assert (row.rate, row.fen, held(at, "interest")) == (300, 240, 240)
    for rate in (82, 1001):
        with pytest.raises(InvalidInput, match=r"late_rate\.bad"):
            submit(at, 1, key=f"r{rate}", late_rate=rate)
    assert [submit(at, 1, key=f"k{rate}", late_rate=rate) > 0 for rate in (83, 1000)] == [True, True]
    assert broken() == []


def test_the_agreed_rate_is_typed_in_ten_thousandths_when_ordering(app: Flask) -> None:
    at = unit_market()
    client = browser(app, at.buyer)
    address = f"/unit/orders/new/{db.session.get_one(Organisation, at.market.cooperative).public_id}"
    assert "每天万分之 5.0" in client.get(address).text
    given = {f"quantity-{at.market.pack}": "2", "terms": "POSTPAY", "idempotency_key": "k", **asdict(DESTINATION)}
    for typed in ("abc", "0.5", "-3", "3.655"):
        refused = client.post(address, data=given | {"late_rate": typed})
        assert (refused.status_code, f'value="{typed}"' in refused.text) == (422, True)
    assert client.post(address, data=given | {"late_rate": "3.65"}).status_code == 302
    assert db.session.scalars(db.select(DirectedOrder.late_rate)).one() == 365


@pytest.mark.both
def test_a_claim_that_did_not_know_of_a_payment_is_withdrawn_and_reckoned_again(app: Flask) -> None:
    at = unit_market()
    made = accepted(at)
    start = clock.now()
    with clock.travel(start + timedelta(days=41)):
        first = claim(at, made)
    with clock.travel(start + timedelta(days=43)):
        # The statement comes late: half was paid on the third of the ten days.
        day = f"{clock.business_date(start) + timedelta(days=33)}"
        match(at, receipt(at, 40_000, day=day), made, 40_000)
        order = order_of(made)
        assert late_interest.reckoned_again(order) == {first.id: 2 * 40 + 8 * 20}
        later = claim(at, made, "later")
        with pytest.raises(Conflict, match=r"interest\.later"), transaction():
            late_interest.withdraw(first.id, "到账晚了", version=1, actor=at.market.accountant)
        with pytest.raises(NotAllowed), transaction():
            late_interest.withdraw(later.id, "到账晚了", version=1, actor=at.market.director)
        for number in (later.id, first.id):
            with transaction():
                late_interest.withdraw(number, "到账晚了", version=1, actor=at.market.accountant)
        assert (held(at, "interest"), held(at, "receivable"), broken()) == (0, 40_000, [])
        again = claim(at, made, "again")
        assert (again.from_on, again.fen) == (first.from_on, 2 * 40 + 10 * 20)
        assert (held(at, "interest"), broken()) == (280, [])


def test_the_page_tells_of_it_and_takes_it_back(app: Flask) -> None:
    at = unit_market()
    made = accepted(at)
    start = clock.now()
    with clock.travel(start + timedelta(days=41)):
        first = claim(at, made)
        match(at, receipt(at, 40_000, day=f"{clock.business_date(start) + timedelta(days=33)}"), made, 40_000)
        public_id, claim_id = db.session.get_one(DirectedOrder, made).public_id, first.public_id
        address = f"/cooperative/overdue/{public_id}"
        accountant = browser(app, at.market.accountant)
        assert "按现在的到账是 ¥2.40" in accountant.get(address).text
        assert accountant.post(f"{address}/claims/{claim_id}/withdraw", data={"version": "1", "reason": ""}).status_code == 422
        assert accountant.post(f"{address}/claims/{claim_id}/withdraw", data={"version": "1", "reason": "到账晚了"}).status_code == 303
        page = accountant.get(address).text
        assert ("已撤回" in page, "计收利息 ¥2.40" in page) == (True, True)


@pytest.mark.both
def test_what_a_unit_does_not_pay_of_a_claim_is_waived_and_both_figures_stand(app: Flask) -> None:
    at = unit_market()
    made = accepted(at)
    start = clock.now()
    with clock.travel(start + timedelta(days=41)):
        row = claim(at, made)  # ¥4.00
        part = receipt(at, 390, day=f"{clock.business_date()}")
        with transaction():
            matched = bank_match.match(part, "late_interest", row.id, 390, actor=at.market.accountant, key="i").id
        address = f"/cooperative/overdue/{db.session.get_one(DirectedOrder, made).public_id}"
        accountant, director = browser(app, at.market.accountant), browser(app, at.market.director)
        withdrawn = accountant.post(f"{address}/claims/{row.public_id}/withdraw", data={"version": "2", "reason": "单位不肯付"})
        assert (withdrawn.status_code, "已经收了 ¥3.90" in withdrawn.text) == (409, True)
        page = director.get(address).text
        assert "免收余下的" in page and "免收 ¥0.10" in page and "还差 ¥0.10" in page
        assert director.post(f"{address}/claims/{row.public_id}/waive", data={"version": "1", "reason": "差一角，算了"}).status_code == 409, "read before it was paid"
        assert director.post(f"{address}/claims/{row.public_id}/waive", data={"version": "2", "reason": "差一角，算了"}).status_code == 303
        db.session.expire_all()
        assert (row.state, row.paid_fen, row.waived_fen, held(at, "interest"), held(at, "receivable")) == ("WAIVED", 390, 10, 390, 80_000)
        assert [each.claimed_fen for each in overdue.of_cooperative(at.market.cooperative)] == [0]
        page = director.get(address).text
        assert "余下的已免收" in page and "已付 ¥3.90" in page and "免收 ¥0.10" in page
        assert "已付 ¥3.90，余下 ¥0.10 免收" in browser(app, at.buyer).get(f"/unit/orders/{db.session.get_one(DirectedOrder, made).public_id}").text
        with pytest.raises(NotFound), transaction():
            bank_match.match(part, "late_interest", row.id, 1, actor=at.market.accountant, key="j")
        assert broken() == []
        # The money was somebody else's after all: what it paid is owed again, what was waived stays so.
        asked = transaction(lambda: match_undo.ask(matched, "认错了单位", actor=at.market.accountant)).id
        transaction(lambda: match_undo.decide(asked, version=1, approved=True, actor=at.market.director))
        db.session.expire_all()
        assert (row.state, row.open_fen, held(at, "interest"), held(at, "receivable"), broken()) == ("CLAIMED", 390, 390, 80_390, [])
        transaction(lambda: late_interest.waive(row.id, "都免了", version=row.version, actor=at.market.director))
        assert (row.state, row.paid_fen, row.waived_fen, held(at, "interest"), held(at, "receivable"), broken()) == ("WAIVED", 0, 400, 0, 80_000, [])


def test_what_was_waived_in_part_is_paid_to_its_end_when_the_rest_comes_again(app: Flask) -> None:
    at = unit_market()
    made = accepted(at)
    with clock.travel(clock.now() + timedelta(days=41)):
        row = claim(at, made)
        part = receipt(at, 400, day=f"{clock.business_date()}")
        with transaction():
            matched = bank_match.match(part, "late_interest", row.id, 390, actor=at.market.accountant, key="i").id
        transaction(lambda: late_interest.waive(row.id, "差一角，算了", version=2, actor=at.market.director))
        asked = transaction(lambda: match_undo.ask(matched, "再核对一次", actor=at.market.accountant)).id
        transaction(lambda: match_undo.decide(asked, version=1, approved=True, actor=at.market.director))
        with pytest.raises(Conflict, match=r"match\.owed"), transaction():
            bank_match.match(part, "late_interest", row.id, 391, actor=at.market.accountant, key="j")
        transaction(lambda: bank_match.match(part, "late_interest", row.id, 390, actor=at.market.accountant, key="k"))
        assert (row.state, row.open_fen, held(at, "receivable"), broken()) == ("WAIVED", 0, 80_000, [])
