"""Whose account a secret key of Stripe opens, asked of Stripe itself: before the key is kept, and again before it is switched to.

What people type and compare is what somebody gave them. A key of another account would take the buyers' money there, and then answer that it was
paid: only Stripe knows whose it is.
"""

import hashlib
from dataclasses import dataclass, field

from marketplace.foundation.config import settings
from marketplace.foundation.database import db, in_transaction
from marketplace.foundation.errors import Conflict, InvalidInput, OutsideFailure
from marketplace.foundation.language import N_
from marketplace.payments.stripe_api import StripeMisconfigured, StripeRefused, api_for


@dataclass(frozen=True)
class Owned:
    """What Stripe said of one key: the account that it opens. ``key_hash`` ties the answer to the key, which is not kept here."""

    account: str
    key_hash: str = field(repr=False)


def ask(secret_key: str) -> Owned:
    """Ask Stripe; some seconds at most. Touches the network: RuntimeError inside a transaction.

    Raises InvalidInput ``key.unread`` for a key that Stripe does not know, or that may not read its own account; OutsideFailure ``key.unasked``
    if there is no clear answer.
    """
    if in_transaction():
        raise RuntimeError("key_owner.ask() touches the network; it cannot run inside a transaction")
    db.session.rollback()  # nothing is held open while the other side thinks
    try:
        said = api_for(secret_key, settings().stripe_api).own_account()
    except (StripeMisconfigured, StripeRefused) as error:
        raise InvalidInput(
            "key.unread", N_("Stripe 不认这把密钥，或它不能查询自己的账户。请用 sk_ 开头的密钥；rk_ 开头的要先在 Stripe 后台允许它读取账户。"),
            field="secret_key", reason=error.code,
        ) from error  # fmt: skip
    except OutsideFailure as error:
        raise OutsideFailure("key.unasked", N_("Stripe 现在没有回答这把密钥是谁的，什么都没有改。请过一会儿再试。"), reason=str(error.data.get("reason", ""))) from error
    if said.get("object") != "account" or not isinstance(said.get("id"), str):
        raise OutsideFailure("key.unasked", N_("Stripe 现在没有回答这把密钥是谁的，什么都没有改。请过一会儿再试。"), reason="form")
    return Owned(said["id"], hash_of(secret_key))


def must_own(owned: Owned | None, *, account: str, secret_key: str) -> None:
    """Raise InvalidInput ``key.other_account`` unless Stripe said that this very key opens this account; Conflict ``key.unasked`` unless it was asked."""
    if owned is None or owned.key_hash != hash_of(secret_key):
        raise Conflict("key.unasked", N_("还没有问过 Stripe 这把密钥是谁的，不能用。"))
    if owned.account != account:
        raise InvalidInput("key.other_account", N_("Stripe 说这把密钥是另一个账户的，不是 %(account)s 的，不能用。"), field="secret_key", account=account)


def hash_of(secret_key: str) -> str:
    """SHA-256 of a key."""
    return hashlib.sha256(secret_key.encode()).hexdigest()
