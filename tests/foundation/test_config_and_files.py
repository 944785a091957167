"""Configuration is typed and production is strict; files keep their bytes."""

from functools import lru_cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask

from marketplace.emulator import certificate
from marketplace.emulator.keys import gateway_keys, root_keys
from marketplace.foundation import files
from marketplace.foundation.config import (
    EMULATOR_KEY_MARK,
    BadConfiguration,
    Settings,
    read_settings,
    variable,
)
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import InvalidInput, OutsideFailure


@lru_cache(maxsize=2)
def keys(exponent: int = 65537) -> tuple[str, str]:
    """Private and public PEM of a real key; with the emulator's mark as exponent, of one like the emulator's."""
    made = rsa.generate_private_key(65537, 2048)
    if exponent != 65537:
        numbers = made.private_numbers()
        d = pow(exponent, -1, (numbers.p - 1) * (numbers.q - 1))
        public = rsa.RSAPublicNumbers(exponent, numbers.p * numbers.q)
        crt = rsa.rsa_crt_dmp1(d, numbers.p), rsa.rsa_crt_dmq1(d, numbers.q), numbers.iqmp
        made = rsa.RSAPrivateNumbers(numbers.p, numbers.q, d, *crt, public).private_key()
    private = made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    shown = made.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), shown.decode()


def production(tmp_path: Path, **changed: str) -> dict[str, str]:
    private, public = keys()
    return {
        "MARKET_ENV": "production", "DATA_DIR": str(tmp_path), "DATABASE_URL": "postgresql+psycopg://x", "SECRET_KEY": "s" * 40,
        "DATA_KEY": "k:AAAA", "INDEX_KEY": "AAAA", "LOG_KEY": "AAAA", "BASE_URL": "https://shop.example", "ALIPAY_GATEWAY": "https://gateway.example",
        "ALIPAY_PUBLIC_KEY": public, "ALIPAY_APP_ID": "2021000000000001", "ALIPAY_PRIVATE_KEY": private, "DEMO_SIGN_INS": "no", "SECURE_COOKIES": "yes",
    } | changed  # fmt: skip


def test_production_starts_with_all_it_needs(tmp_path: Path) -> None:
    assert read_settings(production(tmp_path)).is_production


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", ""), ("SECRET_KEY", "short"), ("DATA_KEY", ""), ("INDEX_KEY", ""), ("LOG_KEY", ""), ("DATABASE_URL", ""),
        ("ALIPAY_GATEWAY", ""), ("ALIPAY_PUBLIC_KEY", ""), ("ALIPAY_APP_ID", ""), ("ALIPAY_PRIVATE_KEY", ""), ("MARKET_DEBUG", "yes"), ("DEMO_SIGN_INS", "yes"),
        ("SECURE_COOKIES", "no"), ("BASE_URL", "http://shop.example"), ("ALIPAY_GATEWAY", "http://127.0.0.1:9"), ("ALIPAY_APP_ID", "2021EMU0001"),
        ("PAYMENT_MINUTES", "-5"), ("PAYMENT_MINUTES", "soon"), ("MARKET_DEBUG", "maybe"),
    ],
)  # fmt: skip
def test_production_refuses_and_names_the_variable(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(BadConfiguration) as refused:
        read_settings(production(tmp_path, **{name: value}))
    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"{name}: "), "that one, and no other"


@pytest.mark.parametrize("dress", ["pem", "base64"])
def test_production_knows_the_emulators_keys_wherever_they_were_copied(tmp_path: Path, dress: str) -> None:
    """By the mark in the key: no file of the emulator lies beside it."""
    private, public = keys(EMULATOR_KEY_MARK)
    if dress == "base64":
        private, public = ("".join(pem.splitlines()[1:-1]) for pem in (private, public))
    for name, key in (("ALIPAY_PUBLIC_KEY", public), ("ALIPAY_PRIVATE_KEY", private)):
        with pytest.raises(BadConfiguration, match=f"{name}: a key of the emulator"):
            read_settings(production(tmp_path, **{name: key}))


def test_production_refuses_a_key_that_cannot_be_read(tmp_path: Path) -> None:
    private, public = keys()
    for name, wrong in (("ALIPAY_PUBLIC_KEY", "junk"), ("ALIPAY_PUBLIC_KEY", private), ("ALIPAY_PRIVATE_KEY", public)):
        with pytest.raises(BadConfiguration, match=name) as refused:
            read_settings(production(tmp_path, **{name: wrong}))
        assert wrong not in str(refused.value)


def test_production_looks_at_the_certificates_too(tmp_path: Path) -> None:
    """A folder that was copied from a demonstration, one that is not there, and one in which a file is broken."""
    copied = tmp_path / "copied"
    root = root_keys(copied)
    certificate.root(copied, root)
    certificate.of_alipay(copied, gateway_keys(copied), root)
    certificate.of_application(copied, "2021000000000001", keys()[1], root)
    with pytest.raises(BadConfiguration) as refused:
        read_settings(production(tmp_path, ALIPAY_CERTIFICATES=str(copied), ALIPAY_ROOTS="ab" * 32))
    assert str(refused.value).splitlines() == ["ALIPAY_CERTIFICATES: root.crt is of the emulator", "ALIPAY_CERTIFICATES: alipay.crt is of the emulator"]
    with pytest.raises(BadConfiguration, match=r"ALIPAY_CERTIFICATES: root\.crt cannot be read"):
        read_settings(production(tmp_path, ALIPAY_CERTIFICATES=str(tmp_path / "nowhere")))
    (copied / "alipay.crt").write_text("-----BEGIN CERTIFICATE-----\njunk\n")
    with pytest.raises(BadConfiguration, match=r"alipay\.crt cannot be read"):
        read_settings(production(tmp_path, ALIPAY_CERTIFICATES=str(copied)))


def test_a_demonstration_keeps_its_own_secrets(tmp_path: Path) -> None:
    first, second = (read_settings({"DATA_DIR": str(tmp_path)}) for _ in range(2))
    assert first.secret_key == second.secret_key != ""
    assert (tmp_path / "local-secrets.json").stat().st_mode & 0o077 == 0


def test_every_setting_is_documented() -> None:
    from dataclasses import fields

    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    for each in fields(Settings):
        assert f"`{variable(each.name)}`" in page, each.name


def test_a_file_that_the_disk_does_not_take_is_said_so_and_leaves_nothing(app: Flask, settings: Settings) -> None:
    (settings.data_dir / "files").write_text("no folder")  # whatever it is that does not let it be written
    with pytest.raises(OutsideFailure, match=r"file\.unkept"), transaction():
        files.store(b"x", name="a.csv", media_type="text/csv", organisation_id=1)
    assert db.session.query(files.StoredFile).count() == 0


def test_a_file_is_kept_by_its_content_and_damage_is_noticed(app: Flask, settings: Settings) -> None:
    with transaction():
        row = files.store("数据".encode(), name="../账.csv", media_type="text/csv", organisation_id=1)
        again = files.store("数据".encode(), name="b.csv", media_type="text/csv", organisation_id=1)
        assert (row.name, row.sha256) == ("账.csv", again.sha256)
        assert row.read().decode() == "数据"
        (settings.data_dir / "files" / row.sha256[:2] / row.sha256).write_bytes(b"changed")
        with pytest.raises(OutsideFailure, match="damaged"):
            row.read()
        with pytest.raises(InvalidInput, match="large"):
            files.store(b"x" * (files.LARGEST + 1), name="x", media_type="x", organisation_id=1)
