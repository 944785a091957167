"""Pictures of goods that cooperatives bring: drawn anew as squares in two sizes and two formats, so that nothing hidden in a file survives.

What a camera writes into its files (place, time, owner) is left behind, and files made to exhaust memory are refused before they are opened.
"""

import hashlib
import threading
import warnings
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any

from PIL import Image, ImageOps
from sqlalchemy import ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock, files
from marketplace.foundation.database import Model, Public, db, not_found
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.files import StoredFile
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor

SIZES = (320, 800)
FORMS = {"avif": {"quality": 60, "speed": 6}, "webp": {"quality": 80, "method": 4}}
BROUGHT = ("JPEG", "PNG", "WEBP", "AVIF")
LARGEST, PIXELS_MOST, SIDE_LEAST = 10 * 1024 * 1024, 50_000_000, 600
_turnstile = threading.BoundedSemaphore(1)  # one large picture in memory at a time
UPLOADED = "up/"  # before the name of a picture that was brought, in ``product.picture``


class Picture(Public, Model):
    """One picture of a cooperative. ``files``: stored file by ``320.avif`` and so on."""

    __tablename__ = "picture"
    __table_args__ = (UniqueConstraint("organisation_id", "sha256"),)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    sha256: Mapped[str] = mapped_column(String(64))  # of what was brought
    files: Mapped[dict[str, Any]]
    brought_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    brought_at: Mapped[datetime]


@dataclass(frozen=True)
class Drawn:
    """A picture drawn anew: bytes by ``320.avif`` and so on, and the SHA-256 of what was brought."""

    sha256: str
    parts: dict[str, bytes]


def draw(content: bytes) -> Drawn:
    """Read what somebody brought and draw it anew; slow (about a second), so outside any transaction.

    Raises InvalidInput (field ``picture``): ``picture.large``, ``picture.unreadable``, ``picture.bomb``, ``picture.small``.
    """
    if len(content) > LARGEST:
        raise InvalidInput("picture.large", N_("图片超过 %(limit)s MB，请先缩小。"), field="picture", limit=LARGEST // 1024 // 1024)
    bomb = InvalidInput("picture.bomb", N_("图片的像素太多，打不开。请先缩小到 5000 万像素以内。"), field="picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the number of pixels is looked at here
            with Image.open(BytesIO(content), formats=BROUGHT) as opened:
                if opened.width * opened.height > PIXELS_MOST:
                    raise bomb
                if min(opened.size) < SIDE_LEAST:
                    raise InvalidInput("picture.small", N_("图片太小，短边至少 %(least)s 像素。"), field="picture", least=SIDE_LEAST)
                with _turnstile:
                    square = _square(opened)
    except Image.DecompressionBombError as error:
        raise bomb from error
    except (OSError, SyntaxError, ValueError) as error:
        raise InvalidInput("picture.unreadable", N_("这个文件不是能打开的图片。请用 JPEG、PNG 或 WebP。"), field="picture") from error
    parts = {}
    for size in SIZES:
        small = square.resize((size, size), Image.Resampling.LANCZOS)
        for form, options in FORMS.items():
            out = BytesIO()
            small.save(out, form.upper(), **options)
            parts[f"{size}.{form}"] = out.getvalue()
    return Drawn(hashlib.sha256(content).hexdigest(), parts)


def _square(opened: Image.Image) -> Image.Image:
    """The middle of the picture, upright, opaque, small, without anything but its colours.

    Made small before anything else: at full size each copy of a telephone's picture takes 200 MB.
    """
    opened.draft("RGB", (2 * max(SIZES), 2 * max(SIZES)))  # a JPEG is decoded at a half, a quarter, an eighth
    if opened.mode not in ("RGB", "RGBA", "L", "LA", "CMYK"):
        opened = opened.convert("RGBA")
    side = min(*opened.size, max(SIZES))
    small = ImageOps.fit(opened, (side, side))
    small.getexif().update(opened.getexif())
    middle = ImageOps.exif_transpose(small).convert("RGBA")
    ground = Image.new("RGBA", middle.size, "#fffdf8")
    return Image.alpha_composite(ground, middle).convert("RGB")


def keep(drawn: Drawn, *, actor: Actor) -> Picture:
    """Keep a drawn picture for the actor's cooperative; brought again, it is the same one."""
    actor.must_have("COOPERATIVE", "clerk", "director")
    query = select(Picture).where(Picture.organisation_id == actor.organisation_id, Picture.sha256 == drawn.sha256)
    standing = db.session.scalars(query).one_or_none()
    if standing is not None:
        return standing
    stored = {
        part: files.store(
            content, name=f"{drawn.sha256[:12]}-{part}", media_type=f"image/{part.partition('.')[2]}",
            organisation_id=actor.organisation_id, sensitivity="PUBLIC",
        ).id
        for part, content in drawn.parts.items()
    }  # fmt: skip
    row = Picture(
        organisation_id=actor.organisation_id, sha256=drawn.sha256, files=stored, brought_by_id=actor.person_id, brought_at=clock.now()
    )
    db.session.add(row)
    db.session.flush()
    audit.record("picture.brought", row, person_id=actor.person_id, sha256=drawn.sha256)
    return row


def file_of(public_id: str, part: str) -> StoredFile:
    """The stored file of a picture in one size and form (``320.avif``). NotFound if there is none."""
    row = db.session.scalars(select(Picture).where(Picture.public_id == public_id)).one_or_none()
    if row is None or part not in row.files:
        raise not_found(Picture)
    return db.session.get_one(StoredFile, row.files[part])


def must_be_own(name: str, organisation_id: int) -> None:
    """Raise NotFound unless ``name`` (as in ``product.picture``) is empty or a picture that this cooperative brought."""
    if not name:
        return
    query = select(Picture.id).where(Picture.public_id == name.removeprefix(UPLOADED), Picture.organisation_id == organisation_id)
    if not name.startswith(UPLOADED) or db.session.scalar(query) is None:
        raise not_found(Picture)
