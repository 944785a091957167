"""A letter by e-mail: a row of the outbox of kind ``mail``, sent by a job over SMTP. Without a mail server letters wait and are kept.

Its Message-ID comes from the row, so that a letter sent twice (the server took it and died before it said so) is known as one by
whoever gets it. A letter to a person names the person's row, not the address: it is looked up when it is sent.
"""

import contextlib
import hashlib
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr
from typing import Any

from marketplace.foundation import clock, outbox
from marketplace.foundation.config import Settings, is_mail_address, settings
from marketplace.foundation.database import db
from marketplace.foundation.errors import InvalidInput, OutsideFailure
from marketplace.foundation.language import N_

KIND = "mail"
TRIES = 14  # over some two days, then a person is told
DEADLINE = 20  # seconds that a mail server may take for one answer
PORTS = {"starttls": 587, "tls": 465, "none": 25}
LONGEST_SUBJECT = 200


@dataclass(frozen=True)
class Letter:
    """What is sent: plain text to one address, under a number that is its own for good."""

    number: str
    to: str
    subject: str
    text: str


Writer = Callable[[int], tuple[str, str, str] | None]
# What a row's payload names is written when it is sent: kind → (id → address, subject, text), None when nobody wants it any more.
writers: dict[str, Writer] = {}


def written(kind: str) -> Callable[[Writer], Writer]:
    """Register who writes letters of ``kind``, and only reads."""

    def register(writer: Writer) -> Writer:
        writers[kind] = writer
        return writer

    return register


def post(number: str, *, to: str, subject: str, text: str) -> None:
    """Ask for a letter to an address of the configuration. InvalidInput ``mail.header`` for an address or subject that is none."""
    letter = Letter(number[:80], to, subject, text)
    _must_be_plain(letter)
    outbox.put(KIND, letter.number, {"number": letter.number, "to": to, "subject": subject, "text": text})


def post_written(number: str, kind: str, row_id: int) -> None:
    """Ask for a letter that ``kind``'s writer writes about a row, in the same transaction."""
    if kind not in writers:
        raise ValueError(kind)
    outbox.put(KIND, number[:80], {"number": number[:80], "written": kind, "id": row_id})


def can_send() -> bool:
    """Whether a mail server is configured."""
    return bool(settings().smtp_host)


def letter_of(payload: dict[str, Any]) -> Letter | None:
    """The letter that a row of the outbox asks for; None if nobody wants it any more. It only reads."""
    if "written" in payload:
        said = writers[payload["written"]](int(payload["id"]))
        return None if said is None else Letter(payload["number"], *said)
    to, subject, text = (str(payload[name]) for name in ("to", "subject", "text"))
    number = payload.get("number") or hashlib.sha256(f"{to}\x1f{subject}\x1f{text}".encode()).hexdigest()
    return Letter(number, to, subject, text)


def envelope(letter: Letter, sender: str) -> EmailMessage:
    """The letter as it travels: UTF-8 in seven bits, headers folded and encoded. InvalidInput ``mail.header``."""
    _must_be_plain(letter)
    message = EmailMessage(policy=SMTP)
    message["From"] = formataddr(("靖安集", sender))
    message["To"] = letter.to
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(clock.now())
    message["Message-ID"] = message_id(letter.number, sender)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text, charset="utf-8", cte="base64")
    return message


def message_id(number: str, sender: str) -> str:
    """The same for the same number, whenever it is sent."""
    return f"<{hashlib.sha256(number.encode()).hexdigest()[:32]}@{sender.rpartition('@')[2]}>"


def send(letter: Letter, config: Settings) -> None:
    """Hand the letter to the mail server. outbox.GiveUp if the server says never, OutsideFailure ``mail.unsent`` if it may yet."""
    message = envelope(letter, config.mail_from)
    try:
        server = _connected(config)
        try:
            server.send_message(message, from_addr=config.mail_from, to_addrs=[letter.to])
        finally:
            # Once the letter is taken, how the server says good-bye changes nothing.
            with contextlib.suppress(smtplib.SMTPException, OSError):
                server.quit()
            server.close()
    except smtplib.SMTPRecipientsRefused as error:
        code, said = next(iter(error.recipients.values()))
        _refused(code, said, letter, error)
    except smtplib.SMTPResponseException as error:
        if isinstance(error, smtplib.SMTPAuthenticationError | smtplib.SMTPConnectError | smtplib.SMTPHeloError):
            raise _unsent(str(error.smtp_code)) from error  # it refuses us, not this letter: a person may mend that
        _refused(error.smtp_code, error.smtp_error, letter, error)
    except (smtplib.SMTPException, OSError) as error:
        raise _unsent(f"{type(error).__name__}: {error}"[:200].replace(letter.to, masked(letter.to))) from error


def _refused(code: int, said: bytes | str, letter: Letter, error: Exception) -> None:
    words = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    words = f"{code} {words}".replace(letter.to, masked(letter.to))[:300]
    if 500 <= code < 600:
        raise outbox.GiveUp(words) from error
    raise _unsent(words) from error


def _unsent(reason: str) -> OutsideFailure:
    return OutsideFailure("mail.unsent", N_("邮件服务器没有收下这封信（%(reason)s），稍后再发。"), reason=reason)


def _connected(config: Settings) -> smtplib.SMTP:
    """A session with the server, encrypted as configured: never in the clear where it was not said."""
    port = config.smtp_port or PORTS[config.smtp_security]
    ours = config.mail_from.rpartition("@")[2]
    if config.smtp_security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(config.smtp_host, port, ours, timeout=DEADLINE, context=ssl.create_default_context())
    else:
        server = smtplib.SMTP(config.smtp_host, port, ours, timeout=DEADLINE)
    try:
        if config.smtp_security == "starttls":
            server.starttls(context=ssl.create_default_context())
        if config.smtp_user:
            server.login(config.smtp_user, config.smtp_password)
    except BaseException:
        server.close()
        raise
    return server


def masked(address: str) -> str:
    """An address as colleagues may see it: l**@example.org."""
    local, at, host = address.rpartition("@")
    return f"{local[:1]}**{at}{host}"


def _must_be_plain(letter: Letter) -> None:
    if not is_mail_address(letter.to):
        raise InvalidInput("mail.header", N_("这不是一个邮箱地址。"), field="to")
    if not letter.subject.strip() or len(letter.subject) > LONGEST_SUBJECT or any(ord(each) < 32 or ord(each) == 127 for each in letter.subject):
        raise InvalidInput("mail.header", N_("邮件的标题要写成一行，最多 200 字。"), field="subject")


@outbox.handles(KIND, most=TRIES, when=can_send, asks="mail")
def _mail(payload: dict[str, Any]) -> None:
    letter = letter_of(payload)
    db.session.rollback()  # it was only read: no statement stays open while a mail server takes its time
    if letter is None:
        return
    try:
        send(letter, settings())
    except InvalidInput as error:
        raise outbox.GiveUp(error.code) from error
