"""Configuration is typed and production is strict; files keep their bytes."""

from pathlib import Path

import pytest
from flask import Flask

from marketplace.foundation import files
from marketplace.foundation.config import BadConfiguration, Settings, read_settings, variable
from marketplace.foundation.database import transaction
from marketplace.foundation.errors import InvalidInput, OutsideFailure


def production(tmp_path: Path, **changed: str) -> dict[str, str]:
    return {
        "MARKET_ENV": "production", "DATA_DIR": str(tmp_path), "DATABASE_URL": "postgresql+psycopg://x", "SECRET_KEY": "s" * 40,
        "DATA_KEY": "k:AAAA", "INDEX_KEY": "AAAA", "BASE_URL": "https://shop.example", "ALIPAY_GATEWAY": "https://gateway.example",
        "ALIPAY_PUBLIC_KEY": "key", "ALIPAY_APP_ID": "2021000000000001", "ALIPAY_PRIVATE_KEY": "key", "DEMO_SIGN_INS": "no", "SECURE_COOKIES": "yes",
    } | changed  # fmt: skip


def test_production_starts_with_all_it_needs(tmp_path: Path) -> None:
    assert read_settings(production(tmp_path)).is_production


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", ""), ("SECRET_KEY", "short"), ("DATA_KEY", ""), ("ALIPAY_PRIVATE_KEY", ""), ("MARKET_DEBUG", "yes"), ("DEMO_SIGN_INS", "yes"),
        ("SECURE_COOKIES", "no"), ("BASE_URL", "http://shop.example"), ("ALIPAY_GATEWAY", "http://127.0.0.1:9"), ("ALIPAY_APP_ID", "2021EMU0001"),
        ("PAYMENT_MINUTES", "-5"), ("PAYMENT_MINUTES", "soon"), ("MARKET_DEBUG", "maybe"),
    ],
)  # fmt: skip
def test_production_refuses_and_names_the_variable(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(BadConfiguration, match=name):
        read_settings(production(tmp_path, **{name: value}))


def test_production_refuses_the_emulators_key(tmp_path: Path) -> None:
    (tmp_path / "emulator").mkdir()
    (tmp_path / "emulator" / "alipay_public.pem").write_text("-----BEGIN PUBLIC KEY-----\nABCDEF\n-----END PUBLIC KEY-----\n")
    with pytest.raises(BadConfiguration, match="ALIPAY_PUBLIC_KEY"):
        read_settings(production(tmp_path, ALIPAY_PUBLIC_KEY="ABCDEF"))


def test_a_demonstration_keeps_its_own_secrets(tmp_path: Path) -> None:
    first, second = (read_settings({"DATA_DIR": str(tmp_path)}) for _ in range(2))
    assert first.secret_key == second.secret_key != ""
    assert (tmp_path / "local-secrets.json").stat().st_mode & 0o077 == 0


def test_every_setting_is_documented() -> None:
    from dataclasses import fields

    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    for each in fields(Settings):
        assert f"`{variable(each.name)}`" in page, each.name


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
