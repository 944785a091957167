"""Who read what of a household. Names, accounts and hardship are sealed; whoever opens them, masked or whole, leaves a row of audit."""

from collections.abc import Collection
from typing import Any

from marketplace.foundation import audit
from marketplace.foundation.database import db, get
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.households.account_correction import must_know
from marketplace.households.household import Household
from marketplace.organisations.actor import Actor

PURPOSES = {"DELIVERY": N_("登记交货"), "SHARES": N_("核对股份"), "PAYOUT": N_("核对发放"), "OBJECTION": N_("答复异议")}


def looked_at(subject: Any, household_ids: Collection[int], *, actor: Actor) -> None:
    """Record that the actor saw these households masked (王**), as a list about ``subject``: one row whatever their number."""
    if household_ids:
        audit.record(
            "household.seen_masked", subject, person_id=actor.person_id, organisation_id=actor.organisation_id, households=sorted(household_ids)
        )
        db.session.flush()


def opened(household_id: int, *, purpose: str, actor: Actor) -> dict[str, str]:
    """Name and account of one household, whole, for a purpose (of PURPOSES) that is recorded. InvalidInput ``purpose.bad``; NotFound
    unless the actor may know them (``account_correction.must_know``): a share that one entered oneself opens nothing."""
    household = get(Household, household_id)
    must_know(household, actor, "accountant", "director")
    if purpose not in PURPOSES:
        raise InvalidInput("purpose.bad", N_("请选看姓名和账号的用途。"), field="purpose")
    audit.record("household.opened", household, person_id=actor.person_id, organisation_id=actor.organisation_id, purpose=purpose)
    db.session.flush()
    return {"name": household.name, "bank_name": household.bank_name, "bank_account": household.bank_account}
