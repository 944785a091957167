"""Alipay's keys as they are kept: our private key with Alipay's public key, or with three certificates; by application, opened for its client.

Rows of ``channel_key`` come first, then the configuration. They are the seller's own, even where several share an application; for the
platform's application the operator's are taken too. What comes signed is believed of every row that was confirmed and is not retired, and of
the configuration as long as it stands there.
"""

from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import ColumnElement, select

from marketplace.foundation.config import settings
from marketplace.foundation.database import db
from marketplace.organisations.organisation import Organisation
from marketplace.payments.alipay_certificate import Certificates, certificates_of, read_certificates
from marketplace.payments.alipay_signing import BadKey
from marketplace.payments.channel_key import KEPT, ChannelKey


@dataclass(frozen=True)
class Opened:
    """What an application's client signs with, and whom it believes: ``also`` are further (certificate number or nothing, public key)."""

    private_key: str = field(repr=False)
    public_key: str = field(repr=False)
    certificates: Certificates | None = None
    also: tuple[tuple[str, str], ...] = ()


def opened(organisation_id: int, app_id: str, configured: Opened | None) -> Opened | None:
    """A seller's keys of an application as they stand now; ``configured`` is what the configuration says. None if there are none at all.

    An application that the seller has left is still signed for with what was in use last: refunds of what was paid there go on.
    """
    rows = _rows(organisation_id, app_id)
    in_use = next((row for state in ("CURRENT", "OLD") for row in rows if row.state == state), None)
    main = _of_row(in_use) if in_use is not None else configured
    if main is None:
        return None
    others = [each for row in rows if row is not in_use if (each := _if_good(row)) is not None]
    others += [configured] if configured is not None and in_use is not None else []
    also = tuple((each.certificates.alipay_sn, each.certificates.alipay_public_key) if each.certificates else ("", each.public_key) for each in others)
    return Opened(main.private_key, main.public_key, main.certificates, also)


def believed(organisation_id: int, app_id: str, configured: Opened | None) -> list[str]:
    """Alipay's public keys of which a notice to this application about this seller's trade is believed."""
    keys = opened(organisation_id, app_id, configured)
    if keys is None:
        return []
    own = keys.certificates.alipay_public_key if keys.certificates else keys.public_key
    return [own, *([keys.public_key] if keys.certificates and keys.public_key else []), *(key for _, key in keys.also)]


def configured_certificates(app_id: str) -> Certificates | None:
    """The certificates of the configuration's folder; BadKey if one is missing or over."""
    return read_certificates(Path(settings().alipay_certificates), app_id, pinned=settings().pinned_roots) if settings().alipay_certificates else None


def _rows(organisation_id: int, app_id: str) -> list[ChannelKey]:
    """What is believed, the seller's own first, the newest first."""
    query = select(ChannelKey).where(ChannelKey.channel == "alipay", ChannelKey.account == app_id, ChannelKey.state.in_(KEPT))
    owner: ColumnElement[bool] = ChannelKey.organisation_id == organisation_id
    if app_id == settings().alipay_app_id:
        owner = owner | ChannelKey.organisation_id.in_(select(Organisation.id).where(Organisation.kind == "OPERATOR"))
    found = db.session.scalars(query.where(owner).order_by(ChannelKey.id.desc()))
    return sorted((row for row in found if row.believed), key=lambda row: row.organisation_id != organisation_id)


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
    made = certificates_of(parts["root_certificate"], parts["alipay_certificate"], parts["app_certificate"], pinned=settings().pinned_roots)
    return Opened(parts["private_key"], made.alipay_public_key, made)
