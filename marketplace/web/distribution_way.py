"""The way of a distribution as its page tells it: the steps with who took them and when, and what is next for whom."""

from collections.abc import Sequence
from typing import Any

from flask import url_for

from marketplace.foundation import clock
from marketplace.foundation.language import gettext as _
from marketplace.notices.objection import Spoken
from marketplace.notices.public_notice import PublicNotice
from marketplace.organisations.actor import Actor
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.payout_batch import PayoutBatch
from marketplace.web.shown import money


def way(
    row: Distribution, notice: PublicNotice | None, spoken: Spoken, people: dict[int, str], *, paid_fen: int
) -> list[dict[str, Any]]:
    """The steps, each with state, moment and note."""
    ended = notice is not None and clock.business_date() > notice.ends_on
    said = _("没有异议") if ended and not spoken.all else _("%(n)s 条，%(open)s 条等答复", n=spoken.all, open=spoken.open) if spoken.all else ""
    steps: list[dict[str, Any]] = [
        {"text": _("拟定"), "at": row.drafted_at, "note": people.get(row.drafted_by_id, ""), "done": True},
        {"text": _("理事长审批"), "at": row.approved_at, "note": people.get(row.approved_by_id or 0, ""), "done": row.approved_at is not None},
        {
            "text": _("公示"), "at": row.published_at, "done": ended,
            "note": _("到 %(day)s", day=f"{notice.ends_on:%Y-%m-%d}") if notice else "",
        },
        {"text": _("答复异议"), "at": None, "note": said, "done": ended and not spoken.open},
        {"text": _("记到各户"), "at": row.posted_at, "note": "", "done": row.posted_at is not None},
        {
            "text": _("发给农户"), "at": None, "done": row.posted_at is not None and paid_fen == row.total_fen,
            "note": _("%(paid)s / %(total)s", paid=money(paid_fen), total=money(row.total_fen)) if row.posted_at else "",
        },
    ]  # fmt: skip
    if row.state == "WITHDRAWN":
        steps = [step for step in steps if step["at"]]
        steps.append({"text": _("撤回"), "at": row.withdrawn_at, "note": people.get(row.withdrawn_by_id or 0, ""), "state": "bad"})
    reached = False
    for step in steps:
        if "state" not in step:
            step["state"] = "done" if step["done"] else ("next" if reached else "now")
            reached = reached or not step["done"]
    return steps


def next_strip(
    row: Distribution, notice: PublicNotice | None, spoken: Spoken, batches: Sequence[PayoutBatch], actor: Actor
) -> tuple[str, str, str] | None:
    """What is next: a sentence, and the action and address for whose turn it is ("" for everybody else)."""
    works_here = actor.kind == "COOPERATIVE"
    accountant, director = (works_here and actor.has(role) for role in ("accountant", "director"))

    def turn(mine: bool, sentence: str, others: str, action: str, step: str) -> tuple[str, str, str]:
        if mine:
            return sentence, action, url_for("distribution_step.ask", public_id=row.public_id, step=step)
        return others, "", ""

    if row.state == "DRAFTED":
        if director and actor.person_id == row.drafted_by_id:
            return _("这份分配是您拟定的，要请另一位理事长来审批。"), "", ""
        return turn(director, _("等您审批：看过各组和各户的理由以后再定。"), _("等理事长审批。"), _("去审批"), "approve")
    if row.state == "APPROVED":
        return turn(accountant or director, _("已审批，可以公示了。公示期间谁都可以提出异议。"), _("等合作社公示。"), _("去公示"), "publish")
    if row.state == "PUBLISHED" and notice is not None:
        return _published(row, notice, spoken, turn, accountant or director)
    if row.state == "POSTED":
        return _posted(row, batches, accountant)
    return None


def _published(row: Distribution, notice: PublicNotice, spoken: Spoken, turn: Any, mine: bool) -> tuple[str, str, str]:
    here = url_for("distribution.show", public_id=row.public_id) + "#objections"
    if spoken.upheld:
        said = _("有异议成立，这份分配不能记到各户。请撤回，改正后重新拟定。")
        step: tuple[str, str, str] = turn(mine, said, said, _("去撤回"), "withdraw")
        return step
    if spoken.open:
        return _("有 %(n)s 条异议等答复。全部答复之前，钱不会记到各户。", n=spoken.open), _("看异议"), here
    if clock.business_date() <= notice.ends_on:
        days = (notice.ends_on - clock.business_date()).days
        return _("公示到 %(day)s 结束，还有 %(n)s 天。之后没有异议就可以记到各户。", day=f"{notice.ends_on:%Y-%m-%d}", n=days), "", ""
    done: tuple[str, str, str] = turn(
        mine, _("公示期已满，没有未答复的异议，可以记到各户了。"), _("公示期已满，等合作社记到各户。"), _("记到各户"), "post"
    )
    return done


def _posted(row: Distribution, batches: Sequence[PayoutBatch], accountant: bool) -> tuple[str, str, str] | None:
    live = [each for each in batches if each.state != "CANCELLED"]
    if not live:
        if accountant:
            return _("已记到各户，可以做代发批次了。"), _("做代发"), url_for("payout.ask", distribution_id=row.public_id)
        return _("已记到各户，等会计做代发批次。"), "", ""
    going = next((each for each in live if each.state != "DONE"), None)
    if going is not None:
        return _("代发批次 %(number)s 正在办理。", number=going.number), _("去看"), url_for("payout.show", public_id=going.public_id)
    return None
