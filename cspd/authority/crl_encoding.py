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

_BIT_STRING, _OCTET_STRING, _ENUMERATED, _SEQUENCE, _EXTENSIONS = 0x03, 0x04, 0x0A, 0x30, 0xA0
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
    return encode_revoked(entry.serial, entry.revoked_at, entry.reason.value, entry.invalidity_date)


def encode_revoked(serial: int, revoked_at: datetime, reason: str, invalidity_date: datetime | None) -> bytes:
    """The same from the columns of a row, without a value for each; ``reason`` is the name of a CRLReason."""
    if serial < 0:
        raise ValueError("serial numbers are not negative")
    number = serial.to_bytes(serial.bit_length() // 8 + 1, "big")  # one bit more than the value has, for the sign
    parts = b"\x02" + _OCTET[len(number)] + number + encode_time(revoked_at)
    if invalidity_date is None:
        parts += _REASONS[reason]
    else:
        # always GeneralizedTime (RFC 5280, 5.3.2)
        value = _element(_OCTET_STRING, _generalized_time(invalidity_date))
        date = _element(_SEQUENCE, _INVALIDITY_DATE_OID + value)
        parts += _element(_SEQUENCE, _REASON_EXTENSIONS[reason] + date)
    return b"\x30" + _OCTET[len(parts)] + parts  # an entry is far shorter than 128 octets


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
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    year, month, day, hour, minute, second, *_ = moment.timetuple()
    if 1950 <= year < 2050:
        return b"\x17\x0d%02d%02d%02d%02d%02d%02dZ" % (year % 100, month, day, hour, minute, second)
    return b"\x18\x0f%04d%02d%02d%02d%02d%02dZ" % (year, month, day, hour, minute, second)


def _generalized_time(moment: datetime) -> bytes:
    return b"\x18\x0f%04d%02d%02d%02d%02d%02dZ" % moment.astimezone(UTC).timetuple()[:6]


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


_OCTET = tuple(bytes((number,)) for number in range(128))
_REASON_EXTENSIONS = {reason.value: _reason_extension(reason) for reason in RevocationReason}
_REASONS = {name: _element(_SEQUENCE, der) if der else b"" for name, der in _REASON_EXTENSIONS.items()}
"""crlEntryExtensions of an entry that has no other."""

__all__ = [
    "CRLEntry",
    "encode_algorithm",
    "encode_certificate_list",
    "encode_entry",
    "encode_extension",
    "encode_revoked",
    "encode_tbs_cert_list",
    "encode_time",
]
