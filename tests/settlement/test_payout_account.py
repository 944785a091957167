"""Another account for a household takes two people of a cooperative that it is linked to, and its next payout says that it is new."""

from datetime import date, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.households import account_correction, account_proposal, linkage_share, privacy
from marketplace.households.account_correction import AccountCorrection
from marketplace.households.account_proposal import AccountProposal
from marketplace.households.household import Household
from marketplace.households.linkage_share import NewShare
from marketplace.organisations.actor import Actor
from marketplace.organisations.approval import OwnWork
from marketplace.settlement import payout_batch
from marketplace.settlement.payout_account import new_accounts
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from tests import builders
from tests.settlement import alipay_desk
from tests.settlement.alipay_desk import AlipayDesk, item, made, rounds, states, with_accounts
from tests.settlement.test_payout_batch import bring, posted, sent

ACCOUNT = "6228480012345678"
TODAY = clock.business_date()


def house_of(household_id: int) -> Household:
    db.session.rollback()
    return db.session.get_one(Household, household_id)


def proposed(household_id: int, actor: Actor, account: str = ACCOUNT) -> AccountProposal:
    version = house_of(household_id).version
    return transaction(
        lambda: account_proposal.propose(
            household_id, bank_name="邮储银行", account=account, again=account, reason="销户，凭新卡", actor=actor, version=version
        )
    )


def decided(row: AccountProposal, actor: Actor, *, approved: bool = True, reason: str = "", version: int = 1) -> AccountProposal:
    number = row.id
    return transaction(lambda: account_proposal.decide(number, actor=actor, version=version, approved=approved, reason=reason))


def linked(market: builders.Market, household_id: int, actor: Actor, kind: str, starts_on: date) -> None:
    code = house_of(household_id).code
    new = NewShare(code, kind, 1, starts_on, "茶园", None, "LAND", 100_000) if kind == "EQUITY" else NewShare(code, kind, 0, starts_on, "茶园")
    transaction(lambda: linkage_share.add(market.group, new, actor=actor, key=f"{kind}{starts_on}"))


@pytest.mark.parametrize(("kind", "days"), [("WAGE", 0), ("WAGE", 30), ("LEASE", 0), ("RELIEF", 0), ("SUPPLY", 30), ("EQUITY", 30), ("EQUITY", 0), ("SUPPLY", 0)])
def test_an_accountant_opens_no_household_of_another_by_a_share_of_their_own(app: Flask, kind: str, days: int) -> None:
    """The attack: link a stranger's household to one's own group and send its money elsewhere."""
    market, thief = builders.market(), builders.market(name="宝峰油茶合作社")
    home = market.households[0]
    before = house_of(home).bank_account
    linked(thief, home, thief.accountant, kind, TODAY + timedelta(days=days))
    with pytest.raises(NotFound):
        proposed(home, thief.accountant)
    with pytest.raises(NotFound), transaction():
        account_correction.opened(home, actor=thief.accountant)
    assert (house_of(home).bank_account, db.session.query(AccountProposal).count()) == (before, 0)


def test_linked_is_equity_or_supply_in_force_that_another_entered_or_money_that_was_given(app: Flask) -> None:
    market, home = builders.market(), builders.household()
    linked(market, home, market.director, "WAGE", TODAY)
    with pytest.raises(NotFound):
        proposed(home, market.accountant)
    linked(market, home, market.director, "SUPPLY", TODAY)
    decided(proposed(home, market.accountant), market.director, approved=False, reason="没有附存折")
    with clock.travel(clock.now() + timedelta(days=1)):
        transaction(lambda: linkage_share.end(market.group, home, "SUPPLY", TODAY, "搬走了", actor=market.director))
        with pytest.raises(NotFound):
            proposed(home, market.accountant)
    market, _distribution_id = posted()
    with transaction():
        db.session.execute(text("UPDATE linkage_share SET ends_on = :day WHERE starts_on < :day"), {"day": (TODAY - timedelta(days=1)).isoformat()})
    decided(proposed(market.households[0], market.accountant), market.director)
    with pytest.raises(NotFound):
        proposed(market.households[0], builders.market(name="宝峰油茶合作社").accountant)


