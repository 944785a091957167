"""How an ordered fault looks on the wire: what is lost, late, cut or wrongly signed on the way back."""

import json
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from flask import Response, request

from marketplace.emulator.fault import Fault
from marketplace.emulator.refusal import MESSAGES, Refusal

_UNAVAILABLE = Refusal("20000", "isp.unknow-error", "系统繁忙")
_SIGN_TYPES = {"sha1_signature": "RSA", "md5_signature": "MD5"}

# Makes the signed response of a node; ``sign_type`` is only another than RSA2 for a fault.
Seal = Callable[..., bytes]
# The last genuine answers, (method, out_trade_no, body), for the faults that send another order's, or another refund's of the same order.
Answers = deque[tuple[str, str, bytes]]


def strike_before(faults: list[Fault], seal: Seal, method: str, out_trade_no: str, answers: Answers) -> Response | None:
    """Faults that strike before the gateway has acted: a delay, or an answer without a deed."""
    for each in faults:
        if each.kind == "delay_before":
            time.sleep(each.seconds)
        elif each.kind == "drop_before":
            return _dropped()
        elif each.kind == "http_502_before":
            return Response("<html>502 Bad Gateway</html>", 502)
        elif each.kind == "code_20000_before":
            return _json(seal(dict(_UNAVAILABLE.node())))
        elif each.kind == "other_refund_before" and method == "alipay.trade.refund":
            told = next((kept for asked, number, kept in reversed(answers) if (asked, number) == (method, out_trade_no)), None)
            if told is not None:
                return _json(told)
    return None


def strike_after(
    faults: list[Fault],
    seal: Seal,
    method: str,
    out_trade_no: str,
    node: dict[str, Any],
    answers: Answers,
) -> Response:
    """The answer to a deed that is done and kept, spoiled as ordered."""
    body = seal(node)
    answers.append((method, out_trade_no, body))
    for each in faults:
        if each.kind == "delay_after":
            time.sleep(each.seconds)
        elif each.kind == "drop_after":
            return _dropped()
        elif each.kind == "http_502":
            return Response("<html>502 Bad Gateway</html>", 502)
        elif each.kind == "http_302":
            return Response("", 302, {"Location": request.url})
        elif each.kind == "truncate":
            # Werkzeug closes the connection after the half, so the promised length never comes.
            return Response(
                iter([body[: len(body) // 2]]),
                headers={"Content-Length": str(len(body))},
                content_type="application/json",
            )
        elif each.kind == "drip":
            return Response(
                _drip(body, each.seconds),
                headers={"Content-Length": str(len(body))},
                content_type="application/json",
            )
        elif each.kind == "empty":
            body = seal({})
        elif each.kind == "code_10003":
            body = seal(node | {"code": "10003", "msg": MESSAGES["10003"]})
        elif each.kind == "code_20000":
            body = seal(dict(_UNAVAILABLE.node()))
        elif each.kind in _SIGN_TYPES:
            body = seal(node, sign_type=_SIGN_TYPES[each.kind])
        elif each.kind == "no_signature":
            name = f"{method.replace('.', '_')}_response"
            body = json.dumps({name: node}, ensure_ascii=False).encode()
        elif each.kind == "bad_signature":
            signed_for_else = seal(node | {"msg": "Succes"})
            body = body[: body.rindex(b'"sign":"')] + signed_for_else[signed_for_else.rindex(b'"sign":"') :]
        elif each.kind == "other_order":
            body = next(
                (
                    kept
                    for asked, number, kept in reversed(answers)
                    if number != out_trade_no and asked == method
                ),
                body,
            )
    return _json(body)


def _json(body: bytes) -> Response:
    return Response(body, content_type="text/html;charset=utf-8")  # so does Alipay's gateway


def _dropped() -> Response:
    connection: socket.socket = request.environ["werkzeug.socket"]
    connection.shutdown(socket.SHUT_RDWR)
    return Response("")


def _drip(body: bytes, seconds: float) -> Iterator[bytes]:
    for position in range(len(body)):
        yield body[position : position + 1]
        time.sleep(seconds)
