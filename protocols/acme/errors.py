"""ACME's error vocabulary (RFC 8555, 6.7), and the one table from our refusals to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from cspd.refusals import (
    AlreadyRevoked,
    BadExtension,
    BadName,
    BadProofOfPossession,
    BadPublicKey,
    BadRevocationReason,
    BadValidity,
    Conflict,
    Forbidden,
    LimitExceeded,
    Malformed,
    NotFound,
    Refused,
    Rejected,
    Unauthorized,
    Unavailable,
)
from protocols.acme.messages import Identifier

_NAMESPACE = "urn:ietf:params:acme:error:"


class ErrorType(Enum):
    """The error types of RFC 8555, 6.7; the value is the last part of the URN."""

    ACCOUNT_DOES_NOT_EXIST = "accountDoesNotExist"
    ALREADY_REVOKED = "alreadyRevoked"
    BAD_CSR = "badCSR"
    BAD_NONCE = "badNonce"
    BAD_PUBLIC_KEY = "badPublicKey"
    BAD_REVOCATION_REASON = "badRevocationReason"
    BAD_SIGNATURE_ALGORITHM = "badSignatureAlgorithm"
    CAA = "caa"
    COMPOUND = "compound"
    CONNECTION = "connection"
    DNS = "dns"
    EXTERNAL_ACCOUNT_REQUIRED = "externalAccountRequired"
    INCORRECT_RESPONSE = "incorrectResponse"
    INVALID_CONTACT = "invalidContact"
    MALFORMED = "malformed"
    ORDER_NOT_READY = "orderNotReady"
    RATE_LIMITED = "rateLimited"
    REJECTED_IDENTIFIER = "rejectedIdentifier"
    SERVER_INTERNAL = "serverInternal"
    TLS = "tls"
    UNAUTHORIZED = "unauthorized"
    UNSUPPORTED_CONTACT = "unsupportedContact"
    UNSUPPORTED_IDENTIFIER = "unsupportedIdentifier"
    USER_ACTION_REQUIRED = "userActionRequired"

    @property
    def urn(self) -> str:
        """The type as it stands in a problem document."""
        return _NAMESPACE + self.value


STATUS: Mapping[ErrorType, int] = {
    ErrorType.EXTERNAL_ACCOUNT_REQUIRED: 403,
    ErrorType.ORDER_NOT_READY: 403,  # RFC 8555, 7.4
    ErrorType.RATE_LIMITED: 429,
    ErrorType.SERVER_INTERNAL: 500,
    ErrorType.UNAUTHORIZED: 403,
    ErrorType.USER_ACTION_REQUIRED: 403,
}
"""The HTTP status of an error type where it is not 400."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem document (RFC 7807), with the members that RFC 8555 adds."""

    type: ErrorType
    detail: str
    """For a human; never holds a secret."""
    status: int | None = None
    """The HTTP status; None takes that of the type. A subproblem and a stored error have it for information."""
    identifier: Identifier | None = None
    subproblems: tuple[Problem, ...] = ()
    algorithms: tuple[str, ...] = ()
    """What a badSignatureAlgorithm offers instead (RFC 8555, 6.2)."""

    @property
    def http_status(self) -> int:
        """The status of the HTTP answer that carries this document."""
        return self.status or STATUS.get(self.type, 400)

    def to_json(self, *, is_subproblem: bool = False) -> dict[str, Any]:
        """The members as JSON values."""
        members: dict[str, Any] = {"type": self.type.urn, "detail": self.detail}
        if not is_subproblem:
            members["status"] = self.http_status
        if self.identifier is not None:
            members["identifier"] = self.identifier.to_json()
        if self.algorithms:
            members["algorithms"] = list(self.algorithms)
        if self.subproblems:
            members["subproblems"] = [problem.to_json(is_subproblem=True) for problem in self.subproblems]
        return members


class ACMEError(Exception):
    """Ends a request with a problem document; ``headers`` go on the answer (Location of a conflict, Retry-After)."""

    def __init__(
        self,
        type: ErrorType,
        detail: str,
        *,
        status: int | None = None,
        subproblems: Sequence[Problem] = (),
        algorithms: Sequence[str] = (),
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(detail)
        self.problem = Problem(
            type=type, detail=detail, status=status, subproblems=tuple(subproblems), algorithms=tuple(algorithms)
        )
        self.headers = headers


REFUSALS: Mapping[type[Refused], tuple[ErrorType, int]] = {
    Malformed: (ErrorType.MALFORMED, 400),
    Unauthorized: (ErrorType.UNAUTHORIZED, 401),
    Forbidden: (ErrorType.UNAUTHORIZED, 403),
    NotFound: (ErrorType.MALFORMED, 404),
    Conflict: (ErrorType.MALFORMED, 409),
    AlreadyRevoked: (ErrorType.ALREADY_REVOKED, 400),
    BadRevocationReason: (ErrorType.BAD_REVOCATION_REASON, 400),
    Rejected: (ErrorType.UNAUTHORIZED, 403),
    BadProofOfPossession: (ErrorType.BAD_CSR, 400),
    # badPublicKey is about the key of a JWS; the key of a CSR is a badCSR "due to a short key" (RFC 8555, 6.7).
    BadPublicKey: (ErrorType.BAD_CSR, 400),
    BadName: (ErrorType.BAD_CSR, 400),
    BadExtension: (ErrorType.BAD_CSR, 400),
    BadValidity: (ErrorType.MALFORMED, 400),
    LimitExceeded: (ErrorType.RATE_LIMITED, 429),
    Unavailable: (ErrorType.SERVER_INTERNAL, 503),
}
"""What a client is told about a refusal of the core."""


def from_refusal(refusal: Refused) -> ACMEError:
    """The ACME error of a refusal; a class without a row (a plugin's own) is answered as its nearest base is."""
    for ancestor in type(refusal).__mro__:
        if row := REFUSALS.get(ancestor):
            type_, status = row
            break
    else:
        type_, status = ErrorType.UNAUTHORIZED, 403
    retry_after = refusal.retry_after if isinstance(refusal, (LimitExceeded, Unavailable)) else None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if retry_after is not None:
        headers = ((b"retry-after", b"%d" % max(1, round(retry_after.total_seconds()))),)
    return ACMEError(type_, refusal.reason, status=status, headers=headers)


def internal_error(request_id: str) -> ACMEError:
    """What a client learns of an unexpected failure: that there was one, and its correlation id."""
    return ACMEError(ErrorType.SERVER_INTERNAL, f"internal error; quote the reference {request_id or 'unknown'}")
