"""What of a channel's key people compare with the channel's own console before it is believed: SHA-256 of each part, and what certificates say.

A page shows all but what must be typed: that is read in the console. A hash over everything shows only that two people look at the same row. What must be looked at is the other side's part: with it, whoever
added the key could say that something was paid.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from marketplace.payments.alipay_signing import private_key, public_key

LAST = 8  # characters that whoever confirms types, from what the channel's console shows
LAST_OF_KEY = 4  # and of a secret key, of which Stripe's console shows no more


@dataclass(frozen=True)
class Part:
    """One part of a key: ``kind`` is alipay_public_key, own_public_key, or root, alipay, app (certificates)."""

    kind: str
    sha256: str
    subject: str = ""
    issuer: str = ""
    serial: str = ""
    expires_at: datetime | None = None


def parts_of(channel: str, parts: Mapping[str, str]) -> list[Part]:
    """Everything there is to compare, the other side's first; of Stripe nothing: all of it is typed. BadKey for what cannot be read."""
    if channel == "stripe":
        return []
    found = [Part("alipay_public_key", _of_public(_theirs(parts)))]
    for kind, name in (("alipay", "alipay_certificate"), ("root", "root_certificate"), ("app", "app_certificate")):
        found += [_of_certificate(kind, each) for each in x509.load_pem_x509_certificates(parts[name].encode())] if name in parts else []
    own = private_key(parts["private_key"]).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return [*found, Part("own_public_key", hashlib.sha256(own).hexdigest())]


def to_type(channel: str, parts: Mapping[str, str]) -> str:
    """What whoever confirms must type: the end of the SHA-256 of Alipay's public key; of Stripe, the end of the webhook's secret."""
    return parts["webhook_secret"][-LAST:] if channel == "stripe" else _of_public(_theirs(parts))[-LAST:]


def key_to_type(channel: str, parts: Mapping[str, str]) -> str:
    """What they must type beside it: of Stripe, the end of the secret key; else nothing."""
    return parts["secret_key"][-LAST_OF_KEY:] if channel == "stripe" else ""


def is_key_seen(channel: str, parts: Mapping[str, str], typed: str) -> bool:
    """Whether ``typed`` is the end of the secret key, where one must be typed."""
    return channel != "stripe" or "".join(typed.split()) == key_to_type(channel, parts)


def is_seen(channel: str, parts: Mapping[str, str], typed: str) -> bool:
    """Whether ``typed`` is what must be typed; spaces and colons do not count, nor does the case of a fingerprint."""
    bare, wanted = "".join(typed.replace(":", " ").split()), to_type(channel, parts)
    return bare == wanted if channel == "stripe" else bare.lower() == wanted


def of_pem(certificate: x509.Certificate) -> str:
    """The SHA-256 of a certificate, in hex, as `openssl x509 -fingerprint -sha256` prints it without colons."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def _theirs(parts: Mapping[str, str]) -> str:
    if "alipay_public_key" in parts:
        return parts["alipay_public_key"]
    leaf = x509.load_pem_x509_certificates(parts["alipay_certificate"].encode())[0]
    return leaf.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _of_public(text: str) -> str:
    return hashlib.sha256(public_key(text).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _of_certificate(kind: str, each: x509.Certificate) -> Part:
    return Part(kind, of_pem(each), each.subject.rfc4514_string(), each.issuer.rfc4514_string(), f"{each.serial_number:x}", each.not_valid_after_utc)
