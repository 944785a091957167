"""The way to the gateway and back: pooled connections, one deadline for the whole exchange, a cap on what is read.

No redirects, no repeats: whatever does not end in one whole answer with status 200 is ``Lost``, and the outcome unknown.
"""

import logging
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, Protocol

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, NewConnectionError

ANSWER_CAP = 1024 * 1024
BILL_CAP = 64 * 1024 * 1024
CONNECT_SECONDS = 5.0


class Lost(Exception):
    """No answer that counts. ``sent`` is False only if the request certainly never left."""

    def __init__(self, reason: str, detail: str = "", *, sent: bool = True) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
        self.sent = sent


class Transport(Protocol):
    """What a client needs of the outside; the emulator answers as one without a network. Both raise Lost."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """The whole body that answers a form."""

    def get(self, url: str) -> bytes:
        """The whole file at an address."""


class HttpTransport:
    """HTTP with a deadline of ``seconds`` from the first byte sent to the last byte read."""

    def __init__(self, seconds: float = 10.0) -> None:
        self._seconds = seconds

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """POST a form; the answer's body, at most 1 MB."""
        return self._exchange("POST", url, body, headers, self._seconds, ANSWER_CAP)

    def get(self, url: str) -> bytes:
        """GET a file, at most 64 MB, in six times the usual time."""
        return self._exchange("GET", url, None, {}, 6 * self._seconds, BILL_CAP)

    def _exchange(
        self, verb: str, url: str, body: bytes | None, headers: Mapping[str, str], seconds: float, cap: int
    ) -> bytes:
        deadline = time.monotonic() + seconds
        _using.line = line = _Line()
        watch = threading.Timer(seconds, line.cut)
        watch.daemon = True
        watch.start()
        try:
            response = _pool().request(
                verb, url, body=body, headers={**headers, "Accept-Encoding": "identity"}, redirect=False, retries=False,
                preload_content=False, timeout=urllib3.Timeout(connect=min(CONNECT_SECONDS, seconds), read=seconds),
            )  # fmt: skip
            try:
                return _whole(response, cap, deadline)
            except BaseException:
                response.close()  # a connection with an unread rest must not go back to the pool
                raise
            finally:
                response.release_conn()
        except (NewConnectionError, ConnectTimeoutError, NameResolutionError) as error:
            raise Lost("unreachable", type(error).__name__, sent=False) from error
        except (HTTPError, OSError, ValueError) as error:
            late = line.is_cut or time.monotonic() >= deadline
            raise Lost("deadline" if late else "broken", type(error).__name__) from error
        finally:
            watch.cancel()
            _using.line = None


def _whole(response: Any, cap: int, deadline: float) -> bytes:
    if response.status != 200:
        raise Lost("http_status", str(response.status))
    parts, size = [], 0
    for part in response.stream(65_536):
        size += len(part)
        if size > cap:
            raise Lost("too_long", str(cap))
        if time.monotonic() >= deadline:
            raise Lost("deadline")
        parts.append(part)
    promised = response.headers.get("Content-Length")
    if promised is not None and promised != str(size):
        raise Lost("truncated", f"{size} of {promised}")
    return b"".join(parts)


class _Line:
    """The socket that an exchange is using, for its watch to cut: a read timeout alone begins anew with every dripping byte."""

    def __init__(self) -> None:
        self.socket: socket.socket | None = None
        self.is_cut = False

    def cut(self) -> None:
        self.is_cut = True
        if self.socket is not None:
            with suppress(OSError):
                socket.socket.shutdown(self.socket, socket.SHUT_RDWR)  # the plain socket's, beneath TLS


_using = threading.local()


def _note(connection: HTTPConnection) -> None:
    line = getattr(_using, "line", None)
    if line is not None:
        line.socket = connection.sock


class _Plain(HTTPConnection):
    def request(self, *args: Any, **kwargs: Any) -> None:
        super().request(*args, **kwargs)
        _note(self)


class _Secure(HTTPSConnection):
    def request(self, *args: Any, **kwargs: Any) -> None:
        super().request(*args, **kwargs)
        _note(self)


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Secure


@lru_cache(maxsize=1)
def _pool() -> urllib3.PoolManager:
    # At DEBUG urllib3 writes whole addresses, and ours hold signatures.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)
    pool = urllib3.PoolManager(num_pools=8, maxsize=16, block=False)
    pool.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
    return pool
