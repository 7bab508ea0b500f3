"""The words of Intune's interface for certification authorities, as Microsoft publishes it.

Source: https://github.com/microsoft/Intune-Resource-Access, ``src/CsrValidation``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, IntEnum

MAX_DESCRIPTION = 255
"""Characters of ``errorDescription``."""
MAX_SAID = 64
"""Characters that are kept of a code that we do not know."""


class IntuneCode(Enum):
    """What Intune answers to a validation or a notification; values are those on the wire."""

    UNKNOWN = "Unknown"
    """Also for each code that is not below."""
    SUCCESS = "Success"
    CERTIFICATE_REQUEST_DECODING_FAILED = "CertificateRequestDecodingFailed"
    CHALLENGE_PASSWORD_MISSING = "ChallengePasswordMissing"  # noqa: S105  # no password
    CHALLENGE_DESERIALIZATION_ERROR = "ChallengeDeserializationError"
    CHALLENGE_DECRYPTION_ERROR = "ChallengeDecryptionError"
    CHALLENGE_DECODING_ERROR = "ChallengeDecodingError"
    CHALLENGE_INVALID_TIMESTAMP = "ChallengeInvalidTimestamp"
    CHALLENGE_EXPIRED = "ChallengeExpired"
    SUBJECT_NAME_MISSING = "SubjectNameMissing"
    SUBJECT_NAME_MISMATCH = "SubjectNameMismatch"
    SUBJECT_ALT_NAME_MISSING = "SubjectAltNameMissing"
    SUBJECT_ALT_NAME_MISMATCH = "SubjectAltNameMismatch"
    KEY_USAGE_MISMATCH = "KeyUsageMismatch"
    KEY_LENGTH_MISMATCH = "KeyLengthMismatch"
    ENHANCED_KEY_USAGE_MISSING = "EnhancedKeyUsageMissing"
    ENHANCED_KEY_USAGE_MISMATCH = "EnhancedKeyUsageMismatch"
    AAD_KEY_IDENTIFIER_LIST_MISSING = "AadKeyIdentifierListMissing"
    REGISTERED_KEY_MISMATCH = "RegisteredKeyMismatch"
    SIGNING_CERT_THUMBPRINT_MISMATCH = "SigningCertThumbprintMismatch"
    SCEP_PROFILE_NO_LONGER_TARGETED_TO_THE_CLIENT = "ScepProfileNoLongerTargetedToTheClient"
    SIGNATURE_VALIDATION_FAILED = "SignatureValidationFailed"
    BAD_CERTIFICATE_REQUEST_ID_IN_CHALLENGE = "BadCertificateRequestIdInChallenge"
    BAD_DEVICE_ID_IN_CHALLENGE = "BadDeviceIdInChallenge"
    BAD_USER_ID_IN_CHALLENGE = "BadUserIdInChallenge"


class RefusedByIntune(Exception):
    """Intune says no; ``description`` is its own text, for the log only."""

    def __init__(self, code: IntuneCode, *, said: str = "", description: str = "") -> None:
        self.code = code
        self.said = (said or code.value)[:MAX_SAID]
        """The code as Intune sent it."""
        self.description = description
        super().__init__(f"{self.said}: {description}" if description else self.said)


class HResult(IntEnum):
    """Our codes of a failure notification, which the Intune console shows: HRESULTs with the customer bit set.

    Layout: https://learn.microsoft.com/openspecs/windows_protocols/ms-erref/0642cb2f-2075-4469-918c-4441e69c548a
    """

    NOT_VALIDATED = 0xA0040001
    """Intune itself refused the request."""
    NO_ANSWER = 0xA0040002
    """Intune gave no answer that can be trusted."""
    NOT_ISSUED = 0xA0040003
    """Intune agreed, and the CA refused the request or could not issue; the description says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedNotice:
    """A certificate was issued."""

    transaction_id: str
    csr_der: bytes = field(repr=False)
    """As it was validated; it holds the challenge."""
    certificate_der: bytes = field(repr=False)
    serial: int
    not_after: datetime
    issuer: str
    """The CA's name, RFC 4514."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedNotice:
    """No certificate was issued."""

    transaction_id: str
    csr_der: bytes = field(repr=False)
    result: HResult
    description: str
    """Why; cut to MAX_DESCRIPTION characters when it is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationOrder:
    """A certificate that Intune wants revoked."""

    context: str
    """Names the order in its result."""
    serial_number: str
    """As we told it when the certificate was issued: hexadecimal."""
    issuer_name: str | None = None
    """As we told it."""


class ResultCode(IntEnum):
    """Why a certificate is not revoked; Intune tries those from 4100 on again."""

    NONE = 0
    NON_RETRYABLE = 4000
    DATA_SERIALIZATION_ERROR = 4001
    PARAMETER_DATA_INVALID = 4002
    CRYPTOGRAPHY_ERROR = 4003
    CERTIFICATE_NOT_FOUND = 4004
    CONFLICT = 4005
    NOT_SUPPORTED = 4006
    PAYLOAD_TOO_LARGE = 4007
    RETRYABLE = 4100
    SERVICE_UNAVAILABLE = 4101
    SERVICE_TOO_BUSY = 4102
    AUTHENTICATION_FAILED = 4103


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationResult:
    """What came of an order."""

    context: str
    code: ResultCode = ResultCode.NONE
    message: str = ""
    """Empty for success."""

    @property
    def succeeded(self) -> bool:
        """Whether the certificate is revoked."""
        return self.code is ResultCode.NONE
