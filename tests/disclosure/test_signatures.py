"""The script's own Ed25519 says what `cryptography` says, of good signatures and of all kinds of bad ones; notes are read strictly."""

import base64

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace.disclosure import log_key
from marketplace.disclosure.tree_check import Head, Note, NotProven, read_key, signed

ORDER = 2**252 + 27742317777372353535851937790883648493
seeds = st.binary(min_size=32, max_size=32)


def theirs(key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@given(seeds, st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_good_signatures(seed: bytes, message: bytes) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    assert signed(key.public_key().public_bytes_raw(), key.sign(message), message)


@given(seeds, st.binary(max_size=60), st.integers(0, 511), st.integers(0, 255))
@settings(max_examples=120, deadline=None)
def test_one_bit_wrong(seed: bytes, message: bytes, of_signature: int, of_key: int) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    key, signature = private.public_key().public_bytes_raw(), private.sign(message)
    for wrong_key, wrong, said in (
        (key, _flipped(signature, of_signature), message),
        (_flipped(key, of_key), signature, message),
        (key, signature, message + b"\x00"),
    ):
        assert signed(wrong_key, wrong, said) == theirs(wrong_key, wrong, said) is False


@given(seeds, st.binary(min_size=64, max_size=64), st.binary(max_size=40))
@settings(max_examples=60, deadline=None)
def test_random_bytes(key: bytes, signature: bytes, message: bytes) -> None:
    assert signed(key, signature, message) == theirs(key, signature, message)


@given(seeds, st.integers(1, 15))
@settings(max_examples=30, deadline=None)
def test_a_second_form_of_the_same_signature_is_refused(seed: bytes, times: int) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    key, signature = private.public_key().public_bytes_raw(), private.sign(b"head")
    s = int.from_bytes(signature[32:], "little") + times * ORDER
    if s < 2**256:
        again = signature[:32] + s.to_bytes(32, "little")
        assert signed(key, again, b"head") == theirs(key, again, b"head") is False


@pytest.mark.parametrize("length", [0, 31, 33, 63, 65])
def test_wrong_lengths(length: int) -> None:
    key = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
    public, signature = key.public_key().public_bytes_raw(), key.sign(b"")
    assert not signed(public, (signature * 2)[:length], b"")
    assert not signed((public * 3)[:length], signature, b"")


def test_points_that_have_two_encodings_are_refused() -> None:
    p = 2**255 - 19
    for y in (p, p + 1, 2**255 - 1, 1 | 1 << 255, (p - 1) | 1 << 255):
        assert not signed(y.to_bytes(32, "little"), bytes(64), b"")


def _flipped(data: bytes, bit: int) -> bytes:
    place = bit // 8 % len(data)
    return data[:place] + bytes([data[place] ^ 1 << bit % 8]) + data[place + 1 :]


BODY = "market.example/log\n3\n" + base64.b64encode(b"r" * 32).decode() + "\nnumber 1\nat 2026-11-25T00:00:00Z\n"


def test_a_note_is_read_as_it_was_signed() -> None:
    private = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
    public = private.public_key().public_bytes_raw()
    text = log_key.sign("market.example/log", BODY, private)
    head = Head.read(text)
    assert (head.size, head.root, head.number, head.note.body) == (3, b"r" * 32, 1, BODY)
    assert head.note.signed_by(public)
    assert not Note.read(text.replace("\n3\n", "\n4\n")).signed_by(public)
    assert not Note.read(text.replace("— market.example", "— market.other")).signed_by(public)
    assert Note.read(text.replace("\n", "\r\n")).signed_by(public), "mail programs turn lines about"
    assert read_key(log_key.written("market.example/log", public.hex())) == public == read_key(public.hex())


@pytest.mark.parametrize("text", ["", BODY, BODY + "\nsigned: me\n", BODY + "\n— a b c\n", BODY + "\n— a !!\n", "a\nb\n\n— a AAAA\n", "a\n9e9\nAA==\nnumber 1\nat x\n\n— a AAAA\n"])
def test_what_is_no_head(text: str) -> None:
    with pytest.raises((NotProven, ValueError)):
        Head.read(text)


@pytest.mark.parametrize("text", ["", "00", "zz" * 32, "a+b+AAAA", "a+b", "a+b+!"])
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(ValueError):
        read_key(text)
