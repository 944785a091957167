"""Certificate mode: requests name their certificates, answers name Alipay's, and any other is not believed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from marketplace.emulator import certificate
from marketplace.emulator.keys import demo_app_keys, root_keys
from marketplace.foundation import clock
from marketplace.payments.alipay import AlipayClient, Misconfigured, Refunded, Trade, Unknown
from marketplace.payments.alipay_certificate import read_certificates
from marketplace.payments.alipay_signing import BadKey
from marketplace.payments.key_print import of_pem
from tests.emulator.desk import HONEY, TEA, Desk, open_desk


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_desk(tmp_path_factory.mktemp("emulator")) as desk:
        desk.emulator.register_certificate(TEA[0])
        desk.emulator.register_certificate(HONEY[0])
        desk.tea = certified(desk)
        yield desk


def certified(desk: Desk) -> AlipayClient:
    # The key of the public-key mode is left out: what proves an answer is the certificate's.
    folder = desk.emulator.certificates
    return replace(desk.tea, certificates=read_certificates(folder, TEA[0]))


def test_a_trade_is_paid_queried_and_refunded_with_certificates(desk: Desk) -> None:
    number = desk.buy(13_600)
    paid = desk.tea.query(number, total_fen=13_600)
    assert isinstance(paid, Trade) and paid.paid
    assert desk.tea.refund(number, "R1", 600, "破损") == Refunded(number, "R1", 600, 600)
    assert desk.tea.refund_query(number, "R1", 600) == Refunded(number, "R1", 600, None)


def test_without_certificates_nothing_is_done(desk: Desk) -> None:
    bare = replace(desk.tea, certificates=None)
    assert bare.query("T1") == Misconfigured("40002", "isv.missing-app-cert-sn") or bare.query("T1") == Unknown("other_node")


def test_a_new_certificate_of_alipays_is_not_believed_unseen(desk: Desk) -> None:
    number = desk.buy()
    assert desk.tea.certificates is not None
    other = replace(desk.tea, certificates=replace(desk.tea.certificates, alipay_sn="0" * 32))
    assert other.query(number) == Unknown("other_certificate")


@pytest.mark.parametrize("kind", ["bad_signature", "sha1_signature", "no_signature", "truncate", "other_order"])
def test_spoilt_answers_stay_unknown(desk: Desk, kind: str) -> None:
    first, number = desk.buy(), desk.buy()
    desk.tea.query(first)
    desk.fault(kind, number, method="alipay.trade.query")
    assert isinstance(desk.tea.query(number), Unknown)
    assert isinstance(desk.tea.query(number), Trade)


def test_certificates_that_do_not_belong_together_are_refused(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> None:
    good = desk.emulator.certificates
    folder = tmp_path_factory.mktemp("other")
    for name in ("root.crt", "alipay.crt", f"{TEA[0]}.crt"):
        (folder / name).write_bytes((good / name).read_bytes())
    assert read_certificates(folder, TEA[0]) == read_certificates(good, TEA[0])
    (folder / "root.crt").unlink()
    certificate.root(folder, root_keys(folder))  # of the same name, with another key
    with pytest.raises(BadKey):
        read_certificates(folder, TEA[0])
    (folder / "root.crt").write_text("junk")
    with pytest.raises(BadKey):
        read_certificates(folder, TEA[0])
    with pytest.raises(BadKey):
        read_certificates(good, "2021EMU000000000")
    with clock.travel(datetime(2100, 1, 1, tzinfo=UTC)), pytest.raises(BadKey):
        read_certificates(good, TEA[0])


def test_only_a_root_that_is_named_is_believed_in_production(desk: Desk) -> None:
    folder = desk.emulator.certificates
    (root,) = x509.load_pem_x509_certificates((folder / "root.crt").read_bytes())
    assert read_certificates(folder, TEA[0], pinned={of_pem(root)}) == read_certificates(folder, TEA[0])
    for named in (set(), {"0" * 64}):
        with pytest.raises(BadKey, match="ALIPAY_ROOTS"):
            read_certificates(folder, TEA[0], pinned=named)


def test_a_merchants_own_certificate_is_no_authority(desk: Desk, tmp_path: Path) -> None:
    """Its key signs a certificate of "Alipay": the root stands behind the merchant, not behind what the merchant signs."""
    good = desk.emulator.certificates
    merchant = demo_app_keys(tmp_path / "keys")
    own = certificate.of_application(tmp_path, "2021EMU000000777", merchant.public_pem, root_keys(desk.emulator.folder))
    name = x509.load_pem_x509_certificate(own.encode()).subject
    forged = certificate._kept(tmp_path / "forged.crt", certificate._name("Emulator Alipay"), merchant.private.public_key(), name, merchant.private)
    (tmp_path / "root.crt").write_bytes((good / "root.crt").read_bytes())
    (tmp_path / "alipay.crt").write_text(forged + own)
    with pytest.raises(BadKey, match="not of this root"):
        read_certificates(tmp_path, "2021EMU000000777")
