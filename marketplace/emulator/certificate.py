"""Certificate mode: a root of the emulator's own, Alipay's certificate and one for each application, as files in its folder."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from marketplace.emulator.keys import KeyPair, load_public

# Long before and after any day that a simulation travels to.
BEGINS, ENDS = datetime(2015, 1, 1, tzinfo=UTC), datetime(2099, 12, 31, tzinfo=UTC)


def serial_number(certificate_pem: str) -> str:
    """What the protocol calls a certificate's SN: MD5 in hex of the issuer's name and the serial number."""
    made = x509.load_pem_x509_certificate(certificate_pem.encode())
    named = made.issuer.rfc4514_string() + str(made.serial_number)
    return hashlib.md5(named.encode(), usedforsecurity=False).hexdigest()


def root(folder: Path, keys: KeyPair) -> str:
    """The root's certificate (PEM), made if missing; ``keys`` are the root's own."""
    return _kept(folder / "root.crt", _name("Emulator Root R1"), keys.private.public_key(), _name("Emulator Root R1"), keys.private)


def of_alipay(folder: Path, keys: KeyPair, root_keys: KeyPair) -> str:
    """The certificate of the gateway's own key."""
    return _kept(folder / "alipay.crt", _name("Emulator Alipay"), keys.private.public_key(), _name("Emulator Root R1"), root_keys.private)


def of_application(folder: Path, app_id: str, public_key_pem: str, root_keys: KeyPair) -> str:
    """The certificate of an application's key."""
    return _kept(folder / f"{app_id}.crt", _name(app_id), load_public(public_key_pem), _name("Emulator Root R1"), root_keys.private)


def _name(common: str) -> x509.Name:
    parts = ((NameOID.COUNTRY_NAME, "CN"), (NameOID.ORGANIZATION_NAME, "Emulator"), (NameOID.ORGANIZATIONAL_UNIT_NAME, "Certification Authority"))
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in (*parts, (NameOID.COMMON_NAME, common))])


def _kept(path: Path, subject: x509.Name, public: rsa.RSAPublicKey, issuer: x509.Name, signer: rsa.RSAPrivateKey) -> str:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(BEGINS)
            .not_valid_after(ENDS)
            .sign(signer, hashes.SHA256())
        )
        path.write_bytes(made.public_bytes(Encoding.PEM))
    return path.read_text()
