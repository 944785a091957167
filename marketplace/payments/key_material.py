"""What a channel's key is made of, checked before it is kept: a key that cannot work is refused while the old one still does.

Stripe: the account's secret key and the secret of its webhook. Alipay: our private key with either Alipay's public key or three certificates.
"""

import hashlib
import re
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from sqlalchemy import select

from marketplace.foundation.config import settings, wrong_key
from marketplace.foundation.database import db
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Cooperative
from marketplace.payments import channel_key, key_owner
from marketplace.payments.alipay_certificate import certificates_of, ends_at, public_key_of
from marketplace.payments.alipay_signing import BadKey, private_key, public_key
from marketplace.payments.channel_key import ChannelKey
from marketplace.payments.key_owner import Owned


def ask_stripe(*, account: str, secret_key: str, webhook_secret: str) -> Owned:
    """Whose key Stripe says it is, asked outside a transaction before ``add_stripe``. Raises as that for its form, and as ``key_owner.ask``."""
    return key_owner.ask(_stripe_parts(account, secret_key, webhook_secret)[1])


def ask_before_switch(row: ChannelKey) -> Owned | None:
    """The same of a key that waits, before ``channel_key.switch``; None where there is nobody to ask: Alipay's is known by its application."""
    return key_owner.ask(row.parts["secret_key"]) if row.channel == "stripe" and row.state == "ADDED" else None


def add_stripe(organisation_id: int, *, account: str, secret_key: str, webhook_secret: str, owned: Owned, actor: Actor) -> ChannelKey:
    """A cooperative's own Stripe account, with what Stripe said of whose key it is (``ask_stripe``).

    InvalidInput ``key.account``, ``key.secret``, ``key.mode``, ``key.webhook``, ``key.other_account``; Conflict as ``channel_key.keep``.
    A test key is refused in production, a live one everywhere else: no demonstration ever moves money.
    """
    account, secret_key, webhook_secret = _stripe_parts(account, secret_key, webhook_secret)
    channel_key.may_handle(organisation_id, actor)
    if actor.is_operator:
        raise InvalidInput("key.owner", N_("银行卡付款开在合作社自己的账户上，平台不收款。"), field="account")
    key_owner.must_own(owned, account=account, secret_key=secret_key)
    parts = {"secret_key": secret_key, "webhook_secret": webhook_secret}
    print_ = hashlib.sha256(f"{account}\x1f{secret_key}\x1f{webhook_secret}".encode()).hexdigest()[:16]
    return channel_key.keep(
        organisation_id, "stripe", parts, account=account, kind="secret", fingerprint=print_, expires_at=None, actor=actor
    )


def _stripe_parts(account: str, secret_key: str, webhook_secret: str) -> tuple[str, str, str]:
    """As they are kept. InvalidInput for what has another form than Stripe's."""
    account, secret_key, webhook_secret = account.strip(), secret_key.strip(), webhook_secret.strip()
    if not re.fullmatch(r"acct_[A-Za-z0-9]{6,26}", account):
        raise InvalidInput("key.account", N_("账户号由 acct_ 开头，在 Stripe 后台的“账户详情”里。"), field="account")
    if not re.fullmatch(r"(sk|rk)_(test|live)_[A-Za-z0-9_]{8,240}", secret_key):
        raise InvalidInput("key.secret", N_("密钥由 sk_ 或 rk_ 开头，请从 Stripe 后台整段复制。"), field="secret_key")
    if ("_test_" in secret_key) == settings().is_production:
        raise InvalidInput("key.mode", N_("正式集市只用正式密钥，演示和测试只用测试密钥。"), field="secret_key")
    if not re.fullmatch(r"whsec_[A-Za-z0-9+/=_-]{8,240}", webhook_secret):
        raise InvalidInput("key.webhook", N_("通知密钥由 whsec_ 开头，在 Stripe 后台的通知地址下面。"), field="webhook_secret")
    return account, secret_key, webhook_secret


def add_alipay(organisation_id: int, *, private: str, public: str = "", certificates: tuple[str, str, str] | None = None, actor: Actor) -> ChannelKey:
    """Keys of the organisation's own application at Alipay: with Alipay's public key, or with ``certificates`` (root, Alipay's, ours; PEM).

    Without ``private`` a new pair is made here and never leaves: its public half is shown, to be given to Alipay before switching.
    Raises InvalidInput ``key.private``, ``key.public``, ``key.certificate``, Conflict ``key.no_application``, and as ``channel_key.keep``.
    """
    channel_key.may_handle(organisation_id, actor)
    app_id = application_of(organisation_id, actor)
    ends: datetime | None = None
    if certificates is None:
        private = private.strip() or new_private_key()
        _must_read("private", private)
        _must_read("public", public)
        parts, kind = {"private_key": private, "alipay_public_key": public.strip()}, "key"
    else:
        root, theirs, own = (each.strip() + "\n" for each in certificates)
        _must_read("private", private)
        try:
            made = certificates_of(root, theirs, own, pinned=settings().pinned_roots)
            ends = ends_at(theirs, own)
            if public_half(private) != public_key_of(own).strip():
                raise BadKey("app.crt is of another private key")
            _must_read("public", made.alipay_public_key)
        except BadKey as error:
            raise InvalidInput("key.certificate", N_("证书不能用：%(reason)s。"), field="certificates", reason=str(error)) from error
        parts, kind = {"private_key": private.strip(), "root_certificate": root, "alipay_certificate": theirs, "app_certificate": own}, "certificate"
    seen = "\x1f".join(sorted(parts.values()))
    return channel_key.keep(
        organisation_id, "alipay", parts, account=app_id, kind=kind, fingerprint=hashlib.sha256(seen.encode()).hexdigest()[:16], expires_at=ends, actor=actor
    )


def application_of(organisation_id: int, actor: Actor) -> str:
    """The number of the organisation's application at Alipay; the platform's for the operator. Conflict ``key.no_application``."""
    if actor.is_operator:
        app_id: str | None = settings().alipay_app_id
    else:
        app_id = db.session.scalar(select(Cooperative.alipay_app_id).where(Cooperative.organisation_id == organisation_id))
    if not app_id:
        raise Conflict("key.no_application", N_("还没有支付宝的应用号，不能加密钥。"))
    return app_id


def public_half(private: str) -> str:
    """The public key of a private one (PEM). BadKey."""
    return private_key(private).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode().strip()


def shown_public(row: ChannelKey) -> str:
    """Our public key as Alipay's console takes it (bare base64): what must be known there before switching. Empty if there is none."""
    if row.channel != "alipay" or row.state == "RETIRED":
        return ""
    return "".join(public_half(row.parts["private_key"]).splitlines()[1:-1])


def new_private_key() -> str:
    """A new RSA key of 2,048 bits (PEM, PKCS#8)."""
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _must_read(kind: str, text: str) -> None:
    """InvalidInput unless this is an RSA key that may be used here: production takes none of an emulator's."""
    field = "private_key" if kind == "private" else "alipay_public_key"
    try:
        (private_key if kind == "private" else public_key)(text)
        wrong = wrong_key(text, kind) if settings().is_production else ""
    except (BadKey, ValueError) as error:
        wrong = str(error)
    if wrong:
        raise InvalidInput(f"key.{kind}", N_("密钥不能用：%(reason)s。"), field=field, reason=wrong)
