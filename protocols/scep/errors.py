"""What the Simple Certificate Enrolment Protocol says when it says no, and the one table from our refusals to it."""

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
from protocols.scep.messages import FailInfo

FAIL_INFO: Mapping[type[Refused], FailInfo] = {
    Malformed: FailInfo.BAD_REQUEST,
    Unauthorized: FailInfo.BAD_MESSAGE_CHECK,
    Forbidden: FailInfo.BAD_REQUEST,
    NotFound: FailInfo.BAD_CERT_ID,
    Conflict: FailInfo.BAD_REQUEST,
    AlreadyRevoked: FailInfo.BAD_REQUEST,
    BadRevocationReason: FailInfo.BAD_REQUEST,
    Rejected: FailInfo.BAD_REQUEST,
    BadProofOfPossession: FailInfo.BAD_MESSAGE_CHECK,
    BadPublicKey: FailInfo.BAD_ALG,
    BadName: FailInfo.BAD_REQUEST,
    BadExtension: FailInfo.BAD_REQUEST,
    # badTime is about the clock of the client (RFC 8894, 3.2.1.4), not about the validity it asks for.
    BadValidity: FailInfo.BAD_REQUEST,
    LimitExceeded: FailInfo.BAD_REQUEST,
    # Devices take a failure for final; a service answers these two with HTTP status 503 where it still can.
    Unavailable: FailInfo.BAD_REQUEST,
}


class DecodeError(ValueError):
    """The bytes are not a pkiMessage that can be answered with one: its transactionID or senderNonce is not known."""


class PKIMessageRefused(Exception):
    """A message that is answered with a failure: ``fail_info`` and ``fail_info_text`` are for the client.

    ``detail`` reaches the log only.
    """

    def __init__(self, fail_info: FailInfo, fail_info_text: str, *, detail: str = "") -> None:
        super().__init__(detail or fail_info_text)
        self.fail_info = fail_info
        self.fail_info_text = fail_info_text
        self.detail = detail


class UnreadableEnvelope(PKIMessageRefused):
    """An envelope that does not open, or holds what cannot be read.

    One failure and one text for all, as long as the content is not whole: padding, key, content and the signature of
    the request in it. Anybody can send the envelope of somebody else, altered and signed anew; whoever learns from
    the answers where an altered one stops being readable, reads it in the end (Bleichenbacher, Vaudenay).
    """

    def __init__(self, detail: str) -> None:
        super().__init__(FailInfo.BAD_MESSAGE_CHECK, "the pkcsPKIEnvelope cannot be read", detail=detail)


def fail_info(refusal: Refused) -> FailInfo:
    """The failInfo of a refusal; a subclass without a line of its own has that of its base."""
    for kind in type(refusal).__mro__:
        if (found := FAIL_INFO.get(kind)) is not None:
            return found
    return FailInfo.BAD_REQUEST
