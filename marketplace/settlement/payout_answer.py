"""A bank's results file: read line by line as the layout says, held against what was frozen, and refused whole if it is not this batch's.

A line names its payment by our sequence or by the account. Amount, name and number are held against the frozen file wherever the bank
repeats them, also where it puts stars over a part. A word that nobody explained yet is asked about and never guessed.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import chain, islice
from typing import Any, NamedTuple

from marketplace.errands.step import Tell, silent
from marketplace.foundation.crypto import last_four, masked_name
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.language import gettext as _
from marketplace.foundation.money import parse_yuan
from marketplace.settlement import payout_answer_lines, payout_form
from marketplace.settlement.payout_answer_lines import Line
from marketplace.settlement.payout_file import bare, yuan
from marketplace.settlement.payout_form import Answer

RESULT_HEADER = ("number", "sequence", "amount", "result", "reason")  # our own, which is understood whatever the layout says
PLAIN = payout_form.answer()
LONGEST_HEADING = 300  # characters of a cell that may be a heading
LOOKED_AT = 20  # lines from the top among which the heading is
Expected = Callable[[int], int | None]
Payee = tuple[int, str, str, int]  # sequence, name, account, fen
TOLD_EVERY = 5_000  # lines
_POINTS = str.maketrans("", "", "·•・．.")  # in names, which banks write as they like
_OUR_NUMBER = re.compile(r"DF[0-9]{8}-[0-9A-Z]{10}")
_FOOT = re.compile(r"^[*#\-\s]*(合计|总计|小计|共计|本页|打印|制表|说明|注[:：]|备注[:：]|以下空白|成功笔数|失败笔数)")


class Result(NamedTuple):
    """The bank's word on one item. ``outcome``: paid, returned (credited back after the debit), refused (never debited) or unknown
    (the bank is still at it, or does not know)."""

    sequence: int
    fen: int
    outcome: str
    reason: str


class _Said(NamedTuple):
    """What a line says, as it stands there."""

    line: int
    number: str = ""
    sequence: str = ""
    name: str = ""
    account: str = ""
    amount: str = ""
    result: str = ""
    reason: str = ""
    wrong: str = ""  # why it cannot be read at all


class UnknownHeading(InvalidInput):
    """Nobody knows which column is what: the accountant is asked."""

    def __init__(self) -> None:
        super().__init__("results.heading", N_("没认出回盘文件的表头，请指定每一列是什么。"), field="file", errors=[])


class UnknownWords(InvalidInput):
    """The bank says something of a payment that nobody explained yet: the accountant is asked what it means."""

    def __init__(self, words: Mapping[str, int]) -> None:
        super().__init__("results.words", N_("银行有 %(count)s 种说法还不知道是什么意思，请先说明。"), field="file", count=len(words), words=dict(words), errors=[])


def read(
    content: bytes, *, number: str, expected: Expected, answer: Answer = PLAIN, payees: Callable[[], Iterable[Payee]] = tuple, tell: Tell = silent
) -> list[Result]:
    """The results in a file. ``expected``: fen as sent of a sequence, None for one that was not; ``payees``: what was frozen, in order.
    ``tell`` hears how far it is: every line is looked at twice, as it stands there and beside what was sent.

    Raises UnknownHeading, UnknownWords, InvalidInput as ``payout_answer_lines.lines``, and ``results.bad`` with all errors of all lines
    in ``errors``: another batch's number, an unknown or repeated sequence, an amount, a name or an account other than was sent, a
    return without a reason in a file of our own heading.
    """
    of = 2 * payout_answer_lines.number_of(content)
    said, own, its = _said(content, answer, lambda line: tell(min(line, of // 2), of))
    errors: list[tuple[int, str]] = []
    numbered = said if own or all(each.sequence or each.wrong for each in said) else _numbered(said, payees, its, errors)
    results: dict[int, Result] = {}
    lines: dict[int, _Said] = {}
    unread: Counter[str] = Counter()
    outcome = cache(its.outcome)  # a hundred thousand lines say a handful of words
    for at, each in enumerate(numbered):
        if at % TOLD_EVERY == 0:
            tell(min(of // 2 + at, of), of)
        found = _result(each, number, expected, its, outcome, own=own)
        if isinstance(found, str):
            errors.append((each.line, found))
        elif found.sequence in results:
            errors.append((each.line, _("第 %(sequence)s 笔出现了两次", sequence=found.sequence)))
        else:
            results[found.sequence], lines[found.sequence] = found, each
            if not found.outcome:
                unread[each.result] += 1
    errors += _other_payees(lines, payees) if any(each.name or each.account for each in lines.values()) else []
    if not said:
        raise bad([_("文件里一笔结果也没有")])
    if errors:
        raise bad([f"{line}: {text}" for line, text in sorted(errors)])
    if unread:
        raise UnknownWords(unread)
    return list(results.values())


def looked_over(content: bytes, answer: Answer) -> tuple[list[Line], dict[str, int], int]:
    """The beginning of a file, where each column was found (by name, from 0), and the line of the heading (0: not found)."""
    top = list(islice(payout_answer_lines.lines(content), LOOKED_AT))
    heading, places = _found(top, answer)
    return top, places, heading


def likely_heading(top: Sequence[Line]) -> int:
    """The line that looks most like a heading: the most cells with words in them and none that is a figure. 0 if there is none."""
    best = max(top, key=lambda line: (_words(line[1]), -line[0]), default=(0, []))
    return best[0] if _words(best[1]) >= 3 else 0


def guess(cells: Sequence[str], answer: Answer | None = None) -> dict[str, int]:
    """What the words of a heading tell, also if it is not enough."""
    cells = [cell[:LONGEST_HEADING] for cell in cells]
    plain = [re.split(r"[\s（(]", cell, maxsplit=1)[0].lower() for cell in cells]
    whole = [cell.strip() for cell in cells]
    places: dict[str, int] = {}
    for name in payout_form.ANSWERS:
        kept = answer.columns.get(name) if answer else None
        if isinstance(kept, str):
            if kept in whole:
                places[name] = whole.index(kept)
            continue
        place = next((plain.index(spelling) for spelling in payout_form.USUAL[name] if spelling in plain), None)
        if place is not None and place not in places.values():
            places[name] = place
    return places


def enough(places: Mapping[str, int]) -> bool:
    """Whether results can be read by these columns and be told from another batch's."""
    return {"result", "amount"} <= set(places) and bool({"sequence", "account"} & set(places)) and bool({"number", "name", "account"} & set(places))


