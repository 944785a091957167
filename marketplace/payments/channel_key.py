"""A key with which a cooperative's channel is opened, or the platform's: added beside the one in use, confirmed and then switched to by a
second person, and retired when nothing signed with the old one can come any more.

ADDED → CURRENT → OLD → RETIRED. We sign with CURRENT; what comes signed with CURRENT, with OLD, or with an ADDED one that was confirmed is
believed. So both sides change when it suits them and nothing is refused in between, and no single person can bring a key with which to say
that something was paid, or of an account of their own to be paid to. The material is sealed; a retired key's is destroyed.
"""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, func, select, text
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.crypto import Sealed, sealed_column
from marketplace.foundation.database import Model, Public, Versioned, db, get, locked, locked_where
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Organisation
from marketplace.payments import key_owner, key_print
from marketplace.payments.key_owner import Owned

CHANNELS = ("alipay", "stripe")
MAY_GO_BACK = timedelta(days=180)  # after which Stripe itself refunds no card any more, and no bank begins a dispute
LONGEST = timedelta(days=366)  # within which Alipay refunds, whatever was agreed with it
KEPT = ("ADDED", "CURRENT", "OLD")
SIGNS = ("CURRENT", "OLD")  # with an old one: of an account that was left
IN_USE = text("state = 'CURRENT'")


class ChannelKey(Public, Versioned, Model):
    """``organisation_id`` is whose account it opens: a cooperative, or the operator for what the platform signs. ``account`` is the
    channel's name of it, ``fingerprint`` what people compare; neither is secret."""

    __tablename__ = "channel_key"
    __table_args__ = (
        CheckConstraint("state IN ('ADDED','CURRENT','OLD','RETIRED')", name="state"),
        CheckConstraint("channel IN ('alipay','stripe')", name="channel"),
        CheckConstraint("switched_by_id IS NULL OR switched_by_id <> added_by_id", name="two_people"),
        CheckConstraint("confirmed_by_id IS NULL OR confirmed_by_id <> added_by_id", name="confirmed_by_another"),
        CheckConstraint("(state = 'RETIRED') = (material_sealed = '')", name="destroyed"),
        Index("uq_channel_key_current", "organisation_id", "channel", unique=True, sqlite_where=IN_USE, postgresql_where=IN_USE),
        Index("ix_channel_key_owner", "organisation_id", "channel", "state"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    channel: Mapped[str] = mapped_column(String(16))
    account: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))  # secret (Stripe), key or certificate (Alipay)
    fingerprint: Mapped[str] = mapped_column(String(80))
    material_sealed: Mapped[str] = sealed_column(60_000)
    material = Sealed()
    state: Mapped[str] = mapped_column(String(8), default="ADDED")
    added_at: Mapped[datetime]
    added_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    confirmed_at: Mapped[datetime | None]
    confirmed_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    switched_at: Mapped[datetime | None]
    switched_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    retired_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]  # when its earliest certificate ends
    wrong_since: Mapped[datetime | None]  # when the channel first said, while it is in use, that it is not this account's (``key_check``)
    wrong_code: Mapped[str] = mapped_column(String(40), default="", server_default="")

    @property
    def believed(self) -> bool:
        """Whether something that comes signed with it counts."""
        return self.state in ("CURRENT", "OLD") or (self.state == "ADDED" and self.confirmed_at is not None)

    @property
    def parts(self) -> dict[str, str]:
        """The secrets themselves, by name."""
        opened: dict[str, str] = json.loads(self.material)
        return opened


def keep(
    organisation_id: int, channel: str, parts: dict[str, str], *, account: str, kind: str, fingerprint: str, expires_at: datetime | None, actor: Actor
) -> ChannelKey:
    """A checked key beside the one in use. Conflict ``key.known`` if the same stands there, ``key.waiting`` while another waits."""
    may_handle(organisation_id, actor)
    locked(Organisation, organisation_id)
    for row in _of(organisation_id, channel, KEPT):
        if row.fingerprint == fingerprint:
            raise Conflict("key.known", N_("这套密钥已经在了。"), fingerprint=fingerprint)
        if row.state == "ADDED":
            raise Conflict("key.waiting", N_("已经有一套新密钥等着启用。先启用它，或把它作废。"))
    row = ChannelKey(
        organisation_id=organisation_id, channel=channel, account=account, kind=kind, fingerprint=fingerprint, state="ADDED", added_at=clock.now(),
        added_by_id=actor.person_id, expires_at=expires_at, version=1,
    )  # fmt: skip
    row.material = json.dumps(parts)
    db.session.add(row)
    db.session.flush()
    _record("added", row, actor)
    return row


