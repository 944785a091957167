"""What the last day leaves for the morning after, so that whoever opens the market finds work waiting at every desk.

Two cooperatives whose people can be signed in as come late with the month before: one has drafted its distribution, the other
has published it, and a villager objects. A listing waits for review, and a transfer came that names no order.
"""

from collections import Counter
from datetime import date, timedelta

from sqlalchemy import select

from marketplace.catalogue import listing_review
from marketplace.catalogue.product import Product
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.notices import objection
from marketplace.settlement import distribution
from marketplace.simulation import bank
from marketplace.simulation.people import People


def late(people: People, day: date, last: date) -> list[int]:
    """The cooperatives that do not distribute on ``day`` because their last month is kept for the last evening."""
    return people.shown if last - day < timedelta(days=31) else []


def leave(people: People, done: Counter[str]) -> None:
    """Leave it all waiting; what a small market has nothing for is left out."""
    period = clock.period_of(clock.business_date().replace(day=1) - timedelta(days=1))
    for cooperative_id, goes_on in zip(people.shown, (True, False), strict=False):
        _distribution(people, cooperative_id, period, published=goes_on, done=done)
    for cooperative_id in people.shown[:1]:
        _listing(people, cooperative_id, done)
        _transfer(people, cooperative_id, done)


def _distribution(people: People, cooperative_id: int, period: str, *, published: bool, done: Counter[str]) -> None:
    staff = people.staff[cooperative_id]
    try:
        row = transaction(lambda: distribution.draft(cooperative_id, period, actor=staff["accountant"]))
    except Conflict:
        return
    done["distributions waiting"] += 1
    if published:
        row_id, version = row.id, row.version
        transaction(lambda: distribution.approve(row_id, actor=staff["director"], version=version))
        notice_id = transaction(lambda: distribution.publish(row_id, actor=staff["director"]).id)
        transaction(lambda: objection.raise_(notice_id, text="我家九月交过两次鲜叶，公示里好像只算了一次。", name="云脚村村民"))
        done["objections"] += 1


def _listing(people: People, cooperative_id: int, done: Counter[str]) -> None:
    query = select(Product.id, Product.version).where(Product.organisation_id == cooperative_id, Product.state == "ON_SALE")
    found = db.session.execute(query.order_by(Product.id.desc()).limit(1)).one_or_none()
    if found is None:
        return
    product_id, version = found
    clerk = people.staff[cooperative_id]["clerk"]

    def again() -> None:
        withdrawn = listing_review.withdraw(product_id, version=version, actor=clerk)
        listing_review.submit(product_id, version=withdrawn.version, actor=clerk)

    try:
        transaction(again)
    except (Conflict, InvalidInput):
        return
    done["listings waiting"] += 1


def _transfer(people: People, cooperative_id: int, done: Counter[str]) -> None:
    bank.take(cooperative_id, [bank.Transfer(860_00, "靖安县教育体育局工会委员会", "360500001234", "慰问品")], people, done)
    done["transfers waiting"] += 1
