"""What is said in the Certificate Management Protocol, in the words of RFC 9810.

``..._der`` is DER. Requests for certificates are those of :mod:`cspd.x509.crmf`. What the server never does
(announcements, key recovery) has its body kept as :class:`UnreadContent`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from cspd.x509.crmf.messages import CertId, CertReqMessages, CertTemplate, EncryptedKey
from cspd.x509.signatures import Algorithm
from protocols.cmp.status import PKIStatusInfo

CMP2000 = 2
CMP2021 = 3
"""For messages with EnvelopedData or ``hashAlg`` (RFC 9810, 7)."""

NULL_DN_DER = b"\xa4\x02\x30\x00"
"""The GeneralName with an empty directoryName, for a sender or recipient that is not known (RFC 9810, 5.1.1)."""


@dataclass(frozen=True, slots=True)
class InfoTypeAndValue:
    """One item of ``generalInfo``, ``genm`` or ``genp`` (RFC 9810, 5.3.19); see :mod:`protocols.cmp.info_types`."""

    info_type: str
    """Dotted."""
    info_value_der: bytes = b""
    """Empty when absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PKIHeader:
    """RFC 9810, 5.1.1."""

    pvno: int = CMP2000
    sender_der: bytes = NULL_DN_DER
    """A GeneralName."""
    recipient_der: bytes = NULL_DN_DER
    """A GeneralName."""
    message_time: datetime | None = None
    """UTC, to the microsecond."""
    protection_alg: Algorithm | None = None
    sender_kid: bytes | None = None
    recip_kid: bytes | None = None
    transaction_id: bytes | None = None
    sender_nonce: bytes | None = None
    recip_nonce: bytes | None = None
    free_text: tuple[str, ...] = ()
    general_info: tuple[InfoTypeAndValue, ...] = ()


class BodyType(Enum):
    """The choices of PKIBody (RFC 9810, 5.1.2); values are their tags."""

    IR = 0
    IP = 1
    CR = 2
    CP = 3
    P10CR = 4
    POPDECC = 5
    POPDECR = 6
    KUR = 7
    KUP = 8
    KRR = 9
    KRP = 10
    RR = 11
    RP = 12
    CCR = 13
    CCP = 14
    CKUANN = 15
    CANN = 16
    RANN = 17
    CRLANN = 18
    PKI_CONF = 19
    NESTED = 20
    GENM = 21
    GENP = 22
    ERROR = 23
    CERT_CONF = 24
    POLL_REQ = 25
    POLL_REP = 26


@dataclass(frozen=True, slots=True)
class UnreadContent:
    """A body that is well-formed and not looked into."""

    der: bytes


@dataclass(frozen=True, slots=True)
class CertificationRequest:
    """A PKCS #10 request (RFC 2986) in a p10cr, for :func:`cspd.x509.csr.parse_csr`."""

    der: bytes


@dataclass(frozen=True, slots=True)
class CertReqContent:
    """ir, cr, kur, krr and ccr (RFC 9810, 5.3.1)."""

    messages: CertReqMessages


@dataclass(frozen=True, slots=True)
class Challenge:
    """A random number for who can decrypt it (RFC 9810, 5.2.8.3.3)."""

    witness: bytes
    """``owf`` of the number, as the INTEGER in DER."""
    owf: Algorithm | None = None
    """None in all but the first challenge of a message is that of the one before."""
    challenge: bytes = b""
    """For version 2: the Rand, encrypted by RSA; empty in version 3."""
    encrypted_rand_der: bytes = b""
    """For version 3: the Rand in an EnvelopedData; empty in version 2."""


@dataclass(frozen=True, slots=True)
class Rand:
    """What a challenge encrypts (RFC 9810, 5.2.8.3.3)."""

    number: int
    sender_der: bytes
    """The GeneralName in the header of the popdecc."""


@dataclass(frozen=True, slots=True)
class POPODecKeyChallContent:
    """popdecc (RFC 9810, 5.2.8.3.3): a challenge for each request that asks for one, in their order."""

    challenges: tuple[Challenge, ...]


@dataclass(frozen=True, slots=True)
class POPODecKeyRespContent:
    """popdecr (RFC 9810, 5.2.8.3.3): the decrypted numbers, in the order of the challenges."""

    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CertifiedKeyPair:
    """What was issued (RFC 9810, 5.3.4): ``certOrEncCert`` is exactly one of the first two."""

    certificate_der: bytes = b""
    encrypted_cert: EncryptedKey | None = None
    private_key: EncryptedKey | None = None
    publication_info_der: bytes = b""


@dataclass(frozen=True, slots=True)
class CertResponse:
    """The answer to one request for a certificate (RFC 9810, 5.3.4)."""

    cert_req_id: int
    """-1 for a p10cr."""
    status: PKIStatusInfo
    certified_key_pair: CertifiedKeyPair | None = None
    rsp_info: bytes | None = None


