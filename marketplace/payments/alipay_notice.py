"""A notice from Alipay's server: the only news of a payment that comes unasked. It counts only if its signature is right.

Read it from ``request.form`` alone: a query string must never add to or override a signed field.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.payments.alipay_outcome import STATUSES, Status, fen_of, moment_of
from marketplace.payments.alipay_signing import form_content, verifies

MOST_FIELDS = 80


class BadNotice(InvalidInput):
    """A notice that is not to be believed; ``reason`` in data says why, for the log, without the form's content."""

    def __init__(self, reason: str) -> None:
        super().__init__("alipay.bad_notice", N_("支付通知不可信：%(reason)s"), reason=reason)


@dataclass(frozen=True)
class Notice:
    """What Alipay says of a trade. TRADE_CLOSED means unpaid and timed out, or paid and wholly refunded: see ``paid_at``.

    ``refunded_fen`` is the trade's sum of refunds; ``out_request_no`` the refund that this notice tells of.
    """

    notify_id: str
    app_id: str
    seller_id: str
    out_trade_no: str
    trade_no: str
    status: Status
    total_fen: int
    paid_at: datetime | None
    refunded_fen: int
    out_request_no: str | None


def verify_notice(form: Any, *, alipay_public_key_pem: str, app_ids: Collection[str] | None, also: Sequence[str] = ()) -> Notice:
    """The notice in ``form`` (a MultiDict, a mapping or pairs), which must come from one of ``app_ids`` (None: the caller looks).

    ``also``: further keys of Alipay that are believed while it changes its own.

    Raises BadNotice. That out_trade_no is ours, and that seller, application and amount are the payment's, the caller
    still compares with its own row.
    """
    fields = _once_each(form)
    if fields.get("sign_type") != "RSA2":
        raise BadNotice("sign_type")
    if fields.get("charset", "utf-8").lower() != "utf-8":
        raise BadNotice("charset")
    if not any(verifies(each, form_content(fields), fields.get("sign", "")) for each in (alipay_public_key_pem, *also)):
        raise BadNotice("signature")
    if not fields.get("app_id") or (app_ids is not None and fields["app_id"] not in app_ids):
        raise BadNotice("app_id")
    if fields.get("notify_type") != "trade_status_sync":
        raise BadNotice("notify_type")
    status = next((each for each in STATUSES if each == fields.get("trade_status")), None)
    total_fen, refunded_fen = fen_of(fields.get("total_amount")), fen_of(fields.get("refund_fee", "0"))
    if status is None:
        raise BadNotice("trade_status")
    if not total_fen or refunded_fen is None or refunded_fen > total_fen:
        raise BadNotice("total_amount")
    for name in ("notify_id", "out_trade_no", "trade_no", "seller_id"):
        if not fields.get(name):
            raise BadNotice(name)
    return Notice(
        notify_id=fields["notify_id"],
        app_id=fields["app_id"],
        seller_id=fields["seller_id"],
        out_trade_no=fields["out_trade_no"],
        trade_no=fields["trade_no"],
        status=status,
        total_fen=total_fen,
        paid_at=moment_of(fields.get("gmt_payment")),
        refunded_fen=refunded_fen,
        out_request_no=fields.get("out_biz_no") if "refund_fee" in fields else None,
    )


def _once_each(form: Any) -> dict[str, str]:
    """The fields, each given exactly once, as texts. Raises BadNotice."""
    pairs: Iterable[tuple[Any, Any]]
    if hasattr(form, "getlist"):
        pairs = form.items(multi=True)
    else:
        pairs = form.items() if isinstance(form, Mapping) else form
    fields: dict[str, str] = {}
    for name, value in pairs:
        if not isinstance(name, str) or not isinstance(value, str):
            raise BadNotice("form")
        if name in fields:
            raise BadNotice("repeated")
        fields[name] = value
        if len(fields) > MOST_FIELDS:
            raise BadNotice("too_long")
    return fields
