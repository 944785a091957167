"""Alipay as a cooperative's channel: its client, and what the client's outcomes mean for a payment or a refund."""

from collections.abc import Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import select

from marketplace.foundation.config import EMULATOR_APPLICATIONS, Settings, settings
from marketplace.foundation.database import db, not_found
from marketplace.foundation.errors import Conflict, OutsideFailure
from marketplace.foundation.language import N_
from marketplace.organisations.organisation import Cooperative
from marketplace.payments import alipay_key
from marketplace.payments.alipay import AlipayClient, MergeOrder
from marketplace.payments.alipay_account_bill import AccountBill
from marketplace.payments.alipay_certificate import Certificates, read_certificates
from marketplace.payments.alipay_key import Opened
from marketplace.payments.alipay_notice import Notice
from marketplace.payments.alipay_outcome import (
    Absent,
    Bill,
    BillAbsent,
    Closed,
    Misconfigured,
    NotRefunded,
    NotTransferred,
    Precreated,
    QrCode,
    Refunded,
    Refused,
    Trade,
    TransferEnded,
    Transferred,
    Unknown,
)
from marketplace.payments.alipay_signing import BadKey
from marketplace.payments.alipay_transfer import Payee
from marketplace.payments.channel import (
    NOT_PERMITTED,
    NOT_REFUNDED,
    NOT_TRANSFERRED,
    UNSENT,
    Answer,
    Attempt,
    merging,
)
from marketplace.payments.outcome import Outcome
from marketplace.payments.payment import Payment

NEVER_OPENED = "ACQ.TRADE_NOT_EXIST"


class SellerChannel:
    """``payments.channel.Channel`` over one seller's client."""

    def __init__(self, client: AlipayClient) -> None:
        self.client = client

    def query(self, out_trade_no: str) -> Answer:
        return answer_of(self.client.query(out_trade_no))

    def close(self, out_trade_no: str) -> Answer:
        return answer_of(self.client.close(out_trade_no))

    def refund(self, out_trade_no: str, out_request_no: str, fen: int, reason: str) -> Answer:
        """What Alipay signs when money moved names the trade and the sum of all its refunds, but not this one: it is asked by number and
        amount before it counts. A replay is answered without a word either, and asked for too."""
        said = self.client.refund(out_trade_no, out_request_no, fen, reason)
        if not isinstance(said, Refunded) and not (isinstance(said, Unknown) and said.reason == "repeated"):
            return answer_of(said)
        known = self.client.refund_query(out_trade_no, out_request_no, fen)
        return answer_of(known) if isinstance(known, Refunded) else Answer("unknown", sub_code="unconfirmed")

    def refund_query(self, out_trade_no: str, out_request_no: str, fen: int) -> Answer:
        return answer_of(self.client.refund_query(out_trade_no, out_request_no, fen))

    def may_transfer(self) -> bool:
        return self.client.certificates is not None  # Alipay opens fund-out methods to nobody else

    def transfer(self, out_biz_no: str, fen: int, account: str, name: str, title: str) -> Answer:
        return _of_transfer(self.client.transfer(out_biz_no, fen, Payee(account, name), title))

    def transfer_query(self, out_biz_no: str, fen: int) -> Answer:
        return _of_transfer(self.client.transfer_query(out_biz_no, fen))


    def qr_code(self, attempt: Attempt, expires_at: datetime) -> Answer:
        return answer_of(
            self.client.precreate(
                attempt.out_trade_no, attempt.fen, attempt.subject, notify_url=notify_url(), expires_at=expires_at
            )
        )

    def merge(self, attempts: Sequence[Attempt], merge_no: str, expires_at: datetime) -> Answer:
        orders = [MergeOrder(each.app_id, each.seller_id, each.out_trade_no, each.fen, each.subject) for each in attempts]
        return answer_of(self.client.merge_precreate(orders, merge_no=merge_no, notify_url=notify_url(), expires_at=expires_at))

    def bill(self, day: date) -> Bill | BillAbsent | None:
        """The seller's bill of a Beijing day; None if it could not be fetched. Raises BadBill if it cannot be believed,
        OutsideFailure ``channel.stopped`` if Alipay refuses our keys, our form or the permission."""
        said = self.client.bill(day)
        must_be_taken(said)
        return said if isinstance(said, Bill | BillAbsent) else None

    def account_bill(self, day: date) -> AccountBill | BillAbsent | None:
        """Every movement of the seller's balance on a Beijing day; None if it is not to be had now. Raises as ``bill`` does."""
        said = self.client.account_bill(day)
        must_be_taken(said)
        return said if isinstance(said, AccountBill | BillAbsent) else None


