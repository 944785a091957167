"""The key under which a household's lines stand in the log. Destroyed, nobody can ever show again which lines were the household's.

Sealed at rest, used by the log alone, made when a household's first line is logged.
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.crypto import keyring
from marketplace.foundation.database import Identified, Model, db, locked
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.households.household import Household
from marketplace.organisations.actor import Actor

_CHUNK = 500


class HouseholdKey(Identified, Model):
    """One key of a household; a destroyed one is empty, and what is logged later has a new one."""

    __tablename__ = "household_key"
    __table_args__ = (CheckConstraint("(destroyed_at IS NULL) = (key_sealed <> '')", name="destroyed"),)

    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"), index=True)
    key_sealed: Mapped[str] = mapped_column(String(200))
    made_at: Mapped[datetime]
    destroyed_at: Mapped[datetime | None]


@dataclass
class Keys:
    """A household's keys: the living ones, the newest last, and whether any was destroyed."""

    living: list[bytes]
    destroyed: bool = False


def of(household_ids: Iterable[int]) -> dict[int, Keys]:
    """The keys of these households; those that never had one are left out."""
    wanted, found = sorted(set(household_ids)), dict[int, Keys]()
    for start in range(0, len(wanted), _CHUNK):
        query = select(HouseholdKey.household_id, HouseholdKey.key_sealed).order_by(HouseholdKey.id)
        for household_id, sealed in db.session.execute(query.where(HouseholdKey.household_id.in_(wanted[start : start + _CHUNK]))):
            keys = found.setdefault(household_id, Keys([]))
            if sealed:
                keys.living.append(bytes.fromhex(keyring().open(sealed, _place(household_id))))
            else:
                keys.destroyed = True
    return found


def current(household_ids: Iterable[int]) -> dict[int, bytes]:
    """The key to commit under, by household; made for those that have none. Only the log calls this, and one at a time."""
    wanted = sorted(set(household_ids))
    known = of(wanted)
    missing = [each for each in wanted if each not in known or not known[each].living]
    fresh = {each: secrets.token_bytes(32) for each in missing}
    now = clock.now()
    db.session.add_all(
        HouseholdKey(household_id=each, key_sealed=keyring().seal(key.hex(), _place(each)), made_at=now) for each, key in fresh.items()
    )
    db.session.flush()
    return {each: fresh[each] if each in fresh else known[each].living[-1] for each in wanted}


def destroy(household_id: int, *, actor: Actor, reason: str) -> int:
    """Destroy a household's keys for good, by the operator's administrator, with a reason; how many there were.

    The books and the log stay as they are; that a line of the log was this household's can no longer be shown. Copies in
    backups go when the backups go. Raises InvalidInput ``reason.missing``, Conflict ``household_key.none``.
    """
    actor.must_have("OPERATOR", "administrator")
    if not reason.strip():
        raise InvalidInput("reason.missing", N_("销毁密钥时请写明理由。"), field="reason")
    household = locked(Household, household_id)
    living: Sequence[HouseholdKey] = db.session.scalars(
        select(HouseholdKey).where(HouseholdKey.household_id == household_id, HouseholdKey.destroyed_at.is_(None)).with_for_update()
    ).all()
    if not living:
        raise Conflict("household_key.none", N_("这一户没有可销毁的密钥。"))
    for each in living:
        each.key_sealed, each.destroyed_at = "", clock.now()
    audit.record("household_key.destroyed", household, person_id=actor.person_id, reason=reason.strip()[:300], keys=len(living))
    db.session.flush()
    return len(living)


def _place(household_id: int) -> str:
    return f"household_key.key.{household_id}"
