"""A payout batch over Alipay: what is frozen at approval, how it starts and goes on, and what each transfer's end means for its household.

Money leaves the cooperative's Alipay and not its bank: one entry for all that is sent, then one for each transfer's end, as Alipay's
bill has one row for each.
"""

import csv
import io
from collections.abc import Iterator
from itertools import islice
from typing import cast

from sqlalchemy import Select, select

from marketplace.foundation import audit, clock
from marketplace.foundation.database import db, get, locked
from marketplace.foundation.errors import Conflict, OutsideFailure
from marketplace.foundation.language import N_
from marketplace.ledger import share_event
from marketplace.ledger.posting import Source
from marketplace.payments import transfer
from marketplace.payments.channel import Payer, client_for
from marketplace.payments.transfer import Order, Transfer
from marketplace.settlement import payout_import, payout_item, payout_part, payout_twice
from marketplace.settlement.distribution_share import Distribution
from marketplace.settlement.payout_file import yuan
from marketplace.settlement.payout_item import PayoutBatch, PayoutItem, number_of

KIND = "payout_item"
MEDIA_TYPE = "text/csv; charset=utf-8"
HEADER = ("商户单号", "金额（元）", "收款支付宝账号", "收款人姓名", "转账标题")
AT_ONCE = 2_000  # lines written in one piece

# What Alipay's codes mean to whoever mends it; what is not here is shown as its code.
REASONS = {
    "PAYEE_NOT_EXIST": N_("没有这个支付宝账号"),
    "PAYEE_USER_INFO_ERROR": N_("支付宝账号和姓名对不上"),
    "PAYEE_ACC_OCUPIED": N_("这个手机号或邮箱对着几个支付宝账号"),
    "PAYEE_ACC_STATUS_ERROR": N_("收款的支付宝账号状态异常"),
    "PAYEE_ACCOUNT_STATUS_ERROR": N_("收款的支付宝账号状态异常"),
    "PERM_AML_NOT_REALNAME_REV": N_("收款的支付宝账号没有实名"),
    "PERMIT_NON_BANK_LIMIT_PAYEE": N_("收款的支付宝账号超过了一年的收款额度"),
    "PAYER_PAYEE_CANNOT_SAME": N_("收款和付款是同一个支付宝账号"),
    "EXCEED_LIMIT_SM_MIN_AMOUNT": N_("一笔最少转 0.10 元"),
    "EXCEED_LIMIT_SM_AMOUNT": N_("超过了一笔的限额"),
    "EXCEED_LIMIT_PERSONAL_SM_AMOUNT": N_("超过了转给个人一笔的限额"),
    "EXCEED_LIMIT_ENT_SM_AMOUNT": N_("超过了转给企业一笔的限额"),
    "INVALID_PARAMETER": N_("支付宝不接受这笔转账的内容"),
    "PAYER_BALANCE_NOT_ENOUGH": N_("支付宝余额不够"),
    "BALANCE_IS_NOT_ENOUGH": N_("支付宝余额不够"),
    "EXCEED_LIMIT_DM_AMOUNT": N_("超过了今天的转账限额"),
    "EXCEED_LIMIT_DM_MAX_AMOUNT": N_("超过了今天的转账限额"),
    "EXCEED_LIMIT_MM_AMOUNT": N_("超过了这个月的转账限额"),
    "EXCEED_LIMIT_MM_MAX_AMOUNT": N_("超过了这个月的转账限额"),
    "EXCEED_LIMIT_DC_RECEIVED": N_("收款人今天的收款次数满了"),
    "EXCEED_LIMIT_UNRN_DM_AMOUNT": N_("收款人没有实名，今天收满了"),
    "not_permitted": N_("支付宝不让这个应用转账：没有开通转账权限，或不是证书方式的密钥"),
    "FAIL": N_("支付宝没有办成"),
    "CLOSED": N_("支付宝关闭了这笔转账"),
    "REFUND": N_("支付宝退票，没有写原因"),
    "inconsistent": N_("支付宝说这个单号办的是另一笔：金额或收款人不一样"),
    "other_amount": N_("支付宝回答的金额和这一笔不一样"),
    "other_order": N_("支付宝回答的是另一个单号"),
    "NOT_PAID": N_("问过支付宝，没有付出"),
}
# What Alipay has under this number is not this transfer: that ends by two people's word only.
CONTRADICTIONS = ("inconsistent", "other_amount", "other_order")


def contradicted(batch_id: int, most: int = 20) -> list[int]:
    """Items of a batch, ``most`` of them, of which Alipay says now this and now that."""
    query = select(Transfer.payable_id).where(Transfer.payable_kind == KIND, Transfer.bundle_id == batch_id, Transfer.state == "unknown")
    return list(db.session.scalars(query.where(Transfer.sub_code.in_(CONTRADICTIONS)).order_by(Transfer.id).limit(most)))


def reason_of(code: str) -> str:
    """What a code of Alipay's means, in Chinese; the code itself where that is not known."""
    return REASONS.get(code, code)


def must_be_open(organisation_id: int) -> None:
    """Raise OutsideFailure ``transfer.unopened`` if the cooperative's application may not send money to persons."""
    if not cast(Payer, client_for(organisation_id)).may_transfer():
        raise OutsideFailure("transfer.unopened", N_("这家合作社的支付宝应用没有开通转账：要先换成证书方式的密钥。可以先走银行代发。"))