def confirm(key_id: int, *, seen: str, seen_key: str = "", version: int | None = None, actor: Actor) -> ChannelKey:
    """Another person than who added it has seen that it is the channel's: from now on what comes signed with it is believed.

    ``seen`` and ``seen_key`` are what they read in the channel's console (``key_print.to_type``, ``key_to_type``). InvalidInput ``key.seen`` if
    either is of another key; Conflict ``key.state``, ``version.stale``; NotAllowed ``key.own``.
    """
    row = _handled(key_id, actor)
    row.must_be_version(row.version if version is None else version)
    if row.state != "ADDED" or row.confirmed_at is not None:
        raise Conflict("key.state", N_("这套密钥不在等核对。"), state=row.state)
    _must_be_anothers(row, actor)
    for field, fits in (("seen", key_print.is_seen(row.channel, row.parts, seen)), ("seen_key", key_print.is_key_seen(row.channel, row.parts, seen_key))):
        if not fits:
            raise InvalidInput("key.seen", N_("和这套密钥的不一样。请到渠道的后台看，不要抄加的人给的；真的不一样，就把这一套作废。"), field=field)
    row.confirmed_at, row.confirmed_by_id = clock.now(), actor.person_id
    _record("confirmed", row, actor)
    db.session.flush()
    return row


def switch(key_id: int, *, owned: Owned | None = None, version: int | None = None, actor: Actor) -> ChannelKey:
    """Sign with this confirmed one from now on; the one before stays believed until it is retired. By another person than who added it.

    ``owned`` is what Stripe says now of whose key it is (``key_material.ask_before_switch``). InvalidInput ``key.other_account``; Conflict
    ``key.unasked``, ``key.state``, ``key.unconfirmed``, ``key.expired``, ``version.stale``; NotAllowed ``key.own``.
    """
    row = _handled(key_id, actor)
    row.must_be_version(row.version if version is None else version)
    if row.state != "ADDED":
        raise Conflict("key.state", N_("这套密钥不在等启用。"), state=row.state)
    _must_be_anothers(row, actor)
    if row.confirmed_at is None:
        raise Conflict("key.unconfirmed", N_("这套密钥还没有核对，核对过才能启用。"))
    if row.expires_at is not None and row.expires_at <= clock.now():
        raise Conflict("key.expired", N_("证书已经过期，不能启用。"))
    if row.channel == "stripe":
        key_owner.must_own(owned, account=row.account, secret_key=row.parts["secret_key"])
    for before in _of(row.organisation_id, row.channel, ("CURRENT",)):
        before.state, before.wrong_since, before.wrong_code = "OLD", None, ""
        before.version += 1
    db.session.flush()  # the database lets one be current
    row.state, row.switched_at, row.switched_by_id = "CURRENT", clock.now(), actor.person_id
    _record("switched", row, actor)
    db.session.flush()
    return row


def retire(key_id: int, *, version: int | None = None, actor: Actor) -> ChannelKey:
    """Never believe it again and destroy it. The one in use cannot be retired: switch first. Conflict ``key.state``, ``version.stale``;
    ``key.needed`` if it is the last of an account that was left and whose payments may have to go back."""
    row = _handled(key_id, actor)
    row.must_be_version(row.version if version is None else version)
    if row.state not in ("ADDED", "OLD"):
        raise Conflict("key.state", N_("正在用的密钥不能作废：先启用新的。作废过的不用再作废。"), state=row.state)
    _must_not_be_needed(row)
    row.state, row.retired_at, row.material = "RETIRED", clock.now(), ""
    _record("retired", row, actor)
    db.session.flush()
    return row


def current(organisation_id: int, channel: str) -> ChannelKey | None:
    """The key that an organisation signs with."""
    return next(iter(_of(organisation_id, channel, ("CURRENT",))), None)


def signing(organisation_id: int, channel: str, account: str = "") -> ChannelKey | None:
    """The key that an organisation signs with for ``account``: the one in use, or what was in use last if it has left that account."""
    if not account:
        return current(organisation_id, channel)
    rows = [row for row in _of(organisation_id, channel, SIGNS) if row.account == account]
    return max(rows, key=lambda row: (row.state == "CURRENT", row.id), default=None)


def switched_since(channel: str, account: str, moment: datetime) -> bool:
    """Whether another key of this account was switched to after ``moment``."""
    query = select(ChannelKey.id).where(ChannelKey.channel == channel, ChannelKey.account == account, ChannelKey.switched_at > moment)
    return db.session.scalar(query.limit(1)) is not None


def believed(organisation_id: int, channel: str) -> Sequence[ChannelKey]:
    """Every key of which something that comes signed is believed, the one in use first."""
    return sorted((row for row in _of(organisation_id, channel, KEPT) if row.believed), key=lambda row: (row.state != "CURRENT", -row.id))


