"""From draft to shelf: what changes state, who may, and what search is told."""

import pytest
from sqlalchemy import select

from marketplace.catalogue import listing_review
from marketplace.catalogue.listing_check import ListingRefused
from marketplace.catalogue.listing_review import BadListing
from marketplace.catalogue.product import Pack
from marketplace.foundation.audit import AuditEvent
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.foundation.outbox import OutboxMessage
from marketplace.organisations.actor import Actor
from marketplace.organisations.approval import OwnWork
from marketplace.organisations.person import grant
from marketplace.search.product_index import KIND
from tests import builders
from tests.catalogue.listing import edited, product_of, ready

pytestmark = pytest.mark.usefixtures("app")


def submitted(market: builders.Market) -> int:
    """Submit; the version it then has."""
    with transaction():
        return listing_review.submit(market.product, version=product_of(market).version, actor=market.clerk).version


def reviewer() -> Actor:
    return builders.person(builders.operator(), "reviewer")


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


def test_an_edit_of_what_is_on_sale_takes_it_off_until_approved() -> None:
    market = builders.market()
    product = product_of(market)
    with transaction():
        listing_review.edit(market.product, edited(product), version=product.version, actor=market.clerk)
    assert product_of(market).state == "ON_SALE"
    assert asked_of_search() == []
    pack = db.session.get_one(Pack, market.pack).public_id
    with transaction():
        listing_review.edit(market.product, edited(product_of(market), prices={pack: 9900}), version=2, actor=market.clerk)
    product = product_of(market)
    assert (product.state, product.from_price_fen, product.version) == ("DRAFT", 9900, 3)
    assert db.session.get_one(Pack, market.pack).version == 2
    assert asked_of_search() == [market.product]


def test_stale_waiting_and_foreign_edits_change_nothing() -> None:
    market = ready()
    other = builders.market(name="仁首油茶合作社", category="camellia_oil")
    content = edited(product_of(market), name_zh="改了")
    with pytest.raises(Conflict, match=r"version\.stale"), transaction():
        listing_review.edit(market.product, content, version=7, actor=market.clerk)
    with pytest.raises(NotFound), transaction():
        listing_review.edit(market.product, content, version=1, actor=other.clerk)
    with pytest.raises(NotFound), transaction():
        listing_review.edit(market.product, edited(product_of(market), prices={"zzzzzzzzzzzzzzzz": 1}), version=1, actor=market.clerk)
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


def test_withdrawing_takes_it_from_the_shelf_or_back_to_the_desk() -> None:
    market = builders.market()
    with transaction():
        listing_review.withdraw(market.product, version=1, actor=market.clerk)
    assert product_of(market).state == "WITHDRAWN"
    assert asked_of_search() == [market.product]
    waiting = ready(name="另一家合作社")
    version = submitted(waiting)
    with transaction():
        listing_review.withdraw(waiting.product, version=version, actor=waiting.clerk)
    assert product_of(waiting).state == "DRAFT"
