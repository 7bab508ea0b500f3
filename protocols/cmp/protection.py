"""The protection of messages: who made them, and that nobody changed them (RFC 9810, 5.1.3; RFC 9483, 3.2).

A message that we sign is made in three steps, because a signature may come from a token that takes its time::

    protected_part_der = protected_part_for(header, body, signer.algorithm_der)
    signature = await signer.sign(protected_part_der)
    message_der = assemble(protected_part_der, signature, (certificate_der, *chain_der))

and one that a shared secret protects in one, with the key that verified the request: :func:`protect_by_mac`.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from cspd.x509.certificate_paths import UNREADABLE
from cspd.x509.signatures import Algorithm, SignatureError, read_algorithm, signature_hash_of, verify_signature
from protocols.cmp.codec import assemble, protected_part
from protocols.cmp.errors import PKIMessageRejected
from protocols.cmp.mac_algorithms import MAC_ALGORITHMS, MACKey
from protocols.cmp.messages import PKIBody, PKIHeader, PKIMessage
from protocols.cmp.status import PKIFailureInfo


class ProtectionKind(Enum):
    """What a message is protected by."""

    NONE = "none"
    MAC = "mac"
    SIGNATURE = "signature"


def protection_kind(header: PKIHeader) -> ProtectionKind:
    """What the protectionAlg of a header says; raises ``badAlg`` for an algorithm that is none we know."""
    algorithm = header.protection_alg
    if algorithm is None:
        return ProtectionKind.NONE
    if algorithm.oid in MAC_ALGORITHMS:
        return ProtectionKind.MAC
    _check_signature_algorithm(algorithm)
    return ProtectionKind.SIGNATURE


def verify_mac(message: PKIMessage, key: MACKey) -> None:
    """Verify the MAC of a decoded message, in constant time.

    Raises :class:`protocols.cmp.errors.PKIMessageRejected` with ``badMessageCheck``. Cheap; what is dear is
    :meth:`protocols.cmp.mac_algorithms.MACAlgorithm.derive`.
    """
    if message.header.protection_alg != key.algorithm or not hmac.compare_digest(
        message.protection or b"", key.mac(message.protected_part_der)
    ):
        raise PKIMessageRejected(PKIFailureInfo.BAD_MESSAGE_CHECK, "the MAC of the message does not fit")


def verify_message_signature(message: PKIMessage, certificate: x509.Certificate) -> None:
    """Verify the signature of a decoded message with the key of its protection certificate.

    Raises :class:`protocols.cmp.errors.PKIMessageRejected`: ``badAlg`` for an algorithm that is not known or signs
    SHA-1, ``badDataFormat`` for a certificate whose key is none, ``badMessageCheck`` for a signature that does not fit.
    Takes a millisecond at the most. Whether the certificate is to be trusted is not checked here.
    """
    algorithm = message.header.protection_alg
    if algorithm is None or message.protection is None:
        raise PKIMessageRejected(PKIFailureInfo.BAD_MESSAGE_CHECK, "the message is not protected")
    _check_signature_algorithm(algorithm)
    try:
        public_key = certificate.public_key()
    except UNREADABLE as error:
        raise PKIMessageRejected(
            PKIFailureInfo.BAD_DATA_FORMAT, "the key of the protection certificate cannot be read", detail=str(error)
        ) from error
    try:
        verify_signature(public_key, algorithm, message.protection, message.protected_part_der)
    except SignatureError as error:
        raise PKIMessageRejected(
            PKIFailureInfo.BAD_MESSAGE_CHECK, "the signature of the message does not fit", detail=str(error)
        ) from error


def protected_part_for(header: PKIHeader, body: PKIBody, algorithm_der: bytes) -> bytes:
    """Encode the ProtectedPart of a message that will be signed with this algorithm, DER."""
    return protected_part(replace(header, protection_alg=read_algorithm(algorithm_der)), body)


def protect_by_mac(header: PKIHeader, body: PKIBody, key: MACKey, extra_certs_der: Sequence[bytes] = ()) -> bytes:
    """Encode a message with the MAC of this key, DER."""
    protected_part_der = protected_part(replace(header, protection_alg=key.algorithm), body)
    return assemble(protected_part_der, key.mac(protected_part_der), extra_certs_der)


def _check_signature_algorithm(algorithm: Algorithm) -> None:
    try:
        hash_ = signature_hash_of(algorithm)
    except SignatureError as error:
        raise PKIMessageRejected(
            PKIFailureInfo.BAD_ALG, f"protection by {algorithm.oid} is not supported", detail=str(error)
        ) from error
    if isinstance(hash_, hashes.SHA1):
        raise PKIMessageRejected(PKIFailureInfo.BAD_ALG, "signatures with SHA-1 are refused")
