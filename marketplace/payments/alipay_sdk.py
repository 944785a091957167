"""Alipay's official SDK, hardened in one place: the only file that imports it, and only when it is first needed.

Its signing, verifying, posting and clock are replaced by ours; an answer counts only if it is the asked node, whole and
signed, and what the SDK cut out of it is what we read. No logger is ever passed: it would write biz_content and signatures.
"""

import importlib
import json
import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

from marketplace.foundation import clock
from marketplace.payments.alipay_certificate import Certificates
from marketplace.payments.alipay_outcome import Misconfigured, Unknown
from marketplace.payments.alipay_signing import signature, verifies
from marketplace.payments.alipay_transport import Lost, Transport

# Between the node's closing brace and the signature, as the answer ends: what is inside the node is never touched.
_CERT_SN = re.compile(rb',\s*"alipay_cert_sn"\s*:\s*"[0-9a-f]{32}"\s*,(?=\s*"sign"\s*:\s*"[^"]*"\s*\}\s*$)')
_FORM_CODES = ("40001", "40002", "40003", "40006")


@dataclass(frozen=True)
class Application:
    """An application at a gateway, and the way to it."""

    gateway_url: str
    app_id: str
    private_key: str = field(repr=False)
    alipay_public_key: str = field(repr=False)
    transport: Transport = field(repr=False)
    certificates: Certificates | None = None
    # Further keys of Alipay that are believed while they change: (number of its certificate or nothing, public key).
    also: tuple[tuple[str, str], ...] = field(default=(), repr=False)


def page_url(
    application: Application, method: str, biz: Mapping[str, Any], *, notify_url: str, return_url: str
) -> str:
    """The signed address of a page, for the browser. The SDK's form would need an inline script; an address does not."""
    request = _request(application, method, biz)
    request.notify_url = notify_url
    request.return_url = return_url
    url: str = _client(application).page_execute(request, "GET")
    return url


def ask(
    application: Application, method: str, biz: Mapping[str, Any], *, notify_url: str = ""
) -> dict[str, Any] | Unknown | Misconfigured:
    """The verified node of the answer, if its code is 10000 or 40004; every other outcome as what it is."""
    request = _request(application, method, biz)
    request.notify_url = notify_url
    exchange = _Exchange(application, method)
    kept = _exchange.set(exchange)
    try:
        node = json.loads(_client(application).execute(request))
    except Lost as lost:
        return Unknown(lost.reason, lost.detail, sent=lost.sent)
    except Exception as error:
        if not exchange.sent:
            raise
        # Once the request has left, whatever breaks leaves the outcome unknown.
        return Unknown("unverified", type(error).__name__)
    finally:
        _exchange.reset(kept)
    if not exchange.verified or node != exchange.node:
        return Unknown("unverified")
    code, sub_code = node.get("code"), node.get("sub_code")
    if code in _FORM_CODES:
        return Misconfigured(str(code), str(sub_code))
    if (code == "10000" and not sub_code) or (code == "40004" and isinstance(sub_code, str)):
        return dict(node)
    return odd_code(node)


def odd_code(node: Mapping[str, Any]) -> Unknown:
    """A code that decides nothing: 10003, 20000, a sub_code that nobody listed."""
    return Unknown("code", f"{node.get('code')} {node.get('sub_code', '')}"[:80].strip())


class _Exchange:
    """One request under way inside the SDK, and what its answer was checked to be."""

    def __init__(self, application: Application, method: str) -> None:
        self._transport = application.transport
        self._cert_sn = application.certificates.alipay_sn if application.certificates else None
        self._also = application.also
        self._believed = [key for number, key in application.also if not number]
        self._node_name = f"{method.replace('.', '_')}_response"
        self._signature: Any = None
        self.sent = False
        self.verified = False
        self.node: Any = None

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """Send, and take only an answer that is the asked node and a signature, each once, and nothing else."""
        self.sent = True
        raw = self._transport.post(url, body, headers)
        try:
            whole = json.loads(raw.decode("utf-8"), object_pairs_hook=_without_twins)
        except ValueError as error:
            raise Lost("truncated", type(error).__name__) from error
        if isinstance(whole, dict) and self._cert_sn is not None and "sign" in whole:
            named = whole.pop("alipay_cert_sn", None)
            if named != self._cert_sn:
                # Alipay has a new certificate, or it is somebody else's: until a person adds it, nothing is believed.
                self._believed = [key for number, key in self._also if number and number == named]
                if not self._believed:
                    raise Lost("other_certificate")
            # The SDK wants the signature right behind the node. Moving what stands between leaves the node's text as it was signed.
            raw = _CERT_SN.sub(b",", raw, count=1)
        if not isinstance(whole, dict) or set(whole) != {self._node_name, "sign"}:
            unsigned = isinstance(whole, dict) and set(whole) == {self._node_name}
            raise Lost("unsigned" if unsigned else "other_node")
        self.node, self._signature = whole[self._node_name], whole["sign"]
        if not isinstance(self.node, dict) or not isinstance(self._signature, str):
            raise Lost("odd_answer")
        return raw

    def verify(self, public: str, message: bytes, signed: str) -> bool:
        """What the SDK cut out must be the node and the signature that we read, and the one must sign the other."""
        same = signed == self._signature and json.loads(message) == self.node
        self.verified = same and any(verifies(each, message, signed) for each in (public, *self._believed))
        return self.verified


_exchange: ContextVar[_Exchange] = ContextVar("alipay_exchange")


def _client(application: Application) -> Any:
    config = importlib.import_module("alipay.aop.api.AlipayClientConfig").AlipayClientConfig()
    config.server_url = application.gateway_url
    config.app_id = application.app_id
    config.app_private_key = application.private_key
    certificates = application.certificates
    config.alipay_public_key = certificates.alipay_public_key if certificates else application.alipay_public_key
    return _hardened().DefaultAlipayClient(config)


def _request(application: Application, method: str, biz: Mapping[str, Any]) -> Any:
    """The SDK's request of a method: ``alipay.trade.query`` is AlipayTradeQueryRequest, and so for all of them."""
    name = "".join(part.capitalize() for part in method.split(".")) + "Request"
    request = getattr(importlib.import_module(f"alipay.aop.api.request.{name}"), name)()
    request.biz_content = dict(biz)
    if application.certificates is not None:
        request.add_other_text_param("app_cert_sn", application.certificates.app_sn)
        request.add_other_text_param("alipay_root_cert_sn", application.certificates.root_sn)
    return request


@lru_cache(maxsize=1)
def _hardened() -> Any:
    """The SDK's client module with its seams replaced (to import it takes 100 ms and 15 MB)."""
    module: Any = importlib.import_module("alipay.aop.api.DefaultAlipayClient")
    module.sign_with_rsa2 = signature
    module.verify_with_rsa = lambda public, message, signed: _exchange.get().verify(public, message, signed)
    module.do_post = _do_post
    # It writes `datetime.datetime.now()` into the request, in the server's own zone; Alipay reads Beijing time.
    module.datetime = SimpleNamespace(datetime=_BeijingNow)
    return module


class _BeijingNow:
    @staticmethod
    def now() -> datetime:
        return clock.now().astimezone(clock.BEIJING)


def _do_post(
    url: str,
    query_string: str,
    headers: Mapping[str, str],
    params: Mapping[str, str],
    charset: str,
    timeout: float,
) -> bytes:
    return _exchange.get().post(
        f"{url}?{query_string}", urlencode(params, encoding=charset).encode(), headers
    )


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    whole = dict(pairs)
    if len(whole) != len(pairs):
        raise ValueError("a name stands twice")
    return whole
