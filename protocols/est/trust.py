"""The CAs whose certificates get a first certificate here (RFC 7030, 3.3.1): PEM files that a label names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509

from cspd.authentication.certificates import TrustAnchors
from cspd.refusals import Malformed
from cspd.x509.certificate_paths import UNREADABLE


class BadTrustFile(ValueError):
    """A file cannot be used; says why, the path first."""


def read_trust_anchors(files: Sequence[str], folder: Path) -> TrustAnchors | None:
    """The CAs of all the files, None for no file; relative paths are below ``folder``. Raises Malformed."""
    if not files:
        return None
    try:
        return TrustAnchors([anchor for file in files for anchor in read_trust_file(folder / file)])
    except BadTrustFile as error:
        raise Malformed(f"trust: {error}") from error


def read_trust_file(file: Path) -> tuple[x509.Certificate, ...]:
    """The certificates of a PEM file, at least one; raises :class:`BadTrustFile`."""
    try:
        return tuple(x509.load_pem_x509_certificates(file.read_bytes()))
    except OSError as error:
        raise BadTrustFile(f"{file} cannot be read: {error.strerror}") from error
    except UNREADABLE as error:
        raise BadTrustFile(f"{file} is not a PEM file of certificates (-----BEGIN CERTIFICATE-----)") from error


def faults_of(certificate: x509.Certificate, now: datetime) -> str | None:
    """Why no path can end at a certificate; None if one can."""
    name = certificate.subject.rfc4514_string()
    try:
        if not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return f"{name} is no CA"
    except x509.ExtensionNotFound:
        return f"{name} is no CA"
    except UNREADABLE:
        return f"{name} cannot be read"
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        return f"{name} is not valid at this time"
    return None
