"""A household's bank or Alipay account, corrected: who changed it, when and why, with the old number sealed; and who may know the account.

What is sealed stays sealed: pages show the last four digits. Payouts that were made before keep the account they were made with.
A correction is asked for and decided in ``account_proposal``.
"""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import ForeignKey, String, or_, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.crypto import Sealed, sealed_column
from marketplace.foundation.database import Model, Public, db, not_found
from marketplace.households.household import Household
from marketplace.households.linkage_group import LinkageGroup, LinkageShare
from marketplace.organisations.actor import Actor

CLOSE = ("EQUITY", "SUPPLY")  # the links by which a cooperative comes to owe a household money

# Other modules say whether this household (id) is known to this cooperative (id) by more than a share.
known_by: list[Callable[[int, int], bool]] = []
# Each says whether others than this cooperative (id) pay this household (id) too, or will: here by their shares, on higher rungs by their money.
shared_with: list[Callable[[int, int], bool]] = []


class AccountCorrection(Public, Model):
    """One correction; ``last4_after`` is empty where the account was taken away. ``organisation_id`` is who made it, ``by_id`` who asked for it, ``approved_by_id`` the second person (none in old rows)."""

    __tablename__ = "account_correction"

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"), index=True)
    kind: Mapped[str] = mapped_column(String(8), default="bank", server_default="bank")  # which of its accounts: bank or alipay
    bank_before: Mapped[str] = mapped_column(String(80))
    account_before_sealed: Mapped[str] = sealed_column(default="")
    account_before = Sealed()
    name_before_sealed: Mapped[str] = sealed_column(default="", server_default="")
    name_before = Sealed()  # whose Alipay account it was
    last4_before: Mapped[str] = mapped_column(String(4))
    last4_after: Mapped[str] = mapped_column(String(4))
    reason: Mapped[str] = mapped_column(String(200))
    at: Mapped[datetime]
    by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    approved_by_id: Mapped[int | None]


def opened(household_id: int, *, actor: Actor) -> Household:
    """The household with its name and account, for whoever may correct them or decide on that. Every opening is audited; NotFound for others."""
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


def corrected_since(household_ids: list[int], since: datetime, kind: str) -> set[int]:
    """Those of these households whose account of a kind was corrected after ``since``."""
    query = select(AccountCorrection.household_id).where(AccountCorrection.at > since, AccountCorrection.kind == kind)
    return set(db.session.scalars(query)) & set(household_ids)


def must_know(row: Household, actor: Actor, *roles: str) -> None:
    """Raise NotAllowed or NotFound unless the actor is the register's keeper, or works with these roles where it is linked.

    Linked is: equity or supply in force today that somebody else entered (nobody opens a door for themselves), or what a rung
    in ``known_by`` vouches for, such as money that a distribution gave it.
    """
    if actor.is_operator:
        actor.must_have("OPERATOR", "administrator", "treasurer")
        return
    actor.must_have("COOPERATIVE", *roles)
    today = clock.business_date()
    linked = (
        select(LinkageShare.id)
        .join(LinkageGroup, LinkageGroup.id == LinkageShare.group_id)
        .where(
            LinkageShare.household_id == row.id, LinkageGroup.organisation_id == actor.organisation_id, LinkageShare.kind.in_(CLOSE),
            LinkageShare.starts_on <= today, or_(LinkageShare.ends_on.is_(None), LinkageShare.ends_on >= today),
            or_(LinkageShare.recorded_by_id.is_(None), LinkageShare.recorded_by_id != actor.person_id),
        )
    )  # fmt: skip
    if db.session.scalars(linked.limit(1)).first() is None and not any(ask(row.id, actor.organisation_id) for ask in known_by):
        raise not_found(Household)


def linked_elsewhere(household_id: int, organisation_id: int) -> bool:
    """Whether another cooperative's share by which it comes to owe the household money is in force, or will be."""
    query = (
        select(LinkageShare.id)
        .join(LinkageGroup, LinkageGroup.id == LinkageShare.group_id)
        .where(
            LinkageShare.household_id == household_id, LinkageGroup.organisation_id != organisation_id, LinkageShare.kind.in_(CLOSE),
            or_(LinkageShare.ends_on.is_(None), LinkageShare.ends_on >= clock.business_date()),
        )
    )  # fmt: skip
    return db.session.scalar(query.limit(1)) is not None


shared_with.append(linked_elsewhere)
