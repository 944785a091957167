"""The cooperatives' bank in the simulation: what it moved in a day, written as three banks write their statements, and taken in.

It carries out what the books say was ordered, and it knows what units transfer. Its balance goes on from the last statement's, so that
a second run of days follows the first.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import NamedTuple

from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db, get, transaction
from marketplace.foundation.money import format_yuan
from marketplace.households.household import Household
from marketplace.ledger.account import Account, owner_of
from marketplace.ledger.entry import JournalEntry, JournalLine
from marketplace.organisations.organisation import Cooperative
from marketplace.payments import bank_match, bank_statement
from marketplace.payments.bank_statement import BankReceipt
from marketplace.payments.statement_row import StatementRow
from marketplace.settlement import difference, fund_return, payout_batch, row_payee
from marketplace.settlement.fund_return import FundReturn
from marketplace.settlement.payout_batch import PayoutBatch
from marketplace.settlement.payout_item import payee_of
from marketplace.settlement.reconciliation_link import linked_of_entry, moved, numbers_of, whose
from marketplace.simulation import bank_answer
from marketplace.simulation.people import People

WORDS = {
    "withdrawn": ("支付宝（中国）网络技术有限公司", "提现"), "payout_debited": ("代发工资专户", "代发"), "payout_returned": ("代发工资专户", "退票"),
    "collective_paid": ("村集体经济合作社", "划款"), "fund_remitted": ("防贫基金", "划款"), "revenue_taken_out": ("合作社", "划款"),
    "refund_succeeded": ("采购单位", "退款"),
}  # fmt: skip


ACCOUNT = "3605009999000001"
FUND = "3605009999000002"


@dataclass(frozen=True)
class Transfer:
    """What came or went: fen (positive for what came), the other party, its account, the remark, and the day if it was before today."""

    fen: int
    name: str
    account: str
    remark: str
    day: date | None = None


@dataclass
class Bank:
    """What units have transferred today, by cooperative, and is on no statement yet."""

    transfers: dict[int, list[Transfer]] = field(default_factory=lambda: defaultdict(list))


def evening(bank: Bank, people: People, done: Counter[str]) -> None:
    """Every cooperative whose account moved today takes its statement in, matches what it proposes first, and reconciles."""
    for cooperative_id in people.cooperatives:
        rows = [*bank.transfers.pop(cooperative_id, ()), *_ordered(cooperative_id)]
        credited, given = _credited_back(cooperative_id), _given_back(cooperative_id)
        done["credited back before a file says so"] += len(credited)
        done["fund given back"] += len(given)
        rows += [*credited, *given]
        if rows:
            take(cooperative_id, rows, people, done)


def take(cooperative_id: int, rows: list[Transfer], people: People, done: Counter[str]) -> None:
    """One cooperative's statement of today."""
    accountant, today = people.staff[cooperative_id]["accountant"], clock.business_date()
    text = _written(cooperative_id, today, rows)
    transaction(lambda: bank_statement.import_csv(text.encode("gb18030"), actor=accountant, name=f"{today:%Y%m%d}.csv"))
    done["statements"] += 1
    query = select(BankReceipt.id).where(BankReceipt.organisation_id == cooperative_id, BankReceipt.state == "imported")
    for receipt_id in db.session.scalars(query.order_by(BankReceipt.id)).all():
        proposals = bank_match.propose(receipt_id, actor=accountant)
        if proposals:
            best = proposals[0]
            transaction(
                lambda r=receipt_id, b=best: bank_match.match(r, b.payable.kind, b.payable.id, b.fen, actor=accountant, key=f"simulated-{r}")  # type: ignore[misc]
            )
            done["transfers matched"] += 1
    transaction(lambda: difference.reconcile(cooperative_id, ["bank"]))


def _ordered(cooperative_id: int) -> list[Transfer]:
    """What the cooperative ordered at its bank, by the books, and no statement shows: one row a number, direction and day; what came back of
    payouts one by one, as the bank credits it. On a day whose statement nobody took it stands under that day."""
    query = moved().where(linked_of_entry() == 0, JournalEntry.kind.in_(WORDS), JournalLine.fen != 0).order_by(JournalEntry.id)
    found = db.session.execute(query, whose(cooperative_id, "bank"))
    entries = [(row[0], row[1], row[2], row[3], clock.business_date(row[4]), int(row[5])) for row in found]
    numbers = numbers_of([entry[:4] for entry in entries], "bank")
    sums: dict[tuple[str, str, date], int] = defaultdict(int)
    for entry_id, kind, _type, _id, day, fen in entries:
        sums[kind, numbers[entry_id], day] += fen
    paid = {(kind, numbers[entry_id]): _payee(kind, source_type, source_id) for entry_id, kind, source_type, source_id, _day, _fen in entries}
    rows = [Transfer(fen, *paid[kind, number], f"{WORDS[kind][1]} {number}", day) for (kind, number, day), fen in sums.items() if kind != "payout_returned"]
    back = {entry[0]: (numbers[entry[0]], entry[4]) for entry in entries if entry[1] == "payout_returned"}
    paid_all_the_same = {(entry[0], owner) for entry in entries if entry[0] in back and entry[2] == "payout_batch" for owner in _called_back_wrongly(entry[3])}
    query = (
        select(JournalLine.entry_id, -JournalLine.fen, Account.owner_ref)
        .join(Account, Account.id == JournalLine.account_id)
        .where(JournalLine.entry_id.in_(back), Account.kind == "household")
        .order_by(JournalLine.entry_id, JournalLine.line_no)
    )
    return rows + [
        Transfer(fen, WORDS["payout_returned"][0], ACCOUNT, f"退票 {back[entry_id][0]}", back[entry_id][1])
        for entry_id, fen, owner in db.session.execute(query)
        if (entry_id, owner) not in paid_all_the_same
    ]


