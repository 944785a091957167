"""Adding, confirming and switching to a key as somebody does who has looked at the channel's console."""

from typing import Any

from marketplace.foundation.database import db
from marketplace.organisations.actor import Actor
from marketplace.payments import channel_key, key_material, key_print
from marketplace.payments.channel_key import ChannelKey
from marketplace.payments.key_owner import Owned, hash_of


def seen(row: ChannelKey) -> str:
    """What stands at the end of the channel's key in its console."""
    return key_print.to_type(row.channel, row.parts)


def seen_key(row: ChannelKey) -> str:
    """What stands there at the end of Stripe's secret key."""
    return key_print.key_to_type(row.channel, row.parts)


def confirm(key_id: int, **given: Any) -> ChannelKey:
    row = db.session.get_one(ChannelKey, key_id)
    return channel_key.confirm(key_id, seen=seen(row), seen_key=seen_key(row), **given)


def owned(account: str, secret_key: str) -> Owned:
    """What Stripe would say of a key that is of the account."""
    return Owned(account, hash_of(secret_key))


def switch(key_id: int, **given: Any) -> ChannelKey:
    """Switch to a key that is of its account, as Stripe would say if it were asked."""
    row = db.session.get_one(ChannelKey, key_id)
    of = owned(row.account, row.parts["secret_key"]) if row.channel == "stripe" and row.state == "ADDED" else None
    return channel_key.switch(key_id, owned=of, **given)


def add_stripe(organisation_id: int, *, account: str, secret_key: str, webhook_secret: str, actor: Actor) -> ChannelKey:
    """Add a key that is of its account, as Stripe would say."""
    said = owned(account, secret_key.strip())
    return key_material.add_stripe(organisation_id, account=account, secret_key=secret_key, webhook_secret=webhook_secret, owned=said, actor=actor)
