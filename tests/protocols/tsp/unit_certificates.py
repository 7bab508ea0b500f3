"""Certificates of time-stamp units and of their CAs, sound unless a test says otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cspd.x509.algorithms import signature_hash
from tests.support.clocks import FrozenClock

NOW = FrozenClock().now()
YEAR = timedelta(days=365)
_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
Extension = tuple[x509.ExtensionType, bool]


def key_usage(*names: str) -> Extension:
    """A critical keyUsage with these bits."""
    return x509.KeyUsage(**{name: name in names for name in _USAGES}), True


def extended_key_usage(*purposes: x509.ObjectIdentifier, critical: bool = True) -> Extension:
    return x509.ExtendedKeyUsage(purposes), critical


def basic_constraints(*, ca: bool, path_length: int | None = None) -> Extension:
    return x509.BasicConstraints(ca=ca, path_length=path_length), True


UNIT = (key_usage("digital_signature"), extended_key_usage(ExtendedKeyUsageOID.TIME_STAMPING))
CA = (basic_constraints(ca=True), key_usage("key_cert_sign", "crl_sign"))


@dataclass(frozen=True)
class Signer:
    """A CA: its key and certificate."""

    key: Any
    certificate: x509.Certificate


def certify(
    name: str,
    public_key: Any,
    *,
    by: Signer | None = None,
    key: Any = None,
    extensions: Sequence[Extension] = (),
    not_before: datetime = NOW - YEAR,
    not_after: datetime = NOW + YEAR,
) -> x509.Certificate:
    """A certificate for ``public_key``, signed by ``by`` or, with ``key``, by itself."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signing_key = key if by is None else by.key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if by is None else by.certificate.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    return builder.sign(signing_key, signature_hash(signing_key.public_key()))


def make_ca(name: str, by: Signer | None = None, *, extensions: Sequence[Extension] = CA, **period: datetime) -> Signer:
    key = ec.generate_private_key(ec.SECP256R1())
    return Signer(key, certify(name, key.public_key(), by=by, key=key, extensions=extensions, **period))


class Hierarchy:
    """A root, an issuing CA, and what they certify."""

    def __init__(self, now: datetime = NOW) -> None:
        self._now = now
        self.root = make_ca("root", not_before=now - YEAR, not_after=now + 4 * YEAR)
        self.issuing = make_ca("issuing", self.root, not_before=now - YEAR, not_after=now + 2 * YEAR)
        self.chain = (self.issuing.certificate, self.root.certificate)

    def unit(
        self, public_key: Any = None, *, extensions: Sequence[Extension] = UNIT, **period: datetime
    ) -> x509.Certificate:
        public_key = public_key or ec.generate_private_key(ec.SECP256R1()).public_key()
        period = {"not_before": self._now - YEAR, "not_after": self._now + YEAR, **period}
        return certify("unit", public_key, by=self.issuing, extensions=extensions, **period)


def write_pem(file: Path, *certificates: x509.Certificate) -> Path:
    file.write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in certificates))
    return file
