"""RSA2 as Alipay signs: PKCS#1 v1.5 over SHA-256 and nothing else, with each key parsed once.

Keys come as PEM (PKCS#1 or PKCS#8) or as the bare base64 that Alipay's console shows.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa


class BadKey(ValueError):
    """A key that is not RSA, is shorter than 2,048 bits, or cannot be read. The text never holds any of the key."""


@lru_cache(maxsize=256)
def private_key(text: str) -> rsa.RSAPrivateKey:
    """The private key in ``text``. Raises BadKey."""
    try:
        key = serialization.load_der_private_key(_der(text), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadKey("the application's private key cannot be read") from error
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < 2048:
        raise BadKey("the application's private key is not RSA of 2,048 bits or more")
    return key


@lru_cache(maxsize=256)
def public_key(text: str) -> rsa.RSAPublicKey:
    """The public key in ``text``. Raises BadKey."""
    try:
        key = serialization.load_der_public_key(_der(text))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadKey("Alipay's public key cannot be read") from error
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < 2048:
        raise BadKey("Alipay's public key is not RSA of 2,048 bits or more")
    return key


def signature(private: str, content: str | bytes, charset: str = "utf-8") -> str:
    """The signature of ``content`` in base64. Raises BadKey."""
    message = content.encode(charset) if isinstance(content, str) else content
    return base64.b64encode(private_key(private).sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()


def verifies(public: str, message: bytes, signed: str) -> bool:
    """Whether ``signed`` is strict base64 of an RSA2 signature of ``message``. Raises BadKey."""
    key = public_key(public)
    try:
        key.verify(base64.b64decode(signed, validate=True), message, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def form_content(form: Mapping[str, Any]) -> bytes:
    """What a notice's signature covers: all but sign and sign_type, sorted, decoded once, joined by ``&``."""
    return "&".join(f"{k}={v}" for k, v in sorted(form.items()) if k not in ("sign", "sign_type")).encode()


def _der(text: str) -> bytes:
    return base64.b64decode(re.sub(r"-----[A-Z ]+-----|\s", "", text), validate=True)
