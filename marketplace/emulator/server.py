"""The emulator's web server: gateway, cashier pages, bills, and an address for ordering faults. Loopback only by default."""

import json
import signal
import threading
from collections import deque
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Flask, Response, abort, redirect, render_template, request, url_for
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from marketplace.emulator import bill, cashier, console, fault, gateway, trade
from marketplace.emulator.cashier_words import WORDS
from marketplace.emulator.emulator import Emulator
from marketplace.emulator.field import beijing
from marketplace.emulator.notice import Postman
from marketplace.emulator.refusal import Refusal
from marketplace.emulator.wire_fault import Answers, strike_after, strike_before

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def create_server_app(emulator: Emulator, postman: Postman) -> Flask:
    """The WSGI application of one emulator."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024
    state, key = emulator.state, emulator.keys.private
    answers: Answers = deque(maxlen=200)

    @app.after_request
    def guarded(response: Response) -> Response:
        response.headers.update(_HEADERS)
        return response

    @app.errorhandler(Refusal)
    def refused(refusal: Refusal) -> tuple[str, int]:
        words = _words()
        return render_template("refused.html", refusal=refusal, w=words, lang=_language()), 400

    @app.get("/healthz")
    def health() -> str:
        return "ok"

    @app.route("/gateway.do", methods=["GET", "POST"])
    def gateway_do() -> Any:
        pairs = [*request.args.items(multi=True), *request.form.items(multi=True)]
        method = dict(pairs).get("method", "")
        if method in gateway.PAGE_METHODS:
            return redirect(url_for("cashier_page", token=gateway.open_page(state, pairs)), 302)
        out_trade_no = _order_named(pairs)
        faults = fault.take(state, method, out_trade_no)
        seal = partial(gateway.envelope, key, method, cert_sn=gateway.cert_sn(state, pairs))
        struck = strike_before(faults, seal, method, out_trade_no, answers)
        if struck is not None:
            return struck
        node = gateway.node(state, pairs, request.host_url.rstrip("/"))
        postman.wake()
        return strike_after(faults, seal, method, out_trade_no, node, answers)

    @app.get("/cashier/<token>")
    def cashier_page(token: str) -> str:
        return _page(cashier.show(state, token))

    @app.post("/cashier/<token>/pay")
    def cashier_pay(token: str) -> Any:
        paid = cashier.pay(state, token)
        if paid is None:
            abort(404)
        postman.wake()
        back = _way_back(paid)
        return (
            redirect(back, 303)
            if back
            else redirect(url_for("cashier_page", token=token, lang=_language()), 303)
        )

    @app.post("/cashier/<token>/cancel")
    def cashier_cancel(token: str) -> str:
        return _page(cashier.show(state, token), cancelled=True)

    @app.get("/bill/<token>.zip")
    def bill_zip(token: str) -> Response:
        packed = bill.download(state, token)
        if packed is None:
            abort(404)
        return Response(packed, content_type="application/zip")

    app.register_blueprint(console.blueprint(emulator, postman))

    def _page(shown: cashier.Cashier | None, *, cancelled: bool = False) -> str:
        if shown is None:
            abort(404)
        names = {
            each["app_id"]: each["name"] or each["seller_id"] for each in state.rows("SELECT * FROM app")
        }
        return render_template(
            "cashier.html",
            token=shown.row["token"],
            lines=[
                (names[each.app_id], each.subject, _money(each.total_fen), each.out_trade_no)
                for each in shown.orders
            ],
            total=_money(shown.total_fen),
            until=beijing(shown.row["expires_at"])[:16],
            standing="paid"
            if shown.paid
            else "closed"
            if shown.closed
            else "cancelled"
            if cancelled
            else "waiting",
            back=_way_back(shown),
            shop=shown.row["return_url"],
            w=_words(),
            lang=_language(),
        )

    def _way_back(shown: cashier.Cashier) -> str:
        url: str = shown.row["return_url"]
        if not url or not shown.paid:
            return ""
        joint = "&" if urlsplit(url).query else "?"
        return f"{url}{joint}{urlencode(cashier.return_form(shown, key))}"

    return app


class Running:
    """An emulator being served on a port of ``host``; port 0 takes a free one. Stop it with ``stop``."""

    def __init__(
        self, folder: Path, *, port: int, host: str = "127.0.0.1", notice_speed: float = 1.0
    ) -> None:
        self.emulator = Emulator(folder, delivers=True)
        self._postman = Postman(
            self.emulator.state, self.emulator.keys.private, speed=notice_speed, sweep=trade.close_expired
        )
        app = create_server_app(self.emulator, self._postman)
        self._server: BaseWSGIServer = make_server(host, port, app, threaded=True, request_handler=_Quiet)
        self.host = host
        self.url = f"http://{host}:{self._server.server_port}"
        self.gateway_url = f"{self.url}/gateway.do"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    def start(self) -> "Running":
        """Begin to answer and to carry notices."""
        self._postman.start()
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop answering, end the deliveries under way, close the state."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._postman.stop()
        self.emulator.close()


def serve(*, port: int, data_dir: Path, host: str = "127.0.0.1", notice_speed: float = 1.0) -> None:
    """Serve until SIGINT or SIGTERM. ``data_dir`` is the market's: the emulator keeps to its folder ``emulator`` in it.

    ``notice_speed`` 60 makes a minute between two tries of a notice a second. Raises NotInProduction; OSError if the port is taken.
    """
    ended = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        ended.set()

    running = Running(data_dir / "emulator", port=port, host=host, notice_speed=notice_speed)
    before = {each: signal.signal(each, end) for each in (signal.SIGINT, signal.SIGTERM)}
    running.start()
    try:
        ended.wait()
    finally:
        running.stop()
        for each, handler in before.items():
            signal.signal(each, handler)


class _Quiet(WSGIRequestHandler):
    """No line a request: the query string holds signatures."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass

    def log_error(self, format: str, *args: Any) -> None:  # noqa: A002 (the name is the library's)
        pass


def _order_named(pairs: list[tuple[str, str]]) -> str:
    """The order (or the transfer) inside biz_content, or ``""``; the gateway itself reads it strictly later."""
    try:
        named = json.loads(dict(pairs).get("biz_content", "{}"))
    except ValueError:
        return ""
    return str(named.get("out_trade_no") or named.get("out_biz_no") or "") if isinstance(named, dict) else ""


def _language() -> str:
    return "en" if request.args.get("lang") == "en" else "zh"


def _words() -> dict[str, str]:
    return WORDS[_language()]


def _money(fen: int) -> str:
    return f"¥{fen // 100:,}.{fen % 100:02d}"
