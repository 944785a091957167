"""A permission that the key of a Stripe account lacks: calls of one kind are refused for it, from when Stripe first says so until it takes one.

Only that kind waits; whatever else the key may do goes on. The cooperative's directors are told once, what it is and where to add it; money's
health shows it as long as it lasts.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, String, UniqueConstraint, delete, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock, outbox
from marketplace.foundation.database import Model, Public, db, locked
from marketplace.foundation.language import N_
from marketplace.notices import message
from marketplace.notices.message import Say
from marketplace.organisations.person import Person, Role
from marketplace.payments import channel_key
from marketplace.payments.channel_key import SIGNS, ChannelKey

# What Stripe's console calls what a permission opens.
RESOURCES = {
    "rak_checkout_session": "Checkout Sessions", "rak_payment_intent": "PaymentIntents", "rak_charge": "Charges and Refunds", "rak_refund": "Charges and Refunds",
    "rak_dispute": "Disputes", "rak_balance_transaction_source": "Balance transaction sources", "rak_balance": "Balance",
}  # fmt: skip
# What does not happen meanwhile, by the kind of call.
WAITS = {
    "event": N_("付款的通知没法核实"), "event_page": N_("付款的通知没法核实"), "event_refund": N_("退款的通知和每天的退款核对做不了"),
    "event_dispute": N_("买家追款的通知和每天的追款核对做不了"), "checkout": N_("买家打不开银行卡的付款页"), "query": N_("付款的结果问不到"),
    "close": N_("作废的付款页关不掉"), "fee": N_("手续费问不到，没有记账"), "refund": N_("退款退不出去"), "refund_query": N_("退款的结果问不到"),
}  # fmt: skip
STILL = timedelta(seconds=outbox.BACKOFF[-1]) + timedelta(hours=1)
OTHER = N_("有一类请求办不了")
HOW = N_("在 Stripe 后台打开 Developers → API keys，找到这把密钥，点 Edit key，把 %(what)s 设成 %(access)s，再保存。密钥不用换，等着的最晚六小时自动接着办。")


class LackingPermission(Public, Model):
    """``kind`` is of the call that is refused, ``permission`` Stripe's name of what is missing, ``seen_at`` when that was said last. Gone once a call
    of the kind is taken."""

    __tablename__ = "lacking_permission"
    __table_args__ = (UniqueConstraint("organisation_id", "account", "kind"),)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    account: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    permission: Mapped[str] = mapped_column(String(60))
    since: Mapped[datetime]
    seen_at: Mapped[datetime]


def heard(organisation_id: int, account: str, kind: str, permission: str) -> None:
    """What Stripe said of a call: that the key lacks this permission for it; or, empty, that it may."""
    if not permission:
        gone = _of(organisation_id, account).where(LackingPermission.kind == kind)
        for row in db.session.scalars(gone).all():
            audit.record("permission.granted", row, organisation_id=organisation_id, account=account, kind=kind, permission=row.permission)
            db.session.execute(delete(LackingPermission).where(LackingPermission.id == row.id))
        return
    signing = channel_key.signing(organisation_id, "stripe", account)
    if signing is None:
        return
    locked(ChannelKey, signing.id)  # two workers take turns
    known = list(db.session.scalars(_of(organisation_id, account).execution_options(populate_existing=True)))
    for each in [each for each in known if each.seen_at < clock.now() - STILL]:  # nothing waited for it meanwhile: it is news again
        db.session.delete(each)
        known.remove(each)
    db.session.flush()
    row = next((each for each in known if each.kind == kind), None)
    if row is not None and row.permission == permission:
        row.seen_at = clock.now()
        db.session.flush()
        return
    told = any(each.permission == permission for each in known)
    if row is None:
        row = LackingPermission(organisation_id=organisation_id, account=account, kind=kind, since=clock.now())
        db.session.add(row)
    row.permission, row.seen_at = permission, clock.now()
    db.session.flush()
    audit.record("permission.lacking", row, organisation_id=organisation_id, account=account, kind=kind, permission=permission)
    if not told:
        _tell(row)


def open_ones() -> ColumnElement[bool]:
    """Those of accounts for which a key signs still, and that something waits for: what waits is tried again at least so often as ``STILL`` says."""
    its = ChannelKey.organisation_id == LackingPermission.organisation_id, ChannelKey.account == LackingPermission.account
    signs = select(ChannelKey.id).where(*its, ChannelKey.channel == "stripe", ChannelKey.state.in_(SIGNS)).exists()
    return signs & (LackingPermission.seen_at >= clock.now() - STILL)


def of(organisation_id: int) -> list[LackingPermission]:
    """What a cooperative's keys lack now, the oldest first."""
    query = select(LackingPermission).where(LackingPermission.organisation_id == organisation_id, open_ones())
    return list(db.session.scalars(query.order_by(LackingPermission.id)))


def in_console(permission: str) -> tuple[str, str]:
    """(what, Read or Write) as Stripe's console names a permission."""
    of_what, _, access = permission.rpartition("_")
    return RESOURCES.get(of_what, of_what or permission), "Write" if access == "write" else "Read"


def _of(organisation_id: int, account: str) -> Any:
    return select(LackingPermission).where(LackingPermission.organisation_id == organisation_id, LackingPermission.account == account)


def _tell(row: LackingPermission) -> None:
    directors = (
        select(Role.person_id)
        .join(Person, Person.id == Role.person_id)
        .where(Role.organisation_id == row.organisation_id, Role.name == "director", Person.deactivated_at.is_(None))
    )
    data = {"account": row.account, "kind": row.kind, "permission": row.permission}
    for person_id in db.session.scalars(directors).all():
        number = f"lacks:{row.public_id}:{person_id}:{row.permission}"
        message.write("stripe.lacks", number, data, person_id=person_id, organisation_id=row.organisation_id, path="/keys", by_mail=True)


@message.worded("stripe.lacks")
def _words(data: dict[str, Any], say: Say) -> tuple[str, str]:
    what, access = in_console(data["permission"])
    subject = say(N_("Stripe 的密钥缺一项权限：%(what)s"), what=what)
    named = {"account": data["account"], "permission": data["permission"], "waits": say(WAITS.get(data["kind"], OTHER))}
    why = say(N_("Stripe 说，账户 %(account)s 的受限密钥没有权限 %(permission)s，所以%(waits)s。其余的照常办；等着的不会丢。"), **named)
    return subject, f"{why}\n\n{say(HOW, what=what, access=access)}"