@pytest.mark.both
def test_only_the_second_persons_word_changes_the_account(app: Flask) -> None:
    market, other = builders.market(), builders.market(name="宝峰油茶合作社")
    home = market.households[0]
    before = house_of(home).bank_account
    row = proposed(home, market.accountant)
    number = row.id
    assert house_of(home).bank_account == before
    with pytest.raises(Conflict, match=r"account\.waiting"):
        proposed(home, market.accountant, "6228480000000000")
    for actor, refusal in ((market.accountant, NotAllowed), (other.director, NotFound), (builders.person(builders.operator(), "treasurer"), NotFound)):
        with pytest.raises(refusal):
            decided(row, actor)
    with pytest.raises(InvalidInput, match=r"reason\.missing"):
        decided(row, market.director, approved=False, reason=" ")
    with pytest.raises(Conflict, match=r"version\.stale"):
        decided(row, market.director, version=2)
    assert house_of(home).bank_account == before
    decided(row, market.director)
    house = house_of(home)
    assert (house.bank_account, house.bank_name, house.version) == (ACCOUNT, "邮储银行", 2)
    change = db.session.query(AccountCorrection).one()
    assert (change.by_id, change.approved_by_id, change.account_before) == (market.accountant.person_id, market.director.person_id, before)
    for approved in (True, False):
        with pytest.raises(Conflict, match=r"account\.decided"):
            decided(row, market.director, approved=approved, reason="又来", version=2)
    for wrong in ("decided_by_id = proposed_by_id", "state = 'PROPOSED'", "state = 'RETURNED'", "state = 'DONE'"):
        with pytest.raises(IntegrityError), transaction():
            db.session.execute(text(f"UPDATE account_proposal SET {wrong} WHERE id = {number}"))
        db.session.rollback()


def test_who_proposed_at_the_operator_does_not_decide_and_a_stale_proposal_is_refused(app: Flask) -> None:
    market = builders.market()
    home = market.households[0]
    treasurer, administrator = builders.person(builders.operator(), "treasurer"), builders.person(builders.operator(), "administrator")
    ours, theirs = proposed(home, market.accountant, "6228480011111111"), proposed(home, treasurer)
    with pytest.raises(OwnWork):
        decided(theirs, treasurer)
    decided(theirs, administrator)
    with pytest.raises(Conflict, match=r"account\.stale"):
        decided(ours, market.director)
    assert house_of(home).bank_account == ACCOUNT
    db.session.refresh(returned := decided(ours, market.director, approved=False, reason="已改过"))
    assert (returned.state, returned.returned_reason) == ("RETURNED", "已改过")


@pytest.mark.both
def test_an_account_that_the_bank_has_not_paid_yet_is_marked(app: Flask) -> None:
    market, distribution_id = posted()
    first, second, third = market.households
    batch = sent(market, distribution_id)
    assert new_accounts(batch) == set()
    with clock.travel(clock.now() + timedelta(hours=1)):  # changed while the bank is still paying the old account
        decided(proposed(first, market.accountant), market.director)
    with clock.travel(clock.now() + timedelta(hours=2)):
        bring(batch, market, f"{batch.number},1,10.00,paid,", f"{batch.number},2,20.00,returned,销户", f"{batch.number},3,30.00,returned,销户")
        decided(proposed(second, market.accountant, "6228480022222222"), market.director)
        proposed(third, market.accountant, "6228480033333333")
    with clock.travel(clock.now() + timedelta(hours=3)):
        again = transaction(lambda: payout_batch.reissue(batch.id, actor=market.accountant))
        assert new_accounts(again) == {second}, "one changed, one only waits"
    with clock.travel(clock.now() + timedelta(hours=4)):
        decided(db.session.query(AccountProposal).filter_by(state="PROPOSED").one(), market.director)
        assert new_accounts(again) == {second}, "what changed after the batch was made is marked as such, the batch has the old account"
    with clock.travel(clock.now() + timedelta(hours=5)):
        later = batch_of(market, distribution_id, first)
        assert new_accounts(later) == {first}, "the batch that reached it had the old account, though the bank said so later"
    with transaction():
        db.session.execute(text("UPDATE payout_item SET state = 'paid' WHERE batch_id = :batch"), {"batch": later.id})
    with clock.travel(clock.now() + timedelta(hours=6)):
        assert new_accounts(batch_of(market, distribution_id, first)) == set(), "now the account is one that was paid"


