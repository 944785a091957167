"""How one bank wants its payout file, and how it says what became of it: the columns and their headings, the words for each outcome.

A form is a value: it is kept as JSON with a cooperative's layout, and a copy of it with every batch that was approved under it.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_

# What a column may hold. ``text`` is always the same words, ``empty`` nothing.
VALUES = ("sequence", "number", "reference", "name", "id_number", "bank", "account", "amount", "purpose", "township", "village", "code", "text", "empty")
NEEDED = ("name", "account", "amount")  # without them no bank pays
REPEATED = ("text", "empty")
KINDS = ("csv", "xlsx")
MONEY = ("yuan", "fen")
ENCODINGS = ("gb18030", "gbk", "utf-8-sig")
SEPARATORS = (",", "|", "\t", ";")
TOTALS = ("", "first", "last")
ACCOUNTS = ("plain", "tab", "apostrophe")
SHORTEST_ACCOUNT = 8  # digits; fixed words hold fewer, so that no column is somebody's account on every line
# How banks head whom they pay: over anything but a household's own, such a heading would send everybody's money elsewhere.
PAYEE = {"account": ("账号", "帐号", "卡号", "账/卡号", "account"), "name": ("户名", "姓名", "账户名称", "收款人名称", "payee")}
MOST_COLUMNS = 24
LONGEST_HEADING = 40
LONGEST_REMARK = 60
MOST_LINES = 1_000_000
MOST_OF_WORKBOOK = 20_000  # lines of a workbook: as far as one is read back

OUTCOMES = ("paid", "returned", "refused", "unknown")
ANSWERS = ("number", "sequence", "name", "account", "amount", "result", "reason")  # columns of a results file
MOST_WORDS, LONGEST_WORD = 40, 30


@dataclass(frozen=True)
class Column:
    """``heading`` is the bank's own; ``text`` is what a column of fixed words holds."""

    value: str
    heading: str
    text: str = ""


