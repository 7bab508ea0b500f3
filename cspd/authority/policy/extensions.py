"""Requested extensions (R-PRO-009, R-PRO-010, R-PRO-011, R-CA-066)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from cspd.authority.profile_values import Profile
from cspd.refusals import BadExtension
from cspd.x509.extensions import ExtensionError, requested
from cspd.x509.object_identifiers import REQUEST_EXTENSIONS

_EXTENDED_KEY_USAGE = REQUEST_EXTENSIONS["extendedKeyUsage"]
_CERTIFICATE_POLICIES = REQUEST_EXTENSIONS["certificatePolicies"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedExtensions:
    """What of the requested extensions becomes of them."""

    granted: tuple[x509.Extension[x509.ExtensionType], ...] = ()
    dropped: tuple[str, ...] = ()
    """Object identifiers, dotted, of what was asked for in vain (P-14)."""


def decide_extensions(profile: Profile, asked: Iterable[x509.Extension[x509.ExtensionType]]) -> DecidedExtensions:
    """Grant the extensions that the profile lists, never critical but for extended key usage (P-8); drop the others.

    Raises :class:`BadExtension` for one that is listed and malformed or given twice, and for the extended key usage
    OCSPSigning: it would let its holder answer for the CA itself (RFC 6960, 4.2.2.2).
    """
    granted: dict[str, x509.Extension[x509.ExtensionType]] = {}
    dropped: list[str] = []
    for extension in asked:
        oid = extension.oid.dotted_string
        if oid not in profile.request_extensions or (
            oid == _CERTIFICATE_POLICIES and profile.certificate_policies.fixed
        ):
            dropped.append(oid)
        elif oid in granted:
            raise BadExtension(f"extension {oid} is requested twice")
        else:
            granted[oid] = _grant(oid, extension)
    return DecidedExtensions(granted=tuple(granted.values()), dropped=tuple(dropped))


def _grant(oid: str, extension: x509.Extension[x509.ExtensionType]) -> x509.Extension[x509.UnrecognizedExtension]:
    is_usage = oid == _EXTENDED_KEY_USAGE
    try:
        granted = requested(oid, extension.value.public_bytes(), critical=extension.critical and is_usage)
    except ExtensionError as error:
        raise BadExtension(str(error)) from error
    if is_usage and _OCSP_SIGNING_DER in granted.value.value:
        raise BadExtension("the extended key usage OCSPSigning is not for subscribers")
    return granted


# The DER of the KeyPurposeId itself; looking for it as bytes could at worst refuse an absurd list.
_OCSP_SIGNING_DER = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]).public_bytes()[2:]
