"""Households that are paid over Alipay in the simulation: some register an account, by two people, and the month's end pays them first."""

import random
from collections import Counter

from sqlalchemy import select

from marketplace.emulator import fault
from marketplace.foundation import outbox
from marketplace.foundation.database import db, get, transaction
from marketplace.foundation.errors import Conflict
from marketplace.households import account_proposal
from marketplace.households.household import Household
from marketplace.organisations.actor import Actor
from marketplace.payments import transfer, transfer_call, withdrawal
from marketplace.settlement import household_credit, payout_batch
from marketplace.settlement.distribution import Distribution, DistributionShare
from marketplace.settlement.payout_batch import PayoutBatch
from marketplace.settlement.payout_item import number_of
from marketplace.simulation.gateway import Gateway

ONE_OF = 12  # so many households have one with Alipay
KINDS = {transfer.MESSAGE, transfer_call.LOOK}


def pay(distribution_id: int, staff: dict[str, Actor], opened: Gateway, chance: random.Random, done: Counter[str]) -> PayoutBatch | None:
    """Pay whom Alipay reaches, if its balance does; the batch if something of it came back, to be issued again over the bank."""
    _register(distribution_id, staff, done)
    distribution = transaction(lambda: get(Distribution, distribution_id))
    reached = household_credit.counted(distribution, "alipay")
    if not reached.households or reached.fen > withdrawal.available(distribution.organisation_id):
        return None
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
    return row if db.session.scalars(payout_batch.returned(batch_id).limit(1)).first() else None


def _register(distribution_id: int, staff: dict[str, Actor], done: Counter[str]) -> None:
    query = (
        select(Household.id, Household.version)
        .join(DistributionShare, DistributionShare.household_id == Household.id)
        .where(DistributionShare.distribution_id == distribution_id, Household.id % ONE_OF == 0, Household.alipay_account_sealed == "")
        .distinct()
    )
    for household_id, version in db.session.execute(query.order_by(Household.id)).all():
        account = f"138{household_id:08d}"
        name = transaction(lambda h=household_id: get(Household, h).name)  # type: ignore[misc]
        try:
            proposal_id: int = transaction(
                lambda h=household_id, v=version, a=account, n=name: account_proposal.propose(  # type: ignore[misc]
                    h, kind="alipay", account=a, again=a, payee_name=n, reason="本人要求，凭手机上的支付宝", actor=staff["accountant"], version=v
                ).id
            )
        except Conflict as error:
            if error.code != "account.shared":
                raise
            continue  # the county's people would register it
        transaction(lambda p=proposal_id: account_proposal.decide(p, actor=staff["director"], version=1, approved=True))  # type: ignore[misc]
        done["alipay accounts"] += 1
