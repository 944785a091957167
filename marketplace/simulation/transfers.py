"""Households that are paid over Alipay in the simulation: some register an account, by two people, and the month's end pays them first."""

import random
from collections import Counter

from sqlalchemy import Select, select

from marketplace.emulator import fault
from marketplace.foundation import outbox
from marketplace.foundation.database import db, get, transaction
from marketplace.foundation.errors import Conflict
from marketplace.households import account_proposal
from marketplace.households.account_proposal import AccountProposal
from marketplace.households.household import Household
from marketplace.organisations.actor import Actor
from marketplace.payments import transfer, transfer_call, withdrawal
from marketplace.settlement import household_credit, payout_batch
from marketplace.settlement.distribution import Distribution, DistributionShare
from marketplace.settlement.payout_item import number_of
from marketplace.simulation.gateway import Gateway

ONE_OF = 12  # so many households have one with Alipay
KINDS = {transfer.MESSAGE, transfer_call.LOOK}


def pay(distribution_id: int, staff: dict[str, Actor], opened: Gateway, chance: random.Random, done: Counter[str]) -> None:
    """Pay whom Alipay reaches, if its balance does; now and then one of them comes back."""
    _register(distribution_id, staff, done)
    distribution = transaction(lambda: get(Distribution, distribution_id))
    reached = household_credit.counted(distribution, "alipay")
    if not reached.households or reached.fen > withdrawal.available(distribution.organisation_id):
        return
    row = transaction(lambda: payout_batch.make(distribution_id, actor=staff["accountant"], channel="alipay"))
    if chance.random() < 0.3:
        fault.order(opened.emulator.state, kind="transfer_fail", out_trade_no=number_of(row, chance.randrange(row.items) + 1))
    batch_id = row.id
    transaction(lambda: payout_batch.approve(batch_id, actor=staff["director"], version=1))
    transaction(lambda: payout_batch.start(batch_id, actor=staff["accountant"], version=2))
    outbox.drain(kinds=KINDS)
    fault.clear(opened.emulator.state)
    done["payout batches"] += 1
    done["transfers"] += row.items


def _register(distribution_id: int, staff: dict[str, Actor], done: Counter[str]) -> None:
    query = (
        select(Household.id, Household.version)
        .join(DistributionShare, DistributionShare.household_id == Household.id)
        .where(DistributionShare.distribution_id == distribution_id, Household.id % ONE_OF == 0, Household.alipay_account_sealed == "")
        .distinct()
    )
    for household_id, version in db.session.execute(query.order_by(Household.id)).all():
        accountant = staff["accountant"]
        proposal_id = db.session.scalar(_waiting(household_id, accountant)) or _propose(household_id, version, accountant)
        if proposal_id is None:
            continue  # the county's people would register it
        transaction(lambda p=proposal_id: account_proposal.decide(p, actor=staff["director"], version=1, approved=True))  # type: ignore[misc]
        done["alipay accounts"] += 1


def _waiting(household_id: int, accountant: Actor) -> Select[int]:
    its = AccountProposal.household_id == household_id, AccountProposal.organisation_id == accountant.organisation_id
    return select(AccountProposal.id).where(*its, AccountProposal.state == "PROPOSED")


def _propose(household_id: int, version: int, accountant: Actor) -> int | None:
    """The proposal's number; None for an account to which others pay too, which is not this cooperative's to change."""
    account = f"138{household_id:08d}"

    def propose() -> int:
        name = get(Household, household_id).name
        return account_proposal.propose(
            household_id, kind="alipay", account=account, again=account, payee_name=name, reason="本人要求，凭手机上的支付宝", actor=accountant, version=version
        ).id

    try:
        return transaction(propose)
    except Conflict as error:
        if error.code != "account.shared":
            raise
        return None
