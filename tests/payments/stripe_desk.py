"""Stripe on loopback: localstripe, written by others, in a process and an environment of its own; before it a desk with what it lacks.

localstripe knows payment intents, refunds and signed webhooks. The desk adds the page on which one pays (Checkout) and disputes, answers the same
idempotency key with the same answer as Stripe does (localstripe does not), and fails when told to.
"""

import json
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import urllib3
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from tests.missing import missing

PINNED = Path(__file__).with_name("localstripe.txt")
KEY = {"Authorization": "Bearer sk_test_desk"}
# Its own way to start listens to the whole world and writes into /tmp.
LAUNCH = """
import socket
from aiohttp import web
from localstripe.resources import store
from localstripe.server import app
store.dump_to_disk = lambda: None
listening = socket.socket()
listening.bind(("127.0.0.1", 0))
listening.listen(64)
print(listening.getsockname()[1], flush=True)
web.run_app(app, sock=listening, print=None, access_log=None)
"""
SECRET = "whsec_desk_0123456789"
# What Stripe says to a restricted key, as people who met it report.
FORBIDDEN = "The provided key 'rk_test_*********3Nabc' does not have the required permissions for this endpoint on account 'acct_1ABC'."
BOUND = "The API key provided does not allow requests from your IP address."
NAMED = " Having the '{}' permission would allow this request to continue."
MISSING = b'{"error": {"type": "invalid_request_error", "code": "resource_missing", "message": "no such thing"}}'


