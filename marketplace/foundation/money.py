"""Money is integer fen. Splitting is exact: no fen is lost or made, for any amount and any weights."""

import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FEN_MAX = 10**15  # ten thousand milliard yuan: anything above is a typing error, and it stays far inside a bigint

_WIDE = str.maketrans("０１２３４５６７８９．，￥", "0123456789.,¥")
_YUAN = re.compile(r"(?P<yuan>[0-9]{1,13})(?:\.(?P<fen>[0-9]{1,2}))?")


def parse_yuan(text: str) -> int:
    """Fen of an amount typed in yuan (``1,234.5``, ``¥88``, full-width digits too). ValueError for anything else.

    Signs, exponents and more than two decimals are refused: an amount of money is never guessed.
    """
    plain = text.strip()
    if not plain.isascii():
        plain = plain.translate(_WIDE)
    plain = plain.removeprefix("¥").strip()
    if "," in plain and not re.fullmatch(r"[0-9]{1,3}(,[0-9]{3})+(\.[0-9]{1,2})?", plain):
        raise ValueError(text)
    match = _YUAN.fullmatch(plain.replace(",", ""))
    if match is None:
        raise ValueError(text)
    return int(match["yuan"]) * 100 + int((match["fen"] or "0").ljust(2, "0"))


def format_yuan(fen: int) -> str:
    """``1234567`` fen as ``12,345.67``, without a sign of currency."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100:,}.{abs(fen) % 100:02d}"


def shown_yuan(fen: int) -> str:
    """``-100`` fen as ``−¥1.00``: as a reader meets a sum on a page and in a letter. What programs read is ``format_yuan``."""
    return f"{'−' if fen < 0 else ''}¥{format_yuan(abs(fen))}"


def split(total: int, weights: Sequence[int], keys: Sequence[str], salt: str) -> list[int]:
    """Divide ``total`` fen by ``weights`` with the largest remainder; the parts sum to ``total`` exactly.

    Ties are broken by SHA-256 of (salt, key), so that over many splits no party loses the odd fen again and again.
    A negative total splits as the mirror of the positive one. All-zero weights raise ValueError unless total is 0.
    """
    if len(weights) != len(keys):
        raise ValueError("a key for each weight")
    if any(weight < 0 for weight in weights):
        raise ValueError("weights cannot be negative")
    if total < 0:
        return [-part for part in split(-total, weights, keys, salt)]
    whole = sum(weights)
    if whole == 0:
        if total == 0:
            return [0] * len(weights)
        raise ValueError("nothing to divide by")
    parts = [total * weight // whole for weight in weights]
    left = total - sum(parts)
    if left:
        order = sorted(
            range(len(weights)),
            key=lambda i: (-(total * weights[i] % whole), _tie(salt, keys[i])),
        )
        for i in order[:left]:
            parts[i] += 1
    return parts


def split_columns(
    total: int, weights: "NDArray[np.int64]", keys: Sequence[str], salt: str
) -> "NDArray[np.int64]":
    """What ``split`` gives, to the fen, for a million weights at once; ``total`` is not negative, nor is any weight.

    In 64 bits as long as total × the largest weight fits, else in Python's own whole numbers.
    """
    import numpy as np

    if len(weights) == 0 or total * int(weights.max()) >= 2**63 or total * len(weights) >= 2**63:
        return np.array(split(total, weights.tolist(), keys, salt), dtype=np.int64)
    whole = int(weights.sum())
    if whole == 0:
        if total:
            raise ValueError("nothing to divide by")
        return np.zeros(len(weights), dtype=np.int64)
    parts, remainders = np.divmod(weights * total, whole)
    left = total - int(parts.sum())
    if left:
        # Whoever is above the last remainder that still gets a fen gets one; only those who tie at it are told apart by hash.
        last = np.partition(remainders, len(remainders) - left)[len(remainders) - left]
        above = remainders > last
        parts[above] += 1
        tied = np.flatnonzero(remainders == last)
        # In a column, and no list of their places beside it: where all have the same share, all of them tie.
        hashes = np.fromiter((_tie(salt, keys[int(i)]) for i in tied), dtype="S32", count=len(tied))
        parts[tied[np.argsort(hashes, kind="stable")[: left - int(above.sum())]]] += 1
    return parts


def share_bp(total: int, basis_points: int) -> int:
    """``total`` fen times basis points, rounded half up: for display and quotas, never for dividing a sum."""
    return (total * basis_points * 2 + 10_000) // 20_000


def _tie(salt: str, key: str) -> bytes:
    return hashlib.sha256(f"{salt}\x1f{key}".encode()).digest()
