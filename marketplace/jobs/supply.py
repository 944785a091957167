"""The jobs of supply: what goods and harvests need looked at when nobody presses a button."""

from sqlalchemy import select

from marketplace.catalogue import licence_end
from marketplace.foundation.database import db, transaction
from marketplace.jobs.schedule import job
from marketplace.organisations.organisation import Cooperative
from marketplace.supply import mass_balance


@job("mass-balance", 3600, "compare what was harvested, packed, sold and delivered, and queue what does not add up")
def balance() -> str:
    found = 0
    for organisation_id in list(db.session.scalars(select(Cooperative.organisation_id).order_by(Cooperative.organisation_id))):
        found += len(transaction(lambda own=organisation_id: mass_balance.look(own)))  # type: ignore[misc]
    return f"{found} found" if found else ""


@job("licences", 3600, "stop the sale of goods whose cooperative's food licence has ended")
def licences() -> str:
    stopped = 0
    for product_id in licence_end.due():
        stopped += transaction(lambda own=product_id: licence_end.stop(own))  # type: ignore[misc]
    return f"{stopped} suspended" if stopped else ""
