"""The layout of a bank's statement: which column is what. Recognised by its header's words, or chosen by the clerk once and kept.

Three ways of writing an amount are known: income and expense in columns of their own, one amount with a column that says the
direction, and one amount with a sign.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Identified, Model, db
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor
from marketplace.payments.bank_file import Line

# What banks call each column; the first name found counts.
COLUMNS: dict[str, tuple[str, ...]] = {
    "day": ("交易日期", "交易时间", "记账日期", "入账日期", "记账日", "日期"),
    "income": ("收入金额", "贷方金额", "贷方发生额", "转入金额", "存入金额", "收入", "贷方"),
    "expense": ("支出金额", "借方金额", "借方发生额", "转出金额", "支取金额", "支出", "借方"),
    "amount": ("交易金额", "发生额", "金额"),
    "direction": ("借贷标志", "借贷方向", "借贷标识", "收支方向", "收支标志", "借贷", "收支", "收/支", "借/贷"),
    "balance": ("账户余额", "交易后余额", "联机余额", "当前余额", "本次余额", "余额"),
    "payer_name": ("对方户名", "对方名称", "付款人名称", "付款方户名", "对方账户名称", "对方单位", "交易对手名称"),
    "payer_account": ("对方账号", "对方帐号", "付款人账号", "付款方账号", "交易对手账号"),
    "remark": ("摘要", "用途"),
    "postscript": ("附言", "备注"),
    "serial": ("流水号", "交易流水号", "核心流水号", "银行流水号", "交易流水", "凭证号"),
    "own_account": ("本方账号", "本方帐号", "我方账号", "查询账号"),
}
CREDIT = ("贷", "贷方", "收", "收入", "转入", "来账", "入账", "存入", "c", "cr", "+", "in")
DEBIT = ("借", "借方", "支", "付", "支出", "转出", "往账", "出账", "支取", "d", "dr", "-", "out")
MOST_COLUMNS = 60
LONGEST_HEADING = 300  # characters of a cell that may be a heading
LOOKED_AT = 60  # lines from the top among which the header is


@dataclass(frozen=True)
class Layout:
    """``header``: the line that names the columns; ``columns``: what is in which place, from 0."""

    header: int
    columns: Mapping[str, int]

    @property
    def amounts(self) -> str:
        """How amounts are written: columns, direction or sign."""
        if "income" in self.columns:
            return "columns"
        return "direction" if "direction" in self.columns else "sign"


class KeptLayout(Identified, Model):
    """How a header of a cooperative's bank is to be read, as its accountant chose it."""

    __tablename__ = "bank_layout"
    __table_args__ = (UniqueConstraint("organisation_id", "header_sha256"),)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    header_sha256: Mapped[str] = mapped_column(String(64))
    columns: Mapped[dict[str, Any]]
    chosen_at: Mapped[datetime]
    chosen_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))


def of(lines: Sequence[Line], organisation_id: int | None = None) -> Layout | None:
    """The layout that was chosen for this header, else the one that its words tell; None if they tell none."""
    top = lines[:LOOKED_AT]
    if organisation_id is not None:
        query = select(KeptLayout).where(KeptLayout.organisation_id == organisation_id)
        kept = {row.header_sha256: row.columns for row in db.session.scalars(query)}
        for number, cells in top:
            if kept and _key(cells) in kept:
                return Layout(number, {name: int(place) for name, place in kept[_key(cells)].items()})
    found = ((number, _recognised(cells)) for number, cells in top)
    return next((Layout(number, columns) for number, columns in found if columns), None)


def likely_header(lines: Sequence[Line]) -> int:
    """The line that looks most like a header: the most cells with words in them and none with figures only. 0 if there is none."""
    best = max(lines[:LOOKED_AT], key=lambda line: (_words(line[1]), -line[0]), default=(0, []))
    return best[0] if _words(best[1]) >= 2 else 0


def guess(cells: Sequence[str]) -> dict[str, int]:
    """What the words of a header tell, also if it is not enough."""
    plain = [re.split(r"[\s（(]", cell[:LONGEST_HEADING], maxsplit=1)[0] for cell in cells[:MOST_COLUMNS]]
    places = {}
    for name, spellings in COLUMNS.items():
        for spelling in spellings:
            if spelling in plain:
                places[name] = plain.index(spelling)
                break
    # 摘要/附言 in one column is common too.
    for i, cell in enumerate(plain):
        if "/" in cell and "remark" not in places and any(part in COLUMNS["remark"] for part in cell.split("/")):
            places["remark"] = i
    return places


def keep(lines: Sequence[Line], header: int, columns: Mapping[str, int], *, actor: Actor) -> KeptLayout:
    """Read files with this header in this way from now on. By the cooperative's accountant.

    Raises InvalidInput ``layout.header`` without such a line, ``layout.columns`` without a day or an amount, ``layout.twice``.
    """
    actor.must_have("COOPERATIVE", "accountant")
    cells = dict(lines).get(header)
    if cells is None or header > lines[:LOOKED_AT][-1][0]:
        raise InvalidInput("layout.header", N_("表头要在文件的前 %(limit)s 行里。"), field="header", limit=LOOKED_AT)
    if any(name not in COLUMNS or not 0 <= place < len(cells) for name, place in columns.items()) or not _enough(columns):
        raise InvalidInput("layout.columns", N_("至少要指定日期，以及收入金额或交易金额。"), field="columns")
    if len(set(columns.values())) != len(columns):
        raise InvalidInput("layout.twice", N_("一列只能当一样来读。"), field="columns")
    query = select(KeptLayout).where(KeptLayout.organisation_id == actor.organisation_id, KeptLayout.header_sha256 == _key(cells))
    row = db.session.scalars(query.with_for_update()).one_or_none()
    if row is None:
        row = KeptLayout(organisation_id=actor.organisation_id, header_sha256=_key(cells))
        db.session.add(row)
    row.columns, row.chosen_at, row.chosen_by_id = dict(columns), clock.now(), actor.person_id
    db.session.flush()
    audit.record("bank_layout.kept", row, person_id=actor.person_id, columns=dict(columns))
    return row


def _recognised(cells: Sequence[str]) -> dict[str, int]:
    places = guess(cells)
    if "income" in places:
        places.pop("amount", None)
        places.pop("direction", None)
    return places if _enough(places) and len(places) >= 2 else {}


def _enough(columns: Mapping[str, int]) -> bool:
    return "day" in columns and ("income" in columns or "amount" in columns)


def _key(cells: Sequence[str]) -> str:
    return hashlib.sha256("\x1f".join(re.sub(r"\s", "", cell) for cell in cells).strip("\x1f").encode()).hexdigest()


def _words(cells: Sequence[str]) -> int:
    if any(re.fullmatch(r"[-+¥￥]?[0-9][0-9,.:/\- ]*", cell) for cell in cells):
        return 0
    return sum(bool(cell) for cell in cells)