def bad(errors: list[str]) -> InvalidInput:
    """Why a file was refused whole."""
    return InvalidInput(
        "results.bad",
        N_("回盘文件有 %(count)s 处不对，一行也没有导入：%(list)s"),
        field="file", count=len(errors), errors=errors, list="; ".join(errors[:20]),
    )  # fmt: skip


def _said(content: bytes, answer: Answer, tell: Callable[[int], None]) -> tuple[list[_Said], bool, Answer]:
    """Every line that says something, whether the file has our own heading, and the answer that it is read by."""
    found = payout_answer_lines.lines(content)
    top = list(islice(found, LOOKED_AT))
    heading, places = _found(top, answer)
    own = bool(top) and [cell.lower() for cell in top[0][1]] == list(RESULT_HEADER)
    if own:
        heading, places, answer = top[0][0], {name: at for at, name in enumerate(RESULT_HEADER)}, _with_our_words(answer)
    elif not enough(places):
        if max((len(cells) for _line, cells in top), default=0) < 3:
            raise bad([f"1: {_('表头应为 %(heading)s', heading=','.join(RESULT_HEADER))}"])
        raise UnknownHeading
    wanted = max(places.values()) + 1
    said = []
    for line, cells in chain(top, found):
        if line % TOLD_EVERY == 0:
            tell(line)
        if line <= heading or not any(cells) or (not own and _is_foot(cells, places)):
            continue
        if len(cells) >= wanted and not (own and len(cells) > wanted):
            said.append(_Said(line, **{name: cells[place] for name, place in places.items()}))
        elif heading or line > 1:  # a file without a heading may begin with its totals
            said.append(_Said(line, wrong=_("有 %(n)s 栏，应为 %(wanted)s 栏", n=len(cells), wanted=wanted)))
    return said, own, answer


def _with_our_words(answer: Answer) -> Answer:
    """Our own file, in which also the bank's words are understood."""
    return replace(PLAIN, words={
        outcome: (*answer.words.get(outcome, ()), *(word for word in words if answer.outcome(word) is None)) for outcome, words in PLAIN.words.items()
    })  # fmt: skip


def _found(top: Sequence[Line], answer: Answer) -> tuple[int, dict[str, int]]:
    if not answer.heading:
        return 0, {name: int(place) for name, place in answer.columns.items()}
    for line, cells in top:
        places = guess(cells, answer)
        if enough(places):
            return line, places
    return 0, {}


def _is_foot(cells: Sequence[str], places: Mapping[str, int]) -> bool:
    first = next(cell for cell in cells if cell)
    return bool(_FOOT.match(first)) or sum(bool(cell) for cell in cells) == 1