class Desk:
    """``faults`` maps the beginning of "POST /v1/refunds" to how it fails, once each: before, after (it happened), busy or unauthorised."""

    def __init__(self, upstream: str) -> None:
        self.upstream, self.url = upstream, ""
        self.http = urllib3.PoolManager(retries=False, timeout=15)
        self.sessions: dict[str, dict[str, Any]] = {}
        self.disputes: list[dict[str, Any]] = []  # the latest first, as Stripe lists them
        self.turned: dict[str, dict[str, Any]] = {}  # what became of a refund or a payment later, by its name: localstripe's never change
        self.down = False
        self.kept: dict[str, tuple[bytes, int, bytes]] = {}
        self.keeps_keys = True
        self.fee = 0  # what Stripe keeps of each payment; localstripe keeps nothing
        self.moved: dict[str, Any] = {}  # what else of a payment's movement is not as localstripe has it
        self.faults: list[tuple[str, str]] = []
        self.forbidden: dict[str, str] = {}  # what the key may not do: a part of "GET /v1/refunds?limit=100", and the permission that Stripe names; or "address"
        self.asked: list[str] = []

    def __call__(self, environ: Any, start: Any) -> Any:
        request = Request(environ)
        what = f"{request.method} {request.path}"
        self.asked.append(what)
        if self.down:
            return _said(503, {"error": {"type": "api_error", "message": "down"}})(environ, start)
        whole = f"{what}?{unquote(request.query_string.decode())}"
        if (lacks := next((name for each, name in self.forbidden.items() if each in whole), None)) is not None:
            return _said(403, {"error": {"type": "invalid_request_error", "message": BOUND if lacks == "address" else FORBIDDEN + (NAMED.format(lacks) if lacks else "")}})(environ, start)
        fault = next((each for each in self.faults if what.startswith(each[0])), None)
        if fault:
            self.faults.remove(fault)
            if fault[1] in ("before", "busy", "unauthorised"):
                status = {"before": 502, "busy": 429, "unauthorised": 401}[fault[1]]
                return _said(status, {"error": {"type": "api_error", "message": "told to"}})(environ, start)
        status, body = self._answer(request)
        if fault and fault[1] == "after":
            return _said(504, {"error": {"type": "api_error", "message": "it happened"}})(environ, start)
        return Response(body, status, content_type="application/json")(environ, start)

    def ask(self, method: str, path: str, **fields: Any) -> dict[str, Any]:
        """Ask localstripe itself."""
        said = self.http.request_encode_body(method, self.upstream + path, fields=fields or None, encode_multipart=False, headers=KEY) if method == "POST" else self.http.request(method, self.upstream + path, headers=KEY)
        answer: dict[str, Any] = json.loads(said.data or b"{}")
        assert said.status == 200, answer
        return answer

    def pay(self, session_id: str, card: str = "4242424242424242") -> None:
        """The buyer pays on the page."""
        session = self.sessions[session_id]
        assert session["status"] == "open"
        card_of = {"type": "card", "card[number]": card, "card[exp_month]": "12", "card[exp_year]": "2040", "card[cvc]": "123"}
        method = self.ask("POST", "/v1/payment_methods", **card_of)
        self.ask("POST", f"/v1/payment_intents/{session['payment_intent']}", payment_method=method["id"])
        self.ask("POST", f"/v1/payment_intents/{session['payment_intent']}/confirm")
        session |= {"status": "complete", "payment_status": "paid"}

    def refund_of(self, intent: str) -> str:
        """How Stripe calls the latest refund of a payment."""
        return str(self.ask("GET", f"/v1/refunds?payment_intent={intent}")["data"][0]["id"])

    def webhook_to(self, url: str, secret: str = SECRET) -> None:
        self.ask("POST", "/_config/webhooks/market", url=url, secret=secret)

    def _answer(self, request: Request) -> tuple[int, bytes]:
        key, body = request.headers.get("Idempotency-Key", ""), request.get_data()
        if key and self.keeps_keys and request.method == "POST" and key in self.kept:
            known, status, answer = self.kept[key]
            return (status, answer) if known == body else (400, b'{"error": {"type": "idempotency_error", "message": "other request"}}')
        if request.path == "/v1/disputes":
            return 200, json.dumps({"object": "list", "url": "/v1/disputes", "has_more": False, "data": self.disputes}).encode()
        if request.path.startswith("/v1/disputes/"):
            named = next((each for each in self.disputes if each["id"] == request.path.split("/")[3]), None)
            return (200, json.dumps(named).encode()) if named else (404, MISSING)
        status, answer = self._of_sessions(request, body) if request.path.startswith("/v1/checkout/sessions") else self._passed_on(request, body)
        if key and request.method == "POST" and status < 500:
            self.kept[key] = (body, status, answer)
        return status, answer

    def _passed_on(self, request: Request, body: bytes) -> tuple[int, bytes]:
        query = f"?{request.query_string.decode()}" if request.query_string else ""
        headers = {name: request.headers[name] for name in ("Authorization", "Content-Type") if name in request.headers}
        said = self.http.request(request.method, f"{self.upstream}{request.path}{query}", body=body or None, headers=headers)
        if request.path.startswith("/v1/payment_intents/pi_") and request.method == "GET" and said.status == 200:
            intent = json.loads(said.data)
            moved = (intent.get("latest_charge") or {}).get("balance_transaction")
            if isinstance(moved, dict):
                moved |= {"fee": self.fee} | self.moved
            return 200, json.dumps(intent | self.turned.get(intent["id"], {})).encode()
        if request.path == "/v1/refunds" and request.method == "GET" and said.status == 200:
            listed = json.loads(said.data)
            return 200, json.dumps(listed | {"data": [each | self.turned.get(each["id"], {}) for each in listed["data"]]}).encode()
        if (name := request.path.split("/")[-1]) in self.turned and request.method == "GET" and said.status == 200:
            return 200, json.dumps(json.loads(said.data) | self.turned[name]).encode()
        return said.status, said.data

    def _of_sessions(self, request: Request, body: bytes) -> tuple[int, bytes]:
        form = dict(parse_qsl(body.decode()))
        parts = request.path.split("/")[4:]
        if not parts:
            line = "line_items[0][price_data]"
            number = form["payment_intent_data[metadata][out_trade_no]"]
            money = {"amount": form[f"{line}[unit_amount]"], "currency": form[f"{line}[currency]"]}
            intent = self.ask("POST", "/v1/payment_intents", **money, **{"metadata[out_trade_no]": number})
            session_id = f"cs_test_{secrets.token_hex(16)}"
            self.sessions[session_id] = {
                "id": session_id, "object": "checkout.session", "url": f"{self.url}/pay/{session_id}", "status": "open", "payment_status": "unpaid",
                "amount_total": intent["amount"], "currency": intent["currency"], "client_reference_id": form["client_reference_id"],
                "metadata": {"out_trade_no": form["metadata[out_trade_no]"]}, "payment_intent": intent["id"], "expires_at": int(form["expires_at"]),
            }  # fmt: skip
            return 200, json.dumps(self.sessions[session_id]).encode()
        session = self.sessions.get(parts[0])
        if session is None:
            return 404, MISSING
        if parts[1:] == ["expire"]:
            if session["status"] != "open":
                return 400, b'{"error": {"type": "invalid_request_error", "message": "only an open session expires"}}'
            self.ask("POST", f"/v1/payment_intents/{session['payment_intent']}/cancel")
            session["status"] = "expired"
            return 200, json.dumps(session).encode()
        intent = self.ask("GET", f"/v1/payment_intents/{session['payment_intent']}?expand[]=latest_charge")
        return 200, json.dumps({**session, "payment_intent": intent}).encode()


def _said(status: int, said: dict[str, Any]) -> Response:
    return Response(json.dumps(said), status, content_type="application/json")


class _Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        pass


@contextmanager
def served(application: Any) -> Iterator[str]:
    """A WSGI application on a port of its own; its address."""
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_Quiet)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def environment(folder: Path) -> Path:
    """The interpreter of an environment that holds localstripe as pinned."""
    python = folder / "environment" / "bin" / "python"
    uv = [sys.executable, "-m", "uv"]
    made = subprocess.run([*uv, "venv", "-q", "--python", sys.executable, folder / "environment"], check=False, capture_output=True, text=True)
    if made.returncode == 0:
        install = [*uv, "pip", "install", "-q", "--python", python, "--require-hashes", "-r", PINNED]
        made = subprocess.run(install, check=False, capture_output=True, text=True)
    if made.returncode != 0:
        missing(f"the package index, for localstripe: {made.stderr.strip()[-300:]}")
    return python


@contextmanager
def desk(python: Path) -> Iterator[Desk]:
    """localstripe on a free port of loopback, and the desk before it."""
    process = subprocess.Popen([python, "-c", LAUNCH], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        made = Desk(f"http://127.0.0.1:{int(process.stdout.readline())}")
        with served(made) as url:
            made.url = url
            yield made
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
