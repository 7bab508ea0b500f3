"""Full PKI requests and responses, in the words of RFC 5272."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

from cryptography import x509

from cspd.x509.crmf.messages import CertReqMsg
from cspd.x509.signatures import Algorithm

PKI_DATA = "1.3.6.1.5.5.7.12.2"
"""Content type of a full PKI request (RFC 5272, 3.2.1)."""
PKI_RESPONSE = "1.3.6.1.5.5.7.12.3"
"""Content type of a full PKI response (RFC 5272, 3.2.2)."""
THE_WHOLE_MESSAGE = 0
"""The BodyPartID by which a status speaks of the PKIData itself (RFC 5272, 3.2.1.1)."""


class CMCError(ValueError):
    """The bytes are not the DER of a CMC structure, or more than the limits allow."""


class CMCStatus(IntEnum):
    """What became of a body part (RFC 5272, 6.1.3)."""

    SUCCESS = 0
    FAILED = 2
    PENDING = 3
    NO_SUPPORT = 4
    CONFIRM_REQUIRED = 5
    POP_REQUIRED = 6
    PARTIAL = 7


class CMCFailInfo(IntEnum):
    """Why it failed (RFC 5272, 6.1.4)."""

    BAD_ALG = 0
    BAD_MESSAGE_CHECK = 1
    BAD_REQUEST = 2
    BAD_TIME = 3
    BAD_CERT_ID = 4
    UNSUPPORTED_EXT = 5
    MUST_ARCHIVE_KEYS = 6
    BAD_IDENTITY = 7
    POP_REQUIRED = 8
    POP_FAILED = 9
    NO_KEY_REUSE = 10
    INTERNAL_CA_ERROR = 11
    TRY_LATER = 12
    AUTH_DATA_FAIL = 13


@dataclass(frozen=True, slots=True)
class PendInfo:
    """How to ask again (RFC 5272, 6.1)."""

    pend_token: bytes
    pend_time: datetime
    """Aware UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CMCStatusInfoV2:
    """What became of some body parts (RFC 5272, 6.1.1)."""

    cmc_status: CMCStatus
    body_list: tuple[int, ...]
    """BodyPartIDs; a path, which only batches have, is not read."""
    status_string: str | None = None
    other_info: CMCFailInfo | PendInfo | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CMCStatusInfo:
    """The same, as RFC 2797 had it, for clients that know no other (RFC 5272, 6.1.2)."""

    cmc_status: CMCStatus
    body_list: tuple[int, ...]
    status_string: str | None = None
    other_info: CMCFailInfo | PendInfo | None = None


@dataclass(frozen=True, slots=True)
class Identification:
    """Names the shared secret (RFC 5272, 6.2.3)."""

    identification: str


@dataclass(frozen=True, slots=True)
class IdentityProofV2:
    """A MAC over the reqSequence by the hash of a shared secret (RFC 5272, 6.2.1)."""

    hash_algorithm: Algorithm
    mac_algorithm: Algorithm
    witness: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PopLinkWitnessV2:
    """Ties a proof of possession to a shared secret (RFC 5272, 6.3.1.1)."""

    key_gen_algorithm: Algorithm
    mac_algorithm: Algorithm
    witness: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TransactionID:
    """Chosen by the client, echoed by the server (RFC 5272, 6.6)."""

    transaction_id: int


@dataclass(frozen=True, slots=True)
class SenderNonce:
    """Chosen by whoever sends (RFC 5272, 6.6)."""

    nonce: bytes


@dataclass(frozen=True, slots=True)
class RecipientNonce:
    """The senderNonce of what is answered (RFC 5272, 6.6)."""

    nonce: bytes


@dataclass(frozen=True, slots=True)
class DataReturn:
    """Octets that come back as they are (RFC 5272, 6.4)."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class RegInfo:
    """Octets of which only client and server know the meaning (RFC 5272, 6.12)."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class ResponseInfo:
    """The same in a response (RFC 5272, 6.12)."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class QueryPending:
    """Asks what became of a request (RFC 5272, 6.13)."""

    pend_token: bytes


@dataclass(frozen=True, slots=True)
class GetCert:
    """Asks for a certificate that was issued (RFC 5272, 6.9)."""

    issuer_name: x509.GeneralName
    serial_number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeRequest:
    """Asks to revoke a certificate (RFC 5272, 6.11)."""

    issuer_name: x509.Name
    serial_number: int
    reason: int
    """CRLReason by its number; whether there is such a reason is not looked at."""
    invalidity_date: datetime | None = None
    shared_secret: bytes | None = field(default=None, repr=False)
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class UnknownControl:
    """A control that this package does not read."""

    attr_type: str
    """Dotted."""
    attr_values_der: tuple[bytes, ...]


ControlValue = (
    CMCStatusInfo
    | CMCStatusInfoV2
    | Identification
    | IdentityProofV2
    | PopLinkWitnessV2
    | TransactionID
    | SenderNonce
    | RecipientNonce
    | DataReturn
    | RegInfo
    | ResponseInfo
    | QueryPending
    | GetCert
    | RevokeRequest
    | UnknownControl
)


@dataclass(frozen=True, slots=True)
class TaggedAttribute:
    """A control with its number in the message (RFC 5272, 3.2.1.1)."""

    body_part_id: int
    value: ControlValue


@dataclass(frozen=True, slots=True)
class TaggedCertificationRequest:
    """A PKCS#10 request (RFC 5272, 3.2.1.2.1)."""

    body_part_id: int
    certification_request_der: bytes


@dataclass(frozen=True, slots=True)
class TaggedCertReqMsg:
    """A CRMF request; its certReqId is its number in the message (RFC 5272, 3.2.1.2.2)."""

    message: CertReqMsg

    @property
    def body_part_id(self) -> int:
        """The number in the message."""
        return self.message.cert_req.cert_req_id


@dataclass(frozen=True, slots=True)
class OtherRequest:
    """A request of another kind (RFC 5272, 3.2.1.2.3)."""

    body_part_id: int
    request_message_type: str
    request_message_value_der: bytes


TaggedRequest = TaggedCertificationRequest | TaggedCertReqMsg | OtherRequest


@dataclass(frozen=True, slots=True)
class TaggedContentInfo:
    """A CMS content with its number in the message (RFC 5272, 3.2.1.3)."""

    body_part_id: int
    content_info_der: bytes


@dataclass(frozen=True, slots=True)
class OtherMsg:
    """A message of another kind (RFC 5272, 3.2.1.4)."""

    body_part_id: int
    other_msg_type: str
    other_msg_value_der: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PKIData:
    """The content of a full PKI request (RFC 5272, 3.2.1)."""

    control_sequence: tuple[TaggedAttribute, ...] = ()
    req_sequence: tuple[TaggedRequest, ...] = ()
    cms_sequence: tuple[TaggedContentInfo, ...] = ()
    other_msg_sequence: tuple[OtherMsg, ...] = ()
    req_sequence_der: bytes = field(default=b"", repr=False, compare=False)
    """As it was read: what an identity proof is over. Empty if nothing was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PKIResponse:
    """The content of a full PKI response (RFC 5272, 3.2.2)."""

    control_sequence: tuple[TaggedAttribute, ...] = ()
    cms_sequence: tuple[TaggedContentInfo, ...] = ()
    other_msg_sequence: tuple[OtherMsg, ...] = ()
