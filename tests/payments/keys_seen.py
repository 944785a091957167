"""Confirming a key as somebody does who has looked at the channel's console."""

from typing import Any

from marketplace.foundation.database import db
from marketplace.payments import channel_key, key_print
from marketplace.payments.channel_key import ChannelKey


def seen(row: ChannelKey) -> str:
    """What stands at the end of the channel's key in its console."""
    return key_print.to_type(row.channel, row.parts)


def confirm(key_id: int, **given: Any) -> ChannelKey:
    return channel_key.confirm(key_id, seen=seen(db.session.get_one(ChannelKey, key_id)), **given)
