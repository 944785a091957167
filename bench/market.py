"""A market to measure: a data folder and a database with so many products on sale, made once and kept, or on a server of its own.

It is served as in production: with production's checks and secrets, and a key pair that stands for Alipay's.
"""

import base64
import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from bench.part import TOP, Run


@dataclass(frozen=True)
class Market:
    """Where it lies and how it is asked for. ``beside``: the processes of its database server."""

    engine: str
    products: int
    folder: Path
    environ: dict[str, str]
    beside: tuple[int, ...] = ()


@contextmanager
def market(run: Run, engine: str, products: int, *, scratch: bool = False) -> Iterator[Market]:
    """A market of ``products`` on ``engine``; ``scratch``: it will be written to, so the kept one stays as it is."""
    if engine == "sqlite":
        kept = _kept_sqlite(run, products)
        if not scratch:
            yield _market(engine, products, kept, "")
            return
        copy = run.folder / f"scratch-{products}"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(kept, copy)
        try:
            yield _market(engine, products, copy, "")
        finally:
            shutil.rmtree(copy, ignore_errors=True)
        return
    from tests.postgres import postgres_server

    with postgres_server(settings=POSTGRES) as server:
        folder = run.folder / f"postgresql-{products}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        made = _market(engine, products, folder, server.create_database("market"), beside=(server.pid,))
        _make(run, made)
        yield made


# As a careful administrator would set a small server: what was committed is on the disk.
POSTGRES = {
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "random_page_cost": "1.1",
    "timezone": "UTC",
}


def _kept_sqlite(run: Run, products: int) -> Path:
    folder = run.folder / f"sqlite-{products}"
    mark = folder / "made-from"
    if not (mark.exists() and mark.read_text() == _made_from()):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _make(run, _market("sqlite", products, folder, ""))
        mark.write_text(_made_from())
    return folder


def _make(run: Run, made: Market) -> None:
    """Tables by the migrations, the county's seed, more goods, and the search index."""
    from flask_migrate import upgrade

    from bench.goods import grow
    from marketplace import create_app, search
    from marketplace.cli import seed
    from marketplace.foundation.config import read_settings
    from marketplace.foundation.database import db

    run.say(f"making a market of {made.products:,} products on {made.engine}")
    # The seed gives its people passwords that are quick to make only outside production.
    app = create_app(read_settings(made.environ | {"MARKET_ENV": "demo"}))
    with app.app_context():
        upgrade()
        result = app.test_cli_runner().invoke(seed.group, ["--json"])
        if result.exit_code:
            raise RuntimeError(result.output)
        grow(made.products)
        search.rebuild()
        db.session.remove()
        db.engine.dispose()


def _market(engine: str, products: int, folder: Path, database_url: str, beside: tuple[int, ...] = ()) -> Market:
    kept = folder / "environ.json"
    if kept.exists():
        secret = json.loads(kept.read_text())
    else:
        secret = _secrets()
        kept.write_text(json.dumps(secret))
    environ = {
        "MARKET_ENV": "production",
        "DATA_DIR": str(folder),
        "DATABASE_URL": database_url or f"sqlite:///{folder}/market.sqlite3",
        "BASE_URL": "https://market.invalid",
        "ALIPAY_GATEWAY": "https://gateway.invalid/gateway.do",
        "ALIPAY_APP_ID": "2021000000000001",
        "SECURE_COOKIES": "1",
        "DEMO_SIGN_INS": "0",
        **secret,
    }
    return Market(engine, products, folder, environ, beside)


def _secrets() -> dict[str, str]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    def pem(key: rsa.RSAPrivateKey) -> str:
        kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return key.private_bytes(*kind).decode()

    alipay, shop = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    public = alipay.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "DATA_KEY": "k1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
        "INDEX_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        "LOG_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        "ALIPAY_PUBLIC_KEY": public.decode(),
        "ALIPAY_PRIVATE_KEY": pem(shop),
        "BENCH_GATEWAY_KEY": pem(alipay),  # what the real Alipay keeps to itself: it signs the notices
    }


def _made_from() -> str:
    """A sum over all that decides what the market holds."""
    sources = [
        *sorted((TOP / "catalog_seed").glob("*.csv")),
        *sorted((TOP / "marketplace/foundation/migrations/versions").glob("*.py")),
        *sorted((TOP / "marketplace/search").glob("*.py")),
        TOP / "bench/goods.py",
        TOP / "bench/market.py",
    ]
    return sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
