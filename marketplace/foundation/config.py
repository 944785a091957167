"""Configuration: read once from the environment, typed, with defaults that suit one machine and a demonstration.

Production refuses to start without its secrets, with the emulator's keys, with demo sign-ins or with debug on.
"""

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

ENVIRONMENTS = ("demo", "test", "production")
# The public exponent of every key that the emulator makes: a prime that real keys, which use 65537, do not have. So a key
# that was copied from a demonstration is known on any machine, without a list.
EMULATOR_KEY_MARK = 202_129
EMULATOR_APPLICATIONS = "2021EMU"  # what the numbers of its applications begin with


class BadConfiguration(Exception):
    """A variable is missing or wrong; the text names each one."""


def _setting(default: Any, variable: str, about: str) -> Any:
    return field(default=default, metadata={"variable": variable, "about": about})


@dataclass(frozen=True)
class Settings:
    """All settings, each with its variable. ``docs/configuration.md`` lists them; a test holds the two together."""

    environment: str = _setting("demo", "MARKET_ENV", "demo, test or production")
    data_dir: Path = _setting(Path("var"), "DATA_DIR", "folder of everything written at run time")
    database_url: str = _setting("", "DATABASE_URL", "SQLAlchemy address; empty: SQLite in DATA_DIR")
    database_migration_url: str = _setting("", "DATABASE_MIGRATION_URL", "address with the owner's role, for migrations; empty: DATABASE_URL")
    secret_key: str = _setting("", "SECRET_KEY", "signs sessions and forms; at least 32 characters")
    data_key: str = _setting("", "DATA_KEY", "encrypts personal data: key-id:base64 of 32 bytes, several by comma, the first encrypts")
    index_key: str = _setting("", "INDEX_KEY", "base64 of 32 bytes for blind indexes of personal data")
    log_key: str = _setting("", "LOG_KEY", "signs the log's tree heads: base64 of 32 bytes, several by comma, the first signs and the one behind introduces it")
    log_auditors: str = _setting("", "LOG_AUDITORS", "e-mail addresses that get every tree head, by comma")
    log_export_dir: str = _setting("", "LOG_EXPORT_DIR", "folder that gets every tree head as a file; committed and pushed if it is a git work tree")
    base_url: str = _setting("http://127.0.0.1:8000", "BASE_URL", "address under which people and Alipay reach the shop")
    alipay_gateway: str = _setting("", "ALIPAY_GATEWAY", "Alipay's gateway; in a demonstration the emulator's")
    alipay_public_key: str = _setting("", "ALIPAY_PUBLIC_KEY", "Alipay's public key (PEM or base64); demonstration: the emulator's, from DATA_DIR")
    alipay_app_id: str = _setting("", "ALIPAY_APP_ID", "the platform's application at Alipay, which opens merged payments")
    alipay_private_key: str = _setting("", "ALIPAY_PRIVATE_KEY", "the application's private key (PEM or base64)")
    alipay_certificates: str = _setting("", "ALIPAY_CERTIFICATES", "folder of root.crt, alipay.crt and <app_id>.crt for certificate mode; empty: public-key mode")
    alipay_roots: str = _setting("", "ALIPAY_ROOTS", "SHA-256 of Alipay's root certificates that production believes, in hex, by comma: every RSA one in root.crt, as openssl prints it")
    stripe_api: str = _setting("", "STRIPE_API", "address of Stripe's API; empty: its own. Another one is for tests and refused in production")
    smtp_host: str = _setting("", "SMTP_HOST", "mail server that takes our letters; empty: letters are kept, and sent once there is one")
    smtp_port: int = _setting(0, "SMTP_PORT", "its port; 0: what is usual, 587 for starttls, 465 for tls, 25 for none")
    smtp_security: str = _setting("starttls", "SMTP_SECURITY", "starttls, tls (from the first byte) or none")
    smtp_user: str = _setting("", "SMTP_USER", "name to sign in with at the mail server; empty: without")
    smtp_password: str = _setting("", "SMTP_PASSWORD", "its password")
    mail_from: str = _setting("", "MAIL_FROM", "e-mail address that letters come from")
    alarm_unknown_minutes: int = _setting(60, "ALARM_UNKNOWN_MINUTES", "minutes after which a payment or refund of unknown outcome is an alarm")
    redis_url: str = _setting("", "REDIS_URL", "shared rate limits and caches; empty: in memory")
    page_cache_mb: int = _setting(12, "PAGE_CACHE_MB", "megabytes a process in which the shop's public pages are kept; 0: none")
    demo_sign_ins: bool = _setting(True, "DEMO_SIGN_INS", "show demonstration sign-ins on the sign-in page")
    debug: bool = _setting(False, "MARKET_DEBUG", "Flask's debugger; never in production")
    secure_cookies: bool = _setting(False, "SECURE_COOKIES", "cookies over https only")
    trusted_proxies: int = _setting(0, "TRUSTED_PROXIES", "number of proxies in front whose X-Forwarded-* headers count")
    payment_minutes: int = _setting(30, "PAYMENT_MINUTES", "minutes until an unpaid purchase gives its stock back")
    unpaid_purchases: int = _setting(5, "UNPAID_PURCHASES", "purchases of one buyer that may wait for payment at once; 0: any number")
    unpaid_packs: int = _setting(5, "UNPAID_PACKS", "packs of a kind that one buyer may always have in unpaid purchases; of more at most half of what could be had; 0: any number")
    confirm_days: int = _setting(10, "CONFIRM_DAYS", "days after the last shipment when receipt counts as confirmed")
    return_days: int = _setting(7, "RETURN_DAYS", "return window of the public, in days after receipt")
    notice_workdays: int = _setting(7, "NOTICE_WORKDAYS", "working days a distribution stands published")
    minimum_quota_bp: int = _setting(3000, "MINIMUM_QUOTA_BP", "least reserved percentage of a unit's base, basis points")
    late_interest_rate: int = _setting(500, "LATE_INTEREST_RATE", "late interest of units a day, in millionths: 500 is 0.05 %")
    late_interest_least: int = _setting(83, "LATE_INTEREST_LEAST", "the least that may be agreed, in millionths a day: the one-year LPR, of 3 % a year 83")
    recovery_cap_bp: int = _setting(2000, "RECOVERY_CAP_BP", "most of a period's pool, or of what a remittance takes, that recovers earlier refunds, basis points")
    payout_cap_fen: int = _setting(0, "PAYOUT_CAP_FEN", "most that a cooperative pays a household in a month, in fen; what is above waits; 0: no bound")
    errand_households: int = _setting(5000, "ERRAND_HOUSEHOLDS", "households from which on a worker takes the long steps of a distribution or payout beside the pages")
    unclaimed_days: int = _setting(730, "UNCLAIMED_DAYS", "days after which a household's money that nobody could pay may go to the relief fund")
    fund_holder: str = _setting("", "FUND_HOLDER", "code of the organisation that legally holds the relief fund; empty: the operator")

    @property
    def sqlalchemy_url(self) -> str:
        return self.database_url or f"sqlite:///{(self.data_dir / 'market.sqlite3').resolve()}"

    @property
    def pinned_roots(self) -> frozenset[str] | None:
        """``alipay_roots`` in lower case without colons; None outside production, where the emulator's own root is believed."""
        named = frozenset(each.strip().replace(":", "").lower() for each in self.alipay_roots.split(",") if each.strip())
        return named if self.is_production else None

    @property
    def is_production(self) -> bool:
        return self.environment == "production"


