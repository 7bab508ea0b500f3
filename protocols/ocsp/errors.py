"""What OCSP says when it says no, and the one table from our refusals to it (RFC 6960, 2.3)."""

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
from protocols.ocsp.messages import OCSPResponseStatus

RESPONSE_STATUS: Mapping[type[Refused], OCSPResponseStatus] = {
    Malformed: OCSPResponseStatus.MALFORMED_REQUEST,
    # "Not capable of responding authoritatively" (RFC 5019, 2.2.3): the CA is not ours, or has OCSP switched off.
    NotFound: OCSPResponseStatus.UNAUTHORIZED,
    Unauthorized: OCSPResponseStatus.UNAUTHORIZED,
    Forbidden: OCSPResponseStatus.UNAUTHORIZED,
    Unavailable: OCSPResponseStatus.TRY_LATER,
    LimitExceeded: OCSPResponseStatus.TRY_LATER,
    # Nothing that answers OCSP raises these: if it happens, the mistake is ours.
    Conflict: OCSPResponseStatus.INTERNAL_ERROR,
    AlreadyRevoked: OCSPResponseStatus.INTERNAL_ERROR,
    BadRevocationReason: OCSPResponseStatus.INTERNAL_ERROR,
    Rejected: OCSPResponseStatus.INTERNAL_ERROR,
    BadProofOfPossession: OCSPResponseStatus.INTERNAL_ERROR,
    BadPublicKey: OCSPResponseStatus.INTERNAL_ERROR,
    BadName: OCSPResponseStatus.INTERNAL_ERROR,
    BadExtension: OCSPResponseStatus.INTERNAL_ERROR,
    BadValidity: OCSPResponseStatus.INTERNAL_ERROR,
}

HTTP_STATUS: Mapping[OCSPResponseStatus, int] = {
    OCSPResponseStatus.MALFORMED_REQUEST: 400,
    OCSPResponseStatus.INTERNAL_ERROR: 404,
    OCSPResponseStatus.TRY_LATER: 404,
    OCSPResponseStatus.UNAUTHORIZED: 404,
}
"""The HTTP status of an error with ``http_error`` on (``va.md`` 3.2): 400 for an invalid request, 404 for a valid one
that could not be processed. Off, the default, it is 200, which is all that RFC 6960 knows."""


def response_status(refusal: Refused) -> OCSPResponseStatus:
    """The responseStatus of a refusal; a subclass without a line of its own has that of its base."""
    for kind in type(refusal).__mro__:
        if (status := RESPONSE_STATUS.get(kind)) is not None:
            return status
    return OCSPResponseStatus.INTERNAL_ERROR
