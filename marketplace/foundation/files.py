"""Files: content-addressed under DATA_DIR, each with an owner and a sensitivity, served only through a permission."""

import hashlib
import logging
import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import clock
from marketplace.foundation.config import settings
from marketplace.foundation.database import Model, Public, db
from marketplace.foundation.errors import InvalidInput, OutsideFailure
from marketplace.foundation.language import N_

log = logging.getLogger("market.files")
SENSITIVITIES = ("PUBLIC", "INTERNAL", "PERSONAL")
LARGEST = 20 * 1024 * 1024


class StoredFile(Public, Model):
    """What a file is called and whose it is; its bytes lie under their SHA-256."""

    __tablename__ = "stored_file"

    organisation_id: Mapped[int] = mapped_column(index=True)
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    size: Mapped[int]
    name: Mapped[str] = mapped_column(String(200))
    media_type: Mapped[str] = mapped_column(String(100))
    sensitivity: Mapped[str] = mapped_column(String(10))
    stored_at: Mapped[datetime]

    def checked_path(self) -> Path:
        """Where the bytes lie, after they were held against their hash in pieces. OutsideFailure as ``read``."""
        path = _path(self.sha256)
        try:
            with path.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
        except OSError as error:
            raise OutsideFailure("file.damaged", N_("文件读不出来，请联系运营方。"), sha256=self.sha256) from error
        if digest != self.sha256:
            raise OutsideFailure("file.damaged", N_("文件读不出来，请联系运营方。"), sha256=self.sha256)
        return path

    def read(self) -> bytes:
        """The bytes. OutsideFailure ``file.damaged`` if they are gone or no longer have their hash."""
        try:
            content = _path(self.sha256).read_bytes()
        except OSError as error:
            raise OutsideFailure("file.damaged", N_("文件读不出来，请联系运营方。"), sha256=self.sha256) from error
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise OutsideFailure("file.damaged", N_("文件读不出来，请联系运营方。"), sha256=self.sha256)
        return content


def store(content: bytes, *, name: str, media_type: str, organisation_id: int, sensitivity: str = "INTERNAL") -> StoredFile:
    """Keep ``content`` durably and return its row. InvalidInput ``file.large`` above 20 MiB."""
    if len(content) > LARGEST:
        raise InvalidInput("file.large", N_("文件超过 %(limit)s MB，请分成几份再传。"), limit=LARGEST // 1024 // 1024)
    if sensitivity not in SENSITIVITIES:
        raise ValueError(sensitivity)
    return store_chunks([content], name=name, media_type=media_type, organisation_id=organisation_id, sensitivity=sensitivity)


def store_chunks(
    chunks: Iterable[bytes], *, name: str, media_type: str, organisation_id: int, sensitivity: str = "INTERNAL"
) -> StoredFile:
    """The same for what we write ourselves, of any size: it is never whole in memory. OutsideFailure ``file.unkept`` if the disk takes no more."""
    try:
        digest, size = _written(chunks)
    except OSError as error:
        log.exception("a file could not be kept")
        raise OutsideFailure("file.unkept", N_("文件没有存下来，服务器的磁盘可能满了。什么也没有改。请告诉县运营方，腾出地方以后再办一次。")) from error
    row = StoredFile(
        organisation_id=organisation_id,
        sha256=digest,
        size=size,
        name=Path(name).name[:200] or "file",
        media_type=media_type,
        sensitivity=sensitivity,
        stored_at=clock.now(),
    )
    db.session.add(row)
    db.session.flush()
    return row


def _written(chunks: Iterable[bytes]) -> tuple[str, int]:
    """Write the bytes under their hash, durably; hash and number of bytes. OSError, and then nothing is left of them."""
    folder = settings().data_dir / "files"
    folder.mkdir(parents=True, exist_ok=True)
    hashed, size = hashlib.sha256(), 0
    with NamedTemporaryFile(dir=folder, suffix=".new", delete=False) as out:
        try:
            for chunk in chunks:
                out.write(chunk)
                hashed.update(chunk)
                size += len(chunk)
            out.flush()
            os.fsync(out.fileno())
            path = _path(hashed.hexdigest())
            path.parent.mkdir(parents=True, exist_ok=True)
        except BaseException:
            Path(out.name).unlink()
            raise
    Path(out.name).replace(path)
    return path.name, size


def _path(digest: str) -> Path:
    return settings().data_dir / "files" / digest[:2] / digest
