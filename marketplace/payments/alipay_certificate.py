"""Certificate mode: the three certificates of an application, and the numbers under which the protocol names them.

Fund-out methods need it. The folder holds ``root.crt``, ``alipay.crt`` and ``<app_id>.crt``, as Alipay's console gives them.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from marketplace.foundation import clock
from marketplace.payments.alipay_signing import BadKey
from marketplace.payments.key_print import of_pem

_RSA = "1.2.840.113549.1.1."  # the root's file also holds SM2 certificates, which the number leaves out


@dataclass(frozen=True)
class Certificates:
    """The numbers that requests and answers carry, and the key that Alipay's certificate proves (PEM)."""

    app_sn: str
    root_sn: str
    alipay_sn: str
    alipay_public_key: str


def read_certificates(folder: Path, app_id: str, *, pinned: Collection[str] | None = None) -> Certificates:
    """The certificates of an application. Raises BadKey if one is missing, unreadable, over, not of this root, or its root is none of
    those that are ``pinned`` (SHA-256; None: any)."""
    root, theirs, own = (text_of(folder / name) for name in ("root.crt", "alipay.crt", f"{app_id}.crt"))
    return certificates_of(root, theirs, own, pinned=pinned, own_name=f"{app_id}.crt")


def text_of(path: Path) -> str:
    """What a certificate's file says. BadKey if it cannot be read."""
    try:
        return path.read_text("ascii")
    except (OSError, ValueError) as error:
        raise BadKey(f"{path.name} cannot be read") from error


def certificates_of(root: str, alipay_text: str, own_text: str, *, pinned: Collection[str] | None, own_name: str = "app.crt") -> Certificates:
    """The certificates in three texts (PEM), as ``read_certificates``."""
    roots = [each for each in _read("root.crt", root) if each.signature_algorithm_oid.dotted_string.startswith(_RSA)]
    (alipay, *chain), (own, *_rest) = _read("alipay.crt", alipay_text), _read(own_name, own_text)
    if pinned is not None and not {of_pem(each) for each in roots} <= set(pinned):
        raise BadKey("root.crt holds a root that ALIPAY_ROOTS does not name")
    if not _descends(alipay, chain, roots):
        raise BadKey("alipay.crt is not of this root")
    for name, each in (("alipay.crt", alipay), (own_name, own)):
        if not each.not_valid_before_utc <= clock.now() <= each.not_valid_after_utc:
            raise BadKey(f"{name} is not valid today")
    public = alipay.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return Certificates(_number(own), "_".join(map(_number, roots)), _number(alipay), public)


def ends_at(alipay_text: str, own_text: str) -> datetime:
    """When the first of the two that run out does."""
    return min(_read(name, text)[0].not_valid_after_utc for name, text in (("alipay.crt", alipay_text), ("app.crt", own_text)))


def ends_of(name: str, text: str) -> datetime:
    """When what a file of certificates is used for does: the first of them; of Alipay's roots the last one that this protocol knows. BadKey."""
    found = _read(name, text)
    roots = [each for each in found if each.signature_algorithm_oid.dotted_string.startswith(_RSA)] if name == "root.crt" else []
    return max((each.not_valid_after_utc for each in roots), default=found[0].not_valid_after_utc)


def public_key_of(own_text: str) -> str:
    """The public key in an application's certificate (PEM)."""
    return _read("app.crt", own_text)[0].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _read(name: str, text: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(text.encode())
    except ValueError as error:
        raise BadKey(f"{name} cannot be read") from error


def _descends(subject: x509.Certificate, chain: list[x509.Certificate], roots: list[x509.Certificate]) -> bool:
    """Whether a certificate is a root's, or one's of the chain that is an authority and descends from a root itself."""
    if any(_signed(subject, each) for each in roots):
        return True
    above = [each for each in chain if _is_authority(each) and _signed(subject, each)]
    return any(_descends(each, [other for other in chain if other is not each], roots) for each in above)


def _is_authority(each: x509.Certificate) -> bool:
    # Every merchant has a certificate of Alipay's authority: what it signs itself proves nothing.
    try:
        return each.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _signed(subject: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        subject.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _number(each: x509.Certificate) -> str:
    return hashlib.md5(f"{each.issuer.rfc4514_string()}{each.serial_number}".encode(), usedforsecurity=False).hexdigest()
