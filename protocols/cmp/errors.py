"""What the Certificate Management Protocol says when it says no, and the one table from our refusals to it."""

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
from protocols.cmp.status import PKIFailureInfo, PKIStatus, PKIStatusInfo

FAILURE_INFO: Mapping[type[Refused], PKIFailureInfo] = {
    Malformed: PKIFailureInfo.BAD_DATA_FORMAT,
    Unauthorized: PKIFailureInfo.BAD_MESSAGE_CHECK,
    Forbidden: PKIFailureInfo.NOT_AUTHORIZED,
    NotFound: PKIFailureInfo.BAD_CERT_ID,
    Conflict: PKIFailureInfo.BAD_REQUEST,
    AlreadyRevoked: PKIFailureInfo.CERT_REVOKED,
    BadRevocationReason: PKIFailureInfo.BAD_REQUEST,
    Rejected: PKIFailureInfo.BAD_REQUEST,
    BadProofOfPossession: PKIFailureInfo.BAD_POP,
    BadPublicKey: PKIFailureInfo.BAD_CERT_TEMPLATE,
    BadName: PKIFailureInfo.BAD_CERT_TEMPLATE,
    BadExtension: PKIFailureInfo.UNACCEPTED_EXTENSION,
    BadValidity: PKIFailureInfo.BAD_CERT_TEMPLATE,
    LimitExceeded: PKIFailureInfo.SYSTEM_UNAVAIL,
    Unavailable: PKIFailureInfo.SYSTEM_UNAVAIL,
}


class PKIMessageRejected(Exception):
    """A message that is answered with an error: ``fail_info`` and ``status_string`` are for the client.

    ``detail`` reaches the log only.
    """

    def __init__(self, fail_info: PKIFailureInfo, status_string: str, *, detail: str = "") -> None:
        super().__init__(detail or status_string)
        self.fail_info = fail_info
        self.status_string = status_string
        self.detail = detail

    @property
    def status_info(self) -> PKIStatusInfo:
        """The rejection as it is sent."""
        return PKIStatusInfo(PKIStatus.REJECTION, (self.status_string,), frozenset({self.fail_info}))


def failure_info(refusal: Refused) -> PKIFailureInfo:
    """The bit of a refusal; a subclass without a line of its own has that of its base."""
    for kind in type(refusal).__mro__:
        if (bit := FAILURE_INFO.get(kind)) is not None:
            return bit
    return PKIFailureInfo.SYSTEM_FAILURE


def status_info(refusal: Refused) -> PKIStatusInfo:
    """The rejection that a refusal becomes."""
    return PKIStatusInfo(PKIStatus.REJECTION, (refusal.reason,), frozenset({failure_info(refusal)}))
