"""The certificates of a CA and its registration authority (RFC 8894, 4.2 and 4.7)."""

from __future__ import annotations

from collections.abc import Sequence

from cspd.x509.cms.signed import encode_certs_only, read_signed_data
from cspd.x509.cms.values import CMSError
from protocols.scep.codec import MessageSigner
from protocols.scep.errors import DecodeError
from protocols.scep.transport import X509_CA_CERT, X509_CA_RA_CERT


def encode_ca_certificates(certificates_der: Sequence[bytes]) -> tuple[str, bytes]:
    """Media type and body of an answer to GetCACert: one certificate is sent bare, several in a certs-only message.

    ``certificates_der`` are those of the registration authority, the CA, and those above it, and are sent in that
    order: Apple's SecSCEPValidateCACertMessage takes the first certificate that may sign and not encrypt for the one
    that signs answers, which of two registration authority certificates is one, and of CAs many are.
    """
    if len(certificates_der) == 1:
        return X509_CA_CERT, certificates_der[0]
    return X509_CA_RA_CERT, encode_certs_only(certificates_der, in_given_order=True)


def decode_ca_certificates(media_type: str, body: bytes) -> tuple[bytes, ...]:
    """The certificates in such an answer, DER; raises :class:`DecodeError`."""
    if media_type == X509_CA_CERT:
        return (body,)
    try:
        return read_signed_data(body).certificates_der
    except CMSError as error:
        raise DecodeError(str(error)) from error


async def encode_next_ca_certificates(certificates_der: Sequence[bytes], signer: MessageSigner) -> bytes:
    """The answer to GetNextCACert, DER: a certs-only message, signed by the CA of today or its registration authority.

    Its media type is :data:`protocols.scep.transport.X509_NEXT_CA_CERT`.
    """
    return await signer.sign_data(encode_certs_only(certificates_der))
