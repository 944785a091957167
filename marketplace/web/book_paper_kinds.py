"""The papers of money, kind by kind: what of each is listed, by which states it is filtered, and under which kind of source it was posted.

What a cooperative's people see and work on their own pages, an auditor reads here for all of them: who said what of it, when, and who agreed.
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, String, cast, func
from sqlalchemy.orm import aliased

from marketplace.foundation.language import N_
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import text as text_of
from marketplace.households.account_proposal import AccountProposal
from marketplace.households.household import Household
from marketplace.orders.invoice import Invoice
from marketplace.orders.order import Order
from marketplace.organisations.organisation import Organisation
from marketplace.payments.bank_refund import BankRefund
from marketplace.payments.bank_rows import number_of
from marketplace.payments.bank_statement import BankMatch, BankReceipt, BankStatement
from marketplace.payments.bill_closure import BillClosure
from marketplace.payments.bill_difference import BillDifference
from marketplace.payments.channel_key import ChannelKey
from marketplace.payments.match_undo import MatchUndo
from marketplace.payments.payment import Payment
from marketplace.payments.receipt_return import ReceiptReturn
from marketplace.payments.refund import Refund
from marketplace.payments.refund_loss import RefundLoss
from marketplace.payments.refund_recall import RefundRecall
from marketplace.payments.refund_waiver import RefundWaiver
from marketplace.payments.row_decision import RowDecision
from marketplace.payments.row_undo import RowUndo
from marketplace.payments.statement_row import StatementRow
from marketplace.payments.transfer import Transfer
from marketplace.payments.transfer_ending import TransferEnding
from marketplace.payments.withdrawal import Withdrawal
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.procurement.late_interest import LateInterest
from marketplace.procurement.price_cut import PriceCut
from marketplace.settlement.payout_found import PayoutFound
from marketplace.settlement.payout_item import PayoutBatch, PayoutItem
from marketplace.settlement.payout_reversal import PayoutReversal
from marketplace.settlement.settlement import Settlement
from marketplace.web import channel_keys, payment_words, receipt_ways, reconciliation, withdrawals
from marketplace.web.book_paper import Column, Paper, by_state, decided, decided_words, listed, of_two, tail


def _receipt_words() -> dict[str, str]:
    return {"imported": _("等着核销"), "partial": _("核销了一部分"), "matched": _("已核销"), "returned": _("已退回"), "unrelated": _("不是货款")}


def _receipt_states() -> dict[str, tuple[str, ColumnElement[bool]]]:
    return {"open": (_("还有剩余的"), BankReceipt.state.in_(("imported", "partial"))), **by_state(BankReceipt.state, _receipt_words())}


def _interest_words() -> dict[str, str]:
    return {"CLAIMED": _("等付"), "PAID": _("已付"), "WAIVED": _("免了")}


def _refund_reason(code: str) -> str:
    return _(payment_words.REFUND_REASONS[code]) if code in payment_words.REFUND_REASONS else code


def _invoice_words() -> dict[str, str]:
    return {"REQUESTED": _("等开票"), "ISSUED": _("已开"), "REFUSED": _("不能开"), "WITHDRAWN": _("撤回"), "REVERSED": _("已冲红")}


def _key_state(row: ChannelKey) -> str:
    return "CONFIRMED" if row.state == "ADDED" and row.confirmed_at is not None else row.state


def _key_states() -> dict[str, tuple[str, ColumnElement[bool]]]:
    found = by_state(ChannelKey.state, channel_keys.STATES)
    for name, checked in (("ADDED", ChannelKey.confirmed_at.is_(None)), ("CONFIRMED", ChannelKey.confirmed_at.is_not(None))):
        found[name] = (found[name][0], (ChannelKey.state == "ADDED") & checked)
    return found


_unit = aliased(Organisation)
# Orders behind what a unit owes: an order is named by its unit's reference.
_BY_UNIT = (DirectedOrder.reference, _unit)


def _of_unit(model: Any, **people: Any) -> Select[*tuple[Any, ...]]:
    query = listed(model, *_BY_UNIT, **people)
    return query.join(Order, Order.id == model.order_id).join(DirectedOrder, DirectedOrder.order_id == Order.id).join(_unit, _unit.id == model.unit_id)


_PAYMENT = PayoutBatch.number + " · " + cast(PayoutItem.sequence, String)  # of a batch: by its number and its place
DONE = ("PROPOSED", "DONE", "RETURNED")
FEN, DAY, MOMENT = "fen", "day", "moment"
PAPERS: dict[str, Paper] = {
    "receipts": Paper(
        N_("到账"), N_("银行流水里收进来的每一笔会列在这里。"), BankReceipt, BankReceipt.received_on, lambda: listed(BankReceipt),
        (Column(N_("到账"), DAY), Column(N_("付款户名")), Column(N_("附言")), Column(N_("金额"), FEN), Column(N_("已核销"), FEN), Column(N_("同意退回"), FEN, shown=False),
         Column(N_("还没有着落"), FEN), Column(N_("状态")), Column(N_("流水号"), shown=False)),
        lambda row: (
            row[0].received_on, row[0].payer_name, row[0].remark, row[0].fen, row[0].matched_fen, row[0].returned_fen,
            0 if row[0].state == "unrelated" else row[0].left_fen, _receipt_words()[row[0].state], number_of(row[0].serial),
        ),
        _receipt_states, source="bank_receipt",
    ),
    "matches": Paper(
        N_("核销"), N_("到账核销到订单以后会列在这里。"), BankMatch, BankMatch.confirmed_at,
        lambda: (
            listed(BankMatch, BankReceipt, Payment.subject, maker=BankMatch.confirmed_by_id)
            .join(BankReceipt, BankReceipt.id == BankMatch.receipt_id)
            .join(Payment, Payment.id == BankMatch.payable_id)
        ),
        (Column(N_("核销"), MOMENT), Column(N_("付款户名")), Column(N_("单号")), Column(N_("金额"), FEN), Column(N_("谁核销的")), Column(N_("到账"), DAY, shown=False),
         Column(N_("撤销"), MOMENT)),
        lambda row: (row[0].confirmed_at, row[2].payer_name, row[3], row[0].fen, row[4], row[2].received_on, row[0].undone_at),
        lambda: {"standing": (_("有效"), BankMatch.undone_at.is_(None)), "undone": (_("已撤销"), BankMatch.undone_at.is_not(None))}, source="bank_match",
    ),
    "match-undos": Paper(
        N_("撤销核销"), N_("会计请求撤销核销、理事长答复以后会列在这里。"), MatchUndo, MatchUndo.asked_at,
        lambda: listed(MatchUndo, BankMatch.fen, maker=MatchUndo.asked_by_id, other=MatchUndo.decided_by_id).join(BankMatch, BankMatch.id == MatchUndo.match_id),
        (Column(N_("提出"), MOMENT), Column(N_("金额"), FEN), Column(N_("理由")), Column(N_("提出人")), Column(N_("状态")), Column(N_("决定人")),
         Column(N_("决定"), MOMENT, shown=False), Column(N_("答复"))),
        lambda row: (row[0].asked_at, row[2], row[0].reason, row[3], decided_words()[row[0].state], row[4], row[0].decided_at, row[0].answer),
        decided(MatchUndo.state, "OPEN", "APPROVED", "RETURNED"), source="match_undo",
    ),
    "returns": Paper(
        N_("退回付款人"), N_("多付、付晚、付错而退回的会列在这里。"), ReceiptReturn, ReceiptReturn.proposed_at,
        lambda: listed(ReceiptReturn, maker=ReceiptReturn.proposed_by_id, other=ReceiptReturn.decided_by_id),
        (Column(N_("提出"), MOMENT), Column(N_("编号")), Column(N_("收款户名")), Column(N_("账号尾号"), shown=False), Column(N_("金额"), FEN), Column(N_("理由")),
         Column(N_("提出人")), Column(N_("状态")), Column(N_("决定人")), Column(N_("转账"), DAY), Column(N_("银行流水号"), shown=False)),
        lambda row: (
            row[0].proposed_at, row[0].number, row[0].payee_name, tail(row[0].payee_account), row[0].fen, row[0].reason, row[2],
            decided_words()[row[0].state], row[3], row[0].paid_on, row[0].reference,
        ),
        decided(ReceiptReturn.state, "PROPOSED", "APPROVED", "PAID", "REFUSED", "WITHDRAWN"), source="receipt_return",
    ),
    "decisions": Paper(
        N_("流水说明"), N_("流水上号码说不清的一行，说明以后会列在这里。"), RowDecision, RowDecision.proposed_at,
        lambda: (
            listed(RowDecision, StatementRow, maker=RowDecision.proposed_by_id, other=RowDecision.decided_by_id)
            .join(StatementRow, StatementRow.id == RowDecision.row_id)
        ),
        (Column(N_("提出"), MOMENT), Column(N_("流水日期"), DAY, shown=False), Column(N_("对方")), Column(N_("金额"), FEN), Column(N_("说是什么")), Column(N_("理由")),
         Column(N_("提出人")), Column(N_("状态")), Column(N_("决定人")), Column(N_("撤销"), MOMENT, shown=False)),
        lambda row: (
            row[0].proposed_at, row[2].day, row[2].name, row[0].fen, receipt_ways.decision_words()[receipt_ways.word_of(row[0])], row[0].reason, row[3],
            decided_words()[row[0].state], row[4], row[0].undone_at,
        ),
        decided(RowDecision.state, "PROPOSED", "APPROVED", "REFUSED"), source="row_decision",
    ),
    "row-undos": of_two(
        N_("撤销说明"), N_("说错了的流水，请求撤销以后会列在这里。"), RowUndo, (N_("对方"), StatementRow.name), RowUndo.fen,
        lambda query: query.join(StatementRow, StatementRow.id == RowUndo.row_id), source="row_undo",
    ),
    "refunds": Paper(
        N_("退款"), N_("同意退给买家的每一笔会列在这里。"), Refund, Refund.approved_at,
        lambda: listed(Refund, Payment.out_trade_no, maker=Refund.approved_by_id).join(Payment, Payment.id == Refund.payment_id),
        (Column(N_("同意"), MOMENT), Column(N_("退款号")), Column(N_("付款单号"), shown=False), Column(N_("金额"), FEN), Column(N_("怎么退")), Column(N_("状态")),
         Column(N_("理由")), Column(N_("同意的人")), Column(N_("退到"), MOMENT)),
        lambda row: (
            row[0].approved_at, row[0].out_request_no, row[2], row[0].fen, _("在渠道那边退的") if row[0].elsewhere else _(payment_words.WAYS[row[0].way]),
            _(payment_words.REFUND_STATES[row[0].state][0]), _refund_reason(row[0].reason), row[3], row[0].succeeded_at,
        ),
        lambda: by_state(Refund.state, payment_words.REFUND_STATES), source="refund",
    ),
    "refund-transfers": Paper(
        N_("转账退款"), N_("渠道退不成、改由银行转账的会列在这里。"), BankRefund, BankRefund.proposed_at,
        lambda: (
            listed(BankRefund, Refund.out_request_no, Refund.fen, maker=BankRefund.proposed_by_id, other=BankRefund.approved_by_id)
            .outerjoin(Refund, Refund.id == func.coalesce(BankRefund.refund_id, BankRefund.replaces_id))
        ),
        (Column(N_("提出"), MOMENT), Column(N_("退款号")), Column(N_("金额"), FEN), Column(N_("账号尾号")), Column(N_("提出人")), Column(N_("状态")), Column(N_("决定人")),
         Column(N_("转账"), DAY), Column(N_("银行流水号"), shown=False)),
        lambda row: (
            row[0].proposed_at, row[2], row[3], tail(row[0].payee_account), row[4], decided_words()[row[0].state], row[5], row[0].paid_on, row[0].reference,
        ),
        decided(BankRefund.state, "PROPOSED", "APPROVED", "RETURNED", "PAID"),
    ),
    "refund-waivers": of_two(
        N_("不再退的"), N_("渠道退不成、两个人同意不再退的会列在这里。"), RefundWaiver, (N_("退款号"), Refund.out_request_no), Refund.fen,
        lambda query: query.join(Refund, Refund.id == RefundWaiver.refund_id),
    ),
    "refund-recalls": of_two(
        N_("不转的退款"), N_("同意转账、后来两个人同意不转的退款会列在这里。"), RefundRecall, (N_("退款号"), Refund.out_request_no), Refund.fen,
        lambda query: query.join(Refund, Refund.id == RefundRecall.refund_id),
    ),
    "refund-losses": of_two(
        N_("合作社承担的"), N_("多退了、两个人同意由合作社承担的会列在这里。"), RefundLoss, (N_("退款号"), Refund.out_request_no), RefundLoss.fen,
        lambda query: query.join(Refund, Refund.id == RefundLoss.refund_id), states=DONE, source="refund_loss",
    ),
    "payout-reversals": of_two(
        N_("代发的冲回"), N_("记为到账、其实没有付出或退回来的代发，两个人决定以后会列在这里。"), PayoutReversal, (N_("批号和序号"), _PAYMENT), PayoutReversal.fen,
        lambda query: query.join(PayoutItem, PayoutItem.id == PayoutReversal.item_id).join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id),
        says=lambda its: _("后来退回来了") if its.kind == "BACK" else _("其实没有付出"), states=DONE, source="payout_reversal",
    ),
    "payout-found": of_two(
        N_("代发的更正"), N_("记为没有付、银行其实付了的代发，两个人决定以后会列在这里。"), PayoutFound, (N_("批号和序号"), _PAYMENT), PayoutFound.fen,
        lambda query: query.join(PayoutItem, PayoutItem.id == PayoutFound.item_id).join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id),
        states=DONE, source="payout_found",
    ),
    "transfer-endings": of_two(
        N_("转账的结果"), N_("支付宝没有说清结果、由两个人决定的转账会列在这里。"), TransferEnding, (N_("转账号"), Transfer.out_biz_no), Transfer.fen,
        lambda query: query.join(Transfer, Transfer.id == TransferEnding.transfer_id),
        says=lambda its: _("已经付出") if its.outcome == "PAID" else _("没有付出"), states=DONE,
    ),
    "settlements": Paper(
        N_("订单分账"), N_("订单到期分账以后会列在这里。"), Settlement, Settlement.settled_at, lambda: listed(Settlement),
        (Column(N_("结算"), MOMENT), Column(N_("月份"), shown=False), Column(N_("货款"), FEN), Column(N_("运费"), FEN), Column(N_("合作社的份额"), FEN), Column(N_("农户"), FEN),
         Column(N_("村集体"), FEN), Column(N_("防贫基金"), FEN)),
        lambda row: (
            row[0].settled_at, row[0].period, row[0].base_fen, row[0].freight_fen, row[0].cooperative_fen, row[0].pool_fen, row[0].village_fen, row[0].fund_fen,
        ),
        dict, source="settlement",
    ),
    "statements": Paper(
        N_("导入的流水"), N_("导入过的银行流水会列在这里。"), BankStatement, BankStatement.taken_at,
        lambda: listed(BankStatement, maker=BankStatement.imported_by_id, other=BankStatement.confirmed_by_id).where(BankStatement.taken_at.is_not(None)),
        (Column(N_("导入"), MOMENT), Column(N_("谁导入的")), Column(N_("从"), DAY), Column(N_("到"), DAY), Column(N_("行数"), "whole"), Column(N_("新的"), "whole", shown=False),
         Column(N_("期初余额"), FEN, shown=False), Column(N_("期末余额"), FEN), Column(N_("在网银里核对过"), MOMENT), Column(N_("谁核对的")), Column("SHA-256", shown=False)),
        lambda row: (
            row[0].taken_at, row[2], row[0].first_day, row[0].last_day, row[0].rows, row[0].new_rows, row[0].opening_fen, row[0].closing_fen,
            row[0].confirmed_at, row[3], row[0].sha256,
        ),
        dict,
    ),
    "rows": Paper(
        N_("流水的每一行"), N_("银行流水和支付宝账务明细的每一行会列在这里。"), StatementRow, StatementRow.day, lambda: listed(StatementRow),
        (Column(N_("日期"), DAY), Column(N_("账户")), Column(N_("事项"), shown=False), Column(N_("对方")), Column(N_("摘要")), Column(N_("金额"), FEN), Column(N_("余额"), FEN),
         Column(N_("号码"))),
        lambda row: (
            row[0].day, reconciliation.side_words()[row[0].side], reconciliation.row_words(row[0].kind), row[0].name, row[0].remark, row[0].fen,
            row[0].balance_fen, row[0].number or number_of(row[0].serial),
        ),
        lambda: {side: (words, StatementRow.side == side) for side, words in reconciliation.side_words().items()},
    ),
    "withdrawals": Paper(
        N_("支付宝提现"), N_("从支付宝提到银行的会列在这里。"), Withdrawal, Withdrawal.ordered_on,
        lambda: listed(Withdrawal, maker=Withdrawal.recorded_by_id, other=Withdrawal.closed_by_id),
        (Column(N_("日期"), DAY), Column(N_("编号")), Column(N_("支付宝单号")), Column(N_("金额"), FEN), Column(N_("谁记的")), Column(N_("状态")), Column(N_("理由")),
         Column(N_("谁记为没提成"), shown=False)),
        lambda row: (row[0].ordered_on, row[0].number, row[0].serial, row[0].fen, row[2], withdrawals.state_words()[row[0].state][0], row[0].reason, row[3]),
        lambda: by_state(Withdrawal.state, withdrawals.state_words()),
    ),
    "bill-differences": Paper(
        N_("账单差异"), N_("账和支付宝交易账单不一样的会列在这里。"), BillDifference, BillDifference.found_at,
        lambda: listed(BillDifference, maker=BillDifference.owner_id, other=BillDifference.explained_by_id),
        (Column(N_("发现"), MOMENT), Column(N_("订单号")), Column(N_("差在哪里")), Column(N_("我们账上"), FEN), Column(N_("账单上"), FEN), Column(N_("谁在办")),
         Column(N_("说明")), Column(N_("谁说明的")), Column(N_("说明时间"), MOMENT, shown=False)),
        lambda row: (
            row[0].found_at, row[0].out_trade_no, _(payment_words.DIFFERENCES[row[0].kind]), row[0].ours_fen, row[0].theirs_fen, row[2], row[0].explanation, row[3],
            row[0].explained_at,
        ),
        lambda: {"open": (_("要说明的"), BillDifference.explained_at.is_(None)), "explained": (_("已说明"), BillDifference.explained_at.is_not(None))},
    ),
    "bill-closures": Paper(
        N_("不再等的账单"), N_("取不到、两个人同意不再等的支付宝账单会列在这里。"), BillClosure, BillClosure.proposed_at,
        lambda: listed(BillClosure, maker=BillClosure.proposed_by_id, other=BillClosure.decided_by_id),
        (Column(N_("提出"), MOMENT), Column(N_("从"), DAY), Column(N_("到"), DAY), Column(N_("天数"), "whole"), Column(N_("理由")), Column(N_("提出人")), Column(N_("状态")),
         Column(N_("决定人")), Column(N_("答复"), shown=False)),
        lambda row: (
            row[0].proposed_at, row[0].first_day, row[0].last_day, row[0].closed, row[0].reason, row[2], decided_words()[row[0].state], row[3], row[0].answer,
        ),
        decided(BillClosure.state, "PROPOSED", "APPROVED", "RETURNED"),
    ),
    "cuts": Paper(
        N_("减价"), N_("单位验收后申请减价的会列在这里。"), PriceCut, PriceCut.asked_at,
        lambda: _of_unit(PriceCut, maker=PriceCut.asked_by_id, other=PriceCut.decided_by_id),
        (Column(N_("申请"), MOMENT), Column(N_("单位")), Column(N_("单号")), Column(N_("金额"), FEN), Column(N_("理由")), Column(N_("提出人")), Column(N_("状态")),
         Column(N_("决定人")), Column(N_("答复"), shown=False)),
        lambda row: (row[0].asked_at, text_of(row[3], "name"), row[2], row[0].fen, row[0].reason, row[4], decided_words()[row[0].state], row[5], row[0].answer),
        decided(PriceCut.state, "OPEN", "APPROVED", "RETURNED"), source="price_cut",
    ),
    "interest": Paper(
        N_("逾期利息"), N_("向单位计收的逾期利息会列在这里。"), LateInterest, LateInterest.claimed_at,
        lambda: _of_unit(LateInterest, maker=LateInterest.claimed_by_id),
        (Column(N_("计收"), MOMENT), Column(N_("单位")), Column(N_("单号")), Column(N_("从"), DAY, shown=False), Column(N_("到"), DAY), Column(N_("金额"), FEN),
         Column(N_("已付"), FEN), Column(N_("免收"), FEN), Column(N_("谁计收的")), Column(N_("状态")), Column(N_("为什么免"), shown=False)),
        lambda row: (
            row[0].claimed_at, text_of(row[3], "name"), row[2], row[0].from_on, row[0].through_on, row[0].fen, row[0].paid_fen, row[0].waived_fen, row[4],
            _interest_words()[row[0].state], row[0].waived_reason,
        ),
        lambda: by_state(LateInterest.state, _interest_words()), source="late_interest",
    ),
    "invoices": Paper(
        N_("发票"), N_("买家申请的发票会列在这里。"), Invoice, Invoice.requested_at, lambda: listed(Invoice, maker=Invoice.requested_by_id, other=Invoice.issued_by_id),
        (Column(N_("申请"), MOMENT), Column(N_("发票种类")), Column(N_("含税金额"), FEN), Column(N_("已冲红"), FEN), Column(N_("状态")), Column(N_("发票号码")),
         Column(N_("开票日期"), DAY), Column(N_("申请人"), shown=False), Column(N_("开票人"))),
        lambda row: (
            row[0].requested_at, _("专用发票") if row[0].kind == "VAT_SPECIAL" else _("普通发票"), row[0].fen, row[0].red_fen, _invoice_words()[row[0].state],
            row[0].number, row[0].issued_on, row[2], row[3],
        ),
        lambda: by_state(Invoice.state, _invoice_words()),
    ),
    "account-changes": Paper(
        N_("农户账户的修改"), N_("农户的收款账户改过以后会列在这里。"), AccountProposal, AccountProposal.proposed_at,
        lambda: (
            listed(AccountProposal, Household.code, maker=AccountProposal.proposed_by_id, other=AccountProposal.decided_by_id)
            .join(Household, Household.id == AccountProposal.household_id)
        ),
        (Column(N_("提出"), MOMENT), Column(N_("户")), Column(N_("账户")), Column(N_("原账号尾号")), Column(N_("新账号尾号")), Column(N_("理由")), Column(N_("提出人")),
         Column(N_("状态")), Column(N_("决定人"))),
        lambda row: (
            row[0].proposed_at, row[2], _("支付宝") if row[0].kind == "alipay" else _("银行"), tail(row[0].account_before), row[0].last4, row[0].reason, row[3],
            decided_words()[row[0].state], row[4],
        ),
        decided(AccountProposal.state, "PROPOSED", "APPROVED", "RETURNED"),
    ),
    "keys": Paper(
        N_("收款密钥的更换"), N_("收款的账户和密钥加过、换过以后会列在这里。"), ChannelKey, ChannelKey.added_at,
        lambda: listed(ChannelKey, maker=ChannelKey.added_by_id, other=ChannelKey.switched_by_id),
        (Column(N_("加入"), MOMENT), Column(N_("渠道")), Column(N_("收款账户")), Column(N_("指纹"), shown=False), Column(N_("状态")), Column(N_("谁加的")), Column(N_("谁换上的")),
         Column(N_("换上"), MOMENT, shown=False), Column(N_("作废"), MOMENT, shown=False), Column(N_("证书到期"), MOMENT, shown=False)),
        lambda row: (
            row[0].added_at, "Stripe" if row[0].channel == "stripe" else _("支付宝"), row[0].account, row[0].fingerprint, _(channel_keys.STATES[_key_state(row[0])][0]),
            row[2], row[3], row[0].switched_at, row[0].retired_at, row[0].expires_at,
        ),
        _key_states,
    ),
}  # fmt: skip