def read_settings(environ: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """Settings from the environment, overridden by ``given``. Raises BadConfiguration naming every bad variable."""
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    wrong: list[str] = []
    for each in fields(Settings):
        raw = environ.get(each.metadata["variable"], "")
        if raw != "":
            try:
                values[each.name] = _typed(raw, each.default)
            except ValueError:
                wrong.append(f"{each.metadata['variable']}: {raw!r} is not {type(each.default).__name__}")
    values.update(given)
    if wrong:
        raise BadConfiguration("\n".join(wrong))
    settings = Settings(**values)
    if settings.environment not in ENVIRONMENTS:
        raise BadConfiguration(f"MARKET_ENV: one of {', '.join(ENVIRONMENTS)}")
    bad_mail = list(_wrong_mail(settings))
    if settings.is_production:
        refused = [*_unfit_for_production(settings), *bad_mail]
        if refused:
            raise BadConfiguration("\n".join(refused))
        return settings
    if bad_mail:
        raise BadConfiguration("\n".join(bad_mail))
    return _with_local_secrets(settings)


def _typed(raw: str, default: Any) -> Any:
    if isinstance(default, bool):
        if raw.lower() not in {"1", "0", "true", "false", "yes", "no"}:
            raise ValueError(raw)
        return raw.lower() in {"1", "true", "yes"}
    if isinstance(default, int):
        value = int(raw)
        if value < 0:
            raise ValueError(raw)
        return value
    return Path(raw) if isinstance(default, Path) else raw


def _unfit_for_production(settings: Settings) -> Any:
    for name in ("secret_key", "data_key", "index_key", "log_key", "database_url", "alipay_gateway", "alipay_public_key", "alipay_app_id", "alipay_private_key"):
        if not getattr(settings, name):
            yield f"{variable(name)}: missing"
    if settings.secret_key and len(settings.secret_key) < 32:
        yield "SECRET_KEY: shorter than 32 characters"
    if settings.debug:
        yield "MARKET_DEBUG: must be off"
    if settings.demo_sign_ins:
        yield "DEMO_SIGN_INS: must be off"
    if not settings.secure_cookies:
        yield "SECURE_COOKIES: must be on"
    if not settings.base_url.startswith("https://"):
        yield "BASE_URL: must begin with https://"
    if settings.alipay_gateway and not settings.alipay_gateway.startswith("https://"):
        yield "ALIPAY_GATEWAY: must begin with https:// (an emulator cannot be a gateway in production)"
    if settings.stripe_api:
        yield "STRIPE_API: another address than Stripe's own"
    if settings.alipay_certificates and not settings.alipay_roots:
        yield "ALIPAY_ROOTS: missing beside ALIPAY_CERTIFICATES"
    if any(not re.fullmatch(r"[0-9a-f]{64}", each) for each in settings.pinned_roots or ()):
        yield "ALIPAY_ROOTS: not SHA-256 in hex by comma"
    if settings.alipay_app_id.startswith(EMULATOR_APPLICATIONS):
        yield "ALIPAY_APP_ID: an application of the emulator"
    for name, kind in (("alipay_public_key", "public"), ("alipay_private_key", "private")):
        if getattr(settings, name):
            wrong = wrong_key(getattr(settings, name), kind)
            if wrong:
                yield f"{variable(name)}: {wrong}"
    if settings.alipay_certificates:
        for name in ("root.crt", "alipay.crt", f"{settings.alipay_app_id}.crt"):
            wrong = _wrong_certificate(Path(settings.alipay_certificates) / name)
            if wrong:
                yield f"ALIPAY_CERTIFICATES: {name} {wrong}"


def is_mail_address(text: str) -> bool:
    """Whether this is one plain e-mail address: no name, no comment, no line break, nothing beyond ASCII."""
    local, _, host = text.rpartition("@")
    label = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    named = re.fullmatch(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*", local)
    return bool(named) and len(local) <= 64 and len(text) <= 254 and re.fullmatch(rf"{label}(?:\.{label})+", host) is not None


def _wrong_mail(settings: Settings) -> Any:
    """Half of a mail server's settings is none: whoever sets one wants letters to go out."""
    if settings.smtp_host and not settings.mail_from:
        yield "MAIL_FROM: missing beside SMTP_HOST"
    if not settings.smtp_host and (settings.mail_from or settings.smtp_user or settings.smtp_password):
        yield "SMTP_HOST: missing beside MAIL_FROM, SMTP_USER or SMTP_PASSWORD"
    if bool(settings.smtp_user) != bool(settings.smtp_password):
        yield "SMTP_USER and SMTP_PASSWORD: one without the other"
    if settings.smtp_security not in ("starttls", "tls", "none"):
        yield "SMTP_SECURITY: one of starttls, tls, none"
    if settings.smtp_security == "none" and settings.smtp_password and settings.is_production:
        yield "SMTP_SECURITY: a password is not sent in the clear"
    if settings.smtp_port > 65535:
        yield "SMTP_PORT: no port"
    if settings.mail_from and not is_mail_address(settings.mail_from):
        yield "MAIL_FROM: not an e-mail address"
    for address in filter(None, (each.strip() for each in settings.log_auditors.split(","))):
        if not is_mail_address(address):
            yield "LOG_AUDITORS: not e-mail addresses by comma"


def wrong_key(text: str, kind: str) -> str:
    """What is wrong with a key of Alipay's console (PEM or base64), or nothing."""
    import base64

    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    try:
        der = base64.b64decode(re.sub(r"-----[A-Z ]+-----|\s", "", text), validate=True)
        key = serialization.load_der_public_key(der) if kind == "public" else serialization.load_der_private_key(der, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return f"not a {kind} key (PEM or base64)"
    if not isinstance(key, rsa.RSAPublicKey | rsa.RSAPrivateKey) or key.key_size < 2048:
        return "not RSA of 2,048 bits or more"
    public = key if isinstance(key, rsa.RSAPublicKey) else key.public_key()
    return "a key of the emulator" if public.public_numbers().e == EMULATOR_KEY_MARK else ""


def _wrong_certificate(path: Path) -> str:
    """What is wrong with a file of certificates, or nothing. That they are of one root and valid today is told when they are used."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import rsa

    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        return "cannot be read"
    for each in found:
        try:
            key = each.public_key()
        except (ValueError, UnsupportedAlgorithm):
            continue  # Alipay's root also holds certificates of other kinds
        if isinstance(key, rsa.RSAPublicKey) and key.public_numbers().e == EMULATOR_KEY_MARK:
            return "is of the emulator"
    return ""


def variable(name: str) -> str:
    """The environment variable of the setting ``name``."""
    return next(str(each.metadata["variable"]) for each in fields(Settings) if each.name == name)


def _with_local_secrets(settings: Settings) -> Settings:
    """Demonstrations and tests make secrets of their own, kept in DATA_DIR so that a restart reads what it wrote."""
    import base64
    import json
    from dataclasses import replace

    missing = [name for name in ("secret_key", "data_key", "index_key") if not getattr(settings, name)]
    if not missing:
        return settings
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    path = settings.data_dir / "local-secrets.json"
    if not path.exists():
        made = {
            "secret_key": secrets.token_urlsafe(48),
            "data_key": "k1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
            "index_key": base64.b64encode(secrets.token_bytes(32)).decode(),
        }
        fresh = path.with_suffix(f".{os.getpid()}.new")
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(made))
        try:
            os.link(fresh, path)  # fails if another process was first: then its secrets are the ones
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    kept = json.loads(path.read_text())
    return replace(settings, **{name: kept[name] for name in missing})


def settings() -> Settings:
    """The settings of the running application."""
    from flask import current_app

    kept: Settings = current_app.extensions["settings"]
    return kept
