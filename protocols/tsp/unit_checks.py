"""Whether a certificate may sign tokens: what RFC 3161, 2.3 asks of it, and what its verifiers will look at.

Everything here is a pure function of certificates and the time. All that is wrong is found in one go, since a
certificate of a CA elsewhere takes days to get.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from cspd.keys.values import KeyType
from cspd.x509.names import format_name
from cspd.x509.public_keys import PublicKeyError, check_strength, key_type_name

EXPIRY_WARNING = timedelta(days=30)
"""How long before a unit's end people are told."""
RSA_BITS = range(2048, 4097)
_OTHER_KEY_TYPES = frozenset(each.value for each in KeyType if not each.value.startswith("rsa"))
_UNSUITABLE_USAGES = {
    "key_encipherment": "keyEncipherment",
    "data_encipherment": "dataEncipherment",
    "key_agreement": "keyAgreement",
    "key_cert_sign": "keyCertSign",
    "crl_sign": "cRLSign",
}
_UNREADABLE = (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)

E = TypeVar("E", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one of the certificates."""

    what: str
    """A sentence about it, without its full stop: "expired on 2026-01-01 00:00 UTC"."""
    position: int = 0
    """0 for the certificate of the unit, 1 for the first of the chain, and so on."""


def find_faults(certificate: x509.Certificate, chain: Sequence[x509.Certificate], now: datetime) -> tuple[Fault, ...]:
    """All that keeps the certificate from signing tokens now (RFC 3161, 2.3; R-TSA-065); empty: it may.

    ``chain`` begins with its issuer; the root may be left out.
    """
    return (
        *(Fault(what) for what in _unit_faults(certificate, now)),
        *(
            Fault(what, position)
            for position, authority in enumerate(chain, start=1)
            for what in _authority_faults(authority, position - 1, now)
        ),
        *_order_faults([certificate, *chain]),
    )


def signs_until(certificate: x509.Certificate, chain: Sequence[x509.Certificate]) -> datetime:
    """When the unit has to stop, UTC: the first end of its certificate, its private key usage period and its chain.

    Raises ValueError for a certificate in which :func:`find_faults` finds any about extensions.
    """
    ends = [each.not_valid_after_utc for each in (certificate, *chain)]
    period = _find(certificate.extensions, x509.PrivateKeyUsagePeriod)
    if period is not None and period.value.not_after is not None:
        ends.append(_utc(period.value.not_after))
    return min(ends)


def _unit_faults(certificate: x509.Certificate, now: datetime) -> Iterator[str]:
    yield from _key_faults(certificate)
    yield from _date_faults(certificate, now)
    try:
        extensions = certificate.extensions
    except _UNREADABLE as error:
        yield f"its extensions cannot be read: {error}"
        return
    yield from _extended_key_usage_faults(extensions)
    yield from _key_usage_faults(extensions)
    yield from _usage_period_faults(extensions, now)
    constraints = _find(extensions, x509.BasicConstraints)
    if constraints is not None and constraints.value.ca:
        yield "is a CA's certificate (basicConstraints)"


def _key_faults(certificate: x509.Certificate) -> Iterator[str]:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        yield "has a public key that cannot be read"
        return
    is_allowed = (
        key.key_size in RSA_BITS if isinstance(key, rsa.RSAPublicKey) else key_type_name(key) in _OTHER_KEY_TYPES
    )
    if not is_allowed:
        yield (
            f"has a key of type {key_type_name(key)}: RSA of {RSA_BITS[0]} to {RSA_BITS[-1]} bits, P-256, P-384, "
            "P-521, Ed25519, Ed448 and ML-DSA can sign tokens"
        )
        return
    try:
        check_strength(key)
    except PublicKeyError as error:
        yield f"has a weak key: {error}"


def _date_faults(certificate: x509.Certificate, now: datetime) -> Iterator[str]:
    if certificate.not_valid_after_utc <= now:
        yield f"expired on {_moment(certificate.not_valid_after_utc)}"
    if certificate.not_valid_before_utc > now:
        yield f"is not valid before {_moment(certificate.not_valid_before_utc)}"


def _extended_key_usage_faults(extensions: x509.Extensions) -> Iterator[str]:
    usage = _find(extensions, x509.ExtendedKeyUsage)
    if usage is None:
        yield "has no extendedKeyUsage: timeStamping, critical, is required"
        return
    others = [purpose.dotted_string for purpose in usage.value if purpose != ExtendedKeyUsageOID.TIME_STAMPING]
    if ExtendedKeyUsageOID.TIME_STAMPING not in usage.value:
        yield "has an extendedKeyUsage without timeStamping"
    elif others:
        yield f"has an extendedKeyUsage with {', '.join(others)} beside timeStamping, which has to stand alone"
    if not usage.critical:
        yield "has an extendedKeyUsage that is not critical"


def _key_usage_faults(extensions: x509.Extensions) -> Iterator[str]:
    usage = _find(extensions, x509.KeyUsage)
    if usage is None:
        yield "has no keyUsage: digitalSignature is required"
        return
    if not usage.value.digital_signature:
        yield "has a keyUsage without digitalSignature"
    # RFC 5280, 4.2.1.12: only digitalSignature and nonRepudiation are consistent with timeStamping.
    unsuitable = [name for attribute, name in _UNSUITABLE_USAGES.items() if getattr(usage.value, attribute)]
    if unsuitable:
        yield f"has a keyUsage with {', '.join(unsuitable)}, which does not go with timeStamping"


def _usage_period_faults(extensions: x509.Extensions, now: datetime) -> Iterator[str]:
    period = _find(extensions, x509.PrivateKeyUsagePeriod)
    if period is None:
        return
    begin, end = period.value.not_before, period.value.not_after
    if end is not None and _utc(end) <= now:
        yield f"has a privateKeyUsagePeriod that ended on {_moment(_utc(end))}"
    if begin is not None and _utc(begin) > now:
        yield f"has a privateKeyUsagePeriod that begins on {_moment(_utc(begin))}"


def _authority_faults(authority: x509.Certificate, below: int, now: datetime) -> Iterator[str]:
    """``below``: how many CA certificates are between it and the unit's."""
    yield from _date_faults(authority, now)
    try:
        extensions = authority.extensions
    except _UNREADABLE as error:
        yield f"its extensions cannot be read: {error}"
        return
    constraints = _find(extensions, x509.BasicConstraints)
    if constraints is None or not constraints.value.ca:
        yield "is not a CA's certificate (basicConstraints)"
    elif constraints.value.path_length is not None and constraints.value.path_length < below:
        yield f"allows {constraints.value.path_length} CAs below it (basicConstraints), and there are {below}"
    usage = _find(extensions, x509.KeyUsage)
    if usage is None or not usage.value.key_cert_sign:
        yield "has no keyUsage with keyCertSign"


def _order_faults(certificates: Sequence[x509.Certificate]) -> Iterator[Fault]:
    """Each has to be issued by the next, and the unit's may not outlive its issuer."""
    for position, issuer in enumerate(certificates[1:], start=1):
        subject = certificates[position - 1]
        try:
            subject.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            yield Fault(
                f"({_subject(issuer)}) did not issue {_subject(subject)}: the chain begins with "
                "the issuer of the certificate, and each is issued by the next",
                position,
            )
    if len(certificates) > 1 and certificates[0].not_valid_after_utc > certificates[1].not_valid_after_utc:
        yield Fault(
            f"ends on {_moment(certificates[0].not_valid_after_utc)}, after the certificate of its issuer, "
            f"{_moment(certificates[1].not_valid_after_utc)}"
        )


def _find(extensions: x509.Extensions, kind: type[E]) -> x509.Extension[E] | None:
    try:
        return extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None


def _subject(certificate: x509.Certificate) -> str:
    try:
        return format_name(certificate.subject)
    except ValueError:
        return "a name that cannot be read"


def _utc(moment: datetime) -> datetime:
    """privateKeyUsagePeriod is read without a zone, which is UTC (RFC 5280, 4.1.2.5.2)."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


__all__ = ["EXPIRY_WARNING", "Fault", "find_faults", "signs_until"]
