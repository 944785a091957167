"""Personal data at rest: AES-256-GCM bound to its row and column, and keyed blind indexes to look it up.

A value copied into another row or column does not open there. Keys carry ids, so that they can be rotated.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Any, overload

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import String
from sqlalchemy.orm import MappedColumn, mapped_column

from marketplace.foundation.config import BadConfiguration, settings
from marketplace.foundation.database import new_public_id


class Keyring:
    """The data keys, the first of which encrypts, and the key of the blind indexes."""

    def __init__(self, data_keys: str, index_key: str) -> None:
        self.keys: dict[str, AESGCM] = {}
        self.current = ""
        try:
            for part in data_keys.split(","):
                key_id, _, raw = part.strip().partition(":")
                self.keys[key_id] = AESGCM(base64.b64decode(raw, validate=True))
                self.current = self.current or key_id
        except (ValueError, binascii.Error) as error:
            raise BadConfiguration("DATA_KEY: not key-id:base64 of 32 bytes") from error
        self._index_key = index_key.encode()

    def seal(self, plain: str, bound_to: str) -> str:
        """Encrypt ``plain`` so that it opens only with the same ``bound_to``."""
        nonce = secrets.token_bytes(12)
        box = self.keys[self.current].encrypt(nonce, plain.encode(), bound_to.encode())
        return f"{self.current}:{base64.urlsafe_b64encode(nonce + box).decode()}"

    def open(self, sealed: str, bound_to: str) -> str:
        """The plain text. ValueError if it was altered, moved to another place, or its key is gone."""
        key_id, _, raw = sealed.partition(":")
        box = base64.urlsafe_b64decode(raw)
        try:
            return self.keys[key_id].decrypt(box[:12], box[12:], bound_to.encode()).decode()
        except (KeyError, InvalidTag) as error:
            raise ValueError("sealed value does not open here") from error

    def blind_index(self, plain: str, purpose: str) -> str:
        """A keyed fingerprint that finds equal values without revealing them."""
        message = f"{purpose}\x1f{plain.strip().lower()}".encode()
        return hmac.new(self._index_key, message, hashlib.sha256).hexdigest()


def keyring() -> Keyring:
    """The running application's keyring."""
    from flask import current_app

    kept: Keyring | None = current_app.extensions.get("keyring")
    if kept is None:
        kept = Keyring(settings().data_key, settings().index_key)
        current_app.extensions["keyring"] = kept
    return kept


def sealed_column(length: int = 600, **options: Any) -> MappedColumn[Any]:
    """The column under a ``Sealed`` attribute; name it ``<attribute>_sealed``."""
    return mapped_column(String(length), **options)


class Sealed:
    """An attribute that is encrypted in ``<name>_sealed``, bound to the table, the column and the row's ``public_id``."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, row: None, owner: type) -> "Sealed": ...
    @overload
    def __get__(self, row: object, owner: type) -> str: ...
    def __get__(self, row: Any, owner: type) -> "Sealed | str":
        if row is None:
            return self
        sealed = getattr(row, f"{self.name}_sealed")
        return keyring().open(sealed, self._place(row)) if sealed else ""

    def __set__(self, row: Any, plain: str) -> None:
        if row.public_id is None:
            row.public_id = new_public_id()
        setattr(row, f"{self.name}_sealed", keyring().seal(plain, self._place(row)) if plain else "")

    def _place(self, row: Any) -> str:
        return f"{row.__tablename__}.{self.name}.{row.public_id}"


def masked_name(name: str) -> str:
    """A name as strangers may see it: 王**."""
    return name[:1] + "**" if name else ""


def last_four(number: str) -> str:
    """The last four characters of an account number, for statements and notices."""
    return number[-4:]