def _numbered(said: Sequence[_Said], payees: Callable[[], Iterable[Payee]], answer: Answer, errors: list[tuple[int, str]]) -> list[_Said]:
    """Give each line without a sequence the one of its account: of several payments to one account, the one of its amount."""
    by_account: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for sequence, _name, account, fen in payees():
        by_account[_plain(account)].append((fen, sequence))
    numbered = []
    for each in said:
        if not each.sequence and not each.wrong:
            waiting = by_account.get(_plain(each.account), [])
            try:
                fen = _fen(each.amount, answer)
            except ValueError:
                fen = -1
            fitting = next((one for one in waiting if one[0] == fen), waiting[0] if waiting else None)
            if fitting is None:
                errors.append((each.line, _("账号尾号 %(last)s 不在这一批里", last=last_four(each.account))))
                continue
            waiting.remove(fitting)
            each = each._replace(sequence=str(fitting[1]))
        numbered.append(each)
    return numbered


def _result(
    said: _Said, number: str, expected: Expected, answer: Answer, means: Callable[[str], str | None], *, own: bool
) -> Result | str:
    if said.wrong:
        return said.wrong
    other = _other_number(said, number, own=own)
    if other is not None:
        return _("批号 %(its)s 不是这一批 %(number)s", its=other[:40], number=number)
    sequence = said.sequence.removesuffix(".0")
    sent_fen = expected(int(sequence)) if sequence.isascii() and sequence.isdigit() and len(sequence) < 10 else None
    if sent_fen is None:
        return _("序号 %(sequence)s 不在这一批里", sequence=said.sequence[:20])
    try:
        fen = _fen(said.amount, answer)
    except ValueError:
        return _("金额 %(amount)s 读不出来", amount=said.amount[:20])
    if fen != sent_fen:
        return _("金额 %(amount)s 和发出的 %(sent)s 不同", amount=said.amount[:20], sent=yuan(sent_fen))
    outcome = means(said.result)
    if outcome is None:
        if own or not said.result:
            return _("结果 %(result)s 不认识", result=said.result[:20])
        return Result(int(sequence), fen, "", said.reason[:120])
    if outcome in ("returned", "refused") and not said.reason and own:
        return _("退票或拒付没有写原因")
    return Result(int(sequence), fen, outcome, (said.reason or ("" if outcome == "paid" else said.result))[:120])


def _other_number(said: _Said, number: str, *, own: bool) -> str | None:
    """A number of a batch that is not this one. A bank's batches have numbers of its own, which say nothing where name or account do."""
    if own or _OUR_NUMBER.fullmatch(said.number) or not (said.name or said.account):
        return said.number if said.number != number else None
    return next((found for found in _OUR_NUMBER.findall(said.reason) if found != number), None)


def _other_payees(lines: Mapping[int, _Said], payees: Callable[[], Iterable[Payee]]) -> list[tuple[int, str]]:
    """Lines whose name or account is not what was frozen under their sequence."""
    errors = []
    for sequence, name, account, _amount in payees():
        said = lines.get(sequence)
        if said is None:
            continue
        if said.account and not _same(said.account, account):
            errors.append((said.line, _("第 %(n)s 笔的账号尾号 %(its)s 和发出的 %(sent)s 不同", n=sequence, its=last_four(bare(said.account)), sent=last_four(account))))
        elif said.name and not _same(said.name, name):
            errors.append((said.line, _("第 %(n)s 笔的户名 %(its)s 和发出的 %(sent)s 不同", n=sequence, its=masked_name(said.name), sent=masked_name(name))))
    return errors


def _same(told: str, ours: str) -> bool:
    """Whether what the bank repeats is what we sent; it may put stars over a part."""
    if told == ours:
        return True
    told, ours = _plain(told).replace("＊", "*"), _plain(ours)
    if "*" not in told:
        return told == ours
    begin, end = told.partition("*")[0], told.rpartition("*")[2]
    return ours.startswith(begin) and ours.endswith(end) and len(begin) + len(end) <= len(ours)


def _plain(text: str) -> str:
    return "".join(bare(text).split()).translate(_POINTS)


def _fen(text: str, answer: Answer) -> int:
    """Fen of an amount as the bank writes it. ValueError."""
    if answer.money == "yuan":
        return parse_yuan(text)
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise ValueError(text)
    return int(text)


def _words(cells: Sequence[Any]) -> int:
    if any(re.fullmatch(r"[-+¥￥]?[0-9][0-9,.:/\- *]*", cell) for cell in cells):
        return 0
    return sum(bool(cell) for cell in cells)
