"""The emulator's keys, made at first start in its own folder. Every one of them carries a mark that production can see.

The mark is the public exponent: nobody's real key has it, so a copied emulator key is known on any machine, without a list.
"""

import base64
import hashlib
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from marketplace.foundation.config import EMULATOR_APPLICATIONS, EMULATOR_KEY_MARK

APP_ID_PREFIX = EMULATOR_APPLICATIONS


class NotInProduction(RuntimeError):
    """The emulator was asked to run where real money moves."""


@dataclass(frozen=True)
class KeyPair:
    """A private key, and both keys as PEM (PKCS#8 and SubjectPublicKeyInfo)."""

    private: rsa.RSAPrivateKey
    private_pem: str
    public_pem: str


def refuse_production() -> None:
    """Raise NotInProduction if MARKET_ENV says production."""
    if os.environ.get("MARKET_ENV", "") == "production":
        raise NotInProduction(
            "MARKET_ENV=production: the Alipay emulator does not run where real money moves"
        )


def gateway_keys(folder: Path) -> KeyPair:
    """The gateway's own pair, ``alipay_private.pem`` and ``alipay_public.pem`` in ``folder``; made if missing."""
    return _pair(folder, "alipay")


def demo_app_keys(folder: Path) -> KeyPair:
    """The pair that all demonstration applications sign with, ``app_private.pem`` and ``app_public.pem`` in ``folder``."""
    return _pair(folder, "app")


def root_keys(folder: Path) -> KeyPair:
    """The pair that signs the emulator's certificates."""
    return _pair(folder, "root")


def fingerprint(public_key: str) -> str:
    """SHA-256 of a public key's DER, in hex, whatever its dress (PEM or bare base64). ValueError if it is not an RSA key."""
    der = load_public(public_key).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(der).hexdigest()


def is_emulator_key(public_key: str) -> bool:
    """Whether a public key (PEM or bare base64) was made by an emulator. ValueError if it is not an RSA key."""
    return load_public(public_key).public_numbers().e == EMULATOR_KEY_MARK


def load_public(public_key: str) -> rsa.RSAPublicKey:
    """A public key from PEM or from bare base64. ValueError if it is not an RSA key."""
    bare = re.sub(r"-----[A-Z ]+-----|\s", "", public_key)
    key = serialization.load_der_public_key(base64.b64decode(bare, validate=True))
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("not an RSA key")
    return key


def _pair(folder: Path, name: str) -> KeyPair:
    path = folder / f"{name}_private.pem"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f".{name}_private.{os.getpid()}"
        fresh.touch(mode=0o600)
        fresh.write_text(_marked_pem())
        try:
            os.link(fresh, path)  # fails if another process was first: then its key is the one
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    private_pem = path.read_text()
    private = _loaded(private_pem)
    public_pem = (
        private.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
    public_path = folder / f"{name}_public.pem"
    if not public_path.exists():
        public_path.write_text(public_pem)
    return KeyPair(private, private_pem, public_pem)


@lru_cache(maxsize=8)
def _loaded(private_pem: str) -> rsa.RSAPrivateKey:
    """The key itself. Checking its numbers takes 40 ms, and the same few are asked for again and again."""
    private = serialization.load_pem_private_key(private_pem.encode(), None)
    if not isinstance(private, rsa.RSAPrivateKey):
        raise ValueError("not an RSA key")
    return private


def _marked_pem() -> str:
    """A new 2,048-bit private key, PKCS#8, whose public exponent is the mark."""
    while True:
        made = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_numbers()
        totient = (made.p - 1) * (made.q - 1)
        if totient % EMULATOR_KEY_MARK:  # else the mark has no inverse: one key in a hundred thousand
            break
    d = pow(EMULATOR_KEY_MARK, -1, totient)
    public = rsa.RSAPublicNumbers(EMULATOR_KEY_MARK, made.p * made.q)
    numbers = rsa.RSAPrivateNumbers(
        made.p, made.q, d, rsa.rsa_crt_dmp1(d, made.p), rsa.rsa_crt_dmq1(d, made.q), made.iqmp, public
    )
    return (
        numbers.private_key()
        .private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        .decode()
    )
