"""CertificateList as DER, read back by cryptography and OpenSSL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from cspd.authority.crl_encoding import (
    CRLEntry,
    encode_certificate_list,
    encode_entry,
    encode_extension,
    encode_tbs_cert_list,
    encode_time,
)
from cspd.authority.crl_signing import sign, signature_algorithm
from cspd.authority.values import RevocationReason
from cspd.keys.values import PrivateKey
from cspd.x509.algorithms import signature_hash

KEY = ec.generate_private_key(ec.SECP256R1())
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example")])
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def crl_of(entries: list[CRLEntry], *, key: PrivateKey = KEY, next_update: datetime = NOW + timedelta(days=1)) -> bytes:
    algorithm_der = signature_algorithm(key.public_key())
    tbs = encode_tbs_cert_list(
        algorithm_der=algorithm_der,
        issuer=NAME,
        this_update=NOW,
        next_update=next_update,
        entries=[encode_entry(entry) for entry in entries],
        extensions=[
            encode_extension(x509.AuthorityKeyIdentifier(b"k" * 20, None, None)),
            encode_extension(x509.CRLNumber(7)),
            encode_extension(x509.DeltaCRLIndicator(6), critical=True),
        ],
    )
    return encode_certificate_list(tbs=tbs, algorithm_der=algorithm_der, signature=sign(key, tbs))


def entry_of(revoked: x509.RevokedCertificate) -> CRLEntry:
    """What cryptography reads."""
    reason, invalidity_date = RevocationReason.UNSPECIFIED, None
    for extension in revoked.extensions:
        if isinstance(extension.value, x509.CRLReason):
            reason = RevocationReason(extension.value.reason.value)
        else:
            assert isinstance(extension.value, x509.InvalidityDate)
            invalidity_date = extension.value.invalidity_date_utc
        assert not extension.critical
    return CRLEntry(
        serial=revoked.serial_number,
        revoked_at=revoked.revocation_date_utc,
        reason=reason,
        invalidity_date=invalidity_date,
    )


moments = st.datetimes(min_value=datetime(1960, 1, 1), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)
entries = st.builds(
    CRLEntry,
    serial=st.integers(1, (1 << 159) - 1),
    revoked_at=moments,
    reason=st.sampled_from(RevocationReason),
    invalidity_date=st.none() | moments,
)


@given(st.lists(entries, max_size=5, unique_by=lambda each: each.serial), moments)
def test_what_is_encoded_is_read_back(written: list[CRLEntry], next_update: datetime) -> None:
    crl = x509.load_der_x509_crl(crl_of(written, next_update=next_update))
    assert [entry_of(each) for each in crl] == written
    assert crl.issuer == NAME
    assert crl.last_update_utc == NOW
    assert crl.next_update_utc == next_update
    assert crl.is_signature_valid(KEY.public_key())


@given(entries)
def test_an_entry_is_encoded_as_cryptography_does(entry: CRLEntry) -> None:
    revoked = x509.RevokedCertificateBuilder().serial_number(entry.serial).revocation_date(entry.revoked_at)
    if entry.reason is not RevocationReason.UNSPECIFIED:
        revoked = revoked.add_extension(x509.CRLReason(x509.ReasonFlags(entry.reason.value)), critical=False)
    if entry.invalidity_date is not None:
        revoked = revoked.add_extension(x509.InvalidityDate(entry.invalidity_date), critical=False)
    reference = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(NAME)
        .last_update(NOW)
        .next_update(NOW + timedelta(days=1))
        .add_revoked_certificate(revoked.build())
        .add_extension(x509.AuthorityKeyIdentifier(b"k" * 20, None, None), critical=False)
        .add_extension(x509.CRLNumber(7), critical=False)
        .add_extension(x509.DeltaCRLIndicator(6), critical=True)
        .sign(KEY, signature_hash(KEY.public_key()))
    )
    ours = x509.load_der_x509_crl(crl_of([entry]))
    assert ours.tbs_certlist_bytes == reference.tbs_certlist_bytes


def test_extensions_are_as_given() -> None:
    crl = x509.load_der_x509_crl(crl_of([]))
    assert [(type(each.value), each.critical) for each in crl.extensions] == [
        (x509.AuthorityKeyIdentifier, False),
        (x509.CRLNumber, False),
        (x509.DeltaCRLIndicator, True),
    ]


def test_an_empty_list_is_left_out() -> None:
    """RFC 5280, 5.1.2.6: revokedCertificates MUST be absent; an empty SEQUENCE would show as 30 00."""
    assert len(x509.load_der_x509_crl(crl_of([]))) == 0
    assert b"\x30\x00" not in crl_of([], key=ed25519.Ed25519PrivateKey.from_private_bytes(b"1" * 32))


@pytest.mark.requirement("R-CA-025")
@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        rsa.generate_private_key(65537, 4096),
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP521R1()),
        ed25519.Ed25519PrivateKey.generate(),
        ed448.Ed448PrivateKey.generate(),
        mldsa.MLDSA44PrivateKey.generate(),
        mldsa.MLDSA65PrivateKey.generate(),
        mldsa.MLDSA87PrivateKey.generate(),
    ],
    ids=["rsa-2048", "rsa-4096", "p256", "p384", "p521", "ed25519", "ed448", "mldsa44", "mldsa65", "mldsa87"],
)
def test_every_kind_of_key_signs_as_cryptography_does(key: PrivateKey) -> None:
    crl = x509.load_der_x509_crl(crl_of([CRLEntry(serial=1, revoked_at=NOW)], key=key))
    assert crl.is_signature_valid(key.public_key())
    reference = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(NAME)
        .last_update(NOW)
        .next_update(NOW)
        .sign(key, signature_hash(key.public_key()))
    )
    assert crl.signature_algorithm_oid == reference.signature_algorithm_oid
    assert signature_algorithm(key.public_key()) in reference.public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("moment", "der"),
    [
        (datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), b"\x17\x0d491231235959Z"),
        (datetime(2050, 1, 1, tzinfo=UTC), b"\x18\x0f20500101000000Z"),
    ],
)
def test_times_change_their_type_in_2050(moment: datetime, der: bytes) -> None:
    assert encode_time(moment) == der


def test_a_negative_serial_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        encode_entry(CRLEntry(serial=-1, revoked_at=NOW))
