"""What is promised before grams and shares: relief for those who cannot work and a guarantee for each share; agreed by two, exact to the fen."""

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace.foundation import clock
from marketplace.foundation.audit import AuditEvent
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.organisations.actor import Actor
from marketplace.reporting import books_shares
from marketplace.settlement import distribution, distribution_rule, rule_proposal
from marketplace.settlement.distribution_rule import DistributionRule, Terms
from marketplace.settlement.distribution_share import DistributionShare
from marketplace.settlement.distribution_weights import days_of
from marketplace.settlement.pool_division import Before, Divided, divide
from tests import builders
from tests.builders import Market
from tests.builders_people import kept
from tests.settlement.test_distribution import drafted, published, sold, this_period

MONTH = 30
PROMISED = Terms(6_000, guaranteed_fen=200, relief_bp=1_000)


def next_month() -> str:
    _, last = days_of(this_period())
    return f"{last.year + last.month // 12}-{last.month % 12 + 1:02d}"


@builders.committed
def rule(market: Market, terms: Terms = PROMISED, from_period: str = "2020-01", version_no: int = 1) -> int:
    """A version in force; its id."""
    row = DistributionRule(
        organisation_id=market.cooperative, linkage_group_id=market.group, version_no=version_no, from_period=from_period, **vars(terms)
    )
    return kept(row).id


def unable(market: Market, *, people: int = 2, kind: str = "RELIEF", shares: int = 0) -> int:
    """A household of the group in which nobody can work; its id."""
    household_id = builders.household(people=people, unable_to_work=people)
    builders.share(market.group, household_id, shares, kind=kind)
    return household_id


def of(row: distribution.Distribution) -> dict[int, DistributionShare]:
    return {each.household_id: each for each in distribution.shares_of(row.id)}


def proposed(market: Market, terms: Terms = PROMISED, *, actor: Actor | None = None, period: str = "", key: str = "k") -> int:
    return transaction(
        lambda: rule_proposal.propose(market.group, terms, period or next_month(), "保底稳住人心", actor=actor or market.director, key=key)
    )


def administrator() -> Actor:
    return builders.person(builders.operator(), "administrator")


def decided(proposal_id: int, *, approved: bool = True, reason: str = "", actor: Actor | None = None) -> rule_proposal.RuleProposal:
    who = actor or administrator()
    return transaction(lambda: rule_proposal.decide(proposal_id, version=1, approved=approved, reason=reason, actor=who))


@pytest.mark.both
def test_relief_first_then_what_is_guaranteed_then_grams_and_shares(app: Flask) -> None:
    market = builders.market()  # 1, 2, 3 kg and 1, 2, 3 shares
    needy, alone = unable(market, people=3), unable(market, people=1)
    rule(market)
    sold(market, 30_000)  # the pool: ¥60.00
    row = drafted(market)
    (group,) = distribution.groups_of(row.id)
    # ¥6.00 to four people; ¥2.00 for each of six shares; of ¥42.00 that are left 60 % by grams.
    assert (group.relief_fen, group.relief_units, group.guaranteed_fen, group.guaranteed_due_fen) == (600, 4, 1_200, 1_200)
    assert (group.patronage_fen, group.equity_fen, group.fen, group.households, row.total_fen) == (2_520, 1_680, 6_000, 5, 6_000)
    shares = of(row)
    assert [(shares[each].relief_units, shares[each].relief_fen) for each in (needy, alone)] == [(3, 450), (1, 150)]
    assert [
        (shares[each].guaranteed_due_fen, shares[each].guaranteed_fen, shares[each].patronage_fen, shares[each].equity_fen, shares[each].fen)
        for each in market.households
    ] == [(200, 200, 420, 280, 900), (400, 400, 840, 560, 1_800), (600, 600, 1_260, 840, 2_700)]
    opened = db.session.query(AuditEvent).filter_by(action="households.hardship_opened").one()
    assert opened.data["purpose"] == "relief_share"
    assert books_shares.distributions_are_exact() == []


