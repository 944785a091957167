"""A household's bank account, corrected: who changed it, when and why, with the old number sealed.

What is sealed stays sealed: pages show the last four digits. Payouts that were made before keep the account they were made with.
"""

from datetime import datetime

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.crypto import Sealed, last_four, sealed_column
from marketplace.foundation.database import Model, Public, db, locked, not_found
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.households.household import Household
from marketplace.households.linkage_group import LinkageGroup, LinkageShare
from marketplace.organisations.actor import Actor

SHORTEST, LONGEST = 8, 32  # digits of a Chinese bank account or card


class AccountCorrection(Public, Model):
    """One correction. ``organisation_id`` is who made it."""

    __tablename__ = "account_correction"

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"), index=True)
    bank_before: Mapped[str] = mapped_column(String(80))
    account_before_sealed: Mapped[str] = sealed_column(default="")
    account_before = Sealed()
    last4_before: Mapped[str] = mapped_column(String(4))
    last4_after: Mapped[str] = mapped_column(String(4))
    reason: Mapped[str] = mapped_column(String(200))
    at: Mapped[datetime]
    by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))


def correct(
    household_id: int, *, bank_name: str, account: str, again: str, reason: str, actor: Actor, version: int
) -> AccountCorrection:
    """Set a household's bank and account number (digits; spaces and hyphens are dropped), with a reason.

    By an accountant of a cooperative that the household is or was linked to, or the operator's administrator or treasurer.
    Raises InvalidInput for ``bank_name``, ``account``, ``again`` or ``reason``; NotFound for a household that is not linked.
    """
    row = locked(Household, household_id)
    must_know(row, actor, "accountant")
    number, second = (each.translate(_SEPARATORS) for each in (account, again))
    if not 2 <= len(bank_name.strip()) <= 80:
        raise InvalidInput("account.bank", N_("请写开户行的全名。"), field="bank_name")
    if not (number.isascii() and number.isdigit() and SHORTEST <= len(number) <= LONGEST):
        raise InvalidInput("account.bad", N_("账号应是 8 到 32 位数字，请对照存折或银行卡。"), field="account")
    if number != second:
        raise InvalidInput("account.again", N_("两次填写的账号不一样，请再对一遍。"), field="again")
    if not 2 <= len(reason.strip()) <= 200:
        raise InvalidInput("reason.missing", N_("请写明为什么改、凭什么改，例如“账户已销，凭新存折”。"), field="reason")
    if (number, bank_name.strip()) == (row.bank_account, row.bank_name):
        raise InvalidInput("account.same", N_("和现在登记的一样，没有改动。"), field="account")
    row.must_be_version(version)
    before = row.bank_account
    change = AccountCorrection(
        organisation_id=actor.organisation_id, household_id=row.id, bank_before=row.bank_name, last4_before=last_four(before),
        last4_after=last_four(number), reason=reason.strip(), at=clock.now(), by_id=actor.person_id,
    )  # fmt: skip
    change.account_before = before
    row.bank_name, row.bank_account = bank_name.strip(), number
    db.session.add(change)
    db.session.flush()
    audit.record(
        "household.account_corrected", row, person_id=actor.person_id, organisation_id=actor.organisation_id, correction_id=change.id
    )
    db.session.flush()
    return change


def opened(household_id: int, *, actor: Actor) -> Household:
    """The household with its name and account, for whoever may correct them. Every opening is audited; NotFound for others."""
    row = db.session.get(Household, household_id)
    if row is None:
        raise not_found(Household)
    must_know(row, actor, "accountant", "director")
    audit.record("household.account_opened", row, person_id=actor.person_id, organisation_id=actor.organisation_id)
    db.session.flush()
    return row


def corrections_of(household_id: int) -> list[AccountCorrection]:
    """Its corrections, the latest first."""
    query = select(AccountCorrection).where(AccountCorrection.household_id == household_id)
    return list(db.session.scalars(query.order_by(AccountCorrection.id.desc())))


def corrected_since(household_ids: list[int], since: datetime) -> set[int]:
    """Those of these households whose account was corrected after ``since``."""
    query = select(AccountCorrection.household_id).where(AccountCorrection.at > since)
    return set(db.session.scalars(query)) & set(household_ids)


def must_know(row: Household, actor: Actor, *roles: str) -> None:
    """Raise NotAllowed or NotFound unless the actor is the register's keeper, or works with these roles where it is linked."""
    if actor.is_operator:
        actor.must_have("OPERATOR", "administrator", "treasurer")
        return
    actor.must_have("COOPERATIVE", *roles)
    linked = (
        select(LinkageShare.id)
        .join(LinkageGroup, LinkageGroup.id == LinkageShare.group_id)
        .where(LinkageShare.household_id == row.id, LinkageGroup.organisation_id == actor.organisation_id)
    )
    if db.session.scalars(linked.limit(1)).first() is None:
        raise not_found(Household)


_SEPARATORS = str.maketrans("", "", " -\u3000\t")
