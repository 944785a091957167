"""Alipay's keys as they are kept: our private key with Alipay's public key, or with three certificates; by application, opened for its client.

Rows of ``channel_key`` come first, then the configuration. What comes signed is believed of every row that is not retired, and of the
configuration as long as it stands there.
"""

from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select

from marketplace.foundation.config import settings
from marketplace.foundation.database import db
from marketplace.payments.alipay_certificate import Certificates, certificates_of, read_certificates
from marketplace.payments.alipay_signing import BadKey
from marketplace.payments.channel_key import BELIEVED, ChannelKey


@dataclass(frozen=True)
class Opened:
    """What an application's client signs with, and whom it believes: ``also`` are further (certificate number or nothing, public key)."""

    private_key: str = field(repr=False)
    public_key: str = field(repr=False)
    certificates: Certificates | None = None
    also: tuple[tuple[str, str], ...] = ()


def opened(app_id: str, configured: Opened | None) -> Opened | None:
    """The keys of an application as they stand now; ``configured`` is what the configuration says. None if there are none at all."""
    rows = _rows(app_id)
    in_use = next((row for row in rows if row.state == "CURRENT"), None)
    main = _of_row(in_use) if in_use is not None else configured
    if main is None:
        return None
    others = [each for row in rows if row is not in_use if (each := _if_good(row)) is not None]
    others += [configured] if configured is not None and in_use is not None else []
    also = tuple((each.certificates.alipay_sn, each.certificates.alipay_public_key) if each.certificates else ("", each.public_key) for each in others)
    return Opened(main.private_key, main.public_key, main.certificates, also)


def believed(app_id: str, configured: Opened | None) -> list[str]:
    """Alipay's public keys of which a notice to this application is believed."""
    keys = opened(app_id, configured)
    if keys is None:
        return []
    own = keys.certificates.alipay_public_key if keys.certificates else keys.public_key
    return [own, *([keys.public_key] if keys.certificates and keys.public_key else []), *(key for _, key in keys.also)]


def configured_certificates(app_id: str) -> Certificates | None:
    """The certificates of the configuration's folder; BadKey if one is missing or over."""
    return read_certificates(Path(settings().alipay_certificates), app_id) if settings().alipay_certificates else None


def _rows(app_id: str) -> list[ChannelKey]:
    query = select(ChannelKey).where(ChannelKey.channel == "alipay", ChannelKey.account == app_id, ChannelKey.state.in_(BELIEVED))
    return list(db.session.scalars(query.order_by(ChannelKey.id.desc())))


def _if_good(row: ChannelKey) -> Opened | None:
    """A key beside the one in use whose certificate is over stands in nobody's way."""
    try:
        return _of_row(row)
    except BadKey:
        return None


def _of_row(row: ChannelKey) -> Opened:
    parts = row.parts
    if row.kind == "key":
        return Opened(parts["private_key"], parts["alipay_public_key"])
    made = certificates_of(parts["root_certificate"], parts["alipay_certificate"], parts["app_certificate"])
    return Opened(parts["private_key"], made.alipay_public_key, made)
