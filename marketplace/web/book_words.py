"""The words of the books: what accounts and entries are called in a village accountant's language."""

from marketplace.foundation.language import gettext as _


def class_words() -> dict[str, str]:
    return {"asset": _("资产"), "liability": _("负债"), "income": _("收入"), "expense": _("费用"), "equity": _("权益")}


def kind_words() -> dict[str, str]:
    """Each kind of account."""
    return {
        "alipay": _("支付宝"), "stripe": "Stripe", "bank": _("银行存款"), "receivable": _("应收货款"), "pool_recoverable": _("待收回的收益池款"),
        "village_recoverable": _("待收回的村集体款"), "fund_recoverable": _("待收回的基金款"),
        "unapplied": _("待核对收款"), "buyer_funds": _("买方货款"), "accepted_unpaid": _("已验收未付"), "refunds_payable": _("待退款"),
        "household_pool": _("户收益池"), "household": _("应付农户"), "in_transit": _("代发在途"), "village_collective": _("应付村集体"),
        "relief_fund": _("防贫基金"), "revenue": _("合作社收入"), "freight": _("运费"), "interest": _("利息"), "fees": _("手续费"), "outside": _("账外往来"),
    }  # fmt: skip


def entry_words(kind: str) -> str:
    """What an entry of this kind is; an unknown one by its code."""
    return {
        "alipay_paid": _("支付宝收款"), "alipay_unapplied": _("支付宝多收或晚收"), "stripe_paid": _("银行卡收款"), "stripe_unapplied": _("银行卡多收或晚收"), "bank_received": _("银行到账"), "matched_prepaid": _("到账核对到订单"),
        "accepted_on_credit": _("验收挂账"), "matched_receivable": _("到账抵应收"), "matched_divided": _("到账抵应收（分过账的）"), "divided_unpaid": _("分账后撤销核销"), "receivable_cut": _("减应收"), "settled": _("订单分账"),
        "refund_approved": _("退款批准"), "refund_after_settlement": _("分账后退款"), "unapplied_refund_approved": _("多收款退回"),
        "refund_succeeded": _("退款到账"), "recovered": _("从收益池收回"), "recovery_undone": _("收回的收益池款退还"),
        "collective_recovered": _("从村集体份额收回"), "collective_recovery_undone": _("收回的村集体款退还"), "fund_recovered": _("从基金份额收回"),
        "fund_recovery_undone": _("收回的基金款退还"), "fee": _("手续费"), "fee_reversed": _("手续费退回"), "withdrawn": _("提现到银行"),
        "interest_due": _("应收利息"), "interest_paid": _("收到利息"), "interest_waived": _("免收余下的利息"), "distributed": _("收益分配"), "payout_sent": _("代发送出"), "payout_debited": _("代发扣款"),
        "payout_refused": _("代发被拒"), "unclaimed_to_fund": _("无人领取转入基金"), "unclaimed_back": _("从基金退还农户"),
        "credit_divided": _("分户转款"), "credit_inherited": _("继承转款"), "payout_returned": _("代发退票"), "payout_unmade": _("代发冲回"), "payout_found": _("代发更正"), "payout_found_back": _("多付退回"), "refund_lost": _("多退的由合作社承担"), "collective_paid": _("付村集体"), "fund_remitted": _("拨付防贫基金"),
        "fund_received": _("收到防贫基金"), "fund_given_back": _("防贫基金退回"), "fund_sent_back": _("退给合作社"), "revenue_taken_out": _("合作社提款"), "unrelated_row": _("无关流水"), "reversed": _("冲回"),
    }.get(kind, kind)  # fmt: skip