def test_a_pool_that_does_not_reach_is_shared_pro_rata_and_says_so(app: Flask) -> None:
    market = builders.market()
    rule(market, Terms(6_000, guaranteed_fen=2_000))
    sold(market, 30_000)
    row = published(market)
    (group,) = distribution.groups_of(row.id)
    assert (group.guaranteed_due_fen, group.guaranteed_fen, group.patronage_fen, group.equity_fen) == (12_000, 6_000, 0, 0)
    assert [each.guaranteed_fen for each in distribution.shares_of(row.id)] == [1_000, 2_000, 3_000]
    body = db.session.get_one(distribution.PublicNotice, row.notice_id).body
    assert (body["guaranteed_due_fen"], body["guaranteed_fen"], body["relief"]) == (12_000, 6_000, None)


def test_the_promise_of_a_month_is_kept_once_however_often_it_is_divided(app: Flask) -> None:
    market = builders.market()
    needy = unable(market)
    rule(market, Terms(6_000, guaranteed_fen=1_500, relief_bp=2_000, relief_by="HOUSEHOLD", relief_most_fen=1_500))
    sold(market, 30_000)
    first = drafted(market)
    sold(market, 60_000)
    second = drafted(market)
    (before,), (after,) = distribution.groups_of(first.id), distribution.groups_of(second.id)
    # Six shares are promised ¥90.00: ¥48.00 of the first ¥60.00, the rest of the next ¥120.00. Relief: ¥12.00, then up to ¥15.00.
    assert (before.relief_fen, before.guaranteed_due_fen, before.guaranteed_fen) == (1_200, 9_000, 4_800)
    assert (after.relief_fen, after.guaranteed_due_fen, after.guaranteed_fen) == (300, 4_200, 4_200)
    assert (of(first)[needy].fen, of(second)[needy].fen, of(second)[needy].relief_units) == (1_200, 300, 1)
    for household in market.households:
        both = of(first)[household].guaranteed_fen + of(second)[household].guaranteed_fen
        assert both == 1_500 * (market.households.index(household) + 1)
    # Computed again, each still knows what the other gave, and gives the same.
    again = transaction(lambda: distribution.recompute(second.id, actor=market.accountant, version=1))
    assert (again.total_fen, {home: share.fen for home, share in of(again).items()}) == (
        12_000, {home: share.fen for home, share in of(second).items()},
    )  # fmt: skip


def test_the_rule_is_that_of_the_period_and_frozen_in_the_draft(app: Flask) -> None:
    market = builders.market()
    old = rule(market)
    rule(market, Terms(7_000), from_period=next_month(), version_no=2)
    sold(market, 30_000)
    (group,) = distribution.groups_of(drafted(market).id)
    assert (group.rule_id, group.guaranteed_fen) == (old, 1_200)
    in_force = distribution_rule.in_force(market.group, next_month())
    assert in_force is not None
    assert (in_force.version_no, distribution_rule.in_force(market.group, "2019-12")) == (2, None)


def test_proposed_by_the_cooperative_and_approved_by_the_operator(app: Flask) -> None:
    market, other = builders.market(), builders.market(name="另一家合作社")
    for wrong in (market.accountant, market.clerk):
        with pytest.raises(NotAllowed):
            proposed(market, actor=wrong)
    with pytest.raises(NotFound):
        proposed(market, actor=other.director)
    proposal_id = proposed(market)
    assert proposed(market) == proposal_id
    with pytest.raises(Conflict, match=r"rule\.open"):
        proposed(market, Terms(9_000), key="other")
    with pytest.raises(NotAllowed):
        decided(proposal_id, actor=market.director)
    with pytest.raises(InvalidInput):
        decided(proposal_id, approved=False)
    row = decided(proposal_id)
    assert distribution_rule.history(market.cooperative)[market.group][0].id == row.rule_id
    assert rule_proposal.reasons(market.cooperative) == {row.rule_id: "保底稳住人心"}
    with pytest.raises(Conflict, match=r"rule\.state"):
        decided(proposal_id)


def test_a_returned_or_withdrawn_proposal_changes_nothing(app: Flask) -> None:
    market = builders.market()
    decided(proposed(market), approved=False, reason="保底太高")
    second = proposed(market, key="second")
    transaction(lambda: rule_proposal.withdraw(second, version=1, actor=market.director))
    assert distribution_rule.history(market.cooperative) == {}