def chunks(batch: PayoutBatch) -> Iterator[bytes]:
    """What is frozen of a batch, in pieces: one line for each transfer, in order. UTF-8, CRLF."""
    yield _written(HEADER)
    orders = orders_of(batch)
    while some := list(islice(orders, AT_ONCE)):
        yield b"".join(map(line, some))


def freeze(batch: PayoutBatch) -> str:
    """Keep what the director agrees to; the hash that it is frozen by."""
    return payout_part.freeze_whole(batch, chunks(batch), MEDIA_TYPE)


def line(order: Order) -> bytes:
    """A transfer as it was agreed to."""
    return _written((order.out_biz_no, yuan(order.fen), order.account, order.name, order.title))


def orders_of(batch: PayoutBatch) -> Iterator[Order]:
    """The batch's transfers, in order."""
    period = get(Distribution, batch.distribution_id).period
    for item in payout_item.in_order(batch.id):
        yield Order(item.id, number_of(batch, item.sequence), item.fen, item.bank_account, item.payee_name, f"{period} 联农收益")


def start(batch: PayoutBatch) -> None:
    """Have the job send what was approved. Conflict ``payout.altered`` unless the items still are what the frozen paper says."""
    must_be_open(batch.organisation_id)
    orders = list(orders_of(batch))
    if _written(HEADER) + b"".join(map(line, orders)) != _frozen(batch):
        raise _altered()
    transfer.order(KIND, batch.id, batch.organisation_id, orders)


def go_on(batch: PayoutBatch) -> int:
    """A batch that stopped goes on; how many transfers are not at their end."""
    batch.stopped_at, batch.stopped_code, batch.stopped_item_id = None, "", None
    db.session.flush()
    return transfer.go_on(KIND, batch.id)


class _Payouts:
    """What a household's payout does with its transfer. The batch is held first: its items change one at a time."""

    def must_be_agreed(self, row: Transfer) -> None:
        order = Order(row.payable_id, row.out_biz_no, row.fen, row.payee_account, row.payee_name, row.title)
        if b"\r\n" + line(order) not in _frozen(get(PayoutBatch, row.bundle_id)):
            raise _altered()

    def is_stopped(self, row: Transfer) -> bool:
        # The one that met the short balance tries on: when it passes, the others follow.
        batch = get(PayoutBatch, row.bundle_id)
        return batch.stopped_at is not None and batch.stopped_item_id != row.payable_id

    def short(self, row: Transfer, code: str) -> None:
        batch = locked(PayoutBatch, row.bundle_id)
        if batch.stopped_at is None:
            batch.stopped_at, batch.stopped_code, batch.stopped_item_id = clock.now(), code, row.payable_id
            audit.record("payout.stopped", batch, code=code)
            db.session.flush()

    def unsure(self, row: Transfer) -> None:
        item = self._item(row)
        if item.state == "sent":
            item.state, item.unknown_since = "unknown", clock.now()
            db.session.flush()

    def paid(self, row: Transfer) -> None:
        batch = locked(PayoutBatch, row.bundle_id)
        item = self._item(row)
        share_event.payout_debited(book=item.organisation_id, source=Source("payout_item", item.id), fen=item.fen, channel="alipay", at=row.succeeded_at)
        item.state, item.reason, item.paid_at, item.unknown_since = "paid", "", row.succeeded_at, None
        self._ended(batch, row)

    def refused(self, row: Transfer) -> None:
        batch = locked(PayoutBatch, row.bundle_id)
        item = self._item(row)
        share_event.payout_refused_by(book=item.organisation_id, source=Source("payout_item", item.id), households=_household(item))
        item.state, item.reason, item.unknown_since = "returned", reason_of(row.sub_code), None
        self._ended(batch, row)

    def came_back(self, row: Transfer) -> None:
        batch = locked(PayoutBatch, row.bundle_id)
        item = self._item(row)
        share_event.payout_returned_by(book=item.organisation_id, source=Source("payout_item", item.id), households=_household(item), channel="alipay")
        item.state, item.reason, item.paid_at = "returned", reason_of(row.sub_code or "REFUND"), None
        db.session.flush()
        payout_twice.one_came_back(batch, {item.sequence})
        self._ended(batch, row)

    def _item(self, row: Transfer) -> PayoutItem:
        return locked(PayoutItem, row.payable_id)

    def _ended(self, batch: PayoutBatch, row: Transfer) -> None:
        db.session.flush()
        payout_import.finish(batch)
        if batch.stopped_at is not None and batch.stopped_item_id == row.payable_id:
            go_on(batch)
        db.session.flush()


def _frozen(batch: PayoutBatch) -> bytes:
    """What was approved, held against its hash."""
    ((_part, path),) = payout_part.frozen(batch)
    return path.read_bytes()


def _household(item: PayoutItem) -> Select[int, int]:
    return select(PayoutItem.household_id, PayoutItem.fen).where(PayoutItem.id == item.id)


def _written(cells: tuple[str, ...]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerow(cells)
    return out.getvalue().encode()


def _altered() -> Conflict:
    return Conflict("payout.altered", N_("代发文件和审批时的不一样，已停止。请联系运营方。"))


transfer.handlers[KIND] = _Payouts()
