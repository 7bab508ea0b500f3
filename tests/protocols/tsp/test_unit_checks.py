"""Certificates that may not sign tokens, each with the exact sentences about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from protocols.tsp.unit_checks import Fault, find_faults, signs_until
from tests.protocols.tsp.unit_certificates import (
    CA,
    NOW,
    UNIT,
    YEAR,
    Hierarchy,
    basic_constraints,
    extended_key_usage,
    key_usage,
    make_ca,
)

TIME_STAMPING = ExtendedKeyUsageOID.TIME_STAMPING
DIGITAL_SIGNATURE, TIME_STAMPING_ALONE = UNIT


@pytest.fixture(scope="module")
def hierarchy() -> Hierarchy:
    return Hierarchy()


def reread(certificate: x509.Certificate) -> x509.Certificate:
    return x509.load_der_x509_certificate(certificate.public_bytes(Encoding.DER))


@pytest.mark.parametrize(
    "make_key",
    [
        pytest.param(lambda: rsa.generate_private_key(65537, 2048), id="rsa-2048"),
        pytest.param(lambda: ec.generate_private_key(ec.SECP256R1()), id="ec-p256"),
        pytest.param(lambda: ec.generate_private_key(ec.SECP384R1()), id="ec-p384"),
        pytest.param(lambda: ec.generate_private_key(ec.SECP521R1()), id="ec-p521"),
        pytest.param(ed25519.Ed25519PrivateKey.generate, id="ed25519"),
        pytest.param(ed448.Ed448PrivateKey.generate, id="ed448"),
        pytest.param(mldsa.MLDSA44PrivateKey.generate, id="ml-dsa-44"),
        pytest.param(mldsa.MLDSA87PrivateKey.generate, id="ml-dsa-87"),
    ],
)
def test_sound_certificates_of_every_key_type(hierarchy: Hierarchy, make_key: Callable[[], Any]) -> None:
    certificate = reread(hierarchy.unit(make_key().public_key()))
    assert find_faults(certificate, hierarchy.chain, NOW) == ()
    assert find_faults(certificate, hierarchy.chain[:1], NOW) == (), "the root may be left out"


def test_non_repudiation_beside_digital_signature_is_fine(hierarchy: Hierarchy) -> None:
    usage = key_usage("digital_signature", "content_commitment")
    assert find_faults(hierarchy.unit(extensions=(usage, TIME_STAMPING_ALONE)), hierarchy.chain, NOW) == ()


@dataclass(frozen=True, kw_only=True)
class Bad:
    """What is changed in a sound certificate of a unit, and what is said of it."""

    name: str
    extensions: Sequence[Any] = UNIT
    not_before: datetime = NOW - YEAR
    not_after: datetime = NOW + YEAR
    make_key: Callable[[], Any] = lambda: ec.generate_private_key(ec.SECP256R1())
    says: tuple[str, ...]


KEYS_THAT_CAN = "RSA of 2048 to 4096 bits, P-256, P-384, P-521, Ed25519, Ed448 and ML-DSA can sign tokens"
TABLE = [
    Bad(
        name="no extensions",
        extensions=(),
        says=(
            "has no extendedKeyUsage: timeStamping, critical, is required",
            "has no keyUsage: digitalSignature is required",
        ),
    ),
    Bad(
        name="purpose not critical",
        extensions=(DIGITAL_SIGNATURE, extended_key_usage(TIME_STAMPING, critical=False)),
        says=("has an extendedKeyUsage that is not critical",),
    ),
    Bad(
        name="another purpose beside it",
        extensions=(DIGITAL_SIGNATURE, extended_key_usage(TIME_STAMPING, ExtendedKeyUsageOID.CODE_SIGNING)),
        says=("has an extendedKeyUsage with 1.3.6.1.5.5.7.3.3 beside timeStamping, which has to stand alone",),
    ),
    Bad(
        name="any purpose",
        extensions=(
            DIGITAL_SIGNATURE,
            extended_key_usage(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE, critical=False),
        ),
        says=("has an extendedKeyUsage without timeStamping", "has an extendedKeyUsage that is not critical"),
    ),
    Bad(
        name="non-repudiation alone",
        extensions=(key_usage("content_commitment"), TIME_STAMPING_ALONE),
        says=("has a keyUsage without digitalSignature",),
    ),
    Bad(
        name="usages of other certificates",
        extensions=(key_usage("digital_signature", "key_encipherment", "crl_sign"), TIME_STAMPING_ALONE),
        says=("has a keyUsage with keyEncipherment, cRLSign, which does not go with timeStamping",),
    ),
    Bad(
        name="a CA's",
        extensions=(*UNIT, basic_constraints(ca=True)),
        says=("is a CA's certificate (basicConstraints)",),
    ),
    Bad(name="expired", not_after=NOW, says=("expired on 2026-11-24 12:00 UTC",)),
    Bad(
        name="of the future",
        not_before=NOW + timedelta(minutes=1),
        says=("is not valid before 2026-11-24 12:01 UTC",),
    ),
    Bad(
        name="usage period is over",
        extensions=(*UNIT, (x509.PrivateKeyUsagePeriod(None, NOW), False)),
        says=("has a privateKeyUsagePeriod that ended on 2026-11-24 12:00 UTC",),
    ),
    Bad(
        name="usage period has not begun",
        extensions=(*UNIT, (x509.PrivateKeyUsagePeriod(NOW + timedelta(days=1), None), False)),
        says=("has a privateKeyUsagePeriod that begins on 2026-11-25 12:00 UTC",),
    ),
    Bad(
        name="outlives its issuer",
        not_after=NOW + 2 * YEAR + timedelta(seconds=60),
        says=("ends on 2028-11-23 12:01 UTC, after the certificate of its issuer, 2028-11-23 12:00 UTC",),
    ),
    Bad(
        name="small RSA key",
        make_key=lambda: rsa.generate_private_key(65537, 1024),
        says=(f"has a key of type rsa-1024: {KEYS_THAT_CAN}",),
    ),
    Bad(
        name="RSA exponent three",
        make_key=lambda: rsa.generate_private_key(3, 2048),
        says=("has a weak key: the RSA exponent is not an odd number from 65537 up to 2^256",),
    ),
    Bad(
        name="another curve",
        make_key=lambda: ec.generate_private_key(ec.SECP256K1()),
        says=(f"has a key of type ec-secp256k1: {KEYS_THAT_CAN}",),
    ),
    Bad(
        name="DSA",
        make_key=lambda: dsa.generate_private_key(2048),
        says=(f"has a key of type dsa-2048: {KEYS_THAT_CAN}",),
    ),
]


@pytest.mark.requirement("R-TSA-065")
@pytest.mark.parametrize("bad", TABLE, ids=lambda bad: bad.name)
def test_a_certificate_that_may_not_sign_tokens(hierarchy: Hierarchy, bad: Bad) -> None:
    certificate = hierarchy.unit(
        bad.make_key().public_key(), extensions=bad.extensions, not_before=bad.not_before, not_after=bad.not_after
    )
    faults = find_faults(reread(certificate), hierarchy.chain, NOW)
    assert faults == tuple(Fault(what, 0) for what in bad.says)


def test_everything_wrong_is_said_at_once(hierarchy: Hierarchy) -> None:
    certificate = hierarchy.unit(
        rsa.generate_private_key(65537, 1024).public_key(), extensions=(), not_before=NOW - YEAR, not_after=NOW
    )
    faults = find_faults(certificate, [hierarchy.root.certificate], NOW)
    assert [fault.what.split(":")[0] for fault in faults] == [
        "has a key of type rsa-1024",
        "expired on 2026-11-24 12",
        "has no extendedKeyUsage",
        "has no keyUsage",
        "(CN=root) did not issue CN=unit",
    ]


ORDER = "the chain begins with the issuer of the certificate, and each is issued by the next"


def test_chains_that_are_none(hierarchy: Hierarchy) -> None:
    unit = hierarchy.unit()
    issuing, root = hierarchy.chain
    stranger = make_ca("issuing", make_ca("root"), not_after=NOW + 2 * YEAR).certificate
    assert find_faults(unit, [root], NOW) == (Fault(f"(CN=root) did not issue CN=unit: {ORDER}", 1),)
    assert find_faults(unit, [root, issuing], NOW) == (
        Fault(f"(CN=root) did not issue CN=unit: {ORDER}", 1),
        Fault(f"(CN=issuing) did not issue CN=root: {ORDER}", 2),
    )
    assert find_faults(unit, [stranger], NOW) == (Fault(f"(CN=issuing) did not issue CN=unit: {ORDER}", 1),), "by name"
    assert find_faults(unit, [issuing, stranger], NOW) == (Fault(f"(CN=issuing) did not issue CN=issuing: {ORDER}", 2),)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param(
            {"extensions": ()},
            ("is not a CA's certificate (basicConstraints)", "has no keyUsage with keyCertSign"),
            id="none",
        ),
        pytest.param(
            {"extensions": (basic_constraints(ca=False), CA[1])},
            ("is not a CA's certificate (basicConstraints)",),
            id="ca false",
        ),
        pytest.param({"extensions": (CA[0], key_usage("crl_sign"))}, ("has no keyUsage with keyCertSign",), id="usage"),
        pytest.param({"not_after": NOW}, ("expired on 2026-11-24 12:00 UTC",), id="expired"),
        pytest.param(
            {"not_before": NOW + timedelta(days=1)}, ("is not valid before 2026-11-25 12:00 UTC",), id="early"
        ),
    ],
)
def test_an_issuer_that_is_no_ca(hierarchy: Hierarchy, changes: Any, says: tuple[str, ...]) -> None:
    issuing = make_ca("issuing", hierarchy.root, **{"not_after": NOW + 2 * YEAR, **changes})
    special = Hierarchy()
    special.issuing = issuing
    unit = special.unit(not_after=min(NOW + YEAR, issuing.certificate.not_valid_after_utc))
    faults = find_faults(unit, [issuing.certificate, hierarchy.root.certificate], NOW)
    assert [fault.what for fault in faults if fault.position == 1] == list(says)


def test_a_ca_that_allows_no_ca_below_it() -> None:
    root = make_ca("root", extensions=(basic_constraints(ca=True, path_length=0), CA[1]), not_after=NOW + 4 * YEAR)
    special = Hierarchy()
    special.issuing = make_ca("issuing", root, not_after=NOW + 2 * YEAR)
    faults = find_faults(special.unit(), [special.issuing.certificate, root.certificate], NOW)
    assert faults == (Fault("allows 0 CAs below it (basicConstraints), and there are 1", 2),)


def test_a_unit_signs_until_the_first_end(hierarchy: Hierarchy) -> None:
    assert signs_until(hierarchy.unit(), hierarchy.chain) == NOW + YEAR
    period = x509.PrivateKeyUsagePeriod(None, NOW + timedelta(days=90))
    certificate = reread(hierarchy.unit(extensions=(*UNIT, (period, False))))
    assert signs_until(certificate, hierarchy.chain) == NOW + timedelta(days=90)
    short = make_ca("issuing", hierarchy.root, not_after=NOW + timedelta(days=10)).certificate
    assert signs_until(hierarchy.unit(), [short]) == NOW + timedelta(days=10)


def test_extensions_that_cannot_be_read_are_a_fault(hierarchy: Hierarchy) -> None:
    usage = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.15"), b"\x30\x00")
    [fault] = find_faults(hierarchy.unit(extensions=((usage, True),)), hierarchy.chain, NOW)
    assert fault.what.startswith("its extensions cannot be read: ")
