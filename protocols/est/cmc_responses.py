"""What a full PKI request is answered: statuses, nonces and certificates, signed by the CA (RFC 5272, 3.2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import TypeVar

from cryptography.hazmat.primitives import hashes

from cspd.authority.values import Authority
from cspd.clock import Clock
from cspd.keys.interfaces import Keys
from cspd.keys.signer import Signer
from cspd.refusals import Conflict
from cspd.x509.algorithms import signature_hash
from cspd.x509.cmc.codec import encode_pki_response
from cspd.x509.cmc.messages import (
    PKI_RESPONSE,
    CMCFailInfo,
    CMCStatus,
    CMCStatusInfoV2,
    ControlValue,
    DataReturn,
    PendInfo,
    PKIData,
    PKIResponse,
    RecipientNonce,
    SenderNonce,
    TaggedAttribute,
    TransactionID,
)
from cspd.x509.cms.signing import SignedDataBuilder

NONCE_OCTETS = 16
MAX_STATUS_STRING = 300

T = TypeVar("T", bound=ControlValue)


@dataclass(frozen=True, slots=True)
class FullPKIResponse:
    """A response and what it says."""

    response_der: bytes
    """ContentInfo with SignedData."""
    status: CMCStatus
    """The worst of its statuses: failed, else pending, else success; RFC 7030, 4.3.2 makes an HTTP status of it."""


@dataclass(slots=True)
class Answer:
    """What is said so far."""

    statuses: list[CMCStatusInfoV2] = field(default_factory=list)
    certificates_der: list[bytes] = field(default_factory=list)

    def succeeded(self, body_part: int, *certificates_der: bytes) -> None:
        """A body part is done; the certificates go with the response."""
        self.statuses.append(CMCStatusInfoV2(cmc_status=CMCStatus.SUCCESS, body_list=(body_part,)))
        self.certificates_der.extend(certificates_der)

    def failed(self, fail_info: CMCFailInfo, reason: str, *body_parts: int) -> None:
        """Body parts are refused."""
        self.statuses.append(
            CMCStatusInfoV2(
                cmc_status=CMCStatus.FAILED,
                body_list=body_parts,
                status_string=reason[:MAX_STATUS_STRING],
                other_info=fail_info,
            )
        )

    def pending(self, body_part: int, token: str, again_at: datetime) -> None:
        """A body part waits."""
        self.statuses.append(
            CMCStatusInfoV2(
                cmc_status=CMCStatus.PENDING,
                body_list=(body_part,),
                other_info=PendInfo(token.encode("ascii"), again_at.replace(microsecond=0)),
            )
        )

    @property
    def status(self) -> CMCStatus:
        """The worst."""
        said = {each.cmc_status for each in self.statuses}
        return next((each for each in (CMCStatus.FAILED, CMCStatus.PENDING) if each in said), CMCStatus.SUCCESS)


class Responder:
    """Signs responses with the key of the CA that was asked."""

    def __init__(self, clock: Clock, random: Random, keys: Keys) -> None:
        self._clock = clock
        self._random = random
        self._keys = keys

    async def respond(self, authority: Authority, message: PKIData, answer: Answer) -> FullPKIResponse:
        """The response to a message; raises Conflict for a CA that has no key here, and Unavailable."""
        return FullPKIResponse(await self._sign(authority, self._response(message, answer), answer), answer.status)

    def _response(self, message: PKIData, answer: Answer) -> PKIResponse:
        said: list[ControlValue] = [*answer.statuses]
        said += values_of(message, TransactionID)
        said += values_of(message, DataReturn)
        nonces = values_of(message, SenderNonce)
        if nonces:
            said += [RecipientNonce(nonces[0].nonce), SenderNonce(self._random.randbytes(NONCE_OCTETS))]
        return PKIResponse(
            control_sequence=tuple(TaggedAttribute(number, value) for number, value in enumerate(said, start=1))
        )

    async def _sign(self, authority: Authority, response: PKIResponse, answer: Answer) -> bytes:
        if authority.certificate is None or authority.certificate_der is None or authority.key is None:
            raise Conflict("the CA has no key to sign responses with")
        public_key = authority.certificate.public_key()
        signer = Signer(self._keys, authority.key, public_key)  # type: ignore[arg-type]  # a CA's key is one that signs
        signing = SignedDataBuilder(
            authority.certificate_der, signature_hash(public_key) or hashes.SHA512(), signer.algorithm_der
        )
        content = encode_pki_response(response)
        attributes_der = signing.signed_attributes(PKI_RESPONSE, content, signing_time=self._clock.now())
        signature = await signer.sign(attributes_der)
        return signing.message(
            PKI_RESPONSE, content, attributes_der, signature, (*answer.certificates_der, *authority.chain_der)
        )


def values_of(message: PKIData, kind: type[T]) -> Sequence[T]:
    """The values of all controls of one kind."""
    return [each.value for each in message.control_sequence if isinstance(each.value, kind)]