@dataclass(frozen=True)
class Form:
    """A bank's file. ``most_rows``: payments in one file (0: no bound), ``remark``: the longest purpose, in characters; ``total``:
    where a line with number and sum stands; ``account``: how a CSV keeps long numbers from being rounded by a spreadsheet."""

    columns: tuple[Column, ...]
    money: str = "yuan"
    encoding: str = "gb18030"
    kind: str = "csv"
    separator: str = ","
    heading: bool = True
    total: str = ""
    most_rows: int = 0
    remark: int = 30
    account: str = "plain"

    def place(self, value: str) -> int | None:
        """Where a value stands, from 0."""
        return next((place for place, column in enumerate(self.columns) if column.value == value), None)

    @property
    def rows_a_file(self) -> int:
        """How many payments a file takes at most."""
        most = self.most_rows or MOST_LINES
        return min(most, MOST_OF_WORKBOOK) if self.kind == "xlsx" else most

    @property
    def holds_everything(self) -> bool:
        """Whether there is no value that it could not hold."""
        return self.kind == "xlsx" or (self.separator == "," and self.encoding != "gbk")

    def kept(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Answer:
    """A bank's results: ``columns`` says which heading (or, without a heading line, which place) holds what; those that are not
    named are found by what banks usually call them. ``words``: the bank's words for each outcome."""

    words: Mapping[str, tuple[str, ...]]
    columns: Mapping[str, str | int]
    heading: bool = True
    money: str = "yuan"

    def kept(self) -> dict[str, Any]:
        """As JSON."""
        return {"words": {name: list(words) for name, words in self.words.items()}, "columns": dict(self.columns), "heading": self.heading, "money": self.money}

    def outcome(self, word: str) -> str | None:
        """What the bank's word means; None if nobody said yet."""
        plain = word.strip().lower()
        return next((outcome for outcome, words in self.words.items() if plain in words), None)

    def taught(self, words: Mapping[str, str]) -> "Answer":
        """The same with these words meaning these outcomes. Raises as ``checked_answer``."""
        fresh = {plain(word): outcome for word, outcome in words.items()}
        new: dict[str, tuple[str, ...]] = {
            outcome: (*(word for word in self.words.get(outcome, ()) if word not in fresh), *(word for word, means in fresh.items() if means == outcome))
            for outcome in OUTCOMES
        }
        return checked_answer(replace(self, words=new))


# What banks call the columns of their results, and what they say of a payment. A failure was debited and came back unless the layout
# says otherwise: that is what most banks' statements show.
USUAL: dict[str, tuple[str, ...]] = {
    "number": ("批号", "批次号", "批次编号", "代发批次", "批次流水号", "number"),
    "sequence": ("序号", "明细序号", "编号", "行号", "sequence"),
    "name": ("户名", "姓名", "收款人户名", "收款人名称", "收款人姓名", "账户名称", "收款人"),
    "account": ("账号", "帐号", "卡号", "收款账号", "收款人账号", "收款帐号", "银行账号", "账/卡号"),
    "amount": ("金额", "发放金额", "交易金额", "代发金额", "实发金额", "amount"),
    "result": ("结果", "处理结果", "交易结果", "交易状态", "处理状态", "状态", "result"),
    "reason": ("原因", "失败原因", "退回原因", "退票原因", "返回信息", "处理信息", "错误信息", "备注", "reason"),
}
USUAL_WORDS: dict[str, tuple[str, ...]] = {
    "paid": ("成功", "交易成功", "处理成功", "已入账", "入账成功", "已付", "paid"),
    "returned": ("退票", "退回", "已退回", "失败", "交易失败", "处理失败", "入账失败", "returned"),
    "refused": ("拒付", "拒绝", "未扣款", "refused"),
    "unknown": ("处理中", "待处理", "在途", "可疑", "未知", "银行处理中", "unknown"),
}


def answer(money: str = "yuan") -> Answer:
    """What is understood before anybody said anything."""
    return Answer(words=USUAL_WORDS, columns={}, money=money)


def form_of(kept: Mapping[str, Any]) -> Form:
    """A form from its JSON."""
    return Form(**{**kept, "columns": tuple(Column(**column) for column in kept["columns"])})


def answer_of(kept: Mapping[str, Any]) -> Answer:
    """An answer from its JSON."""
    return Answer(**{**kept, "words": {name: tuple(words) for name, words in kept["words"].items()}})


def plain(word: str) -> str:
    """A bank's word as it is compared."""
    return word.strip().lower()


def checked(form: Form) -> Form:
    """The form, if a bank could be paid by it, and would pay the households.

    InvalidInput ``layout.columns``, ``layout.twice``, ``layout.heading``, ``layout.digits``, ``layout.payee``, ``layout.bad``, ``layout.rows``.
    """
    values = [column.value for column in form.columns]
    missing = [value for value in NEEDED if value not in values]
    if missing or not len(values) <= MOST_COLUMNS or set(values) - set(VALUES):
        raise InvalidInput("layout.columns", N_("户名、账号、金额三列一定要有，最多 %(most)s 列。"), field="columns", most=MOST_COLUMNS)
    if any(values.count(value) > 1 for value in values if value not in REPEATED):
        raise InvalidInput("layout.twice", N_("同一项内容只能放一列。"), field="columns")
    for column in form.columns:
        if len(column.heading) > LONGEST_HEADING or len(column.text) > LONGEST_HEADING or _breaks(column.heading + column.text):
            raise InvalidInput("layout.heading", N_("表头和固定文字每格最多 %(most)s 个字，不能换行。"), field="columns", most=LONGEST_HEADING)
        if form.heading and not column.heading:
            raise InvalidInput("layout.heading", N_("有表头行的，每一列都要写表头。"), field="columns", most=LONGEST_HEADING)
        _must_pay_households(column)
    choices = ((form.money, MONEY), (form.encoding, ENCODINGS), (form.kind, KINDS), (form.separator, SEPARATORS), (form.total, TOTALS), (form.account, ACCOUNTS))
    if any(chosen not in offered for chosen, offered in choices):
        raise InvalidInput("layout.bad", N_("这一页不完整，请刷新后再试。"), field="columns")
    if not 0 <= form.most_rows <= MOST_LINES:
        raise InvalidInput("layout.rows", N_("一个文件的笔数要在 1 到 %(most)s 之间；没有限制就写 0。"), field="most_rows", most=f"{MOST_LINES:,}")
    if not 1 <= form.remark <= LONGEST_REMARK:
        raise InvalidInput("layout.remark", N_("用途最长的字数要在 1 到 %(most)s 之间。"), field="remark", most=LONGEST_REMARK)
    return form


def checked_answer(its: Answer) -> Answer:
    """The answer, if results can be read by it. InvalidInput ``answer.words``, ``answer.twice``, ``answer.columns``."""
    if set(its.words) - set(OUTCOMES) or its.money not in MONEY:
        raise InvalidInput("answer.words", N_("这一页不完整，请刷新后再试。"), field="words")
    said = [word for words in its.words.values() for word in words]
    if len(said) > MOST_WORDS or any(not word or len(word) > LONGEST_WORD for word in said):
        raise InvalidInput("answer.words", N_("银行的说法最多 %(most)s 个，每个最多 %(longest)s 个字。"), field="words", most=MOST_WORDS, longest=LONGEST_WORD)
    twice = next((word for word in said if said.count(word) > 1), None)
    if twice is not None:
        raise InvalidInput("answer.twice", N_("“%(word)s”写在了两种结果里，请只留一处。"), field="words", word=twice)
    places = list(its.columns.values())
    if set(its.columns) - set(ANSWERS) or len(set(places)) != len(places):
        raise InvalidInput("answer.columns", N_("一列只能当一样来读。"), field="columns")
    if its.columns and not _enough(its):
        raise InvalidInput("answer.columns", N_("至少要有：结果、金额，序号或账号，还要有批号、户名、账号中的一样，才认得出是不是这一批。"), field="columns")
    return its


def _enough(its: Answer) -> bool:
    names = set(its.columns)
    return {"result", "amount"} <= names and bool(names & {"sequence", "account"}) and bool(names & {"number", "name", "account"})


def _must_pay_households(column: Column) -> None:
    text, heading = (unicodedata.normalize("NFKC", words) for words in (column.text, column.heading))
    if sum(character.isnumeric() for character in text) >= SHORTEST_ACCOUNT:
        raise InvalidInput("layout.digits", N_("固定的文字里不能有 %(least)s 个以上的数字：它会像账号一样写在每一笔上。"), field="columns", least=SHORTEST_ACCOUNT)
    called = "".join(heading.split()).lower()
    for value, headings in PAYEE.items():
        if column.value != value and any(each in called for each in headings):
            raise InvalidInput("layout.payee", N_("表头“%(heading)s”说的是收款的人或账号，只能放各户自己的户名或账号。"), field="columns", heading=column.heading)


def _breaks(text: str) -> bool:
    return any(not character.isprintable() for character in text)
