"""A split scheme changes by two people, from a day to come, and never for what was ordered before."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from marketplace.catalogue import scheme_proposal, split_scheme
from marketplace.catalogue.scheme_proposal import Parts, SchemeProposal
from marketplace.catalogue.split_scheme import SplitScheme
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.orders.order import OrderLine
from marketplace.organisations.actor import Actor
from marketplace.organisations.approval import Approval, OwnWork
from marketplace.organisations.person import grant
from marketplace.settlement import settlement
from tests import builders
from tests.builders_people import operator, person
from tests.orders import trade
from tests.settlement.builders import order as settled_order

pytestmark = pytest.mark.usefixtures("app")
MORE_FOR_HOUSEHOLDS = Parts(6000, 3000, 600, 400)


def proposed(market: builders.Market, *, days: int = 10, parts: Parts = MORE_FOR_HOUSEHOLDS, key: str = "k") -> int:
    day = clock.business_date() + timedelta(days=days)
    return transaction(lambda: scheme_proposal.propose("white_tea", parts, day, "收成好了，多分一成。", actor=market.director, key=key))


def decided(row_id: int, actor: Actor, *, approved: bool = True, reason: str = "") -> SchemeProposal:
    return transaction(lambda: scheme_proposal.decide(row_id, version=1, approved=approved, reason=reason, actor=actor))


def administrator() -> Actor:
    return person(operator(), "administrator")


@pytest.mark.both
def test_an_approved_scheme_is_in_force_from_its_day_and_orders_keep_theirs() -> None:
    market = builders.market()
    before = trade.bought(builders.customer(), (market.pack, 1))
    row = decided(proposed(market), administrator())
    scheme = db.session.get_one(SplitScheme, row.scheme_id)
    assert (row.state, scheme.version_no, scheme.household_pool_bp) == ("APPROVED", 2, 3000)
    word = db.session.scalars(select(Approval).where(Approval.subject_type == "scheme_proposal")).one()
    assert (word.maker_id, word.decision) == (market.director.person_id, "APPROVED")
    assert split_scheme.in_force(market.cooperative, "white_tea").version_no == 1
    db.session.rollback()
    with clock.travel(clock.now() + timedelta(days=10)):
        assert split_scheme.in_force(market.cooperative, "white_tea").version_no == 2
        db.session.rollback()
        after = trade.bought(builders.customer(), (market.pack, 1))
    lines = select(OrderLine.scheme_id).where(OrderLine.order_id.in_((before, after))).order_by(OrderLine.order_id)
    assert list(db.session.scalars(lines)) == [market.scheme, scheme.id]


def test_what_was_ordered_under_the_old_version_settles_by_it() -> None:
    market = builders.market()
    order_id = settled_order(market, 10_000)
    decided(proposed(market, days=1), administrator())
    with clock.travel(clock.now() + timedelta(days=2)):
        divided = transaction(lambda: settlement.settle(order_id))
    assert (divided.cooperative_fen, divided.pool_fen) == (7000, 2000)


def test_a_repeat_is_the_same_proposal_and_a_second_one_waits() -> None:
    market = builders.market()
    first = proposed(market)
    assert proposed(market) == first
    with pytest.raises(Conflict, match=r"key\.reused"):
        proposed(market, days=11)
    with pytest.raises(Conflict, match=r"proposal\.open"):
        proposed(market, key="other")
    transaction(lambda: scheme_proposal.withdraw(first, version=1, actor=market.director))
    assert proposed(market, key="other") != first


@pytest.mark.parametrize(
    ("parts", "days", "code"),
    [
        (Parts(6000, 3000, 600, 401), 10, "proposal.whole"),
        (Parts(-1000, 10_000, 600, 400), 10, "proposal.whole"),
        (Parts(9000, 0, 600, 400), 10, "proposal.households"),
        (Parts(7000, 2000, 600, 400), 10, "proposal.same"),
        (MORE_FOR_HOUSEHOLDS, 0, "proposal.day"),
        (MORE_FOR_HOUSEHOLDS, 400, "proposal.day"),
    ],
)
def test_what_is_not_sound_is_refused(parts: Parts, days: int, code: str) -> None:
    market = builders.market()
    with pytest.raises(InvalidInput) as refused:
        proposed(market, parts=parts, days=days)
    assert refused.value.code == code
    assert db.session.query(SchemeProposal).count() == 0


def test_versions_follow_each_other_in_time() -> None:
    market = builders.market()
    decided(proposed(market, days=30), administrator())
    with pytest.raises(InvalidInput, match=r"proposal\.before"):
        proposed(market, days=20, parts=Parts(5000, 4000, 600, 400), key="second")


def test_only_the_director_proposes_and_another_person_decides() -> None:
    market, other = builders.market(), builders.market(name="另一家合作社")
    day = clock.business_date() + timedelta(days=3)
    with pytest.raises(NotAllowed), transaction():
        scheme_proposal.propose("white_tea", MORE_FOR_HOUSEHOLDS, day, "想改", actor=market.accountant, key="k")
    row_id = proposed(market)
    with pytest.raises(NotFound), transaction():
        scheme_proposal.withdraw(row_id, version=1, actor=other.director)
    with pytest.raises(NotAllowed):
        decided(row_id, person(operator(), "reviewer"))
    transaction(lambda: grant(market.director.person_id, operator(), "administrator"))
    both = Actor(market.director.person_id, operator(), frozenset({"administrator"}), "OPERATOR")
    with pytest.raises(OwnWork):
        decided(row_id, both)
    with pytest.raises(InvalidInput, match=r"reason\.missing"):
        decided(row_id, administrator(), approved=False)
    assert db.session.get_one(SchemeProposal, row_id).state == "SUBMITTED"
    db.session.rollback()
    with clock.travel(clock.now() + timedelta(days=10)), pytest.raises(Conflict, match=r"proposal\.late"):
        decided(row_id, administrator())
    decided(row_id, administrator(), approved=False, reason="理由写得不清楚。")
    with pytest.raises(Conflict, match=r"proposal\.state"):
        decided(row_id, administrator())
