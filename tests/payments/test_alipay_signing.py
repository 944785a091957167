"""Keys come in several dresses; only RSA2 counts as a signature."""

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from marketplace.emulator.keys import KeyPair, demo_app_keys
from marketplace.payments.alipay_signing import BadKey, private_key, public_key, signature, verifies


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    return demo_app_keys(tmp_path_factory.mktemp("keys"))


def bare(pem: str) -> str:
    return "".join(pem.splitlines()[1:-1])


def test_each_dress_of_a_key_signs_the_same(keys: KeyPair) -> None:
    pkcs1 = keys.private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
    assert "RSA PRIVATE" in pkcs1
    signed = {
        signature(dress, "a=1&b=茶")
        for dress in (keys.private_pem, pkcs1, bare(keys.private_pem), bare(pkcs1))
    }
    assert len(signed) == 1
    for dress in (keys.public_pem, bare(keys.public_pem)):
        assert verifies(dress, "a=1&b=茶".encode(), *signed)


def test_other_hashes_and_lax_base64_are_no_signature(keys: KeyPair) -> None:
    message = b"a=1"
    for weak in (hashes.SHA1(), hashes.MD5(), hashes.SHA224(), hashes.SHA512()):
        signed = base64.b64encode(keys.private.sign(message, padding.PKCS1v15(), weak)).decode()
        assert not verifies(keys.public_pem, message, signed), weak.name
    good = signature(keys.private_pem, message)
    assert verifies(keys.public_pem, message, good)
    for lax in (good + "\n", "*" + good, good[:10] + " " + good[10:], "", "junk", "é"):
        assert not verifies(keys.public_pem, message, lax)
    assert not verifies(keys.public_pem, b"a=2", good)


def test_what_is_no_key_says_so_without_showing_it(tmp_path: Path) -> None:
    curve = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    short = rsa.generate_private_key(65537, 1024).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for text in ("", "hunter2", curve.decode(), short.decode()):
        with pytest.raises(BadKey) as refused:
            private_key(text)
        assert "hunter2" not in str(refused.value)
    with pytest.raises(BadKey):
        public_key(curve.decode())
