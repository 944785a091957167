"""What a person wishes to be told: alarms of money, a daily digest, and whether by e-mail. An address counts once it is confirmed.

The address is sealed. The link that confirms it is signed and holds person and address, so nothing of it is kept.
"""

from datetime import datetime

from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy import CheckConstraint, ForeignKey, String, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.config import is_mail_address, settings
from marketplace.foundation.crypto import Sealed, keyring, sealed_column
from marketplace.foundation.database import Model, Public, Versioned, db, locked
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import LANGUAGES, N_, in_language
from marketplace.notices import mail
from marketplace.organisations.actor import Actor
from marketplace.organisations.person import Person

FOOT = N_("您收到这封信，是因为您在靖安集设了邮件提醒。不想再收：%(url)s")
LINK_DAYS = 7
FORGOTTEN = "mail-wish"  # what the link is signed for


class MailWish(Public, Versioned, Model):
    """One person's wishes. Without a row: alarms in the inbox, nothing by e-mail."""

    __tablename__ = "mail_wish"
    __table_args__ = (CheckConstraint("language IN ('zh','en')", name="language"),)

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), unique=True)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    address_sealed: Mapped[str] = sealed_column(default="")
    address = Sealed()
    confirmed_at: Mapped[datetime | None]
    asked: Mapped[int] = mapped_column(default=0)  # letters of confirmation
    language: Mapped[str] = mapped_column(String(2), default="zh")
    alarms: Mapped[bool] = mapped_column(default=True)  # at once, when something of money is wrong
    digest: Mapped[bool] = mapped_column(default=False)  # every morning
    by_mail: Mapped[bool] = mapped_column(default=True)  # both of them by e-mail too


def of(person_id: int) -> MailWish | None:
    """A person's wishes, None if they never said."""
    return db.session.scalars(select(MailWish).where(MailWish.person_id == person_id)).one_or_none()


def address_of(person_id: int) -> str:
    """Where a person wants letters: confirmed and switched on, else empty."""
    wish = of(person_id)
    return wish.address if wish is not None and wish.confirmed_at and wish.by_mail else ""


def save(*, address: str, language: str, alarms: bool, digest: bool, by_mail: bool, version: int, actor: Actor) -> MailWish:
    """Keep what one wishes oneself. A new address is asked for by letter, and counts when its link was opened.

    ``version`` is 0 the first time. InvalidInput ``mail.address``, ``language.bad``, Conflict ``version.stale``.
    """
    address = address.strip()
    if address and not is_mail_address(address):
        raise InvalidInput("mail.address", N_("这不是一个邮箱地址，请核对。"), field="address")
    if language not in LANGUAGES:
        raise InvalidInput("language.bad", N_("没有这种语言。"), field="language")
    locked(Person, actor.person_id)  # two tabs at once make one row
    row = of(actor.person_id)
    if row is None:
        row = MailWish(person_id=actor.person_id, organisation_id=actor.organisation_id, version=1, asked=0)
        db.session.add(row)
    else:
        row.must_be_version(version)
    if address != row.address:
        row.address = address
        row.confirmed_at = None
    row.language, row.alarms, row.digest, row.by_mail = language, alarms, digest, by_mail
    db.session.flush()
    if address and row.confirmed_at is None:
        row.asked += 1
        mail.post_written(f"confirm:{row.public_id}:{row.asked}", "confirm", row.id)
    audit.record(
        "mail_wish.saved", row, person_id=actor.person_id, organisation_id=actor.organisation_id, alarms=alarms, digest=digest, by_mail=by_mail
    )
    db.session.flush()
    return row


def link_token(row: MailWish) -> str:
    """What the letter's link carries: whose address it confirms."""
    return _signer().dumps([row.public_id, keyring().blind_index(row.address, FORGOTTEN)])


def confirm(token: str, *, actor: Actor) -> MailWish:
    """The address is read by the person who signed in: from now on it gets letters. Repeating it changes nothing.

    Conflict ``mail.link`` if the link is old, altered, somebody else's or of another address.
    """
    row = locked(MailWish, linked(token, actor=actor).id)
    if row.confirmed_at is None:
        row.confirmed_at = clock.now()
        db.session.flush()
        audit.record("mail_wish.confirmed", row, person_id=actor.person_id, organisation_id=actor.organisation_id)
    return row


def linked(token: str, *, actor: Actor) -> MailWish:
    """Whose address a link confirms, if it is the actor's own as it stands now. Conflict ``mail.link`` otherwise."""
    unfit = Conflict("mail.link", N_("这个链接过期了，或不是发给您的。请在提醒设置里再保存一次地址，我们重新发信。"))
    try:
        public_id, fingerprint = _signer().loads(token[:400], max_age=LINK_DAYS * 86400)
    except (BadSignature, ValueError, TypeError) as error:
        raise unfit from error
    mine = of(actor.person_id)
    if mine is None or mine.public_id != public_id or keyring().blind_index(mine.address, FORGOTTEN) != fingerprint:
        raise unfit
    return mine


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings().secret_key, salt=FORGOTTEN)


@mail.written("confirm")
def _letter(row_id: int) -> tuple[str, str, str] | None:
    row = db.session.get(MailWish, row_id)
    if row is None or not row.address or row.confirmed_at is not None:
        return None
    url = f"{settings().base_url.rstrip('/')}/account/mail/confirm/{link_token(row)}"
    subject = in_language(row.language, N_("请确认您在靖安集的邮箱"))
    why = in_language(row.language, N_("有人（应该是您）在靖安集填了这个邮箱，用来接收提醒。"))
    what = in_language(row.language, N_("打开下面的链接，登录后点确认。链接 7 天内有效。如果不是您，不用理会这封信。"))
    return row.address, subject, f"{why}\n\n{what}\n\n{url}\n"
