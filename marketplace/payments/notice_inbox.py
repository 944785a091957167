"""The inbox of notices: each that a channel's server sent unasked and whose signature was right, and what came of it."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import clock
from marketplace.foundation.database import Model, Public, new_public_id
from marketplace.foundation.driver import Write

ASKING = "asking"  # the outcome of an event about which Stripe has not answered yet


class AlipayNotice(Public, Model):
    """The inbox: every notice of a channel (Alipay's, which named the table, or Stripe's events) whose signature was right."""

    __tablename__ = "alipay_notice"

    notify_id: Mapped[str] = mapped_column(String(128), index=True)
    out_trade_no: Mapped[str] = mapped_column(String(64), index=True)
    trade_status: Mapped[str] = mapped_column(String(32))
    total_fen: Mapped[int | None]
    received_at: Mapped[datetime]
    outcome: Mapped[str] = mapped_column(String(40))
    channel: Mapped[str] = mapped_column(String(16), default="alipay", server_default="alipay")
    handled_at: Mapped[datetime | None]  # of a refused one: a person looked into it
    handled_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    handling: Mapped[str] = mapped_column(String(300), default="", server_default="")
    claim: Mapped[dict[str, Any] | None]  # of an event of Stripe's: what it names and says, for our question to Stripe (``stripe_event``)


NOTICE_COLUMNS = ("public_id", "notify_id", "out_trade_no", "trade_status", "total_fen", "received_at", "outcome")
_NOTICE = f"INSERT INTO alipay_notice ({', '.join(NOTICE_COLUMNS)}) VALUES ({', '.join('?' * len(NOTICE_COLUMNS))})"  # noqa: S608 -- names from code


def notice_row(notify_id: str, out_trade_no: str, trade_status: str, total_fen: int | None, outcome: str) -> Write:
    """What puts a notice, and what came of it, into the inbox."""
    return _NOTICE, (new_public_id(), notify_id, out_trade_no, trade_status, total_fen, clock.now(), outcome)
