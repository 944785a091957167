"""The words of payments: what a code of a state, a step of the story, a trouble or a kind of account is called on a page."""

from marketplace.foundation.language import N_
from marketplace.reporting.money_alarm import LABELS

STATES: dict[str, tuple[str, str]] = {  # (words, kind of tag)
    "created": (N_("等付款"), "wait"),
    "requires_action": (N_("等付款"), "wait"),
    "processing": (N_("在查结果"), "wait"),
    "succeeded": (N_("已到账"), ""),
    "canceled": (N_("没有付"), "still"),
    "late_paid": (N_("付晚或付重，已退"), "still"),
}
REFUND_STATES: dict[str, tuple[str, str]] = {
    "requested": (N_("等同意"), "wait"),
    "approved": (N_("等退出去"), "wait"),
    "submitting": (N_("正在退"), "wait"),
    "unknown": (N_("在查结果"), "wait"),
    "succeeded": (N_("已退"), ""),
    "failed": (N_("渠道没有退成"), "bad"),
}
# Why a refund was made, where no person wrote it down.
REFUND_REASONS = {
    "SHORTAGE": N_("验收短缺"), "return": N_("退货"), "returned": N_("退货"), "buyer": N_("买家取消"), "cancelled": N_("取消"), "expired": N_("过期没付清"),
    "late or double payment": N_("付晚或付重"), "made at the channel": N_("在渠道那边退的"),
}  # fmt: skip
WAYS = {"alipay": N_("支付宝原路退回"), "stripe": N_("银行卡原路退回"), "bank": N_("银行转账退回")}
STEPS: dict[str, str] = {
    "opened": N_("开了一次付款"),
    "canceled": N_("这次付款作废"),
    "received": N_("银行到账"),
    "matched": N_("核销到这张单"),
    "undo_asked": N_("请求撤销核销"),
    "undo_done": N_("同意撤销，核销作废"),
    "undo_refused": N_("没有同意撤销，核销照旧"),
    "refund_approved": N_("同意退款"),
    "refund_failed": N_("渠道拒绝退款"),
    "refund_recalled": N_("两个人同意不转了"),
    "refund_succeeded": N_("退款到账"),
    "refund_left": N_("渠道又拿走了一次，账上没有钱可扣"),
    "repaid": N_("买家把多退的转回来了"),
    "call_query": N_("问支付宝付了没有"),
    "call_close": N_("请支付宝关掉这笔交易"),
    "call_qr_code": N_("请支付宝出收款码"),
    "call_merge": N_("请支付宝合并付款"),
    "call_checkout": N_("请 Stripe 开付款页"),
    "call_fee": N_("问 Stripe 收了多少手续费"),
    "call_event": N_("通知不算数，先问 Stripe 是不是这样"),
    "call_refund": N_("请支付宝退款"),
    "call_refund_query": N_("问支付宝退了没有"),
    "call_transfer": N_("请支付宝转账"),
    "call_transfer_query": N_("问支付宝转成了没有"),
    "payout_made": N_("放进代发批次"),
    "payout_approved": N_("理事长同意，内容冻结"),
    "payout_sent": N_("批次送出"),
    "payout_billed": N_("支付宝账单上的一行"),
    "payout_unknown": N_("银行还没有结果"),
    "payout_paid": N_("已到账"),
    "payout_back": N_("被退回"),
    "word_paid": N_("已到账"),
    "word_returned": N_("扣了款，又退回来了"),
    "word_refused": N_("没有付，没扣过款"),
    "reversal_proposed": N_("说没有付出"),
    "reversal_done": N_("核对过，已冲回"),
    "back_proposed": N_("说到账以后又退回来了"),
    "back_done": N_("核对过，记为退回"),
    "back_returned": N_("没有退回，仍记为到账"),
    "found_proposed": N_("说银行付了"),
    "found_done": N_("核对过，记为到账"),
    "found_returned": N_("退回：确实没有付"),
    "twice_ended": N_("多付的了结了"),
    "reversal_returned": N_("退回：确实付了"),
    "ending_paid": N_("说支付宝已经付出"),
    "ending_unpaid": N_("说支付宝没有付"),
    "ending_done": N_("核对过，照此记下"),
    "ending_returned": N_("退回，还是结果不明"),
    "ending_told": N_("支付宝自己给了结果"),
    "notice": N_("支付宝发来通知"),
    "billed_trade": N_("账单上的收款"),
    "billed_refund": N_("账单上的退款"),
    "entry": N_("记账"),
}
# What the same steps are called of a payment by card.
BY_CARD = {
    "call_query": N_("问 Stripe 付了没有"), "call_close": N_("请 Stripe 关掉付款页"), "call_refund": N_("请 Stripe 退款"),
    "call_refund_query": N_("问 Stripe 退了没有"), "notice": N_("Stripe 发来通知"),
}  # fmt: skip
OUTCOMES = {"succeeded": N_("办成了"), "another": N_("这个单号有一笔，不能断定是这一笔"), "refused": N_("没有办"), "unknown": N_("没有明确的结果，会再问"), None: N_("还没有回答")}
# What of a notice does not fit, by the field that was compared.
UNFIT = {
    "amount_fen": N_("金额和我们的付款不一样"), "seller_id": N_("收款方不是这家合作社"), "app_id": N_("不是我们的应用"),
    "out_trade_no": N_("没有这个单号的付款"), "unknown": N_("没有这个单号的付款"), "trade_no": N_("支付宝的交易号和以前的不一样"),
    "out_request_no": N_("没有这个单号的退款"), "fen": N_("退款金额不一样"), "channel": N_("不是这个渠道的付款"), "missing": N_("通知缺了金额或单号"),
    "absent": N_("Stripe 说没有这一笔：通知可能是别人冒充的，请换掉通知密钥"), "elsewhere": N_("通知说的不是这笔付款：可能是别人冒充的，请换掉通知密钥"),
    "not_so": N_("问了 Stripe，不是通知说的那样：可能是别人冒充的，请换掉通知密钥"),
}  # fmt: skip
BILLS = {"trade": N_("交易账单"), "account": N_("账务明细")}
# Why a bill did not come the last time it was asked for.
UNFETCHED = {
    "bill.absent": N_("支付宝说这一天没有账单"), "channel.unknown": N_("支付宝没有给出来"), "channel.stopped": N_("支付宝不接受我们的密钥或权限"),
    "alipay.unconfigured": N_("支付宝的密钥没有配置好"), "alipay.bad_bill": N_("账单的内容不能采用"), "bill.changed": N_("和以前导入的不一样"),
}  # fmt: skip
# Why the lists of a card account were not to be had the last time.
UNLOOKED = {
    "channel.unknown": N_("Stripe 没有给出来"), "stripe.unknown": N_("Stripe 没有给出来"), "channel.stopped": N_("Stripe 不接受这家合作社的密钥或权限，请它的理事长换一套"),
    "channel.lacks": N_("密钥没有读这些的权限，请它的理事长在 Stripe 后台补上"),
}  # fmt: skip
# What Stripe says of a key that is in use.
WRONG_KEY = {"key.other_account": N_("是另一个账户的"), "key.unread": N_("Stripe 不认，或不让它查自己的账户")}
HEARD = {
    "applied": N_("记作到账"),
    "unapplied": N_("付晚或付重，退回"),
    "repeated": N_("已经知道"),
    "closed": N_("没有付，作废"),
    "pending": N_("还在等付款"),
    "refunded": N_("我们的退款退到了"),
    "refunded_elsewhere": N_("在渠道那边退过，已补记"),
    "asking": N_("正在问 Stripe 是不是这样"),
    "disputed": N_("买家向发卡银行追款"),
    "lost": N_("追款追走了，已补记"),
}
ACCOUNTS = {
    "alipay": N_("支付宝余额"), "stripe": N_("Stripe 余额"), "bank": N_("银行存款"), "unapplied": N_("待核销"), "buyer_funds": N_("买家货款"), "refunds_payable": N_("应退款"),
    "revenue": N_("合作社收入"), "freight": N_("运费"), "household_pool": N_("农户收益池"), "pool_recoverable": N_("待从收益池收回"),
    "village_recoverable": N_("待从村集体份额收回"), "fund_recoverable": N_("待从基金份额收回"),
    "village_collective": N_("村集体"), "relief_fund": N_("防贫基金"), "fees": N_("手续费"), "household": N_("农户"), "in_transit": N_("在途"),
    "receivable": N_("应收货款"), "accepted_unpaid": N_("已验收未付"), "interest": N_("利息"), "outside": N_("账外往来"),
}  # fmt: skip
TROUBLES: dict[str, tuple[str, str, str]] = {  # (label, what it means, what it says when there is none)
    "alarm": (LABELS["alarm"], N_("密钥、证书或权限不对。钱没有动，改好以后自动接着办。"), N_("配置正常。")),
    "unknown_payments": (LABELS["unknown_payments"], N_("过了付款时间，渠道还没有说清付了没有。系统会一直问。"), N_("每一笔付款都有结果。")),
    "unknown_refunds": (LABELS["unknown_refunds"], N_("退款请求发出去了，没有收到明确的回答。用同一个号再问再发，不会退两次。"), N_("每一笔退款都有结果。")),
    "unknown_transfers": (
        LABELS["unknown_transfers"], N_("代发的转账发出去了，没有收到明确的回答，或支付宝还在办。用同一个号再问，不会付两次。"), N_("每一笔转账都有结果。"),
    ),
    "stopped_payouts": (
        LABELS["stopped_payouts"], N_("支付宝余额不够，或超过了限额，整批停下来等。补足以后，会计点“接着转”；没有转的钱还记在途中。"), N_("没有停下来的代发。"),
    ),
    "refused_refunds": (LABELS["refused_refunds"], N_("要合作社重发，或改走银行。"), N_("没有被拒绝的退款。")),
    "lost_refunds": (
        LABELS["lost_refunds"], N_("同一笔钱退了两次，或退了以后又被发卡银行追走：多退的一份没有从订单的钱里扣，账比渠道多。请合作社向买家追回，或由两个人定为合作社承担。"), N_("没有多退的款。"),
    ),
    "refunds_to_transfer": (LABELS["refunds_to_transfer"], N_("合作社会计在网银转账，再记下流水号。"), N_("没有要转账的退款。")),
    "refunds_waiting": (LABELS["refunds_waiting"], N_("已经同意，正在排队交给渠道，通常几分钟。"), N_("没有排队的退款。")),
    "receipts": (LABELS["receipts"], N_("银行到账了，还不知道付的是哪一单。"), N_("银行到账都对上了。")),
    "bills": (LABELS["bills"], N_("这些天的支付宝账单还没有取到，账只能对到前一天。系统会一直取；支付宝那边好了，可以让它马上取。再也取不到的，由合作社两个人在“对账”里写明。"), N_("每一天的账单都在。")),
    "bill_closures": (LABELS["bill_closures"], N_("合作社说这些天的支付宝账单再也取不到，等它的理事长同意。同意以后，账上那几天的进出会列成差异。"), N_("没有等同意的。")),
    "differences": (LABELS["differences"], N_("账上和账单不一样，要合作社说明。"), N_("账和账单一致。")),
    "reconciliation": (LABELS["reconciliation"], N_("账上余额和银行流水、支付宝账单对不上的项，要合作社说明。超过一天没有说明的，当天就要问。"), N_("账和流水、账单对得上。")),
    "statements": (LABELS["statements"], N_("银行账户动了一个星期，还没有导入过新的流水，或从来没有导入过：账和银行没有对过。"), N_("银行流水都跟上了。")),
    "unproven_statements": (
        LABELS["unproven_statements"], N_("文件里没有余额，少了一行、多了一行都看不出来。要合作社的理事长（不是导入的那位）对着网银核对，在“导入过的流水”里记下。"),
        N_("没有余额的流水都有人核对过。"),
    ),
    "returns_to_transfer": (LABELS["returns_to_transfer"], N_("多付、付晚的钱，等理事长同意，或等会计转账。"), N_("没有要退回付款人的钱。")),
    "withdrawals": (LABELS["withdrawals"], N_("从支付宝提现超过三天，银行流水上还没有。"), N_("提现都到账了。")),
    "unknown_payouts": (LABELS["unknown_payouts"], N_("银行说在处理、可疑，或支付宝没有说清。钱在途中；再一份回盘、银行流水，或会计问清楚以后记下。"), N_("每一笔代发都有结果。")),
    "unanswered_payouts": (LABELS["unanswered_payouts"], N_("文件交给银行两天了，还有没结果的。要合作社向银行要回盘。"), N_("交出去的代发都有回盘。")),
    "payout_reversals": (LABELS["payout_reversals"], N_("记为到账、其实没有付出，或核对过又退回来的，等合作社的另一个人核对。"), N_("没有等核对的冲回。")),
    "transfer_endings": (
        LABELS["transfer_endings"], N_("支付宝前后说法不一的转账，有人查过、提出了结果，等合作社的理事长核对。"), N_("没有等核对的转账结果。"),
    ),
    "payouts_found": (LABELS["payouts_found"], N_("记为退回或没付、银行其实付了的，等合作社的另一个人核对。"), N_("没有等核对的更正。")),
    "paid_twice": (LABELS["paid_twice"], N_("同一户同一笔钱付了两次，多付的由合作社承担，不向农户追。要写明怎么了结的。"), N_("没有付了两次的。")),
    "notices": (LABELS["notices"], N_("签名是真的，内容和我们的付款对不上，没有入账。"), N_("没有对不上的通知。")),
    "disputes": (LABELS["disputes"], N_("买家请发卡银行把钱追回，Stripe 已经先扣下。请合作社在 Stripe 后台的期限内交凭证。"), N_("没有追款。")),
    "looks": (
        LABELS["looks"], N_("每天要查一遍 Stripe 上的退款和追款，看有没有漏掉的通知；这几个账户试了五次还没有查成，在 Stripe 后台退的款可能还没有记上。系统会一直试。"),
        N_("Stripe 上的退款和追款每天都查过。"),
    ),
    "events": (LABELS["events"], N_("Stripe 发来了通知，正在问它是不是真的这样，问到以前什么都不记。系统会一直问。"), N_("Stripe 的通知都问到了。")),
    "match_undos": (LABELS["match_undos"], N_("会计说核销错了，等合作社的理事长同意。同意或退回以前，那张订单先不分账。"), N_("没有等同意的撤销。")),
    "row_undos": (LABELS["row_undos"], N_("会计说流水的一行说明错了，等合作社的理事长同意。"), N_("没有等同意的撤销。")),
    "remittances": (LABELS["remittances"], N_("划给村集体、防贫基金或合作社自己的钱：等理事长同意，或等会计在网银转账、记下流水号。"), N_("没有等着办的划款。")),
    "permissions": (
        LABELS["permissions"], N_("Stripe 说受限密钥没有这一项权限，要用它的那一类在等，其余的照常办。请合作社的理事长在 Stripe 后台给这把密钥补上，补上以后自动接着办。"),
        N_("Stripe 的密钥不缺权限。"),
    ),
    "keys": (
        LABELS["keys"], N_("每天问一次 Stripe，正在用的密钥是谁的账户：这几把不是合作社填的那个账户，或 Stripe 已经不认。钱可能收到别人那里，请合作社的理事长马上换一把。"),
        N_("正在用的密钥都是本账户的。"),
    ),
    "certificates": (LABELS["certificates"], N_("三十天内到期或已经过期的证书。到期以后收不了款、退不了款：请在“收款密钥”里换。"), N_("证书都还用得久。")),
    "failed_errands": (LABELS["failed_errands"], N_("户数多的分配或代发，后台试了几次都没有办成。点开可以看是哪一步、办了多少；合作社可以再试一次。"), N_("没有办不成的步骤。")),
    "errands": (LABELS["errands"], N_("户数多的分配或代发，后台正在办或在排队。等了很久没有开始的，看看后台任务是不是停了。"), N_("没有在办的步骤。")),
    "letters": (LABELS["letters"], N_("邮件服务器不收，或试了两天还没有发出去。在“邮件”里看原因，再发一次。"), N_("没有停发的邮件。")),
    "outside": (LABELS["outside"], N_("查询、退款或消息，试了五次以上还没有办成，会接着试。"), N_("没有卡住的任务。")),
}
DIFFERENCES = {"ONLY_THEIRS": N_("只在账单上"), "ONLY_OURS": N_("只在我们账上"), "AMOUNT": N_("金额不一样"), "TWICE": N_("退了两次"), "CURRENCY": N_("Stripe 用外币扣了钱")}
# What is proposed to whoever looks at a difference: where it usually comes from, and what to do about it.
PROPOSALS = {
    "ONLY_THEIRS": N_("建议：到支付宝商家平台按订单号查这笔。是门店收款或别的应用收的，写明来源；是商城的，请运营方补登。"),
    "ONLY_OURS": N_("建议：等后一天的账单，跨零点的会晚一天出现。仍没有的，到支付宝商家平台按订单号查；确实没有到账的，不要发货，请运营方更正。"),
    "AMOUNT": N_("建议：以支付宝账单为准。先查这笔有没有改价或部分退款，写明差额原因，请运营方更正我们的账。"),
    "CURRENCY": N_("Stripe 用外币收了手续费或追走了钱，账上没有记，Stripe 余额比账上少。建议：在 Stripe 后台把结算币种改成人民币，以后的就会自动记账；这一笔按当天汇率折成人民币，写明多少。"),
    "TWICE": N_("建议：重办以后，原来那笔也退到了，买家多拿了一份。请联系买家退回多出的钱，再写明结果；账上没有跟上的，在那笔退款的页上定为合作社承担。"),
}
