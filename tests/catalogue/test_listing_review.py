"""From draft to shelf: what changes state, who may, and what search is told."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from marketplace.catalogue import listing_change, listing_review
from marketplace.catalogue.listing_check import ListingRefused
from marketplace.catalogue.listing_content import BadListing, PackContent, content_of
from marketplace.catalogue.product import Pack, Product
from marketplace.foundation import clock
from marketplace.foundation.audit import AuditEvent
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.foundation.outbox import OutboxMessage
from marketplace.organisations.actor import Actor
from marketplace.organisations.approval import OwnWork
from marketplace.organisations.person import grant
from marketplace.search.product_index import KIND
from marketplace.supply import stock
from tests import builders
from tests.catalogue.listing import edited, product_of, ready

pytestmark = pytest.mark.usefixtures("app")


def submitted(market: builders.Market) -> int:
    """Submit; the version it then has."""
    with transaction():
        return listing_review.submit(market.product, version=product_of(market).version, actor=market.clerk).version


def on_sale() -> builders.Market:
    """A market whose product is on sale and would pass every check."""
    market = ready()
    with transaction():
        product = db.session.get_one(Product, market.product)
        product.state, product.listed_at = "ON_SALE", clock.now()
    return market


def reviewer() -> Actor:
    return builders.person(builders.operator(), "reviewer")


def stocked(public_id: str) -> None:
    """Put ten of a pack on the shelf."""
    pack = db.session.scalars(select(Pack).where(Pack.public_id == public_id)).one()
    ids = pack.id, pack.organisation_id
    transaction(lambda: stock.open_stock(*ids, 10))


def asked_of_search() -> list[int]:
    return [message.payload["product_id"] for message in db.session.scalars(select(OutboxMessage).where(OutboxMessage.kind == KIND))]


def test_an_approved_listing_is_on_sale_and_search_is_told() -> None:
    market = ready()
    version = submitted(market)
    assert asked_of_search() == []
    checker = reviewer()
    with transaction():
        listing_review.decide(market.product, version=version, approved=True, actor=checker)
    product = product_of(market)
    assert (product.state, product.from_price_fen, product.submitted_by_id) == ("ON_SALE", 8800, market.clerk.person_id)
    assert product.listed_at is not None
    assert asked_of_search() == [market.product]
    word = listing_review.last_word(market.product)
    assert word is not None
    assert (word.decision, word.checker_id, word.subject_version) == ("APPROVED", checker.person_id, version)
    actions = set(db.session.scalars(select(AuditEvent.action).where(AuditEvent.subject_id == market.product, AuditEvent.subject_type == "product")))
    assert {"listing.submitted", "approval.approved"} <= actions


def test_returned_needs_a_reason_and_may_be_mended() -> None:
    market = ready()
    version, checker = submitted(market), reviewer()
    with pytest.raises(InvalidInput, match=r"reason\.missing"), transaction():
        listing_review.decide(market.product, version=version, approved=False, reason=" ", actor=checker)
    with transaction():
        listing_review.decide(market.product, version=version, approved=False, reason="故事太夸张。", actor=checker)
    product = product_of(market)
    assert product.state == "RETURNED"
    with transaction():
        listing_review.edit(market.product, edited(product, summary_zh="雾里的茶。"), version=product.version, actor=market.clerk)
    assert product_of(market).state == "DRAFT"
    submitted(market)
    assert product_of(market).state == "SUBMITTED"


def test_nobody_approves_their_own() -> None:
    market = ready()
    version = submitted(market)
    with transaction():
        grant(market.clerk.person_id, builders.operator(), "reviewer")
    both = Actor(market.clerk.person_id, builders.operator(), frozenset({"reviewer"}), "OPERATOR")
    with pytest.raises(OwnWork), transaction():
        listing_review.decide(market.product, version=version, approved=True, actor=both)
    assert product_of(market).state == "SUBMITTED"


@pytest.mark.parametrize("role", ["administrator", "treasurer", "auditor"])
def test_only_a_reviewer_decides(role: str) -> None:
    market = ready()
    version = submitted(market)
    with pytest.raises(NotAllowed), transaction():
        listing_review.decide(market.product, version=version, approved=True, actor=builders.person(builders.operator(), role))


def test_what_changed_since_it_was_read_is_not_decided() -> None:
    market = ready()
    version, checker = submitted(market), reviewer()
    with pytest.raises(Conflict, match=r"version\.stale"), transaction():
        listing_review.decide(market.product, version=version - 1, approved=True, actor=checker)


def test_what_no_longer_passes_is_not_approved() -> None:
    market = ready()
    version, checker = submitted(market), reviewer()
    with transaction():
        product_of_it = db.session.get_one(type(product_of(market)), market.product)
        product_of_it.standard_code = ""
    with pytest.raises(ListingRefused), transaction():
        listing_review.decide(market.product, version=version, approved=True, actor=checker)
    assert product_of(market).state == "SUBMITTED"


def test_what_is_on_sale_stays_so_until_its_change_is_approved() -> None:
    market, checker = builders.market(), reviewer()
    pack = db.session.get_one(Pack, market.pack).public_id
    with transaction():
        listing_review.edit(market.product, edited(product_of(market)), version=1, actor=market.clerk)
    assert listing_change.of(market.product) is None
    with transaction():
        product = db.session.get_one(Product, market.product)
        product.summary_zh, product.standard_code = "清明前采。", "GB/T 14456.1"
    wanted = edited(product_of(market), prices={pack: 9900}, name_zh="明前白茶（新）")
    with transaction():
        listing_review.edit(market.product, wanted, version=2, actor=market.clerk)
    assert (product_of(market).state, product_of(market).from_price_fen, product_of(market).name_zh) == ("ON_SALE", 8800, "明前白茶")
    assert asked_of_search() == []
    version = submitted(market)
    with pytest.raises(Conflict, match=r"listing\.state"), transaction():
        listing_review.edit(market.product, wanted, version=version, actor=market.clerk)
    with transaction():
        listing_review.decide(market.product, version=version, approved=True, actor=checker)
    product = product_of(market)
    assert (product.state, product.from_price_fen, product.name_zh) == ("ON_SALE", 9900, "明前白茶（新）")
    assert (db.session.get_one(Pack, market.pack).price_fen, db.session.get_one(Pack, market.pack).version) == (9900, 2)
    assert asked_of_search() == [market.product]
    word = listing_review.last_word(market.product)
    assert word is not None
    assert (word.subject_type, word.maker_id, word.checker_id) == ("listing_change", market.clerk.person_id, checker.person_id)
    assert listing_change.of(market.product) is None


def test_a_returned_change_leaves_the_shelf_as_it_is_and_can_be_dropped() -> None:
    market, checker = on_sale(), reviewer()
    with transaction():
        listing_review.edit(market.product, edited(product_of(market), name_zh="天下第一茶"), version=1, actor=market.clerk)
    version = submitted(market)
    with transaction():
        listing_review.decide(market.product, version=version, approved=False, reason="太夸张。", actor=checker)
    change = listing_change.of(market.product)
    assert change is not None
    assert (change.state, product_of(market).name_zh, product_of(market).state) == ("RETURNED", "明前白茶", "ON_SALE")
    with transaction():
        listing_review.take_back(market.product, version=version + 1, actor=market.clerk)
    assert listing_change.of(market.product) is None


def test_a_change_that_breaks_a_rule_is_not_submitted_and_the_product_sells_on() -> None:
    market = on_sale()
    with transaction():
        listing_review.edit(market.product, edited(product_of(market), standard_code=""), version=1, actor=market.clerk)
    with pytest.raises(ListingRefused), transaction():
        listing_review.submit(market.product, version=2, actor=market.clerk)
    assert product_of(market).state == "ON_SALE"


def test_packs_are_added_and_withdrawn_and_keep_their_weight_once_listed() -> None:
    market, checker = on_sale(), reviewer()
    kept = content_of(product_of(market))
    heavier = replace(kept, packs=(replace(kept.packs[0], net_grams=60),))
    with pytest.raises(BadListing) as bad, transaction():
        listing_review.edit(market.product, heavier, version=1, actor=market.clerk)
    assert set(bad.value.data["fields"]) == {f"net_grams-{kept.packs[0].public_id}"}
    new = PackContent.new(name_zh="100 g 袋", net_grams=100, price_fen=16_000, tiers=((20, 15_000), (100, 14_000)))
    both = replace(kept, packs=(*kept.packs, new))
    with transaction():
        listing_review.edit(market.product, both, version=1, actor=market.clerk)
    version = submitted(market)
    with transaction():
        listing_review.decide(market.product, version=version, approved=True, actor=checker)
    assert content_of(product_of(market)) == both.tidy()
    stocked(new.public_id)
    with transaction():
        listing_review.edit(market.product, replace(both, packs=(new,)), version=version + 1, actor=market.clerk)
    version = submitted(market)
    with transaction():
        listing_review.decide(market.product, version=version, approved=True, actor=checker)
    assert db.session.get_one(Pack, market.pack).withdrawn_at is not None
    assert product_of(market).from_price_fen == 16_000


@pytest.mark.parametrize("tiers", [((1, 8000),), ((10, 8900),), ((10, 8000), (20, 8100)), ((10, 8000), (10, 7000))])
def test_no_unit_pays_more_than_the_public_nor_more_for_more(tiers: tuple[tuple[int, int], ...]) -> None:
    market = ready()
    kept = content_of(product_of(market))
    content = replace(kept, packs=(replace(kept.packs[0], tiers=tiers),))
    with pytest.raises(BadListing), transaction():
        listing_review.edit(market.product, content, version=1, actor=market.clerk)


def test_who_suspended_it_resumes_it() -> None:
    market, checker = on_sale(), reviewer()
    with pytest.raises(InvalidInput, match=r"suspend\.reason"), transaction():
        listing_review.suspend(market.product, version=1, reason=" ", actor=checker)
    with transaction():
        listing_review.suspend(market.product, version=1, reason="许可要重新核对。", actor=checker)
    assert (product_of(market).state, asked_of_search()) == ("SUSPENDED", [market.product])
    with pytest.raises(NotAllowed, match=r"listing\.suspended_by"), transaction():
        listing_review.resume(market.product, version=2, actor=market.clerk)
    with transaction():
        listing_review.resume(market.product, version=2, actor=checker)
        listing_review.suspend(market.product, version=3, reason="", actor=market.clerk)
    with pytest.raises(NotAllowed), transaction():
        listing_review.resume(market.product, version=4, actor=checker)
    with transaction():
        listing_review.resume(market.product, version=4, actor=market.clerk)
    assert product_of(market).state == "ON_SALE"


def test_stale_waiting_and_foreign_edits_change_nothing() -> None:
    market = ready()
    other = builders.market(name="仁首油茶合作社", category="camellia_oil")
    foreign = db.session.get_one(Pack, other.pack).public_id
    content = edited(product_of(market), name_zh="改了")
    with pytest.raises(Conflict, match=r"version\.stale"), transaction():
        listing_review.edit(market.product, content, version=7, actor=market.clerk)
    with pytest.raises(NotFound), transaction():
        listing_review.edit(market.product, content, version=1, actor=other.clerk)
    with pytest.raises(NotFound), transaction():
        listing_review.edit(market.product, edited(product_of(market), prices={foreign: 100}), version=1, actor=market.clerk)
    with pytest.raises(NotAllowed), transaction():
        listing_review.edit(market.product, content, version=1, actor=market.accountant)
    version = submitted(market)
    with pytest.raises(Conflict, match=r"listing\.state"), transaction():
        listing_review.edit(market.product, content, version=version, actor=market.clerk)
    assert product_of(market).name_zh == "明前白茶"


def test_every_bad_input_is_named() -> None:
    market = ready()
    pack = db.session.get_one(Pack, market.pack).public_id
    content = edited(product_of(market), name_zh=" ", summary_zh="长" * 301, prices={pack: 0})
    with pytest.raises(BadListing) as bad, transaction():
        listing_review.edit(market.product, content, version=1, actor=market.clerk)
    assert set(bad.value.data["fields"]) == {"name_zh", "summary_zh", f"price-{pack}"}


def test_withdrawing_and_taking_back() -> None:
    market = on_sale()
    with transaction():
        listing_review.edit(market.product, edited(product_of(market), name_zh="改到一半"), version=1, actor=market.clerk)
    with transaction():
        listing_review.withdraw(market.product, version=2, actor=market.clerk)
    assert (product_of(market).state, product_of(market).name_zh) == ("WITHDRAWN", "改到一半")
    assert listing_change.of(market.product) is None
    assert asked_of_search() == [market.product]
    waiting = ready(name="另一家合作社")
    version = submitted(waiting)
    with transaction():
        listing_review.take_back(waiting.product, version=version, actor=waiting.clerk)
    assert product_of(waiting).state == "DRAFT"
    with pytest.raises(Conflict, match=r"listing\.state"), transaction():
        listing_review.take_back(waiting.product, version=version + 1, actor=waiting.clerk)
