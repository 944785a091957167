"""What of money's health is serious enough to tell people at once, and what a day's digest says. It only reads: alarms are kept by ``notices``."""

from datetime import datetime, timedelta
from typing import Any

from marketplace.disclosure import log_check, tree_head
from marketplace.foundation import clock
from marketplace.foundation.config import settings
from marketplace.foundation.language import N_
from marketplace.foundation.money import shown_yuan
from marketplace.notices import message
from marketplace.notices.alarm import Reader, Wrong
from marketplace.notices.message import Say
from marketplace.payments import certificate_end
from marketplace.reporting import books, money_health

HEAD_LATE = timedelta(days=2)  # a tree head is due every day
MOST = 500  # rows of one kind that a look takes; more are no other alarm
# Of money's health (after how many minutes is its own; 0: at once). What waits for people in the ordinary way is only in the digest.
AT_ONCE = ("alarm", "stopped_payouts", "refused_refunds", "lost_refunds", "bills", "differences", "reconciliation", "statements", "withdrawals", "notices", "disputes", "looks", "outside", "permissions", "keys", "failed_errands", "letters")
UNKNOWN = ("unknown_payments", "unknown_refunds", "unknown_transfers")
ONCE = ("notices", "disputes", "letters")
FREQUENT = (*AT_ONCE, *UNKNOWN, "certificates", "certificates_over", "head")
DAILY = ("books", "log")
OVER = N_("之前提醒过的这些事，现在都好了。")
LABELS: dict[str, str] = {
    "alarm": N_("支付渠道不接受我们的请求"), "unknown_payments": N_("结果不明的付款"), "unknown_refunds": N_("结果不明的退款"),
    "unknown_transfers": N_("结果不明的代发转账"), "stopped_payouts": N_("停下来的代发"), "refused_refunds": N_("渠道没有退成的退款"), "lost_refunds": N_("多退出去、账上还没有了结的退款"), "refunds_to_transfer": N_("要转账的退款"), "refunds_waiting": N_("等退出去的退款"),
    "reconciliation": N_("对账差异"), "statements": N_("断了的银行流水"), "unproven_statements": N_("没有余额、没人核对过的银行流水"), "returns_to_transfer": N_("要退回付款人的钱"), "withdrawals": N_("没到账的提现"),
    "receipts": N_("没对上的到账"), "bills": N_("没取到的账单"), "bill_closures": N_("等同意不再等的账单"), "differences": N_("和支付渠道的差异"), "notices": N_("对不上的通知"), "disputes": N_("买家向发卡银行追款"), "looks": N_("没有核对成的 Stripe 退款和追款"), "outside": N_("试了多次的任务"),
    "unknown_payouts": N_("没有结果的代发"), "unanswered_payouts": N_("两天没有回盘的代发"), "payout_reversals": N_("等核对的代发冲回"), "transfer_endings": N_("等核对的转账结果"),
    "payouts_found": N_("等核对的代发更正"), "paid_twice": N_("付了两次的代发"),
    "failed_errands": N_("没有办成的大批步骤"), "errands": N_("正在办的大批步骤"), "letters": N_("停发的邮件"), "events": N_("等 Stripe 回答的通知"), "match_undos": N_("等同意的撤销核销"), "row_undos": N_("等同意的撤销流水说明"), "remittances": N_("等同意或等转账的划款"),
    "permissions": N_("密钥缺少的权限"), "keys": N_("不是本账户的密钥"), "certificates": N_("要换的证书"), "certificates_over": N_("已经过期、用不了的证书"), "head": N_("封存没有按时签发"), "books": N_("账本有规则不成立"),
    "log": N_("封存的记录对不上"),
}  # fmt: skip


def frequent() -> list[Wrong]:
    """What is serious now and quick to see. Unknown outcomes count after ``ALARM_UNKNOWN_MINUTES``."""
    now = clock.now()
    late = now - timedelta(minutes=settings().alarm_unknown_minutes)
    wrong = []
    for name in (*AT_ONCE, *UNKNOWN):
        for row, number, fen, since in money_health.rows(name, limit=MOST):
            at = since or now
            if name in UNKNOWN and at > late:
                continue
            owner = money_health.owner_of(row)
            # A channel that refuses us refuses every call: that is one thing and not a hundred.
            subject = f"{owner}" if name == "alarm" else f"{row.id}"
            wrong.append(Wrong(name, subject, number, at, owner, fen))
    return [*wrong, *_certificates(), *_head(now)]


