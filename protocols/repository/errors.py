"""From refusals to HTTP status codes; the texts are for people."""

from __future__ import annotations

from collections.abc import Mapping

from cspd.http.message import Response
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

STATUS: Mapping[type[Refused], int] = {
    Malformed: 400,
    Unauthorized: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 404,  # the CA is there, but not in a state to have what is asked for
    AlreadyRevoked: 404,
    BadRevocationReason: 400,
    Rejected: 400,
    BadProofOfPossession: 400,
    BadPublicKey: 400,
    BadName: 400,
    BadExtension: 400,
    BadValidity: 400,
    LimitExceeded: 429,
    Unavailable: 503,
}
"""Reading a repository meets NotFound, Conflict and Unavailable; the table is complete all the same."""


def response_to(refusal: Refused) -> Response:
    """The answer that tells of a refusal, never to be cached."""
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    if isinstance(refusal, (Unavailable, LimitExceeded)) and refusal.retry_after is not None:
        headers.append((b"retry-after", str(max(1, int(refusal.retry_after.total_seconds()))).encode("ascii")))
    return Response(STATUS[type(refusal)], f"{refusal.reason}\n".encode(), tuple(headers))
