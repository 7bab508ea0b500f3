"""Whose certificates domain controllers may have: a file in PEM, or PKCS#12 with its password (P-WST-07 to 10)."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

from cspd.refusals import Malformed, Unavailable

MAX_FILE = 1 << 20
"""Octets."""


def read_trusted(file: Path, password: bytes | None) -> str:
    """The certificates of the file as PEM; with a password it is PKCS#12.

    Raises Unavailable for a file that cannot be read, Malformed for one that holds no certificates.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise Unavailable(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Unavailable(f"{file} is no name of a file") from error
    if len(content) > MAX_FILE:
        raise Malformed(f"{file} is larger than {MAX_FILE} bytes")
    try:
        certificates = x509.load_pem_x509_certificates(content) if password is None else _of_pkcs12(content, password)
    except (ValueError, TypeError) as error:
        what = "PEM of certificates" if password is None else "PKCS#12, or its password is another"
        raise Malformed(f"{file} is not {what}") from error
    if not certificates:
        raise Malformed(f"{file} has no certificates")
    return "".join(certificate.public_bytes(Encoding.PEM).decode("ascii") for certificate in certificates)


def _of_pkcs12(content: bytes, password: bytes) -> list[x509.Certificate]:
    store = load_pkcs12(content, password)
    found = [*([store.cert] if store.cert else []), *store.additional_certs]
    return [each.certificate for each in found]
