"""The console: what the emulator holds, and a form to order what goes wrong. Also the address at which a program orders faults."""

import json
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for

from marketplace.emulator import bill, fault, trade, transfer, withdrawal
from marketplace.emulator.cashier_words import WORDS
from marketplace.emulator.console_words import CONSOLE_WORDS
from marketplace.emulator.emulator import Emulator
from marketplace.emulator.field import beijing, fen_of, yuan
from marketplace.emulator.notice import Postman
from marketplace.emulator.refusal import Refusal
from marketplace.emulator.request import METHODS
from marketplace.emulator.state import State
from marketplace.foundation import clock

SHOWN = 50


def blueprint(emulator: Emulator, postman: Postman) -> Blueprint:
    """The console of one emulator, under ``/_emulator``."""
    bp = Blueprint("console", __name__, url_prefix="/_emulator")
    state = emulator.state

    @bp.before_request
    def from_here() -> None:
        # No sign-in on a make-believe gateway; but a page of another site must not press its buttons.
        origin = request.headers.get("Origin")
        if request.method != "GET" and origin is not None and origin != request.host_url.rstrip("/"):
            abort(403)

    @bp.get("/")
    def show() -> str:
        return _page("")

    @bp.post("/order")
    def order() -> Any:
        form = request.form
        try:
            fault.order(
                state,
                kind=form.get("kind", ""),
                method=form.get("method", ""),
                out_trade_no=form.get("order", "").strip(),
                nth=_whole(form.get("nth", "1")),
                seconds=float(_whole(form.get("seconds", "0"))),
                percent=_whole(form.get("percent", "0")),
            )
        except Refusal as refusal:
            return _page(refusal.sub_msg), 422
        return _back()

    @bp.post("/clear")
    def clear() -> Any:
        fault.clear(state)
        return _back()

    @bp.post("/finish")
    def finish() -> Any:
        try:
            trade.finish(state, request.form.get("app_id", ""), request.form.get("order", ""))
        except Refusal as refusal:
            return _page(refusal.sub_msg), 422
        postman.wake()
        return _back()

    @bp.post("/transfer")
    def end_transfer() -> Any:
        """What was under way succeeds or fails; what succeeded comes back."""
        form = request.form
        try:
            transfer.end(state, form.get("app_id", ""), form.get("order", ""), form.get("status", ""))
        except Refusal as refusal:
            return _page(refusal.sub_msg), 422
        return _back()

    @bp.post("/again")
    def again() -> Any:
        """Tell the last notice of an order once more."""
        with state.transaction() as write:
            write.execute(
                "UPDATE notice SET due_at = 0, attempts = 0 WHERE url <> '' AND id = (SELECT max(id) FROM notice WHERE app_id = ? AND out_trade_no = ?)",
                (request.form.get("app_id", ""), request.form.get("order", "")),
            )
        postman.wake()
        return _back()

    @bp.post("/withdraw")
    def withdraw() -> Any:
        """A seller presses Alipay's button; the number is for the market's own record of it."""
        try:
            number = withdrawal.withdraw(state, request.form.get("seller", ""), fen_of({"amount": request.form.get("amount", "").strip()}, "amount"))
        except Refusal as refusal:
            return _page(refusal.sub_msg), 422
        return redirect(url_for("console.show", lang=request.args.get("lang", "zh"), withdrawn=number), 303)

    @bp.post("/withdraw/back")
    def refuse_withdrawal() -> Any:
        """The seller's bank does not take it."""
        try:
            withdrawal.refuse(state, request.form.get("order", ""))
        except Refusal as refusal:
            return _page(refusal.sub_msg), 422
        return _back()

    @bp.route("/faults", methods=["POST", "DELETE"])
    def faults() -> dict[str, Any]:
        if request.method == "DELETE":
            fault.clear(state)
            return {"cleared": True}
        asked = request.get_json()
        fault.order(
            state,
            kind=str(asked.get("kind", "")),
            method=str(asked.get("method", "")),
            out_trade_no=str(asked.get("order", "")),
            nth=int(asked.get("nth", 1)),
            seconds=float(asked.get("seconds", 0)),
            percent=int(asked.get("percent", 0)),
        )
        return {"ordered": asked}

    @bp.get("/notices/<out_trade_no>")
    def notices(out_trade_no: str) -> list[dict[str, Any]]:
        kept = "SELECT notify_id, url, attempts, answer, due_at FROM notice WHERE out_trade_no = ? ORDER BY id"
        return [dict(each) for each in state.rows(kept, out_trade_no)]

    def _page(wrong: str) -> str:
        language = "en" if request.args.get("lang") == "en" else "zh"
        names = {each["app_id"]: each["name"] or each["seller_id"] for each in state.rows("SELECT * FROM app")}
        asked = request.args.get("order", "").strip()
        trades = state.rows(
            "SELECT t.*, (SELECT count(*) FROM notice n WHERE n.app_id = t.app_id AND n.out_trade_no = t.out_trade_no) AS notices,"
            " (SELECT n.answer FROM notice n WHERE n.app_id = t.app_id AND n.out_trade_no = t.out_trade_no ORDER BY id DESC LIMIT 1) AS heard"
            " FROM trade t WHERE ? IN ('', t.out_trade_no, t.trade_no) ORDER BY t.created_at DESC LIMIT ?",
            asked, SHOWN,
        )  # fmt: skip
        return render_template(
            "console.html",
            trades=trades,
            names=names,
            faults=state.rows("SELECT * FROM fault ORDER BY id"),
            transfers=state.rows("SELECT * FROM transfer WHERE ? IN ('', out_biz_no, order_id) ORDER BY sent_at DESC, out_biz_no DESC LIMIT ?", asked, SHOWN),
            payee=lambda said: json.loads(said)[0],
            ends=transfer.ENDS,
            kinds=[*fault.ANSWERS, *fault.TRANSFERS, *fault.QUERIES, *fault.NOTICES, fault.ANY],
            methods=sorted(METHODS),
            asked=asked,
            sellers=_sellers(state),
            withdrawn=request.args.get("withdrawn", "")[:40],
            withdrawals=state.rows("SELECT * FROM withdrawal ORDER BY sent_at DESC, order_id DESC LIMIT ?", SHOWN),
            wrong=wrong,
            yuan=yuan,
            beijing=beijing,
            w=WORDS[language] | CONSOLE_WORDS[language],
            lang=language,
        )

    def _back() -> Any:
        return redirect(url_for("console.show", lang=request.args.get("lang", "zh")), 303)

    return bp


def _sellers(state: State) -> list[dict[str, Any]]:
    """Each seller with what lies in its balance."""
    rows = state.rows("SELECT seller_id, max(name) AS name FROM app GROUP BY seller_id ORDER BY seller_id")
    return [{"seller_id": each["seller_id"], "name": each["name"], "fen": bill.balance(state, each["seller_id"], clock.now())} for each in rows]


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else -1