def daily() -> list[Wrong]:
    """What takes a while: every rule of the books, and the verifiable log computed again from them."""
    now = clock.now()
    wrong = [Wrong("books", each.rule, each.rule, now) for each in books.check() if not each.ok]
    seen = {f"{each.what} {each.which}: {each.wrong}" for each in log_check.check().findings[:MOST]}
    return wrong + [Wrong("log", each, each, now) for each in sorted(seen)]


def _certificates() -> list[Wrong]:
    """What ends soon is told as long as it is not replaced; that it has ended is told besides."""
    wrong = []
    for each in certificate_end.near():
        number = f"{each.name} {each.ends_at.astimezone(clock.BEIJING):%Y-%m-%d}"
        wrong.append(Wrong("certificates", each.subject, number, each.ends_at - certificate_end.SOON, each.organisation_id))
        if each.is_over:
            wrong.append(Wrong("certificates_over", each.subject, number, each.ends_at, each.organisation_id))
    return wrong


def _head(now: datetime) -> list[Wrong]:
    newest = tree_head.newest()
    if newest is None or now - newest.at < HEAD_LATE:
        return []
    return [Wrong("head", "late", f"#{newest.number}", newest.at)]


def digest(reader: Reader) -> dict[str, Any]:
    """What a person's morning letter says: what waits, how much, since when."""
    standing = [each for each in money_health.standing(reader.of) if each.count]
    return {
        "day": f"{clock.business_date():%Y-%m-%d}",
        "items": [{"name": each.name, "count": each.count, "fen": each.fen, "since": each.oldest.isoformat() if each.oldest else None} for each in standing],
    }


@message.worded("money.alarm")
def _alarm(data: dict[str, Any], say: Say) -> tuple[str, str]:
    count = len(data["items"]) + data["more"]
    text = _lines(data, say, N_("下面这些事不对，请尽快看看。同一件事一天只说一次，解决了会再告诉您。"))
    if "over" in data:
        text += "\n\n" + _lines(data["over"], say, OVER)
    return say(N_("资金提醒：%(n)s 件事要看"), n=count), text


@message.worded("money.solved")
def _solved(data: dict[str, Any], say: Say) -> tuple[str, str]:
    count = len(data["items"]) + data["more"]
    return say(N_("资金提醒：%(n)s 件事解决了"), n=count), _lines(data, say, OVER)


@message.worded("money.digest")
def _digest(data: dict[str, Any], say: Say) -> tuple[str, str]:
    subject = say(N_("%(day)s 资金日报"), day=data["day"])
    if not data["items"]:
        return subject, say(N_("每一笔付款和退款都有结果，账和账单一致。"))
    lines = []
    for each in data["items"]:
        parts = [say(LABELS[each["name"]]), say(N_("%(n)s 件"), n=each["count"])]
        parts += [shown_yuan(each["fen"])] if each["fen"] else []
        parts += [say(N_("最久的从 %(since)s 起"), since=_moment(each["since"]))] if each["since"] else []
        lines.append(" · ".join(parts))
    return subject, "\n\n".join((say(N_("今天早上还在等的：")), "\n".join(lines)))


def _lines(data: dict[str, Any], say: Say, opening: str) -> str:
    lines = []
    for each in data["items"]:
        parts = [say(LABELS.get(each["name"], each["name"])), each["number"]]
        parts += [shown_yuan(each["fen"])] if each["fen"] else []
        parts.append(say(N_("从 %(since)s 起"), since=_moment(each["since"])))
        lines.append(" · ".join(parts))
    if data["more"]:
        lines.append(say(N_("还有 %(n)s 件。"), n=data["more"]))
    return "\n\n".join((say(opening), "\n".join(lines)))


def _moment(iso: str) -> str:
    return f"{datetime.fromisoformat(iso).astimezone(clock.BEIJING):%Y-%m-%d %H:%M}"

