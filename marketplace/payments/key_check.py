"""Whether Stripe still says that a key in use opens the account that it is kept for: asked every day. What is wrong is kept with the key, and is
a trouble of money's health until another is switched to."""

from sqlalchemy import select

from marketplace.foundation import audit, clock
from marketplace.foundation.database import db, get, locked
from marketplace.foundation.errors import MarketError
from marketplace.payments import channel_key, key_owner
from marketplace.payments.channel_key import SIGNS, ChannelKey

UNASKED = "key.unasked"  # no clear answer: what was known before stands


def in_use() -> list[int]:
    """Keys of Stripe that something may be signed with: the one in use of each cooperative, and of each account that it has left the last one."""
    query = select(ChannelKey).where(ChannelKey.channel == "stripe", ChannelKey.state.in_(SIGNS))
    rows = db.session.scalars(query.order_by(ChannelKey.state == "CURRENT", ChannelKey.id))
    return sorted({(row.organisation_id, row.account): row.id for row in rows}.values())


def parts(key_id: int) -> tuple[str, str]:
    """The account that a key is kept for, and the secret key."""
    row = get(ChannelKey, key_id)
    return row.account, row.parts["secret_key"]


def ask(account: str, secret_key: str) -> MarketError | None:
    """What Stripe says is wrong with a key, if anything is. Touches the network: never inside a transaction."""
    try:
        key_owner.must_own(key_owner.ask(secret_key), account=account, secret_key=secret_key)
    except MarketError as error:
        return error
    return None


def keep(key_id: int, wrong: MarketError | None) -> bool:
    """Keep what Stripe said of a key; whether that was that something is wrong. No clear answer changes nothing.

    An old key beside another of its account signs nothing: it may be destroyed at Stripe already, and that is as it should be.
    """
    if wrong is not None and wrong.code == UNASKED:
        return False
    row = locked(ChannelKey, key_id)
    signing = channel_key.signing(row.organisation_id, row.channel, row.account)
    code = wrong.code if wrong is not None and signing is not None and signing.id == row.id else ""
    if row.wrong_code != code:
        row.wrong_code, row.wrong_since = code, clock.now() if code else None
        db.session.flush()
        audit.record("channel_key.checked", row, organisation_id=row.organisation_id, account=row.account, code=code)
    return code != ""
