"""From a certificate to a trust anchor (RFC 5280, 6), as of a given time and for a given use.

``cryptography``'s own verifier has no profile for timestamping. Revocation is not looked at: what it means is for who
asks to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import count

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

MAX_PATH = 8
"""Certificates from the first to the anchor's."""
MAX_SIGNATURES = 64
"""Verified in the search of one path, so that certificates with like names do not multiply the work."""

UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    x509.InvalidVersion,
)
"""What ``cryptography`` raises for certificates that it cannot read, at first or when a field is touched."""

# certificatePolicies and policyConstraints restrict which policies a path is good for, of which we ask none.
_PROCESSED = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }
)


class PathError(ValueError):
    """No path to a trust anchor was found."""


def find_path(
    certificate: x509.Certificate,
    *,
    intermediates: Sequence[x509.Certificate],
    trust_anchors: Sequence[x509.Certificate],
    at: datetime,
    usage: x509.ObjectIdentifier | None,
) -> tuple[x509.Certificate, ...]:
    """A path from ``certificate``, which comes first, to one of ``trust_anchors``, every link valid at that time.

    Checked are signatures, validity, basicConstraints with path length, keyUsage, ``usage`` in an extendedKeyUsage of a
    CA, and that no critical extension is left unprocessed; not what ``certificate`` itself may be used for. ``usage``
    None is for what no extendedKeyUsage is asked for.
    Raises :class:`PathError` with what the last candidate lacked.
    """
    return _Search(intermediates, trust_anchors, at, usage).from_(certificate)


class _Search:
    def __init__(
        self,
        intermediates: Sequence[x509.Certificate],
        trust_anchors: Sequence[x509.Certificate],
        at: datetime,
        usage: x509.ObjectIdentifier | None,
    ) -> None:
        self._anchors = trust_anchors
        self._issuers = (*trust_anchors, *intermediates)
        self._at = at
        self._usage = usage
        self._signatures = count(1)
        self._lacking = "no certificate of the issuer is known"

    def from_(self, certificate: x509.Certificate) -> tuple[x509.Certificate, ...]:
        try:
            _check_link(certificate, self._at)
            path = self._extend((certificate,))
        except PathError:
            raise
        except UNREADABLE as error:
            raise PathError(f"a certificate cannot be read: {error}") from error
        if path is None:
            raise PathError(self._lacking)
        return path

    def _extend(self, path: tuple[x509.Certificate, ...]) -> tuple[x509.Certificate, ...] | None:
        last = path[-1]
        if last in self._anchors:
            return path
        if len(path) == MAX_PATH:
            self._lacking = f"the path is longer than {MAX_PATH} certificates"
            return None
        for issuer in self._issuers:
            if issuer in path or issuer.subject != last.issuer:
                continue
            if next(self._signatures) > MAX_SIGNATURES:
                raise PathError(f"no path within {MAX_SIGNATURES} signatures")
            try:
                last.verify_directly_issued_by(issuer)
                _check_link(issuer, self._at)
                _check_ca(issuer, self._usage, below=len(path) - 1)
            except PathError as error:
                self._lacking = str(error)
                continue
            except (InvalidSignature, *UNREADABLE):
                self._lacking = f"{last.subject.rfc4514_string()} is not signed by the issuer that it names"
                continue
            if (found := self._extend((*path, issuer))) is not None:
                return found
        return None


def _check_link(certificate: x509.Certificate, at: datetime) -> None:
    name = certificate.subject.rfc4514_string()
    if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
        raise PathError(f"{name} is not valid at {at.isoformat()}")
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _PROCESSED:
            raise PathError(f"{name} has the critical extension {extension.oid.dotted_string}, which is not processed")


def _check_ca(certificate: x509.Certificate, usage: x509.ObjectIdentifier | None, *, below: int) -> None:
    """``below`` is the number of CAs between this one and the first certificate."""
    name = certificate.subject.rfc4514_string()
    extensions = certificate.extensions
    try:
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        raise PathError(f"{name} is no CA: it has no basicConstraints") from None
    if not constraints.ca:
        raise PathError(f"{name} is no CA")
    if constraints.path_length is not None and below > constraints.path_length:
        raise PathError(f"{name} allows {constraints.path_length} CAs below it, not {below}")
    for extension in extensions:
        value = extension.value
        if isinstance(value, x509.KeyUsage) and not value.key_cert_sign:
            raise PathError(f"{name} may not sign certificates, by its keyUsage")
        # RFC 5280 gives an extendedKeyUsage of a CA no meaning, but everybody reads it so.
        if (
            isinstance(value, x509.ExtendedKeyUsage)
            and usage is not None
            and not ({usage, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(value))
        ):
            raise PathError(f"{name} is no CA for this use, by its extendedKeyUsage")
