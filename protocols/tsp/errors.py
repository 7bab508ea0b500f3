"""What the Time-Stamp Protocol says when it says no, and the one table from our refusals to it (RFC 3161, 2.4.2)."""

from __future__ import annotations

from collections.abc import Mapping

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
from protocols.tsp.messages import PKIFailureInfo

STATUS_STRINGS: Mapping[PKIFailureInfo, str] = {
    PKIFailureInfo.BAD_ALG: "the hash algorithm of the message imprint is not accepted",
    PKIFailureInfo.BAD_REQUEST: "the request is not permitted or not supported",
    PKIFailureInfo.BAD_DATA_FORMAT: "the request is not a well-formed TimeStampReq in DER",
    PKIFailureInfo.TIME_NOT_AVAILABLE: "the time source is not available",
    PKIFailureInfo.UNACCEPTED_POLICY: "the requested policy is not supported",
    PKIFailureInfo.UNACCEPTED_EXTENSION: "an extension of the request is not supported",
    PKIFailureInfo.ADD_INFO_NOT_AVAILABLE: "the additional information is not available",
    PKIFailureInfo.SYSTEM_FAILURE: "the request cannot be handled due to a system failure",
}
"""The statusString of a rejection: what a human reads beside the bit."""

FAILURE_INFO: Mapping[type[Refused], PKIFailureInfo] = {
    Malformed: PKIFailureInfo.BAD_DATA_FORMAT,
    Unavailable: PKIFailureInfo.SYSTEM_FAILURE,
    LimitExceeded: PKIFailureInfo.SYSTEM_FAILURE,
    # A request names nobody and nothing of ours but the issuer in its path, which the endpoint knows: the rest that is
    # not found (a key, a CA) or not allowed is between us and our own services.
    NotFound: PKIFailureInfo.SYSTEM_FAILURE,
    Unauthorized: PKIFailureInfo.SYSTEM_FAILURE,
    Forbidden: PKIFailureInfo.SYSTEM_FAILURE,
    # Nothing that issues tokens raises these: if it happens, the mistake is ours.
    Conflict: PKIFailureInfo.SYSTEM_FAILURE,
    AlreadyRevoked: PKIFailureInfo.SYSTEM_FAILURE,
    BadRevocationReason: PKIFailureInfo.SYSTEM_FAILURE,
    Rejected: PKIFailureInfo.SYSTEM_FAILURE,
    BadProofOfPossession: PKIFailureInfo.SYSTEM_FAILURE,
    BadPublicKey: PKIFailureInfo.SYSTEM_FAILURE,
    BadName: PKIFailureInfo.SYSTEM_FAILURE,
    BadExtension: PKIFailureInfo.SYSTEM_FAILURE,
    BadValidity: PKIFailureInfo.SYSTEM_FAILURE,
}


class TimeStampRejected(Exception):
    """A request that gets no token; the client is told ``fail_info`` and its text, the log also ``detail``."""

    def __init__(self, fail_info: PKIFailureInfo, detail: str = "") -> None:
        super().__init__(detail or STATUS_STRINGS[fail_info])
        self.fail_info = fail_info
        self.detail = detail

    @property
    def status_string(self) -> str:
        """The statusString, which says nothing about our inside."""
        return STATUS_STRINGS[self.fail_info]


def failure_info(refusal: Refused) -> PKIFailureInfo:
    """The bit of a refusal; a subclass without a line of its own has that of its base."""
    for kind in type(refusal).__mro__:
        if (bit := FAILURE_INFO.get(kind)) is not None:
            return bit
    return PKIFailureInfo.SYSTEM_FAILURE
