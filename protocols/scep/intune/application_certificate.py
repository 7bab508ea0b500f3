"""The certificate and key with which cspd proves to Azure that it is a registered application: a PKCS #12 file."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates

MAX_OCTETS = 256 * 1024


class BadApplicationCertificate(ValueError):
    """The file cannot be used; the text says why, without the password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationCertificate:
    """What the file holds."""

    private_key_pem: str = field(repr=False)
    """PKCS #8, not encrypted."""
    certificate_pem: str
    not_after: datetime


def read_application_certificate(file: Path, password: bytes) -> ApplicationCertificate:
    """Open a PKCS #12 file; raises :class:`BadApplicationCertificate`."""
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_OCTETS + 1)
    except OSError as error:
        raise BadApplicationCertificate(f"{file} cannot be read: {error.strerror}") from None
    except ValueError:  # NUL in the path
        raise BadApplicationCertificate(f"{str(file)!r} is no path") from None
    if len(content) > MAX_OCTETS:
        raise BadApplicationCertificate(f"{file} has more than {MAX_OCTETS} octets")
    try:
        key, certificate, _ = load_key_and_certificates(content, password)
    except (ValueError, TypeError):
        raise BadApplicationCertificate(
            f"{file} cannot be opened: the password is wrong, or it is no PKCS #12 file"
        ) from None
    if key is None or certificate is None:
        raise BadApplicationCertificate(f"{file} has no private key with its certificate")
    if not isinstance(key, rsa.RSAPrivateKey):
        raise BadApplicationCertificate(f"{file} has no key of RSA, which Azure wants")
    return ApplicationCertificate(
        private_key_pem=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii"),
        certificate_pem=certificate.public_bytes(Encoding.PEM).decode("ascii"),
        not_after=certificate.not_valid_after_utc,
    )
