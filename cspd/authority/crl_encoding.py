"""CertificateList as DER (RFC 5280, 5.1), made for CRLs of a hundred thousand entries.

Pure functions. ``cryptography`` builds a CRL from one Python object for each entry; ``bench/crl.py`` has what that
costs beside these few concatenations. What comes out is DER that both ``cryptography`` and OpenSSL verify in the tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509

from cspd.authority.values import RevocationReason

_INTEGER, _BIT_STRING, _OCTET_STRING, _ENUMERATED = 0x02, 0x03, 0x04, 0x0A
_UTC_TIME, _GENERALIZED_TIME, _SEQUENCE, _EXTENSIONS = 0x17, 0x18, 0x30, 0xA0
_VERSION_2 = b"\x02\x01\x01"
_CRITICAL = b"\x01\x01\xff"


@dataclass(frozen=True, slots=True, kw_only=True)
class CRLEntry:
    """One of ``revokedCertificates``."""

    serial: int
    revoked_at: datetime
    reason: RevocationReason = RevocationReason.UNSPECIFIED
    """``unspecified`` is left out of the DER, as RFC 5280 5.3.1 advises."""
    invalidity_date: datetime | None = None


def encode_entry(entry: CRLEntry) -> bytes:
    """One entry of ``revokedCertificates`` with its reasonCode and invalidityDate (RFC 5280, 5.3)."""
    parts = _integer(entry.serial) + encode_time(entry.revoked_at)
    extensions = _REASON_EXTENSIONS[entry.reason]
    if entry.invalidity_date is not None:
        # always GeneralizedTime (RFC 5280, 5.3.2)
        extensions += _element(
            _SEQUENCE, _INVALIDITY_DATE_OID + _element(_OCTET_STRING, _generalized_time(entry.invalidity_date))
        )
    if extensions:
        parts += _element(_SEQUENCE, extensions)
    return _element(_SEQUENCE, parts)


def encode_extension(value: x509.ExtensionType, *, critical: bool = False) -> bytes:
    """One Extension."""
    oid = _OIDS[value.oid]
    return _element(_SEQUENCE, oid + (_CRITICAL if critical else b"") + _element(_OCTET_STRING, value.public_bytes()))


def encode_tbs_cert_list(
    *,
    algorithm_der: bytes,
    issuer: x509.Name,
    this_update: datetime,
    next_update: datetime,
    entries: Iterable[bytes],
    extensions: Sequence[bytes],
) -> bytes:
    """TBSCertList of version 2; ``entries`` and ``extensions`` are encoded already, times are cut to the second.

    ``revokedCertificates`` is absent when there are no entries (RFC 5280, 5.1.2.6).
    """
    revoked = b"".join(entries)
    parts = [
        _VERSION_2,
        algorithm_der,
        issuer.public_bytes(),
        encode_time(this_update),
        encode_time(next_update),
        _element(_SEQUENCE, revoked) if revoked else b"",
        _element(_EXTENSIONS, _element(_SEQUENCE, b"".join(extensions))),
    ]
    return _element(_SEQUENCE, b"".join(parts))


def encode_certificate_list(*, tbs: bytes, algorithm_der: bytes, signature: bytes) -> bytes:
    """CertificateList: the signed CRL."""
    return _element(_SEQUENCE, tbs + algorithm_der + _element(_BIT_STRING, b"\0" + signature))


def encode_time(moment: datetime) -> bytes:
    """Time: UTCTime through 2049 and GeneralizedTime from 2050 on, in seconds and Z (RFC 5280, 5.1.2.4)."""
    moment = moment.astimezone(UTC)
    if moment.year < 2050:
        return b"\x17\x0d" + moment.strftime("%y%m%d%H%M%SZ").encode("ascii")
    return _generalized_time(moment)


def _generalized_time(moment: datetime) -> bytes:
    return b"\x18\x0f" + moment.astimezone(UTC).strftime("%Y%m%d%H%M%SZ").rjust(15, "0").encode("ascii")


def _integer(value: int) -> bytes:
    if value < 0:
        raise ValueError("serial numbers are not negative")
    # one bit more than the value has, for the sign
    return _element(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _element(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def _oid(arcs: str) -> bytes:
    first, second, *rest = (int(arc) for arc in arcs.split("."))
    content = bytearray()
    for arc in (first * 40 + second, *rest):
        octets = [arc & 0x7F]
        while arc := arc >> 7:
            octets.append(0x80 | (arc & 0x7F))
        content.extend(reversed(octets))
    return _element(0x06, bytes(content))


def encode_algorithm(oid: str, *, null_parameters: bool) -> bytes:
    """AlgorithmIdentifier without parameters, or with NULL ones (RSA)."""
    return _element(_SEQUENCE, _oid(oid) + (b"\x05\x00" if null_parameters else b""))


_OIDS = {
    extension.oid: _oid(extension.oid.dotted_string)
    for extension in (x509.AuthorityKeyIdentifier, x509.CRLNumber, x509.DeltaCRLIndicator, x509.FreshestCRL)
}
_INVALIDITY_DATE_OID = _oid(x509.InvalidityDate.oid.dotted_string)


def _reason_extension(reason: RevocationReason) -> bytes:
    if reason is RevocationReason.UNSPECIFIED:
        return b""
    value = _element(_ENUMERATED, bytes((reason.number,)))
    return _element(_SEQUENCE, _oid(x509.CRLReason.oid.dotted_string) + _element(_OCTET_STRING, value))


_REASON_EXTENSIONS = {reason: _reason_extension(reason) for reason in RevocationReason}

__all__ = [
    "CRLEntry",
    "encode_algorithm",
    "encode_certificate_list",
    "encode_entry",
    "encode_extension",
    "encode_tbs_cert_list",
    "encode_time",
]
