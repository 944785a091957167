"""A posted distribution is divided once more from what is frozen in it: whoever moves one fen between two households is found."""

from datetime import timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.notices.public_notice import PublicNotice
from marketplace.reporting import books_shares
from marketplace.settlement import distribution, distribution_check
from marketplace.settlement.distribution_rule import Terms
from marketplace.settlement.distribution_share import Distribution, DistributionGroup
from tests import builders
from tests.builders import Market
from tests.ledger.test_period import close
from tests.reporting import disarmed
from tests.settlement.test_commands import run
from tests.settlement.test_distribution import published, sold
from tests.settlement.test_distribution_rule import rule, unable

RULES = {
    "grams and shares": None,
    "relief, guaranteed, the rest": Terms(6_000, guaranteed_fen=200, relief_bp=1_000),
    "guaranteed, and it does not reach": Terms(6_000, guaranteed_fen=2_000),
    "relief by household, up to so much": Terms(7_000, relief_bp=2_000, relief_by="HOUSEHOLD", relief_most_fen=700),
}


def posted(market: Market, fen: int = 30_035) -> Distribution:
    """The pool of 60.07 leaves odd fen in every way of dividing."""
    sold(market, fen)
    row = published(market)
    with clock.travel(clock.beijing_midnight(db.session.get_one(PublicNotice, row.notice_id).ends_on + timedelta(days=1))):
        return transaction(lambda: distribution.post(row.id, actor=market.accountant))


def least_and_most(row: Distribution, column: str) -> tuple[int, int]:
    """The households that have least and most in a column."""
    shares = sorted(distribution.shares_of(row.id), key=lambda each: getattr(each, column))
    return shares[0].household_id, shares[-1].household_id


def move_a_fen(row: Distribution, column: str, giver: int, taker: int) -> None:
    """From one household to another, in the shares and in the ledger's lines alike."""
    book, entry = row.organisation_id, db.session.query(DistributionGroup).filter_by(distribution_id=row.id).one().entry_id
    statements = []
    for household, sign in ((giver, -1), (taker, 1)):
        of = f"WHERE distribution_id = {row.id} AND household_id = {household}"
        account = f"(SELECT id FROM account WHERE code = '{book}:household:household:{household}')"
        statements += [
            f"UPDATE distribution_share SET {column} = {column} + {sign}, fen = fen + {sign} {of}",
            f"UPDATE journal_line SET fen = fen - {sign} WHERE entry_id = {entry} AND account_id = {account}",
        ]
    disarmed.run(*statements)


@pytest.mark.both
@pytest.mark.parametrize("terms", RULES.values(), ids=RULES.keys())
def test_one_fen_moved_between_two_households_is_found(app: Flask, terms: Terms | None) -> None:
    market = builders.market()
    for people in (2, 3) if terms is not None and terms.relief_bp else ():
        unable(market, people=people)
    if terms is not None:
        rule(market, terms)
    row = posted(market)
    assert not any(each() for each in books_shares.RULES)
    (group,) = distribution.groups_of(row.id)
    ways = [way for way in ("patronage_fen", "equity_fen", "relief_fen", "guaranteed_fen") if getattr(group, way)]
    assert ways == {
        "grams and shares": ["patronage_fen", "equity_fen"],
        "relief, guaranteed, the rest": ["patronage_fen", "equity_fen", "relief_fen", "guaranteed_fen"],
        "guaranteed, and it does not reach": ["guaranteed_fen"],
        "relief by household, up to so much": ["patronage_fen", "equity_fen", "relief_fen"],
    }[next(name for name, each in RULES.items() if each == terms)]  # fmt: skip
    for way in ways:
        least, most = least_and_most(row, way)
        move_a_fen(row, way, most, least)
        found = books_shares.distributions_come_out_again()
        assert sorted(int(each.split("household ")[1].split()[0]) for each in found) == sorted((least, most))
        sums = (books_shares.distributions_are_exact, books_shares.pools_add_up, books_shares.households_are_owed_what_was_not_paid)
        assert [each() for each in sums] == [[], [], []], "no sum tells"
        move_a_fen(row, way, least, most)
        assert books_shares.distributions_come_out_again() == []


def test_a_fen_moved_from_grams_to_shares_and_another_rule_are_found(app: Flask) -> None:
    market = builders.market()
    row = posted(market)
    row_id = row.id
    disarmed.run(
        f"UPDATE distribution_share SET patronage_fen = patronage_fen - 1, equity_fen = equity_fen + 1 WHERE distribution_id = {row_id} AND household_id = {market.households[0]}",
        f"UPDATE distribution_group SET patronage_fen = patronage_fen - 1, equity_fen = equity_fen + 1 WHERE distribution_id = {row_id}",
    )
    assert books_shares.distributions_are_exact() == []
    (said,) = books_shares.distributions_come_out_again()
    assert "by grams" in said
    rule(market, Terms(9_000))  # a version that was in force all along, and is not what it was divided by
    (said,) = books_shares.distributions_come_out_again()
    assert "was in force" in said


def test_one_promised_twice_in_a_month_comes_out_again(app: Flask) -> None:
    """What the first distribution gave of the month's promise was taken off the second one's."""
    market = builders.market()
    unable(market)
    rule(market, Terms(6_000, guaranteed_fen=1_500, relief_bp=2_000, relief_by="HOUSEHOLD", relief_most_fen=1_500))
    posted(market, 30_000)
    posted(market, 60_000)
    assert books_shares.distributions_come_out_again() == []


def test_the_terminal_divides_them_all_again_and_the_books_those_of_open_months(months_ago: None, app: Flask) -> None:
    market = builders.market()
    row = posted(market)
    row_id, period = row.id, row.period
    told = run(app, "distribute", "verify")
    assert (told.exit_code, told.output.splitlines()) == (0, [f"{period} {row.public_id}, number 1, CNY 60.07: as it should be"])
    assert [each.id for each in distribution_check.open_ones()] == [row_id]
    told = run(app, "distribute", "verify", "--period", "2001-01")
    assert (told.exit_code, told.output) == (0, "")
    row = db.session.get_one(Distribution, row_id)
    move_a_fen(row, "patronage_fen", *least_and_most(row, "patronage_fen")[::-1])
    told = run(app, "distribute", "verify", "--period", period)
    assert (told.exit_code, "WRONG" in told.output, "1 of 1 distributions do not come out" in told.output) == (1, True, True)
    # A closed month was checked when it was closed: the books look at it no more, and the terminal does.
    month = clock.period_of(clock.business_date(db.session.get_one(Distribution, row_id).posted_at))
    close(month)
    assert distribution_check.open_ones() == []
    assert run(app, "distribute", "verify").exit_code == 1
