"""What became of a yuan: the benefit receipt of an order and the statement of a household, each at a random address.

Anybody who holds the address may read; nobody can find it. The pages are not kept by browsers, not indexed, and send no referrer.
"""

import json
from typing import Any

import segno
from flask import Blueprint, Response, flash, make_response, redirect, render_template, request, url_for

from marketplace.disclosure import benefit_receipt, household_statement, log_key, receipt_proof, tree_head
from marketplace.disclosure.benefit_receipt import BenefitReceipt
from marketplace.foundation.config import settings
from marketplace.foundation.database import transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said
from marketplace.web.limits import limiter
from marketplace.web.permission import public

bp = Blueprint("receipt", __name__)


@bp.get("/r/<token>")
@public
def benefit(token: str) -> Response:
    receipt = benefit_receipt.for_token(token)
    return _private(render_template("receipt/benefit.html", receipt=receipt, steps=_steps(receipt)))


@bp.get("/r/<token>/proof.json")
@limiter.limit("60 per minute")
@public
def proof(token: str) -> Response:
    """For ``verify_receipt.py``; ``since``: the number of an older head, such as a slip's, to connect with the newest."""
    asked = request.args.get("since", "")
    since = int(asked) if asked.isascii() and asked.isdigit() and 0 < len(asked) < 10 else None
    text = json.dumps(receipt_proof.for_token(token, since=since), ensure_ascii=False, indent=1)
    return _file(text, "proof.json")


@bp.get("/r/<token>/slip")
@public
def slip(token: str) -> Response:
    """The receipt on paper, with the newest head's fingerprint."""
    head = tree_head.newest()
    address = settings().base_url.rstrip("/") + url_for("receipt.benefit", token=token)
    return _private(
        render_template(
            "receipt/slip.html",
            receipt=benefit_receipt.for_token(token),
            head=head,
            key=log_key.written(tree_head.origin_of(head), tree_head.key_of(head).public_key) if head else "",
            address=address,
            qr=segno.make(address, error="m").svg_data_uri(scale=5, border=1),
        )
    )


@bp.get("/h/<token>")
@public
def household(token: str) -> Response:
    return _private(_statement_page(token))


@bp.get("/h/<token>/proof.json")
@limiter.limit("60 per minute")
@public
def household_proof(token: str) -> Response:
    """A household's own sealed lines, opened with its key; nobody else's."""
    text = json.dumps(receipt_proof.for_household(token), ensure_ascii=False, indent=1)
    return _file(text, "proof.json")


@bp.post("/h/<token>/payments/<public_id>")
@limiter.limit("300 per hour")  # one address may be a whole village's
@limiter.limit("30 per hour", key_func=lambda: request.path)  # of one payment: every answer is kept
@public
def answer(token: str, public_id: str) -> Any:
    chosen, words = request.form.get("answer", ""), request.form.get("text", "")
    try:
        transaction(lambda: household_statement.answer(token, public_id, chosen, text=words))
    except InvalidInput as error:
        return _private(_statement_page(token, wrong={public_id: said(error)}, typed={public_id: words}), 422)
    flash(_("记下了。谢谢您告诉我们。"), "done")
    return redirect(url_for("receipt.household", token=token))


def _statement_page(token: str, wrong: dict[str, str] | None = None, typed: dict[str, str] | None = None) -> str:
    return render_template(
        "receipt/household.html",
        statement=household_statement.for_token(token),
        closed=receipt_proof.closed_to(token),
        head=tree_head.newest(),
        wrong=wrong or {},
        typed=typed or {},
        bases={
            "BATCHES": _("按本月所售批次的交货量"),
            "TWELVE_MONTHS": _("按近十二个月的交货量"),
            "EQUITY_ONLY": _("没有交货记录，全部按股份"),
        },
        states={
            "sent": _("正在办理"),
            "unknown": _("还没有结果"),
            "paid": _("已付"),
            "returned": _("没有发到，将重新发放"),
            "reissued": _("没有发到，已重新发放"),
        },
        answers={"RECEIVED": _("收到了"), "NOT_RECEIVED": _("没收到"), "OBJECTION": _("有异议")},
    )


def _steps(receipt: BenefitReceipt) -> list[dict[str, Any]]:
    texts = {
        "placed": _("下单"),
        "paid": _("付款到合作社"),
        "shipped": _("发货"),
        "received": _("收货"),
        "settled": _("退货期满，分账"),
        "published": _("分配公示"),
        "distributed": _("分到各户名下"),
        "paid_out": _("全部发给农户"),
    }
    reached = max((n for n, step in enumerate(receipt.steps) if step.at), default=-1)
    goes_on = not receipt.cancelled and (receipt.settled is None or receipt.now.pool_fen > 0 or receipt.distributed_fen > 0)
    steps = []
    for n, step in enumerate(receipt.steps):
        state = "done" if step.at else ("now" if n == reached + 1 and goes_on else "next")
        steps.append({"text": texts[step.code], "at": step.at, "state": state})
    return steps


def _file(text: str, name: str) -> Response:
    response = _private(text + "\n")
    response.mimetype = "application/json"
    response.headers["Content-Disposition"] = f"attachment; filename={name}"
    return response


def _private(page: str, status: int = 200) -> Response:
    response = make_response(page, status)
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
