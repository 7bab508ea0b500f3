"""Trust anchors from PEM files: of the vendors of devices, and of registration authorities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cryptography import x509

from cspd.x509.certificate_paths import UNREADABLE

MAX_FILE_BYTES = 4 << 20


class BadTrust(Exception):
    """A file has no trust anchors; the text is a sentence without its full stop."""


def read_anchors(file: Path) -> Sequence[x509.Certificate]:
    """The CA certificates of a PEM file; raises :class:`BadTrust`."""
    try:
        with file.open("rb") as opened:
            pem = opened.read(MAX_FILE_BYTES)
    except OSError as error:
        raise BadTrust(f"{file} cannot be read: {error.strerror}") from error
    try:
        anchors = x509.load_pem_x509_certificates(pem)
        for anchor in anchors:
            if not _is_ca(anchor):
                raise BadTrust(f"{file}: {anchor.subject.rfc4514_string()} is no CA certificate")
    except UNREADABLE as error:
        raise BadTrust(f"{file} is no PEM file of certificates") from error
    return anchors


def _is_ca(certificate: x509.Certificate) -> bool:
    """Roots of version 1, which have no extensions, are none: no path to them is accepted."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
