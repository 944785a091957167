"""The steps of a payout batch that are errands where payments are many."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from sqlalchemy import func, select

from marketplace.errands.step import GOES_ON, GONE, Tell, Work, step
from marketplace.foundation.database import db
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor
from marketplace.settlement import payout_batch, payout_found_batch, payout_results
from marketplace.settlement.payout_found_batch import Go
from marketplace.settlement.payout_item import PayoutBatch, PayoutItem
from marketplace.settlement.payout_results import Understood

Given = Mapping[str, Any]


def of(batch_id: int) -> str:
    """What every step of a batch is taken with; one is made of a distribution (``distribution_errand.of``)."""
    return f"payout_batch:{batch_id}"


def returned(row: PayoutBatch) -> int:
    """Payments that came back and would be issued again."""
    return db.session.scalar(select(func.count(PayoutItem.id)).where(PayoutItem.batch_id == row.id, PayoutItem.state == "returned")) or 0


@step("payout.make", N_("做 %(of)s 收益的代发批次"), N_("代发批次做好了，等理事长审批。"), "accountant")
def _make(given: Given, actor: Actor) -> dict[str, Any]:
    return {"paper": payout_batch.make(given["id"], actor=actor, channel=given["channel"], layout_id=given["layout"]).public_id}


@step("payout.approve", N_("审批代发 %(of)s"), N_("已同意，内容已冻结。"), "director")
def _approve(given: Given, actor: Actor) -> dict[str, Any]:
    return {"paper": payout_batch.approve(given["id"], actor=actor, version=given["version"]).public_id}


@step("payout.send", N_("把代发 %(of)s 记为已交银行"), N_("已记下，等银行的结果。"), "accountant", "director")
def _send(given: Given, actor: Actor) -> dict[str, Any]:
    return {"paper": payout_batch.mark_sent(given["id"], actor=actor, version=given["version"]).public_id}


@step("payout.start", N_("开始转代发 %(of)s"), N_("已开始，系统一笔一笔在转。"), "accountant", "director")
def _start(given: Given, actor: Actor) -> dict[str, Any]:
    return {"paper": payout_batch.start(given["id"], actor=actor, version=given["version"]).public_id}


@step("payout.go-on", N_("接着转代发 %(of)s"), N_("已接着转，没有转成的正在转。"), "accountant", "director")
def _go_on(given: Given, actor: Actor) -> dict[str, Any]:
    return {"paper": payout_batch.go_on(given["id"], actor=actor, version=given["version"]).public_id}


def _ahead(given: Given, actor: Actor, tell: Tell) -> Work:
    """A file is read before the transaction: nobody waits for it, and the page says how far it is."""
    found = payout_results.understood(given["results"], actor=actor, tell=tell)
    return partial(_taken_in, found)


def _taken_in(found: Understood, given: Given, actor: Actor) -> dict[str, Any]:
    return {"then": given["then"], "lines": payout_results.take_in(given["results"], found, actor=actor).lines}


@step("payout.read", N_("读代发 %(of)s 的回盘"), N_("文件读过了，账还没有动。请去看读出了什么，再确认记入。"), "accountant", "director", ahead=_ahead)
def _read(given: Given, actor: Actor) -> dict[str, Any]:
    return _taken_in(payout_results.understood(given["results"], actor=actor), given, actor)


@step(
    "payout.results", N_("导入代发 %(of)s 的回盘"), N_("已记下：%(paid)s 笔到账，%(back)s 笔退回，%(unknown)s 笔银行还没有结果。"), "accountant", "director"
)
def _results(given: Given, actor: Actor) -> dict[str, Any]:
    changed = payout_results.apply(given["results"], actor=actor)
    return {"paper": given["paper"], "paid": changed.paid, "back": changed.returned, "unknown": changed.unknown}


@step("payout.reissue", N_("补发代发 %(of)s 退回的款"), N_("补发批次做好了，等理事长审批。"), "accountant")
def _reissue(given: Given, actor: Actor) -> dict[str, Any]:
    return {"paper": payout_batch.reissue(given["id"], actor=actor, channel=given["channel"]).public_id}


@step(
    "payout.found-say", N_("提出代发 %(of)s 银行其实付了"), N_("已提出 %(changed)s 笔，等另一位（理事长）核对。核对以前，账没有动。"), "accountant", "director",
    in_goes=True,
)  # fmt: skip
def _found_said(given: Given, actor: Actor) -> dict[str, Any]:
    return _gone(given, payout_found_batch.propose(given["id"], given["reason"], after=_last(given), actor=actor))


@step(
    "payout.found-approve", N_("核对代发 %(of)s 银行其实付了的"), N_("看了 %(done)s 笔，%(changed)s 笔记为到账。还等着的，列在这一批的“银行其实付了”里。"), "director",
    in_goes=True,
)  # fmt: skip
def _found_approved(given: Given, actor: Actor) -> dict[str, Any]:
    return _gone(given, payout_found_batch.decide(given["id"], last_id=given["last_id"], approved=True, answer=given["answer"], after=_last(given), actor=actor))


@step(
    "payout.found-return", N_("退回代发 %(of)s 银行其实付了的"), N_("看了 %(done)s 笔，退回 %(changed)s 笔，账照旧。"), "director",
    in_goes=True,
)  # fmt: skip
def _found_returned(given: Given, actor: Actor) -> dict[str, Any]:
    return _gone(given, payout_found_batch.decide(given["id"], last_id=given["last_id"], approved=False, answer=given["answer"], after=_last(given), actor=actor))


def _last(given: Given) -> int:
    return int(given.get(GONE, {}).get("last", 0))


def _gone(given: Given, go: Go) -> dict[str, Any]:
    """All the goes so far, this one among them."""
    gone = given.get(GONE, {"done": 0, "changed": 0})
    return {"then": given["then"], "done": gone["done"] + go.seen, "changed": gone["changed"] + go.done, "last": go.last, GOES_ON: go.last > 0}
