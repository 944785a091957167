"""The words of payouts: what a way, and a state of a batch or of an item, is called on a page."""

from marketplace.foundation.language import gettext as _
from marketplace.settlement.payout_item import PayoutBatch, PayoutItem


def channel_words() -> dict[str, str]:
    """What the ways of a payout are called."""
    return {"bank": _("银行"), "alipay": _("支付宝")}


def state_words() -> dict[str, dict[str, str]]:
    """What the state of a batch is called, by its channel."""
    words = {"DRAFT": _("等审批"), "APPROVED": _("等交银行"), "SENT": _("银行办理中"), "DONE": _("办完"), "CANCELLED": _("已作废")}
    return {"bank": words, "alipay": words | {"APPROVED": _("等开始转账"), "SENT": _("支付宝办理中")}}


def item_words() -> dict[str, dict[str, str]]:
    """What the state of an item is called, by the channel of its batch."""
    words = {
        "draft": _("待审批"), "approved": _("待交银行"), "sent": _("银行办理中"), "unknown": _("还没有结果"), "paid": _("已到账"),
        "returned": _("被退回，等补发"), "reissued": _("被退回，已补发"),
    }  # fmt: skip
    return {"bank": words, "alipay": words | {"approved": _("待转账"), "sent": _("支付宝办理中"), "unknown": _("结果不明，在查")}}


def item_word(item: PayoutItem, batch: PayoutBatch) -> str:
    """How one payment stands. Of a cancelled batch none waits for the bank, and what came back is not always issued again."""
    if batch.state == "CANCELLED":
        return _("已作废")
    if item.state == "reissued" and item.moved:
        return _("被退回，不再补发")
    if item.state == "reissued" and item.debited is None and not item.reason and batch.channel == "bank":
        return _("作废，另发")
    return item_words()[batch.channel][item.state]


def word_words() -> dict[str, str]:
    """What somebody may have found out of a payment over the bank."""
    return {"paid": _("已到账"), "returned": _("扣了款，又退回来了"), "refused": _("没有付，没扣过款")}


def ending_words() -> dict[str, str]:
    """How somebody may have found a transfer over Alipay to have ended."""
    return {"PAID": _("支付宝账单上有，已经付给这一户"), "UNPAID": _("支付宝那边没有这一笔，没有付")}
