"""What an issued certificate is answered with: a CMC full PKI response, signed by the CA ([MS-WSTEP] 3.1.4.1.3.4)."""

from __future__ import annotations

from hashlib import sha1
from typing import Final

from cryptography.hazmat.primitives import hashes

from cspd.authority.values import Authority
from cspd.keys.interfaces import Keys
from cspd.keys.signer import Signer
from cspd.refusals import Conflict
from cspd.x509 import tlv
from cspd.x509.algorithms import signature_hash
from cspd.x509.cmc.codec import encode_pki_response
from cspd.x509.cmc.messages import (
    PKI_RESPONSE,
    CMCStatus,
    CMCStatusInfo,
    PKIResponse,
    TaggedAttribute,
    UnknownControl,
)
from cspd.x509.cms.signing import SignedDataBuilder

ADD_ATTRIBUTES: Final = "1.3.6.1.4.1.311.10.10.1"
ISSUED_CERTIFICATE_HASH: Final = "1.3.6.1.4.1.311.21.17"
_THE_REQUEST = 1
"""The body part that an answer speaks of, whatever the request was."""


class Responder:
    """Signs responses with the key of the CA."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def respond(self, authority: Authority, certificate_der: bytes) -> bytes:
        """A ContentInfo, DER, with the certificate and its chain up to the root.

        Raises Conflict for a CA that has no key here, and Unavailable.
        """
        if authority.certificate is None or authority.certificate_der is None or authority.key is None:
            raise Conflict("the CA has no key to sign responses with")
        public_key = authority.certificate.public_key()
        signer = Signer(self._keys, authority.key, public_key)  # type: ignore[arg-type]  # a CA's key is one that signs
        signing = SignedDataBuilder(
            authority.certificate_der, signature_hash(public_key) or hashes.SHA512(), signer.algorithm_der
        )
        content = encode_pki_response(_response(certificate_der))
        attributes_der = signing.signed_attributes(PKI_RESPONSE, content)
        signature = await signer.sign(attributes_der)
        return signing.message(
            PKI_RESPONSE, content, attributes_der, signature, (certificate_der, *authority.chain_der)
        )


def _response(certificate_der: bytes) -> PKIResponse:
    status = CMCStatusInfo(cmc_status=CMCStatus.SUCCESS, body_list=(_THE_REQUEST,), status_string="Issued")
    # SHA-1 as an identifier: by it Windows finds the certificate among those of the message.
    digest = sha1(certificate_der, usedforsecurity=False).digest()
    attribute = tlv.sequence(
        tlv.object_identifier(ISSUED_CERTIFICATE_HASH),
        tlv.element(tlv.SET, tlv.element(tlv.OCTET_STRING, digest)),
    )
    added = tlv.sequence(tlv.integer(0), tlv.sequence(tlv.integer(_THE_REQUEST)), tlv.element(tlv.SET, attribute))
    return PKIResponse(
        control_sequence=(
            TaggedAttribute(1, status),
            TaggedAttribute(2, UnknownControl(ADD_ATTRIBUTES, (added,))),
        )
    )
