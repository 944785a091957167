"""When certificates of Alipay's end: those that the configuration's folder gives, and those that are kept with keys. Without them nobody pays.

A file that cannot be read is nothing's end: it is refused where it is used.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import ColumnElement, select

from marketplace.foundation import clock
from marketplace.foundation.config import settings
from marketplace.foundation.database import db
from marketplace.organisations.organisation import Cooperative
from marketplace.payments.alipay_certificate import ends_of, text_of
from marketplace.payments.alipay_signing import BadKey
from marketplace.payments.channel_key import ChannelKey

SOON = timedelta(days=30)
_OF_ALIPAY = ("root.crt", "alipay.crt")


@dataclass(frozen=True)
class CertificateEnd:
    """``subject`` is what makes it the same end as before, ``name`` what people know it by; ``organisation_id`` None: the platform's."""

    subject: str
    name: str
    ends_at: datetime
    organisation_id: int | None

    @property
    def is_over(self) -> bool:
        return self.ends_at <= clock.now()

    @property
    def days(self) -> int:
        """Whole days that are left."""
        return max(0, (self.ends_at - clock.now()).days)


def near(*, kept: bool = True) -> list[CertificateEnd]:
    """What ends within ``SOON`` or has ended and is in use, the first end first. Without ``kept`` those of the keys are not looked for."""
    ends = [each for each in [*_of_folder(), *(_of_keys() if kept else [])] if each.ends_at <= clock.now() + SOON]
    return sorted(ends, key=lambda each: (each.ends_at, each.subject))


def keys() -> ColumnElement[bool]:
    """Which keys are signed with, or confirmed to be, and have a certificate that ends soon or has ended."""
    used = (ChannelKey.state == "CURRENT") | ((ChannelKey.state == "ADDED") & ChannelKey.confirmed_at.is_not(None))
    return used & (ChannelKey.expires_at <= clock.now() + SOON)


def _of_keys() -> list[CertificateEnd]:
    rows = db.session.scalars(select(ChannelKey).where(keys()).order_by(ChannelKey.id))
    return [CertificateEnd(row.public_id, row.account, row.expires_at, row.organisation_id) for row in rows if row.expires_at is not None]


def _of_folder() -> list[CertificateEnd]:
    """Those of the folder: of each application for which no key that is kept here signs, and Alipay's own if there is such a one."""
    folder = Path(settings().alipay_certificates)
    if not settings().alipay_certificates or not folder.is_dir():
        return []
    signing = select(ChannelKey.account).where(ChannelKey.channel == "alipay", ChannelKey.state == "CURRENT")
    others = {*_OF_ALIPAY, *(f"{account}.crt" for account in db.session.scalars(signing))}
    own = sorted(path for path in folder.glob("*.crt") if path.name not in others)
    owners = {f"{row[0]}.crt": row[1] for row in db.session.execute(select(Cooperative.alipay_app_id, Cooperative.organisation_id))} if own else {}
    ends = []
    for path in [*own, *(folder / name for name in _OF_ALIPAY if own)]:
        with suppress(BadKey):
            ends.append(CertificateEnd(f"file:{path.name}"[:80], path.name, ends_of(path.name, text_of(path)), owners.get(path.name)))
    return ends
