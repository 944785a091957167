"""Two who propose the same at one moment have proposed it once: the second is told so, and what they did beside it can still be kept."""

from datetime import date

import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError

from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.organisations.proposal import put
from marketplace.payments.bill_closure import BillClosure
from tests import builders

pytestmark = pytest.mark.both


def closure(organisation_id: int, last_day: date = date(2026, 3, 2)) -> BillClosure:
    return BillClosure(organisation_id=organisation_id, first_day=date(2026, 3, 1), last_day=last_day, reason="离开支付宝了")


def test_the_same_at_one_moment_is_proposed_once(app: Flask) -> None:
    market = builders.market()

    def second() -> BillClosure:
        return put(closure(market.cooperative), "bill_closure.proposed", person_id=market.director.person_id)

    transaction(lambda: put(closure(market.cooperative), "bill_closure.proposed", person_id=market.accountant.person_id))
    with pytest.raises(Conflict, match=r"proposal\.same"):
        transaction(second)  # it looked before the first one wrote
    with transaction():
        with pytest.raises(Conflict):
            second()
        put(closure(builders.cooperative()), "bill_closure.proposed", person_id=market.director.person_id)
    assert db.session.query(BillClosure).count() == 2


def test_what_breaks_another_rule_is_no_such_thing(app: Flask) -> None:
    market = builders.market()
    with pytest.raises(IntegrityError):
        transaction(lambda: put(closure(market.cooperative, date(2026, 2, 1)), "bill_closure.proposed", person_id=market.accountant.person_id))
