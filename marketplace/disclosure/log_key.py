"""The key that signs tree heads. A new key is introduced by the old one's signature, so that whoever holds an old key can follow.

In production it comes from LOG_KEY and is not in the database; elsewhere it is made when first needed, and sealed at rest.
"""

import base64
import binascii
import secrets
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import String, Text, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.disclosure.tree_check import key_id
from marketplace.foundation import audit, clock
from marketplace.foundation.config import BadConfiguration, settings
from marketplace.foundation.crypto import keyring
from marketplace.foundation.database import Identified, Model, db
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor


class LogKey(Identified, Model):
    """A public key, 64 hexadecimal digits, in the order of introduction. ``statement``: the note by which the key before it
    introduced it; empty for the first."""

    __tablename__ = "log_key"
    __table_args__ = ({"info": {"granted": "SELECT, INSERT"}},)

    public_key: Mapped[str] = mapped_column(String(64), unique=True)
    seed_sealed: Mapped[str] = mapped_column(String(200), default="")  # empty: it is in LOG_KEY
    statement: Mapped[str] = mapped_column(Text, default="")
    introduced_at: Mapped[datetime]


def all_keys() -> list[LogKey]:
    """All keys, the first first."""
    return list(db.session.scalars(select(LogKey).order_by(LogKey.id)))


def signing(origin: str) -> tuple[LogKey, Ed25519PrivateKey]:
    """The present key and its private half. The first use makes the first key; a new one in LOG_KEY is introduced by the one
    behind it. Conflict ``log.key`` if the old key is not there to introduce it, or the present one is missing."""
    known, configured = all_keys(), _configured()
    if configured and _public(configured[0]) != (known[-1].public_key if known else ""):
        return _introduce(origin, known, configured[0], [*configured[1:], *_sealed(known)], ""), configured[0]
    if configured:
        return known[-1], configured[0]
    if not known:
        return _made(origin, known)
    own = _sealed(known)
    if not own or _public(own[0]) != known[-1].public_key:
        raise Conflict("log.key", N_("封存总账的密钥不在。请检查 LOG_KEY。"))
    return known[-1], own[0]


def rotate(origin: str, *, actor: Actor) -> LogKey:
    """A new key from now on, introduced by the old one. By the operator's administrator. With LOG_KEY, put the new key before
    the old one there, and this introduces it."""
    actor.must_have("OPERATOR", "administrator")
    before, _ = signing(origin)
    if not _configured():
        before, _ = _made(origin, all_keys())
    audit.record("log.key_introduced", before, person_id=actor.person_id, organisation_id=actor.organisation_id)
    db.session.flush()
    return before


def sign(origin: str, body: str, key: Ed25519PrivateKey) -> str:
    """The note: the text, and one line of signature, as C2SP's signed-note writes it."""
    public = key.public_key().public_bytes_raw()
    signature = base64.b64encode(key_id(origin, public) + key.sign(body.encode())).decode()
    return f"{body}\n— {origin} {signature}\n"


def written(origin: str, public_key: str) -> str:
    """A public key as notes write it: name+id+base64."""
    public = bytes.fromhex(public_key)
    encoded = base64.b64encode(b"\x01" + public).decode()
    return f"{origin}+{key_id(origin, public).hex()}+{encoded}"


def _made(origin: str, known: list[LogKey]) -> tuple[LogKey, Ed25519PrivateKey]:
    seed = secrets.token_bytes(32)
    key = Ed25519PrivateKey.from_private_bytes(seed)
    sealed = keyring().seal(seed.hex(), _place(_public(key)))
    return _introduce(origin, known, key, _sealed(known), sealed), key


def _introduce(origin: str, known: list[LogKey], key: Ed25519PrivateKey, olds: list[Ed25519PrivateKey], seed_sealed: str) -> LogKey:
    now, statement = clock.now(), ""
    if known:
        old = next((each for each in olds if _public(each) == known[-1].public_key), None)
        if old is None:
            raise Conflict("log.key", N_("新的密钥要由旧的来介绍：请在 LOG_KEY 里把旧的写在新的后面。"))
        body = f"{origin}/keys\nfrom {known[-1].public_key}\nto {_public(key)}\nat {now:%Y-%m-%dT%H:%M:%SZ}\n"
        statement = sign(origin, body, old)
    row = LogKey(id=len(known) + 1, public_key=_public(key), seed_sealed=seed_sealed, statement=statement, introduced_at=now)
    db.session.add(row)
    db.session.flush()
    return row


def _configured() -> list[Ed25519PrivateKey]:
    try:
        parts = [part.strip() for part in settings().log_key.split(",") if part.strip()]
        return [Ed25519PrivateKey.from_private_bytes(base64.b64decode(part, validate=True)) for part in parts]
    except (ValueError, binascii.Error) as error:
        raise BadConfiguration("LOG_KEY: not base64 of 32 bytes") from error


def _sealed(known: list[LogKey]) -> list[Ed25519PrivateKey]:
    """The private half of the newest key, if it is kept here."""
    if not known or not known[-1].seed_sealed:
        return []
    seed = keyring().open(known[-1].seed_sealed, _place(known[-1].public_key))
    return [Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))]


def _public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes_raw().hex()


def _place(public_key: str) -> str:
    return f"log_key.seed.{public_key}"