def _called_back_wrongly(batch_id: int) -> list[str]:
    """The owners of the household accounts that a batch's first file called returned though they were paid."""
    batch = get(PayoutBatch, batch_id)
    return [owner_of("household", each) for each in bank_answer.never_came_back(batch, payout_batch.items_of(batch_id))]


def _credited_back(cooperative_id: int) -> list[Transfer]:
    """What the bank credits back by itself, from the account that it could not credit, before a file says so."""
    query = select(PayoutBatch).where(
        PayoutBatch.organisation_id == cooperative_id, PayoutBatch.channel == "bank", PayoutBatch.state.in_(("SENT", "DONE")),
        PayoutBatch.sent_at > clock.now() - timedelta(days=bank_answer.FORGETS),
    )  # fmt: skip
    batches = db.session.scalars(query.order_by(PayoutBatch.id)).all()
    came = [(batch, item) for batch in batches for item in bank_answer.credited_back(batch, payout_batch.items_of(batch.id))]
    return [Transfer(item.fen, payee_of(get(Household, item.household_id))[0], item.bank_account, f"退票 {batch.number}") for batch, item in came]


def _given_back(cooperative_id: int) -> list[Transfer]:
    """What the relief fund's holder was agreed to give back."""
    query = select(FundReturn).where(FundReturn.organisation_id == cooperative_id, FundReturn.state == "APPROVED").order_by(FundReturn.id)
    return [Transfer(row.fen, fund_return.holder_of(row).name_zh, FUND, f"防贫基金退回 {row.number}") for row in db.session.scalars(query)]


def _payee(kind: str, source_type: str, source_id: int) -> tuple[str, str]:
    """Name and account of whoever got it: of a refund its payee, else as the bank calls it."""
    payees = row_payee.of_entry(source_type, source_id) if kind == "refund_succeeded" else None
    return payees[0] if payees else (WORDS[kind][0], ACCOUNT)


def _written(cooperative_id: int, today: date, rows: list[Transfer]) -> str:
    """The statement since the last one in one of three banks' layouts, with balances that go on from it."""
    own = (StatementRow.organisation_id == cooperative_id) & (StatementRow.side == "bank")
    last = db.session.execute(select(StatementRow.day, StatementRow.balance_fen).where(own).order_by(StatementRow.day.desc(), StatementRow.id.desc()).limit(1)).first()
    shown_until, before = (last[0], last[1] or 0) if last else (date.min, 0)
    count = len(db.session.scalars(select(StatementRow.id).where(own, StatementRow.serial.startswith(f"{today:%Y%m%d}{cooperative_id:04d}"))).all())
    account = db.session.scalars(select(Cooperative).where(Cooperative.organisation_id == cooperative_id)).one().bank_account
    dated = sorted(((max(row.day or today, shown_until), row) for row in rows), key=lambda each: (each[0], -each[1].fen))
    lines, left = [], before
    for number, (day, row) in enumerate(dated, count + 1):
        left += row.fen
        lines.append(Line(f"{today:%Y%m%d}{cooperative_id:04d}{number:05d}", day, row, left))
    return LAYOUTS[cooperative_id % len(LAYOUTS)](account, before, left, lines)


class Line(NamedTuple):
    """A row as it is printed, with the balance after it."""

    serial: str
    day: date
    row: Transfer
    after: int


def _in_columns(account: str, before: int, left: int, lines: list[Line]) -> str:
    head = "交易日期,收入金额,支出金额,账户余额,对方户名,对方账号,摘要,流水号"
    rows = [
        f'{day:%Y-%m-%d},"{format_yuan(row.fen) if row.fen > 0 else ""}","{format_yuan(-row.fen) if row.fen < 0 else ""}","{format_yuan(after)}",'
        f"{row.name},{row.account},{row.remark},{serial}"
        for serial, day, row, after in lines
    ]
    return "\n".join([head, *rows])


def _with_direction(account: str, before: int, left: int, lines: list[Line]) -> str:
    top = ["账户明细查询", f"账号：{account[:4]}****{account[-4:]}\t期初余额：{format_yuan(before)}", ""]
    head = "记账日期\t借贷标志\t交易金额(元)\t余额(元)\t对方名称\t对方帐号\t用途\t核心流水号"
    rows = [
        f"{day:%Y%m%d}\t{'贷' if row.fen > 0 else '借'}\t{format_yuan(abs(row.fen))}\t{format_yuan(after)}\t{row.name}\t{row.account}\t{row.remark}\t{serial}"
        for serial, day, row, after in reversed(lines)
    ]
    return "\n".join([*top, head, *rows, f"合计\t{len(lines)} 笔", f"期末余额：{format_yuan(left)}"])


def _with_sign(account: str, before: int, left: int, lines: list[Line]) -> str:
    head = "交易时间,金额,余额,对方账户名称,对方账号,附言,交易流水号"
    rows = [
        f"{day:%Y年%m月%d日} 17:00:00,{'+' if row.fen > 0 else '-'}{abs(row.fen) // 100}.{abs(row.fen) % 100:02d},{after / 100:.2f},"
        f"{row.name},{row.account},{row.remark},{serial}"
        for serial, day, row, after in lines
    ]
    return "\n".join([head, *rows])


LAYOUTS = (_in_columns, _with_direction, _with_sign)
