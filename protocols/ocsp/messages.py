"""What is said in OCSP, in the words of RFC 6960.

The conversation, and where each step is:

====================================  ======================================================================
client -> POST or GET, OCSPRequest    ``endpoint.OCSPEndpoint.post``, ``.get``
bytes -> :class:`OCSPRequest`         ``forms.RequestDecoder``, by ``codec.decode_request``
which CA does each CertID name?       ``issuers.Issuers.find``
what is the status of each serial?    ``service.OCSPService.answer``, asking ``cspd.authority.interfaces.Status``
:class:`ResponseData` -> bytes        ``codec.encode_response_data``; signed by the responder of that CA
client <- OCSPResponse                ``signing.ResponseSigner.sign``, or ``codec.ERROR_RESPONSES``
====================================  ======================================================================

Treat all of it as immutable. What is made for each request is not ``frozen`` only because a frozen dataclass takes
three times as long to make, and a request has seven of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from cspd.authority.values import RevocationReason

NONCE = "1.3.6.1.5.5.7.48.1.2"
"""id-pkix-ocsp-nonce (RFC 9654, 2.1)."""


class OCSPResponseStatus(Enum):
    """RFC 6960, 4.2.1; ``sigRequired(5)`` is never said: who signs a request gets the answer everybody gets."""

    SUCCESSFUL = 0
    MALFORMED_REQUEST = 1
    INTERNAL_ERROR = 2
    TRY_LATER = 3
    UNAUTHORIZED = 6


class HashAlgorithm(Enum):
    """The hashes of a CertID; values are ``hashlib``'s names."""

    SHA1 = "sha1"
    SHA224 = "sha224"
    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"


@dataclass(slots=True)
class CertID:
    """Names a certificate by hashes of its issuer, and its serial number (RFC 6960, 4.1.1).

    ``algorithm_der`` is kept as the client wrote it (the parameters may be NULL or absent), since the answer repeats
    the CertID and some clients compare it byte by byte.
    """

    algorithm_der: bytes
    """AlgorithmIdentifier; one that we do not know names no CA of ours."""
    issuer_name_hash: bytes
    issuer_key_hash: bytes
    serial_number: int
    encoded: bytes = field(default=b"", compare=False, repr=False)
    """Its DER as the client sent it; empty in one that was not decoded."""


@dataclass(slots=True)
class Extension:
    """RFC 5280, 4.1; ``extn_value`` is the contents of the OCTET STRING."""

    extn_id: str
    critical: bool
    extn_value: bytes


@dataclass(slots=True)
class SingleRequest:
    """Asks for the status of one certificate (``Request`` in RFC 6960, 4.1.1)."""

    req_cert: CertID
    extensions: tuple[Extension, ...] = ()


@dataclass(slots=True)
class OCSPRequest:
    """RFC 6960, 4.1.1."""

    request_list: tuple[SingleRequest, ...]
    """At least one."""
    extensions: tuple[Extension, ...] = ()
    requestor_name_der: bytes | None = None
    """GeneralName; not used."""
    signature_der: bytes | None = None
    """Signature, certificates included; not verified, since the answer does not depend on who asks."""

    @property
    def nonce(self) -> bytes | None:
        """The 1 to 128 octets that the answer has to repeat (RFC 9654, 2.1); None if absent."""
        for extension in self.extensions:
            if extension.extn_id == NONCE:
                # The decoder saw to it that this is an OCTET STRING; up to 127 octets its length takes one octet.
                return extension.extn_value[2 if len(extension.extn_value) < 130 else 3 :]
        return None


@dataclass(frozen=True, slots=True)
class Good:
    """The certificate was issued and is not revoked."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """Revoked for good, or on hold when the reason is certificateHold."""

    revocation_time: datetime
    revocation_reason: RevocationReason | None = None
    """None leaves it out, as RFC 5280, 5.3.1 wants for ``unspecified``."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """This responder knows nothing about the certificate."""


CertStatus = Good | Revoked | Unknown


@dataclass(slots=True)
class SingleResponse:
    """Says the status of one certificate (RFC 6960, 4.2.1)."""

    cert_id: CertID
    cert_status: CertStatus
    this_update: datetime
    next_update: datetime | None


@dataclass(slots=True)
class ResponseData:
    """What the responder signs (RFC 6960, 4.2.1)."""

    responder_key_hash: bytes
    """SHA-1 of the responder's public key: ResponderID ``byKey``."""
    produced_at: datetime
    responses: tuple[SingleResponse, ...]
    nonce: bytes | None = None
    extended_revoke: bool = False
    """A certificate that was never issued is called revoked (RFC 6960, 2.2 and 4.4.8)."""