def with_channel(channel: str, organisation_ids: Sequence[int]) -> set[int]:
    """Those of these organisations that have the channel open."""
    query = select(ChannelKey.organisation_id).where(
        ChannelKey.channel == channel, ChannelKey.state == "CURRENT", ChannelKey.organisation_id.in_(organisation_ids)
    )
    return set(db.session.scalars(query))


def history(organisation_id: int) -> Sequence[ChannelKey]:
    """All keys of an organisation that are not retired, and the latest that are; the newest first."""
    query = select(ChannelKey).where(ChannelKey.organisation_id == organisation_id).order_by(ChannelKey.id.desc()).limit(50)
    return db.session.scalars(query).all()


def may_handle(organisation_id: int, actor: Actor) -> None:
    """Raise NotAllowed or NotFound unless these keys are the actor's to handle: their cooperative's own, or the platform's."""
    if actor.is_operator:
        actor.must_have("OPERATOR", "administrator", "treasurer")
    else:
        actor.must_have("COOPERATIVE", "director", "accountant")
    if actor.organisation_id != organisation_id:
        raise NotFound("key.missing", N_("没有找到，或不归您的单位查看。"))


def _must_be_anothers(row: ChannelKey, actor: Actor) -> None:
    if row.added_by_id == actor.person_id:
        raise NotAllowed("key.own", N_("自己加的密钥，要由另一个人核对和启用。"))


def _must_not_be_needed(row: ChannelKey) -> None:
    """Raise Conflict ``key.needed`` if nothing else signs for its account, and something paid there is open, goes back, or may for a while; or a
    transfer from it, or an event of it, waits for the channel's answer."""
    if row.state != "OLD" or any(each.id != row.id and each.account == row.account for each in _of(row.organisation_id, row.channel, SIGNS)):
        return
    from marketplace.payments import transfer
    from marketplace.payments.notice_inbox import ASKING, AlipayNotice
    from marketplace.payments.payment import OPEN, PAID, Payment
    from marketplace.payments.refund import GOING, Refund

    going = select(Refund.id).where(Refund.payment_id == Payment.id, Refund.state.in_(GOING)).exists()
    since = clock.now() - (MAY_GO_BACK if row.channel == "stripe" else LONGEST)
    late = Payment.state.in_(PAID) & (Payment.refunded_fen < Payment.amount_fen) & (Payment.succeeded_at > since)
    its = Payment.organisation_id == row.organisation_id, Payment.channel == row.channel, Payment.app_id == row.account
    waiting = [select(func.count()).select_from(Payment).where(*its, Payment.state.in_(OPEN) | going | late)]
    if row.channel == "stripe":
        of_it = AlipayNotice.claim["account"].as_string() == row.account, AlipayNotice.claim["organisation_id"].as_integer() == row.organisation_id
        waiting.append(select(func.count()).select_from(AlipayNotice).where(AlipayNotice.outcome == ASKING, *of_it))
    else:
        sent = transfer.Transfer
        of_it = sent.organisation_id == row.organisation_id, sent.account == row.account
        waiting.append(select(func.count()).select_from(sent).where(sent.state.in_(transfer.GOING), *of_it))
    if count := sum(int(db.session.scalar(query) or 0) for query in waiting):
        words = (
            N_("这个账户上有 %(n)s 笔付款还没有结束，或半年内还可能要退，没有这把密钥就退不了。密钥泄露了的，请在 Stripe 后台换一把，再加同一个账户的新密钥。")
            if row.channel == "stripe"
            else N_("这个应用上有 %(n)s 笔付款或转账还没有结束，或一年内还可能要退，没有这把密钥就退不了。密钥泄露了的，请先在支付宝后台换掉。")
        )
        raise Conflict("key.needed", words, n=count)


def _handled(key_id: int, actor: Actor) -> ChannelKey:
    known = get(ChannelKey, key_id)
    may_handle(known.organisation_id, actor)
    # Whoever changes one holds the organisation: two switches at once take turns.
    locked(Organisation, known.organisation_id)
    return locked_where(ChannelKey, select(ChannelKey).where(ChannelKey.id == key_id))


def _of(organisation_id: int, channel: str, states: Sequence[str]) -> Sequence[ChannelKey]:
    query = select(ChannelKey).where(
        ChannelKey.organisation_id == organisation_id, ChannelKey.channel == channel, ChannelKey.state.in_(states)
    )
    return db.session.scalars(query.order_by(ChannelKey.id)).all()


def _record(what: str, row: ChannelKey, actor: Actor) -> None:
    data: dict[str, Any] = {"channel": row.channel, "account": row.account, "fingerprint": row.fingerprint}
    audit.record(f"channel_key.{what}", row, person_id=actor.person_id, organisation_id=row.organisation_id, **data)
