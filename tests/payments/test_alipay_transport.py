"""The way to the gateway: connections are kept, a body is read to its cap and no further, and what was broken off is not used again."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from marketplace.payments.alipay_transport import ANSWER_CAP, HttpTransport, Lost


class Server(ThreadingHTTPServer):
    """Answers a path ``/123`` with so many bytes, in chunks if the path ends in ``/chunked``; counts connections and requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.connections, self.requests = 0, 0
        self.url = f"http://127.0.0.1:{self.server_port}"

    def process_request(self, *request: Any) -> None:
        self.connections += 1
        super().process_request(*request)

    def handle_error(self, *request: Any) -> None:
        """A client that hangs up is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        self.server.requests += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        size = int(self.path.split("/")[1])
        self.send_response(200)
        if self.path.endswith("chunked"):
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            while size > 0:
                part = min(size, 65_536)
                self.wfile.write(b"%x\r\n" % part + b"x" * part + b"\r\n")
                size -= part
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.send_header("Content-Length", str(size))
            self.end_headers()
            self.wfile.write(b"x" * size)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def post(server: Server, path: str) -> bytes:
    return HttpTransport(30).post(server.url + path, b"a=1", {})


def test_one_connection_carries_many_exchanges(server: Server) -> None:
    assert [len(post(server, "/10")) for _ in range(5)] == [10] * 5
    assert (server.connections, server.requests) == (1, 5)


@pytest.mark.parametrize("how", ["", "/chunked"])
def test_a_body_is_read_to_its_cap_and_no_further(server: Server, how: str) -> None:
    assert len(post(server, f"/{ANSWER_CAP}{how}")) == ANSWER_CAP
    for size in (ANSWER_CAP + 1, 20 * ANSWER_CAP):
        with pytest.raises(Lost) as lost:
            post(server, f"/{size}{how}")
        assert (lost.value.reason, lost.value.sent) == ("too_long", True)


def test_a_connection_with_an_unread_rest_is_not_used_again(server: Server) -> None:
    with pytest.raises(Lost):
        post(server, f"/{5 * ANSWER_CAP}")
    assert post(server, "/3") == b"xxx"  # and not the rest of the other answer
    assert server.connections == 2
