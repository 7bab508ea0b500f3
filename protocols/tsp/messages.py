"""What is said in the Time-Stamp Protocol, in the words of RFC 3161."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class HashAlgorithm(Enum):
    """The hashes of message imprints and signatures; values are the names of conf files."""

    SHA1 = "sha1"
    SHA224 = "sha224"
    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"
    SHA3_224 = "sha3-224"
    SHA3_256 = "sha3-256"
    SHA3_384 = "sha3-384"
    SHA3_512 = "sha3-512"


class PKIStatus(Enum):
    """RFC 3161, 2.4.2."""

    GRANTED = 0
    GRANTED_WITH_MODS = 1
    REJECTION = 2
    WAITING = 3
    REVOCATION_WARNING = 4
    REVOCATION_NOTIFICATION = 5


class PKIFailureInfo(Enum):
    """The bit that says why (RFC 3161, 2.4.2)."""

    BAD_ALG = 0
    BAD_REQUEST = 2
    BAD_DATA_FORMAT = 5
    TIME_NOT_AVAILABLE = 14
    UNACCEPTED_POLICY = 15
    UNACCEPTED_EXTENSION = 16
    ADD_INFO_NOT_AVAILABLE = 17
    SYSTEM_FAILURE = 25


@dataclass(frozen=True, slots=True)
class MessageImprint:
    """The hash of what gets a timestamp."""

    algorithm_der: bytes
    """The AlgorithmIdentifier as the client wrote it: it is repeated to the octet."""
    hashed_message: bytes
    encoded: bytes
    """The whole MessageImprint, DER."""


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension of a request or token (RFC 5280, 4.1)."""

    extn_id: str
    """Dotted."""
    critical: bool
    extn_value: bytes


@dataclass(frozen=True, slots=True)
class TimeStampReq:
    """A request (RFC 3161, 2.4.1), version 1."""

    message_imprint: MessageImprint
    req_policy: str | None = None
    """Dotted."""
    nonce: int | None = None
    cert_req: bool = False
    extensions: tuple[Extension, ...] = ()


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How far genTime may be off (RFC 3161, 2.4.2); zero means absent."""

    seconds: int = 0
    millis: int = 0
    """0 to 999."""
    micros: int = 0
    """0 to 999."""


@dataclass(frozen=True, slots=True)
class TSTInfo:
    """What a token asserts (RFC 3161, 2.4.2), version 1."""

    policy: str
    """Dotted."""
    message_imprint: MessageImprint
    serial_number: int
    gen_time: datetime
    """UTC; microseconds are encoded as far as they are not zero."""
    accuracy: Accuracy | None = None
    ordering: bool = False
    nonce: int | None = None
    tsa_der: bytes | None = None
    """A GeneralName, DER."""
    extensions: tuple[Extension, ...] = ()


@dataclass(frozen=True, slots=True)
class PKIStatusInfo:
    """How the request ended."""

    status: PKIStatus
    status_string: str = ""
    fail_info: PKIFailureInfo | None = None