def test_an_account_to_which_others_pay_is_not_one_cooperatives_to_change(app: Flask) -> None:
    market, _distribution_id = posted()
    other, home = builders.market(name="宝峰油茶合作社"), market.households[0]
    linked(other, home, other.director, "SUPPLY", TODAY)
    for accountant in (other.accountant, market.accountant):  # one has paid, the other will
        with pytest.raises(Conflict, match=r"account\.shared"):
            proposed(home, accountant)
    treasurer, administrator = builders.person(builders.operator(), "treasurer"), builders.person(builders.operator(), "administrator")
    decided(proposed(home, treasurer), administrator)
    assert house_of(home).bank_account == ACCOUNT


def asked_first(household_id: int, actor: Actor, kind: str) -> AccountProposal:
    """Somebody asks for the first account of a kind."""
    given = {"account": "13870010001", "payee_name": "贼人甲"} if kind == "alipay" else {"account": ACCOUNT, "bank_name": "邮储银行"}
    version = house_of(household_id).version
    return transaction(
        lambda: account_proposal.propose(household_id, kind=kind, again=given["account"], reason="凭手机登记", actor=actor, version=version, **given)
    )


@pytest.mark.both
@pytest.mark.parametrize("kind", ["alipay", "bank"])
@pytest.mark.parametrize("owes", ["a share", "a share to come", "a draft", "a payout"])
def test_a_first_account_is_nobodys_to_choose_where_others_will_pay(app: Flask, kind: str, owes: str) -> None:
    """The attack: a director enters a supply share of a household that another cooperative is to pay, the accountant gives it a first account
    (their own), the director agrees, and the other one's next batch goes there."""
    if owes.startswith("a share"):
        victim, home = builders.market(), builders.household()
        linked(victim, home, victim.director, "SUPPLY", TODAY + timedelta(days=30 if owes == "a share to come" else 0))
    else:
        victim, distribution_id = posted()
        home = victim.households[0]
        if owes == "a payout":
            batch_of(victim, distribution_id, home)
        with transaction():  # the share is over, and so nothing but the money speaks
            db.session.execute(text("UPDATE linkage_share SET ends_on = :day WHERE starts_on < :day"), {"day": (TODAY - timedelta(days=1)).isoformat()})
            state = "WITHDRAWN" if owes == "a payout" else "DRAFTED"
            db.session.execute(text("UPDATE distribution SET state = :state WHERE id = :id"), {"id": distribution_id, "state": state})
    with transaction():
        house = db.session.get_one(Household, home)
        house.bank_account, house.bank_name = ("", "") if kind == "bank" else (house.bank_account, house.bank_name)
    thief = builders.market(name="宝峰油茶合作社")
    linked(thief, home, thief.director, "SUPPLY", TODAY)
    with pytest.raises(Conflict, match=r"account\.shared"):
        asked_first(home, thief.accountant, kind)
    treasurer, administrator = builders.person(builders.operator(), "treasurer"), builders.person(builders.operator(), "administrator")
    decided(asked_first(home, treasurer, kind), administrator)
    assert (house_of(home).alipay_account if kind == "alipay" else house_of(home).bank_account) in ("13870010001", ACCOUNT)


def test_who_alone_pays_a_household_gives_it_its_first_account(app: Flask) -> None:
    market = builders.market()
    decided(asked_first(market.households[0], market.accountant, "alipay"), market.director)
    assert house_of(market.households[0]).alipay_account == "13870010001"


