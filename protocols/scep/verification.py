"""Whether a pkiMessage is what its signer signed (RFC 8894, 2.3 and 3.2)."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes

from cspd.x509.cms.signed import verify_signer
from cspd.x509.cms.values import DATA, CMSError
from protocols.scep.algorithm_policy import AlgorithmPolicy
from protocols.scep.errors import PKIMessageRefused
from protocols.scep.messages import FailInfo, ReceivedMessage


def verify(received: ReceivedMessage, policy: AlgorithmPolicy) -> hashes.HashAlgorithm:
    """Verify the signature by the key of the signer's certificate; returns the digest, for the answer to use too.

    Raises :class:`PKIMessageRefused`: badAlg for algorithms that are unknown or not allowed, badMessageCheck for a
    signature that does not fit. Whether the certificate may be believed is another question.
    """
    digest = policy.check_signature(received.signer_info)
    content = received.message.pkcs_pki_envelope or b""
    try:
        verify_signer(
            received.signer_info,
            received.signer_certificate.public_key(),
            content_type=DATA,
            content=content,
            allow_sha1=policy.allow_sha1,
        )
    except CMSError as error:
        raise PKIMessageRefused(
            FailInfo.BAD_MESSAGE_CHECK, "the signature of the message does not fit", detail=str(error)
        ) from error
    return digest
