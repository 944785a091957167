"""The arithmetic of the log, as the market and everybody else run it: the tree, signatures, tree heads. Needs nothing but Python 3.9.

Hashing and proofs are those of RFC 6962 (checked as RFC 9162 says), signatures Ed25519 of RFC 8032, heads the notes of C2SP's
signed-note and tlog-checkpoint. The script that people download begins with this file.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

DEEPEST = 64  # no tree has more than 2^64 leaves, no path more than that many levels


class NotProven(Exception):
    """Something does not hold; ``code`` is a key of the script's ``WORDS``."""

    def __init__(self, code: str, **data: Any) -> None:
        super().__init__(code, data)
        self.code, self.data = code, data


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree_root(hashes: Sequence[bytes]) -> bytes:
    """The root over these leaf hashes."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    level = list(hashes)
    while len(level) > 1:
        paired = [node_hash(level[n], level[n + 1]) for n in range(0, len(level) - 1, 2)]
        level = paired + level[len(paired) * 2 :]
    return level[0]


def inclusion_root(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root of the tree of ``size`` leaves that has ``leaf`` at ``index``, if ``path`` is the way up. NotProven for a bad path."""
    if not 0 <= index < size or len(path) > DEEPEST:
        raise NotProven("path")
    fn, sn, root = index, size - 1, leaf
    for sibling in path:
        if sn == 0:
            raise NotProven("path")
        if fn & 1 or fn == sn:
            root = node_hash(sibling, root)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            root = node_hash(root, sibling)
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise NotProven("path")
    return root


def must_be_consistent(old_size: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]) -> None:
    """NotProven unless the tree of ``size`` leaves begins with exactly the leaves of the older one."""
    if not 0 < old_size <= size or len(path) > 2 * DEEPEST:
        raise NotProven("consistency")
    if old_size == size:
        if path or not hmac.compare_digest(old_root, root):
            raise NotProven("consistency")
        return
    steps = list(path) if old_size & (old_size - 1) else [old_root, *path]
    if not steps:
        raise NotProven("consistency")
    fn, sn = old_size - 1, size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    old = new = steps[0]
    for step in steps[1:]:
        if sn == 0:
            raise NotProven("consistency")
        if fn & 1 or fn == sn:
            old, new = node_hash(step, old), node_hash(step, new)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            new = node_hash(new, step)
        fn, sn = fn >> 1, sn >> 1
    if sn or old != old_root or new != root:
        raise NotProven("consistency")


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical(value: Any) -> bytes:
    """The one way to write a value down: JSON, keys sorted, no spaces, UTF-8."""
    return _CANONICAL.encode(value).encode()


def entry_leaf(header: dict[str, Any], line_hashes: Sequence[bytes]) -> bytes:
    """The leaf of a journal entry: its header over all columns, and the root of its lines."""
    return leaf_hash(canonical(header) + tree_root(line_hashes))


def commitment(key: bytes, entry_id: int, account_id: int, fen: int, nonce: bytes) -> bytes:
    """What stands in the log for a household's line: only who has the household's key can tell, or show, what it says."""
    return hmac.new(key, canonical([entry_id, account_id, fen, nonce.hex()]), hashlib.sha256).digest()


# Ed25519, RFC 8032: only checking. Strict: no other encodings of a point, s below the group's order, no cofactor.

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_I = pow(2, (_P - 1) // 4, _P)


def _add(one: Any, other: Any) -> Any:
    a = (one[1] - one[0]) * (other[1] - other[0]) % _P
    b = (one[1] + one[0]) * (other[1] + other[0]) % _P
    c, d = 2 * one[3] * other[3] * _D % _P, 2 * one[2] * other[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(scalar: int, point: Any) -> Any:
    result: Any = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point, scalar = _add(point, point), scalar >> 1
    return result


def _point(data: bytes) -> Any:
    """The point that 32 bytes stand for, or None."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _I % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


_BASE = _point((4 * pow(5, _P - 2, _P) % _P).to_bytes(32, "little"))


def signed(key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether ``signature`` (64 bytes) over ``message`` was made with the private half of ``key`` (32 bytes)."""
    if len(key) != 32 or len(signature) != 64:
        return False
    point, s = _point(key), int.from_bytes(signature[32:], "little")
    if point is None or s >= _L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % _L
    x, y, z, _ = _add(_times(s, _BASE), _times(h, (_P - point[0], point[1], 1, _P - point[3])))
    inverse = pow(z, _P - 2, _P)
    x, y = x * inverse % _P, y * inverse % _P
    return bool((y | (x & 1) << 255).to_bytes(32, "little") == signature[:32])


def key_id(name: str, key: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n\x01" + key).digest()[:4]


@dataclass(frozen=True)
class Note:
    """A text and who signed it: (name, key id, signature)."""

    body: str
    signatures: tuple[tuple[str, bytes, bytes], ...]

    @classmethod
    def read(cls, text: str) -> Note:
        body, gap, rest = text.replace("\r\n", "\n").partition("\n\n")
        if not gap:
            raise NotProven("note")
        found = []
        for line in rest.splitlines():
            parts = line.split(" ")
            if len(parts) != 3 or parts[0] != "—":
                raise NotProven("note")
            raw = base64.b64decode(parts[2], validate=True)
            found.append((parts[1], raw[:4], raw[4:]))
        return cls(body + "\n", tuple(found))

    def signed_by(self, key: bytes) -> bool:
        return any(
            given == key_id(name, key) and signed(key, signature, self.body.encode())
            for name, given, signature in self.signatures
        )

    @property
    def fingerprint(self) -> str:
        """What people compare: SHA-256 of the signed text."""
        return hashlib.sha256(self.body.encode()).hexdigest()


@dataclass(frozen=True)
class Head:
    """A tree head: so many leaves have this root, at this time; the one before it had that fingerprint."""

    note: Note
    origin: str
    size: int
    root: bytes
    number: int
    at: str

    @classmethod
    def read(cls, text: str) -> Head:
        note = Note.read(text)
        lines = note.body.splitlines()
        if len(lines) < 5 or not lines[1].isdecimal() or len(lines[1]) > 20:
            raise NotProven("note")
        more = dict(line.partition(" ")[::2] for line in lines[3:])
        root = base64.b64decode(lines[2], validate=True)
        return cls(note, lines[0], int(lines[1]), root, int(more["number"]), more["at"])


def read_key(text: str) -> bytes:
    """A public key: 64 hexadecimal digits, or name+id+base64 as notes write it."""
    text = text.strip()
    if "+" in text:
        raw = base64.b64decode(text.split("+", 2)[-1], validate=True)  # base64 itself may hold a plus
        if len(raw) != 33 or raw[0] != 1:
            raise ValueError("not an Ed25519 key")
        return raw[1:]
    key = bytes.fromhex(text)
    if len(key) != 32:
        raise ValueError("not 32 bytes")
    return key
