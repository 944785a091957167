"""A real mail server on loopback that takes letters, or fails in one of the ways mail servers fail."""

import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class Postbox:
    """What the server took, and how it behaves: ``refuse`` answers recipients, ``after_data`` the letter; ``dies``: it took it and is gone."""

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []
        self.refuse = self.after_data = ""
        self.dies = False

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802 -- the library's name
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 -- the library's name
        if self.after_data:
            return self.after_data
        self.taken.append(cast(EmailMessage, message_from_bytes(envelope.content, policy=default)))
        if self.dies:
            server.transport.abort()
        return "250 OK"


class _AnyPort(Controller):
    """The library asks itself whether it started on the port that it was given: it is told which one it got."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        super()._trigger_server()


@contextmanager
def mail_server(**how: Any) -> Iterator[tuple[Postbox, int]]:
    """A server on a port of its own, until the block ends."""
    box = Postbox()
    server = _AnyPort(box, hostname="127.0.0.1", port=0, **how)
    server.start()
    try:
        yield box, server.port
    finally:
        server.stop()


def signing_in(user: str, password: str) -> dict[str, Any]:
    """What makes the server ask for a name, over TLS only."""
    return {
        "auth_required": True,
        "require_starttls": True,
        "authenticator": lambda _server, _session, _envelope, _how, said: AuthResult(
            success=(said.login, said.password) == (user.encode(), password.encode())
        ),
    }


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate of 127.0.0.1, to be trusted by who reads the file, and the server's context."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "mail.crt", folder / "mail.key"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return public, context
