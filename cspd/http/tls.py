"""TLS of a listener: from PEM files to a context, with every mistake found before a client does.

Checked when files are read (R-PLAT-021 to 024): order of the chain, key and certificate belonging together, dates,
names, key strength. A context in use is replaced as a whole: connections keep the one they began with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface import implementer

from cspd.http.config import ClientCertificates, TLSConfig, TLSVersion
from cspd.http.hostnames import names_of, unmatched

__all__ = ["Credentials", "ServerTLS", "TLSProblem", "TLSProblems", "load_credentials", "peer_certificates"]

DEFAULT_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""TLS 1.2 suites with forward secrecy and AEAD (RFC 9325, 4.2); TLS 1.3 has no others."""
MINIMUM_RSA_BITS = 2048
"""R-PLAT-022."""
_VERSIONS = {
    TLSVersion.TLS_1_0: SSL.TLS1_VERSION,
    TLSVersion.TLS_1_1: SSL.TLS1_1_VERSION,
    TLSVersion.TLS_1_2: SSL.TLS1_2_VERSION,
    TLSVersion.TLS_1_3: SSL.TLS1_3_VERSION,
}
ServerKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey


@dataclass(frozen=True, slots=True)
class TLSProblem:
    """What is wrong with a file, and what would be right."""

    file: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


class TLSProblems(ValueError):
    """The TLS files cannot be used; ``problems`` has everything that was found."""

    def __init__(self, problems: Sequence[TLSProblem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Credentials:
    """A server certificate, the chain sent behind it, and its key."""

    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    private_key: ServerKey = field(repr=False)
    is_self_signed: bool = False
    """Made by us because none was configured (R-PLAT-020): fit for trials only, worth a warning at each start."""

    @property
    def expires(self) -> datetime:
        """When the first certificate of the chain ends (R-PLAT-030)."""
        return min(certificate.not_valid_after_utc for certificate in (self.certificate, *self.chain))

    def certificate_pem(self) -> bytes:
        """Certificate and chain, leaf first."""
        return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in (self.certificate, *self.chain))

    def private_key_pem(self) -> bytes:
        """The key, PKCS #8, in the clear: for a file of mode 0600."""
        return self.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@implementer(IOpenSSLServerConnectionCreator)
class ServerTLS:
    """Gives new connections the current context; Twisted asks it for each."""

    def __init__(self, credentials: Credentials, config: TLSConfig, *, directory: Path = Path()) -> None:
        self._set(credentials, config, directory)

    def replace(self, credentials: Credentials, config: TLSConfig, *, directory: Path = Path()) -> None:
        """Use these for connections from here on (R-PLAT-027). Raises TLSProblems, and then nothing has changed."""
        self._set(credentials, config, directory)

    def _set(self, credentials: Credentials, config: TLSConfig, directory: Path) -> None:
        self._context = _context(credentials, config, directory)
        self.credentials = credentials
        self.config = config

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """See IOpenSSLServerConnectionCreator."""
        return SSL.Connection(self._context, None)

    @property
    def expires(self) -> datetime:
        """When the certificate or one of its chain ends."""
        return self.credentials.expires

    def expires_soon(self, now: datetime) -> bool:
        """Whether it is time to warn."""
        return now + self.config.expiry_warning >= self.expires


def load_credentials(
    config: TLSConfig, *, now: datetime, passphrase: bytes | None = None, directory: Path = Path()
) -> Credentials:
    """Read and check the certificate and key that ``config`` names; relative paths are below ``directory``.

    ``passphrase`` is what ``config.passphrase`` refers to. Raises :class:`TLSProblems`.
    """
    if config.certificate is None or config.key is None:
        raise ValueError("no certificate configured: see self_signed")
    problems: list[TLSProblem] = []
    certificates = _read_certificates(directory / config.certificate, problems)
    key = _read_key(directory / config.key, passphrase, problems)
    if certificates:
        file = str(directory / config.certificate)
        reasons = [
            *_chain_faults(certificates),
            *_date_faults(certificates, now),
            *_usage_faults(certificates[0]),
            *_name_faults(certificates[0], config.host_names),
        ]
        if key is not None and not _belong_together(certificates[0], key):
            reasons.append(f"the first certificate is not for the key in {directory / config.key}")
        problems += [TLSProblem(file, reason) for reason in reasons]
    if problems or key is None:
        raise TLSProblems(problems)
    return Credentials(certificates[0], tuple(certificates[1:]), key)


def peer_certificates(transport: Any) -> tuple[bytes, ...]:
    """DER of the verified client certificate and of what the client sent behind it; empty without one."""
    connection = transport.getHandle()
    leaf = connection.get_peer_certificate()
    if leaf is None:
        return ()
    sent = [_der(certificate) for certificate in connection.get_peer_cert_chain() or ()]
    leaf_der = _der(leaf)
    return (leaf_der, *(der for der in sent if der != leaf_der))


def _der(certificate: crypto.X509) -> bytes:
    return crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)


def _context(credentials: Credentials, config: TLSConfig, directory: Path) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(_VERSIONS[config.minimum_version])
    # No compression (CRIME), no renegotiation by the client; and no resumption, because a resumed session knows
    # nothing of the client's chain, and tickets outlive the certificate that they were made under.
    context.set_options(
        SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE | SSL.OP_NO_TICKET
    )
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_alpn_select_callback(_select_protocol)
    ciphers = config.ciphers or DEFAULT_CIPHERS
    if config.ciphers is None and config.allow_obsolete_versions:
        ciphers += ":ECDHE+AES+SHA1:@SECLEVEL=0"  # older versions have no AEAD, and sign with SHA-1
    try:
        context.set_cipher_list(ciphers.encode("ascii"))
    except (SSL.Error, UnicodeEncodeError):
        raise TLSProblems([TLSProblem("ciphers", f"OpenSSL knows no suite of {ciphers!r}")]) from None
    try:
        context.use_certificate(credentials.certificate)
        for certificate in credentials.chain:
            context.add_extra_chain_cert(certificate)
        context.use_privatekey(credentials.private_key)
        context.check_privatekey()
    except SSL.Error as error:
        raise TLSProblems([TLSProblem(config.certificate or "self-signed", f"OpenSSL refuses it: {error}")]) from error
    if config.client_trust_files:
        _verify_clients(context, config, directory)
    return context


