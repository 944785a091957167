"""An invoice says what its orders bear out: one an order, refused whole when it does not fit, reversed when money went back."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.catalogue.product import Product
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, MarketError, NotAllowed, NotFound
from marketplace.orders import invoice, invoice_choice, invoice_sheet, invoice_tax, order_refund, red_invoice
from marketplace.orders.invoice import Invoice
from marketplace.orders.invoice_title import InvoiceTitle
from marketplace.orders.order import Order, OrderLine, lines_of, locked_order
from marketplace.organisations.actor import Actor
from marketplace.payments import refund as refunds
from marketplace.payments.refund import Refund
from tests import builders
from tests.builders import Market
from tests.orders import trade
from tests.procurement.unit_market import accept, confirmed, order_of, ship, unit_market

PERSON = InvoiceTitle("VAT_GENERAL", "王小明")
SCHOOL = InvoiceTitle("VAT_GENERAL", "靖安县第一中学", "123609254914800336")
SPECIAL = InvoiceTitle("VAT_SPECIAL", "靖安县第一中学", "123609254914800336", "教育路 1 号", "0795-4660001", "农商银行", "6217 0000 1111")
PDF = b"%PDF-1.7 an invoice"


def ask(order_ids: list[int], title: InvoiceTitle, actor: Actor, key: str = "k") -> int:
    with transaction():
        return invoice.request(order_ids, title, actor=actor, key=key)


def issue(at: Market, invoice_id: int, number: str = "26367000000012345678", content: bytes = PDF) -> Invoice:
    with transaction():
        return invoice.issue(
            invoice_id, number=number, issued_on=clock.business_date(), file=content, version=now(invoice_id).version, actor=at.accountant
        )


def reverse(at: Market, invoice_id: int, fen: int, number: str) -> None:
    with transaction():
        red_invoice.reverse(
            invoice_id, fen=fen, number=number, issued_on=clock.business_date(), file=PDF, version=now(invoice_id).version, actor=at.accountant
        )


def refund(order_id: int, fen: int) -> None:
    with transaction():
        order_refund.pay_back(locked_order(order_id), fen, "return", person_id=None)


def now(invoice_id: int) -> Invoice:
    db.session.expire_all()
    return db.session.get_one(Invoice, invoice_id)


@pytest.mark.both
def test_from_request_to_file_to_red_letters_to_a_new_one(app: Flask) -> None:
    at, buyer = builders.market(), builders.customer()
    order_id = trade.bought(buyer, (at.pack, 2))  # 176.00, freight free
    made = ask([order_id], PERSON, buyer)
    assert (now(made).fen, now(made).state) == (17_600, "REQUESTED")
    assert invoice_choice.open_orders(buyer.organisation_id, at.cooperative) == []
    assert issue(at, made).state == "ISSUED"

    refund(order_id, 8_800)
    assert red_invoice.red_due_fen(now(made)) == 8_800
    assert [fen for _, fen in db.session.execute(invoice_choice.to_reverse(at.cooperative))] == [8_800]
    with pytest.raises(InvalidInput, match=r"invoice\.red"):
        reverse(at, made, 100, "26367000000012345679")
    reverse(at, made, 8_800, "26367000000012345679")
    assert (red_invoice.red_due_fen(now(made)), now(made).state) == (0, "ISSUED")
    # The title was wrong after all: the rest is reversed, and the order may be invoiced anew over what it is worth now.
    reverse(at, made, 8_800, "26367000000012345680")
    assert (now(made).state, now(made).red_fen) == ("REVERSED", 17_600)
    again = ask([order_id], replace(PERSON, name="王大明"), buyer, key="again")
    assert now(again).fen == 8_800


@pytest.mark.both
def test_one_order_one_living_invoice(app: Flask) -> None:
    at, buyer = builders.market(), builders.customer()
    first, second = trade.bought(buyer, (at.pack, 1)), trade.bought(buyer, (at.pack, 1))
    made = ask([first], PERSON, buyer)
    assert ask([first], PERSON, buyer) == made  # the same key, the same invoice
    with pytest.raises(Conflict, match=r"invoice\.exists"):
        ask([first, second], PERSON, buyer, key="other")
    with transaction():
        invoice.withdraw(made, version=1, actor=buyer)
    assert now(ask([first, second], PERSON, buyer, key="both")).fen == 2 * (8_800 + 800)


@pytest.mark.both
def test_two_requests_at_once_make_one_invoice(app: Flask) -> None:
    at, buyer = builders.market(), builders.customer()
    order_id = trade.bought(buyer, (at.pack, 1))
    came: list[str] = []
    ready = threading.Barrier(4)

    def click(n: int) -> None:
        with app.app_context():
            ready.wait()
            try:
                transaction(lambda: invoice.request([order_id], PERSON, actor=buyer, key=f"k{n}"))
                came.append("made")
            except Conflict as error:
                came.append(error.code)
            finally:
                db.session.remove()

    threads = [threading.Thread(target=click, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(came) == ["invoice.exists"] * 3 + ["made"]


def test_a_unit_asks_when_it_has_accepted_paid_or_not(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10)
    order_id = order_of(made).id
    with pytest.raises(Conflict, match=r"invoice\.nothing"):
        ask([order_id], SCHOOL, at.buyer)
    ship(at, made, 10)
    accept(at, made, 9, 1)
    assert now(ask([order_id], SPECIAL, at.buyer)).fen == 72_000
    assert invoice.last_title(at.unit) == SPECIAL.cleaned()


def test_what_went_back_before_issuing_must_be_asked_for_anew(app: Flask) -> None:
    at, buyer = builders.market(), builders.customer()
    order_id = trade.bought(buyer, (at.pack, 2))
    made = ask([order_id], PERSON, buyer)
    refund(order_id, 100)
    with pytest.raises(Conflict, match=r"invoice\.changed"):
        issue(at, made)
    with transaction():
        invoice.refuse(made, reason="金额变了", version=1, actor=at.accountant)
    assert now(ask([order_id], PERSON, buyer, key="anew")).fen == 17_500


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"kind": "PROFORMA"}, "kind"), ({"name": " "}, "name"), ({"name": "长" * 101}, "name"), ({"tax_number": "91360925MA00000001"}, "tax_number"),
        ({"tax_number": ""}, "tax_number"), ({"address": ""}, "address"), ({"phone": "call me"}, "phone"), ({"bank_name": ""}, "bank_name"),
        ({"bank_account": "６２１７"}, "bank_account"), ({"bank_account": "=1+1"}, "bank_account"),
    ],
)  # fmt: skip
def test_a_title_that_would_have_to_be_reversed_is_refused(app: Flask, changed: dict[str, str], field: str) -> None:
    at = unit_market()
    with pytest.raises(InvalidInput) as caught:
        ask([1], replace(SPECIAL, **changed), at.buyer)
    assert caught.value.data["field"] == field


@pytest.mark.both
@pytest.mark.parametrize(("field", "most"), [("address", 100), ("phone", 20), ("bank_name", 100), ("bank_account", 30)])
def test_no_part_of_a_title_is_longer_than_its_place(app: Flask, field: str, most: int) -> None:
    """On a general invoice these are as one likes, so nothing but their length is looked at."""
    at = unit_market()
    made = confirmed(at, 10)
    ship(at, made, 10)
    accept(at, made, 10)
    with pytest.raises(InvalidInput) as caught:
        ask([order_of(made).id], replace(SCHOOL, **{field: "9" * (most + 1)}), at.buyer)
    assert (caught.value.data["field"], caught.value.data["most"]) == (field, most)
    assert getattr(now(ask([order_of(made).id], replace(SCHOOL, **{field: "9" * most}), at.buyer)), field) == "9" * most


@pytest.mark.both
def test_no_special_invoice_is_issued_over_what_is_exempt(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10)
    ship(at, made, 10)
    accept(at, made, 10)
    order_id = order_of(made).id
    category = db.session.scalars(select(Product.category).join(OrderLine, OrderLine.product_id == Product.id).where(OrderLine.order_id == order_id)).one()

    def taxed(*, exempt: bool) -> None:
        transaction(lambda: invoice_tax.save(category, class_code="1" * 19, rate_bp=900, exempt=exempt, actor=at.market.accountant))

    asked = ask([order_id], SPECIAL, at.buyer)
    taxed(exempt=True)
    with pytest.raises(Conflict, match=r"invoice\.exempt"):
        issue(at.market, asked)
    transaction(lambda: invoice.refuse(asked, reason="免税", version=now(asked).version, actor=at.market.accountant))
    with pytest.raises(Conflict, match=r"invoice\.exempt"):
        ask([order_id], SPECIAL, at.buyer, key="2")
    assert now(ask([order_id], SCHOOL, at.buyer, key="3")).fen == 80_000
    taxed(exempt=False)
    transaction(lambda: invoice.withdraw(db.session.query(Invoice).order_by(Invoice.id.desc()).first().id, version=1, actor=at.buyer))  # type: ignore[union-attr]
    assert now(ask([order_id], SPECIAL, at.buyer, key="4")).fen == 80_000


@pytest.mark.both
def test_what_was_reversed_for_a_refund_that_failed_is_reversed_whole_and_issued_anew(app: Flask) -> None:
    at, buyer = builders.market(), builders.customer()
    order_id = trade.bought(buyer, (at.pack, 2))
    made = ask([order_id], PERSON, buyer)
    issue(at, made)
    refund(order_id, 100)
    reverse(at, made, 100, "26367000000012345679")
    transaction(lambda: refunds.fail(db.session.query(Refund).one().id, "ACQ.SELLER_BALANCE_NOT_ENOUGH"))
    assert (red_invoice.red_due_fen(now(made)), red_invoice.short_fen(now(made))) == (0, 100)
    reverse(at, made, 17_500, "26367000000012345680")
    assert now(ask([order_id], PERSON, buyer, key="anew")).fen == 17_600


def test_the_number_the_day_and_the_file_are_checked(app: Flask) -> None:
    at, buyer = builders.market(), builders.customer()
    made = ask([trade.bought(buyer, (at.pack, 1))], PERSON, buyer)
    other = ask([trade.bought(buyer, (at.pack, 1))], PERSON, buyer, key="other")
    for number in ("", "123", "2636700000001234567８", "abc"):
        with pytest.raises(InvalidInput, match=r"invoice\.number"):
            issue(at, made, number)
    with pytest.raises(InvalidInput, match=r"invoice\.file"):
        issue(at, made, content=b"<html>")
    for day in (clock.business_date() + timedelta(days=1), clock.business_date() - timedelta(days=1)):
        with pytest.raises(InvalidInput, match=r"invoice\.day"), transaction():
            invoice.issue(made, number="26367000000012345678", issued_on=day, file=PDF, version=1, actor=at.accountant)
    issue(at, made)
    with pytest.raises(Conflict, match=r"invoice\.number"):
        issue(at, other)
    assert now(other).state == "REQUESTED"


def test_only_its_own_people_touch_an_invoice(app: Flask) -> None:
    at, buyer, stranger = builders.market(), builders.customer(), builders.customer("李四")
    order_id = trade.bought(buyer, (at.pack, 1))
    with pytest.raises(NotFound):
        ask([order_id], PERSON, stranger)
    made = ask([order_id], PERSON, buyer)
    elsewhere = builders.person(builders.cooperative("别的合作社"), "accountant")
    tries: list[tuple[type[MarketError], Actor]] = [(NotFound, elsewhere), (NotAllowed, at.clerk), (NotAllowed, buyer)]
    for error, actor in tries:
        with pytest.raises(error), transaction():
            invoice.issue(made, number="26367000000012345678", issued_on=clock.business_date(), file=PDF, version=1, actor=actor)
    with pytest.raises(NotFound), transaction():
        invoice.withdraw(made, version=1, actor=stranger)
    with pytest.raises(Conflict, match=r"version\.stale"), transaction():
        invoice.withdraw(made, version=7, actor=buyer)
    assert now(made).state == "REQUESTED"


@pytest.mark.both
def test_a_red_letter_names_the_goods_that_it_reverses(app: Flask) -> None:
    """Two packs and freight: first a part of one pack goes back, then the other pack whole, then everything."""
    at, buyer = builders.market(), builders.customer()
    other = builders.pack(at.product, price_fen=3_333, name="小罐")
    (order_id,) = trade.placed(buyer, (at.pack, 1), (other, 2))
    trade.paid([order_id])
    first, second = lines_of(order_id)
    made = ask([order_id], PERSON, buyer)
    asked = {each.place[1]: each.fen for each in invoice_sheet.rows_of(now(made), {})}
    freight_fen = db.session.get_one(Order, order_id).freight_fen
    assert {line_id: fen for line_id, fen in asked.items() if fen} == {first.id: first.goods_fen, second.id: second.goods_fen} | ({0: freight_fen} if freight_fen else {})
    issue(at, made)
    for fen, line, number in ((300, first, "26367000000012345679"), (second.goods_fen, second, "26367000000012345680")):
        transaction(lambda fen=fen, line=line: order_refund.pay_back(locked_order(order_id), fen, "return", person_id=None, lines={line.id: fen}))
        assert [(each.place[1], each.fen) for each in red_invoice.waiting(at.cooperative)] == [(line.id, fen)]
        assert {each.place[1]: each.fen for each in invoice_sheet.rows_of(now(made), {})} == asked, "what was issued stays what it was"
        reverse(at, made, fen, number)
        assert red_invoice.waiting(at.cooperative) == []
    reverse(at, made, now(made).fen - now(made).red_fen, "26367000000012345681")
    said = [[(line_id, fen) for _order_id, line_id, fen in red.lines or ()] for red in red_invoice.reds_of(made)]
    rest = [(first.id, first.goods_fen - 300), *([(0, freight_fen)] if freight_fen else [])]
    assert said == [[(first.id, 300)], [(second.id, second.goods_fen)], rest]


def test_the_sheet_sums_to_what_was_asked_for(app: Flask) -> None:
    at, buyer = builders.market(), builders.customer()
    dear = builders.pack(at.product, price_fen=3_333, name="小罐")
    (order_id,) = trade.placed(buyer, (at.pack, 1), (dear, 2))
    trade.paid([order_id])
    refund(order_id, 1)
    made = ask([order_id], PERSON, buyer)
    with transaction():
        invoice_tax.save("white_tea", class_code="1030204010000000000", rate_bp=900, exempt=False, actor=at.accountant)
    rows = invoice_sheet.waiting(at.cooperative)
    assert sum(row.fen for row in rows) == now(made).fen == 8_800 + 2 * 3_333 - 1
    assert {row.tax.rate_bp for row in rows if row.tax} == {900}
    with pytest.raises(InvalidInput), transaction():
        invoice_tax.save("white_tea", class_code="103", rate_bp=900, exempt=False, actor=at.accountant)
    with pytest.raises(NotAllowed), transaction():
        invoice_tax.save("white_tea", class_code="1030204010000000000", rate_bp=900, exempt=False, actor=at.clerk)
