"""Sealed personal data opens only in its own row and column."""

import base64
from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import select, text

from marketplace.foundation.crypto import Keyring, keyring, last_four, masked_name
from marketplace.foundation.database import db, transaction
from marketplace.organisations.address import Address
from marketplace.organisations.organisation import Organisation


def address(recipient: str, phone: str) -> Address:
    owner = Organisation(kind="PERSON", name_zh="王", created_at=datetime(2026, 1, 1, tzinfo=UTC), version=1)
    db.session.add(owner)
    db.session.flush()
    row = Address(organisation_id=owner.id, created_at=datetime(2026, 1, 1, tzinfo=UTC))
    row.street, row.recipient, row.phone = "后港路 1 号", recipient, phone
    db.session.add(row)
    db.session.flush()
    return row


def test_what_lies_in_the_database_tells_nothing(app: Flask) -> None:
    with transaction():
        row_id = address("王小明", "13800138000").id
    assert db.session.get_one(Address, row_id).recipient == "王小明"
    raw = db.session.execute(text("SELECT recipient_sealed, phone_sealed FROM address")).one()
    for stored, plain in zip(raw, ("王小明", "13800138000"), strict=True):
        key_id, _, box = stored.partition(":")
        assert key_id == "k1"
        assert plain not in stored
        assert plain.encode() not in base64.urlsafe_b64decode(box)


def test_a_value_moved_to_another_row_or_column_does_not_open(app: Flask) -> None:
    with transaction():
        address("王小明", "13800138000")
        address("李小红", "13900139000")
    first, second = db.session.scalars(select(Address).order_by(Address.id))
    second.recipient_sealed = first.recipient_sealed
    with pytest.raises(ValueError, match="does not open"):
        _ = second.recipient
    first.recipient_sealed = first.phone_sealed
    with pytest.raises(ValueError, match="does not open"):
        _ = first.recipient
    db.session.rollback()


def test_keys_rotate_and_old_values_still_open(app: Flask) -> None:
    old, new = base64.b64encode(b"1" * 32).decode(), base64.b64encode(b"2" * 32).decode()
    sealed = Keyring(f"a:{old}", "x").seal("六成", "here")
    both = Keyring(f"b:{new},a:{old}", "x")
    assert both.open(sealed, "here") == "六成"
    assert both.seal("六成", "here").startswith("b:")
    with pytest.raises(ValueError, match="does not open"):
        Keyring(f"b:{new}", "x").open(sealed, "here")


def test_blind_indexes_find_equal_values_only(app: Flask) -> None:
    ring = keyring()
    assert ring.blind_index("13800138000", "phone") == ring.blind_index(" 13800138000", "phone")
    assert ring.blind_index("13800138000", "phone") != ring.blind_index("13800138000", "other")


def test_masks() -> None:
    assert (masked_name("欧阳小明"), masked_name(""), last_four("6222020000001234")) == ("欧**", "", "1234")