def must_be_taken(said: object) -> None:
    """OutsideFailure ``channel.stopped`` if Alipay refused the keys, the form or the permission."""
    if isinstance(said, Misconfigured):
        raise OutsideFailure("channel.stopped", N_("支付渠道不接受我们的密钥或权限，先停十分钟。请检查密钥和配置。"), sub_code=f"{said.code}/{said.sub_code}")


def notify_url() -> str:
    """Where Alipay tells of a trade."""
    return f"{settings().base_url.rstrip('/')}/alipay/notice"


def client_for(organisation_id: int, *, account: str = "", seller_id: str = "") -> SellerChannel:
    """The channel of a cooperative over the application ``account``, by default the one it has now. NotFound if it is no cooperative,
    OutsideFailure ``alipay.unconfigured`` without keys."""
    seller = db.session.scalars(select(Cooperative).where(Cooperative.organisation_id == organisation_id)).one_or_none()
    if seller is None:
        raise not_found(Cooperative)
    return SellerChannel(_client(organisation_id, account or seller.alipay_app_id, seller_id or seller.alipay_seller_id))


def cashier_url(payments: Sequence[Payment], *, return_url: str, wap: bool = False) -> str:
    """Where to send the buyer (303) to pay these attempts in one act; ``wap``: on a phone. Nothing is sent by us.

    Several on a phone must have been announced before (``Channel.merge``). Raises Conflict ``payment.expired``,
    ``payment.unannounced``, OutsideFailure ``alipay.unconfigured``.
    """
    first = payments[0]
    if len(payments) == 1:
        return _client(first.organisation_id, first.app_id, first.seller_id).page_pay_url(
            first.out_trade_no,
            first.amount_fen,
            first.subject,
            notify_url=notify_url(),
            return_url=return_url,
            expires_at=first.expires_at,
            wap=wap,
        )
    platform = _client(first.organisation_id, merging(first), first.seller_id)
    if wap:
        if not first.precreated:
            raise Conflict("payment.unannounced", N_("付款页没有打开，钱没有扣。请再试一次。"))
        return platform.wap_merge_pay_url(first.precreated, return_url=return_url)
    orders = [MergeOrder(each.app_id, each.seller_id, each.out_trade_no, each.amount_fen, each.subject) for each in payments]
    return platform.merge_pay_url(
        orders, merge_no=first.merge_no or first.out_trade_no, notify_url=notify_url(), return_url=return_url, expires_at=first.expires_at
    )


def _client(organisation_id: int, app_id: str, seller_id: str) -> AlipayClient:
    if not settings().alipay_gateway:
        raise OutsideFailure("alipay.unconfigured", N_("支付宝还没有配置好，暂时不能付款。"), missing="gateway")
    if settings().is_production and app_id.startswith(EMULATOR_APPLICATIONS):
        raise OutsideFailure("alipay.unconfigured", N_("支付宝还没有配置好，暂时不能付款。"), missing="app_id")
    try:
        keys = alipay_key.opened(organisation_id, app_id, configured_keys(app_id))
        if keys is None:
            raise BadKey("key")
        return _kept_client(settings().alipay_gateway, app_id, seller_id, keys)
    except BadKey as error:
        raise OutsideFailure("alipay.unconfigured", N_("支付宝还没有配置好，暂时不能付款。"), missing=str(error)) from error


@lru_cache(maxsize=256)
def _kept_client(gateway: str, app_id: str, seller_id: str, keys: Opened) -> AlipayClient:
    # Kept, so that connections to the gateway are kept too.
    return AlipayClient(gateway, app_id, seller_id, keys.private_key, keys.public_key, certificates=keys.certificates, also=keys.also)


def believed_keys(app_id: str, out_trade_no: str) -> list[str]:
    """Alipay's public keys of which a notice to this application about this trade is believed: those of the trade's own seller, none if
    there is no such trade. OutsideFailure ``alipay.unconfigured`` without one."""
    of_trade = select(Payment.organisation_id).where(Payment.out_trade_no == out_trade_no, Payment.app_id == app_id)
    organisation_id = db.session.scalar(of_trade)
    if organisation_id is None:
        return []
    try:
        configured = configured_keys(app_id)
    except BadKey:  # its certificates are over, the key beside them is not
        configured = Opened("", settings().alipay_public_key or _of_emulator("alipay_public.pem"))
    try:
        keys = alipay_key.believed(organisation_id, app_id, configured)
    except BadKey as error:
        raise OutsideFailure("alipay.unconfigured", N_("支付宝还没有配置好，暂时不能付款。"), missing=str(error)) from error
    if not keys:
        _of_emulator("alipay_public.pem")
    return keys


