"""Words: Chinese text cut into the words that people search by, with their pinyin and initials.

Names of the county's places are words. The same cutting serves the index and the question, or neither would find the other.
"""

import re
import threading
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from whoosh.analysis import Analyzer, Token

# What people say for what the shelf says. Expanded when asked, so that a change needs no new index.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "茶叶": ("白茶",),
    "绿茶": ("白茶",),
    "菊花": ("皇菊",),
    "菊花茶": ("皇菊",),
    "茶油": ("山茶油",),
    "茶籽油": ("山茶油",),
    "食用油": ("山茶油",),
    "蜂蜜": ("土蜂蜜", "蜜"),
    "蜜糖": ("土蜂蜜", "蜜"),
}
_GOODS = ("白茶", "皇菊", "山茶油", "茶油", "土蜂蜜", "明前", "雨前", "礼盒")
_STOP = frozenset("的了和与及在是一")
_LATIN = re.compile(r"[a-z0-9]+")
_CHINESE = re.compile(r"[\u3400-\u9fff]")

_lock = threading.Lock()
_known: set[str] = set()


def learn(names: Iterable[str]) -> None:
    """Make each of these names one word: 云脚村 and, without what kind of place it is, 云脚."""
    with _lock:
        for name in names:
            for each in (name, re.sub(r"[县镇乡村]$", "", name)):
                if len(each) >= 2 and each not in _known:
                    cutter = _cutter()
                    cutter.add_word(each, cutter.suggest_freq(each), "nz")
                    _known.add(each)


@cache
def _cutter() -> Any:
    # Its dictionary, and pinyin's, take as long to read as all the rest of the market: who never searches never waits for them.
    import rjieba

    for each in _GOODS:
        rjieba.add_word(each, rjieba.suggest_freq(each), "nz")
    return rjieba


def words(text: str) -> list[str]:
    """The words of a text, long ones with the short ones inside them, lower case; in order, with repetitions."""
    found = []
    for word in _cutter().cut_for_search(text.lower()):
        if _CHINESE.search(word):
            if word not in _STOP:
                found.append(word)
        else:
            found.extend(_LATIN.findall(word))
    return found


def sounds(word: str) -> tuple[str, ...]:
    """Pinyin and initials of a Chinese word of two or more characters: 白茶 → baicha, bc."""
    if len(word) < 2 or not _CHINESE.search(word):
        return ()
    from pypinyin import Style, lazy_pinyin

    return "".join(lazy_pinyin(word)), "".join(lazy_pinyin(word, style=Style.FIRST_LETTER))


def heard(asked: str) -> str:
    """How a word that was asked for sounds: itself if it is written in Latin letters, else its pinyin; empty if it has none."""
    return asked if asked.isascii() else next(iter(sounds(asked)), "")


class WordAnalyzer(Analyzer):  # type: ignore[misc]
    """Whoosh's way to ``words``. The index pickles a reference to this class: it must not move or be renamed without a rebuild."""

    def __call__(self, value: str, positions: bool = False, start_pos: int = 0, **options: Any) -> Iterator[Any]:
        token = Token(positions, False, removestops=False, mode=options.get("mode", ""))
        for place, word in enumerate(words(value), start_pos):
            token.original = token.text = word
            token.boost = 1.0
            token.stopped = False
            if positions:
                token.pos = place
            yield token
