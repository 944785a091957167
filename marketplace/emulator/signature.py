"""Signatures as Alipay makes them: RSA2 over sorted ``k=v`` joined by ``&``, or over the raw text of a response's node.

Written apart from the shop's own signing, so that a mistake in one is not repeated in the other.
"""

import base64
import binascii
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

_ALGORITHMS: dict[str, hashes.HashAlgorithm] = {
    "RSA2": hashes.SHA256(),
    "RSA": hashes.SHA1(),  # noqa: S303 (the weak ones are faults, for clients to refuse)
    "MD5": hashes.MD5(),  # noqa: S303
}


def content(params: Mapping[str, str], *, without: tuple[str, ...] = ("sign",)) -> bytes:
    """What is signed of a form: every non-empty value but ``without``, sorted by name, decoded, UTF-8."""
    return "&".join(f"{k}={v}" for k, v in sorted(params.items()) if v and k not in without).encode()


def sign(key: rsa.RSAPrivateKey, text: bytes, *, sign_type: str = "RSA2") -> str:
    """PKCS#1 v1.5 in base64. Only a fault asks for another ``sign_type`` than RSA2."""
    return base64.b64encode(key.sign(text, padding.PKCS1v15(), _ALGORITHMS[sign_type])).decode()


def verified(key: rsa.RSAPublicKey, text: bytes, signature: str) -> bool:
    """Whether ``signature`` is strict base64 of an RSA2 signature of ``text``."""
    try:
        key.verify(base64.b64decode(signature, validate=True), text, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def signed_form(key: rsa.RSAPrivateKey, params: Mapping[str, str]) -> dict[str, str]:
    """A notice or a return: the params with sign_type and sign, neither of which is covered."""
    form = {name: value for name, value in params.items() if value != ""}
    form["sign_type"] = "RSA2"
    form["sign"] = sign(key, content(form, without=("sign", "sign_type")))
    return form