def test_an_account_that_became_anothers_too_is_not_approved_any_more(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    market = builders.market()
    row = proposed(market.households[0], market.accountant)
    monkeypatch.setattr(account_correction, "shared_with", [lambda household_id, organisation_id: True])
    monkeypatch.setattr(account_proposal, "shared_with", account_correction.shared_with)
    with pytest.raises(Conflict, match=r"account\.shared"):
        decided(row, market.director)


@pytest.mark.both
def test_what_another_cooperative_paid_makes_an_account_no_less_new(app: Flask) -> None:
    market, distribution_id = posted()
    home = market.households[0]
    with clock.travel(clock.now() + timedelta(hours=1)):
        decided(proposed(home, market.accountant), market.director)
    with clock.travel(clock.now() + timedelta(hours=2)):
        foreign = batch_of(builders.market(name="宝峰油茶合作社"), distribution_id, home)
    with transaction():
        db.session.execute(text("UPDATE payout_item SET state = 'paid' WHERE batch_id = :batch"), {"batch": foreign.id})
    with clock.travel(clock.now() + timedelta(hours=3)):
        assert new_accounts(batch_of(market, distribution_id, home)) == {home}


def test_a_share_that_one_entered_oneself_opens_no_name_either(app: Flask) -> None:
    market, thief = builders.market(), builders.market(name="宝峰油茶合作社")
    home = market.households[0]
    linked(thief, home, thief.accountant, "SUPPLY", TODAY)
    with pytest.raises(NotFound), transaction():
        privacy.opened(home, purpose="PAYOUT", actor=thief.accountant)


def batch_of(market: builders.Market, distribution_id: int, household_id: int) -> PayoutBatch:
    """One more draft for a household, as a later month's distribution would give it."""
    with transaction():
        row = PayoutBatch(
            organisation_id=market.cooperative, distribution_id=distribution_id, number=f"DF-{clock.now():%H%M%S}", total_fen=100, items=1,
            made_at=clock.now(), made_by_id=market.accountant.person_id, version=1,
        )  # fmt: skip
        db.session.add(row)
        db.session.flush()
        item = PayoutItem(
            organisation_id=market.cooperative, batch_id=row.id, sequence=1, household_id=household_id, fen=100, bank_name="邮储银行", account_last4="5678"
        )
        item.bank_account = ACCOUNT
        db.session.add(item)
    return row


def removal(household_id: int, actor: Actor, reason: str = "手机号不用了") -> AccountProposal:
    version = house_of(household_id).version
    return transaction(lambda: account_proposal.propose_removal(household_id, reason, actor=actor, version=version))


@pytest.mark.both
def test_two_people_take_a_household_off_alipay_and_new_batches_let_it_be(app: Flask) -> None:
    market, distribution_id = posted()
    AlipayDesk(app, market)
    first, second, third = market.households
    with_accounts(first, second)
    account = house_of(first).alipay_account
    frozen = alipay_desk.approved(market, distribution_id)
    with pytest.raises(Conflict, match=r"account\.none"):
        removal(third, market.accountant)
    with pytest.raises(InvalidInput, match=r"reason\.missing"):
        removal(first, market.accountant, " ")
    with pytest.raises(NotAllowed):
        removal(first, market.clerk)
    row = removal(first, market.accountant)
    assert (row.removes, house_of(first).alipay_account) == (True, account), "one person takes nothing away"
    with pytest.raises(Conflict, match=r"account\.waiting"):
        proposed(first, market.accountant)
    decided(row, market.director)
    house = house_of(first)
    assert (house.alipay_account, house.alipay_name, house.alipay_account_sealed, house.bank_account != "") == ("", "", "", True)
    change = db.session.query(AccountCorrection).one()
    assert (change.kind, change.account_before, change.last4_after) == ("alipay", account, "")

    transaction(lambda: payout_batch.start(frozen.id, actor=market.accountant, version=frozen.version))
    rounds()
    assert states(frozen) == ["paid", "paid"], "what was frozen is paid as it was agreed to"
    desk_paid = item(frozen, 0)
    assert (desk_paid.household_id, desk_paid.bank_account) == (first, account)
    rest = transaction(lambda: payout_batch.make(distribution_id, actor=market.accountant))
    assert [each.household_id for each in payout_batch.items_of(rest.id)] == [third]


@pytest.mark.both
def test_who_left_alipay_is_in_no_new_batch_there_and_not_new_to_the_bank(app: Flask) -> None:
    market, distribution_id = posted()
    AlipayDesk(app, market)
    first, second, third = market.households
    with_accounts(first, second, third)
    decided(removal(second, market.accountant), market.director)
    over_alipay = made(market, distribution_id)
    assert [each.household_id for each in payout_batch.items_of(over_alipay.id)] == [first, third]
    rest = transaction(lambda: payout_batch.make(distribution_id, actor=market.accountant))
    assert [each.household_id for each in payout_batch.items_of(rest.id)] == [second]
    assert new_accounts(rest) == set(), "its bank account is what it was"
    assert account_correction.corrected_since([second], market_day(), "bank") == set()
    assert account_correction.corrected_since([second], market_day(), "alipay") == {second}


def market_day() -> datetime:
    return clock.beijing_midnight(TODAY - timedelta(days=1))