@dataclass(frozen=True, slots=True)
class CertRepMessage:
    """ip, cp, kup and ccp (RFC 9810, 5.3.4)."""

    response: tuple[CertResponse, ...]
    ca_pubs_der: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class RevDetails:
    """One certificate to revoke (RFC 9810, 5.3.9)."""

    cert_details: CertTemplate
    crl_entry_details_der: bytes = b""
    """Extensions; empty when absent."""


@dataclass(frozen=True, slots=True)
class RevReqContent:
    """rr (RFC 9810, 5.3.9)."""

    details: tuple[RevDetails, ...]


@dataclass(frozen=True, slots=True)
class RevRepContent:
    """rp (RFC 9810, 5.3.10); the first two are in the order of the request."""

    status: tuple[PKIStatusInfo, ...]
    rev_certs: tuple[CertId, ...] = ()
    crls_der: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class CertStatus:
    """What a client says of one certificate it got (RFC 9810, 5.3.18)."""

    cert_hash: bytes
    cert_req_id: int
    status_info: PKIStatusInfo | None = None
    """None is an acceptance."""
    hash_alg: Algorithm | None = None
    """None is the hash of the certificate's signature."""


@dataclass(frozen=True, slots=True)
class CertConfirmContent:
    """certConf (RFC 9810, 5.3.18); none at all is a rejection of all certificates."""

    statuses: tuple[CertStatus, ...]


@dataclass(frozen=True, slots=True)
class PKIConfirmContent:
    """pkiConf (RFC 9810, 5.3.17), which says nothing more."""


@dataclass(frozen=True, slots=True)
class NestedMessageContent:
    """Messages that a registration authority hands on under a protection of its own (RFC 9483, 5.2.2)."""

    messages: tuple[PKIMessage, ...]


@dataclass(frozen=True, slots=True)
class GenMsgContent:
    """genm and genp (RFC 9810, 5.3.19 and 5.3.20)."""

    items: tuple[InfoTypeAndValue, ...]


@dataclass(frozen=True, slots=True)
class ErrorMsgContent:
    """error (RFC 9810, 5.3.21)."""

    pki_status_info: PKIStatusInfo
    error_code: int | None = None
    error_details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PollReqContent:
    """pollReq (RFC 9810, 5.3.22)."""

    cert_req_ids: tuple[int, ...]
    """-1 where the answer to a whole message is polled for (RFC 9483, 4.4)."""


@dataclass(frozen=True, slots=True)
class PollRep:
    """When to ask again for one certificate (RFC 9810, 5.3.22)."""

    cert_req_id: int
    check_after: int
    """Seconds."""
    reason: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PollRepContent:
    """pollRep (RFC 9810, 5.3.22)."""

    replies: tuple[PollRep, ...]


BodyContent = (
    UnreadContent
    | CertReqContent
    | CertificationRequest
    | CertRepMessage
    | POPODecKeyChallContent
    | POPODecKeyRespContent
    | RevReqContent
    | RevRepContent
    | CertConfirmContent
    | PKIConfirmContent
    | NestedMessageContent
    | GenMsgContent
    | ErrorMsgContent
    | PollReqContent
    | PollRepContent
)

_CONTENTS: dict[BodyType, type] = {
    BodyType.IR: CertReqContent,
    BodyType.IP: CertRepMessage,
    BodyType.CR: CertReqContent,
    BodyType.CP: CertRepMessage,
    BodyType.P10CR: CertificationRequest,
    BodyType.POPDECC: POPODecKeyChallContent,
    BodyType.POPDECR: POPODecKeyRespContent,
    BodyType.KUR: CertReqContent,
    BodyType.KUP: CertRepMessage,
    BodyType.KRR: CertReqContent,
    BodyType.RR: RevReqContent,
    BodyType.RP: RevRepContent,
    BodyType.CCR: CertReqContent,
    BodyType.CCP: CertRepMessage,
    BodyType.PKI_CONF: PKIConfirmContent,
    BodyType.NESTED: NestedMessageContent,
    BodyType.GENM: GenMsgContent,
    BodyType.GENP: GenMsgContent,
    BodyType.ERROR: ErrorMsgContent,
    BodyType.CERT_CONF: CertConfirmContent,
    BodyType.POLL_REQ: PollReqContent,
    BodyType.POLL_REP: PollRepContent,
}


@dataclass(frozen=True, slots=True)
class PKIBody:
    """What a message is about (RFC 9810, 5.1.2); ValueError for a content that is not of the type."""

    type: BodyType
    content: BodyContent

    def __post_init__(self) -> None:
        expected = _CONTENTS.get(self.type, UnreadContent)
        if not isinstance(self.content, expected):
            raise ValueError(f"{self.type.name} has a {expected.__name__}, not a {type(self.content).__name__}")


@dataclass(frozen=True, slots=True)
class PKIMessage:
    """RFC 9810, 5.1."""

    header: PKIHeader
    body: PKIBody
    protection: bytes | None = None
    """Octets of the BIT STRING."""
    extra_certs_der: tuple[bytes, ...] = ()
    protected_part_der: bytes = field(default=b"", compare=False, repr=False)
    """The ProtectedPart of header and body as they were received, which a protection is verified over; empty in a
    message that was not decoded."""
