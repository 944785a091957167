"""The way of a payout batch as its page tells it: the steps with who took them and when, and what is next for whom."""

from collections.abc import Callable
from typing import Any

from flask import url_for

from marketplace.foundation.language import gettext as _
from marketplace.organisations.actor import Actor
from marketplace.settlement.payout_batch import PayoutBatch
from marketplace.settlement.payout_transfer import reason_of
from marketplace.web.shown import money

Counts = dict[str, tuple[int, int]]  # items and fen by state


def way(row: PayoutBatch, counts: Counts, people: dict[int, str]) -> list[dict[str, Any]]:
    """The steps, each with state, moment and note."""
    paid, back = counts.get("paid", (0, 0)), _back(counts)
    said = _("%(n)s 笔到账 %(fen)s", n=paid[0], fen=money(paid[1])) if paid[0] else ""
    if back[0]:
        said = f"{said}{'；' if said else ''}" + _("%(n)s 笔退回 %(fen)s", n=back[0], fen=money(back[1]))
    alipay = row.channel == "alipay"
    steps: list[dict[str, Any]] = [
        {"text": _("做批次"), "at": row.made_at, "note": people.get(row.made_by_id, ""), "state": "done"},
        {"text": _("理事长审批，冻结每一笔") if alipay else _("理事长审批，冻结文件"), "at": row.approved_at, "note": people.get(row.approved_by_id or 0, "")},
        {"text": _("开始转账") if alipay else _("交给银行"), "at": row.sent_at},
        {"text": _("每一笔都有结果") if alipay else _("银行回盘"), "at": row.done_at, "note": said},
    ]
    if row.state == "CANCELLED":
        return [*(step for step in steps if step["at"]), {"text": _("已作废"), "state": "bad"}]
    reached = False
    for step in steps[1:]:
        step["state"] = "done" if step["at"] else ("next" if reached else "now")
        reached = reached or not step["at"]
    return steps


def next_strip(row: PayoutBatch, counts: Counts, actor: Actor) -> tuple[str, str, str] | None:
    """What is next: a sentence, and the action and address for whose turn it is ("" for everybody else)."""
    works_here = actor.kind == "COOPERATIVE"
    accountant, director = (works_here and actor.has(role) for role in ("accountant", "director"))

    def step(name: str) -> str:
        return url_for("payout_step.ask", public_id=row.public_id, step=name)

    if row.state == "DRAFT":
        if director and actor.person_id == row.made_by_id:
            return _("这一批是您做的，要请另一位理事长来审批。"), "", ""
        if director:
            return _("等您审批：%(n)s 笔，%(fen)s。审批以后文件就冻结了。", n=row.items, fen=money(row.total_fen)), _("去审批"), step("approve")
        return _("等理事长审批。"), "", ""
    if row.channel == "alipay" and row.state in ("APPROVED", "SENT"):
        return _over_alipay(row, counts, accountant or director, step)
    if row.state == "APPROVED":
        if accountant or director:
            return _("文件已冻结。先下载，到网银上传；银行收下以后回来记一笔。"), _("记为已交银行"), step("send")
        return _("文件已冻结，等会计交给银行。"), "", ""
    if row.state == "SENT":
        sent, unknown = counts.get("sent", (0, 0))[0], counts.get("unknown", (0, 0))[0]
        if accountant or director:
            here = url_for("payout_results.results", public_id=row.public_id)
            if unknown and not sent:
                return _("银行还没有弄清 %(n)s 笔。再有回盘就导入；问清楚了的，点开那一笔记下。没有结果的不要补发，否则会付两次。", n=unknown), _("导入回盘"), here
            return _("银行一般一个工作日内给结果，还有 %(n)s 笔没有结果。", n=sent + unknown), _("导入回盘"), here
        return _("银行办理中，还有 %(n)s 笔没有结果。", n=sent + unknown), "", ""
    returned = counts.get("returned", (0, 0))
    if row.state == "DONE" and returned[0]:
        sentence = _("有 %(n)s 笔 %(fen)s 被退回。先核对、改好账户，再补发。", n=returned[0], fen=money(returned[1]))
        return (sentence, _("补发"), step("reissue")) if accountant else (sentence, "", "")
    return None


def _over_alipay(row: PayoutBatch, counts: Counts, works_here: bool, step: Callable[[str], str]) -> tuple[str, str, str]:
    if row.state == "APPROVED":
        if works_here:
            return _("每一笔都已冻结。开始以后，系统用合作社的支付宝一户一笔转出去。"), _("开始转账"), step("start")
        return _("每一笔都已冻结，等会计开始转账。"), "", ""
    left = counts.get("sent", (0, 0))[0] + counts.get("unknown", (0, 0))[0]
    if row.stopped_at is not None:
        sentence = _("停下来了：%(why)s。还有 %(n)s 笔没有转成，钱还记在途中，没有丢。", why=_(reason_of(row.stopped_code)), n=left)
        return (sentence, _("补足了，接着转"), step("go-on")) if works_here else (sentence, "", "")
    return _("系统正在一笔一笔转，还有 %(n)s 笔没有结果，一般几分钟。刷新看进度。", n=left), "", ""


def _back(counts: Counts) -> tuple[int, int]:
    returned, again = counts.get("returned", (0, 0)), counts.get("reissued", (0, 0))
    return returned[0] + again[0], returned[1] + again[1]
