"""What a request asks for, whichever protocol brought it: its CSR read, or its key, and what replaces parts of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from cspd.authority.values import EnrollmentRequest, RequestedExtension
from cspd.refusals import BadExtension, BadProofOfPossession, BadPublicKey, Malformed
from cspd.x509.csr import CertificationRequest, CSRError, CSRSignatureError, parse_csr
from cspd.x509.extensions import MAX_EXTENSIONS
from cspd.x509.object_identifiers import is_dotted
from cspd.x509.public_keys import PublicKeyError, load_public_key

_NO_NAME = x509.Name([])


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedCertificate:
    """The certificate that somebody who holds the private key asks for; nothing of it is granted yet."""

    subject: x509.Name
    public_key: PublicKeyTypes
    public_key_der: bytes
    subject_alt_names: tuple[x509.GeneralName, ...]
    extensions: tuple[x509.Extension[x509.ExtensionType], ...]


def read_request(request: EnrollmentRequest) -> AskedCertificate:
    """Read the CSR and check its signature, or read the key; put the request's replacements in place.

    Raises :class:`Malformed` for what is no CSR, :class:`BadProofOfPossession`, :class:`BadPublicKey`, and
    :class:`BadExtension`. ValueError, a programming error, unless the request has exactly one of CSR and key.
    """
    if (request.csr_der is None) == (request.public_key_der is None):
        raise ValueError("a request has either a CSR or a public key")
    if request.csr_der is not None:
        csr = read_csr(request.csr_der)
        subject, names, extensions = csr.subject, csr.subject_alt_names, csr.extensions
        public_key: PublicKeyTypes = csr.public_key
        public_key_der = csr.public_key_der
    else:
        subject, names, extensions = _NO_NAME, (), ()
        public_key_der = request.public_key_der or b""
        public_key = _read_public_key(public_key_der)
    return AskedCertificate(
        subject=subject if request.subject is None else request.subject,
        public_key=public_key,
        public_key_der=public_key_der,
        subject_alt_names=names if request.subject_alt_names is None else request.subject_alt_names,
        extensions=extensions if request.extensions is None else tuple(_extensions(request.extensions)),
    )


def with_proof_checked(request: EnrollmentRequest) -> EnrollmentRequest:
    """The request by key and names instead of its CSR, whose signature is checked here, once; raises as
    :func:`read_request`. For protocols that look at a request more than once."""
    asked = read_request(request)
    return replace(
        request,
        csr_der=None,
        public_key_der=asked.public_key_der,
        subject=asked.subject,
        subject_alt_names=asked.subject_alt_names,
        extensions=requested_extensions(asked.extensions),
    )


def requested_extensions(
    extensions: Iterable[x509.Extension[x509.ExtensionType]],
) -> tuple[RequestedExtension, ...]:
    """The extensions of a CSR, for a request that comes without it."""
    return tuple(
        RequestedExtension(oid=each.oid.dotted_string, critical=each.critical, value_der=each.value.public_bytes())
        for each in extensions
    )


def read_csr(csr_der: bytes, *, check_signature: bool = True) -> CertificationRequest:
    """A PKCS #10, DER, of up to :data:`cspd.x509.csr.MAX_CSR` octets.

    Raises :class:`Malformed` for what is no CSR, :class:`BadProofOfPossession`, and :class:`BadPublicKey`.
    """
    try:
        return parse_csr(csr_der, check_signature=check_signature)
    except CSRSignatureError as error:
        raise BadProofOfPossession(str(error)) from error
    except CSRError as error:
        raise Malformed(str(error)) from error
    except PublicKeyError as error:
        raise BadPublicKey(str(error)) from error


def _read_public_key(public_key_der: bytes) -> PublicKeyTypes:
    try:
        return load_public_key(public_key_der)
    except PublicKeyError as error:
        raise BadPublicKey(str(error)) from error


def _extensions(asked: Iterable[RequestedExtension]) -> Iterable[x509.Extension[x509.ExtensionType]]:
    for number, extension in enumerate(asked):
        if number >= MAX_EXTENSIONS or not is_dotted(extension.oid):
            raise BadExtension(f"more than {MAX_EXTENSIONS} extensions, or one without an object identifier")
        oid = x509.ObjectIdentifier(extension.oid)
        yield x509.Extension(oid, extension.critical, x509.UnrecognizedExtension(oid, extension.value_der))