def _verify_clients(context: SSL.Context, config: TLSConfig, directory: Path) -> None:
    problems: list[TLSProblem] = []
    read = (_read_certificates(directory / file, problems) for file in config.client_trust_files)
    anchors = dict.fromkeys(anchor for each in read for anchor in each)
    if problems:
        raise TLSProblems(problems)
    store = context.get_cert_store()
    assert store is not None
    for anchor in anchors:
        store.add_cert(crypto.X509.from_cryptography(anchor))
        context.add_client_ca(anchor)  # a client with several certificates chooses by these names
    # An issuing CA may be the anchor, whether or not its root is in the file.
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    mode = SSL.VERIFY_PEER
    if config.client_certificates is ClientCertificates.REQUIRED:
        mode |= SSL.VERIFY_FAIL_IF_NO_PEER_CERT
    context.set_verify(mode)


def _select_protocol(connection: SSL.Connection, offered: list[bytes]) -> Any:
    # RFC 8555 and EST know HTTP/1.1 only; whoever offers other protocols alone is let through, as without ALPN.
    return b"http/1.1" if b"http/1.1" in offered else SSL.NO_OVERLAPPING_PROTOCOLS


def _read(file: Path, problems: list[TLSProblem]) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError as error:
        problems.append(TLSProblem(str(file), f"cannot be read: {error.strerror}"))
        return None
    except ValueError:  # NUL in the path
        problems.append(TLSProblem(str(file), "is no path: it holds a NUL"))
        return None


def _read_certificates(file: Path, problems: list[TLSProblem]) -> list[x509.Certificate]:
    pem = _read(file, problems)
    if pem is None:
        return []
    try:
        return x509.load_pem_x509_certificates(pem)
    except (ValueError, x509.InvalidVersion):
        problems.append(TLSProblem(str(file), "is not a PEM file of certificates (-----BEGIN CERTIFICATE-----)"))
        return []


def _read_key(file: Path, passphrase: bytes | None, problems: list[TLSProblem]) -> ServerKey | None:
    pem = _read(file, problems)
    if pem is None:
        return None
    is_encrypted = b"ENCRYPTED" in pem  # PKCS #8, and the Proc-Type of the older forms
    if is_encrypted and passphrase is None:
        problems.append(TLSProblem(str(file), "the key is encrypted: passphrase has to say where its passphrase is"))
        return None
    try:
        key = load_pem_private_key(pem, passphrase if is_encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        reason = "the passphrase is wrong, or the key is damaged" if is_encrypted else "is not a PEM private key"
        problems.append(TLSProblem(str(file), reason))
        return None
    fault = None
    if not isinstance(key, ServerKey):
        fault = "TLS needs an RSA, ECDSA or EdDSA key"
    elif isinstance(key, rsa.RSAPrivateKey) and key.key_size < MINIMUM_RSA_BITS:
        fault = f"RSA of {key.key_size} bits: at least {MINIMUM_RSA_BITS}"
    elif isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name not in ("secp256r1", "secp384r1", "secp521r1"):
        fault = f"curve {key.curve.name}: P-256, P-384 or P-521"
    if fault is not None:
        problems.append(TLSProblem(str(file), fault))
        return None
    assert isinstance(key, ServerKey)
    return key


def _chain_faults(certificates: Sequence[x509.Certificate]) -> list[str]:
    """Leaf first, then each certificate's issuer."""
    faults = []
    for position, (subject, issuer) in enumerate(pairwise(certificates), start=1):
        try:
            subject.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            faults.append(
                f"certificate {position + 1} ({issuer.subject.rfc4514_string()}) did not issue certificate {position} "
                f"({subject.subject.rfc4514_string()}): the server's comes first, then its issuer, up to the root"
            )
    if _is_ca(certificates[0]) and len(certificates) > 1 and not faults:
        faults.append("the first certificate is a CA's: the server's comes first")
    return faults


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _date_faults(certificates: Sequence[x509.Certificate], now: datetime) -> list[str]:
    faults = []
    for position, certificate in enumerate(certificates, start=1):
        name = f"certificate {position} ({certificate.subject.rfc4514_string()})"
        if certificate.not_valid_after_utc <= now:
            faults.append(f"{name} expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
        if certificate.not_valid_before_utc > now:
            faults.append(f"{name} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")
    return faults


def _usage_faults(certificate: x509.Certificate) -> list[str]:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return []
    if ExtendedKeyUsageOID.SERVER_AUTH in usage or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usage:
        return []
    return ["the first certificate's extended key usage does not allow TLS servers"]


def _name_faults(certificate: x509.Certificate, host_names: Sequence[str]) -> list[str]:
    missing = unmatched(certificate, host_names)
    if not missing:
        return []
    return [f"is not for {', '.join(missing)}, but for {', '.join(names_of(certificate)) or 'no host name'}"]


def _belong_together(certificate: x509.Certificate, key: ServerKey) -> bool:
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    try:
        return certificate.public_key().public_bytes(*form) == key.public_key().public_bytes(*form)
    except (ValueError, UnsupportedAlgorithm):
        return False
