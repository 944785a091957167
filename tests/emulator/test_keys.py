"""The emulator's keys are known by their mark, wherever they are copied; and it does not run in production."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from marketplace.emulator import EMULATOR_KEY_MARK, Emulator, demo_app_keys, fingerprint, is_emulator_key
from marketplace.emulator.keys import NotInProduction
from marketplace.foundation.errors import InvalidInput


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    emulator = Emulator(tmp_path_factory.mktemp("emulator"))
    yield emulator
    emulator.close()


def test_every_emulator_key_bears_the_mark_and_no_real_one_does(emulator: Emulator) -> None:
    bare = "".join(emulator.public_key_pem.splitlines()[1:-1])
    for key in (emulator.public_key_pem, bare, demo_app_keys(emulator.folder).public_pem):
        assert is_emulator_key(key)
    real = (
        rsa.generate_private_key(65537, 2048)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
    assert not is_emulator_key(real)
    assert fingerprint(bare) == fingerprint(emulator.public_key_pem) != fingerprint(real)
    assert emulator.keys.private.public_key().public_numbers().e == EMULATOR_KEY_MARK


def test_keys_are_made_once_and_kept_from_others(emulator: Emulator) -> None:
    again = Emulator(emulator.folder)
    assert emulator.public_key_pem == again.public_key_pem == (again.folder / "alipay_public.pem").read_text()
    assert (again.folder / "alipay_private.pem").stat().st_mode & 0o077 == 0
    again.close()


def test_it_does_not_start_where_real_money_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKET_ENV", "production")
    with pytest.raises(NotInProduction):
        Emulator(tmp_path / "emulator")
    assert not (tmp_path / "emulator").exists()


@pytest.mark.parametrize(
    ("app_id", "seller_id"),
    [
        ("2021004133624086", "2088000000000001"),
        ("2021EMU", "2088000000000001"),
        ("2021EMU1", "2088 0000 0000 0001"),
        ("2021EMU1", "1"),
    ],
)
def test_only_its_own_kind_of_application_is_registered(
    emulator: Emulator, app_id: str, seller_id: str
) -> None:
    with pytest.raises(InvalidInput):
        emulator.register_demo_app(app_id, seller_id)
    with pytest.raises(InvalidInput):
        emulator.register_app("2021EMU1", "no key", "2088000000000001")