def test_a_proposal_whose_month_began_while_it_waited_is_late(app: Flask) -> None:
    market = builders.market()
    proposal_id = proposed(market)
    first, _ = days_of(next_month())
    who = administrator()
    with clock.travel(clock.beijing_midnight(first)), pytest.raises(Conflict, match=r"rule\.late"):
        decided(proposal_id, actor=who)


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        (Terms(5_999), "patronage_bp"),
        (Terms(10_001), "patronage_bp"),
        (Terms(6_000), "patronage_bp"),  # nothing changes
        (Terms(6_000, guaranteed_fen=-1), "guaranteed_fen"),
        (Terms(6_000, guaranteed_fen=10**18), "guaranteed_fen"),
        (Terms(6_000, relief_bp=5_001), "relief_bp"),
        (Terms(6_000, relief_bp=100, relief_by="VILLAGE"), "relief_by"),
        (Terms(6_000, relief_bp=100, relief_most_fen=-1), "relief_most_fen"),
    ],
)
def test_what_is_no_rule_is_refused(app: Flask, terms: Terms, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        proposed(builders.market(), terms)
    assert refused.value.data["field"] == field


@pytest.mark.parametrize("period", ["", "2026-13", "本月", "2020-01", "9999-12"])
def test_a_month_that_is_none_or_has_begun_is_refused(app: Flask, period: str) -> None:
    market = builders.market()
    for asked in (period or this_period(),):
        with pytest.raises(InvalidInput) as refused:
            proposed(market, period=asked)
        assert refused.value.data["field"] == "from_period"


homes = st.dictionaries(st.integers(1, 60), st.integers(0, 5_000), max_size=14)


@settings(max_examples=200)
@given(
    fen=st.integers(0, 10**11), grams=homes, days=homes, relief=st.dictionaries(st.integers(50, 70), st.integers(1, 6), max_size=5),
    had=st.dictionaries(st.integers(1, 60), st.integers(0, 10**6), max_size=6), had_relief=st.integers(0, 10**6),
    bp=st.integers(6_000, 10_000), guaranteed=st.integers(0, 10**7), relief_bp=st.integers(0, 5_000), by=st.sampled_from(distribution_rule.RELIEF_BY),
    most=st.one_of(st.just(0), st.integers(1, 10**7)),
)  # fmt: skip
def test_nothing_is_lost_or_made_whatever_is_promised(
    fen: int, grams: dict[int, int], days: dict[int, int], relief: dict[int, int], had: dict[int, int], had_relief: int, bp: int,
    guaranteed: int, relief_bp: int, by: str, most: int,
) -> None:  # fmt: skip
    terms = Terms(bp, guaranteed, relief_bp, by, most)
    had = {home: given for home, given in had.items() if home in days}
    keys = {each: f"JA-{each:03d}" for each in {*grams, *days, *relief}}

    def divided() -> Divided:
        return divide(
            fen, terms=terms, days=MONTH, basis="BATCHES", grams=grams, share_days=days, relief=relief, before=Before(had, had_relief),
            keys=keys, salt="s",
        )  # fmt: skip

    units = sum(relief.values() if by == "PERSON" else [1] * len(relief))
    due = sum(max(0, weight * guaranteed // MONTH - had.get(home, 0)) for home, weight in days.items())
    first = fen * relief_bp // 10_000 if units else 0
    if most:
        first = min(first, max(0, units * most - had_relief))
    rest = fen - first - min(due, fen - first)
    if rest and not any(grams.values()) and not any(days.values()):
        with pytest.raises(Conflict, match=r"distribution\.nobody"):
            divided()
        return
    made = divided()
    assert (made.fen, made.relief_fen, made.guaranteed_due_fen, made.guaranteed_fen) == (fen, first, due, min(due, fen - first))
    assert made.patronage_fen + made.equity_fen == rest
    for name in ("patronage_fen", "equity_fen", "relief_fen", "guaranteed_fen"):
        assert made.parts.total(name) == getattr(made, name)
        assert all(getattr(part, name) >= 0 for part in made.parts)
    assert sum(part.fen for part in made.parts) == fen
    assert all(part.guaranteed_fen <= part.guaranteed_due_fen for part in made.parts)
    if any(grams.values()) and any(days.values()):
        assert made.patronage_fen * 10_000 >= rest * bp, "of what is left at least so much goes by grams"
    if made.guaranteed_fen == due:
        assert all(part.guaranteed_fen == part.guaranteed_due_fen for part in made.parts)
    assert list(divided().parts.rows()) == list(made.parts.rows())