def configured_public_key(of: Settings | None = None) -> str:
    """Alipay's public key as the configuration says it; in a demonstration the emulator's. Empty if there is none."""
    return (of or settings()).alipay_public_key or _of_emulator("alipay_public.pem", missing="", of=of)


def configured_keys(app_id: str) -> Opened | None:
    """The keys that the configuration says, or in a demonstration the emulator's folder; None if it says none. BadKey."""
    private = settings().alipay_private_key or _of_emulator("app_private.pem", missing="")
    public = configured_public_key()
    if not public:
        return None
    return Opened(private, public, (alipay_key.configured_certificates(app_id) or _certificates_of_emulator(app_id, settings())) if private else None)


def outcome_of_notice(notice: Notice) -> Outcome:
    """What a verified notice says."""
    return Outcome(
        out_trade_no=notice.out_trade_no,
        state=_state(notice.status),
        total_fen=notice.total_fen,
        trade_no=notice.trade_no,
        app_id=notice.app_id,
        seller_id=notice.seller_id,
        at=notice.paid_at,
        refunded_fen=notice.refunded_fen,
        refund_no=notice.out_request_no or "",
    )


def answer_of(said: Any) -> Answer:
    """The port's answer to what the client said. Misconfigured stays unknown: nothing happened, and a person must mend it."""
    match said:
        case Trade():
            outcome = Outcome(
                out_trade_no=said.out_trade_no,
                state=_state(said.status),
                total_fen=said.total_fen,
                trade_no=said.trade_no,
                at=said.paid_at,
                # A query tells no sum of refunds; but what was paid and is closed went back whole.
                refunded_fen=said.total_fen if said.status == "TRADE_CLOSED" and said.paid_at else 0,
            )
            return Answer("succeeded", trade=outcome, told={"status": said.status, "fen": said.total_fen})
        case Closed():
            return Answer("succeeded", trade=Outcome(said.out_trade_no, "closed"), told={"status": "closed"})
        case Refunded():
            return Answer("succeeded", told={"fen": said.fen, "total_refunded_fen": said.total_refunded_fen})
        case QrCode():
            return Answer("succeeded", told={"status": "precreated"}, code=said.code)
        case Precreated():
            return Answer("succeeded", told={"status": "precreated"}, code=said.pre_order_no)
        case Absent():
            return Answer("refused", sub_code=NEVER_OPENED)
        case NotRefunded():
            return Answer("refused", sub_code=NOT_REFUNDED)
        case Refused():
            return Answer("unknown" if said.passing else "refused", sub_code=said.sub_code)
        case Misconfigured():
            told = {"misconfigured": True} | ({} if said.of_account else {"of_kind": True})
            return Answer("unknown", sub_code=f"{said.code}/{said.sub_code}", told=told)
        case _:
            return Answer("unknown", sub_code=str(getattr(said, "reason", ""))[:60])


def _of_transfer(said: Any) -> Answer:
    """What the client said of a transfer. A refusal that may pass is a refusal all the same: nothing happened by that request."""
    match said:
        case Misconfigured(unsent=True):
            return Answer("refused", sub_code=NOT_PERMITTED, told={"passing": True, **UNSENT})
        case Transferred():
            told = {"status": "SUCCESS", "order_id": said.order_id, "paid_at": said.paid_at.isoformat() if said.paid_at else None}
            return Answer("succeeded", told=told)
        case TransferEnded():
            return Answer("refused", sub_code=said.error_code, told={"status": said.status})
        case NotTransferred():
            return Answer("refused", sub_code=NOT_TRANSFERRED)
        case Refused():
            return Answer("refused", sub_code=said.sub_code, told={"passing": said.passing})
        case Unknown(reason="under_way"):
            return Answer("unknown", sub_code=said.reason, told={"status": said.detail})
        case Unknown(reason="other_amount"):
            return Answer("unknown", sub_code=said.reason, told={"ended": said.detail})
        case _:
            return answer_of(said)


def _state(status: str) -> str:
    if status in ("TRADE_SUCCESS", "TRADE_FINISHED"):
        return "succeeded"
    return "closed" if status == "TRADE_CLOSED" else "pending"


def _certificates_of_emulator(app_id: str, given: Settings) -> Certificates | None:
    folder = given.data_dir / "emulator" / "certificates"
    if given.is_production or given.alipay_private_key or not (folder / f"{app_id}.crt").exists():
        return None
    return read_certificates(folder, app_id)


def _of_emulator(name: str, missing: str | None = None, of: Settings | None = None) -> str:
    given = of or settings()
    path = given.data_dir / "emulator" / name
    if given.is_production or not path.exists():
        if missing is not None:
            return missing
        raise OutsideFailure("alipay.unconfigured", N_("支付宝还没有配置好，暂时不能付款。"), missing=name)
    return path.read_text()
